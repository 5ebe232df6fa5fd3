"""Exact integer arithmetic: fractions of micro-kWh rounded half to even.

Belongs here: the few integer operations that conversion, interpolation and means share. Floats never carry energy,
because their sums depend on the order of addition. Does not belong here: anything that knows of meters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from metrify_assets.vee.arrays import Int64Array

Integers = Int64Array | np.int64 | int
"""One whole number, or an array of them."""


def scale_half_even(value: Integers, multiplier: Integers, divisor: Integers, offset: Integers = 0) -> Int64Array:
    """Return ``offset + value * multiplier / divisor``, rounded half to even, without an overflowing product.

    Parameters
    ----------
    value : int64 array or int
        Any sign.
    multiplier : int array or int
        At least 0.
    divisor : int array or int
        At least 1; ``divisor * multiplier`` must fit int64.
    offset : int64 array or int
        Added before rounding, so that a tie goes to the even *sum*.

    Returns
    -------
    int64 array, shape of the broadcast arguments.

    Notes
    -----
    ``value = whole * divisor + rest`` with ``0 <= rest < divisor``: only ``rest * multiplier`` is ever divided, so
    the intermediate numbers are no larger than the result.

    References
    ----------
    IEEE 754-2019, 4.3.1, roundTiesToEven, on exact fractions.
    """
    # NumPy's types take the quotient by what may be an array or a number for a float: it is whole.
    values: Any = np.asarray(value, dtype=np.int64)
    # Not divmod: division by one number for all is vectorised, the remainder is not.
    whole = values // divisor
    product = (values - whole * divisor) * multiplier
    quotient = product // divisor
    remainder = product - quotient * divisor
    result = offset + whole * multiplier + quotient
    twice = 2 * remainder
    rounded: Int64Array = result + ((twice > divisor) | ((twice == divisor) & (result & 1 != 0)))
    return rounded


def mean_half_even(total: Integers, count: Integers) -> Int64Array:
    """Return ``total / count`` rounded half to even; int64, shapes broadcast, ``count >= 1``."""
    return scale_half_even(total, 1, count)


_DIGIT_BITS = 14
MOST_PARTS = 2 ** (63 - 1 - _DIGIT_BITS)
"""Largest ``whole`` of ``proportion_half_even``: about 2.8 x 10^14."""


def proportion_half_even(value: Int64Array, part: Int64Array, whole: int) -> Int64Array:
    """Return ``value * part / whole``, rounded half to even, where the product may be far beyond int64.

    Parameters
    ----------
    value : int64 array
        At least 0.
    part : int64 array
        At least 0.
    whole : int
        From 1 to ``MOST_PARTS``.

    Returns
    -------
    int64 array, shape of the broadcast arguments. The result itself must fit.

    Notes
    -----
    Long division: the digits of ``part`` to the base 2^14 are multiplied and divided one by one, the highest first, and
    each remainder is carried to the next.

    References
    ----------
    Long division by one digit: Knuth, D. E. (1997), The Art of Computer Programming, vol. 2, 4.3.1.
    """
    whole_times = value // whole
    rest = value - whole_times * whole
    quotient = np.zeros(np.broadcast_shapes(np.shape(value), np.shape(part)), dtype=np.int64)
    remainder = np.zeros_like(quotient)
    digits = -(-int(np.max(part, initial=0)).bit_length() // _DIGIT_BITS)
    for position in reversed(range(digits)):
        digit = (part >> (position * _DIGIT_BITS)) & (2**_DIGIT_BITS - 1)
        carried = (remainder << _DIGIT_BITS) + rest * digit
        step = carried // whole
        remainder = carried - step * whole
        quotient = (quotient << _DIGIT_BITS) + step
    result = whole_times * part + quotient
    twice = 2 * remainder
    rounded: Int64Array = result + ((twice > whole) | ((twice == whole) & (result & 1 != 0)))
    return rounded
