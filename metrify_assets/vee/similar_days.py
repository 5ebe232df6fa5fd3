"""Similar-day estimation: the weighted mean of the days that ran most like the measured part of this one.

Belongs here: distances between days, their weights, the mean and its level. Does not belong here: what the edges of a
gap add (``bridge.py``), days of the same kind (``like_days.py``).

All is counted in whole numbers: weights in fixed point, means rounded half to even once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.beside import AFTER, BEFORE, Beside, SlotsBeside, slots_beside
from metrify_assets.vee.bridge import CORRELATION_ONE, Ends, bridge, ratio, residual_correlation
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.distances import DISTANCE_ONE, FARTHEST, WEIGHT_ONE, day_weights, kind_penalty
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.gaps import DayWithGaps, OtherDaysEstimate
from metrify_assets.vee.history import History
from metrify_assets.vee.like_days import LEVEL_ONE, day_level
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.past_days import PastDays, read_past_days
from metrify_assets.vee.past_errors import Cases, bridged_errors, similar_day_errors
from metrify_assets.vee.uncertainty import Offsets, offsets_from_errors

Kinds = Callable[[date], Int64Array]
"""Returns the kind of a day, 0 (Monday) to 6 (Sunday or holiday), where each series is."""
BLOCK_CELLS = 8_000_000
"""Most slots of other days that are compared at once: bounds memory, about 40 bytes each."""


@dataclass(frozen=True, eq=False)
class _DaysBefore:
    """The C days before the one with gaps, the nearest first.

    Attributes
    ----------
    days : list of date
    kinds : int64 array, shape (R, C)
    penalty : int64 array, shape (R, C)
        By how much each is farther away for its kind, in parts of ``DISTANCE_ONE``.
    """

    days: list[date]
    kinds: Int64Array
    penalty: Int64Array

    @classmethod
    def of(cls, day: DeliveryDay, kinds: Kinds, parameters: EstimationParameters) -> _DaysBefore:
        days = [day.day - timedelta(days=back) for back in range(1, parameters.similar_day_lookback_days + 1)]
        others = np.stack([kinds(other) for other in days], axis=1)
        return cls(days, others, kind_penalty(kinds(day.day)[:, None], others, parameters))


def similar_day_estimate(
    gaps: DayWithGaps,
    one_direction: BoolArray,
    history: History,
    kinds: Kinds,
    parameters: EstimationParameters,
    beside: Beside | None = None,
) -> OtherDaysEstimate:
    """Estimate slots by the days that are nearest to the measured part of this one, bridged to the edges of each gap.

    Parameters
    ----------
    gaps : DayWithGaps
    one_direction : bool array, shape (R,)
        Whether a series counts in one direction: its estimates are cut at zero.
    history : History
    kinds : callable
        Returns the kind of a day for each of the rows (``LikeDays.kind``), int64, shape (R,).
    parameters : EstimationParameters
        ``similar_day*`` and ``like_day_level_*_percent``.
    beside : callable, optional
        The days before and after, for ``similar_day_over_midnight``; without, a gap is bridged within its day alone.

    Returns
    -------
    OtherDaysEstimate
        A row has no estimate where too little of the day is measured to compare, its energy is not positive, or fewer
        than ``min_similar_days`` days are complete.

    Notes
    -----
    Distance of a day: sum |a - x| / sum x over the slots that this day has measured (x) and the other one has (a),
    enlarged for a day of another kind. Weight: 1 / (distance + floor)^exponent. The mean m is moved by
    ``similar_day_level_percent`` of the way to the level of this day, sum x / sum m. The edges of a gap are the nearest
    measured slots; their correlation (``bridge.py``) is that of the residuals of the chosen days against their mean and
    of this day against the moved mean. Over midnight the edge is the nearest measured slot of the day beside; what is
    expected there is the mean, by the same weights, of what ran on the days beside the chosen ones, at the same level.

    References
    ----------
    Weighted nearest neighbours among days: Troncoso Lora, A. et al. (2007), Electricity market price forecasting based
    on weighted nearest neighbors techniques, IEEE Transactions on Power Systems 22(3), 1294-1301. Weights by distance:
    Shepard, D. (1968), A two-dimensional interpolation function for irregularly-spaced data, Proc. 23rd ACM National
    Conference, 517-524. Distances and their parameters: own trials (docs/vee.md). Estimates from comparable days:
    Austria, ElWG par. 55(2) no. 2.
    """
    measured, needed = gaps.measured, gaps.needed
    estimate = np.zeros(needed.shape, dtype=np.int64)
    has_value = np.zeros(needed.shape, dtype=bool)
    sum_days: set[date] = set()
    slot_days: set[date] = set()
    offsets: list[Offsets] = []
    before = _DaysBefore.of(gaps.day, kinds, parameters)
    energy = np.where(measured, gaps.value, 0).sum(axis=1)
    enough = measured.sum(axis=1) * gaps.interval_minutes >= parameters.similar_day_least_minutes
    comparable = np.flatnonzero(enough & (energy > 0))
    size = max(BLOCK_CELLS // (len(before.days) * needed.shape[1]), 1)
    for first in range(0, len(comparable), size):
        block = comparable[first : first + size]
        past = read_past_days(gaps, gaps.rows[block], before.days, history)
        comparison = _compare(gaps, block, before, past, parameters)
        sum_days.update(before.days)
        slot_days |= past.slot_days
        has_value[block] = needed[block] & comparison.has_value
        slot, ends = _ends(comparison, has_value[block])
        around = _edges_beside(gaps, block, comparison, has_value[block], before, history, parameters, beside)
        for edge in around:
            sum_days |= edge.sum_days
            slot_days |= edge.slot_days
        if around:
            ends = _over_midnight(ends, *around)
        bridged = _bridged(comparison, slot, ends, parameters)
        if parameters.intervals:
            errors = similar_day_errors(Cases.of(past, before.kinds[block], comparison.compared, gaps), parameters)
            bridged_past, present = bridged_errors(errors, slot, ends, comparison.correlation)
            offsets.append(offsets_from_errors(ends.row, slot, bridged_past, present))
        estimate[block] = np.where(one_direction[block, None], np.maximum(bridged, 0), bridged)
    return OtherDaysEstimate(
        np.where(has_value, estimate, 0),
        has_value,
        frozenset(sum_days),
        frozenset(slot_days),
        Offsets.together(offsets) if parameters.intervals else None,
    )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The day with gaps beside the days before; R series, C days, K chosen days, S slots.

    Attributes
    ----------
    distance : int64 array, shape (R, C)
        In parts of ``DISTANCE_ONE``; of no meaning for a day that cannot be compared.
    nearest : int64 array, shape (R, K)
        The chosen days, the nearest first: their place among the C.
    weight : int64 array, shape (R, K)
        In parts of ``WEIGHT_ONE``; 0 for a place that no day takes.
    values : int64 array, shape (R, K, S)
        Of the chosen days, micro-kWh.
    present : bool array, shape (R, K, S)
    expected : int64 array, shape (R, S)
        Their weighted mean at the level of the day, micro-kWh.
    has_value : bool array, shape (R, S)
        Slots that have one.
    level : int64 array, shape (R,)
        By how many thousandths the mean is multiplied.
    residual : int64 array, shape (R, S)
        Measured minus expected, micro-kWh; of no meaning where not ``compared``.
    compared : bool array, shape (R, S)
    correlation : int64 array, shape (R,)
        Of residuals from slot to slot, in parts of ``bridge.CORRELATION_ONE``.
    """

    distance: Int64Array
    nearest: Int64Array
    weight: Int64Array
    values: Int64Array
    present: BoolArray
    expected: Int64Array
    has_value: BoolArray
    level: Int64Array
    residual: Int64Array
    compared: BoolArray
    correlation: Int64Array


