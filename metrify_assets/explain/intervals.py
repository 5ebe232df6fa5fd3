"""How certain a day's energy is, from the intervals of its estimates.

Belongs here: the interval of a sum of slots, as the marts have it. Does not belong here: the intervals of slots
(``vee/uncertainty.py``), and showing them (``text.py``, ``plot.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from metrify_assets.explain.record import Result
from metrify_assets.explain.words import kwh
from metrify_assets.vee.codes import Method, Status
from metrify_assets.vee.grid import is_one_direction
from metrify_assets.vee.uncertainty import half_width
from metrify_assets.vee.units import MICRO_PER_KWH


def interval_of_sum(results: Sequence[Result], obis_code: str) -> tuple[Decimal, Decimal] | None:
    """Return the interval, 10 to 90 %, of the energy of some slots, kWh.

    None where nothing is estimated, or an estimate has no interval. An outage that was declared is no estimate. In one
    direction the energy is never below what is not estimated.
    """
    estimated = [row for row in results if row.status == Status.ESTIMATED and row.method != Method.DOCUMENTED_ZERO]
    variances = [row.variance_kwh2 for row in estimated if row.variance_kwh2 is not None]
    if not estimated or len(variances) < len(estimated):
        return None
    values = [(row, row.value_kwh) for row in results if row.value_kwh is not None]
    energy = sum((value for _, value in values), Decimal(0))
    fixed = sum((value for row, value in values if row.variance_kwh2 is None), Decimal(0))
    variance = np.array(int(sum(variances) * MICRO_PER_KWH))
    off = kwh(round(float(half_width(variance))))
    low = max(energy - off, fixed) if is_one_direction(obis_code) else energy - off
    return low, energy + off
