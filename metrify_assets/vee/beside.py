"""Edges of a gap on the day before or after: the nearest measured slot there, and what ran beside the similar days.

Belongs here: which slot of a neighbouring day a gap reaches, and the values of that slot beside the chosen days. Does
not belong here: choosing the days and their mean (``similar_days.py``), the path between two edges (``bridge.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.history import History, HistoryDay
from metrify_assets.vee.like_days import NO_SLOT, matching_slots

Beside = Callable[[int, Int64Array], HistoryDay | None]
"""Returns the day before (-1) or after (1) of some rows of the grid, ascending; None if there is no such day."""
BEFORE, AFTER = -1, 1


@dataclass(frozen=True, eq=False)
class SlotsBeside:
    """The slot of a neighbouring day that bounds a gap, of R series, and the same slot beside each of K chosen days.

    Attributes
    ----------
    side : int
        ``BEFORE`` or ``AFTER``.
    exists : bool array, shape (R,)
        A slot is measured there, and is no outlier.
    distance : int64 array, shape (R,)
        Slots from the midnight between: 1 is the slot right at it.
    value : int64 array, shape (R,)
        Measured there, micro-kWh.
    values : int64 array, shape (R, K)
        Of the days beside the chosen ones, micro-kWh.
    present : bool array, shape (R, K)
        That day is complete, lies before the day with gaps, and has the slot.
    sum_days, slot_days : frozenset of date
        Days whose sums were asked for, and days whose slots were read.
    """

    side: int
    exists: BoolArray
    distance: Int64Array
    value: Int64Array
    values: Int64Array
    present: BoolArray
    sum_days: frozenset[date]
    slot_days: frozenset[date]


def slots_beside(
    side: int,
    day: date,
    rows: Int64Array,
    reaching: BoolArray,
    chosen: Int64Array,
    days: Sequence[date],
    beside: Beside,
    history: History,
) -> SlotsBeside:
    """Return the slots that bound gaps beyond midnight.

    Parameters
    ----------
    side : int
        ``BEFORE`` or ``AFTER``.
    day : date
        The day with gaps.
    rows : int64 array, shape (R,)
        Rows of the grid, ascending.
    reaching : bool array, shape (R,)
        Series with a gap that has no edge on this side of its own day: no other is looked at.
    chosen : int64 array, shape (R, K)
        Place of each chosen day among ``days``, -1 for none.
    days : sequence of date
        The days before.
    beside : callable
    history : History
    """
    shape = (len(rows), chosen.shape[1])
    exists, distance = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64)
    value, slot = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    values, present = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    sum_days: set[date] = set()
    slot_days: set[date] = set()
    asked = np.flatnonzero(reaching)
    neighbour = beside(side, rows[asked]) if len(asked) else None
    if neighbour is not None:
        edges = neighbour.valid & neighbour.measured
        nearest = (edges[:, ::-1] if side == BEFORE else edges).argmax(axis=1)
        exists[asked] = edges.any(axis=1)
        distance[asked] = 1 + nearest
        slot[asked] = edges.shape[1] - 1 - nearest if side == BEFORE else nearest
        value[asked] = neighbour.values[np.arange(len(asked)), slot[asked]]
        for place, similar in enumerate(days):
            other = similar + timedelta(days=side)
            row, k = np.nonzero((chosen == place) & exists[:, None])
            if len(row) == 0 or other >= day:
                continue
            sum_days.add(other)
            totals = history.totals(other, rows[row])
            if totals is None:
                continue
            row, k = row[totals.complete], k[totals.complete]
            past = history.complete_day(other, rows[row]) if len(row) else None
            if past is None:
                continue
            slot_days.add(other)
            match = matching_slots(neighbour.local_minutes, past.local_minutes)[slot[row]]
            present[row, k] = match != NO_SLOT
            values[row, k] = np.where(match != NO_SLOT, past.values[np.arange(len(row)), match], 0)
    return SlotsBeside(
        side,
        exists,
        distance,
        np.where(exists, value, 0),
        values,
        present,
        frozenset(sum_days),
        frozenset(slot_days),
    )
