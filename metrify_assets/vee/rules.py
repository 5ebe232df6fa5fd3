"""Validation rules: pure functions from grids to findings.

Belongs here: one function per rule on the values of a day, each returning the slots it finds, and what was compared
there with what where the slots do not say it. Does not belong here:
thresholds (``parameters.py``), what a finding does (``rulebook.py``), rules that only bookkeeping can decide (gap,
blank, duplicate, version, interval size, clock drift: ``placement.py``, ``versions.py``), registers (``registers.py``)
and rules that look at other days (``daily_use.py``).

Energy is int64 micro-kWh, shape (P, S); masks are bool, shape (P, S). Sources are named at the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from metrify_assets.vee.arrays import BoolArray, Float64Array, Int32Array, Int64Array
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.runs import in_long_run, stuck_length, zero_run_length
from metrify_assets.vee.units import LARGEST_MICRO_KWH, MICRO_PER_KWH

MINUTES_PER_HOUR = 60


def negative(delivered: Int64Array, has_value: BoolArray, unsigned: BoolArray) -> BoolArray:
    """Find values below zero where there can be none.

    Parameters
    ----------
    delivered, has_value : arrays, shape (P, S)
    unsigned : bool array, broadcast to (P, S)
        One-direction channels, and differences of counters.

    References
    ----------
    IEC 62056-6-1, Object Identification System (OBIS): value group C holds the direction, so that a value needs no
    sign.
    """
    return has_value & (delivered < 0) & unsigned


def physical_limit(
    delivered: np.ndarray,
    has_value: np.ndarray,
    limit_kw: np.ndarray,
    interval_minutes: int,
    limit_percent: int,
) -> np.ndarray:
    """Find values above what the connection can carry: kWh x 60 / minutes > limit_percent / 100 x limit_kw.

    Parameters
    ----------
    delivered, has_value : arrays, shape (P, S)
    limit_kw : float64 array, shape (P,)
        Connection power, taken to the milliwatt; NaN = unknown, not checked.
    interval_minutes : int
    limit_percent : int

    Notes
    -----
    The magnitude counts, so that a channel with a sign is checked in both directions.

    References
    ----------
    Own choice: what a connection is built for bounds what it carries.
    """
    threshold = most_energy(limit_kw, interval_minutes, limit_percent)[:, None]
    return has_value & ((delivered > threshold) | (delivered < -threshold))


def most_energy(limit_kw: np.ndarray, interval_minutes: int, limit_percent: int) -> np.ndarray:
    """Return the largest energy that a connection can carry in an interval, micro-kWh; int64, shape (P,)."""
    # A multiple of one milliwatt times whole numbers: exact in float64 up to connections of many gigawatts.
    milliwatts = np.rint(limit_kw * 1e6)
    most = np.floor(milliwatts * (limit_percent * interval_minutes) / (100 * MINUTES_PER_HOUR))
    most = np.minimum(np.where(np.isnan(most), np.inf, most), float(LARGEST_MICRO_KWH))
    return most.astype(np.int64)


def connection_kw(limit_kw: np.ndarray, rules: RuleSet) -> np.ndarray:
    """Return connection powers with what stands in for those that the registry does not know; kW, shape (P,)."""
    return np.where(np.isnan(limit_kw), rules.unknown_connection_kw, limit_kw)


def most_in_slot(limit_kw: np.ndarray, interval_minutes: int, rules: RuleSet) -> np.ndarray:
    """Return the largest energy of a slot that the rules let connections carry, micro-kWh; int64, shape (P,)."""
    return most_energy(connection_kw(limit_kw, rules), interval_minutes, rules.physical_limit_percent)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes, and the maxima that they follow from, of K rows with one; arrays of shape (K,), micro-kWh.

    Attributes
    ----------
    mask : bool array, shape (P, S)
    row : int array
        Ascending.
    largest, third : int64 arrays
        Maximum of the row, and its third maximum.
    floor : int
        Least excess.
    """

    mask: BoolArray
    row: Int64Array
    largest: Int64Array
    third: Int64Array
    floor: int


