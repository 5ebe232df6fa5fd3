"""Errors that a method would have made in gaps whose truth is known.

Belongs here: the methods applied to measured days and stretches as if they were the gap. Does not belong here: what
follows from the errors (``uncertainty.py``), the estimators themselves.

Sums are of whole numbers that a float64 holds exactly, so every machine gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.bridge import Ends, bridge, ratio
from metrify_assets.vee.distances import DISTANCE_ONE, FARTHEST, day_weights, kind_penalty
from metrify_assets.vee.exact import mean_half_even, scale_half_even
from metrify_assets.vee.gaps import DayWithGaps, OtherDaysEstimate
from metrify_assets.vee.history import History
from metrify_assets.vee.interpolate import Interpolated
from metrify_assets.vee.like_days import LEVEL_ONE, LikeDays, day_level
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.past_days import PastDays, read_past_days
from metrify_assets.vee.uncertainty import Offsets, offsets_from_errors

_VALUE_BITS = 34
"""Values are scaled down to so many binary digits: times a weight, and added up over days, they stay below 2^53."""
_SHARE_BITS = 24
MOST_LINES = 48
"""Lines that are drawn over a day: more cost time and change little (docs/vee.md)."""


@dataclass(frozen=True, eq=False)
class Cases:
    """C days before, of R series, that a method is tried on; by the slots of the day with gaps.

    Attributes
    ----------
    values : int64 array, shape (R, C, S)
        Micro-kWh; 0 where not ``complete``.
    complete : bool array, shape (R, C)
        All of the day is measured, and has each of the slots.
    kinds : int64 array, shape (R, C)
        Kinds of the days.
    compared : bool array, shape (R, S)
        Slots that the day with gaps is compared in.
    interval_minutes : int
    """

    values: Int64Array
    complete: BoolArray
    kinds: Int64Array
    compared: BoolArray
    interval_minutes: int

    @classmethod
    def of(cls, past: PastDays, kinds: Int64Array, compared: BoolArray, gaps: DayWithGaps) -> Cases:
        """Return those of the days that have each slot."""
        complete: BoolArray = np.all(past.present, axis=2)
        return cls(np.where(complete[:, :, None], past.values, 0), complete, kinds, compared, gaps.interval_minutes)


@dataclass(frozen=True, eq=False)
class DayErrors:
    """Truth minus estimate of C days before, of R series.

    Attributes
    ----------
    values : int64 array, shape (R, C, S)
        Micro-kWh, as if every slot were estimated; of no meaning where not ``present``.
    present : bool array, shape (R, C)
        The method has an estimate of the day.
    """

    values: Int64Array
    present: BoolArray


def similar_day_errors(past: Cases, parameters: EstimationParameters) -> DayErrors:
    """Return the errors of similar days, before the edges are bridged, if each past day had the same gaps.

    Notes
    -----
    Of each day the nearest among the others are chosen, weighted and moved to its level, as ``similar_day_estimate``
    does for the day with gaps, by the same slots. The day itself is left out.
    """
    usable, values = past.complete, past.values
    largest = np.abs(values).max(axis=(1, 2), initial=0)
    shift = np.maximum(np.frexp(largest.astype(np.float64))[1].astype(np.int64) - _VALUE_BITS, 0)
    small = (values >> shift[:, None, None]).astype(np.float64)
    compared = small * past.compared[:, None, :]
    energy = compared.sum(axis=2).astype(np.int64)
    apart = np.empty((*usable.shape, usable.shape[1]), dtype=np.int64)
    for place in range(usable.shape[1]):
        apart[:, place] = np.abs(compared - compared[:, place : place + 1]).sum(axis=2).astype(np.int64)
    energy_of_target = np.broadcast_to(energy[:, :, None], apart.shape)
    distance = np.minimum(ratio(apart, energy_of_target, DISTANCE_ONE), FARTHEST)
    distance += kind_penalty(past.kinds[:, :, None], past.kinds[:, None, :], parameters)
    others = usable[:, None, :] & ~np.eye(usable.shape[1], dtype=bool)
    taken = _nearest(distance, others, parameters.similar_days)
    weight = day_weights(distance, taken, parameters).astype(np.float64)
    present = usable & (energy > 0) & (taken.sum(axis=2) >= parameters.min_similar_days)
    total = np.maximum(weight.sum(axis=2), 1)
    mean = np.rint(np.matmul(weight, small) / total[:, :, None])
    usual = (mean * past.compared[:, None, :]).sum(axis=2).astype(np.int64)
    minutes = past.compared.sum(axis=1)[:, None] * past.interval_minutes
    level = day_level(energy, usual, minutes, parameters)
    moved = LEVEL_ONE + scale_half_even(level - LEVEL_ONE, parameters.similar_day_level_percent, 100)
    error = small - np.rint(mean * (moved / LEVEL_ONE)[:, :, None])
    return DayErrors(error.astype(np.int64) << shift[:, None, None], present)


def _nearest(distance: Int64Array, allowed: BoolArray, most: int) -> BoolArray:
    """Return which are the ``most`` nearest along the last axis; of equal ones the earlier."""
    days = distance.shape[-1]
    key = np.where(allowed, distance * days + np.arange(days), np.iinfo(np.int64).max)
    if most >= days:
        return allowed
    limit = np.partition(key, most - 1, axis=-1)[..., most - 1 : most]
    nearest: BoolArray = allowed & (key <= limit)
    return nearest


def bridged_errors(
    errors: DayErrors, slot: Int64Array, ends: Ends, correlation: Int64Array
) -> tuple[Int64Array, BoolArray]:
    """Return the errors of M slots after the edges of their gap are bridged, and which days have one.

    Parameters
    ----------
    errors : DayErrors
        Of the C days before, the nearest first.
    slot : int64 array, shape (M,)
        The slots to be estimated; their series is ``ends.row``.
    ends : Ends
        The edges of the gap. Those of a past day are its own errors in the same slots; beyond midnight, those of the
        day beside it.
    correlation : int64 array, shape (R,)

    Returns
    -------
    int64 and bool arrays, shape (M, C)
    """
    bridged, present = errors.values[ends.row, :, slot], errors.present[ends.row]
    one, none = (np.full(len(slot), value, dtype=np.int64) for value in (1 << _SHARE_BITS, 0))
    for edge, left, right, exists in (
        (slot - ends.before, one, none, ends.has_left),
        (slot + ends.after, none, one, ends.has_right),
    ):
        unit = Ends(ends.row, ends.before, ends.after, left, right, ends.has_left, ends.has_right)
        share: Float64Array = bridge(unit, correlation) / (1 << _SHARE_BITS)
        at_edge, has_edge = _errors_at(errors, ends.row, edge)
        bridged = bridged - np.rint(share[:, None] * at_edge).astype(np.int64)
        present = present & (has_edge | ~exists[:, None])
    return bridged, present


def _errors_at(errors: DayErrors, row: Int64Array, slot: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Return the errors in slots that may lie on the day before (below 0) or after, and who has them; (M, C)."""
    days, slots = errors.values.shape[1:]
    # The day before a day stands after it.
    place = np.arange(days) - (slot // slots)[:, None]
    exists = (place >= 0) & (place < days)
    place = np.clip(place, 0, days - 1)
    values = errors.values[row[:, None], place, (slot % slots)[:, None]]
    return values, exists & errors.present[row[:, None], place]


def like_day_errors(past: Cases, parameters: EstimationParameters) -> DayErrors:
    """Return the errors of the mean of like days, at the day's level, if each past day had the same gaps.

    Notes
    -----
    The mean of each day is that of the nearest others of its kind, before or after it, as many as for the day itself.
    """
    errors = np.zeros_like(past.values)
    present = np.zeros_like(past.complete)
    days = past.complete.shape[1]
    minutes = past.compared.sum(axis=1) * past.interval_minutes
    for target in range(days):
        total = np.zeros_like(past.values[:, 0])
        count = np.zeros(len(total), dtype=np.int64)
        for other in sorted(set(range(days)) - {target}, key=lambda place: (abs(place - target), -place)):
            alike = past.complete[:, other] & (past.kinds[:, other] == past.kinds[:, target])
            alike &= count < parameters.like_days
            if alike.any():
                total += np.where(alike[:, None], past.values[:, other], 0)
                count += alike
        mean = mean_half_even(total, np.maximum(count, 1)[:, None])
        use, usual = (np.where(past.compared, energy, 0).sum(axis=1) for energy in (past.values[:, target], mean))
        level = day_level(use, usual, minutes, parameters)
        errors[:, target] = past.values[:, target] - scale_half_even(mean, level[:, None], LEVEL_ONE)
        present[:, target] = past.complete[:, target] & (count >= parameters.min_like_days)
    return DayErrors(errors, present)


def with_like_day_offsets(
    gaps: DayWithGaps,
    estimate: OtherDaysEstimate,
    history: History,
    calendar: LikeDays,
    parameters: EstimationParameters,
) -> OtherDaysEstimate:
    """Return an estimate by like days with how far off it may be, and the days that this depends on.

    All days of ``like_day_lookback_days`` are tried, whatever their kind: those of one kind alone are too few.
    """
    rows = np.flatnonzero(estimate.has_value.any(axis=1))
    if len(rows) == 0:
        return replace(estimate, offsets=Offsets.unknown(0))
    days = [gaps.day.day - timedelta(days=back) for back in range(1, parameters.like_day_lookback_days + 1)]
    past = read_past_days(gaps, gaps.rows[rows], days, history)
    kinds = np.broadcast_to(np.array([calendar.kind(day) for day in days], dtype=np.int64), (len(rows), len(days)))
    errors = like_day_errors(Cases.of(past, kinds, gaps.measured[rows], gaps), parameters)
    row, slot = np.nonzero(estimate.has_value[rows])
    offsets = offsets_from_errors(row, slot, errors.values[row, :, slot], errors.present[row])
    return replace(
        estimate,
        sum_days=estimate.sum_days | frozenset(days),
        slot_days=estimate.slot_days | past.slot_days,
        offsets=offsets,
    )


def line_offsets(values: Int64Array, usable: BoolArray, points: Interpolated) -> Offsets:
    """Return how far off interpolated slots may be, from lines of the same length over measured stretches of the day.

    Parameters
    ----------
    values, usable : arrays, shape (P, S)
        Micro-kWh, and whether they are measured and may be the edge of a line.
    points : Interpolated

    Notes
    -----
    A line begins in every slot from which edges and all slots between are measured; of more than ``MOST_LINES`` in a
    day as many at most, evenly spread, are drawn. All gaps of one length on a day have the same errors.
    """
    parts, order = [], []
    for length in np.unique(points.spacing).tolist():
        chosen = np.flatnonzero(points.spacing == length)
        rows, place = np.unique(points.row[chosen], return_inverse=True)
        errors, present = _line_errors(values[rows], usable[rows], length)
        inner = length - 1
        of_gap = offsets_from_errors(
            np.repeat(np.arange(len(rows)), inner),
            np.tile(np.arange(inner), len(rows)),
            errors.reshape(len(rows) * inner, -1),
            np.repeat(present, inner, axis=0),
        )
        parts.append(of_gap.take(place * inner + points.position[chosen] - 1))
        order.append(chosen)
    if not parts:
        return Offsets.unknown(0)
    return Offsets.together(parts).take(np.argsort(np.concatenate(order)))


def _line_errors(values: Int64Array, usable: BoolArray, length: int) -> tuple[Int64Array, BoolArray]:
    """Return truth minus line of N lines, int64, shape (R, length - 1, N), and which of them count, shape (R, N)."""
    lines = max(values.shape[1] - length, 0)
    starts = np.arange(0, lines, max(-(-lines // MOST_LINES), 1))
    absent = np.cumsum(np.pad(~usable, ((0, 0), (1, 0))), axis=1)
    present: BoolArray = absent[:, starts + length + 1] == absent[:, starts]
    at = np.arange(1, length)[:, None]
    first, last = values[:, None, starts], values[:, None, starts + length]
    line = first + np.rint((last - first) * (at / length)).astype(np.int64)
    return values[:, starts + at] - line, present
