"""Estimation of a shard: every expected slot gets a value, or is missing, with status, method and reason.

Belongs here: the cascade, the first method that applies, and the rules that look at whole days. Does not belong here:
the methods themselves (``interpolate.py``, ``similar_days.py``, ``like_days.py``, ``profiles.py``) and scaling to
registers (``constraints.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.codes import Flag, Method, Reason, Severity, SourceStatus, Status
from metrify_assets.vee.daily_use import high_low, prolonged_estimation
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.gaps import DayWithGaps, OtherDaysEstimate
from metrify_assets.vee.grid import (
    METHOD_CODE,
    NO_CODE,
    REASON_CODE,
    STATUS_CODE,
    CleanGrid,
    SeriesTable,
    ValidatedGrid,
    is_one_direction,
)
from metrify_assets.vee.history import DayTotals, History, HistoryDay
from metrify_assets.vee.interpolate import interpolate_short_gaps
from metrify_assets.vee.like_days import LikeDays, like_day_estimate
from metrify_assets.vee.midnight import EdgeRuns, JoinedRuns, runs_over_midnight
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.past_errors import line_offsets, with_like_day_offsets
from metrify_assets.vee.profiles import LoadProfiles
from metrify_assets.vee.rulebook import FLAG, DayRules, severity_of
from metrify_assets.vee.similar_days import similar_day_estimate
from metrify_assets.vee.uncertainty import IntervalPlanes, Offsets

_REASON_OF_FLAG = (
    (Flag.ZERO_RUN, Reason.ZERO_RUN),
    (Flag.STUCK, Reason.STUCK),
    (Flag.ROBUST_OUTLIER, Reason.ROBUST_OUTLIER),
    (Flag.SPIKE, Reason.SPIKE),
    (Flag.COLLAPSED_DST, Reason.COLLAPSED_DST),
    (Flag.PHYSICAL_LIMIT, Reason.PHYSICAL_LIMIT),
    (Flag.NEGATIVE, Reason.NEGATIVE),
    (Flag.BLANK, Reason.BLANK),
    (Flag.GAP, Reason.GAP),
    (Flag.REGISTER_DECREASE, Reason.REGISTER_DECREASE),
    (Flag.OUTAGE, Reason.OUTAGE),
)
"""Written in this order, so that the last of several wins."""

Calendars = Callable[[str | None], LikeDays]
"""Returns the kinds of days in a federal state; None = nationwide."""


@dataclass(frozen=True)
class Basis:
    """What estimation draws on beside the grid itself.

    Attributes
    ----------
    series : SeriesTable
        Registry entries of the grid's rows, in their order.
    history : History
        Other days of these rows. Estimates never enter.
    calendars : callable
    profiles : LoadProfiles
    rules : DayRules
    """

    series: SeriesTable
    history: History
    calendars: Calendars
    profiles: LoadProfiles
    rules: DayRules


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The clean grid of a resolution and the days that it depends on.

    Attributes
    ----------
    grid : CleanGrid
    validated : ValidatedGrid
        The day's grid with the findings on runs that go on over midnight.
    refused_beside : JoinedRuns
        Slots of the days beside it whose values are refused here, as parts of such a run.
    grid_days : frozenset of date
        Every other day whose validated grid was asked for, those that do not exist included.
    total_days : frozenset of date
        Every other day whose totals were asked for.
    """

    grid: CleanGrid
    validated: ValidatedGrid
    refused_beside: JoinedRuns
    grid_days: frozenset[date]
    total_days: frozenset[date]