def spike(
    delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, excess_percent: int, floor_kw: float
) -> Spikes:
    """Find the day's maximum where it stands out: (max - third max) / third max > excess_percent / 100.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
        Only valid slots are looked at; a row needs three of them.
    interval_minutes : int
    excess_percent : int
    floor_kw : float
        Least excess (max - third max), as mean power.

    Returns
    -------
    Spikes
        Two slots of a row where both hold the maximum. Rows whose third maximum is negative have no defined ratio and
        are left alone.

    References
    ----------
    Factored peak, (highest - third highest) / third highest: spike check of California DASMMD (1999), section A, and of
    Oracle Utilities Meter Data Management. The floor is our own choice.
    """
    mask = np.zeros_like(valid)
    floor = round(floor_kw * MICRO_PER_KWH * interval_minutes / MINUTES_PER_HOUR)
    nothing = np.empty(0, dtype=np.int64)
    if valid.shape[1] < 3:
        return Spikes(mask, nothing, nothing, nothing, floor)
    values = np.where(valid, delivered, np.iinfo(np.int64).min)
    largest = values.max(axis=1, initial=np.iinfo(np.int64).min)
    # The third maximum is not negative, so the excess can only reach the floor where the maximum does.
    rows = np.flatnonzero(largest >= floor)
    if len(rows) == 0:
        return Spikes(mask, nothing, nothing, nothing, floor)
    largest = largest[rows]
    third = _third_largest(values[rows])
    countable = third >= 0
    third = np.where(countable, third, 0)
    excess = largest - third
    # An integer exceeds a fraction where it exceeds its floor; split so that no product overflows.
    least = third // 100 * excess_percent + third % 100 * excess_percent // 100
    spiking = countable & (excess > least) & (excess >= floor)
    row, largest, third = rows[spiking], largest[spiking], third[spiking]
    mask[row] = values[row] == largest[:, None]
    return Spikes(mask, row, largest, third, floor)


def _third_largest(values: Int64Array) -> Int64Array:
    """Return the third largest value of every row, repeated values counted; ``values`` is used up."""
    every = np.arange(len(values))
    for _ in range(2):
        values[every, values.argmax(axis=1)] = np.iinfo(np.int64).min
    largest: Int64Array = values.max(axis=1)
    return largest


def stuck(
    delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, least_minutes: int, least_slots: int
) -> np.ndarray:
    """Find runs of one and the same non-zero value that last ``least_minutes`` and ``least_slots`` or longer.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
        A slot that is not valid ends a run.
    interval_minutes, least_minutes, least_slots : int

    References
    ----------
    Own choice of lengths; Oracle Utilities Meter Data Management has a rule of the kind, the consecutive interval
    check.
    """
    length = stuck_length(interval_minutes, least_minutes, least_slots)
    repeats = valid[:, 1:] & valid[:, :-1] & (delivered[:, 1:] == delivered[:, :-1]) & (delivered[:, 1:] != 0)
    # A run of n equal values is n - 1 repetitions, each of which speaks for itself and the slot before it.
    long = in_long_run(repeats, length - 1)
    mask = np.zeros_like(valid)
    mask[:, 1:] = long
    mask[:, :-1] |= long
    return mask


def zero_run(delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, least_minutes: int) -> np.ndarray:
    """Find runs of zeros that last ``least_minutes`` or longer, or the whole day.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
    interval_minutes, least_minutes : int

    References
    ----------
    Own choice of lengths; of whole billing periods: zero consumption for active meters, California DASMMD (1999),
    section B.
    """
    length = zero_run_length(valid.shape[1], interval_minutes, least_minutes)
    return in_long_run(valid & (delivered == 0), length)


@dataclass(frozen=True, eq=False)
class Outliers:
    """Outliers, and the windows that they follow from; arrays of shape (K,), one entry an outlier.

    Attributes
    ----------
    mask : bool array, shape (P, S)
    row, slot : int arrays
    median, mad : float64 arrays
        Of the window, micro-kWh.
    count : int array
        Valid values in the window.
    floor : float
        Least deviation, micro-kWh.
    """

    mask: BoolArray
    row: Int64Array
    slot: Int64Array
    median: Float64Array
    mad: Float64Array
    count: Int64Array
    floor: float


