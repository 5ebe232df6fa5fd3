"""The delivery days of a table, worked out in memory by what computes them on the platform (``days/``)."""

from __future__ import annotations

from collections.abc import Set
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.days.in_memory import DaysInMemory
from metrify_assets.days.raw import RawRows, SeriesRows, deliveries_of
from metrify_assets.explain.basis import PointDays, narrowed
from metrify_assets.library.delivered import FEED
from metrify_assets.registry.points import Registry
from metrify_assets.vee.delivery_day import day_number, days_between
from metrify_assets.vee.grid import SeriesTable
from metrify_assets.vee.rulebook import RuleBook

SHARD = 0
"""There is one shard: all points are in it."""


class TableDays(DaysInMemory):
    """Days of a table, from its first to its last, those without any value in between included.

    Parameters
    ----------
    raw : pyarrow.Table
        Rows of ``raw_readings``.
    registry : Registry
    rule_book : RuleBook
    first, last : date
    """

    def __init__(self, raw: pa.Table, registry: Registry, rule_book: RuleBook, first: date, last: date):
        super().__init__(rule_book)
        self._registry = registry
        self.days = days_between(first, last)
        self._set = frozenset(self.days)
        numbers = raw["day"].cast(pa.int32()).to_numpy()
        # Rows of a day stay in their order, and lie together.
        order = np.argsort(numbers, kind="stable")
        self._raw = raw.take(pa.array(order)).combine_chunks()
        self._bounds = np.searchsorted(numbers[order], np.arange(day_number(first), day_number(last) + 2))

    @property
    def registry(self) -> Registry:
        """The registry of the table."""
        return self._registry

    def delivered_days(self) -> Set[date]:
        """Return the days of the table."""
        return self._set

    def rows_of(self, day: date) -> pa.Table:
        """Return the rows of a day; none of a day beyond the table."""
        if day not in self._set:
            return self._raw.slice(0, 0)
        place = (day - self.days[0]).days
        return self._raw.slice(self._bounds[place], self._bounds[place + 1] - self._bounds[place])

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the rows of a day as the validation takes them."""
        deliveries = deliveries_of(self.rows_of(day), SeriesRows(series), 0, 0, set())
        return RawRows(deliveries, (), (FEED,), ())


class TablePoint(PointDays, TableDays):
    """Days of one point of a table.

    Parameters
    ----------
    raw, registry, rule_book, first, last
        As ``TableDays`` takes them, of all points.
    point : str
    """

    def __init__(self, raw: pa.Table, registry: Registry, rule_book: RuleBook, first: date, last: date, point: str):
        super().__init__(raw.filter(pc.equal(raw["point_id"], point)), registry, rule_book, first, last)
        self.point, self.shard = point, SHARD

    @property
    def whole_registry(self) -> Registry:
        """The registry of all points."""
        return self._registry

    @cached_property
    def registry(self) -> Registry:
        """The registry of the point."""
        return narrowed(self._registry, self.point)
