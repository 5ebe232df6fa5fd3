"""A small utility with many faults, read back once for all tests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

import pytest

from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import SimulatedFile, Simulation, simulate
from tests.unit.simulator.reading import Key, Parsed, parse, table

FAULTY = SimulationPlan(
    points=80,
    days=5,
    first_day=date(2026, 3, 26),  # Thursday to Monday; Sunday the 29th has 23 hours
    short_gap_rate=0.05,
    long_gap_rate=0.04,
    blank_rate=0.05,
    spike_rate=0.05,
    stuck_rate=0.05,
    negative_rate=0.05,
    physical_limit_rate=0.05,
    duplicate_rate=0.05,
    malformed_row_rate=0.10,
    substitute_rate=0.05,
    provisional_rate=0.05,
    unknown_point_rate=0.3,
    redelivered_day=1,
    corrected_day=2,
    late_day=3,
)


@dataclass
class ReadBack:
    simulation: Simulation
    first: list[SimulatedFile]
    later: list[SimulatedFile]
    parsed: list[tuple[SimulatedFile, Parsed]]
    """Every meter file as it was first delivered, the late one included."""
    truth: dict[Key, int]
    connection_kw: dict[str, float]
    labels: dict[str, dict[Key, str]]
    """Kind to labelled slots and their details."""
    starts: dict[str, set[datetime]]
    """File name to the slots that occur in it."""

    def labelled(self, kind: str) -> set[Key]:
        return set(self.labels[kind])


@pytest.fixture(scope="session")
def utility() -> ReadBack:
    simulation = simulate(FAULTY)
    first, later = list(simulation.first), list(simulation.later)
    late = [file for file in later if file.feed == "meters_east"]
    points = next(file for file in first if file.feed == "registry_points")
    labels: dict[str, dict[Key, str]] = defaultdict(dict)
    for row in simulation.labels.to_pylist():
        key = (row["point_id"], row["obis_code"], row["interval_start"])
        assert key not in labels[row["kind"]], "a slot is labelled twice with one kind"
        labels[row["kind"]][key] = row["detail"]
    parsed = [(file, parse(file.feed, file.content)) for file in [*first, *late] if file.feed.startswith("meters_")]
    return ReadBack(
        simulation=simulation,
        first=first,
        later=later,
        parsed=parsed,
        truth={
            (row["point_id"], row["obis_code"], row["interval_start"]): int(row["value_kwh"] * 1000)
            for row in simulation.truth.to_pylist()
        },
        connection_kw={row["point_id"]: float(row["connection_kw"]) for row in table(points.content)},
        labels=labels,
        starts={file.name: {key[2] for key, _, _ in one.rows} for file, one in parsed},
    )
