"""Register reads to interval values: what a counter counted in a slot; and the reads of a day themselves.

Belongs here: reads on the boundaries of slots, and the list of a day's chosen reads. Does not belong here: the
arithmetic on states (``counters.py``) and reads that lie further apart than a slot (``brackets.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.vee.codes import Flag, Severity, SourceStatus
from metrify_assets.vee.counters import counted, fitting_states
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import CHECK_REGISTER, NO_STATE, UNKNOWN_STATE, Deliveries, SeriesTable
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.placement import meant_offset, snap
from metrify_assets.vee.rulebook import severity_of
from metrify_assets.vee.versions import choose_versions

READ_GRID_MINUTES = 15
"""Reads are taken on boundaries of quarter hours, or of shorter slots: a drifting clock is snapped to those."""


@dataclass(frozen=True, eq=False)
class RegisterIntervals:
    """Energy from counters, for the rows of a grid that have register reads (R of them).

    Attributes
    ----------
    row : int array, shape (R,)
        Rows of the grid, ascending.
    value : int64 array, shape (R, S)
        What was counted between opening and closing read, micro-kWh; 0 where ``known`` is false.
    known : bool array, shape (R, S)
        Both reads exist, and fit.
    misfit : bool array, shape (R, S)
        One of the two reads was left out because the counter would run backwards.
    below_zero : bool array, shape (R, S)
        One of the two reads is negative, which no counter can be.
    source_status, version, flags, received_at : arrays, shape (R, S)
        The lower status, the larger version, the flags of either and the later reception of the two reads.
    """

    row: np.ndarray
    value: np.ndarray
    known: np.ndarray
    misfit: np.ndarray
    below_zero: np.ndarray
    source_status: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    received_at: np.ndarray


def register_intervals(
    day: DeliveryDay,
    interval_minutes: int,
    row_of_series: np.ndarray,
    registers: Deliveries,
    series: SeriesTable,
    rules: RuleSet,
) -> RegisterIntervals | None:
    """Turn register reads into interval values: slot t is what was counted from read t to read t + 1.

    Parameters
    ----------
    day : DeliveryDay
    interval_minutes : int
        Expected interval; reads that are not on a boundary of slots, within the clock's tolerance, are not used.
    row_of_series : int array, shape (P + 1,)
        Grid row of each series, -1 for series of another resolution; the last entry, reached by index -1, is -1.
    registers : Deliveries
        Register reads of the day, and those at the day's end (the opening reads of the next day).
    series : SeriesTable
        Multiplier and range of the counters. Where a counter begins its service with the day, or ends it with the day,
        the registry's state stands at that boundary: another device's read may carry the same instant.
    rules : RuleSet

    Returns
    -------
    RegisterIntervals, or None where no series of this resolution has register reads.

    References
    ----------
    The difference of two register reads is the energy between them: IEC 62056-6-1 tells registers (D = 8) from load
    profiles (D = 29).
    """
    step = interval_minutes * MICROSECONDS_PER_MINUTE
    boundaries = day.slots(interval_minutes) + 1
    offset = registers.start - day.start
    boundary = snap(offset, step, rules.clock_tolerance_seconds)
    row = row_of_series[registers.series]
    usable = (row >= 0) & (boundary >= 0) & (boundary < boundaries) & (registers.rank > SourceStatus.MISSING)
    rows = np.flatnonzero(usable)
    if len(rows) == 0:
        return None
    grid_rows, compact = np.unique(row[rows], return_inverse=True)
    shape = (len(grid_rows), boundaries)
    cells = compact * boundaries + boundary[rows]
    chosen = choose_versions(registers, rows, cells, len(grid_rows) * boundaries)

    member = np.empty(len(grid_rows), dtype=np.int64)
    member[compact] = registers.series[rows]
    reads = _Reads(
        state=chosen.gather(registers.value).reshape(shape),
        known=(chosen.row >= 0).reshape(shape),
        status=chosen.gather(registers.source_status).reshape(shape),
        flags=chosen.flags.reshape(shape),
    )
    drifted = boundary[rows] * step != offset[rows]
    reads.flags.ravel()[cells[drifted]] |= np.int32(Flag.CLOCK_DRIFT)
    _apply_exchange(reads, series.opening[member], 0)
    _apply_exchange(reads, series.closing[member], boundaries - 1)
    fits = _fitting(reads, series.modulus[member], rules.register_rollover_percent)

    def pair(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = values.reshape(shape)
        return values[:, :-1], values[:, 1:]

    opening, closing = pair(reads.state)
    both = np.logical_and(*pair(reads.known))
    has_energy = both & np.logical_and(*pair(fits))
    energy, rolled = counted(
        opening,
        closing,
        series.modulus[member][:, None],
        series.multiplier[member][:, None],
        rules.register_rollover_percent,
    )
    return RegisterIntervals(
        row=grid_rows,
        value=np.where(has_energy, energy, 0),
        known=has_energy,
        misfit=both & ~has_energy,
        below_zero=has_energy & ((opening < 0) | (closing < 0)),
        source_status=np.where(has_energy, np.minimum(*pair(reads.status)), 0),
        version=np.where(has_energy, np.maximum(*pair(chosen.version)), 0),
        flags=np.where(
            has_energy, np.bitwise_or(*pair(reads.flags)) | (has_energy & rolled) * np.int32(Flag.REGISTER_ROLLOVER), 0
        ),
        received_at=np.where(has_energy, np.maximum(*pair(chosen.gather(registers.received_at))), 0),
    )


@dataclass(frozen=True, eq=False)
class _Reads:
    """Reads on the boundaries of slots; arrays of shape (R, S + 1)."""

    state: np.ndarray
    known: np.ndarray
    status: np.ndarray
    flags: np.ndarray


def _apply_exchange(reads: _Reads, state: np.ndarray, boundary: int) -> None:
    """Put the registry's state at a boundary where a counter begins or ends its service."""
    # A read of that instant is one of the next counter.
    reads.known[state == NO_STATE, boundary] = False
    exchanged = (state != UNKNOWN_STATE) & (state != NO_STATE)
    if exchanged.any():
        reads.state[exchanged, boundary] = state[exchanged]
        reads.known[exchanged, boundary] = True
        reads.status[exchanged, boundary] = SourceStatus.MEASURED
        reads.flags[exchanged, boundary] |= np.int32(Flag.METER_EXCHANGE)


