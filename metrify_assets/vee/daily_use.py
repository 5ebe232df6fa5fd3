"""Rules that look at whole days: use against recent days of the same kind, and days without a single measured value.

Belongs here: rules on a day's totals. Does not belong here: rules within a day (``rules.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.units import MICRO_PER_KWH

LOOKBACK_DAYS = 28
MIN_CHANGES = 7
"""With fewer changes from one complete day to the next, what is usual is not known. Our own choice."""

Totals = Callable[[date, np.ndarray], DayTotals | None]
"""Returns a day's totals of some rows; None if there is no such day."""


@dataclass(frozen=True, eq=False)
class HighLow:
    """Unusual use, and the days that it was compared with, of R rows.

    Attributes
    ----------
    mask : bool array, shape (R,)
    like_days : list of (date, int64 array, bool array)
        The days of the same kind, the nearest first, with the use of each row, micro-kWh, and whether it is in the
        row's mean.
    changes : dict of int to UsualChange
        By place among the R, of rows that are unusual but for it; without an entry it is not known, or not looked at.
    floor : int
        Least distance from the mean, micro-kWh.
    days : frozenset of date
        Every day that was asked for.
    """

    mask: BoolArray
    like_days: list[tuple[date, Int64Array, BoolArray]]
    changes: dict[int, UsualChange]
    floor: int
    days: frozenset[date]


def high_low(
    day: date, energy: np.ndarray, rows: np.ndarray, totals: Totals, calendar: LikeDays, rules: RuleSet
) -> HighLow:
    """Find rows whose use lies outside of a share of the mean of recent days of the same kind.

    Parameters
    ----------
    day : date
    energy : int64 array, shape (R,)
        The day's use of each row, micro-kWh; only rows whose day is complete should be given.
    rows : int array, shape (R,)
        Grid rows, ascending.
    totals : callable
    calendar : LikeDays
    rules : RuleSet
        ``high_low_days`` nearest complete days in the mean, at least ``high_low_min_days``, up to 28 days back.

    References
    ----------
    High/low usage check of California DASMMD (1999), section B, and of Oracle Utilities Meter Data Management. Shares,
    number of days and floor are our own choice, and so is the comparison with the usual change from day to day.
    """
    total = np.zeros(len(rows), dtype=np.int64)
    count = np.zeros(len(rows), dtype=np.int64)
    looked_at = set()
    like_days = []
    for other in calendar.candidates(day, LOOKBACK_DAYS):
        pending = np.flatnonzero(count < rules.high_low_days)
        if len(pending) == 0:
            break
        looked_at.add(other)
        past = totals(other, rows[pending])
        if past is None:
            continue
        use, is_taken = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=bool)
        use[pending], is_taken[pending] = past.energy, past.complete
        like_days.append((other, use, is_taken))
        total += np.where(is_taken, use, 0)
        count += is_taken
    enough = count >= rules.high_low_min_days
    # use / mean compared with a percentage, without a division: use x count x 100 against total x percent.
    scaled = energy * count * 100
    outside = (scaled < total * rules.high_low_low_percent) | (scaled > total * rules.high_low_high_percent)
    floor = round(rules.high_low_floor_kwh * MICRO_PER_KWH)
    far = np.abs(energy * count - total) >= floor * count
    unusual = enough & outside & far
    changes = {}
    if rules.high_low_change_times and unusual.any():
        looked_at.update(_days_before(day))
        changes = _usual_changes(day, rows, np.flatnonzero(unusual), totals, calendar)
        for place, change in changes.items():
            unusual[place] = change.is_exceeded(int(energy[place]), rules.high_low_change_times)
    return HighLow(unusual, like_days, changes, floor, frozenset(looked_at))


def _usual_changes(
    day: date, rows: np.ndarray, places: np.ndarray, totals: Totals, calendar: LikeDays
) -> dict[int, UsualChange]:
    """Return the usual change of the rows at some places, where it is known."""
    month = [(other, totals(other, rows[places])) for other in _days_before(day)]
    changes = {}
    for number, place in enumerate(places.tolist()):
        uses = {other: int(past.energy[number]) for other, past in month if past is not None and past.complete[number]}
        change = usual_change(day, uses, calendar)
        if change is not None:
            changes[place] = change
    return changes


def _days_before(day: date) -> list[date]:
    """Return the days whose use is looked at, the latest first."""
    return [day - timedelta(days=back) for back in range(1, LOOKBACK_DAYS + 1)]


@dataclass(frozen=True)
class UsualChange:
    """How a series' use changes from one complete day to the next.

    Attributes
    ----------
    compared : tuple of int
        Use of the last complete day, and of the complete days of the same kind, micro-kWh.
    twice_median : int
        Twice the median of the changes, micro-kWh: a whole number.
    """

    compared: tuple[int, ...]
    twice_median: int

    def nearest(self, use: int) -> int:
        """Return the nearest of the uses that a use is compared with."""
        return min(self.compared, key=lambda other: abs(other - use))

    def is_exceeded(self, use: int, times: int) -> bool:
        """Return whether a use is further from all of these days than so many times the median change."""
        return 2 * abs(use - self.nearest(use)) > times * self.twice_median


def usual_change(day: date, uses: Mapping[date, int], calendar: LikeDays) -> UsualChange | None:
    """Return the usual change between complete days, given the latest first; None with too few of them."""
    changes = sorted(abs(later - earlier) for later, earlier in pairwise(uses.values()))
    if len(changes) < MIN_CHANGES:
        return None
    like = [uses[other] for other in calendar.candidates(day, LOOKBACK_DAYS) if other in uses]
    latest = next(iter(uses.values()))
    return UsualChange((latest, *like), changes[(len(changes) - 1) // 2] + changes[len(changes) // 2])


def prolonged_estimation(
    day: date, rows: np.ndarray, totals: Totals, least_days: int
) -> tuple[np.ndarray, frozenset[date]]:
    """Find rows without a single measured value on the ``least_days - 1`` days before.

    Parameters
    ----------
    day : date
    rows : int array, shape (R,)
        Grid rows without any measured value on the day itself, ascending.
    totals : callable
    least_days : int
        This day included.

    Returns
    -------
    found : bool array, shape (R,)
        A day before the series was registered, or that was never validated, ends the search: nothing was estimated.
    days : frozenset of date

    References
    ----------
    Own choice.
    """
    open_rows = np.arange(len(rows))
    looked_at = set()
    for back in range(1, least_days):
        if len(open_rows) == 0:
            break
        other = day - timedelta(days=back)
        looked_at.add(other)
        past = totals(other, rows[open_rows])
        if past is None:
            open_rows = open_rows[:0]
            break
        open_rows = open_rows[past.registered & (past.measured_slots == 0)]
    mask = np.zeros(len(rows), dtype=bool)
    mask[open_rows] = True
    return mask, frozenset(looked_at)