def _compare(
    gaps: DayWithGaps, block: Int64Array, before: _DaysBefore, past: PastDays, parameters: EstimationParameters
) -> _Comparison:
    """Compare some of the series, named by their place among the R."""
    measured = gaps.measured[block]
    x = np.where(measured, gaps.value[block], 0)
    distance, usable = _distances(past, measured, x)
    distance = distance + before.penalty[block]
    nearest = np.argsort(np.where(usable, distance, np.iinfo(np.int64).max), axis=1, kind="stable")
    nearest = nearest[:, : parameters.similar_days]
    taken = np.take_along_axis(usable, nearest, axis=1)
    values = np.take_along_axis(past.values, nearest[:, :, None], axis=1)
    present = np.take_along_axis(past.present, nearest[:, :, None], axis=1) & taken[:, :, None]
    weight = day_weights(np.take_along_axis(distance, nearest, axis=1), taken, parameters)
    mean, has_mean = _weighted_mean(values, present, weight)
    has_mean &= (taken.sum(axis=1) >= parameters.min_similar_days)[:, None]

    compared = measured & has_mean
    use, usual = (np.where(compared, energy, 0).sum(axis=1) for energy in (x, mean))
    level = day_level(use, usual, compared.sum(axis=1) * gaps.interval_minutes, parameters)
    moved = LEVEL_ONE + scale_half_even(level - LEVEL_ONE, parameters.similar_day_level_percent, 100)
    expected = scale_half_even(mean, moved[:, None], LEVEL_ONE)
    residual = x - expected
    # This day's residuals count as those of one more day: where all others agree, they alone carry the level.
    residuals = np.concatenate([values - mean[:, None, :], residual[:, None, :]], axis=1)
    has_residual = np.concatenate([present & has_mean[:, None, :], compared[:, None, :]], axis=1)
    return _Comparison(
        distance=distance,
        nearest=nearest,
        weight=weight,
        values=values,
        present=present,
        expected=expected,
        has_value=has_mean,
        level=moved,
        residual=residual,
        compared=compared,
        correlation=residual_correlation(residuals, has_residual),
    )


