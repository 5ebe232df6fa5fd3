"""Validation of a shard: deliveries are scattered onto the interval grid and the rules run over it.

Belongs here: the order of the steps. Does not belong here: the rules (``rules.py``), what their findings do
(``rulebook.py``), which deliveries a slot is made of (``selection.py``), registers (``registers.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metrify_assets.vee import rules as rule
from metrify_assets.vee.arrays import BoolArray, Int32Array
from metrify_assets.vee.codes import Flag, Severity, SourceStatus
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import CHECK_REGISTER, Deliveries, SeriesTable, Tally, ValidatedGrid
from metrify_assets.vee.own_rules import SeriesOfDay
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.placement import Placement, place
from metrify_assets.vee.registers import READ_GRID_MINUTES, RegisterIntervals, register_intervals
from metrify_assets.vee.rulebook import FLAG, RULE, DayRules, severity_of
from metrify_assets.vee.selection import Selector, Sums, feed_of_series, with_checked_units
from metrify_assets.vee.versions import NOTHING, Chosen


@dataclass(frozen=True, eq=False)
class Outages:
    """Declared outages of the shard; arrays of shape (O,).

    Attributes
    ----------
    series : int array
        Row in the ``SeriesTable``.
    start, end : int64 arrays
        First instant without supply, first instant with supply again.
    """

    series: np.ndarray
    start: np.ndarray
    end: np.ndarray


def validate_shard(
    day: DeliveryDay,
    series: SeriesTable,
    deliveries: Deliveries,
    following_registers: Deliveries | None,
    rules: DayRules,
    *,
    outages: Outages | None = None,
    feeds: tuple[str, ...] = (),
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
    rules : DayRules
    outages : Outages, optional
    feeds : tuple of str
        Names of the feeds that ``deliveries.feed`` numbers; needed where rules differ by feed.

    Returns
    -------
    grids : list of ValidatedGrid
        One per distinct expected interval, the shortest first. A series whose interval does not divide the day (1,440
        minutes on a day of 23 hours) has no slots on it: it is in no grid, and its deliveries are off-grid. So are
        interval deliveries of a register that has no slots.
    tally : Tally
        Deliveries in a wrong unit are unassigned: they are not what the registry knows.

    Raises
    ------
    ValueError
        If a delivery points outside of the series table, or two competing deliveries have the same ``order``.
    """
    _require_known_series(deliveries, series)
    if following_registers is not None:
        _require_known_series(following_registers, series)
    deliveries = with_checked_units(deliveries, rules)
    following_registers = following_registers and with_checked_units(following_registers, rules)
    intervals, registers = _by_kind(day, deliveries, following_registers)
    wrong_unit = intervals.wrong_unit & (intervals.series >= 0)
    wrong_unit_reads = intervals.take(wrong_unit) if wrong_unit.any() else None
    accepted = intervals.take(~wrong_unit) if wrong_unit_reads is not None else intervals
    latest_feed = feed_of_series(series, deliveries, rules, feeds)

    grids = []
    placed = Tally()
    for minutes in np.unique(series.interval_minutes).tolist():
        if minutes == CHECK_REGISTER or day.minutes % minutes:
            without_slots = np.append(series.interval_minutes == minutes, False)
            lost = int(np.count_nonzero(without_slots[accepted.series]))
            placed += Tally(current=lost, off_grid=lost)
            continue
        work = _Resolution(Selector(day, series, minutes, rules, latest_feed), outages)
        grid, counts = work.validate(accepted, registers, wrong_unit_reads)
        grids.append(grid)
        placed += counts
    unassigned = int(np.count_nonzero(intervals.series < 0)) + int(np.count_nonzero(wrong_unit))
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
        # Those that lie further in than a clock may drift are on no boundary of this day's slots.
        near = np.abs(following_registers.start - day.end) < READ_GRID_MINUTES * MICROSECONDS_PER_MINUTE
        registers = registers.joined(following_registers.take(following_registers.is_register & near))
    if registers is not None and registers.wrong_unit.any():
        registers = registers.take(~registers.wrong_unit)
    return intervals, registers


