"""Similar-day estimation: the weighted mean of the days that ran most like the measured part of this one.

Belongs here: how far days are apart, which are taken with which weight, their mean and its level. Does not belong
here: what the edges of a gap add (``bridge.py``), days of the same kind (``like_days.py``).

All is counted in whole numbers: weights in fixed point, means rounded half to even once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.bridge import CORRELATION_ONE, Ends, bridge, ratio, residual_correlation
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.history import History
from metrify_assets.vee.like_days import LEVEL_ONE, NO_SLOT, day_level, matching_slots
from metrify_assets.vee.parameters import EstimationParameters

Kinds = Callable[[date], Int64Array]
"""Returns the kind of a day, 0 (Monday) to 6 (Sunday or holiday), where each series is."""
DISTANCE_ONE = 1 << 16
_FARTHEST = 1 << 21
BLOCK_CELLS = 8_000_000
"""Most slots of other days that are compared at once: bounds memory, about 40 bytes each."""
_WEIGHT_ONE = 1 << 16
_INVERSE_BITS = 52
FIRST_FREE_DAY = 5
"""Kind of a Saturday; kinds below are working days, those above Sundays and holidays."""


@dataclass(frozen=True, eq=False)
class _Past:
    """Days before the one with gaps; C days of R series, in slots of that day.

    Attributes
    ----------
    values : int64 array, shape (R, C, S)
        Micro-kWh.
    present : bool array, shape (R, C, S)
        The day is complete, and has the slot.
    penalty : int64 array, shape (R, C)
        What the distance of a day of another kind is enlarged by.
    looked_at : frozenset of date
        Days whose sums were asked for, whether they exist or not.
    read : frozenset of date
        Days whose values were.
    """

    values: Int64Array
    present: BoolArray
    penalty: Int64Array
    looked_at: frozenset[date]
    read: frozenset[date]


@dataclass(frozen=True, eq=False)
class SimilarDayEstimate:
    """Estimates for R rows, and the days that they depend on.

    Attributes
    ----------
    value : int64 array, shape (R, S)
        Micro-kWh; 0 and of no meaning without ``has_value``.
    has_value : bool array, shape (R, S)
    days : frozenset of date
        Every day whose sums were asked for: whether a series is complete on it.
    read : frozenset of date
        Those of them whose values were.
    """

    value: Int64Array
    has_value: BoolArray
    days: frozenset[date]
    read: frozenset[date]


def similar_day_estimate(
    day: DeliveryDay,
    interval_minutes: int,
    rows: Int64Array,
    needed: BoolArray,
    measured: BoolArray,
    value: Int64Array,
    one_direction: BoolArray,
    history: History,
    kinds: Kinds,
    parameters: EstimationParameters,
) -> SimilarDayEstimate:
    """Estimate slots by the days that are nearest to the measured part of this one, bridged to the edges of each gap.

    Parameters
    ----------
    day : DeliveryDay
        The day with the gaps, of S slots.
    interval_minutes : int
    rows : int array, shape (R,)
        Rows of the grid with gaps, ascending.
    needed : bool array, shape (R, S)
        The slots to be estimated.
    measured : bool array, shape (R, S)
        Slots whose measured value stands.
    value : int64 array, shape (R, S)
        Values, micro-kWh; only those of ``measured`` are looked at.
    one_direction : bool array, shape (R,)
        Whether a series counts in one direction: its estimates are cut at zero.
    history : History
    kinds : callable
        Returns the kind of a day for each of the rows (``LikeDays.kind``), int64, shape (R,).
    parameters : EstimationParameters
        ``similar_day*`` and ``like_day_level_*_percent``.

    Returns
    -------
    SimilarDayEstimate
        A row has no estimate where too little of the day is measured to
        compare, its energy is not positive, or fewer than ``min_similar_days`` days are complete.

    Notes
    -----
    Distance of a day: sum |a - x| / sum x over the slots that this day has measured (x) and the other one has (a),
    enlarged for a day of another kind. Weight: 1 / (distance + floor)^exponent. The mean m is moved by
    ``similar_day_level_percent`` of the way to the level of this day, sum x / sum m. Residuals of the chosen days
    against their own mean, and those of this day, say how much the edges of a gap count (``bridge.py``); the edges are
    the nearest measured slots.

    References
    ----------
    Nearest neighbours in load series: Lora et al. (2007), IEEE Transactions on Power Systems 22(3). Distances and
    weights: own trials, docs/vee.md.
    """
    estimate = np.zeros(needed.shape, dtype=np.int64)
    has_value = np.zeros(needed.shape, dtype=bool)
    looked_at: set[date] = set()
    read: set[date] = set()
    enough = measured.sum(axis=1) * interval_minutes >= parameters.similar_day_least_minutes
    comparable = np.flatnonzero(enough & (np.where(measured, value, 0).sum(axis=1) > 0))
    size = max(BLOCK_CELLS // (parameters.similar_day_lookback_days * needed.shape[1]), 1)
    for first in range(0, len(comparable), size):
        block = comparable[first : first + size]
        past = _past(day, interval_minutes, rows[block], history, lambda other: kinds(other)[block], parameters)  # noqa: B023
        looked_at |= past.looked_at
        read |= past.read
        x = np.where(measured[block], value[block], 0)
        comparison = _compare(past, measured[block], x, interval_minutes, parameters)
        has_value[block] = needed[block] & comparison.has_value
        bridged = _bridged(comparison, has_value[block], measured[block], x)
        estimate[block] = np.where(one_direction[block, None], np.maximum(bridged, 0), bridged)
    return SimilarDayEstimate(np.where(has_value, estimate, 0), has_value, frozenset(looked_at), frozenset(read))


def _past(
    day: DeliveryDay,
    interval_minutes: int,
    rows: Int64Array,
    history: History,
    kinds: Kinds,
    parameters: EstimationParameters,
) -> _Past:
    """Return the complete days before, the nearest first."""
    local_minutes = day.local_minutes(interval_minutes)
    shape = (len(rows), parameters.similar_day_lookback_days, len(local_minutes))
    values, present = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    penalty = np.zeros(shape[:2], dtype=np.int64)
    days = [day.day - timedelta(days=back) for back in range(1, shape[1] + 1)]
    read: set[date] = set()
    for place, other in enumerate(days):
        penalty[:, place] = _penalties(kinds(day.day), kinds(other), parameters)
        totals = history.totals(other, rows)
        complete = np.flatnonzero(totals.complete) if totals is not None else np.empty(0, dtype=np.int64)
        past = history.complete_day(other, rows[complete]) if len(complete) else None
        if past is None:
            continue
        read.add(other)
        match = matching_slots(local_minutes, past.local_minutes)
        there = match != NO_SLOT
        values[complete, place] = np.where(there, past.values[:, match], 0)
        present[complete, place] = there
    return _Past(values, present, penalty, frozenset(days), frozenset(read))


def _penalties(kind: Int64Array, other: Int64Array, parameters: EstimationParameters) -> Int64Array:
    """Return by what a day of another kind is farther away, in parts of ``DISTANCE_ONE``; int64, shape (R,)."""
    free, other_free = kind >= FIRST_FREE_DAY, other >= FIRST_FREE_DAY
    percent = np.where(
        free != other_free,
        parameters.similar_day_other_kind_percent,
        np.where(free & (kind != other), parameters.similar_day_other_free_percent, 0),
    )
    penalties: Int64Array = percent.astype(np.int64) * DISTANCE_ONE // 100
    return penalties


@dataclass(frozen=True, eq=False)
class Comparison:
    """The day with gaps beside the days before; R series, C days, K chosen days, S slots.

    Attributes
    ----------
    distance : int64 array, shape (R, C)
        In parts of ``DISTANCE_ONE``; of no meaning where not ``usable``.
    usable : bool array, shape (R, C)
    nearest : int64 array, shape (R, K)
        The chosen days: their place among the C.
    weight : int64 array, shape (R, K)
        In parts of 2^16; 0 for a place that no usable day takes.
    values : int64 array, shape (R, K, S)
        Of the chosen days, micro-kWh.
    present : bool array, shape (R, K, S)
    expected : int64 array, shape (R, S)
        Their weighted mean at the level of the day, micro-kWh.
    has_value : bool array, shape (R, S)
    level : int64 array, shape (R,)
        By how many thousandths the mean is multiplied.
    correlation : int64 array, shape (R,)
        Of residuals from slot to slot, in parts of ``bridge.CORRELATION_ONE``.
    """

    distance: Int64Array
    usable: BoolArray
    nearest: Int64Array
    weight: Int64Array
    values: Int64Array
    present: BoolArray
    expected: Int64Array
    has_value: BoolArray
    level: Int64Array
    correlation: Int64Array


def _compare(
    past: _Past, measured: BoolArray, x: Int64Array, interval_minutes: int, parameters: EstimationParameters
) -> Comparison:
    distance, usable = _distances(past, measured, x)
    nearest = np.argsort(np.where(usable, distance, np.iinfo(np.int64).max), axis=1, kind="stable")
    nearest = nearest[:, : parameters.similar_days]
    taken = np.take_along_axis(usable, nearest, axis=1)
    values = np.take_along_axis(past.values, nearest[:, :, None], axis=1)
    present = np.take_along_axis(past.present, nearest[:, :, None], axis=1) & taken[:, :, None]
    weight = _weights(np.take_along_axis(distance, nearest, axis=1), taken, parameters)
    mean, has_mean = _weighted_mean(values, present, weight)
    has_mean &= (taken.sum(axis=1) >= parameters.min_similar_days)[:, None]

    compared = measured & has_mean
    use, usual = (np.where(compared, energy, 0).sum(axis=1) for energy in (x, mean))
    level = day_level(use, usual, compared.sum(axis=1) * interval_minutes, parameters)
    moved = LEVEL_ONE + scale_half_even(level - LEVEL_ONE, parameters.similar_day_level_percent, 100)
    expected = scale_half_even(mean, moved[:, None], LEVEL_ONE)
    # This day's own residuals count as one more day: where the others agree they are all that is known of the level.
    residuals = np.concatenate([values - mean[:, None, :], (x - expected)[:, None, :]], axis=1)
    there = np.concatenate([present & has_mean[:, None, :], compared[:, None, :]], axis=1)
    return Comparison(
        distance=distance,
        usable=usable,
        nearest=nearest,
        weight=weight,
        values=values,
        present=present,
        expected=expected,
        has_value=has_mean,
        level=moved,
        correlation=residual_correlation(residuals, there),
    )


@dataclass(frozen=True)
class SimilarDay:
    """A day that was looked at.

    Attributes
    ----------
    day : date
    distance : float or None
        From the day with the gaps, the penalty of its kind included; None if the day is not complete.
    weight : float
        Share in the mean, 0 to 1; 0 if it is not among the nearest.
    values : tuple of int or None, shape (S,)
        Micro-kWh by slot of the day with the gaps; None where it has no such slot, or is not in the mean.
    """

    day: date
    distance: float | None
    weight: float
    values: tuple[int | None, ...]


@dataclass(frozen=True)
class SimilarDayOrigin:
    """Where the similar-day estimates of one series come from.

    Attributes
    ----------
    days : tuple of SimilarDay
        All days looked at, the nearest in time first.
    expected : tuple of int or None, shape (S,)
        Mean at the level of the day, micro-kWh, before the edges of a gap are bridged; None where there is none.
    level : float
        By what the mean is multiplied.
    correlation : float
        Of residuals from slot to slot.
    """

    days: tuple[SimilarDay, ...]
    expected: tuple[int | None, ...]
    level: float
    correlation: float


def similar_day_origin(
    day: DeliveryDay,
    interval_minutes: int,
    row: int,
    measured: BoolArray,
    value: Int64Array,
    history: History,
    kinds: Kinds,
    parameters: EstimationParameters,
) -> SimilarDayOrigin:
    """Return what ``similar_day_estimate`` takes for one row of the grid; ``measured`` and ``value`` of shape (S,)."""
    past = _past(day, interval_minutes, np.array([row]), history, kinds, parameters)
    x = np.where(measured, value, 0)[None, :]
    comparison = _compare(past, measured[None, :], x, interval_minutes, parameters)
    place = {int(c): k for k, c in enumerate(comparison.nearest[0]) if comparison.weight[0, k]}
    days, no_values = [], (None,) * len(measured)
    for c in range(parameters.similar_day_lookback_days):
        k = place.get(c)
        values = comparison.values[0, k].tolist() if k is not None else []
        present = comparison.present[0, k].tolist() if k is not None else []
        days.append(
            SimilarDay(
                day.day - timedelta(days=c + 1),
                int(comparison.distance[0, c]) / DISTANCE_ONE if comparison.usable[0, c] else None,
                int(comparison.weight[0, k]) / _WEIGHT_ONE if k is not None else 0.0,
                tuple(v if there else None for v, there in zip(values, present, strict=True)) or no_values,
            )
        )
    expected = zip(comparison.expected[0].tolist(), comparison.has_value[0].tolist(), strict=True)
    return SimilarDayOrigin(
        tuple(days),
        tuple(mean if there else None for mean, there in expected),
        int(comparison.level[0]) / LEVEL_ONE,
        int(comparison.correlation[0]) / CORRELATION_ONE,
    )


def _distances(past: _Past, measured: BoolArray, x: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Return how far each day is away, in parts of ``DISTANCE_ONE``, and whether it can be compared; (R, C)."""
    both = past.present & measured[:, None, :]
    apart = np.where(both, np.abs(past.values - x[:, None, :]), 0).sum(axis=2)
    energy = np.where(both, x[:, None, :], 0).sum(axis=2)
    distance = np.minimum(ratio(apart, energy, DISTANCE_ONE), _FARTHEST)
    return distance + past.penalty, energy > 0