@dataclass(frozen=True)
class SimilarDay:
    """A day in the mean.

    Attributes
    ----------
    day : date
    distance : float
        From the day with the gaps, enlarged for a day of another kind.
    weight : float
        Share in the mean, 0 to 1.
    values : tuple of int or None, shape (S,)
        Micro-kWh by slot of the day with the gaps; None where it has no such slot.
    """

    day: date
    distance: float
    weight: float
    values: tuple[int | None, ...]


@dataclass(frozen=True)
class EdgeBeyond:
    """The slot of the day before or after that bounds a gap.

    Attributes
    ----------
    day : date
    slots : int
        From the midnight between: -1 is the last slot of the day before, 1 the first of the day after.
    value, expected : int
        Measured there, and expected from the days beside the similar ones, micro-kWh.
    """

    day: date
    slots: int
    value: int
    expected: int


@dataclass(frozen=True)
class SimilarDayOrigin:
    """Where the similar-day estimates of one series come from.

    Attributes
    ----------
    days : tuple of SimilarDay
        The days in the mean, the nearest first.
    expected : tuple of int or None, shape (S,)
        Mean at the level of the day, micro-kWh, before the edges of a gap are bridged; None where there is none.
    level : float
        By what the mean is multiplied.
    correlation : float
        Of residuals from slot to slot.
    before, after : EdgeBeyond or None
        What bounds the gap at the head and the one at the tail of the day; None where nothing beyond midnight does.
    compared : tuple of bool, shape (S,)
        Slots that may be an edge of a gap within the day.
    """

    days: tuple[SimilarDay, ...]
    expected: tuple[int | None, ...]
    level: float
    correlation: float
    before: EdgeBeyond | None
    after: EdgeBeyond | None
    compared: tuple[bool, ...]

    def edges_beyond(self, slot: int) -> tuple[EdgeBeyond, ...]:
        """Return the edges beyond midnight of the gap that a slot lies in."""
        before = self.before if not any(self.compared[:slot]) else None
        after = self.after if not any(self.compared[slot + 1 :]) else None
        return tuple(edge for edge in (before, after) if edge is not None)