class _Resolution:
    """Validation of the series with one expected interval.

    Parameters
    ----------
    selector : Selector
    outages : Outages or None
        As in ``validate_shard``.
    """

    def __init__(self, selector: Selector, outages: Outages | None) -> None:
        self.selector, self.outages = selector, outages
        self.day, self.series, self.minutes, self.rules = (
            selector.day,
            selector.series,
            selector.minutes,
            selector.rules,
        )
        self.members, self.shape, self.row_of_series = selector.members, selector.shape, selector.row_of_series
        # Slots whose value is made of something negative that cannot be, whatever the value itself.
        self.below_zero = np.zeros(self.shape, dtype=bool)

    def validate(
        self, intervals: Deliveries, registers: Deliveries | None, wrong_unit_reads: Deliveries | None
    ) -> tuple[ValidatedGrid, Tally]:
        """Return the grid, and the counts of the deliveries that it holds."""
        selected = self.selector.select(intervals)
        chosen, placement = selected.chosen, selected.placement
        grid, is_delivered = self._grid(intervals, chosen, placement)
        tally = Tally(identical=chosen.identical, superseded=chosen.superseded)
        parts = is_delivered.astype(np.int64)
        off_grid = len(placement.off_grid)
        for sums in selected.sums:
            off_grid += self._fill_from_finer(grid, sums, is_delivered, parts)
            tally += Tally(identical=sums.values.chosen.identical, superseded=sums.values.chosen.superseded)
        if registers is not None:
            derived = register_intervals(
                self.day, self.minutes, self.row_of_series, registers, self.series, self.rules.rules
            )
            if derived is not None:
                _fill_from_registers(grid, derived, is_delivered, self.below_zero)
        if wrong_unit_reads is not None:
            tolerance = self.selector.tolerance_seconds
            misplaced = place(self.day, self.minutes, self.row_of_series, wrong_unit_reads, tolerance)
            grid.flags.ravel()[misplaced.cells] |= np.int32(Flag.UNIT_MISMATCH)
        _raise(grid.flags, ~(is_delivered | grid.has_value), Flag.GAP)
        for rules, rows in self.selector.groups:
            self._apply_rules(grid, is_delivered, rules, rows)
        self._mark_outages(grid)

        # Each count is taken from its own mask: that they add up is checked, not assumed.
        return grid, tally + Tally(
            current=int(parts.sum()) + off_grid,
            measured=int(parts[is_delivered & grid.valid].sum()),
            refused=int(parts[is_delivered & grid.refused].sum()),
            off_grid=off_grid,
        )

    def _grid(self, intervals: Deliveries, chosen: Chosen, placement: Placement) -> tuple[ValidatedGrid, np.ndarray]:
        """Return the grid of the chosen deliveries, and which slots have one."""
        shape = self.shape
        is_delivered = (chosen.row != NOTHING).reshape(shape)
        source_status = chosen.gather(intervals.rank).reshape(shape)
        has_value = is_delivered & ~chosen.gather(intervals.is_null).reshape(shape)
        delivered = chosen.gather(intervals.value).reshape(shape)
        delivered[~has_value] = 0
        flags = chosen.flags.reshape(shape)
        # A value that its sender calls missing is refused like a blank; the value itself is kept.
        blank = is_delivered & (source_status == SourceStatus.MISSING)
        _raise(flags, blank, Flag.BLANK | Flag.REFUSED)
        flags.ravel()[placement.drifted] |= np.int32(Flag.CLOCK_DRIFT)
        flags.ravel()[placement.mismatched] |= np.int32(Flag.INTERVAL_SIZE)
        grid = ValidatedGrid(
            series=self.members.astype(np.int32),
            interval_minutes=self.minutes,
            starts=self.day.slot_starts(self.minutes),
            delivered=delivered,
            has_value=has_value,
            source_status=source_status,
            version=chosen.version.reshape(shape),
            flags=flags,
            received_at=chosen.gather(intervals.received_at).reshape(shape),
        )
        return grid, is_delivered

    def _fill_from_finer(self, grid: ValidatedGrid, sums: Sums, is_delivered: np.ndarray, parts: np.ndarray) -> int:
        """Write the sums that are used into their slots; return how many current deliveries are in none."""
        finer, free = sums.values, sums.used
        cell = finer.cell[free]
        for plane, values in (
            (grid.delivered, finer.value),
            (grid.has_value, np.ones(len(finer.cell), dtype=bool)),
            (grid.source_status, finer.source_status),
            (grid.version, finer.version),
            (grid.received_at, finer.received_at),
            (is_delivered, np.ones(len(finer.cell), dtype=bool)),
            (parts, finer.parts),
        ):
            plane.ravel()[cell] = values[free]
        grid.flags.ravel()[cell] |= finer.flags[free]
        negative = finer.below_zero & self.series.one_direction[self.members][finer.cell // self.shape[1]]
        self.below_zero.ravel()[finer.cell[negative & free]] = True
        return finer.unused + int(finer.parts[~free].sum())

    def _mark_outages(self, grid: ValidatedGrid) -> None:
        """Flag the slots of declared outages; where no value stands there, nothing is missing."""
        if self.outages is None:
            return
        row = self.row_of_series[self.outages.series]
        ours = row >= 0
        inside = rule.outage(
            grid.starts, self.minutes, row[ours], self.outages.start[ours], self.outages.end[ours], self.shape
        )
        _raise(grid.flags, inside, Flag.OUTAGE)
        grid.flags[inside] &= ~np.int32(Flag.GAP)

    def _apply_rules(
        self, grid: ValidatedGrid, is_delivered: np.ndarray, rules: RuleSet, rows: np.ndarray | slice
    ) -> None:
        """Raise the flags of the rules on values: those that refuse first, then those on what is left."""
        minutes, members = self.minutes, self.members[rows]
        delivered, has_value = grid.delivered[rows], grid.has_value[rows]
        edited = grid.source_status[rows] == SourceStatus.EDITED
        flags = grid.flags[rows]

        def apply(name: str, find: Callable[[], np.ndarray], present: np.ndarray) -> None:
            severity = severity_of(name, rules)
            if severity is Severity.OFF:
                return
            mask = find()
            _raise(flags, mask, FLAG[name])
            if severity is Severity.BLOCK:
                refused = mask & present
                _raise(flags, refused & ~edited if RULE[name].spares_edits else refused, Flag.REFUSED)

        limit_kw = rule.connection_kw(self.series.limit_kw[members], rules)
        unsigned = self.series.one_direction[members][:, None]
        apply(
            "negative",
            lambda: rule.negative(delivered, has_value, unsigned) | self.below_zero[rows],
            has_value,
        )
        apply(
            "physical_limit",
            lambda: rule.physical_limit(delivered, has_value, limit_kw, minutes, rules.physical_limit_percent),
            has_value,
        )
        local_minutes = self.day.local_minutes(minutes)
        apply("collapsed_dst", lambda: rule.collapsed_dst(is_delivered[rows] | has_value, local_minutes), has_value)

        # What is refused up to here is no value to the rules below; among each other they do not matter.
        valid = has_value & ((flags & np.int32(Flag.REFUSED)) == 0)
        apply(
            "spike",
            lambda: rule.spike(delivered, valid, minutes, rules.spike_excess_percent, rules.spike_floor_kw).mask,
            valid,
        )
        apply(
            "robust_outlier",
            lambda: (
                rule.robust_outlier(
                    delivered, valid, minutes, rules.outlier_window_minutes, rules.outlier_k, rules.outlier_floor_kw
                ).mask
            ),
            valid,
        )
        apply("stuck", lambda: rule.stuck(delivered, valid, minutes, rules.stuck_minutes, rules.stuck_slots), valid)
        apply("zero_run", lambda: rule.zero_run(delivered, valid, minutes, rules.zero_run_minutes), valid)
        for own in self.rules.own:
            if severity_of(own.name, rules) is not Severity.OFF:
                _raise(flags, own.findings(self._series_of_day(members, delivered, valid)), own.flag)
        if not isinstance(rows, slice):
            grid.flags[rows] = flags

    def _series_of_day(self, members: np.ndarray, delivered: np.ndarray, valid: np.ndarray) -> SeriesOfDay:
        """Return what a rule of another package sees; it cannot write into the grid."""
        values, stands = delivered.view(), valid.view()
        values.flags.writeable = stands.flags.writeable = False
        return SeriesOfDay(
            day=self.day.day,
            interval_minutes=self.minutes,
            starts=self.day.slot_starts(self.minutes),
            delivered=values,
            valid=stands,
            point_id=self.series.point_id[members],
            obis_code=self.series.obis_code[members],
            point_class=self.series.point_class[members],
            limit_kw=self.series.limit_kw[members],
        )


def _fill_from_registers(
    grid: ValidatedGrid, derived: RegisterIntervals, is_delivered: np.ndarray, below_zero: np.ndarray
) -> None:
    """Write register differences into the slots that no interval delivery, blank included, has reached."""
    free = ~is_delivered[derived.row]
    fill = derived.known & free
    row, slot = np.nonzero(fill)
    cell = (derived.row[row], slot)
    grid.delivered[cell] = derived.value[fill]
    grid.has_value[cell] = True
    grid.source_status[cell] = derived.source_status[fill]
    grid.version[cell] = derived.version[fill]
    grid.received_at[cell] = derived.received_at[fill]
    below_zero[cell] = derived.below_zero[fill]
    # A counter does not run backwards, whatever the channel.
    decrease = derived.value[fill] < 0
    grid.flags[cell] |= (
        derived.flags[fill] | np.int32(Flag.FROM_REGISTER) | decrease * np.int32(Flag.REGISTER_DECREASE | Flag.REFUSED)
    )
    row, slot = np.nonzero(derived.misfit & free)
    grid.flags[derived.row[row], slot] |= np.int32(Flag.REGISTER_DECREASE)


def _raise(flags: Int32Array, mask: BoolArray, flag: Flag | int) -> None:
    """Set ``flag`` in the slots of ``mask``; findings are rare, so only they are written."""
    flags[mask] |= np.int32(flag)
