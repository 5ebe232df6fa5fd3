"""``validated_readings`` of a day: raw rows on the grid, the version chosen, the rules that fired.

Beside it, from the same computation: ``register_reads`` (the chosen counter states) and ``series_days`` (what each
series adds up to), which are small enough to be read for many days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np

from metrify_assets.days.day import DayResult, ShardResult, compute_day
from metrify_assets.days.digests import Digests
from metrify_assets.days.grids import register_reads_table, series_days_table, validated_table
from metrify_assets.days.raw import RawRows
from metrify_assets.platform import Platform
from metrify_assets.registry.points import Key, Registry
from metrify_assets.schemas.readings import REGISTER_READS, SERIES_DAYS, VALIDATED_READINGS
from metrify_assets.vee.arrays import Int32Array
from metrify_assets.vee.codes import FLAG_NAMES
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import SeriesTable, Tally, ValidatedGrid
from metrify_assets.vee.registers import RegisterReads, chosen_reads, drop_redundant_reads
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.validate import validate_shard


class Snapshot(Protocol):
    """What is known at one moment: the raw rows that count, the registries and the rules."""

    @property
    def registry(self) -> Registry:
        """The registries."""
        ...

    def rules_on(self, day: date) -> DayRules:
        """Return the rules that hold on a delivery day."""
        ...

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the raw rows of a day and shard; ``series`` are the registry entries that they are assigned to."""
        ...


@dataclass(frozen=True, eq=False)
class ValidatedShard:
    """A shard of a day after validation, and all that went into it.

    Attributes
    ----------
    series : SeriesTable
    raw : RawRows
    grids : list of ValidatedGrid
    tally : Tally
    reads : RegisterReads
    used : tuple of str
        Names of the inputs.
    """

    series: SeriesTable
    raw: RawRows
    grids: list[ValidatedGrid]
    tally: Tally
    reads: RegisterReads
    used: tuple[str, ...]

    def keyed_grids(self) -> list[tuple[list[Key], ValidatedGrid]]:
        """Return the grids with the keys of their rows, numbered by themselves as those read from the lake are."""
        return [
            (
                list(zip(self.series.point_id[grid.series], self.series.obis_code[grid.series], strict=True)),
                replace(grid, series=np.arange(len(grid.series), dtype=np.int32)),
            )
            for grid in self.grids
            if len(grid.series)
        ]


def validate_day_shard(snapshot: Snapshot, day: date, number: int) -> ValidatedShard:
    """Validate one shard of a day from raw rows, in memory."""
    used = [f"raw_readings@{day}", f"points@{day}", f"rules@{day}", f"outages@{day}"]
    series = snapshot.registry.series(day, number)
    rules = snapshot.rules_on(day)
    rows = snapshot.raw_rows(day, number, series)
    following = None
    if rows.deliveries.is_register.any():
        # The last interval of a day is closed by the register read at the first instant of the next.
        after = day + timedelta(days=1)
        used.append(f"raw_readings@{after}")
        deliveries = snapshot.raw_rows(after, number, series).deliveries
        following = deliveries.take(deliveries.is_register)
    delivery_day = DeliveryDay(day, snapshot.registry.zone)
    grids, tally = validate_shard(
        delivery_day,
        series,
        rows.deliveries,
        following,
        rules,
        outages=snapshot.registry.outages(day, number, series),
        feeds=rows.feeds,
    )
    registers = rows.deliveries.take(rows.deliveries.is_register)
    chosen = chosen_reads(delivery_day, registers, series.interval_minutes, rules.rules)
    reads = drop_redundant_reads(chosen, series.interval_minutes)
    return ValidatedShard(series, rows, grids, tally, reads, tuple(used))


def compute_validated(platform: Platform, day: date, digests: Digests, *, force: bool = False) -> DayResult:
    """Compute and publish the stale shards of one day."""

    def compute_shard(number: int) -> ShardResult:
        result = validate_day_shard(digests, day, number)
        return ShardResult(
            validated_table(day, result.series, result.grids),
            {name: digests.current(name, number) for name in result.used},
            _numbers(digests, day, number, result),
            {
                REGISTER_READS.name: register_reads_table(day, result.series, result.reads),
                SERIES_DAYS.name: series_days_table(day, result.series, result.grids),
            },
        )

    return compute_day(
        platform,
        VALIDATED_READINGS,
        day,
        digests,
        compute_shard,
        force=force,
        side_tables=(REGISTER_READS, SERIES_DAYS),
    )


def _numbers(digests: Digests, day: date, number: int, result: ValidatedShard) -> dict[str, Any]:
    return {
        "tally": asdict(result.tally),
        "rules": flag_counts([grid.flags for grid in result.grids], digests.rules_on(day)),
        "rule_set": digests.rules_on(day).version,
        # Counted from the ledger, not from what was read: the other side of the conservation identity.
        "raw_rows": sum(
            part.rows.get(str(number), 0)
            for drop in digests.view.drops_of("raw_readings", day)
            for part in drop.parts[day.isoformat()]
        ),
        "slots": int(sum(grid.flags.size for grid in result.grids)),
        "points": len(set(result.series.point_id.tolist())),
        "register_reads": len(result.reads.series),
        "unassigned_examples": list(result.raw.unassigned_examples),
    }


def flag_counts(planes: list[Int32Array], rules: DayRules) -> dict[str, int]:
    """Return on how many slots of some planes of flags each flag is set, and each rule of another package."""
    # Most flags are nowhere: one pass finds those that are somewhere.
    anywhere = int(np.bitwise_or.reduce([np.bitwise_or.reduce(plane, axis=None) for plane in planes] or [0]))
    bits = {name: int(flag) for flag, name in FLAG_NAMES.items()} | {rule.name: rule.flag for rule in rules.own}
    return {
        name: int(sum(np.count_nonzero(plane & np.int32(bit)) for plane in planes)) if bit & anywhere else 0
        for name, bit in bits.items()
    }
