"""``clean_readings`` of a day: estimated where needed, with the history that the estimation asks for."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.tables.calendar import like_days_around
from metrify_assets.tables.day import DayResult, ShardResult, compute_day
from metrify_assets.tables.digests import ESTIMATION, Digests
from metrify_assets.tables.grids import clean_table, validated_grids
from metrify_assets.vee.clean import clean_shard
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_NAMES, REASON_NAMES, STATUS_NAMES, CleanGrid, SeriesTable, ValidatedGrid
from metrify_assets.vee.history import HistoryDay

Keys = list[tuple[str, str]]
CACHED_CELLS = 30_000_000
"""Cells of other days' grids that are kept in memory during a run: about 600 MB at most."""


class ValidatedDays:
    """Validated grids of days and shards, read when asked for and kept while they fit."""

    def __init__(self, platform: Platform, digests: Digests):
        self.platform, self.digests = platform, digests
        self._kept: OrderedDict[tuple[date, int, str], list[tuple[Keys, ValidatedGrid]]] = OrderedDict()
        self._cells = 0

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the grids of a day and shard with the keys of their rows; empty if there are none."""
        manifest = self.digests.days("validated_readings").get(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = self._kept[key] = validated_grids(self.platform.lake.read_shard(entry))
        self._cells += entry.rows
        while self._cells > CACHED_CELLS and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._cells -= sum(grid.flags.size for _, grid in dropped)
        return found


class ShardHistory:
    """Other days of the series of one grid, as the estimation asks for them."""

    def __init__(self, days: ValidatedDays, shard: int, keys: Keys, interval_minutes: int, zone: str):
        self.days, self.shard, self.keys, self.minutes, self.zone = days, shard, keys, interval_minutes, zone

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return a day's validated values of some rows of the grid; None if the day was never validated."""
        for keys, grid in self.days.grids(day, self.shard):
            if grid.interval_minutes != self.minutes:
                continue
            position = {key: row for row, key in enumerate(keys)}
            source = np.array([position.get(self.keys[row], -1) for row in rows.tolist()], dtype=np.int64)
            known = (source >= 0)[:, None]
            return HistoryDay.from_validated(
                DeliveryDay(day, self.zone),
                self.minutes,
                grid.delivered[source],
                grid.has_value[source] & known,
                grid.source_status[source],
                grid.flags[source],
            )
        return None


def compute_clean(
    platform: Platform, day: date, digests: Digests, days: ValidatedDays, *, force: bool = False
) -> DayResult:
    """Compute and publish the stale shards of one day."""
    zone = platform.settings.timezone

    def compute_shard(number: int) -> ShardResult:
        names = {f"validated_readings@{day}", "estimation"}
        clean: list[tuple[Keys, CleanGrid]] = []
        for keys, grid in days.grids(day, number):
            history = ShardHistory(days, number, keys, grid.interval_minutes, zone)
            result, used = clean_shard(DeliveryDay(day, zone), grid, history, like_days_around(day), ESTIMATION)
            clean.append((keys, result))
            names |= {f"validated_readings@{other}" for other in used}
            if used:
                names.add(f"holidays@{day}")
        rows, numbers = _rows(day, clean)
        validated = digests.days("validated_readings").get(day)
        numbers["validated_slots"] = validated.shards[number].rows if validated else 0
        inputs = {name: digests.current(name, number) for name in sorted(names)}
        return ShardResult(rows, inputs, numbers)

    return compute_day(platform, CLEAN_READINGS, day, digests, compute_shard, force=force)


def _rows(day: date, clean: list[tuple[Keys, CleanGrid]]) -> tuple[pa.Table, dict[str, Any]]:
    tables = [clean_table(day, _series(keys), [grid]) for keys, grid in clean]
    rows = pa.concat_tables(tables).unify_dictionaries() if tables else CLEAN_READINGS.empty()
    grids = [grid for _, grid in clean]
    numbers = {
        "status": _count(STATUS_NAMES, [grid.status for grid in grids]),
        "method": _count(METHOD_NAMES, [grid.method for grid in grids]),
        "reason": _count(REASON_NAMES, [grid.reason for grid in grids]),
        "micro_kwh": int(sum(int(grid.value[grid.has_value].sum()) for grid in grids)),
    }
    return rows, numbers


def _series(keys: Keys) -> SeriesTable:
    points = np.array([point for point, _ in keys], dtype=object)
    channels = np.array([channel for _, channel in keys], dtype=object)
    # Interval and limit play no part in the layout of rows.
    return SeriesTable(points, channels, np.zeros(len(keys), np.int16), np.full(len(keys), np.nan))


def _count(names: tuple, planes: list[np.ndarray]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for plane in planes:
        present = plane[plane >= 0]
        counts = np.bincount(present, minlength=len(names)).tolist()
        found.update({str(name): count for name, count in zip(names, counts, strict=True) if count})
    return dict(found)
