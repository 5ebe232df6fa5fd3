"""A load series as a grid: local days by local slots, and what of it was known at an instant.

Belongs here: the way between instants and local slots. Does not belong here: what is made of the values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.arrays import Float64Array, Int64Array
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_number, to_local

MINUTES_PER_DAY = 1_440


@dataclass(frozen=True, eq=False)
class LoadSeries:
    """Values of a series by local day and local slot.

    A slot of the repeated hour in October is the mean of both passes. A slot that the clocks skip in March has no
    value of its own: ``values`` is missing there, and ``lagged`` has the line between its neighbours, because days
    around it look back at that slot.

    Attributes
    ----------
    name : str
    zone : str
    minutes : int
        Length of a slot.
    first : date
        Local day of the first row.
    values : float array, shape (days, slots)
        Missing is NaN.
    received_at : int64 array, shape (days, slots)
        UTC microseconds at which the value arrived; 0 where that is not recorded.
    """

    name: str
    zone: str
    minutes: int
    first: date
    values: Float64Array
    received_at: Int64Array

    @classmethod
    def of(
        cls,
        name: str,
        starts: Int64Array,
        values: Float64Array,
        *,
        minutes: int,
        zone: str = "Europe/Berlin",
        received_at: Int64Array | None = None,
        days: tuple[date, date] | None = None,
    ) -> LoadSeries:
        """Return the series of values at instants.

        Parameters
        ----------
        name : str
        starts : int64 array, shape (n,)
            Start of each interval, UTC microseconds, distinct.
        values : float array, shape (n,)
        minutes : int
            Length of an interval; it divides an hour.
        zone : str
        received_at : int64 array, shape (n,), optional
            UTC microseconds.
        days : (date, date), optional
            First and last row; else those of the first and the last instant.

        Raises
        ------
        ValueError
            If an interval does not divide an hour, or there is neither a value nor ``days``.
        """
        if minutes <= 0 or 60 % minutes:
            raise ValueError(f"{name}: an interval of {minutes} minutes does not divide an hour")
        if days is None and len(starts) == 0:
            raise ValueError(f"{name}: there is no value")
        local = to_local(starts, zone) // MICROSECONDS_PER_MINUTE
        number = local // MINUTES_PER_DAY
        first, last = (day_number(day) for day in days) if days else (int(number.min()), int(number.max()))
        slots = MINUTES_PER_DAY // minutes
        cell = (number - first) * slots + (local % MINUTES_PER_DAY) // minutes
        size = (last - first + 1) * slots
        inside = (number >= first) & (number <= last) & np.isfinite(values)
        count = np.bincount(cell[inside], minlength=size)
        total = np.bincount(cell[inside], weights=values[inside], minlength=size)
        arrived = np.zeros(size, dtype=np.int64)
        if received_at is not None:
            np.maximum.at(arrived, cell[inside], received_at[inside])
        mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
        # Of an hour that comes twice, one pass alone is not its mean.
        start = date(1970, 1, 1) + timedelta(days=first)
        grid = mean.reshape(-1, slots)
        passes = count.reshape(-1, slots)
        for row in range(len(grid)):
            day = DeliveryDay(start + timedelta(days=row), zone)
            if day.minutes > MINUTES_PER_DAY:
                expected = np.bincount(day.local_minutes(minutes) // minutes, minlength=slots)
                grid[row, passes[row] < expected] = np.nan
        return cls(name, zone, minutes, start, grid, arrived.reshape(-1, slots))

    @property
    def slots(self) -> int:
        """Local slots of a day."""
        return MINUTES_PER_DAY // self.minutes

    @property
    def days(self) -> list[date]:
        """The local day of each row."""
        return [self.first + timedelta(days=row) for row in range(len(self.values))]

    def row(self, day: date) -> int:
        """Return the row of a day; it may lie outside of the series."""
        return (day - self.first).days

    def received_by(self, instant: int) -> LoadSeries:
        """Return the series with the values that had arrived by an instant (UTC microseconds); others are missing."""
        return replace(self, values=np.where(self.received_at <= instant, self.values, np.nan))

    def lagged(self) -> Float64Array:
        """Return the values for looking back: a slot skipped in March has the line between its neighbours."""
        values = self.values.copy()
        for row, day in enumerate(self.days):
            skipped = skipped_slots(day, self.minutes, self.zone)
            if len(skipped) == 0:
                continue
            before, after = skipped[0] - 1, skipped[-1] + 1
            line = np.interp(skipped, [before, after], values[row, [before, after]])
            values[row, skipped] = line
        return values


def skipped_slots(day: date, minutes: int, zone: str) -> Int64Array:
    """Return the local slots that a day does not have, int64; none but on the day when the clocks go forward."""
    of_day = DeliveryDay(day, zone)
    if of_day.minutes >= MINUTES_PER_DAY:
        return np.empty(0, dtype=np.int64)
    return np.setdiff1d(np.arange(MINUTES_PER_DAY // minutes), of_day.local_minutes(minutes) // minutes)


def local_slots(day: date, minutes: int, zone: str) -> tuple[Int64Array, Int64Array]:
    """Return the UTC start of every interval of a day, int64 microseconds, and its local slot; 23 to 25 hours."""
    of_day = DeliveryDay(day, zone)
    return of_day.slot_starts(minutes), of_day.local_minutes(minutes) // minutes


def instant_of(day: date, minute: int, zone: str) -> int:
    """Return the UTC microseconds of a local minute of a day; it is one that the clocks neither skip nor repeat."""
    return DeliveryDay(day, zone).end - (MINUTES_PER_DAY - minute) * MICROSECONDS_PER_MINUTE
