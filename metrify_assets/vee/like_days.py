"""Like-day estimation: the mean of the same local slot on the nearest days of the same kind, at the day's own level.

Belongs here: which days are alike, which are eligible, their mean and its level. Does not belong here: where holidays
come from (the asset layer) and how days are read (``history.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.exact import mean_half_even, scale_half_even
from metrify_assets.vee.gaps import DayWithGaps, OtherDaysEstimate
from metrify_assets.vee.history import History
from metrify_assets.vee.parameters import EstimationParameters

SUNDAY = 6
NO_SLOT = -1
LEVEL_ONE = 1_000
"""Levels are counted in thousandths."""


class LikeDays:
    """Decides which days are alike: the same weekday; holidays count as Sundays and as nothing else."""

    def __init__(self, holidays: Iterable[date] = ()) -> None:
        self.holidays = frozenset(holidays)

    def kind(self, day: date) -> int:
        """Return the kind of a day: 0 (Monday) to 6 (Sunday or holiday)."""
        return SUNDAY if day in self.holidays else day.weekday()

    def candidates(self, day: date, lookback_days: int) -> list[date]:
        """Return the days of the same kind among the ``lookback_days`` before ``day``, the nearest first."""
        past = (day - timedelta(days=back) for back in range(1, lookback_days + 1))
        return [other for other in past if self.kind(other) == self.kind(day)]


def matching_slots(local_minutes: np.ndarray, other_local_minutes: np.ndarray) -> np.ndarray:
    """Return for every slot the slot of another day that starts at the same local time, or ``NO_SLOT``.

    Parameters
    ----------
    local_minutes : int array, shape (S,)
    other_local_minutes : int array, shape (S',)

    Returns
    -------
    int64 array, shape (S,). The first pass of autumn's repeated hour corresponds to the first, the second to the
    second; where the other day has one pass only, both correspond to it.
    """
    by_minute: dict[int, list[int]] = {}
    for slot, minute in enumerate(other_local_minutes.tolist()):
        by_minute.setdefault(minute, []).append(slot)
    matches = np.full(len(local_minutes), NO_SLOT, dtype=np.int64)
    seen: dict[int, int] = {}
    for slot, minute in enumerate(local_minutes.tolist()):
        occurrence = seen.get(minute, 0)
        seen[minute] = occurrence + 1
        if minute in by_minute:
            passes = by_minute[minute]
            matches[slot] = passes[min(occurrence, len(passes) - 1)]
    return matches


def day_level(
    use: Int64Array | np.int64,
    usual: Int64Array | np.int64,
    measured_minutes: Int64Array | int,
    parameters: EstimationParameters,
) -> Int64Array:
    """Return by what the means of like days are multiplied: how the measured rest of a day compares with them.

    Parameters
    ----------
    use, usual : int64 array, shape (R,)
        Energy of the measured slots of the day, and of the means of the same slots, micro-kWh.
    measured_minutes : int array, shape (R,)
        How much of the day that is.
    parameters : EstimationParameters
        ``like_day_level_*``.

    Returns
    -------
    int64 array, shape (R,), thousandths, rounded half to even; 1,000 where too little is measured, or a sum is not
    positive.

    References
    ----------
    Own choice, from trials on real meters (docs/vee.md).
    """
    comparable = (use > 0) & (usual > 0) & (measured_minutes >= parameters.like_day_level_minutes)
    level = scale_half_even(np.where(comparable, use, 1), LEVEL_ONE, np.where(comparable, usual, 1))
    percent = LEVEL_ONE // 100
    low, high = parameters.like_day_level_low_percent * percent, parameters.like_day_level_high_percent * percent
    return np.clip(level, low, high)


def like_day_estimate(
    gaps: DayWithGaps, history: History, calendar: LikeDays, parameters: EstimationParameters
) -> OtherDaysEstimate:
    """Estimate slots by the mean of the same local slot on the nearest eligible like days, at the day's own level.

    Parameters
    ----------
    gaps : DayWithGaps
        Each row has a slot to be estimated.
    history : History
    calendar : LikeDays
    parameters : EstimationParameters
        ``like_days`` in the mean, at least ``min_like_days``, ``like_day_lookback_days`` back; ``like_day_level_*``.

    Returns
    -------
    OtherDaysEstimate
        Means, times the level of the day, each rounded half to even. Its days are those that were asked for, whether
        they are eligible or not: the estimate depends on them and on no other day.

    Notes
    -----
    A day is eligible for a series if every slot of it holds a measured value that stands. A slot that an eligible day
    does not have (the hour skipped in spring) takes the next eligible day instead. The level compares the measured
    slots of the day with the means of the same slots.

    References
    ----------
    Values of comparable days: Austria, ElWG par. 55(2) no. 2; the average of reference days: California DASMMD (1999),
    section A; nearest equivalent day: Western Australia, Electricity Industry (Metering) Code 2012, appendix 3,
    substitution method 14. Numbers of days are our own choice.
    """
    local_minutes = gaps.day.local_minutes(gaps.interval_minutes)
    wanted = gaps.needed | gaps.measured
    total = np.zeros(wanted.shape, dtype=np.int64)
    count = np.zeros(wanted.shape, dtype=np.int64)
    looked_at = set()
    for other in calendar.candidates(gaps.day.day, parameters.like_day_lookback_days):
        pending = np.flatnonzero((wanted & (count < parameters.like_days)).any(axis=1))
        if len(pending) == 0:
            break
        looked_at.add(other)
        totals = history.totals(other, gaps.rows[pending])
        # Eligible are those whose sums are complete: only their values are fetched.
        taking = pending[totals.complete] if totals is not None else pending[:0]
        past = history.complete_day(other, gaps.rows[taking]) if len(taking) else None
        if past is None:
            continue
        match = matching_slots(local_minutes, past.local_minutes)
        present = match != NO_SLOT
        open_slots = wanted[taking] & present & (count[taking] < parameters.like_days)
        total[taking] += np.where(open_slots, past.values[:, match], 0)
        count[taking] += open_slots
    enough = count >= parameters.min_like_days
    mean = mean_half_even(total, np.maximum(count, 1))
    compared = gaps.measured & enough
    use, usual = (np.where(compared, energy, 0).sum(axis=1) for energy in (gaps.value, mean))
    level = day_level(use, usual, compared.sum(axis=1) * gaps.interval_minutes, parameters)
    has_value = gaps.needed & enough
    estimate = np.where(has_value, scale_half_even(mean, level[:, None], LEVEL_ONE), 0)
    return OtherDaysEstimate(estimate, has_value, frozenset(looked_at), frozenset(looked_at))