def similar_day_origin(
    gaps: DayWithGaps,
    history: History,
    kinds: Kinds,
    parameters: EstimationParameters,
    beside: Beside | None = None,
) -> SimilarDayOrigin:
    """Return what ``similar_day_estimate`` takes for the one series of ``gaps``."""
    before = _DaysBefore.of(gaps.day, kinds, parameters)
    past = read_past_days(gaps, gaps.rows, before.days, history)
    comparison = _compare(gaps, np.array([0]), before, past, parameters)
    days = [
        SimilarDay(
            before.days[place],
            int(comparison.distance[0, place]) / DISTANCE_ONE,
            int(comparison.weight[0, k]) / WEIGHT_ONE,
            _optional(comparison.values[0, k], comparison.present[0, k]),
        )
        for k, place in enumerate(comparison.nearest[0].tolist())
        if comparison.weight[0, k]
    ]
    needed = gaps.needed & comparison.has_value
    around = _edges_beside(gaps, np.array([0]), comparison, needed, before, history, parameters, beside)
    sides = [_edge_beyond(edge, offset, gaps.day) for edge, offset in zip(around, (BEFORE, AFTER), strict=False)]
    edge_before, edge_after = sides or (None, None)
    return SimilarDayOrigin(
        tuple(days),
        _optional(comparison.expected[0], comparison.has_value[0]),
        int(comparison.level[0]) / LEVEL_ONE,
        int(comparison.correlation[0]) / CORRELATION_ONE,
        edge_before,
        edge_after,
        tuple(comparison.compared[0].tolist()),
    )


def _edge_beyond(edge: _EdgeBeside, side: int, day: DeliveryDay) -> EdgeBeyond | None:
    """Return what bounds the gap of the one series beyond a midnight."""
    if not edge.exists[0]:
        return None
    distance = int(edge.distance[0])
    return EdgeBeyond(day.plus(side).day, side * distance, int(edge.value[0]), int(edge.expected[0]))


def _optional(values: Int64Array, present: BoolArray) -> tuple[int | None, ...]:
    return tuple(v if is_present else None for v, is_present in zip(values.tolist(), present.tolist(), strict=True))


