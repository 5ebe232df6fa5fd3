"""The bridge: what the measured edges of a gap say of an estimate that other days gave.

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
_RESIDUAL_BITS = 26
"""Products of two such residuals, a day and a dozen neighbours of them, add up within int64."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Gaps of G rows and what is known at their ends; arrays of shape (G,).

    Attributes
    ----------
    length : int64 array
        Slots of the gap.
    left, right : int64 arrays
        Measured minus estimated in the slot before and after, micro-kWh.
    has_left, has_right : bool arrays
    correlation : int64 array
        Of residuals from slot to slot, in parts of ``CORRELATION_ONE``.
    """

    length: Int64Array
    left: Int64Array
    right: Int64Array
    has_left: BoolArray
    has_right: BoolArray
    correlation: Int64Array


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
    sum e(t) e(t + 1) / sum e(t)^2. Residuals beyond 2^26 are scaled down together, by a power of two.
    """
    kept = np.where(present, residuals, 0)
    largest = np.abs(kept).max(axis=(1, 2), initial=0)
    shift = np.maximum(_bits(largest) - _RESIDUAL_BITS, 0)
    small = np.sign(kept) * (np.abs(kept) >> shift[:, None, None])
    product = (small[:, :, 1:] * small[:, :, :-1]).sum(axis=(1, 2))
    square = (small * small).sum(axis=(1, 2))
    return np.clip(ratio(product, square, CORRELATION_ONE), 0, HIGHEST_CORRELATION)


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


def bridge(ends: Ends) -> Int64Array:
    """Return what is added to the estimates of all gaps, one gap after the other; int64, micro-kWh.

    Notes
    -----
    In slot i of n, with N = n + 1, correlation phi and residuals r0 and r1 at the ends::

        ((phi^i - phi^(2N - i)) r0 + (phi^(N - i) - phi^(N + i)) r1) / (1 - phi^(2N))

    With one end alone: phi^i r0, or phi^(N - i) r1. Without any: 0. A correlation near 1 is the straight line between
    both residuals, 0 leaves the estimate alone.
    """
    gap = np.repeat(np.arange(len(ends.length)), ends.length)
    first = np.cumsum(ends.length) - ends.length
    place = np.arange(len(gap)) - first[gap] + 1
    span = ends.length[gap] + 1
    powers = _powers(ends.correlation, 2 * int(ends.length.max(initial=0)) + 2)

    def power(exponent: Int64Array) -> Int64Array:
        return powers[exponent, gap]

    both = ends.has_left & ends.has_right
    rest = np.where(both[gap], (1 << _POWER_BITS) - power(2 * span), 1 << _POWER_BITS)
    from_left = power(place) - np.where(both[gap], power(2 * span - place), 0)
    from_right = power(span - place) - np.where(both[gap], power(span + place), 0)
    added = np.zeros(len(gap), dtype=np.int64)
    for weight, residual, known in (
        (from_left, ends.left, ends.has_left),
        (from_right, ends.right, ends.has_right),
    ):
        share = (weight << _WEIGHT_BITS) // rest
        added += scale_half_even(np.where(known, residual, 0)[gap], share, 1 << _WEIGHT_BITS)
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
