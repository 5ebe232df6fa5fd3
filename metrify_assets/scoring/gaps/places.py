"""Where gaps are cut: their places, their lengths, and drawing them at random among measured slots.

Belongs here: the choice of slots. Does not belong here: estimating them (``cascade.py``) and reading series
(``series.py``, ``lake.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay


class Place(StrEnum):
    """Where a gap lies."""

    INSIDE = "inside a day"
    HEAD = "head of a day"
    TAIL = "tail of a day"
    MIDNIGHT = "over midnight"
    SEVERAL_DAYS = "several days"
    WHOLE_DAY = "whole day"
    CLOCK_CHANGE = "clock change"


@dataclass(frozen=True)
class Cell:
    """A place and a length.

    Attributes
    ----------
    place : Place
    hours : int
        Of a whole day 24, though one with a clock change has 23 or 25.
    """

    place: Place
    hours: int


CELLS = (
    *(Cell(Place.INSIDE, hours) for hours in (3, 5, 8, 16)),
    *(Cell(place, hours) for place in (Place.HEAD, Place.TAIL) for hours in (5, 16)),
    *(Cell(Place.MIDNIGHT, hours) for hours in (3, 5, 8, 16)),
    Cell(Place.WHOLE_DAY, 24),
    *(Cell(Place.SEVERAL_DAYS, hours) for hours in (48, 72)),
    *(Cell(Place.CLOCK_CHANGE, hours) for hours in (5, 8)),
)
"""What is tried. Gaps up to two hours are a straight line by default, so there is nothing to compare."""
STARTS_OF_A_DAY = 4
"""A series' day is taken so often at most in a cell, with another start each time."""


@dataclass(frozen=True)
class Gap:
    """Slots of one series that are taken away.

    Attributes
    ----------
    key : (str, str)
        Point and channel.
    minutes : int
        Length of a slot.
    parts : tuple of (date, int, int)
        Delivery days, and the first and the end slot of the gap on each, ascending.
    """

    key: tuple[str, str]
    minutes: int
    parts: tuple[tuple[date, int, int], ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The days that the gap lies on."""
        return tuple(day for day, _, _ in self.parts)


class Axis:
    """Consecutive delivery days as one row of slots.

    Parameters
    ----------
    days : sequence of date
        Without a break.
    zone : str
    minutes : int
    """

    def __init__(self, days: Sequence[date], zone: str, minutes: int):
        self.days, self.minutes = tuple(days), minutes
        self._windows = [DeliveryDay(day, zone) for day in days]
        lengths = [window.slots(minutes) for window in self._windows]
        self.first: Int64Array = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        """Slot that each day begins with, and the end of the last; shape (days + 1,)."""

    @cached_property
    def change(self) -> dict[int, int]:
        """Slot after the change of the clocks, by the number of the day that has one."""
        slots: dict[int, int] = {}
        for number, window in enumerate(self._windows):
            if window.minutes != 1_440:
                steps = np.flatnonzero(np.diff(window.local_minutes(self.minutes)) != self.minutes)
                if len(steps):
                    slots[number] = int(steps[0]) + 1
        return slots

    def parts(self, start: int, end: int) -> tuple[tuple[date, int, int], ...]:
        """Return the slots from ``start`` to ``end`` by day."""
        first, last = (int(np.searchsorted(self.first, slot, side="right")) - 1 for slot in (start, end - 1))
        return tuple(
            (
                self.days[number],
                max(start - int(self.first[number]), 0),
                min(end, int(self.first[number + 1])) - int(self.first[number]),
            )
            for number in range(first, last + 1)
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """Which slots of a series are measured.

    Attributes
    ----------
    key : (str, str)
    axis : Axis
    measured : bool array, shape (T,)
        By the slots of the axis.
    """

    key: tuple[str, str]
    axis: Axis
    measured: BoolArray

    @cached_property
    def _absent(self) -> Int64Array:
        """Slots before each one that are not measured; shape (T + 1,)."""
        return np.concatenate([[0], np.cumsum(~self.measured)]).astype(np.int64)

    def surrounded(self, start: int, end: int) -> bool:
        """Return whether slots and both beside them are measured; nothing is beside the ends of the axis."""
        return start > 0 and end < len(self.measured) and bool(self._absent[end + 1] == self._absent[start - 1])


def starts(place: Place, axis: Axis, day: int, length: int) -> tuple[int, int] | None:
    """Return the first and the last slot that a gap of a length may begin at, counted on the axis.

    Parameters
    ----------
    place : Place
    axis : Axis
    day : int
        Number of the day that the gap begins on.
    length : int
        Slots; of no meaning for a whole day.

    Returns
    -------
    (int, int), or None where no such gap has room.
    """
    first, end = int(axis.first[day]), int(axis.first[day + 1])
    if place is Place.WHOLE_DAY:
        return first, first
    if place is Place.SEVERAL_DAYS:
        return first, end - 1
    if place is Place.MIDNIGHT:
        return (end - length + 1, end - 1) if 1 < length <= end - first else None
    if place is Place.HEAD:
        low = high = first
    elif place is Place.TAIL:
        low = high = end - length
    else:
        low, high = first + 1, end - length - 1
        if place is Place.CLOCK_CHANGE:
            if day not in axis.change:
                return None
            change = first + axis.change[day]
            low, high = max(low, change - length + 1), min(high, change - 1)
    return (low, high) if first <= low <= high and high + length <= end else None


def draw_gaps(series: Sequence[Measured], days: Sequence[date], cell: Cell, most: int, seed: int) -> list[Gap]:
    """Return gaps of one place and length, drawn at random from a seed, no two of them equal.

    Parameters
    ----------
    series : sequence of Measured
    days : sequence of date
        Days that gaps may lie on.
    cell : Cell
    most : int
        So many at most; fewer where there is no room for more.
    seed : int

    Notes
    -----
    Every slot of a gap is measured, and so are both beside it: beside a real gap it would be longer than it says.
    """
    random = np.random.default_rng([seed, list(Place).index(cell.place), cell.hours])
    allowed = frozenset(days)
    pairs = [(each, number) for each in series for number, day in enumerate(each.axis.days) if day in allowed]
    gaps: dict[Gap, None] = {}
    rounds = 1 if cell.place in (Place.HEAD, Place.TAIL, Place.WHOLE_DAY) else STARTS_OF_A_DAY
    for _ in range(rounds):
        for place in random.permutation(len(pairs)).tolist():
            if len(gaps) >= most:
                return list(gaps)
            each, number = pairs[place]
            gap = _gap(each, number, cell, random)
            if gap is not None and allowed.issuperset(gap.days):
                gaps[gap] = None
    return list(gaps)


def _gap(series: Measured, day: int, cell: Cell, random: np.random.Generator) -> Gap | None:
    axis = series.axis
    whole = int(axis.first[day + 1] - axis.first[day])
    length = whole if cell.place is Place.WHOLE_DAY else cell.hours * 60 // axis.minutes
    room = starts(cell.place, axis, day, length)
    if room is None:
        return None
    start = int(random.integers(room[0], room[1] + 1))
    if not series.surrounded(start, start + length):
        return None
    return Gap(series.key, axis.minutes, axis.parts(start, start + length))
