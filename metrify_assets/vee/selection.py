"""Selection: which deliveries a slot is made of, one of its own interval or the sum of finer ones.

Belongs here: the order of the steps, and the bounds within which a value can be at all. Does not belong here: the slot
of a delivery (``placement.py``), the order of versions (``versions.py``), sums (``aggregation.py``), what people are
told of it (``roles.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from metrify_assets.vee import rules as rule
from metrify_assets.vee.aggregation import FinerValues, add_up
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.codes import Severity, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import Deliveries, SeriesTable
from metrify_assets.vee.placement import Placement, place
from metrify_assets.vee.rulebook import DayRules, severity_of
from metrify_assets.vee.versions import NOTHING, Chosen, choose_versions


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of finer deliveries of one length.

    Attributes
    ----------
    rows : int array, shape (N,)
        The deliveries of that length.
    values : FinerValues
        Of those deliveries.
    used : bool array, shape (C,)
        Which sums fill a slot that neither a delivery of its own interval nor longer parts fill.
    """

    rows: np.ndarray
    values: FinerValues
    used: np.ndarray


@dataclass(frozen=True, eq=False)
class Selected:
    """The deliveries that the slots of one resolution are made of.

    Attributes
    ----------
    placement : Placement
    chosen : Chosen
        Of the deliveries of the expected interval, one cell per slot.
    sums : list of Sums
        Of finer deliveries, the longest parts first.
    """

    placement: Placement
    chosen: Chosen
    sums: list[Sums]


class Selector:
    """Selection for the series with one expected interval.

    Parameters
    ----------
    day : DeliveryDay
    series : SeriesTable
    minutes : int
        Expected interval.
    rules : DayRules
    feed_of_series : object array of str or None, shape (P,), optional
        As ``feed_of_series`` returns it; needed where rules differ by feed.

    Attributes
    ----------
    members : int array, shape (M,)
        Rows of the series table with that interval: rows of the grid.
    shape : tuple of int
        M x S.
    row_of_series : int array, shape (P + 1,)
        Grid row of each series, -1 for others; the last entry is where the index -1 of an unassigned delivery leads.
    groups : list of (RuleSet, rows)
        Distinct rule sets and the grid rows that each is for.
    """

    def __init__(
        self,
        day: DeliveryDay,
        series: SeriesTable,
        minutes: int,
        rules: DayRules,
        feed_of_series: np.ndarray | None,
    ) -> None:
        self.day, self.series, self.minutes, self.rules = day, series, minutes, rules
        self.members = np.flatnonzero(series.interval_minutes == minutes)
        self.shape = (len(self.members), day.slots(minutes))
        self.row_of_series = np.full(len(series) + 1, -1)
        self.row_of_series[self.members] = np.arange(len(self.members))
        feed = None if feed_of_series is None else feed_of_series[self.members]
        self.groups = rules.groups(series.point_class[self.members], feed)

    @property
    def tolerance_seconds(self) -> int:
        """How far a stamp may be off its slot."""
        return self.rules.rules.clock_tolerance_seconds

    def select(self, intervals: Deliveries) -> Selected:
        """Return what each slot is made of; ``intervals`` are rows in a right unit, of any series.

        Raises
        ------
        ValueError
            If two competing deliveries have the same ``order``.
        """
        placement = place(self.day, self.minutes, self.row_of_series, intervals, self.tolerance_seconds)
        cells = self.shape[0] * self.shape[1]
        chosen = choose_versions(intervals, placement.rows, placement.cells, cells, self.possible)
        filled = chosen.row != NOTHING
        sums = []
        for length in np.unique(intervals.minutes[placement.finer])[::-1].tolist():
            rows = placement.finer[intervals.minutes[placement.finer] == length]
            finer = add_up(
                self.day,
                self.minutes,
                self.row_of_series,
                intervals.take(rows),
                length,
                self.tolerance_seconds,
                # What is more than a slot may hold is no part of it either.
                self.possible,
            )
            used = ~filled[finer.cell]
            filled[finer.cell[used]] = True
            sums.append(Sums(rows, finer, used))
        return Selected(placement, chosen, sums)

    def possible(self, deliveries: Deliveries) -> BoolArray:
        """Return which deliveries hold a value that no rule on single values refuses: bool, shape (N,)."""
        lowest, highest = self.bounds
        row = self.row_of_series[deliveries.series]
        possible: BoolArray = (deliveries.value >= lowest[row]) & (deliveries.value <= highest[row])
        return possible

    @cached_property
    def bounds(self) -> tuple[Int64Array, Int64Array]:
        """Smallest and largest value of each row that is not refused by itself, micro-kWh."""
        highest = np.full(len(self.members), np.iinfo(np.int64).max)
        lowest = -highest
        for rules, rows in self.groups:
            members = self.members[rows]
            if severity_of("physical_limit", rules) is Severity.BLOCK:
                highest[rows] = rule.most_in_slot(self.series.limit_kw[members], self.minutes, rules)
                lowest[rows] = -highest[rows]
            if severity_of("negative", rules) is Severity.BLOCK:
                lowest[rows] = np.where(self.series.one_direction[members], 0, lowest[rows])
        return lowest, highest


def with_checked_units(deliveries: Deliveries, rules: DayRules) -> Deliveries:
    """Return deliveries of which none is in a wrong unit if the rules do not ask for units."""
    if severity_of("unit_mismatch", rules.rules) is not Severity.OFF:
        return deliveries
    return replace(deliveries, wrong_unit=np.zeros(len(deliveries), dtype=bool))


def feed_of_series(
    series: SeriesTable, deliveries: Deliveries, rules: DayRules, feeds: tuple[str, ...]
) -> np.ndarray | None:
    """Return the feed of the latest delivery of every series, None without any; object array, shape (P,).

    Edits count for nothing: one of them must not change the rules for the rest of the day. None where the rules do not
    differ by feed.

    Parameters
    ----------
    series : SeriesTable
    deliveries : Deliveries
        With checked units, of any kind.
    rules : DayRules
    feeds : tuple of str
        Names of the feeds that ``deliveries.feed`` numbers.
    """
    if not rules.asks_for_feeds:
        return None
    latest = np.full(len(series) + 1, -1, dtype=np.int64)
    deliveries = deliveries.take(~deliveries.wrong_unit & (deliveries.source_status != SourceStatus.EDITED))
    position = np.lexsort((deliveries.order, deliveries.received_at))
    # Of several writes to one place the last stays: rows are taken in the order of arrival.
    latest[deliveries.series[position]] = deliveries.feed[position]
    names = np.array([*feeds, None], dtype=object)
    return names[latest[:-1]]
