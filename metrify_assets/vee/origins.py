"""Where an estimate came from, for people who ask: the days of a mean, the edges of a line, the share of a profile.

Belongs here: per method of the cascade, a plain function of one series that names the values that went in; what follows
from them must equal what the estimator returned (tests compare the two). Does not belong here: the estimators
(``like_days.py``, ``interpolate.py``, ``profiles.py``), sentences (``explain/``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.exact import mean_half_even, scale_half_even
from metrify_assets.vee.history import HistoryDay
from metrify_assets.vee.like_days import LEVEL_ONE, NO_SLOT, LikeDays, day_level, matching_slots
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.profiles import (
    FACTOR_ONE,
    DayKind,
    KeyedBy,
    LoadProfile,
    day_kind,
    dynamisation_factor,
    season_of,
)

PastDay = Callable[[date], HistoryDay | None]
"""Returns another day of the series, aligned to it: arrays of shape (1, S'); None if there is no such day."""


@dataclass(frozen=True)
class LikeDay:
    """A day of the same kind that was looked at.

    Attributes
    ----------
    day : date
    slots : int or None
        Slots of the day; None if there is no such day.
    unmeasured : int
        Slots that are not measured; the day is eligible if there are none.
    values : tuple of int or None, shape (S,)
        The day's value at the local time of each slot, micro-kWh; None where it has no such slot or is not eligible.
    """

    day: date
    slots: int | None
    unmeasured: int
    values: tuple[int | None, ...]

    @property
    def eligible(self) -> bool:
        """Whether it may enter a mean."""
        return self.slots is not None and self.unmeasured == 0


@dataclass(frozen=True)
class LikeDayOrigin:
    """Where the like-day estimates of a series come from.

    Attributes
    ----------
    days : tuple of LikeDay
        All days looked at.
    used : dict of int to tuple of (date, int)
        Days and values in the mean of each slot estimated.
    use, usual : int
        Energy of the measured slots of the day that can be compared, and of the means of the same slots, micro-kWh.
    level : int
        By how many thousandths the means are multiplied.
    """

    days: tuple[LikeDay, ...]
    used: dict[int, tuple[tuple[date, int], ...]]
    use: int
    usual: int
    level: int

    def value(self, slot: int) -> int:
        """Return the estimate of a slot, micro-kWh."""
        return int(scale_half_even(np.int64(_mean(self.used[slot])), self.level, LEVEL_ONE))


def _mean(values: Sequence[tuple[date, int]]) -> int:
    """Return the mean of some days' values, micro-kWh, rounded half to even."""
    return int(mean_half_even(np.int64(sum(value for _, value in values)), np.int64(len(values))))


def like_day_origin(
    day: DeliveryDay,
    interval_minutes: int,
    needed: Collection[int],
    measured: Mapping[int, int],
    past_day: PastDay,
    calendar: LikeDays,
    parameters: EstimationParameters,
) -> LikeDayOrigin:
    """Return the days and values that ``like_days.like_day_estimate`` takes for one series.

    Parameters
    ----------
    day : DeliveryDay
    interval_minutes : int
    needed : collection of int
        The slots to be estimated.
    measured : mapping of int to int
        Measured values of the day that stand, micro-kWh, by slot.
    past_day : callable
    calendar : LikeDays
    parameters : EstimationParameters
    """
    if not needed:
        return LikeDayOrigin((), {}, 0, 0, LEVEL_ONE)
    local_minutes = day.local_minutes(interval_minutes)
    open_slots: dict[int, list[tuple[date, int]]] = {slot: [] for slot in (*needed, *measured)}
    looked_at = []
    for other in calendar.candidates(day.day, parameters.like_day_lookback_days):
        if all(len(values) >= parameters.like_days for values in open_slots.values()):
            break
        like_day = _like_day(other, past_day(other), local_minutes)
        looked_at.append(like_day)
        for slot, values in open_slots.items():
            value = like_day.values[slot]
            if value is not None and len(values) < parameters.like_days:
                values.append((other, value))
    enough = {slot: tuple(values) for slot, values in open_slots.items() if len(values) >= parameters.min_like_days}
    compared = [slot for slot in measured if slot in enough]
    use, usual = sum(measured[slot] for slot in compared), sum(_mean(enough[slot]) for slot in compared)
    level = day_level(np.int64(use), np.int64(usual), len(compared) * interval_minutes, parameters)
    used = {slot: enough[slot] for slot in needed if slot in enough}
    return LikeDayOrigin(tuple(looked_at), used, use, usual, int(level))


def _like_day(day: date, past: HistoryDay | None, local_minutes: np.ndarray) -> LikeDay:
    nothing = (None,) * len(local_minutes)
    if past is None:
        return LikeDay(day, None, 0, nothing)
    slots = len(past.local_minutes)
    unmeasured = slots - int(past.measured[0].sum())
    if unmeasured:
        return LikeDay(day, slots, unmeasured, nothing)
    match = matching_slots(local_minutes, past.local_minutes).tolist()
    values = tuple(None if slot == NO_SLOT else int(past.values[0, slot]) for slot in match)
    return LikeDay(day, slots, 0, values)


@dataclass(frozen=True)
class LinearOrigin:
    """The line through a gap.

    Attributes
    ----------
    left, right : int
        Values at the edges, micro-kWh.
    left_slot, right_slot : int
        Where the edges stand, counted in slots of the day: below 0 on the day before, from S on the day after.
    slot : int
        The slot that is estimated.
    """

    left: int
    right: int
    left_slot: int
    right_slot: int
    slot: int

    @property
    def position(self) -> int:
        """Place of the slot in the gap, from 1."""
        return self.slot - self.left_slot

    @property
    def spacing(self) -> int:
        """Slots from edge to edge: one more than the gap is long."""
        return self.right_slot - self.left_slot

    @property
    def value(self) -> int:
        """Value of the slot on the line, micro-kWh, rounded half to even."""
        rise = np.int64(self.right - self.left)
        return int(scale_half_even(rise, self.position, self.spacing, offset=np.int64(self.left)))


def linear_origin(
    values: Sequence[int],
    edges: Sequence[bool],
    slot: int,
    previous_day: Callable[[], HistoryDay | None],
    next_day: Callable[[], HistoryDay | None],
) -> LinearOrigin | None:
    """Return the edges that ``interpolate.interpolate_short_gaps`` takes for a slot; None where one is absent.

    Parameters
    ----------
    values, edges : sequences, shape (S,)
        Before estimation, and which of them may be an edge; the slot itself may not.
    slot : int
    previous_day, next_day : callable
        The neighbouring days of the series; only called where the gap reaches the edge of the day.
    """
    slots = len(values)
    left = next((other for other in range(slot - 1, -1, -1) if edges[other]), None)
    right = next((other for other in range(slot + 1, slots) if edges[other]), None)
    left_edge = (left, values[left]) if left is not None else _edge(previous_day(), last=True, slots=slots)
    right_edge = (right, values[right]) if right is not None else _edge(next_day(), last=False, slots=slots)
    if left_edge is None or right_edge is None:
        return None
    return LinearOrigin(int(left_edge[1]), int(right_edge[1]), int(left_edge[0]), int(right_edge[0]), slot)


def _edge(other: HistoryDay | None, *, last: bool, slots: int) -> tuple[int, int] | None:
    """Return place and value of another day's valid slot that is nearest to this one."""
    if other is None:
        return None
    valid = np.flatnonzero(other.valid[0])
    if len(valid) == 0:
        return None
    nearest = int(valid[-1] if last else valid[0])
    place = nearest - other.valid.shape[1] if last else slots + nearest
    return place, int(other.values[0, nearest])


@dataclass(frozen=True)
class ProfileOrigin:
    """What of a standard load profile went into a day.

    Attributes
    ----------
    period, kind : str
        Season or month, and kind of day.
    factor : float or None
        Dynamisation factor of the day; None where the profile has none.
    """

    period: str
    kind: str
    factor: float | None


def profile_origin(profile: LoadProfile, day: DeliveryDay, holiday: bool) -> ProfileOrigin:
    """Return which part of a profile a day takes."""
    by_season = profile.keyed_by is KeyedBy.SEASON
    period = season_of(day.day).name.lower() if by_season else f"month {day.day.month}"
    kind: DayKind = day_kind(day.day, holiday)
    factor = dynamisation_factor(day.day) / FACTOR_ONE if profile.dynamised else None
    return ProfileOrigin(period, kind.name.lower(), factor)
