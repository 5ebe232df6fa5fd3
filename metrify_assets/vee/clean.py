"""Estimation of a shard: every expected slot gets a value, or is missing, with status, method and reason.

Belongs here: the cascade, the first method that applies. Does not belong here: the methods themselves
(``interpolate.py``, ``like_days.py``).
"""

from __future__ import annotations

from datetime import date

import numpy as np

from metrify_assets.vee.codes import Flag, Method, Reason, SourceStatus, Status
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_CODE, NO_CODE, REASON_CODE, STATUS_CODE, CleanGrid, ValidatedGrid
from metrify_assets.vee.history import History, HistoryDay
from metrify_assets.vee.interpolate import interpolate_short_gaps
from metrify_assets.vee.like_days import LikeDays, like_day_estimate
from metrify_assets.vee.parameters import EstimationParameters

_REASON_OF_FLAG = (
    (Flag.PHYSICAL_LIMIT, Reason.PHYSICAL_LIMIT),
    (Flag.NEGATIVE, Reason.NEGATIVE),
    (Flag.BLANK, Reason.BLANK),
    (Flag.GAP, Reason.GAP),
)
"""Written in this order, so that the last of several wins."""


def clean_shard(
    day: DeliveryDay,
    grid: ValidatedGrid,
    history: History,
    calendar: LikeDays,
    parameters: EstimationParameters,
) -> tuple[CleanGrid, frozenset[date]]:
    """Estimate what is not valid in one resolution of a shard.

    Parameters
    ----------
    day : DeliveryDay
    grid : ValidatedGrid
        The day's grid; it is not changed.
    history : History
        Other days' validated grids for the rows of this one. Estimates never enter.
    calendar : LikeDays
    parameters : EstimationParameters

    Returns
    -------
    grid : CleanGrid
    days : frozenset of date
        Every other day that was asked for, those that do not exist included: the result depends on them and on no
        other day.

    Raises
    ------
    ValueError
        If the grid is not one of ``day``.

    Notes
    -----
    A valid value keeps its place: measured, the sender's substitute (estimated) or provisional. Else linear
    interpolation, else the mean of like days, else the slot is missing; missing is never zero.
    """
    if not np.array_equal(grid.starts, day.slot_starts(grid.interval_minutes)):
        raise ValueError(f"the grid does not hold the slots of {day.day}")
    clean = _delivered_values(grid)
    if grid.valid.all():
        return clean, frozenset()
    looked_at = _estimate_linear(day, grid, clean, history, parameters)
    looked_at |= _estimate_like_day(day, grid, clean, history, calendar, parameters)
    return clean, frozenset(looked_at)


def _delivered_values(grid: ValidatedGrid) -> CleanGrid:
    """Return the clean grid before estimation: valid values stand, everything else is missing with its reason."""
    valid = grid.valid
    # Missing unless something better is known: the order of ``Status`` has nothing to do with it.
    status = np.full(valid.shape, STATUS_CODE[Status.MISSING], dtype=np.int8)
    method = np.full(valid.shape, NO_CODE, dtype=np.int8)
    reason = np.full(valid.shape, NO_CODE, dtype=np.int8)
    substitute = valid & (grid.source_status == SourceStatus.SUBSTITUTE)
    status[valid & (grid.source_status == SourceStatus.MEASURED)] = STATUS_CODE[Status.MEASURED]
    status[valid & (grid.source_status == SourceStatus.PROVISIONAL)] = STATUS_CODE[Status.PROVISIONAL]
    status[substitute] = STATUS_CODE[Status.ESTIMATED]
    method[substitute] = METHOD_CODE[Method.SENDER_SUBSTITUTE]
    for flag, name in _REASON_OF_FLAG:
        reason[(grid.flags & np.int32(flag)) != 0] = REASON_CODE[name]
    return CleanGrid(
        series=grid.series,
        interval_minutes=grid.interval_minutes,
        starts=grid.starts,
        value=np.where(valid, grid.delivered, 0),
        has_value=valid.copy(),
        status=status,
        method=method,
        reason=reason,
        flags=grid.flags,
        version=grid.version,
        received_at=grid.received_at,
        delivered=grid.delivered,
        has_delivered=grid.has_value,
    )


def _estimate_linear(
    day: DeliveryDay, grid: ValidatedGrid, clean: CleanGrid, history: History, parameters: EstimationParameters
) -> set[date]:
    """Write the interpolated slots into ``clean``; return the neighbouring days that were asked for."""
    looked_at = set()

    def neighbour(days: int, rows: np.ndarray) -> HistoryDay | None:
        other = day.plus(days).day
        looked_at.add(other)
        return history.history(other, rows)

    points = interpolate_short_gaps(
        clean.value,
        grid.valid,
        parameters.max_linear_gap_minutes // grid.interval_minutes,
        previous_day=lambda rows: neighbour(-1, rows),
        next_day=lambda rows: neighbour(1, rows),
    )
    _write(clean, (points.row, points.slot), points.value, Method.LINEAR)
    return looked_at


def _estimate_like_day(
    day: DeliveryDay,
    grid: ValidatedGrid,
    clean: CleanGrid,
    history: History,
    calendar: LikeDays,
    parameters: EstimationParameters,
) -> frozenset[date]:
    """Write like-day means into what is still missing in ``clean``; return the days that were asked for."""
    rows = np.flatnonzero(~clean.has_value.all(axis=1))
    if len(rows) == 0:
        return frozenset()
    needed = ~clean.has_value[rows]
    local_minutes = day.local_minutes(grid.interval_minutes)
    estimate = like_day_estimate(day.day, local_minutes, rows, needed, history, calendar, parameters)
    row, slot = np.nonzero(estimate.has_value)
    _write(clean, (rows[row], slot), estimate.value[row, slot], Method.LIKE_DAY)
    return estimate.days


def _write(clean: CleanGrid, cell: tuple[np.ndarray, np.ndarray], value: np.ndarray, method: Method) -> None:
    clean.value[cell] = value
    clean.has_value[cell] = True
    clean.status[cell] = STATUS_CODE[Status.ESTIMATED]
    clean.method[cell] = METHOD_CODE[method]
