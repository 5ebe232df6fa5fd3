"""Validation of a shard: deliveries are scattered onto the interval grid and the rules run over it.

Belongs here: the order of the steps. Does not belong here: the rules (``rules.py``), the selection of versions
(``versions.py``), registers (``registers.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.vee import rules as rule
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import Deliveries, SeriesTable, Tally, ValidatedGrid
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.registers import RegisterIntervals, register_intervals
from metrify_assets.vee.versions import NOTHING, choose_versions


def validate_shard(
    day: DeliveryDay,
    series: SeriesTable,
    deliveries: Deliveries,
    following_registers: Deliveries | None,
    rules: RuleSet,
) -> tuple[list[ValidatedGrid], Tally]:
    """Validate the deliveries of one day and shard.

    Parameters
    ----------
    day : DeliveryDay
    series : SeriesTable
        Registry rows of the shard that are valid on the day.
    deliveries : Deliveries
        Raw rows of the day and shard, in any order.
    following_registers : Deliveries, optional
        Register reads of the next day, with ``series`` indexing the same table; only those at the day's end are
        used, as closing reads of the last slot. They belong to the next day's counts.
    rules : RuleSet

    Returns
    -------
    grids : list of ValidatedGrid
        One per distinct expected interval, the shortest first. A series whose interval does not divide the day (1,440
        minutes on a day of 23 hours) has no slots on it: it is in no grid, and its deliveries are off-grid.
    tally : Tally

    Raises
    ------
    ValueError
        If a delivery points outside of the series table, or two competing deliveries have the same ``order``.
    """
    _require_known_series(deliveries, series)
    if following_registers is not None:
        _require_known_series(following_registers, series)
    intervals, registers = _by_kind(day, deliveries, following_registers)

    grids = []
    placed = Tally()
    for minutes in np.unique(series.interval_minutes).tolist():
        if day.minutes % minutes:
            without_slots = np.append(series.interval_minutes == minutes, False)
            lost = int(np.count_nonzero(without_slots[intervals.series]))
            placed += Tally(current=lost, off_grid=lost)
            continue
        grid, counts = _validate_resolution(day, series, minutes, intervals, registers, rules)
        grids.append(grid)
        placed += counts
    unassigned = int(np.count_nonzero(intervals.series < 0))
    return grids, placed + Tally(
        raw=len(intervals),
        current=unassigned,
        unassigned=unassigned,
        register_reads=len(deliveries) - len(intervals),
    )


def _require_known_series(deliveries: Deliveries, series: SeriesTable) -> None:
    if len(deliveries) and not (deliveries.series.min() >= -1 and deliveries.series.max() < len(series)):
        raise ValueError(f"deliveries point outside of the series table of {len(series)} rows")


def _by_kind(
    day: DeliveryDay, deliveries: Deliveries, following_registers: Deliveries | None
) -> tuple[Deliveries, Deliveries | None]:
    """Return the interval rows, and the register rows together with those at the day's end (None without any)."""
    registers = deliveries.take(deliveries.is_register) if deliveries.is_register.any() else None
    intervals = deliveries if registers is None else deliveries.take(~deliveries.is_register)
    # Closing reads alone make no difference of two reads.
    if registers is not None and following_registers is not None:
        at_end = following_registers.is_register & (following_registers.start == day.end)
        registers = registers.joined(following_registers.take(at_end))
    return intervals, registers


