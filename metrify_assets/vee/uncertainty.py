"""How far off an estimate may be: intervals of slots, and the variance of sums, from errors made where truth is known.

Belongs here: from past errors of a method to an interval. Does not belong here: the errors (``past_errors.py``), the
estimators, and what registers add (``constraints.py``).

References
----------
Vovk, V., Gammerman, A. and Shafer, G. (2005), Algorithmic Learning in a Random World, Springer: a new error lies below
the k-th smallest of n exchangeable ones with probability k / (n + 1). Between two ranks: Hyndman, R. J. and Fan, Y.
(1996), Sample quantiles in statistical packages, The American Statistician 50(4), 361-365, definition 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

FEWEST_ERRORS = 9
"""With fewer past errors there is no interval: the 10 % quantile lies beyond the smallest of them."""
LOW_TENTHS, HIGH_TENTHS, WITHIN_TENTHS = 1, 9, 8
NORMAL_90 = 1.2815515655446004
"""90 % quantile of the standard normal distribution."""
_MICRO_KWH_OF_MILLI = 1_000
MOST_VARIANCE = 10**18 - 1
"""Millionths of kWh^2 that DECIMAL(18,6) holds."""


@dataclass(frozen=True, eq=False)
class Offsets:
    """How far the truth may lie from M estimates; arrays of shape (M,).

    Attributes
    ----------
    low, high : int64 arrays
        10 % and 90 % quantile of truth minus estimate, micro-kWh; of no meaning where not ``known``.
    variance : int64 array
        Share of the slot in the variance of its gap's sum, millionths of kWh^2, at least 0.
    known : bool array
        Whether there are enough past errors.
    """

    low: Int64Array
    high: Int64Array
    variance: Int64Array
    known: BoolArray

    @classmethod
    def unknown(cls, slots: int) -> Offsets:
        """Return the offsets of slots of which nothing can be said."""
        nothing = np.zeros(slots, dtype=np.int64)
        return cls(nothing, nothing, nothing, np.zeros(slots, dtype=bool))

    def take(self, chosen: Int64Array | BoolArray) -> Offsets:
        """Return some of the slots."""
        return Offsets(self.low[chosen], self.high[chosen], self.variance[chosen], self.known[chosen])

    @classmethod
    def together(cls, parts: list[Offsets]) -> Offsets:
        """Return the slots of several, in their order."""
        names = ("low", "high", "variance", "known")
        return (
            cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
            if parts
            else cls.unknown(0)
        )


@dataclass(frozen=True, eq=False)
class IntervalPlanes:
    """Intervals of estimates, 10 to 90 %; arrays of shape (P, S).

    Attributes
    ----------
    low, high : int64 arrays
        Micro-kWh; of no meaning where not ``known``.
    variance : int64 array
        Share in the variance of a sum, millionths of kWh^2: that of a sum over whole gaps is the sum of the shares.
    known : bool array
        False where the value is measured, or nothing can be said of the estimate.
    """

    low: Int64Array
    high: Int64Array
    variance: Int64Array
    known: BoolArray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> IntervalPlanes:
        """Return planes without an interval."""
        low, high, variance = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        return cls(low, high, variance, np.zeros(shape, dtype=bool))

    def take(self, rows: Int64Array | BoolArray) -> IntervalPlanes:
        """Return some series."""
        return IntervalPlanes(self.low[rows], self.high[rows], self.variance[rows], self.known[rows])

    def write(
        self, cell: tuple[Int64Array, Int64Array], value: Int64Array, offsets: Offsets, one_direction: BoolArray
    ) -> None:
        """Write the intervals of M estimates; they hold the estimate, and are cut at zero in one direction."""
        low, high = np.minimum(value + offsets.low, value), np.maximum(value + offsets.high, value)
        low = np.where(one_direction, np.maximum(low, np.minimum(value, 0)), low)
        self.low[cell] = np.where(offsets.known, low, 0)
        self.high[cell] = np.where(offsets.known, high, 0)
        self.variance[cell] = offsets.variance
        self.known[cell] = offsets.known


def offsets_from_errors(row: Int64Array, slot: Int64Array, errors: Int64Array, present: BoolArray) -> Offsets:
    """Return how far off the estimates of M slots may be.

    Parameters
    ----------
    row, slot : int arrays, shape (M,)
        Sorted. A gap is a run of neighbouring slots of a row.
    errors : int64 array, shape (M, N)
        Truth minus estimate of N past cases, micro-kWh; a case is the same column in all slots of a gap.
    present : bool array, shape (M, N)
        Whether a case counts; the same in all slots of a gap.

    Notes
    -----
    The quantile q of n errors is the value of rank (n + 1) q; between two ranks it is interpolated. Errors keep their
    sign, so an interval need not be symmetric.

    The variance of a gap is (Q / 1.2816)^2, where Q is the 80 % quantile of the absolute errors of the gap's sum: so
    the sum of the estimates plus or minus 1.2816 standard deviations holds the sum of the truth in 80 %. Each slot has
    a share of it in proportion to the width of its interval, so that the shares of a gap add up to it exactly.
    """
    if len(row) == 0 or errors.shape[1] < FEWEST_ERRORS:
        return Offsets.unknown(len(row))
    count = present.sum(axis=1)
    known = count >= FEWEST_ERRORS
    ordered = np.sort(np.where(present, errors, np.iinfo(np.int64).max), axis=1)
    low, high = (_quantile(ordered, count, tenths) for tenths in (LOW_TENTHS, HIGH_TENTHS))
    first = _gap_starts(row, slot)
    sums = np.abs(np.add.reduceat(np.where(present, errors, 0), first, axis=0))
    ordered_sums = np.sort(np.where(present[first], sums, np.iinfo(np.int64).max), axis=1)
    within = _quantile(ordered_sums, count[first], WITHIN_TENTHS)
    variance = np.rint((within / (_MICRO_KWH_OF_MILLI * NORMAL_90)) ** 2)
    length = np.diff(np.append(first, len(row)))
    known &= np.repeat(variance <= MOST_VARIANCE, length)
    shares = _shared(np.where(known[first], variance, 0).astype(np.int64), high - low, first, length)
    return Offsets(np.where(known, low, 0), np.where(known, high, 0), np.where(known, shares, 0), known)


def _quantile(ordered: Int64Array, count: Int64Array, tenths: int) -> Int64Array:
    """Return a quantile of the ``count`` smallest entries of each row of sorted errors; 0 where they are too few."""
    known = count >= FEWEST_ERRORS
    rank, rest = np.divmod(np.where(known, count + 1, 10) * tenths, 10)
    rows = np.arange(len(ordered))
    last = np.maximum(count, 1) - 1
    below = np.where(known, ordered[rows, np.minimum(rank - 1, last)], 0)
    above = np.where(known, ordered[rows, np.minimum(rank, last)], 0)
    quantile: Int64Array = below + (above - below) * rest // 10
    return quantile


def _gap_starts(row: Int64Array, slot: Int64Array) -> Int64Array:
    """Return where each gap begins among sorted slots."""
    begins = np.ones(len(row), dtype=bool)
    begins[1:] = (np.diff(row) != 0) | (np.diff(slot) != 1)
    return np.flatnonzero(begins)


def _shared(variance: Int64Array, width: Int64Array, first: Int64Array, length: Int64Array) -> Int64Array:
    """Return the shares of the slots of each gap in its variance, rounded on running sums; int64, shape (M,)."""
    gap = np.repeat(np.arange(len(first)), length)
    no_width = np.add.reduceat(width, first) == 0
    weight = np.where(no_width[gap], 1, width)
    running = np.cumsum(weight)
    before = (running - weight)[first][gap]
    total = np.add.reduceat(weight, first)[gap]
    # Elementwise, and so the same on every machine.
    upto = np.rint(variance[gap] * ((running - before) / total)).astype(np.int64)
    upto[first + length - 1] = variance
    earlier = np.zeros_like(upto)
    earlier[1:] = upto[:-1]
    earlier[first] = 0
    shares: Int64Array = upto - earlier
    return shares


@dataclass(frozen=True)
class BracketSpread:
    """How uncertain the own estimates of a register bracket are before they are scaled; millionths of kWh^2.

    Attributes
    ----------
    estimates : int
        Own estimates of the bracket, on all of its days.
    of_day, of_bracket : int, int or None
        Sum of the variances on this day, and on all days; None if an estimate of the bracket has none.
    within_day : bool
        Whether all own estimates of the bracket are on this day.
    """

    estimates: int
    of_day: int
    of_bracket: int | None
    within_day: bool


def scale_intervals(
    interval: IntervalPlanes,
    cell: tuple[int, Int64Array],
    unscaled: Int64Array,
    scaled: Int64Array,
    scale: float,
    spread: BracketSpread,
) -> None:
    """Carry the intervals of estimates over to their values as scaled to a register, in place.

    Parameters
    ----------
    interval : IntervalPlanes
    cell : (int, int64 array)
        Row, and the slots of the day that are scaled, shape (M,).
    unscaled, scaled : int64 arrays, shape (M,)
        Micro-kWh.
    scale : float
    spread : BracketSpread

    Notes
    -----
    The register says the sum of a bracket's estimates. With c the variance of a slot, D and V the sums of the day and
    of the bracket, and gaps independent of each other: the variance of a slot is c (1 - c / V), that of the day's sum
    D (1 - D / V). So the sum of a day that holds the whole bracket has none, the one estimate of a bracket is exact,
    and the sum of several days of one bracket is said to be less certain than it is, never more.

    References
    ----------
    Conditional variance of a part of independent normal terms, given their sum: Mardia, K. V., Kent, J. T. and Bibby,
    J. M. (1979), Multivariate Analysis, Academic Press, theorem 3.2.4.
    """
    known = interval.known[cell]
    if not known.any():
        return
    variance = interval.variance[cell]
    narrowed = np.ones(len(scaled))
    rest = 0.0 if spread.within_day else 1.0
    if spread.of_bracket is not None:
        narrowed = np.sqrt(1 - variance / spread.of_bracket) if spread.of_bracket else narrowed
        rest = 1 - spread.of_day / spread.of_bracket if spread.of_bracket else 0.0
    if spread.estimates == 1:
        narrowed = np.zeros(len(scaled))
    low, high = (
        scaled + np.rint((plane[cell] - unscaled) * narrowed * scale).astype(np.int64)
        for plane in (interval.low, interval.high)
    )
    # A value is rounded on its own: what was cut at zero stays so.
    low = np.where(interval.low[cell] >= 0, np.maximum(low, np.minimum(scaled, 0)), low)
    interval.low[cell] = np.where(known, np.minimum(low, scaled), 0)
    interval.high[cell] = np.where(known, np.maximum(high, scaled), 0)
    interval.variance[cell] = np.rint(variance * (scale * scale * rest)).astype(np.int64)


def half_width(variance: Int64Array) -> Float64Array:
    """Return by how much a sum may be off, 10 to 90 %, micro-kWh, of its variance in millionths of kWh^2."""
    return NORMAL_90 * np.sqrt(variance) * _MICRO_KWH_OF_MILLI
