"""Other days as estimation sees them: validated measurements, read only where they are needed.

Belongs here: the interface between estimation and whoever stores validated days. Does not belong here: reading them
(the asset layer), choosing them (``like_days.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import numpy as np

from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import is_outlier
from metrify_assets.vee.midnight import EdgeRuns


@dataclass(frozen=True, eq=False)
class HistoryDay:
    """Validated values of another day, for R rows of a grid and the S' slots of that day.

    Attributes
    ----------
    local_minutes : int64 array, shape (S',)
        Local wall-clock minute at which each slot starts.
    values : int64 array, shape (R, S')
        Micro-kWh; of no meaning where not ``valid``.
    valid : bool array, shape (R, S')
        May be the edge of a line: a value better than a provisional one stands and is no outlier, or an outage was
        declared (zero). A series that has no entry, or another interval, on that day is all invalid.
    measured : bool array, shape (R, S')
        A value stands, its sender called it measured or a person decided on it, and no outage was declared.
    """

    local_minutes: np.ndarray
    values: np.ndarray
    valid: np.ndarray
    measured: np.ndarray

    @classmethod
    def from_validated(
        cls,
        day: DeliveryDay,
        interval_minutes: int,
        delivered: np.ndarray,
        has_value: np.ndarray,
        source_status: np.ndarray,
        flags: np.ndarray,
    ) -> HistoryDay:
        """Build a day from planes of its validated grid, each of shape (R, S')."""
        stands = has_value & ((flags & np.int32(Flag.REFUSED)) == 0)
        unsupplied = (flags & np.int32(Flag.OUTAGE)) != 0
        outage = unsupplied & ~stands
        return cls(
            local_minutes=day.local_minutes(interval_minutes),
            values=np.where(outage, 0, delivered),
            valid=(stands & (source_status != SourceStatus.PROVISIONAL) & ~is_outlier(flags, source_status)) | outage,
            measured=stands & (source_status >= SourceStatus.MEASURED) & ~unsupplied,
        )

    def without(self, slots: BoolArray) -> HistoryDay:
        """Return the day without the values of some slots; bool, shape (R, S')."""
        return replace(self, valid=self.valid & ~slots, measured=self.measured & ~slots)


@dataclass(frozen=True, eq=False)
class DayTotals:
    """What another day adds up to, for R rows of a grid.

    Attributes
    ----------
    energy : int64 array, shape (R,)
        Sum of the values that stand, micro-kWh.
    complete : bool array, shape (R,)
        Every slot is measured, or was decided on by a person, and lies in no declared outage.
    measured_slots : int64 array, shape (R,)
        Slots that are.
    registered : bool array, shape (R,)
        Whether the series has slots on that day; all else is of no meaning where it has none.
    edges : EdgeRuns, optional
        Runs of one value at the day's ends; None where the day was stored before they were.
    """

    energy: np.ndarray
    complete: np.ndarray
    measured_slots: np.ndarray
    registered: np.ndarray
    edges: EdgeRuns | None = None

    def take(self, rows: np.ndarray) -> DayTotals:
        """Return the totals of some series; one at -1 has no slots on the day."""
        there = rows >= 0
        return DayTotals(
            energy=self.energy[rows],
            complete=self.complete[rows] & there,
            measured_slots=self.measured_slots[rows],
            registered=self.registered[rows] & there,
            edges=self.edges.take(rows) if self.edges is not None else None,
        )


@dataclass(frozen=True, eq=False)
class CompleteDay:
    """Values of a day on which R series are measured throughout.

    Attributes
    ----------
    local_minutes : int64 array, shape (S',)
    values : int64 array, shape (R, S')
        Micro-kWh.
    """

    local_minutes: np.ndarray
    values: np.ndarray


class History(Protocol):
    """Access to other days' validated grids, of the interval of the grid that is being cleaned."""

    def complete_day(self, day: date, rows: np.ndarray) -> CompleteDay | None:
        """Return another day for series that are complete on it (``DayTotals``); None if there is no such day."""
        ...

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        """Return what another day adds up to for the series in ``rows``; None if there is no such day."""
        ...

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return another day for the series in ``rows``, aligned to them; None if there is no such day.

        Parameters
        ----------
        day : date
        rows : int array, shape (R,)
            Rows of the grid being cleaned (not of the ``SeriesTable``), ascending.
        """
        ...