def _weights(distance: Int64Array, taken: BoolArray, parameters: EstimationParameters) -> Int64Array:
    """Return the weights of the chosen days in parts of ``_WEIGHT_ONE``; int64, shape (R, K)."""
    floor = max(parameters.similar_day_floor_percent * DISTANCE_ONE // 100, 1)
    inverse = np.full(distance.shape, 1 << _INVERSE_BITS, dtype=np.int64)
    for _ in range(parameters.similar_day_exponent):
        # Divided step by step, so that no power overflows; scaled by the floor, so that none vanishes.
        inverse = scale_half_even(inverse, floor, distance + floor)
    inverse = np.where(taken, np.maximum(inverse, 1), 0)
    total = inverse.sum(axis=1, keepdims=True)
    return ratio(inverse, np.broadcast_to(total, inverse.shape), _WEIGHT_ONE)


def _weighted_mean(chosen: Int64Array, present: BoolArray, weight: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Return the weighted mean of the days that have a slot, rounded half to even once, and where there is one."""
    parts = np.where(present, weight[:, :, None], 0)
    total = parts.sum(axis=1)
    whole = np.maximum(total, 1)[:, None, :]
    quotient = chosen // whole
    # values = quotient x total + rest: no product exceeds the values themselves.
    rest = ((chosen - quotient * whole) * parts).sum(axis=1)
    mean = scale_half_even(rest, 1, whole[:, 0, :], offset=(quotient * parts).sum(axis=1))
    return mean, total > 0


def _bridged(comparison: Comparison, needed: BoolArray, measured: BoolArray, x: Int64Array) -> Int64Array:
    """Return the estimates with what the nearest measured slots on both sides add to them."""
    compared, residual = measured & comparison.has_value, x - comparison.expected
    slots = np.arange(needed.shape[1])
    before = np.maximum.accumulate(np.where(compared, slots, -1), axis=1)
    after = np.minimum.accumulate(np.where(compared, slots, len(slots))[:, ::-1], axis=1)[:, ::-1]
    row, slot = np.nonzero(needed)
    left, right = before[row, slot], after[row, slot]
    ends = Ends(
        row=row,
        before=slot - left,
        after=right - slot,
        left=residual[row, left],
        right=residual[row, np.minimum(right, len(slots) - 1)],
        has_left=left >= 0,
        has_right=right < len(slots),
    )
    bridged = comparison.expected.copy()
    bridged[row, slot] += bridge(ends, comparison.correlation)
    return bridged
