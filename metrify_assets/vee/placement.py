"""Placement: which slot a delivery belongs to.

Belongs here: the grid that a delivery is scattered to; snapping of drifting clocks, deliveries of another interval than
the registry's. Does not belong here: which of several deliveries of a slot is current (``versions.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import Deliveries

MICROSECONDS_PER_SECOND = 1_000_000


@dataclass(frozen=True, eq=False)
class Placement:
    """Deliveries of the series of one resolution (M of them) on a grid of P x S slots.

    Attributes
    ----------
    rows : int array, shape (M,), or None
        The deliveries that fit a slot; None = all of them, in order.
    cells : int array, shape (M,)
        Grid row x S + slot.
    drifted : int array
        Cells whose delivery was snapped to them.
    finer : int array
        Deliveries of a shorter interval that divides the expected one.
    mismatched, mismatching : int arrays
        Cells that a delivery of another interval touches, and which delivery.
    off_grid : int array
        Deliveries of these series that fit no slot and are not ``finer``.
    """

    rows: np.ndarray | None
    cells: np.ndarray
    drifted: np.ndarray
    finer: np.ndarray
    mismatched: np.ndarray
    mismatching: np.ndarray
    off_grid: np.ndarray


def place(
    day: DeliveryDay,
    minutes: int,
    row_of_series: np.ndarray,
    intervals: Deliveries,
    tolerance_seconds: int,
) -> Placement:
    """Find the slot of every delivery.

    Parameters
    ----------
    day : DeliveryDay
    minutes : int
        Expected interval.
    row_of_series : int array, shape (P + 1,)
        Grid row of each series, -1 for series of another resolution; the last entry, reached by index -1, is -1.
    intervals : Deliveries
        Interval rows, in any order.
    tolerance_seconds : int
        Largest distance from the boundary of a slot that is snapped to it; never half a slot or more.

    Notes
    -----
    An edit names a slot by its start: its interval is the series', whatever feed it came with.

    References
    ----------
    Own choice of the tolerance and of snapping.
    """
    step = minutes * MICROSECONDS_PER_MINUTE
    slots = day.slots(minutes)
    offset = intervals.start - day.start
    slot = offset // step
    row = row_of_series[intervals.series]
    of_interval = intervals.minutes == minutes
    fits = (row >= 0) & of_interval & (slot >= 0) & (slot < slots) & (slot * step == offset)
    cells = row * slots + slot
    nothing = np.empty(0, dtype=np.int64)
    if fits.all():
        return Placement(None, cells, nothing, nothing, nothing, nothing, nothing)

    of_interval = of_interval | (intervals.source_status == SourceStatus.EDITED)
    ours = np.flatnonzero((row >= 0) & ~fits)
    snapped = snap(offset[ours], step, tolerance_seconds)
    inside = (snapped >= 0) & (snapped < slots)
    drifts = inside & of_interval[ours]
    slot[ours[drifts]] = snapped[drifts]
    fits[ours[drifts]] = True
    cells = row * slots + slot
    moved = ours[drifts & (snapped * step != offset[ours])]

    other = ours[~of_interval[ours]]
    length = intervals.minutes[other].astype(np.int64)
    meant = meant_offset(offset[other], length, tolerance_seconds)
    here = (meant >= 0) & (meant < slots * step)
    other, length, meant = other[here], length[here], meant[here]
    finer = other[(length > 0) & (length < minutes) & (minutes % np.maximum(length, 1) == 0)]
    rows = np.flatnonzero(fits)
    lost = np.ones(len(row), dtype=bool)
    lost[rows] = lost[finer] = lost[row < 0] = False
    touched, touching = _touched(meant, length, step, slots)
    return Placement(
        rows,
        cells[rows],
        cells[moved],
        finer,
        row[other][touching] * slots + touched,
        other[touching],
        np.flatnonzero(lost),
    )


def snap(offset: np.ndarray, step: int, tolerance_seconds: int) -> np.ndarray:
    """Return the slot whose start is nearest to each offset, -1 if none is within the tolerance; int64."""
    nearest, within = _nearest(offset, step, tolerance_seconds)
    return np.where(within, nearest, -1)


def slots_of(
    day: DeliveryDay, minutes: int, starts: np.ndarray, lengths: np.ndarray, tolerance_seconds: int
) -> np.ndarray:
    """Return the slots that deliveries of any interval begin in, -1 outside of the day; int64, shape (N,)."""
    meant = meant_offset(starts - day.start, lengths.astype(np.int64), tolerance_seconds)
    slot = meant // (minutes * MICROSECONDS_PER_MINUTE)
    return np.where((slot >= 0) & (slot < day.slots(minutes)), slot, -1)


def _nearest(offset: np.ndarray, step: int | np.ndarray, tolerance_seconds: int) -> tuple[np.ndarray, np.ndarray]:
    tolerance = np.minimum(tolerance_seconds * MICROSECONDS_PER_SECOND, (step - 1) // 2)
    nearest = (offset + step // 2) // step
    return nearest, np.abs(offset - nearest * step) <= tolerance


def meant_offset(offset: np.ndarray, length: np.ndarray, tolerance_seconds: int) -> np.ndarray:
    """Return the offsets that drifting stamps of any interval mean: the boundary of their own interval."""
    step = np.maximum(length, 1) * MICROSECONDS_PER_MINUTE
    nearest, within = _nearest(offset, step, tolerance_seconds)
    return np.where(within, nearest * step, offset)


def _touched(offset: np.ndarray, length: np.ndarray, step: int, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the slots that deliveries of any interval touch, and the number of the delivery of each."""
    first = np.clip(offset // step, 0, slots - 1)
    last = np.clip((offset + np.maximum(length, 1) * MICROSECONDS_PER_MINUTE - 1) // step, 0, slots - 1)
    count = last - first + 1
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + within, np.repeat(np.arange(len(count)), count)