def _validate_resolution(
    day: DeliveryDay,
    series: SeriesTable,
    minutes: int,
    intervals: Deliveries,
    registers: Deliveries | None,
    rules: RuleSet,
) -> tuple[ValidatedGrid, Tally]:
    """Return the grid of the series with one expected interval, and the counts of the deliveries that it holds."""
    members = np.flatnonzero(series.interval_minutes == minutes)
    slots = day.slots(minutes)
    shape = (len(members), slots)
    # The extra entry at the end is where the index -1 of an unassigned delivery leads.
    row_of_series = np.full(len(series) + 1, -1)
    row_of_series[members] = np.arange(len(members))

    rows, cells, off_grid = _place(day, minutes, row_of_series, intervals)
    chosen = choose_versions(intervals, rows, cells, len(members) * slots)
    is_delivered = (chosen.row != NOTHING).reshape(shape)
    source_status = chosen.gather(intervals.rank).reshape(shape)
    has_value = is_delivered & ~chosen.gather(intervals.is_null).reshape(shape)
    delivered = chosen.gather(intervals.value).reshape(shape)
    delivered[~has_value] = 0
    flags = chosen.flags.reshape(shape)
    # A value that its sender calls missing is refused like a blank; the value itself is kept.
    _raise(flags, is_delivered & (source_status == SourceStatus.MISSING), Flag.BLANK)
    grid = ValidatedGrid(
        series=members.astype(np.int32),
        interval_minutes=minutes,
        starts=day.slot_starts(minutes),
        delivered=delivered,
        has_value=has_value,
        source_status=source_status,
        version=chosen.version.reshape(shape),
        flags=flags,
        received_at=chosen.gather(intervals.received_at).reshape(shape),
    )
    from_register = register_intervals(day, minutes, row_of_series, registers) if registers is not None else None
    if from_register is not None:
        _fill_from_registers(grid, from_register, is_delivered)
    _raise(flags, ~(is_delivered | has_value), Flag.GAP)
    _apply_rules(grid, series.one_direction[members], series.limit_kw[members], rules)

    # Each count is taken from its own mask: that they add up is checked, not assumed.
    return grid, Tally(
        current=int(np.count_nonzero(is_delivered)) + off_grid,
        identical=chosen.identical,
        superseded=chosen.superseded,
        measured=int(np.count_nonzero(is_delivered & grid.valid)),
        refused=int(np.count_nonzero(is_delivered & grid.refused)),
        off_grid=off_grid,
    )


def _place(
    day: DeliveryDay, minutes: int, row_of_series: np.ndarray, intervals: Deliveries
) -> tuple[np.ndarray | None, np.ndarray, int]:
    """Return the deliveries that fit an expected slot (None = all), their cells (row * slots + slot), and how many
    deliveries of these series fit none.
    """
    step = minutes * MICROSECONDS_PER_MINUTE
    slots = day.slots(minutes)
    offset = intervals.start - day.start
    slot = offset // step
    row = row_of_series[intervals.series]
    fits = (row >= 0) & (intervals.minutes == minutes) & (slot >= 0) & (slot < slots) & (slot * step == offset)
    cells = row * slots + slot
    if fits.all():
        return None, cells, 0
    rows = np.flatnonzero(fits)
    return rows, cells[rows], int(np.count_nonzero((row >= 0) & ~fits))


def _fill_from_registers(grid: ValidatedGrid, derived: RegisterIntervals, is_delivered: np.ndarray) -> None:
    """Write register differences into the slots that no interval delivery, blank included, has reached."""
    fill = derived.known & ~is_delivered[derived.row]
    row, slot = np.nonzero(fill)
    cell = (derived.row[row], slot)
    grid.delivered[cell] = derived.value[fill]
    grid.has_value[cell] = True
    grid.source_status[cell] = derived.source_status[fill]
    grid.version[cell] = derived.version[fill]
    grid.received_at[cell] = derived.received_at[fill]
    # A counter does not run backwards, whatever the channel.
    negative = derived.below_zero[fill] | (derived.value[fill] < 0)
    grid.flags[cell] = derived.flags[fill] | np.int32(Flag.FROM_REGISTER) | negative * np.int32(Flag.NEGATIVE)


def _apply_rules(grid: ValidatedGrid, one_direction: np.ndarray, limit_kw: np.ndarray, rules: RuleSet) -> None:
    """Raise the flags of the rules on values: first those that refuse, then the findings on what stands."""
    delivered, minutes = grid.delivered, grid.interval_minutes
    _raise(grid.flags, rule.negative(delivered, grid.has_value, one_direction[:, None]), Flag.NEGATIVE)
    limit_kw = np.where(np.isnan(limit_kw), rules.unknown_connection_kw, limit_kw)
    beyond = rule.physical_limit(delivered, grid.has_value, limit_kw, minutes, rules.physical_limit_percent)
    _raise(grid.flags, beyond, Flag.PHYSICAL_LIMIT)

    # No flag raised below refuses a value, so the mask stays true to the grid that is returned.
    valid = grid.valid
    spikes = rule.spike(delivered, valid, minutes, rules.spike_excess_percent, rules.spike_floor_kw)
    _raise(grid.flags, spikes, Flag.SPIKE)
    _raise(grid.flags, rule.stuck(delivered, valid, minutes, rules.stuck_minutes, rules.stuck_slots), Flag.STUCK)
    _raise(grid.flags, rule.zero_run(delivered, valid, minutes, rules.zero_run_minutes), Flag.ZERO_RUN)


def _raise(flags: np.ndarray, mask: np.ndarray, flag: Flag) -> None:
    """Set ``flag`` in the slots of ``mask``; findings are rare, so only they are written."""
    flags[mask] |= np.int32(flag)
