"""What estimators that look at other days are given, and what they return.

Belongs here: these two shapes. Does not belong here: the estimators (``like_days.py``, ``similar_days.py``), other days
(``history.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.uncertainty import Offsets


@dataclass(frozen=True, eq=False)
class DayWithGaps:
    """R series of one interval on a delivery day of S slots.

    Attributes
    ----------
    day : DeliveryDay
    interval_minutes : int
    rows : int array, shape (R,)
        Rows of the grid with gaps, ascending.
    needed : bool array, shape (R, S)
        The slots to be estimated.
    measured : bool array, shape (R, S)
        Slots whose measured value stands.
    value : int64 array, shape (R, S)
        Values, micro-kWh; of no meaning where not ``measured``.
    """

    day: DeliveryDay
    interval_minutes: int
    rows: Int64Array
    needed: BoolArray
    measured: BoolArray
    value: Int64Array


@dataclass(frozen=True, eq=False)
class OtherDaysEstimate:
    """Estimates for R series, and the other days that they depend on.

    Attributes
    ----------
    value : int64 array, shape (R, S)
        Micro-kWh; 0 and of no meaning without ``has_value``.
    has_value : bool array, shape (R, S)
    sum_days : frozenset of date
        Every day whose sums were asked for, whether it exists or not.
    slot_days : frozenset of date
        Every day whose slots the estimate depends on.
    offsets : Offsets, optional
        How far off the estimates may be, by the slots with ``has_value`` in order; None where that is not asked for.
    """

    value: Int64Array
    has_value: BoolArray
    sum_days: frozenset[date]
    slot_days: frozenset[date]
    offsets: Offsets | None = None
