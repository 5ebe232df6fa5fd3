"""What the platform's own cascade makes of gaps, under each of several editions of a rule book.

Belongs here: taking slots away from validated days, and asking ``days/estimation.py`` for them. Does not belong here:
the cascade (``vee/clean.py``), scaling to registers, which comes after it, and the figures (``errors.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

import numpy as np

from metrify_assets.days.days import Days, Keys, day_totals
from metrify_assets.days.estimation import CleanShards
from metrify_assets.days.grids import StoredGrid, series_days_table
from metrify_assets.days.raw import RawRows
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.days.validated import Snapshot
from metrify_assets.registry.points import Registry
from metrify_assets.scoring.gaps.errors import GapErrors, gap_errors
from metrify_assets.scoring.gaps.places import Gap
from metrify_assets.vee.arrays import AnyArray, BoolArray, Int64Array
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import CleanGrid, SeriesTable, ValidatedGrid
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.uncertainty import IntervalPlanes

Editions = Mapping[str, DayRules]
"""What holds on every day, by name."""


@dataclass(frozen=True, eq=False)
class CutGaps:
    """R gaps on the same days, and what the cascade makes of them; T slots of these days, and of those beside them.

    Attributes
    ----------
    gaps : list of Gap
    truth : int64 array, shape (R, T)
        Micro-kWh; of no meaning where neither ``usable`` nor ``cut``.
    usable : bool array, shape (R, T)
        Measured and no outlier: a line may begin or end there.
    cut : bool array, shape (R, T)
    estimates : dict of str to (int64 array, bool array), shapes (R, T)
        Values by edition, and whether there is one.
    intervals : dict of str to IntervalPlanes, shape (R, T)
        Of the estimates, by the editions that have them.
    """

    gaps: list[Gap]
    truth: Int64Array
    usable: BoolArray
    cut: BoolArray
    estimates: dict[str, tuple[Int64Array, BoolArray]]
    intervals: dict[str, IntervalPlanes]

    def errors(self) -> tuple[list[Gap], GapErrors]:
        """Return the gaps that can be compared, and their errors."""
        errors, compared = gap_errors(self.truth, self.usable, self.cut, self.estimates, self.intervals)
        return [gap for gap, is_compared in zip(self.gaps, compared.tolist(), strict=True) if is_compared], errors


@dataclass(frozen=True)
class _Under:
    """A snapshot under one edition, whatever the day."""

    snapshot: Snapshot
    rules: DayRules

    @property
    def registry(self) -> Registry:
        return self.snapshot.registry

    def rules_on(self, day: date) -> DayRules:
        return self.rules

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        return self.snapshot.raw_rows(day, shard, series)


@dataclass(frozen=True, eq=False)
class _CutDay:
    """A day with gaps: its grid with the keys of its rows, and what it adds up to."""

    keyed: tuple[Keys, ValidatedGrid]
    totals: list[tuple[Keys, int, DayTotals]]

    @classmethod
    def of(cls, day: date, keys: Keys, grid: ValidatedGrid) -> _CutDay:
        points, channels = (np.array([key[part] for key in keys], dtype=object) for part in (0, 1))
        minutes = np.full(len(keys), grid.interval_minutes, dtype=np.int16)
        series = SeriesTable(points, channels, minutes, np.full(len(keys), np.nan))
        return cls((keys, grid), day_totals(series_days_table(day, series, [grid])))


@dataclass(frozen=True, eq=False)
class _CutDays:
    """Days of which some have gaps; a row is a gap, so that a series may be there more than once."""

    days: Days
    cut: Mapping[date, _CutDay]

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        return [self.cut[day].keyed] if day in self.cut else self.days.grids(day, shard)

    def past(self, day: date, shard: int) -> Sequence[tuple[Keys, ValidatedGrid | StoredGrid]]:
        return [self.cut[day].keyed] if day in self.cut else self.days.past(day, shard)

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        return self.cut[day].totals if day in self.cut else self.days.totals(day, shard)

    def register_index(self, shard: int) -> RegisterIndex:
        return self.days.register_index(shard)


def estimate_gaps(
    snapshot: Snapshot,
    days: Days,
    shard: int,
    gaps: Sequence[Gap],
    editions: Editions,
    *,
    beyond_the_days: bool = True,
) -> Iterator[CutGaps]:
    """Cut gaps, each by itself, and estimate them under every edition.

    Parameters
    ----------
    snapshot : Snapshot
        Registry of the series.
    days : Days
        Validated days, those before as history.
    shard : int
        That all series are in.
    gaps : sequence of Gap
        Their slots are measured.
    editions : mapping of str to DayRules
    beyond_the_days : bool
        Whether the straight line may end at values of the days before and after.

    Yields
    ------
    CutGaps, those on the same days together, by day. Each gap is cut alone: all other slots are as they are.
    """
    groups: dict[tuple[int, tuple[date, ...]], list[Gap]] = defaultdict(list)
    for gap in gaps:
        groups[gap.minutes, gap.days].append(gap)
    for (minutes, window), of_window in sorted(groups.items()):
        yield _estimate(_DayWindow(snapshot, days, shard, minutes, window), of_window, editions, beyond_the_days)


@dataclass(frozen=True, eq=False)
class _DayWindow:
    """Consecutive days of one interval of a shard."""

    snapshot: Snapshot
    days: Days
    shard: int
    minutes: int
    days_cut: tuple[date, ...]

    def slots(self, day: date) -> int:
        return DeliveryDay(day, self.snapshot.registry.zone).slots(self.minutes)

    def rows(self, day: date, keys: Keys) -> tuple[ValidatedGrid | None, Int64Array]:
        """Return the grid of a day and where some series are in it, -1 = nowhere."""
        for own, grid in self.days.grids(day, self.shard):
            if grid.interval_minutes == self.minutes:
                places = {key: row for row, key in enumerate(own)}
                return grid, np.array([places.get(key, -1) for key in keys], dtype=np.int64)
        return None, np.full(len(keys), -1, dtype=np.int64)

    def beside(self, day: date, keys: Keys) -> tuple[Int64Array, BoolArray]:
        """Return the values of a day that a line may end at."""
        grid, rows = self.rows(day, keys)
        if grid is None:
            shape = (len(keys), self.slots(day))
            return np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        return grid.delivered[rows], grid.ordinary[rows] & (rows >= 0)[:, None]


def _estimate(window: _DayWindow, gaps: list[Gap], editions: Editions, beyond_the_days: bool) -> CutGaps:
    """Return what becomes of the gaps of one window of days."""
    keys = [gap.key for gap in gaps]
    cut_days: dict[date, _CutDay] = {}
    truth, usable, cuts = [], [], []
    for number, day in enumerate(window.days_cut):
        grid, rows = window.rows(day, keys)
        if grid is None or (rows < 0).any():
            raise ValueError(f"a gap of {day} is in no series of {window.minutes} minutes of shard {window.shard}")
        cut = np.zeros((len(gaps), len(grid.starts)), dtype=bool)
        for row, gap in enumerate(gaps):
            _, start, end = gap.parts[number]
            cut[row, start:end] = True
        cut_days[day] = _CutDay.of(day, keys, _without(grid, rows, cut))
        truth.append(grid.delivered[rows])
        usable.append(grid.ordinary[rows])
        cuts.append(cut)
    before = after = (np.zeros((len(gaps), 0), dtype=np.int64), np.zeros((len(gaps), 0), dtype=bool))
    if beyond_the_days:
        before = window.beside(window.days_cut[0] - timedelta(days=1), keys)
        after = window.beside(window.days_cut[-1] + timedelta(days=1), keys)
    # Estimates are of the days that are cut alone.
    pad = ((0, 0), (before[0].shape[1], after[0].shape[1]))
    estimates, intervals = {}, {}
    for name, rules in editions.items():
        days = _estimates(window, cut_days, rules)

        def plane(part: str, of: Sequence[Any] = days) -> AnyArray:
            return np.pad(np.concatenate([attrgetter(part)(day) for day in of], axis=1), pad)

        estimates[name] = plane("value"), plane("has_value")
        if rules.estimation.intervals:
            names = (entry.name for entry in fields(IntervalPlanes))
            intervals[name] = IntervalPlanes(*(plane(f"interval.{entry}") for entry in names))
    return CutGaps(
        gaps,
        np.concatenate([before[0], *truth, after[0]], axis=1),
        np.concatenate([before[1], *usable, after[1]], axis=1),
        np.pad(np.concatenate(cuts, axis=1), pad),
        estimates,
        intervals,
    )


def _estimates(window: _DayWindow, cut_days: Mapping[date, _CutDay], rules: DayRules) -> list[CleanGrid]:
    """Return what the cascade makes of the cut days under an edition."""
    shards = CleanShards(_Under(window.snapshot, rules), _CutDays(window.days, cut_days))
    grids = []
    for day in window.days_cut:
        [(_, _, cleaned)] = shards.estimate(day, window.shard).grids
        grids.append(cleaned.grid)
    return grids


def _without(grid: ValidatedGrid, rows: Int64Array, cut: BoolArray) -> ValidatedGrid:
    """Return some rows of a grid without the slots that are cut, as if they had never been delivered."""
    return replace(
        grid,
        series=np.arange(len(rows), dtype=np.int32),
        delivered=np.where(cut, 0, grid.delivered[rows]),
        has_value=grid.has_value[rows] & ~cut,
        source_status=np.where(cut, 0, grid.source_status[rows]).astype(grid.source_status.dtype),
        version=np.where(cut, 0, grid.version[rows]).astype(grid.version.dtype),
        flags=np.where(cut, np.int32(Flag.GAP), grid.flags[rows]),
        received_at=np.where(cut, 0, grid.received_at[rows]),
    )
