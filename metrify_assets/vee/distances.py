"""How far days are apart, and what each weighs in a mean.

Belongs here: the arithmetic that estimates and the errors they would have made on past days share. Does not belong
here: which days are compared (``similar_days.py``, ``past_errors.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.bridge import ratio
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.parameters import EstimationParameters

DISTANCE_ONE = 1 << 16
FARTHEST = 1 << 21
WEIGHT_ONE = 1 << 16
_INVERSE_BITS = 52
FIRST_FREE_DAY = 5
"""Kind of a Saturday; kinds below are working days, those above Sundays and holidays."""


def kind_penalty(kind: Int64Array, others: Int64Array, parameters: EstimationParameters) -> Int64Array:
    """Return by how much days are farther away for their kind, in parts of ``DISTANCE_ONE``; shapes broadcast."""
    is_free = kind >= FIRST_FREE_DAY
    percent = np.where(
        is_free != (others >= FIRST_FREE_DAY),
        parameters.similar_day_other_kind_percent,
        np.where(is_free & (kind != others), parameters.similar_day_other_free_percent, 0),
    )
    return percent.astype(np.int64) * DISTANCE_ONE // 100


def day_weights(distance: Int64Array, taken: BoolArray, parameters: EstimationParameters) -> Int64Array:
    """Return the weights of the chosen days in parts of ``WEIGHT_ONE``; int64, shape (..., K)."""
    floor = max(parameters.similar_day_floor_percent * DISTANCE_ONE // 100, 1)
    inverse = np.full(distance.shape, 1 << _INVERSE_BITS, dtype=np.int64)
    for _ in range(parameters.similar_day_exponent):
        # Divided step by step, so that no power overflows; scaled by the floor, so that none vanishes.
        inverse = scale_half_even(inverse, floor, distance + floor)
    inverse = np.where(taken, np.maximum(inverse, 1), 0)
    total = inverse.sum(axis=-1, keepdims=True)
    return ratio(inverse, np.broadcast_to(total, inverse.shape), WEIGHT_ONE)
