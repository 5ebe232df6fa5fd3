"""Finer deliveries added up to the slots of the registry's interval.

Belongs here: sums of whole slots. Coarser deliveries are never split: nothing in them says how. Does not belong here:
where deliveries lie (``placement.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import Deliveries
from metrify_assets.vee.placement import snap
from metrify_assets.vee.units import LARGEST_MICRO_KWH
from metrify_assets.vee.versions import NOTHING, Chosen, Possible, choose_versions


@dataclass(frozen=True, eq=False)
class FinerValues:
    """Values of slots added up from finer deliveries, one entry per slot that all its parts are there for.

    Attributes
    ----------
    cell, value, source_status, version, flags, received_at : arrays, shape (C,)
        Sum in micro-kWh; lowest status, largest version, flags of any, latest reception of the parts.
    below_zero : bool array, shape (C,)
        Any part is negative.
    parts : int64 array, shape (C,)
        Deliveries in the sum.
    unused : int
        Current deliveries that are in no sum: a part of their slot is missing, or they fit no part.
    fits, part : int arrays, shape (N,)
        Deliveries that lie in a part, and which: the rows that have any, numbered from 0, x parts per day + part.
    chosen : Chosen
        The delivery that each part is taken from, and what became of the others.
    """

    cell: np.ndarray
    value: np.ndarray
    source_status: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    received_at: np.ndarray
    below_zero: np.ndarray
    parts: np.ndarray
    unused: int
    fits: np.ndarray
    part: np.ndarray
    chosen: Chosen


def add_up(
    day: DeliveryDay,
    minutes: int,
    row_of_series: np.ndarray,
    deliveries: Deliveries,
    length: int,
    tolerance_seconds: int,
    possible: Possible | None = None,
) -> FinerValues:
    """Add up deliveries of one length, which divides ``minutes``, to slots of ``minutes``.

    A slot has a value only if each of its parts has one: the sum of some is not the energy of the slot.

    Parameters
    ----------
    day : DeliveryDay
    minutes : int
        Expected interval.
    row_of_series : int array, shape (P + 1,)
        Grid row of each series.
    deliveries : Deliveries
        Interval rows of that length, all of series of the grid.
    length : int
        Their minutes.
    tolerance_seconds : int
        As in ``placement.place``: the clock of a finer delivery may drift too.
    possible : callable, optional
        As in ``versions.choose_versions``: returns which deliveries hold a value that can be a part.

    References
    ----------
    Own choice: energy of a slot is the sum of its parts, and of no fewer.
    """
    parts_per_slot = minutes // length
    step = length * MICROSECONDS_PER_MINUTE
    slots = day.slots(minutes)
    fine_slots = slots * parts_per_slot
    offset = deliveries.start - day.start
    part = snap(offset, step, tolerance_seconds)
    fits = np.flatnonzero((part >= 0) & (part < fine_slots))
    grid_rows, compact = np.unique(row_of_series[deliveries.series[fits]], return_inverse=True)
    count = len(grid_rows) * fine_slots
    cells = compact * fine_slots + part[fits]
    chosen = choose_versions(deliveries, fits, cells, count, possible)
    part_flags = chosen.flags.copy()
    part_flags[cells[part[fits] * step != offset[fits]]] |= np.int32(Flag.CLOCK_DRIFT)
    shape = (len(grid_rows) * slots, parts_per_slot)

    def parts(values: np.ndarray) -> np.ndarray:
        return chosen.gather(values).reshape(shape)

    there = (chosen.row != NOTHING).reshape(shape)
    status = parts(deliveries.rank)
    complete = np.flatnonzero((status > SourceStatus.MISSING).all(axis=1))
    row, slot = np.divmod(complete, slots)
    value = parts(deliveries.value)[complete]
    flags = np.bitwise_or.reduce(part_flags.reshape(shape)[complete], axis=1)
    return FinerValues(
        cell=grid_rows[row] * slots + slot,
        value=_total(value),
        source_status=status[complete].min(axis=1),
        version=chosen.version.reshape(shape)[complete].max(axis=1),
        flags=flags | np.int32(Flag.AGGREGATED | Flag.INTERVAL_SIZE),
        received_at=parts(deliveries.received_at)[complete].max(axis=1),
        below_zero=np.any(value < 0, axis=1),
        parts=np.full(len(complete), parts_per_slot, dtype=np.int64),
        unused=int(there.sum()) - parts_per_slot * len(complete) + len(deliveries) - len(fits),
        fits=fits,
        part=cells,
        chosen=chosen,
    )


def _total(parts: np.ndarray) -> np.ndarray:
    """Return the sums of rows; a sum that no stored number can hold is the largest one, which no connection carries."""
    rough = parts.sum(axis=1, dtype=np.float64)
    beyond = np.abs(rough) >= LARGEST_MICRO_KWH
    return np.where(beyond, np.where(rough < 0, -1, 1) * LARGEST_MICRO_KWH, parts.sum(axis=1))