def clean_shard(day: DeliveryDay, grid: ValidatedGrid, basis: Basis) -> Cleaned:
    """Estimate what is not valid in one resolution of a shard.

    Parameters
    ----------
    day : DeliveryDay
    grid : ValidatedGrid
        The day's grid; it is not changed.
    basis : Basis

    Returns
    -------
    Cleaned
        Before scaling to registers. The result depends on the days named and on no other day.

    Raises
    ------
    ValueError
        If the grid is not one of ``day``.

    Notes
    -----
    A valid value keeps its place: edited (validated), measured, or the sender's substitute (estimated). A declared
    outage is zero. Else linear interpolation, else similar days, else the mean of like days, else the standard load
    profile, else the provisional value if there is one, else the slot is missing; missing is never zero.
    """
    if not np.array_equal(grid.starts, day.slot_starts(grid.interval_minutes)):
        raise ValueError(f"the grid does not hold the slots of {day.day}")
    grid_days: set[date] = set()
    total_days: set[date] = set()
    grid, refused_beside = _with_runs_over_midnight(day, grid, basis, total_days)
    clean = _delivered_values(grid)
    for estimation, ours in basis.rules.estimations(basis.series.point_class):
        wanted = ~clean.has_value
        if estimation.replace_provisional:
            wanted |= clean.status == STATUS_CODE[Status.PROVISIONAL]
        wanted &= ours[:, None]
        if wanted.any():
            cascade = _Cascade(day, grid, clean, wanted, basis, estimation, refused_beside)
            cascade.run()
            grid_days |= cascade.grid_days
            total_days |= cascade.total_days
    total_days |= _look_at_whole_days(day, grid, clean, basis)
    return Cleaned(clean, grid, refused_beside, frozenset(grid_days), frozenset(total_days))


def _with_runs_over_midnight(
    day: DeliveryDay, grid: ValidatedGrid, basis: Basis, total_days: set[date]
) -> tuple[ValidatedGrid, JoinedRuns]:
    """Return the grid with the findings on runs that go on over midnight, and how far those refused go on.

    The days that were looked at are added.
    """
    refused_beside = JoinedRuns.none(len(grid.series))
    groups = [(rules, rows) for rules, rows in basis.rules.groups(basis.series.point_class) if rules.runs_over_midnight]
    if not groups:
        return grid, refused_beside
    flags = grid.flags.copy()
    edges = EdgeRuns.of(grid.delivered, grid.counts_in_runs)
    for rules, members in groups:
        rows = np.arange(len(flags))[members]
        beside = []
        for other in (day.plus(-1).day, day.plus(1).day):
            total_days.add(other)
            totals = basis.history.totals(other, rows)
            beside.append(totals.edges if totals is not None else None)
        ends = edges.take(rows)
        joined = JoinedRuns.of(ends, *beside)
        masks = runs_over_midnight(ends, joined, flags.shape[1], grid.interval_minutes, rules)
        edited = grid.source_status[rows] == SourceStatus.EDITED
        ours = flags[rows]
        for name, mask in zip(("stuck", "zero_run"), masks, strict=True):
            severity = severity_of(name, rules)
            if severity is not Severity.OFF:
                ours[mask] |= np.int32(FLAG[name])
            if severity is Severity.BLOCK:
                refused = mask & ~edited
                ours[refused] |= np.int32(Flag.REFUSED)
                refused_beside.before[rows] += np.where(refused[:, 0], joined.before, 0)
                refused_beside.after[rows] += np.where(refused[:, -1], joined.after, 0)
        flags[rows] = ours
    return replace(grid, flags=flags), refused_beside


def _delivered_values(grid: ValidatedGrid) -> CleanGrid:
    """Return the clean grid before estimation: valid values stand, outages are zero, all else is missing."""
    valid, outage = grid.valid, grid.outage
    # Missing unless something better is known: the order of ``Status`` has nothing to do with it.
    status = np.full(valid.shape, STATUS_CODE[Status.MISSING], dtype=np.int8)
    method = np.full(valid.shape, NO_CODE, dtype=np.int8)
    reason = np.full(valid.shape, NO_CODE, dtype=np.int8)
    status[valid & (grid.source_status == SourceStatus.MEASURED)] = STATUS_CODE[Status.MEASURED]
    status[valid & (grid.source_status == SourceStatus.PROVISIONAL)] = STATUS_CODE[Status.PROVISIONAL]
    for flag, name in _REASON_OF_FLAG:
        reason[((grid.flags & np.int32(flag)) != 0) & ~valid] = REASON_CODE[name]
    for where, its_status, its_method, its_reason in (
        (valid & (grid.source_status == SourceStatus.SUBSTITUTE), Status.ESTIMATED, Method.SENDER_SUBSTITUTE, None),
        (valid & (grid.source_status == SourceStatus.EDITED), Status.VALIDATED, Method.MANUAL, Reason.MANUAL_EDIT),
        (outage, Status.ESTIMATED, Method.DOCUMENTED_ZERO, Reason.OUTAGE),
    ):
        status[where] = STATUS_CODE[its_status]
        method[where] = METHOD_CODE[its_method]
        if its_reason is not None:
            reason[where] = REASON_CODE[its_reason]
    return CleanGrid(
        series=grid.series,
        interval_minutes=grid.interval_minutes,
        starts=grid.starts,
        value=np.where(valid, grid.delivered, 0),
        has_value=valid | outage,
        status=status,
        method=method,
        reason=reason,
        flags=grid.flags.copy(),
        version=grid.version,
        received_at=grid.received_at,
        delivered=grid.delivered,
        has_delivered=grid.has_value,
        interval=IntervalPlanes.empty(valid.shape),
    )


