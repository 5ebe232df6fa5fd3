"""Standard load profiles (SLP): the typical course of a customer group, scaled to a point's annual forecast.

Belongs here: which day of a profile applies, its dynamisation, and the energy of a slot. Does not belong here: the
tables themselves (``load_profiles/``), how they are read (``reference/load_profiles.py``) and which days are holidays
(``reference/calendar.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from functools import lru_cache

import numpy as np

from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.exact import MOST_PARTS, proportion_half_even
from metrify_assets.vee.units import LARGEST_MICRO_KWH, MICRO_PER_KWH

QUARTER_HOURS = 96
MINUTES_PER_QUARTER_HOUR = 15
SATURDAY, SUNDAY = 5, 6

FACTOR_ONE = 10_000
"""The dynamisation factor 1: factors have four decimal places."""


class DayKind(IntEnum):
    """Kind of day; the second axis of a profile's table."""

    WORKDAY = 0
    SATURDAY = 1
    SUNDAY = 2


class Season(IntEnum):
    """Season of the profiles of 1999; the first axis of their tables."""

    WINTER = 0
    TRANSITION = 1
    SUMMER = 2


SEASON_STARTS = (
    ((3, 21), Season.TRANSITION),
    ((5, 15), Season.SUMMER),
    ((9, 15), Season.TRANSITION),
    ((11, 1), Season.WINTER),
)
"""First month and day of each season, in the order of the year: winter 1 November - 20 March, summer 15 May - 14
September, transition between them."""


class KeyedBy(StrEnum):
    """What the first axis of a profile's table holds."""

    SEASON = "season"
    MONTH = "month"


PERIODS = {
    KeyedBy.SEASON: tuple(season.name.lower() for season in Season),
    KeyedBy.MONTH: tuple(f"{month:02d}" for month in range(1, 13)),
}
"""Names of the periods, in the order of the first axis."""


def day_kind(day: date, holiday: bool) -> DayKind:
    """Return the kind of a day: holidays are Sundays, 24 and 31 December are Saturdays unless they are Sundays.

    References
    ----------
    VDEW (1999), Repräsentative VDEW-Lastprofile, M-28/99; BDEW (2025), Standardlastprofile Strom.
    """
    if holiday or day.weekday() == SUNDAY:
        return DayKind.SUNDAY
    if day.weekday() == SATURDAY or (day.month, day.day) in ((12, 24), (12, 31)):
        return DayKind.SATURDAY
    return DayKind.WORKDAY


def season_of(day: date) -> Season:
    """Return the season of a day (M-28/99)."""
    for start, season in reversed(SEASON_STARTS):
        if (day.month, day.day) >= start:
            return season
    # The year begins in the season in which it ends.
    return SEASON_STARTS[-1][1]


