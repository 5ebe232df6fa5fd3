"""A small utility with many faults, read back once for all tests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import pytest

from metrify_assets.simulator.places import VENDORS
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import SimulatedFile, Simulation, simulate
from tests.unit.simulator.reading import Key, Parsed, local_day, nearest_quarter, parse, table

VENDOR_FEEDS = {vendor.feed for vendor in VENDORS}

FAULTY = SimulationPlan(
    points=80,
    days=5,
    first_day=date(2026, 3, 26),  # Thursday to Monday; Sunday the 29th has 23 hours
    short_gap_rate=0.05,
    long_gap_rate=0.04,
    blank_rate=0.05,
    spike_rate=0.05,
    stuck_rate=0.05,
    # Two days without another event are rare among so many.
    stuck_across_midnight_rate=0.6,
    negative_rate=0.05,
    physical_limit_rate=0.05,
    duplicate_rate=0.05,
    malformed_row_rate=0.10,
    substitute_rate=0.05,
    provisional_rate=0.05,
    zero_run_rate=0.03,
    robust_outlier_rate=0.04,
    interval_size_rate=0.03,
    clock_drift_rate=0.05,
    high_low_rate=0.03,
    future_stamp_rate=0.03,
    sum_check_rate=0.05,
    day_gap_rate=0.02,
    unknown_point_rate=0.3,
    outage_rate=0.4,
    silence_rate=0.0,
    unit_mismatch_rate=0.4,
    register_share=0.5,
    register_decrease_rate=0.1,
    late_register_rate=0.3,
    redelivered_day=1,
    corrected_day=2,
    late_day=3,
    late_register_day=4,
)
SLOW = replace(
    SimulationPlan(points=60, days=26, redelivered_day=90, corrected_day=91, late_day=92, late_register_day=20),
    **{
        **SimulationPlan().without_faults(),
        "silence_rate": 0.2,
        "register_rollover_rate": 0.2,
        "register_decrease_rate": 0.03,
        "late_register_rate": 0.3,
        "register_share": 1.0,
    },
)
"""What takes longer than a day: silence, roll-overs, exchanges; register reads that are wrong or late."""


@dataclass
class ReadBack:
    simulation: Simulation
    first: list[SimulatedFile]
    later: list[SimulatedFile]
    parsed: list[tuple[SimulatedFile, Parsed]]
    """Every vendor's file as it was first delivered, the late one included: rows of its own day at their slots."""
    truth: dict[Key, int]
    points_file: SimulatedFile
    connection_kw: dict[str, float]
    labels: dict[str, dict[Key, str]]
    """Kind to labelled slots and their details."""
    starts: dict[str, set[datetime]]
    """File name to the slots that occur in it."""
    drifted: set[Key] = field(default_factory=set)
    """Slots whose rows are stamped some seconds off."""
    ahead: list[tuple[str, str, str]] = field(default_factory=list)
    """Point, OBIS code and file name of rows stamped with another day."""

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
    parsed = [(file, parse(file.feed, file.content)) for file in [*first, *late] if file.feed in VENDOR_FEEDS]
    drifted, ahead = set(), []
    for file, content in parsed:
        rows = [((*key[:2], nearest_quarter(key[2])), key, wh, status) for key, wh, status in content.rows]
        drifted |= {snapped for snapped, key, _, _ in rows if snapped != key}
        own = file.name.rpartition("_")[2].partition(".")[0]
        ahead += [(*key[:2], file.name) for snapped, key, _, _ in rows if local_day(snapped[2]) != own]
        content.rows = [(snapped, wh, status) for snapped, _, wh, status in rows if local_day(snapped[2]) == own]
    return ReadBack(
        simulation=simulation,
        first=first,
        later=later,
        parsed=parsed,
        truth={
            (row["point_id"], row["obis_code"], row["interval_start"]): int(row["value_kwh"] * 1000)
            for row in simulation.truth.to_pylist()
        },
        points_file=points,
        connection_kw={row["point_id"]: float(row["connection_kw"]) for row in table(points.content)},
        labels=labels,
        drifted=drifted,
        ahead=ahead,
        starts={file.name: {key[2] for key, _, _ in content.rows} for file, content in parsed},
    )