def _distances(past: PastDays, measured: BoolArray, x: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Return how far each day is away, in parts of ``DISTANCE_ONE``, and whether it can be compared; (R, C)."""
    both = past.present & measured[:, None, :]
    apart = np.where(both, np.abs(past.values - x[:, None, :]), 0).sum(axis=2)
    energy = np.where(both, x[:, None, :], 0).sum(axis=2)
    distance = np.minimum(ratio(apart, energy, DISTANCE_ONE), FARTHEST)
    return distance, energy > 0


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


@dataclass(frozen=True, eq=False)
class _EdgeBeside:
    """What bounds the gaps of R series beyond one midnight; arrays of shape (R,).

    Attributes
    ----------
    exists : bool array
    distance : int64 array
        Slots from the midnight between, from 1.
    value, expected : int64 arrays
        Measured there, and the mean of the days beside the chosen ones at the level of the day, micro-kWh.
    sum_days, slot_days : frozenset of date
        Days that were looked at.
    """

    exists: BoolArray
    distance: Int64Array
    value: Int64Array
    expected: Int64Array
    sum_days: frozenset[date]
    slot_days: frozenset[date]

    @classmethod
    def of(cls, slots: SlotsBeside, comparison: _Comparison, parameters: EstimationParameters) -> _EdgeBeside:
        mean, has_mean = _weighted_mean(slots.values[:, :, None], slots.present[:, :, None], comparison.weight)
        enough = np.count_nonzero(slots.present, axis=1) >= parameters.min_similar_days
        return cls(
            slots.exists & enough & has_mean[:, 0],
            slots.distance,
            slots.value,
            scale_half_even(mean[:, 0], comparison.level, LEVEL_ONE),
            slots.sum_days,
            slots.slot_days,
        )


def _edges_beside(
    gaps: DayWithGaps,
    block: Int64Array,
    comparison: _Comparison,
    needed: BoolArray,
    before: _DaysBefore,
    history: History,
    parameters: EstimationParameters,
    beside: Beside | None,
) -> tuple[_EdgeBeside, ...]:
    """Return the edges on the day before and on the day after; none where the rules do not look there."""
    if beside is None or not parameters.similar_day_over_midnight:
        return ()
    chosen = np.where(comparison.weight > 0, comparison.nearest, -1)
    edges = []
    for side in (BEFORE, AFTER):
        inner = comparison.compared if side == BEFORE else comparison.compared[:, ::-1]
        outer = needed if side == BEFORE else needed[:, ::-1]
        reaching: BoolArray = np.any(outer & ~np.maximum.accumulate(inner, axis=1), axis=1)
        slots = slots_beside(side, gaps.day.day, gaps.rows[block], reaching, chosen, before.days, beside, history)
        edges.append(_EdgeBeside.of(slots, comparison, parameters))
    return tuple(edges)


def _ends(comparison: _Comparison, needed: BoolArray) -> tuple[Int64Array, Ends]:
    """Return the slots to be estimated and the nearest measured slots on both sides; the series is ``ends.row``."""
    compared, residual = comparison.compared, comparison.residual
    slots = np.arange(needed.shape[1])
    before = np.maximum.accumulate(np.where(compared, slots, -1), axis=1)
    after = np.minimum.accumulate(np.where(compared, slots, len(slots))[:, ::-1], axis=1)[:, ::-1]
    row, slot = np.nonzero(needed)
    left, right = before[row, slot], after[row, slot]
    return slot, Ends(
        row=row,
        before=slot - left,
        after=right - slot,
        left=residual[row, left],
        right=residual[row, np.minimum(right, len(slots) - 1)],
        has_left=left >= 0,
        has_right=right < len(slots),
    )


def _bridged(comparison: _Comparison, slot: Int64Array, ends: Ends, parameters: EstimationParameters) -> Int64Array:
    """Return the estimates with what the edges of their gaps add to them."""
    bridged = comparison.expected.copy()
    bridged[ends.row, slot] += bridge(ends, comparison.correlation)
    if parameters.similar_day_over_midnight:
        # What no similar day ran at is not made up from the edges.
        runs = (comparison.present & (comparison.values != 0)).any(axis=1)
        bridged[ends.row, slot] = np.where(runs[ends.row, slot], bridged[ends.row, slot], 0)
    return bridged


def _over_midnight(ends: Ends, before: _EdgeBeside, after: _EdgeBeside) -> Ends:
    """Return the ends of gaps, those without one on their own day with that of the day beside."""
    row = ends.row
    # Without an end, the distances count to the slots beside the day (-1 and S): those of distance 1.
    from_before, from_after = ~ends.has_left & before.exists[row], ~ends.has_right & after.exists[row]
    return Ends(
        row=row,
        before=ends.before + np.where(from_before, before.distance[row] - 1, 0),
        after=ends.after + np.where(from_after, after.distance[row] - 1, 0),
        left=np.where(from_before, (before.value - before.expected)[row], ends.left),
        right=np.where(from_after, (after.value - after.expected)[row], ends.right),
        has_left=ends.has_left | from_before,
        has_right=ends.has_right | from_after,
    )