class _Cascade:
    """The methods of estimation in their order, writing into the clean grid.

    Parameters
    ----------
    day, grid, clean, basis
        As in ``clean_shard``.
    wanted : bool array, shape (P, S)
        Slots to be estimated; each method takes what it can.
    estimation : EstimationParameters
    refused_beside : JoinedRuns
        Slots of the days beside this one whose values are refused here, as parts of a run over midnight.
    """

    def __init__(
        self,
        day: DeliveryDay,
        grid: ValidatedGrid,
        clean: CleanGrid,
        wanted: BoolArray,
        basis: Basis,
        estimation: EstimationParameters,
        refused_beside: JoinedRuns,
    ) -> None:
        self.day, self.grid, self.clean, self.wanted, self.basis = day, grid, clean, wanted, basis
        self.estimation = estimation
        self.refused_beside = refused_beside
        self.grid_days: set[date] = set()
        self.total_days: set[date] = set()

    def run(self) -> None:
        """Run all methods."""
        self._linear()
        if self.estimation.similar_days:
            self._similar_day()
        self._like_day()
        if self.estimation.use_profile:
            self._profile()

    def _linear(self) -> None:
        points = interpolate_short_gaps(
            self.clean.value,
            # The line is drawn between values that are no outliers, which are part of the gap in between.
            ~(self.wanted | self.grid.outlier),
            self.estimation.max_linear_gap_minutes // self.grid.interval_minutes,
            previous_day=lambda rows: self._neighbour(-1, rows),
            next_day=lambda rows: self._neighbour(1, rows),
            needed=self.wanted,
        )
        offsets = None
        if self.estimation.intervals:
            offsets = line_offsets(self.grid.delivered, self.grid.ordinary, points)
        self._write((points.row, points.slot), points.value, Method.LINEAR, offsets)

    def _neighbour(self, days: int, rows: np.ndarray) -> HistoryDay | None:
        other = self.day.plus(days).day
        self.grid_days.add(other)
        neighbour = self.basis.history.history(other, rows)
        if neighbour is None:
            return None
        return neighbour.without(self.refused_beside.slots_beside(days, rows, neighbour.valid.shape[1]))

    def _similar_day(self) -> None:
        rows = np.flatnonzero(self.wanted.any(axis=1))
        calendars = [(calendar, np.isin(rows, members)) for calendar, members in by_state(self.basis, rows)]

        def kinds(other: date) -> Int64Array:
            kind = np.empty(len(rows), dtype=np.int64)
            for calendar, ours in calendars:
                kind[ours] = calendar.kind(other)
            return kind

        # An outlier is measured, and no measure of the day.
        gaps = self._gaps(rows, self.grid.ordinary)
        one_direction = self.basis.series.one_direction[rows]
        estimate = similar_day_estimate(
            gaps, one_direction, self.basis.history, kinds, self.estimation, self._neighbour
        )
        self._take(gaps, estimate, Method.SIMILAR_DAY)

    def _like_day(self) -> None:
        for calendar, rows in by_state(self.basis, np.flatnonzero(self.wanted.any(axis=1))):
            gaps = self._gaps(rows, self.grid.measured)
            estimate = like_day_estimate(gaps, self.basis.history, calendar, self.estimation)
            if self.estimation.intervals:
                estimate = with_like_day_offsets(gaps, estimate, self.basis.history, calendar, self.estimation)
            self._take(gaps, estimate, Method.LIKE_DAY)

    def _gaps(self, rows: Int64Array, measured: BoolArray) -> DayWithGaps:
        return DayWithGaps(
            self.day, self.grid.interval_minutes, rows, self.wanted[rows], measured[rows], self.grid.delivered[rows]
        )

    def _take(self, gaps: DayWithGaps, estimate: OtherDaysEstimate, method: Method) -> None:
        """Write an estimate from other days, and note the days that it depends on."""
        row, slot = np.nonzero(estimate.has_value)
        self._write((gaps.rows[row], slot), estimate.value[row, slot], method, estimate.offsets)
        self.grid_days |= estimate.slot_days
        self.total_days |= estimate.sum_days

    def _profile(self) -> None:
        rows = np.flatnonzero(self.wanted.any(axis=1))
        series = self.basis.series
        # A profile says how much is taken from the grid: of import only.
        rows = rows[[is_import(series.obis_code[row]) for row in rows.tolist()]] if len(rows) else rows
        if len(rows) == 0:
            return
        names = np.array([name or "" for name in series.load_profile[rows]], dtype=object)
        holiday = np.zeros(len(rows), dtype=bool)
        for calendar, members in by_state(self.basis, rows):
            holiday[np.isin(rows, members)] = self.day.day in calendar.holidays
        value, has_estimate = self.basis.profiles.estimate(
            self.day, self.grid.interval_minutes, names, series.annual_kwh[rows], holiday
        )
        row, slot = np.nonzero(self.wanted[rows] & has_estimate[:, None])
        self._write((rows[row], slot), value[row, slot], Method.PROFILE)

    def _write(
        self, cell: tuple[np.ndarray, np.ndarray], value: np.ndarray, method: Method, offsets: Offsets | None = None
    ) -> None:
        clean = self.clean
        provisional = clean.status[cell] == STATUS_CODE[Status.PROVISIONAL]
        clean.value[cell] = value
        clean.has_value[cell] = True
        clean.status[cell] = STATUS_CODE[Status.ESTIMATED]
        clean.method[cell] = METHOD_CODE[method]
        clean.reason[cell] = np.where(provisional, REASON_CODE[Reason.PROVISIONAL], clean.reason[cell])
        self.wanted[cell] = False
        if offsets is not None:
            clean.interval.write(cell, value, offsets, self.basis.series.one_direction[cell[0]])