def robust_outlier(
    delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, window_minutes: int, k: float, floor_kw: float
) -> Outliers:
    """Find values off the rolling median: |x - median| > k x 1.4826 x MAD + floor.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
        Only valid slots are looked at. The window is centred on the slot and cut at the ends of the day.
    interval_minutes, window_minutes : int
        The window holds ``window_minutes / interval_minutes`` slots, one more if that is even, at least 5.
    k : float
    floor_kw : float
        As mean power.

    Returns
    -------
    Outliers
        Windows with fewer than 5 valid slots find nothing.

    Notes
    -----
    A value can only be off by more than the floor if it exceeds the floor itself, or if the median does, which takes at
    least half of the window's values: only such slots are computed.

    References
    ----------
    Hampel, F. R. (1974), The influence curve and its role in robust estimation, JASA 69, 383-393; as an identifier of
    outliers: Davies, L. and Gather, U. (1993), The identification of multiple outliers, JASA 88, 782-792. Window and
    floor are our own choice.
    """
    half = max(window_minutes // interval_minutes // 2, 2)
    floor = floor_kw * MICRO_PER_KWH * interval_minutes / MINUTES_PER_HOUR
    # Where values of either sign lie around zero, half the floor on each side of it makes the whole.
    signed = bool((valid & (delivered < 0)).any())
    beyond = valid & (np.abs(delivered) > (floor / 2 if signed else floor))
    mask = np.zeros_like(valid)
    # Where no value of a row exceeds the floor, no window of it is crowded either.
    rows = np.flatnonzero(beyond.any(axis=1))
    if len(rows) == 0:
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        return Outliers(mask, none, none, nothing, nothing, none, floor)
    valid, beyond = valid[rows], beyond[rows]
    crowded = 2 * _in_window(beyond, half) >= _in_window(valid, half)
    # Absent values, and those beyond the ends of the day, sort behind all others.
    padded = np.full((len(rows), valid.shape[1] + 2 * half), np.inf)
    padded[:, half:-half][valid] = delivered[rows][valid]
    windows = sliding_window_view(padded, 2 * half + 1, axis=1)
    slot_rows, slot_columns = np.nonzero(valid & (beyond | crowded))
    outliers = []
    for row, column in _chunks(slot_rows, slot_columns, 200_000):
        hit, *compared = _off_median(windows[row, column], half, k, floor)
        outliers.append((rows[row[hit]], column[hit], *compared))
    at_row, slot, median, mad, count = (np.concatenate(parts) for parts in zip(*outliers, strict=True))
    mask[at_row, slot] = True
    return Outliers(mask, at_row, slot, median, mad, count, floor)


MIN_WINDOW_VALUES = 5


def _in_window(mask: BoolArray, half: int) -> Int32Array:
    """Count the true slots within ``half`` slots of every slot; int32, shape (P, S)."""
    rows, slots = mask.shape
    sums = np.zeros((rows, slots + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=sums[:, 1:])
    slot = np.arange(slots)
    return sums[:, np.minimum(slot + half + 1, slots)] - sums[:, np.maximum(slot - half, 0)]


def _chunks(row: np.ndarray, column: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(row), size):
        yield row[start : start + size], column[start : start + size]


def _off_median(
    windows: np.ndarray, half: int, k: float, floor: float
) -> tuple[Int64Array, Float64Array, Float64Array, Int64Array]:
    """Compare the slots in the middle of windows with the windows' medians.

    Returns which windows have an outlier, and of these median, median absolute deviation and number of values.
    """
    count = np.isfinite(windows).sum(axis=1)
    median = _median(windows, count)
    off = np.abs(windows[:, half] - median)
    # The MAD is not negative: it matters only where the floor alone is exceeded.
    beyond: np.ndarray = (count >= MIN_WINDOW_VALUES) & (off > floor)
    far = np.flatnonzero(beyond)
    mad = _median(np.abs(windows[far] - median[far, None]), count[far])
    is_outlier = off[far] > k * 1.4826 * mad + floor
    hit = far[is_outlier]
    return hit, median[hit], mad[is_outlier], count[hit]


def _median(values: Float64Array, count: Int64Array) -> Float64Array:
    """Return the median of the ``count`` finite values of each row; shape (n,)."""
    ordered = np.sort(values, axis=1)
    every = np.arange(len(ordered))
    low = ordered[every, (count - 1) // 2]
    high = ordered[every, count // 2]
    return (low + high) / 2


def collapsed_dst(delivered: np.ndarray, local_minutes: np.ndarray) -> np.ndarray:
    """Find the slots of the repeated hour where one of its two passes was not delivered at all.

    Parameters
    ----------
    delivered : bool array, shape (P, S)
        Something was delivered, whatever its value.
    local_minutes : int64 array, shape (S,)
        Local wall-clock minute of every slot; a minute that comes twice belongs to the repeated hour.

    Returns
    -------
    bool array, shape (P, S). Both passes of a row: which of them the delivered values belong to is not known.

    References
    ----------
    Directive 2000/84/EC, art. 3: summer-time ends at 1.00 a.m. Greenwich Mean Time, so that an hour of the clock comes
    twice. That it is not guessed which pass was delivered is our own choice.
    """
    mask = np.zeros_like(delivered)
    minutes, counts = np.unique(local_minutes, return_counts=True)
    repeated = np.flatnonzero(np.isin(local_minutes, minutes[counts > 1]))
    if len(repeated) == 0:
        return mask
    first, second = np.split(repeated, 2)
    collapsed = delivered[:, first].any(axis=1) != delivered[:, second].any(axis=1)
    mask[np.ix_(np.flatnonzero(collapsed), repeated)] = True
    return mask


def outage(
    slot_starts: np.ndarray,
    interval_minutes: int,
    row: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Find the slots that lie wholly within a declared outage, or within several that follow each other.

    Parameters
    ----------
    slot_starts : int64 array, shape (S,)
    interval_minutes : int
    row : int array, shape (O,)
        Grid row of every outage.
    start, end : int64 arrays, shape (O,)
        First instant without supply, first instant with supply again.
    shape : (P, S)

    References
    ----------
    Own choice: what was not supplied was not used.
    """
    mask = np.zeros(shape, dtype=bool)
    slot_ends = slot_starts + interval_minutes * MICROSECONDS_PER_MINUTE
    line_before = begins = ends = -1
    for line, first, last in sorted(zip(row.tolist(), start.tolist(), end.tolist(), strict=True)):
        if line == line_before and first <= ends:
            ends = max(ends, last)
        else:
            line_before, begins, ends = line, first, last
        mask[line] |= (slot_starts >= begins) & (slot_ends <= ends)
    return mask
