"""A simulation goes through the platform: taken in, validated and estimated, by the code that production runs.

Belongs here: the order of the steps, and collecting what they left. Does not belong here: what is made of it
(``rules.py``, ``estimates.py``, ``drift.py``). Dagster plays no part: it only decides when these functions run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.clock import microseconds
from metrify_assets.days.clean import compute_clean
from metrify_assets.days.day import DayResult
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.power_quality import compute_power_quality
from metrify_assets.days.validated import compute_validated
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.errors import MetrifyError
from metrify_assets.feeds.model import ISO, MeasuredFeed, RegistryFeed
from metrify_assets.landing.ingest import Ingested, ingest
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import newest_edition
from metrify_assets.registry.registries import build_registry
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS, QUARANTINE, REGISTER_READS, VALIDATED_READINGS
from metrify_assets.schemas.table import Table
from metrify_assets.scoring.planes import Axes, Labels, Observed, plane_of
from metrify_assets.settings import Settings
from metrify_assets.simulator.utility import SimulatedFile, Simulation, write_wave
from metrify_assets.storage.lake import Lake, Manifest

Progress = Callable[[str], None]
_POINT = re.compile(r"DE[0-9A-Z]{31}")
_CHANNEL = re.compile(r"1-0:[12]\.29\.0")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class RejectedRow:
    """A row in quarantine: its feed and file, the reason, and what of its channel can be read in it."""

    feed: str
    file: str
    reason: str
    point_id: str
    obis_code: str

    @property
    def day(self) -> date | None:
        """Day that the file is for."""
        match = _DAY.search(self.file)
        return date.fromisoformat(match.group()) if match else None


@dataclass(frozen=True, eq=False)
class State:
    """What the platform holds at one moment.

    Attributes
    ----------
    observed : Observed
    reads : pyarrow.Table
        Rows of ``register_reads``.
    unassigned : dict of date to int
        Deliveries that belong to no series, by day.
    power_quality : pyarrow.Table
        Rows of ``clean_power_quality``.
    """

    observed: Observed
    reads: pa.Table
    unassigned: dict[date, int]
    power_quality: pa.Table


@dataclass(frozen=True, eq=False)
class Evidence:
    """A simulation and what the platform made of it.

    Attributes
    ----------
    simulation : Simulation
    axes : Axes
    labels : Labels
    truth : int64 array, shape (C, T)
    first, final : State
        After the first wave and after the second.
    rejected : list of RejectedRow
    later : list of Ingested
        What became of the files of the second wave.
    local_time_feeds : frozenset of str
        Feeds whose stamps name two instants in the repeated hour.
    """

    simulation: Simulation
    axes: Axes
    labels: Labels
    truth: np.ndarray
    first: State
    final: State
    rejected: list[RejectedRow]
    later: list[Ingested]
    local_time_feeds: frozenset[str]


def run_simulation(simulation: Simulation, root: Path, progress: Progress) -> Evidence:
    """Run both waves of a simulation through a platform in ``root``.

    Raises
    ------
    MetrifyError
        If the period does not lie in the past (its values would be refused as stamps in the future), or a day cannot
        be computed.
    """
    plan = simulation.plan
    arrivals = [file.received_at for file in simulation.later]
    if plan.day(plan.days) >= date.today() or any(arrival > datetime.now(UTC) for arrival in arrivals):
        raise MetrifyError(f"the simulated period ends on {plan.day(plan.days - 1)}: choose one that lies in the past")
    # The simulated feeds and the built-in rule book, whatever the environment of the caller says.
    first_day = min(plan.first_day, date(2020, 1, 1))
    # The newest rules are judged, whatever the day that they begin to hold.
    rules = root / "rules.yaml"
    root.mkdir(parents=True, exist_ok=True)
    rules.write_text(newest_edition(), encoding="utf-8")
    platform = Platform(Settings.from_env({}, root=root, timezone=plan.zone, first_day=first_day, rules_file=rules))
    axes = Axes.of_truth(simulation.truth, plan.zone)
    days = [day.day for day in plan.delivery_days]
    _deliver(platform, simulation.first, progress, "first wave")
    first = _compute(platform, axes, days, progress, "first wave")
    later = _deliver(platform, simulation.later, progress, "second wave")
    final = _compute(platform, axes, days, progress, "second wave")
    measured = {name: feed for name, feed in platform.feeds.items() if isinstance(feed, MeasuredFeed)}
    local = {name for name, feed in measured.items() if feed.stamp.format != ISO}
    return Evidence(
        simulation=simulation,
        axes=axes,
        labels=Labels(axes, simulation.labels),
        truth=plane_of(axes, simulation.truth, "value_kwh"),
        first=first,
        final=final,
        rejected=_rejected(platform),
        later=later,
        local_time_feeds=frozenset(local),
    )


def _deliver(platform: Platform, files: Iterable[SimulatedFile], progress: Progress, what: str) -> list[Ingested]:
    """Take in files in the order in which they arrive."""
    done = []
    registries = set()
    for file in files:
        (path,) = write_wave([file], platform.settings.inbox)
        modified = microseconds(file.received_at) // 1_000_000 * 1_000_000
        done.append(ingest(platform, InboxFile(file.feed, file.name, path.stat().st_size, modified)))
        feed = platform.feed(file.feed)
        if isinstance(feed, RegistryFeed):
            registries.add(feed.registry)
        if len(done) % 50 == 0:
            progress(f"{what}: {len(done)} files taken in")
    for registry in sorted(registries):
        build_registry(platform, registry)
    progress(f"{what}: {len(done)} files taken in")
    return done


def _compute(platform: Platform, axes: Axes, days: list[date], progress: Progress, what: str) -> State:
    """Validate and estimate what is stale of some days, as one run of the platform does."""
    digests = Digests(platform)
    validated: dict[date, Manifest] = {}
    for number, day in enumerate(days, start=1):
        validated[day] = _require(compute_validated(platform, day, digests))
        progress(f"{what}: {number} of {len(days)} days validated")
    digests = Digests(platform)
    shards = clean_shards(digests)
    for number, day in enumerate(days, start=1):
        _require(compute_clean(platform, day, digests, shards))
        _require(compute_power_quality(platform, day, digests))
        progress(f"{what}: {number} of {len(days)} days estimated")
    tables = {table.name: [_read(platform.lake, table, day) for day in days] for table in _READ}
    return State(
        observed=Observed.of_tables(axes, tables[CLEAN_READINGS.name], tables[VALIDATED_READINGS.name]),
        reads=pa.concat_tables(tables[REGISTER_READS.name]).unify_dictionaries(),
        unassigned={
            day: sum(shard.numbers["tally"]["unassigned"] for shard in manifest.shards.values())
            for day, manifest in validated.items()
        },
        power_quality=pa.concat_tables(tables[CLEAN_POWER_QUALITY.name]).unify_dictionaries(),
    )


_READ = (CLEAN_READINGS, VALIDATED_READINGS, REGISTER_READS, CLEAN_POWER_QUALITY)


def _require(result: DayResult) -> Manifest:
    """Return what is published of a day; raise ``MetrifyError`` if it could not be computed."""
    if result.parked or result.manifest is None:
        raise MetrifyError(f"{result.day} cannot be computed: {result.parked}")
    return result.manifest


def _read(lake: Lake, table: Table, day: date) -> pa.Table:
    return lake.read(lake.manifest(table.name, day), table.arrow)


def _rejected(platform: Platform) -> list[RejectedRow]:
    """Return the rows in quarantine, of the drops that count: what replaces a drop repeats its faults."""
    rejected = []
    for drop in platform.ledger.view().active.values():
        if not drop.quarantine:
            continue
        with platform.store.reading(drop.quarantine) as path:
            rows = pq.read_table(path, partitioning=None).cast(QUARANTINE.arrow)
        for row in rows.select(["reason", "payload"]).to_pylist():
            point, channel = _POINT.search(row["payload"] or ""), _CHANNEL.search(row["payload"] or "")
            rejected.append(
                RejectedRow(
                    drop.feed,
                    drop.name,
                    row["reason"],
                    point.group() if point else "",
                    channel.group() if channel else "",
                )
            )
    return rejected
