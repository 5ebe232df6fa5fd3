"""What a delivery covers: its span, its whole days, its gaps. For a look at a file before it is delivered.

Belongs here: counting slots per series and day while batches pass, in bounded memory. Does not belong here: slots that
come more than once (``contradictions.py``), and what is expected of a registered point (``vee/``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.model import FeedKind, MeasuredFeed
from metrify_assets.feeds.rows.contradictions import Series, series_and_starts
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_from_number, day_numbers

MOST_CELLS = 4_000_000
"""Most slots that are held, of as many series as that allows: 12 bytes each."""
LONGEST_GAPS = 5


@dataclass(frozen=True)
class Gap:
    """Slots that a series lacks between two that it has.

    Attributes
    ----------
    series : Series
    start, end : int
        UTC microseconds.
    slots : int
    """

    series: Series
    start: int
    end: int
    slots: int


@dataclass
class Coverage:
    """What was found.

    Attributes
    ----------
    first, end : int or None
        First start and last end of all slots (of register reads: the instants), UTC microseconds.
    series, series_looked_at : int
        Series of the file, and those of which days and gaps are listed.
    whole_days : Counter of int
        Days of series that have every slot, by their number of slots: of quarter hours 92, 96 or 100.
    days_in_part : int
        Days of series that lack a slot.
    gaps : list of Gap
        The longest ones, longest first.
    missing_slots : int
        Slots of all gaps.
    broken_changes : list of date
        Days on which the clocks change that lack a slot although the days beside them are whole.
    """

    first: int | None = None
    end: int | None = None
    series: int = 0
    series_looked_at: int = 0
    whole_days: Counter[int] = field(default_factory=Counter)
    days_in_part: int = 0
    gaps: list[Gap] = field(default_factory=list)
    missing_slots: int = 0
    broken_changes: list[date] = field(default_factory=list)


class CoverageWatch:
    """Watches the batches of one delivery.

    Parameters
    ----------
    feed : MeasuredFeed
    zone : str
        Zone of the delivery day.
    """

    def __init__(self, feed: MeasuredFeed, zone: str) -> None:
        self._feed = feed
        self._zone = zone
        self._numbers: dict[Series, int] = {}
        self._minutes: list[int] = []
        self._looked_at: int | None = None
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._cells = 0
        self._coverage = Coverage()

    def add(self, rows: pa.Table) -> None:
        """Take the raw rows of the next batch."""
        if not rows.num_rows:
            return
        names, series, start = series_and_starts(self._feed.kind, rows)
        minutes = self._lengths(rows)
        of_series = np.zeros(len(names), dtype=np.int64)
        of_series[series] = minutes
        numbers = [self._number(name) for name in names]
        for number, length in zip(numbers, of_series.tolist(), strict=True):
            self._minutes[number] = length
        coverage = self._coverage
        end = int((start + minutes * MICROSECONDS_PER_MINUTE).max())
        coverage.first = min(int(start.min()), coverage.first if coverage.first is not None else int(start.min()))
        coverage.end = max(end, coverage.end if coverage.end is not None else end)
        self._hold(np.array(numbers, dtype=np.int32)[series], start)

    def finish(self) -> Coverage:
        """Return the coverage of the whole delivery."""
        coverage = self._coverage
        coverage.series = len(self._numbers)
        coverage.series_looked_at = coverage.series if self._looked_at is None else self._looked_at
        changes: set[date] = set()
        for name, minutes, starts in self._series():
            self._add_days(minutes, starts, changes)
            self._add_gaps(name, minutes, starts)
        coverage.broken_changes = sorted(changes)
        return coverage

    def _number(self, name: Series) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            self._minutes.append(0)
        return self._numbers[name]

    def _lengths(self, rows: pa.Table) -> np.ndarray:
        """Return the minutes of every row's slot; int64, shape (n,).

        0 for a register read, which has no length, and for weather whose rows differ: its table has no lengths.
        """
        if self._feed.kind is FeedKind.WEATHER:
            return np.full(rows.num_rows, self._feed.constant_minutes or 0, dtype=np.int64)
        name = "resolution_minutes" if self._feed.kind is FeedKind.GRID_STATUS else "interval_minutes"
        minutes: np.ndarray = rows[name].to_numpy().astype(np.int64)
        if self._feed.kind is FeedKind.READINGS:
            registers = np.array(rows["kind"].cast(pa.string()).to_numpy(zero_copy_only=False) == "register")
            minutes = np.where(registers, 0, minutes)
        return minutes

    def _hold(self, number: np.ndarray, start: np.ndarray) -> None:
        """Hold the slots of the series that are looked at; look at fewer where they are too many."""
        self._held.append(self._chosen(number, start))
        self._cells += len(self._held[-1][0])
        while self._cells > MOST_CELLS and self._looked_at != 1:
            self._looked_at = max(1, (self._looked_at or len(self._numbers)) // 2)
            self._held = [self._chosen(*piece) for piece in self._held]
            self._cells = sum(len(piece[0]) for piece in self._held)

    def _chosen(self, number: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._looked_at is None:
            return number, start
        chosen = number < self._looked_at
        return number[chosen], start[chosen]

    def _series(self) -> Iterator[tuple[Series, int, np.ndarray]]:
        """Yield name, minutes and the distinct starts of each series of intervals that is looked at."""
        if not self._held:
            return
        number, start = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
        order = np.lexsort((start, number))
        number, start = number[order], start[order]
        edges = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
        names = list(self._numbers)
        for begin, end in zip(edges, [*edges[1:], len(number)], strict=True):
            minutes = self._minutes[number[begin]]
            if minutes:
                yield names[number[begin]], minutes, np.unique(start[begin:end])

    def _add_days(self, minutes: int, starts: np.ndarray, changes: set[date]) -> None:
        numbers, counts = np.unique(day_numbers(starts, self._zone), return_counts=True)
        whole: dict[int, bool] = {}
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            length = DeliveryDay(day_from_number(number), self._zone).minutes
            whole[number] = length % minutes == 0 and count >= length // minutes
            if whole[number]:
                self._coverage.whole_days[count] += 1
            else:
                self._coverage.days_in_part += 1
        for number, is_whole in whole.items():
            day = DeliveryDay(day_from_number(number), self._zone)
            if not is_whole and day.minutes != 1_440 and whole.get(number - 1) and whole.get(number + 1):
                changes.add(day.day)

    def _add_gaps(self, name: Series, minutes: int, starts: np.ndarray) -> None:
        step = minutes * MICROSECONDS_PER_MINUTE
        missing = np.diff(starts) // step - 1
        self._coverage.missing_slots += int(missing[missing > 0].sum())
        longest = [place for place in np.argsort(-missing, kind="stable")[:LONGEST_GAPS].tolist() if missing[place] > 0]
        gaps = [Gap(name, int(starts[i]) + step, int(starts[i + 1]), int(missing[i])) for i in longest]
        both = sorted([*self._coverage.gaps, *gaps], key=lambda gap: gap.start - gap.end)
        self._coverage.gaps = both[:LONGEST_GAPS]
