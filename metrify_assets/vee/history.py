"""Other days as estimation sees them: validated measurements, read only where they are needed.

Belongs here: the interface between estimation and whoever stores validated days. Does not belong here: reading them
(the asset layer), choosing them (``like_days.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np

from metrify_assets.vee.codes import REFUSING, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay


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
        A value stands. A series that has no entry, or another interval, on that day is all invalid.
    measured : bool array, shape (R, S')
        A value stands and its sender called it measured.
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
        valid = has_value & ((flags & np.int32(REFUSING)) == 0)
        return cls(
            local_minutes=day.local_minutes(interval_minutes),
            values=delivered,
            valid=valid,
            measured=valid & (source_status == SourceStatus.MEASURED),
        )


class History(Protocol):
    """Access to other days' validated grids, of the interval of the grid that is being cleaned."""

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return another day for the series in ``rows``, aligned to them; None if there is no such day.

        Parameters
        ----------
        day : date
        rows : int array, shape (R,)
            Rows of the grid being cleaned (not of the ``SeriesTable``), ascending.
        """
        ...
