"""Where gaps are cut: validated days, the series that are taken of them, and which of their slots are measured.

Belongs here: choosing series. Does not belong here: where days come from (``series.py``, ``lake.py``), choosing slots
(``places.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.days.days import Days, Keys
from metrify_assets.days.validated import Snapshot
from metrify_assets.registry.points import Key
from metrify_assets.scoring.gaps.places import Axis, Measured
from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.clean import is_import
from metrify_assets.vee.delivery_day import days_between
from metrify_assets.vee.grid import CHECK_REGISTER, ValidatedGrid, is_one_direction

SERIES_OF_A_GROUP = 100
"""So many series of a class and direction are taken at most; shards are drawn by hash, so any of them is a sample."""
HOUR = 60
"""Slots that do not divide an hour do not divide days of 23 and 25 hours: such series are left out."""


@dataclass(frozen=True, order=True)
class Group:
    """Series that are judged together.

    Attributes
    ----------
    point_class : str
        Of the registry; empty where it has none.
    direction : str
        "import", "export", or "other" for what does not count in one direction.
    """

    point_class: str
    direction: str

    @classmethod
    def of(cls, point_class: str | None, obis_code: str) -> Group:
        """Return the group of a series."""
        if not is_one_direction(obis_code):
            return cls(point_class or "", "other")
        return cls(point_class or "", "import" if is_import(obis_code) else "export")


@dataclass(frozen=True, eq=False)
class MeasuredDays:
    """Validated days, and what of them may be cut.

    Attributes
    ----------
    snapshot : Snapshot
    days : Days
    shards : int
    first, last : date
        Days that gaps may lie on; the days before are the history.
    measured : callable
        Returns which slots of a day's grid were measured, bool, shape (P, S): day, shard, keys of the rows, grid.
    """

    snapshot: Snapshot
    days: Days
    shards: int
    first: date
    last: date
    measured: Callable[[date, int, Keys, ValidatedGrid], BoolArray]

    @property
    def span(self) -> list[date]:
        """The days that gaps may lie on."""
        return days_between(self.first, self.last)


Members = Mapping[int, Mapping[Group, list[tuple[Key, int]]]]
"""Series, each with the length of its slots, by shard and group."""


def choose_series(source: MeasuredDays, seed: int) -> Members:
    """Return the series that gaps are cut into, drawn from a seed: of as few shards as give enough of each group."""
    registered = [_registered(source, shard) for shard in range(source.shards)]
    missing: dict[Group, int] = {group: SERIES_OF_A_GROUP for groups in registered for group in groups}
    random = np.random.default_rng(seed)
    chosen: dict[int, dict[Group, list[tuple[Key, int]]]] = {}
    for shard, groups in enumerate(registered):
        for group, series in sorted(groups.items()):
            order = random.permutation(len(series)).tolist()[: missing[group]]
            if order:
                chosen.setdefault(shard, {})[group] = [series[place] for place in sorted(order)]
                missing[group] -= len(order)
    return chosen


def _registered(source: MeasuredDays, shard: int) -> dict[Group, list[tuple[Key, int]]]:
    """Return the series with slots that the registry has in a shard on one of the days, in their order."""
    groups: dict[Group, dict[tuple[Key, int], None]] = defaultdict(dict)
    before = None
    for day in source.span:
        series = source.snapshot.registry.series(day, shard)
        if series is before:
            continue
        before = series
        columns = (series.point_id, series.obis_code, series.interval_minutes, series.point_class)
        for point, code, minutes, point_class in zip(*(column.tolist() for column in columns), strict=True):
            if minutes != CHECK_REGISTER and HOUR % minutes == 0:
                groups[Group.of(point_class, code)][(point, code), minutes] = None
    return {group: list(series) for group, series in groups.items()}


def measured_series(source: MeasuredDays, shard: int, series: Sequence[tuple[Key, int]]) -> list[Measured]:
    """Return which slots of some series of a shard are measured, those of the day before and after included."""
    one = timedelta(days=1)
    days = days_between(source.first - one, source.last + one)
    axes = {minutes: Axis(days, source.snapshot.registry.zone, minutes) for minutes in {m for _, m in series}}
    planes = {each: np.zeros(axes[each[1]].first[-1], dtype=bool) for each in series}
    for number, day in enumerate(days):
        for keys, grid in source.days.grids(day, shard):
            minutes = grid.interval_minutes
            if minutes not in axes:
                continue
            first, end = axes[minutes].first[number : number + 2]
            measured = source.measured(day, shard, keys, grid)
            for row, key in enumerate(keys):
                if (key, minutes) in planes:
                    planes[key, minutes][first:end] = measured[row]
    return [Measured(key, axes[minutes], planes[key, minutes]) for key, minutes in series]