def is_import(obis_code: str) -> bool:
    """Tell whether a channel counts active energy taken from the grid: C = 1."""
    return is_one_direction(obis_code) and obis_code.rpartition(":")[2].startswith("1.")


def by_state(basis: Basis, rows: np.ndarray) -> list[tuple[LikeDays, np.ndarray]]:
    """Return some grid rows by federal state, with the calendar of each."""
    if len(rows) == 0:
        return []
    states = basis.series.federal_state[rows]
    distinct = sorted(set(states.tolist()), key=lambda state: state or "")
    if len(distinct) == 1:
        return [(basis.calendars(distinct[0]), rows)]
    return [(basis.calendars(state), rows[states == state]) for state in distinct]


def _look_at_whole_days(day: DeliveryDay, grid: ValidatedGrid, clean: CleanGrid, basis: Basis) -> set[date]:
    """Raise the flags of the rules on whole days; return the days whose totals were asked for."""
    looked_at: set[date] = set()

    def totals(other: date, rows: np.ndarray) -> DayTotals | None:
        looked_at.add(other)
        return basis.history.totals(other, rows)

    measured = grid.measured
    complete: np.ndarray = np.all(measured, axis=1)
    silent: np.ndarray = ~np.any(measured, axis=1)
    energy = np.where(measured, grid.delivered, 0).sum(axis=1)
    for rules, members in basis.rules.groups(basis.series.point_class):
        ours = np.zeros(len(complete), dtype=bool)
        ours[members] = True
        if severity_of("high_low", rules) is not Severity.OFF:
            for calendar, rows in by_state(basis, np.flatnonzero(complete & ours)):
                unusual = high_low(day.day, energy[rows], rows, totals, calendar, rules)
                clean.flags[rows[unusual.mask]] |= np.int32(FLAG["high_low"])
        if severity_of("prolonged_estimation", rules) is not Severity.OFF:
            rows = np.flatnonzero(silent & ours)
            prolonged, _ = prolonged_estimation(day.day, rows, totals, rules.prolonged_estimation_days)
            clean.flags[rows[prolonged]] |= np.int32(FLAG["prolonged_estimation"])
    return looked_at
