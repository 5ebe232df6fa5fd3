"""Days before, of series that are complete on them, slot by slot of the day with gaps.

Belongs here: fetching and aligning them. Does not belong here: which of them an estimate takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.history import History
from metrify_assets.vee.like_days import NO_SLOT, matching_slots


@dataclass(frozen=True, eq=False)
class PastDays:
    """Slots of C days before, of R series, by the slots of the day with gaps.

    Attributes
    ----------
    values : int64 array, shape (R, C, S)
        Micro-kWh.
    present : bool array, shape (R, C, S)
        The day is complete, and has the slot.
    slot_days : frozenset of date
        Days whose slots were read.
    """

    values: Int64Array
    present: BoolArray
    slot_days: frozenset[date]


def read_past_days(gaps: DayWithGaps, rows: Int64Array, days: Sequence[date], history: History) -> PastDays:
    """Return some days for the series that are complete on them."""
    local_minutes = gaps.day.local_minutes(gaps.interval_minutes)
    shape = (len(rows), len(days), len(local_minutes))
    values, present = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    slot_days: set[date] = set()
    for place, other in enumerate(days):
        totals = history.totals(other, rows)
        complete = np.flatnonzero(totals.complete) if totals is not None else np.empty(0, dtype=np.int64)
        past = history.complete_day(other, rows[complete]) if len(complete) else None
        if past is None:
            continue
        slot_days.add(other)
        match = matching_slots(local_minutes, past.local_minutes)
        has_slot = match != NO_SLOT
        values[complete, place] = np.where(has_slot, past.values[:, match], 0)
        present[complete, place] = has_slot
    return PastDays(values, present, frozenset(slot_days))
