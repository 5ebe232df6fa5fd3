"""Like-day estimation: the mean of the same local slot on the nearest days of the same kind.

Belongs here: which days are alike, which are eligible, and their mean. Does not belong here: where holidays come from
(the asset layer) and how days are read (``history.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.exact import mean_half_even
from metrify_assets.vee.history import History
from metrify_assets.vee.parameters import EstimationParameters

SUNDAY = 6
NO_SLOT = -1


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


@dataclass(frozen=True, eq=False)
class LikeDayEstimate:
    """Estimates for R rows: micro-kWh and whether there is one, shape (R, S); and the days looked at."""

    value: np.ndarray
    has_value: np.ndarray
    days: frozenset[date]


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


def like_day_estimate(
    day: date,
    local_minutes: np.ndarray,
    rows: np.ndarray,
    needed: np.ndarray,
    history: History,
    calendar: LikeDays,
    parameters: EstimationParameters,
) -> LikeDayEstimate:
    """Estimate slots by the mean of the same local slot on the nearest eligible like days.

    Parameters
    ----------
    day : date
        The day with the gaps.
    local_minutes : int64 array, shape (S,)
        Local start of its slots.
    rows : int array, shape (R,)
        Rows of the grid with gaps, ascending.
    needed : bool array, shape (R, S)
        The slots to be estimated.
    history : History
    calendar : LikeDays
    parameters : EstimationParameters
        ``like_days`` in the mean, at least ``min_like_days``, ``like_day_lookback_days`` back.

    Returns
    -------
    LikeDayEstimate
        Means rounded half to even. ``days`` holds every day that was asked for, whether it was eligible or not and
        whether it exists or not: the estimate depends on all of these answers and on no other day.

    Notes
    -----
    A day is eligible for a series if every slot of it holds a measured value that stands. A slot that an eligible day
    does not have (the hour skipped in spring) takes the next eligible day instead.
    """
    total = np.zeros(needed.shape, dtype=np.int64)
    count = np.zeros(needed.shape, dtype=np.int64)
    looked_at = set()
    for other in calendar.candidates(day, parameters.like_day_lookback_days):
        pending = np.flatnonzero((needed & (count < parameters.like_days)).any(axis=1))
        if len(pending) == 0:
            break
        looked_at.add(other)
        totals = history.totals(other, rows[pending])
        # The day's sums say who is eligible: only their values are fetched.
        taking = pending[totals.complete] if totals is not None else pending[:0]
        past = history.complete_day(other, rows[taking]) if len(taking) else None
        if past is None:
            continue
        match = matching_slots(local_minutes, past.local_minutes)
        present = match != NO_SLOT
        open_slots = present & (count[taking] < parameters.like_days)
        total[taking] += np.where(open_slots, past.values[:, match], 0)
        count[taking] += open_slots
    has_value = needed & (count >= parameters.min_like_days)
    value = np.where(has_value, mean_half_even(total, np.maximum(count, 1)), 0)
    return LikeDayEstimate(value, has_value, frozenset(looked_at))