def dynamisation_factor(day: date) -> int:
    """Return the factor that carries a household's profile through the year, in ten-thousandths.

    Notes
    -----
    F(t) = -3.92e-10 t^4 + 3.2e-7 t^3 - 7.02e-5 t^2 + 2.1e-3 t + 1.24 for day t of the year, from 1, rounded to four
    places. Computed in whole numbers; the ties (t = 50, 150, 250, 350) are rounded up, as in commerce. From 31
    December to 1 January the factor steps from 1.2572 (1.2597 in a leap year) to 1.2420.

    References
    ----------
    VDEW (2000), Anwendung der Repräsentativen VDEW-Lastprofile step-by-step, M-05/2000, step 4b.
    """
    t = day.timetuple().tm_yday
    exact = -392 * t**4 + 320_000 * t**3 - 70_200_000 * t**2 + 2_100_000_000 * t + 1_240_000_000_000
    step = 10**12 // FACTOR_ONE
    return (exact + step // 2) // step


@dataclass(frozen=True, eq=False)
class LoadProfile:
    """One standard load profile.

    Attributes
    ----------
    energy : int64 array, shape (periods, 3, 96)
        Energy per period, ``DayKind`` and quarter hour of local wall-clock time, in steps of the published table.
    keyed_by : KeyedBy
        Whether the periods are seasons or months.
    annual_steps : int
        Annual energy to which the table is normalised, in the same steps.
    dynamised : bool
        Whether every day is multiplied by the dynamisation factor.

    Raises
    ------
    ValueError
        If the shape is another, an energy is negative, or the annual energy is not a positive number of steps.
    """

    energy: np.ndarray
    keyed_by: KeyedBy
    annual_steps: int
    dynamised: bool

    def __post_init__(self) -> None:
        shape = (len(PERIODS[self.keyed_by]), len(DayKind), QUARTER_HOURS)
        if self.energy.shape != shape or self.energy.dtype != np.int64:
            raise ValueError(f"the table must be int64 of shape {shape}, not {self.energy.dtype} {self.energy.shape}")
        if (self.energy < 0).any():
            raise ValueError("the table holds a negative energy")
        if self.annual_steps <= 0 or self.annual_parts > MOST_PARTS:
            raise ValueError(f"an annual energy of {self.annual_steps} steps cannot be scaled exactly")

    @property
    def annual_parts(self) -> int:
        """Annual energy in the unit of ``slot_parts``: steps / 10,000 / 15."""
        return self.annual_steps * FACTOR_ONE * MINUTES_PER_QUARTER_HOUR

    def quarter_hours(self, day: date, holiday: bool) -> Int64Array:
        """Return the energy of a day's 96 quarter hours in ten-thousandths of a step; int64, shape (96,)."""
        period = season_of(day) if self.keyed_by is KeyedBy.SEASON else day.month - 1
        factor = dynamisation_factor(day) if self.dynamised else FACTOR_ONE
        energy: Int64Array = self.energy[period, day_kind(day, holiday)] * factor
        return energy

    def slot_parts(self, day: DeliveryDay, interval_minutes: int, holiday: bool) -> Int64Array:
        """Return every slot's share of the annual energy, to be divided by ``annual_parts``; int64, shape (S,).

        Notes
        -----
        The power is constant within a quarter hour; a slot takes its minutes at their local wall-clock times. So the
        repeated hour of autumn takes its profile hour twice, and the hour skipped in spring is not taken.
        """
        minutes = self.quarter_hours(day.day, holiday)[_quarter_hour_of_minutes(day)]
        parts: Int64Array = minutes.reshape(day.slots(interval_minutes), interval_minutes).sum(axis=1)
        return parts


@lru_cache(maxsize=8)
def _quarter_hour_of_minutes(day: DeliveryDay) -> np.ndarray:
    """Return the local quarter hour (0-95) of every minute of a day; int64, shape (minutes,), read-only."""
    quarter_hours = day.local_minutes(1) // MINUTES_PER_QUARTER_HOUR
    quarter_hours.flags.writeable = False
    return quarter_hours


class LoadProfiles(Mapping[str, LoadProfile]):
    """All known profiles by name, such as ``H0`` or ``H25``."""

    def __init__(self, profiles: Mapping[str, LoadProfile]) -> None:
        self._profiles = dict(profiles)
        self.digest = _digest(self._profiles)
        """Changes with any number or property of any profile; 16 hexadecimal digits."""

    def __getitem__(self, name: str) -> LoadProfile:
        return self._profiles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    def estimate(
        self,
        day: DeliveryDay,
        interval_minutes: int,
        profile: np.ndarray,
        annual_kwh: np.ndarray,
        holiday: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Estimate a day of R series by their profiles, scaled to their annual forecasts.

        Parameters
        ----------
        day : DeliveryDay
        interval_minutes : int
        profile : object array of str, shape (R,)
            Name of each series' profile; '' or a name that is not known = no estimate.
        annual_kwh : float64 array, shape (R,)
            Annual forecast, taken to the micro-kWh. NaN, a negative number or more than any energy that the platform
            holds (10^12 kWh) = no estimate.
        holiday : bool array, shape (R,)
            Whether the day is a holiday where the series is.

        Returns
        -------
        value : int64 array, shape (R, S)
            Micro-kWh, each slot rounded half to even; 0 and of no meaning without an estimate.
        has_estimate : bool array, shape (R,)

        Raises
        ------
        ValueError
            If the interval does not divide the day.

        References
        ----------
        As the last method: Austria, ElWG par. 55(2) no. 3. Constant power within a quarter hour: own choice.
        """
        value = np.zeros((len(profile), day.slots(interval_minutes)), dtype=np.int64)
        # Comparisons with NaN are false.
        usable = (annual_kwh >= 0) & (annual_kwh <= LARGEST_MICRO_KWH // MICRO_PER_KWH)
        has_estimate = usable & np.array([name in self for name in profile.tolist()], dtype=bool)
        for name in sorted(set(profile[has_estimate].tolist())):
            for on_holiday in (False, True):
                rows = np.flatnonzero(has_estimate & (profile == name) & (holiday == on_holiday))
                if len(rows) == 0:
                    continue
                load_profile = self[name]
                annual = np.rint(annual_kwh[rows] * MICRO_PER_KWH).astype(np.int64)
                parts = load_profile.slot_parts(day, interval_minutes, on_holiday)
                value[rows] = proportion_half_even(annual[:, None], parts, load_profile.annual_parts)
        return value, has_estimate


def _digest(profiles: Mapping[str, LoadProfile]) -> str:
    content = hashlib.sha256()
    for name, profile in sorted(profiles.items()):
        content.update(f"{name}|{profile.keyed_by}|{profile.annual_steps}|{profile.dynamised}|".encode())
        content.update(np.ascontiguousarray(profile.energy, dtype="<i8").tobytes())
    return content.hexdigest()[:16]
