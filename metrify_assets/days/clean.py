"""``clean_readings`` of a day: published, counted, and held against the values of a closed period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.days.corrections import corrections
from metrify_assets.days.day import DayResult, ShardResult, compute_day
from metrify_assets.days.days import Keys
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import CleanShards, EstimatedShard
from metrify_assets.days.grids import clean_table, validated_table
from metrify_assets.days.validated import flag_counts
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS, CORRECTIONS
from metrify_assets.storage.arrow import decimal_integers
from metrify_assets.vee.clean import Cleaned
from metrify_assets.vee.grid import METHOD_NAMES, REASON_NAMES, STATUS_NAMES, CleanGrid, SeriesTable
from metrify_assets.vee.rulebook import DayRules


def compute_clean(
    platform: Platform, day: date, digests: Digests, shards: CleanShards, *, force: bool = False
) -> DayResult:
    """Compute and publish the stale shards of one day."""
    periods = digests.periods
    side_tables = (CORRECTIONS,) if periods.ever_closed(day) else ()

    def compute_shard(number: int) -> ShardResult:
        estimated, names = shards.clean(day, number)
        names.add(f"closed@{day}")
        rules = digests.rules_on(day)
        rows, numbers = _rows(day, estimated, rules)
        side_rows = {CORRECTIONS.name: CORRECTIONS.empty()}
        closed = periods.shard(day, number)
        if closed is not None:
            stands = periods.rows(day, number, closed)
            side_rows[CORRECTIONS.name] = corrections(platform, digests.view, day, number, stands, rows)
            rows, numbers = stands, numbers_of_rows(stands, rules)
            numbers["corrections"] = correction_numbers(side_rows[CORRECTIONS.name])
        validated = digests.days("validated_readings").of(day)
        # A closed day keeps its slots, whatever the registry says now.
        slots = rows.num_rows if closed is not None else validated.shards[number].rows if validated else 0
        numbers["validated_slots"] = slots
        numbers["rule_set"] = rules.version
        inputs = {name: digests.current(name, number) for name in sorted(names)}
        return ShardResult(rows, inputs, numbers, side_rows, closed)

    return compute_day(platform, CLEAN_READINGS, day, digests, compute_shard, force=force, side_tables=side_tables)


def _rows(day: date, estimated: EstimatedShard, rules: DayRules) -> tuple[pa.Table, dict[str, Any]]:
    tables = [clean_rows(day, keys, cleaned.grid) for keys, _, cleaned in estimated.grids]
    rows = pa.concat_tables(tables).unify_dictionaries() if tables else CLEAN_READINGS.empty()
    grids = [cleaned.grid for _, _, cleaned in estimated.grids]
    numbers = {
        "status": _count(STATUS_NAMES, [grid.status for grid in grids]),
        "method": _count(METHOD_NAMES, [grid.method for grid in grids]),
        "reason": _count(REASON_NAMES, [grid.reason for grid in grids]),
        "rules": flag_counts([grid.flags for grid in grids], rules),
        "micro_kwh": int(sum(int(grid.value[grid.has_value].sum()) for grid in grids)),
    }
    return rows, numbers


def numbers_of_rows(rows: pa.Table, rules: DayRules) -> dict[str, Any]:
    """Return the counts of clean rows, as the manifest holds them."""
    counted = {name: Counter(rows[name].to_pylist()) for name in ("status", "method", "reason")}
    return {
        **{name: {text: count for text, count in counts.items() if text} for name, counts in counted.items()},
        "rules": flag_counts([rows["flags"].to_numpy()], rules),
        "micro_kwh": int(decimal_integers(rows["value_kwh"]).sum()),
    }


def correction_numbers(rows: pa.Table) -> dict[str, Any]:
    """Return the counts of corrections, as the manifest holds them."""
    return {
        "slots": rows.num_rows,
        "micro_kwh": int(decimal_integers(rows["difference_kwh"]).sum()),
        "cause": dict(Counter(rows["cause"].to_pylist())),
    }


def clean_rows(day: date, keys: Keys, grid: CleanGrid) -> pa.Table:
    """Return the rows of a clean grid."""
    return clean_table(day, _named(keys), [grid])


def checked_rows(day: date, keys: Keys, cleaned: Cleaned) -> pa.Table:
    """Return the rows of a validated grid with all findings: those of many days and of registers among them."""
    return validated_table(day, _named(keys), [replace(cleaned.validated, flags=cleaned.grid.flags)])


def _named(keys: Keys) -> SeriesTable:
    """Return a table of series that has their names."""
    points = np.array([point for point, _ in keys], dtype=object)
    channels = np.array([channel for _, channel in keys], dtype=object)
    # Interval and limit play no part in the layout of rows.
    return SeriesTable(points, channels, np.zeros(len(keys), np.int16), np.full(len(keys), np.nan))


def _count(names: Sequence[object], planes: list[np.ndarray]) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for plane in planes:
        present = plane[plane >= 0]
        counts = np.bincount(present, minlength=len(names)).tolist()
        counter.update({str(name): count for name, count in zip(names, counts, strict=True) if count})
    return dict(counter)
