"""Other days as estimation takes them: validated grids and totals of a day and shard, and access to them by series.

Belongs here: reading validated days, and keeping them while they fit. Does not belong here: what is made of them
(``estimation.py``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from functools import partial
from threading import Lock
from typing import Protocol

import numpy as np
import pyarrow as pa

from metrify_assets.days.digests import Digests
from metrify_assets.days.grids import StoredGrid, texts, validated_grids
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.platform import Platform
from metrify_assets.registry.points import Key
from metrify_assets.storage.arrow import decimal_integers
from metrify_assets.storage.lake import Shard
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import ValidatedGrid
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.midnight import EdgeRuns

Keys = list[Key]
CACHED_CELLS = 30_000_000
"""Cells of other days' grids that are kept in memory during a run: about 600 MB at most."""
CACHED_TOTALS = 512
"""Shards of ``series_days`` that are kept: what a range of months looks back at."""


class Days(Protocol):
    """Other days as estimation takes them, whether they are read from the lake or worked out."""

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of a day and shard with the keys of their rows; empty if there are none."""
        ...

    def past(self, day: date, shard: int) -> Sequence[tuple[Keys, ValidatedGrid | StoredGrid]]:
        """Return the same, of which a few rows will be asked for."""
        ...

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series adds up to, by resolution in minutes."""
        ...

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads."""
        ...


class ValidatedDays:
    """Validated days of the lake, read when asked for and kept while they fit."""

    def __init__(self, platform: Platform, digests: Digests):
        self.platform, self.digests = platform, digests
        self._kept: OrderedDict[tuple[date, int, str], list[tuple[Keys, ValidatedGrid]]] = OrderedDict()
        self._totals: OrderedDict[tuple[date, int, str], list[tuple[Keys, int, DayTotals]]] = OrderedDict()
        self._keys: dict[tuple[int, int], Keys] = {}
        self._past: OrderedDict[tuple[date, int, str], dict[str, pa.ChunkedArray]] = OrderedDict()
        self._cells = 0
        # Shards of a day are worked out by several threads; each reads files of its own.
        self._lock = Lock()

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the grids of a day and shard with the keys of their rows; empty if there are none."""
        manifest = self.digests.days("validated_readings").of(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        read = validated_grids(self.platform.lake.read_shard(entry))
        grids = [(self._shared(shard, grid.interval_minutes, keys), grid) for keys, grid in read]
        with self._lock:
            self._kept[key] = grids
            self._cells += entry.rows
            while self._cells > CACHED_CELLS and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._cells -= sum(grid.flags.size for _, grid in dropped)
        return grids

    def past(self, day: date, shard: int) -> list[tuple[Keys, StoredGrid]]:
        """Return the same, of which a few rows will be asked for: the others are never unpacked."""
        manifest = self.digests.days("validated_readings").of(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        days_before, first = [], 0
        for keys, minutes, _ in self.totals(day, shard):
            slots = DeliveryDay(day, self.platform.settings.timezone).slots(minutes)
            column = partial(self._column, (day, shard, entry.digest), entry)
            days_before.append((keys, StoredGrid(minutes, slots, first, len(keys), column)))
            first += len(keys) * slots
        return days_before

    def _column(self, key: tuple[date, int, str], entry: Shard, name: str) -> pa.ChunkedArray:
        """Return a column of a stored shard, read when it is asked for first."""
        with self._lock:
            loaded = self._past.get(key, {}).get(name)
        if loaded is not None:
            return loaded
        column = self.platform.lake.read_shard(entry, [name])[name]
        with self._lock:
            self._past.setdefault(key, {})[name] = column
            # A shard of every day in the look-back is asked for before the next shard.
            while self._past_cells() > CACHED_CELLS and len(self._past) > 1:
                self._past.popitem(last=False)
        return column

    def _past_cells(self) -> int:
        return sum(max(map(len, columns.values())) for columns in self._past.values())

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series of a day and shard adds up to; empty if there is nothing."""
        manifest = self.digests.days("series_days").of(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        shard_totals = self._totals.get(key)
        if shard_totals is None:
            read = day_totals(self.platform.lake.read_shard(entry))
            shard_totals = [(self._shared(shard, minutes, keys), minutes, totals) for keys, minutes, totals in read]
            with self._lock:
                self._totals[key] = shard_totals
                if len(self._totals) > CACHED_TOTALS:
                    self._totals.popitem(last=False)
        return shard_totals

    def _shared(self, shard: int, minutes: int, keys: Keys) -> Keys:
        """Return the equal list that is held already, if there is one: from day to day keys hardly ever change."""
        shared = self._keys.get((shard, minutes))
        if shared != keys:
            shared = self._keys[shard, minutes] = keys
        return shared

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads."""
        return self.digests.register_index(shard)


def day_totals(rows: pa.Table) -> list[tuple[Keys, int, DayTotals]]:
    """Return the rows of ``series_days`` by resolution."""
    minutes = rows["interval_minutes"].to_numpy()
    parts = []
    for length in np.unique(minutes).tolist():
        chosen = rows.filter(pa.array(minutes == length))
        keys = list(zip(texts(chosen["point_id"]), texts(chosen["obis_code"]), strict=True))
        measured = chosen["measured_slots"].to_numpy().astype(np.int64)
        parts.append(
            (
                keys,
                length,
                DayTotals(
                    energy=decimal_integers(chosen["energy_kwh"]),
                    complete=measured == chosen["slots"].to_numpy(),
                    measured_slots=measured,
                    registered=np.ones(len(keys), dtype=bool),
                    edges=_edges(chosen),
                ),
            )
        )
    return parts


def _edges(rows: pa.Table) -> EdgeRuns | None:
    """Return the runs at a day's ends; None where the day was stored before they were."""
    if "first_slots" not in rows.schema.names:
        return None
    return EdgeRuns(
        decimal_integers(rows["first_kwh"]),
        rows["first_slots"].to_numpy().astype(np.int64),
        decimal_integers(rows["last_kwh"]),
        rows["last_slots"].to_numpy().astype(np.int64),
    )


def _planes(grid: ValidatedGrid, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return grid.delivered[rows], grid.has_value[rows], grid.source_status[rows], grid.flags[rows]


class ShardHistory:
    """Other days of the series of one grid, as the estimation asks for them."""

    def __init__(self, days: Days, shard: int, keys: Keys, interval_minutes: int, zone: str):
        self.days, self.shard, self.keys, self.minutes, self.zone = days, shard, keys, interval_minutes, zone

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return a day's validated values of some rows of the grid; None if the day was never validated."""
        for keys, grid in self.days.past(day, self.shard):
            if grid.interval_minutes != self.minutes:
                continue
            source = self._places(keys, rows)
            has_series = (source >= 0)[:, None]
            planes = grid.take(source) if isinstance(grid, StoredGrid) else _planes(grid, source)
            delivered, has_value, source_status, flags = planes
            return HistoryDay.from_validated(
                DeliveryDay(day, self.zone),
                self.minutes,
                delivered,
                has_value & has_series,
                source_status,
                np.where(has_series, flags, 0),
            )
        return None

    def complete_day(self, day: date, rows: np.ndarray) -> CompleteDay | None:
        """Return the values of rows that are complete on a day; None if the day was never validated."""
        for keys, grid in self.days.past(day, self.shard):
            if grid.interval_minutes == self.minutes:
                source = self._places(keys, rows)
                values = grid.values(source) if isinstance(grid, StoredGrid) else grid.delivered[source]
                return CompleteDay(DeliveryDay(day, self.zone).local_minutes(self.minutes), values)
        return None

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        """Return what a day adds up to for some rows of the grid; None if the day was never validated."""
        for keys, minutes, day_sums in self.days.totals(day, self.shard):
            if minutes != self.minutes:
                continue
            return day_sums.take(self._places(keys, rows))
        return None

    def _places(self, keys: Keys, rows: np.ndarray) -> np.ndarray:
        """Return where the grid's rows stand among a day's keys, -1 = nowhere."""
        # From day to day the series are nearly always the same, and then the very same list (``_shared``).
        if keys is self.keys or keys == self.keys:
            return rows
        position = {key: row for row, key in enumerate(keys)}
        return np.array([position.get(self.keys[row], -1) for row in rows.tolist()], dtype=np.int64)