def _fitting(reads: _Reads, modulus: np.ndarray, percent: int) -> np.ndarray:
    """Return which known reads fit their neighbours: bool, shape (R, S + 1)."""
    fits = reads.known.copy()
    row, _ = np.nonzero(reads.known)
    fits[reads.known] = fitting_states(row, reads.state[reads.known], modulus[row], percent)
    return fits


@dataclass(frozen=True, eq=False)
class RegisterReads:
    """The chosen register reads of a day, one entry per series and instant, sorted by both; arrays of shape (N,).

    Attributes
    ----------
    series : int array, shape (N,)
        Row in the ``SeriesTable``.
    read_at : int64 array
        Instant, snapped to the quarter hour or shorter slot within the clock's tolerance.
    state : int64 array
        Micro-kWh before the multiplier.
    source_status, version, flags, received_at : arrays
        As in ``ValidatedGrid``.
    """

    series: np.ndarray
    read_at: np.ndarray
    state: np.ndarray
    source_status: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    received_at: np.ndarray


def chosen_reads(
    day: DeliveryDay, registers: Deliveries, interval_minutes: np.ndarray, rules: RuleSet
) -> RegisterReads:
    """Choose the current register read of every series and instant; blanks and reads in a wrong unit are none.

    Parameters
    ----------
    day : DeliveryDay
    registers : Deliveries
        Register rows of the day, in any order.
    interval_minutes : int array, shape (P,)
        Expected interval of each series; ``CHECK_REGISTER`` where it has no slots.
    rules : RuleSet
        Of the clock's tolerance.
    """
    usable = (registers.series >= 0) & (registers.rank > SourceStatus.MISSING)
    if severity_of("unit_mismatch", rules) is not Severity.OFF:
        usable &= ~registers.wrong_unit
    rows = np.flatnonzero(usable)
    offset = registers.start[rows] - day.start
    series = registers.series[rows].astype(np.int64)
    own = interval_minutes[series].astype(np.int64)
    # A counter that is read in every slot has reads closer together.
    grid = np.where(own == CHECK_REGISTER, READ_GRID_MINUTES, np.minimum(own, READ_GRID_MINUTES))
    moved = meant_offset(offset, grid, rules.clock_tolerance_seconds)
    order = np.lexsort((moved, series))
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (np.diff(series[order]) != 0) | (np.diff(moved[order]) != 0)
    cells = np.empty(len(rows), dtype=np.int64)
    cells[order] = np.cumsum(first) - 1
    distinct = order[first]
    chosen = choose_versions(registers, rows, cells, len(distinct))
    flags = chosen.flags.copy()
    flags[cells[moved != offset]] |= np.int32(Flag.CLOCK_DRIFT)
    return RegisterReads(
        series=series[distinct],
        read_at=moved[distinct] + day.start,
        state=chosen.gather(registers.value),
        source_status=chosen.gather(registers.source_status),
        version=chosen.version,
        flags=flags,
        received_at=chosen.gather(registers.received_at),
    )


def drop_redundant_reads(reads: RegisterReads, interval_minutes: np.ndarray) -> RegisterReads:
    """Leave out the reads that say nothing beyond the slots beside them.

    A read between two others, one slot before and one after it, only parts slots whose energy is known. Of a counter
    that is read in every slot, the first and the last read of the day are left, and those beside gaps.

    Parameters
    ----------
    reads : RegisterReads
    interval_minutes : int array, shape (P,)
        Expected interval of each series; 0 where it has no slots, and every read tells.
    """
    step = interval_minutes[reads.series].astype(np.int64) * MICROSECONDS_PER_MINUTE
    firm = reads.source_status >= SourceStatus.MEASURED
    beside = np.zeros(len(reads.series), dtype=bool)
    # Reads are sorted by series and instant.
    beside[1:] = (
        firm[1:] & firm[:-1] & (np.diff(reads.series) == 0) & (np.diff(reads.read_at) == step[1:]) & (step[1:] > 0)
    )
    within = beside.copy()
    within[:-1] &= beside[1:]
    if len(within):
        within[-1] = False
    return RegisterReads(*(getattr(reads, entry.name)[~within] for entry in fields(reads)))
