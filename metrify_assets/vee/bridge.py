"""The bridge: an estimate from other days is corrected by how far it is off at the measured edges of a gap.

Belongs here: the correlation of residuals, and the expected path between known ends. Does not belong here: the
estimate itself (``similar_days.py``).

All is counted in whole numbers, so that every machine gives the same micro-kWh.

References
----------
Expected path of an AR(1) process between two known ends, the answer of a Kalman smoother: Harvey (1989), Forecasting,
Structural Time Series Models and the Kalman Filter, ch. 3.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.exact import scale_half_even

CORRELATION_BITS = 20
CORRELATION_ONE = 1 << CORRELATION_BITS
HIGHEST_CORRELATION = CORRELATION_ONE * 9_999 // 10_000
"""0.9999: at 1 the path has no limit."""
_POWER_BITS, _WEIGHT_BITS = 30, 24
_SUM_BITS = 62
"""Sums of products of residuals stay below this power of two."""


@dataclass(frozen=True, eq=False)
class Ends:
    """What is known around M slots without a value; arrays of shape (M,).

    Attributes
    ----------
    row : int64 array
        Series of the slot.
    before, after : int64 arrays
        Slots from the nearest known one before, and to the nearest one after; of no meaning where there is none.
    left, right : int64 arrays
        Measured minus estimated there, micro-kWh.
    has_left, has_right : bool arrays
    """

    row: Int64Array
    before: Int64Array
    after: Int64Array
    left: Int64Array
    right: Int64Array
    has_left: BoolArray
    has_right: BoolArray


def residual_correlation(residuals: Int64Array, present: BoolArray) -> Int64Array:
    """Return the correlation of residuals from slot to slot, from 0 to 0.9999.

    Parameters
    ----------
    residuals : int64 array, shape (R, K, S)
        Of K days of R series, micro-kWh.
    present : bool array, shape (R, K, S)

    Returns
    -------
    int64 array, shape (R,), in parts of ``CORRELATION_ONE``; 0 where nothing differs.

    Notes
    -----
    Mean of e(t) e(t + 1) over pairs of neighbours / mean of e(t)^2. Large residuals of a series are scaled down
    together, by a power of two, so that the sums stay within int64.
    """
    kept = np.where(present, residuals, 0)
    largest = np.abs(kept).max(axis=(1, 2), initial=0)
    terms = residuals.shape[1] * residuals.shape[2]
    shift = np.maximum(_bits(largest) - (_SUM_BITS - terms.bit_length()) // 2, 0)
    small = np.sign(kept) * (np.abs(kept) >> shift[:, None, None])
    product = (small[:, :, 1:] * small[:, :, :-1]).sum(axis=(1, 2))
    square = (small * small).sum(axis=(1, 2))
    pairs = np.count_nonzero(present[:, :, 1:] & present[:, :, :-1], axis=(1, 2))
    of_sums = ratio(product, square, CORRELATION_ONE)
    correlation = scale_half_even(of_sums, np.count_nonzero(present, axis=(1, 2)), np.maximum(pairs, 1))
    return np.clip(correlation, 0, HIGHEST_CORRELATION)


def ratio(part: Int64Array, whole: Int64Array, one: int) -> Int64Array:
    """Return ``part / whole`` in parts of ``one``, a power of two to 2^20; 0 where ``whole`` is not positive.

    Ratios beyond 2^20 are cut there. Of numbers beyond 2^40 the highest bits count.
    """
    shift = np.maximum(_bits(np.abs(whole)) - 40, 0)
    divisor = np.maximum(whole >> shift, 1)
    most = divisor << 20
    size: Int64Array = np.minimum(np.abs(part) >> shift, most)
    reduced: Int64Array = np.where(part < 0, -size, size)
    return np.where(whole > 0, scale_half_even(reduced, one, divisor), 0)


def bridge(ends: Ends, correlation: Int64Array) -> Int64Array:
    """Return what is added to the estimates of slots; int64, shape (M,), micro-kWh.

    Parameters
    ----------
    ends : Ends
    correlation : int64 array, shape (R,)
        Of residuals from slot to slot, in parts of ``CORRELATION_ONE``, by series.

    Notes
    -----
    In slot i after the known one before, N slots before the next known one, with correlation phi and residuals r0 and
    r1 there::

        ((phi^i - phi^(2N - i)) r0 + (phi^(N - i) - phi^(N + i)) r1) / (1 - phi^(2N))

    With one end alone: phi^i r0, or phi^(N - i) r1. Without any: 0. A correlation near 1 is the straight line between
    both residuals, 0 leaves the estimate alone.
    """
    both = ends.has_left & ends.has_right
    before, after = np.where(ends.has_left, ends.before, 0), np.where(ends.has_right, ends.after, 0)
    span = before + after
    powers = _powers(correlation, 2 * int(span.max(initial=0)))

    def power(exponent: Int64Array) -> Int64Array:
        chosen: Int64Array = powers[exponent, ends.row]
        return chosen

    rest = np.where(both, (1 << _POWER_BITS) - power(2 * span), 1 << _POWER_BITS)
    from_left = power(before) - np.where(both, power(span + after), 0)
    from_right = power(after) - np.where(both, power(span + before), 0)
    added = np.zeros(len(ends.row), dtype=np.int64)
    for weight, residual, exists in (
        (from_left, ends.left, ends.has_left),
        (from_right, ends.right, ends.has_right),
    ):
        share = (weight << _WEIGHT_BITS) // rest
        added += scale_half_even(np.where(exists, residual, 0), share, 1 << _WEIGHT_BITS)
    return added


def _powers(correlation: Int64Array, highest: int) -> Int64Array:
    """Return the powers of some correlations in parts of 2^30; int64, shape (highest + 1, G)."""
    powers = np.empty((highest + 1, len(correlation)), dtype=np.int64)
    powers[0] = 1 << _POWER_BITS
    half = 1 << (CORRELATION_BITS - 1)
    for exponent in range(1, highest + 1):
        powers[exponent] = (powers[exponent - 1] * correlation + half) >> CORRELATION_BITS
    return powers


def _bits(values: Int64Array) -> Int64Array:
    """Return how many binary digits numbers of at least 0 have."""
    # frexp is exact to 2^53; beyond, one digit more does no harm.
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
