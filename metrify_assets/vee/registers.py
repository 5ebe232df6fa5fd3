"""Register reads to interval values: the difference of a counter over a slot.

Belongs here: differences on the slots of one resolution. Does not belong here: roll-over, exchange and the sum check
against interval reads, which need more than one day's reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import Deliveries
from metrify_assets.vee.versions import choose_versions


@dataclass(frozen=True, eq=False)
class RegisterIntervals:
    """Energy from counters, for the rows of a grid that have register reads (R of them).

    Attributes
    ----------
    row : int array, shape (R,)
        Rows of the grid, ascending.
    value : int64 array, shape (R, S)
        Closing read less opening read, micro-kWh; 0 where ``known`` is false.
    known : bool array, shape (R, S)
        Both reads exist.
    below_zero : bool array, shape (R, S)
        One of the two reads is negative, which no counter can be.
    source_status, version, flags, received_at : arrays, shape (R, S)
        The lower status, the larger version, the flags of either and the later reception of the two reads.
    """

    row: np.ndarray
    value: np.ndarray
    known: np.ndarray
    below_zero: np.ndarray
    source_status: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    received_at: np.ndarray


def register_intervals(
    day: DeliveryDay, interval_minutes: int, row_of_series: np.ndarray, registers: Deliveries
) -> RegisterIntervals | None:
    """Turn register reads into interval values: slot t is register(t + step) - register(t) where both reads exist.

    Parameters
    ----------
    day : DeliveryDay
    interval_minutes : int
        Expected interval; reads between the slot boundaries are not used.
    row_of_series : int array, shape (P + 1,)
        Grid row of each series, -1 for series of another resolution; the last entry, reached by index -1, is -1.
    registers : Deliveries
        Register reads of the day, and those at the day's end (the opening reads of the next day).

    Returns
    -------
    RegisterIntervals, or None where no series of this resolution has register reads.
    """
    step = interval_minutes * MICROSECONDS_PER_MINUTE
    boundaries = day.slots(interval_minutes) + 1
    offset = registers.start - day.start
    boundary = offset // step
    row = row_of_series[registers.series]
    usable = (
        (row >= 0)
        & (boundary >= 0)
        & (boundary < boundaries)
        & (boundary * step == offset)
        & (registers.rank > SourceStatus.MISSING)
    )
    rows = np.flatnonzero(usable)
    if len(rows) == 0:
        return None
    grid_rows, compact = np.unique(row[rows], return_inverse=True)
    shape = (len(grid_rows), boundaries)
    chosen = choose_versions(registers, rows, compact * boundaries + boundary[rows], len(grid_rows) * boundaries)

    def plane(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reads = values.reshape(shape)
        return reads[:, :-1], reads[:, 1:]

    opening, closing = plane(chosen.gather(registers.value))
    has_opening, has_closing = plane(chosen.row >= 0)
    known = has_opening & has_closing
    flags_before, flags_after = plane(chosen.flags)
    return RegisterIntervals(
        row=grid_rows,
        value=np.where(known, closing - opening, 0),
        known=known,
        below_zero=known & ((opening < 0) | (closing < 0)),
        source_status=np.where(known, np.minimum(*plane(chosen.gather(registers.source_status))), 0),
        version=np.where(known, np.maximum(*plane(chosen.version)), 0),
        flags=np.where(known, flags_before | flags_after, 0),
        received_at=np.where(known, np.maximum(*plane(chosen.gather(registers.received_at))), 0),
    )
