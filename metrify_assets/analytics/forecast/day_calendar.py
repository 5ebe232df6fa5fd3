"""What is certain of a day before it comes: its kind, its holidays, the height of the sun.

Belongs here: the calendar as arrays, of days to come too. Does not belong here: which share of an area has a holiday
(``reference/control_areas.py``), and values of any series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from metrify_assets.analytics.forecast.series import MINUTES_PER_DAY
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

MONDAY, MIDWEEK, FRIDAY, SATURDAY, SUNDAY = range(5)
"""Types of days whose load has one shape."""

LEAST_SHARE = 0.5
"""Share of the people with a holiday from which a day is a Sunday; below, a working day with fewer people at work."""

FEW = 0.1
"""Share of the people up to which a holiday, or less work, leaves a day as it is."""

EVE = 0.7
BETWEEN_THE_YEARS = 0.4
AFTER_NEW_YEAR = 0.3
BRIDGE = 0.35
PRE_CHRISTMAS = {17: 0.25, 18: 0.35, 19: 0.45, 20: 0.6, 21: 0.75, 22: 0.9, 23: 1.0}
"""By how much work is less on special working days: 0 as usual, 1 as on a Sunday. Chosen on 2018."""

SOLSTICE_TILT_DEG = 23.44
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class DayCalendar:
    """The calendar of consecutive days.

    Attributes
    ----------
    first : date
    weekday : int64 array, shape (days,)
        0 (Monday) to 6.
    holiday : float array, shape (days,)
        Share of the people that have a public holiday.
    work : float array, shape (days,)
        Share of the people for whom it is a working day: 0 at weekends.
    kind : int64 array, shape (days,)
        ``MONDAY`` ... ``SUNDAY``.
    reduced : float array, shape (days,)
        By how much work is less on bridge days and around Christmas, 0 to 1.
    pre_christmas : float array, shape (days,)
        How near Christmas is on a working day before it, 0 to 1.
    before, after : float array, shape (days,)
        Share of the people for whom the next day, or the day before, is a holiday; on working days.
    angle : float array, shape (days,)
        Season: 2 pi times the day of the year.
    sun : float array, shape (days, slots)
        Sine of the height of the sun in the middle of the local slot.
    """

    first: date
    weekday: Int64Array
    holiday: Float64Array
    work: Float64Array
    kind: Int64Array
    reduced: Float64Array
    pre_christmas: Float64Array
    before: Float64Array
    after: Float64Array
    angle: Float64Array
    sun: Float64Array

    @classmethod
    def of(
        cls,
        days: Sequence[date],
        holiday_share: Callable[[date], float],
        *,
        latitude: float,
        longitude: float,
        minutes: int,
        zone: str = "Europe/Berlin",
    ) -> DayCalendar:
        """Return the calendar of consecutive days at a place, degrees north and east."""
        around = [days[0] - timedelta(days=1), *days, days[-1] + timedelta(days=1)]
        shares = np.array([holiday_share(day) for day in around])
        holiday, before, after = shares[1:-1], shares[2:], shares[:-2]
        weekday = np.array([day.weekday() for day in days], dtype=np.int64)
        work = (weekday < 5) * (1.0 - holiday)
        special = np.array([_less_work(day) for day in days])
        # A Friday after a holiday, a Monday before one.
        bridge = BRIDGE * np.where(weekday == 4, after, np.where(weekday == 0, before, 0.0))
        is_eve = np.array([day.month == 12 and day.day in (24, 31) for day in days])
        kind = np.select(
            [holiday >= LEAST_SHARE, weekday == 6, weekday == 5, is_eve, weekday == 4, weekday == 0],
            [SUNDAY, SUNDAY, SATURDAY, SATURDAY, FRIDAY, MONDAY],
            MIDWEEK,
        )
        christmas = np.array([PRE_CHRISTMAS.get(day.day, 0.0) if day.month == 12 else 0.0 for day in days])
        year_day = np.array([day.timetuple().tm_yday for day in days], dtype=float)
        return cls(
            first=days[0],
            weekday=weekday,
            holiday=holiday,
            work=work,
            kind=kind.astype(np.int64),
            reduced=work * np.maximum(special, bridge),
            pre_christmas=work * christmas,
            before=before * work * (weekday != 0),
            after=after * work * (weekday != 4),
            angle=2 * np.pi * year_day / DAYS_PER_YEAR,
            sun=_sun_heights(days, year_day, latitude, longitude, minutes, zone),
        )

    @cached_property
    def special(self) -> BoolArray:
        """Days on which many have less work: bridge days, days around Christmas; shape (days,)."""
        return np.asarray(self.reduced > FEW)

    @cached_property
    def ordinary(self) -> BoolArray:
        """Days that are neither special nor a holiday; shape (days,)."""
        return np.asarray(~self.special & (self.holiday <= FEW))

    def row(self, day: date) -> int:
        """Return the row of a day."""
        return (day - self.first).days


def _less_work(day: date) -> float:
    if day.month == 12 and day.day in (24, 31):
        return EVE
    if day.month == 12 and 27 <= day.day <= 30:
        return BETWEEN_THE_YEARS
    if day.month == 1 and 2 <= day.day <= 5:
        return AFTER_NEW_YEAR
    return 0.0


def _sun_heights(
    days: Sequence[date], year_day: Float64Array, latitude: float, longitude: float, minutes: int, zone: str
) -> Float64Array:
    """Return the sine of the sun's height, shape (days, slots).

    References
    ----------
    Duffie, Beckman: Solar Engineering of Thermal Processes, 4th ed., eq. 1.6.5; declination as a cosine of the year.
    The equation of time (at most 16 minutes) is left out.
    """
    noon = np.array([_local_noon(day, zone) for day in days])
    slots = MINUTES_PER_DAY // minutes
    local_hours = (np.arange(slots) + 0.5) * minutes / 60
    # Hours from the sun's noon: the wall clock's hour, less the offset of its noon, plus the longitude.
    hour = local_hours[None, :] - noon[:, None] + longitude / 15
    declination = np.radians(-SOLSTICE_TILT_DEG) * np.cos(2 * np.pi * (year_day + 10) / DAYS_PER_YEAR)
    phi = np.radians(latitude)
    heights: Float64Array = (np.sin(phi) * np.sin(declination))[:, None] + (np.cos(phi) * np.cos(declination))[
        :, None
    ] * np.cos(np.pi * hour / 12)
    return heights


def _local_noon(day: date, zone: str) -> float:
    """Return the wall-clock hour at which it is noon in UTC, by the offset that holds at the end of the day."""
    utc_midnight = (day_number(day) + 1) * 86_400_000_000
    return 12.0 + (utc_midnight - DeliveryDay(day, zone).end) / 3_600_000_000
