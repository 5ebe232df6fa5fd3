"""What happens to a point, rather than to the rows of one day: outages, long silence, a wrong entry in the registry.

Belongs here: which point has which incident, and when. An incident lies a fixed number of days after the first one, so
that a longer period changes nothing. Does not belong here: what it does to the values (``load.py``, ``faults.py``) and
how the registries record it (``registry_tables.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metrify_assets.simulator.draws import BLOCK_POINTS, Stream, uniform
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay

NEVER = -1
"""Stands for the day of what does not happen."""


@dataclass(frozen=True)
class Incidents:
    """Incidents of a block of points; int64 arrays of shape (BLOCK_POINTS,).

    Attributes
    ----------
    outage_day, outage_start, outage_end : arrays
        Day (0 = first) and slots of a declared outage.
    silence_start, silence_end : arrays
        First day without any delivery, and first day with one again.
    unit_day : array
        Day on which the registry names another unit than the values come in.
    """

    outage_day: Int64Array
    outage_start: Int64Array
    outage_end: Int64Array
    silence_start: Int64Array
    silence_end: Int64Array
    unit_day: Int64Array

    def silent_days(self, offset: int) -> Int64Array:
        """Return for how many days each point has been silent on a day, that day included; 0 = it delivers."""
        silent = (self.silence_start != NEVER) & (self.silence_start <= offset) & (offset < self.silence_end)
        return np.where(silent, offset - self.silence_start + 1, 0)

    def outage_slots(self, offset: int, slots: int) -> BoolArray:
        """Return the slots of a day without supply; bool, shape (BLOCK_POINTS, slots)."""
        slot = np.arange(slots)
        inside = (slot >= self.outage_start[:, None]) & (slot < self.outage_end[:, None])
        without_supply: BoolArray = inside & ((self.outage_day == offset) & (offset >= 0))[:, None]
        return without_supply


@lru_cache(maxsize=4_096)
def incidents(plan: SimulationPlan, vendor: int, block: int) -> Incidents:
    """Return the incidents of a block of a vendor's points."""
    drawn = uniform((BLOCK_POINTS, 8), plan.seed, Stream.INCIDENTS, vendor, block)

    def between(column: int, first: int, last: int) -> Int64Array:
        return first + np.floor(drawn[:, column] * (last - first + 1)).astype(np.int64)

    def happens(column: int, rate: float, day: Int64Array) -> Int64Array:
        return np.where(drawn[:, column] < rate, day, NEVER)

    slots_per_hour = 60 // INTERVAL_MINUTES
    start = between(2, 8, 72)
    silence = happens(4, plan.silence_rate, between(5, 5, 9))
    # A point is silent or has an entry that is wrong, not both.
    unit = np.where(silence == NEVER, happens(7, plan.unit_mismatch_rate, between(6, 3, 14)), NEVER)
    outage = happens(0, plan.outage_rate, between(1, 1, 14))
    outage = np.where((silence == NEVER) & (unit != outage), outage, NEVER)
    length = slots_per_hour + np.floor(drawn[:, 3] * (3 * slots_per_hour + 1)).astype(np.int64)
    return Incidents(outage, start, start + length, silence, silence + 15 + start % 5, unit)


def offset_of(plan: SimulationPlan, day: DeliveryDay) -> int:
    """Return the position of a day in the period, 0 = first; negative before it."""
    return (day.day - plan.first_day).days
