"""Validation rules: pure functions from grids to masks.

Belongs here: one function per rule on values, each returning the slots it finds. Does not belong here: thresholds
(``parameters.py``), which rule refuses a value (``codes.REFUSING``), and rules that only bookkeeping can decide: gap,
blank, duplicate and version (``validate.py``, ``versions.py``).

Energy is int64 micro-kWh, shape (P, S); masks are bool, shape (P, S). Sources are named at the rules.
"""

from __future__ import annotations

import numpy as np

from metrify_assets.vee.runs import in_long_run
from metrify_assets.vee.units import LARGEST_MICRO_KWH, MICRO_PER_KWH

MINUTES_PER_HOUR = 60


def negative(delivered: np.ndarray, has_value: np.ndarray, unsigned: np.ndarray) -> np.ndarray:
    """Find values below zero where there can be none.

    Parameters
    ----------
    delivered, has_value : arrays, shape (P, S)
    unsigned : bool array, broadcast to (P, S)
        One-direction channels, and differences of counters.
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
    """
    # A multiple of one milliwatt times whole numbers: exact in float64 up to connections of many gigawatts.
    milliwatts = np.rint(limit_kw * 1e6)
    most = np.floor(milliwatts * (limit_percent * interval_minutes) / (100 * MINUTES_PER_HOUR))
    most = np.minimum(np.where(np.isnan(most), np.inf, most), float(LARGEST_MICRO_KWH))
    threshold = most.astype(np.int64)[:, None]
    return has_value & ((delivered > threshold) | (delivered < -threshold))


def spike(
    delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, excess_percent: int, floor_kw: float
) -> np.ndarray:
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
    bool array, shape (P, S). Two slots of a row where both hold the maximum. Rows whose third maximum is negative
    have no defined ratio and are left alone.

    References
    ----------
    Spike check of the California Public Utilities Commission (CPUC) and of Oracle's meter data management.
    """
    found = np.zeros_like(valid)
    if valid.shape[1] < 3:
        return found
    floor = round(floor_kw * MICRO_PER_KWH * interval_minutes / MINUTES_PER_HOUR)
    values = np.where(valid, delivered, np.iinfo(np.int64).min)
    largest = values.max(axis=1, initial=np.iinfo(np.int64).min)
    # The third maximum is not negative, so the excess can only reach the floor where the maximum does.
    rows = np.flatnonzero(largest >= floor)
    if len(rows) == 0:
        return found
    largest = largest[rows]
    third = _third_largest(values[rows])
    countable = third >= 0
    third = np.where(countable, third, 0)
    excess = largest - third
    # An integer exceeds a fraction where it exceeds its floor; split so that no product overflows.
    least = third // 100 * excess_percent + third % 100 * excess_percent // 100
    spiking = countable & (excess > least) & (excess >= floor)
    found[rows[spiking]] = values[rows[spiking]] == largest[spiking, None]
    return found


def _third_largest(values: np.ndarray) -> np.ndarray:
    """Return the third largest value of every row, repeated values counted; ``values`` is used up."""
    every = np.arange(len(values))
    for _ in range(2):
        values[every, values.argmax(axis=1)] = np.iinfo(np.int64).min
    return values.max(axis=1)


def stuck(
    delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, least_minutes: int, least_slots: int
) -> np.ndarray:
    """Find runs of one and the same non-zero value that last ``least_minutes`` and ``least_slots`` or longer.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
        A slot that is not valid ends a run.
    interval_minutes, least_minutes, least_slots : int
    """
    length = max(-(-least_minutes // interval_minutes), least_slots, 2)
    repeats = valid[:, 1:] & valid[:, :-1] & (delivered[:, 1:] == delivered[:, :-1]) & (delivered[:, 1:] != 0)
    # A run of n equal values is n - 1 repetitions, each of which speaks for itself and the slot before it.
    long = in_long_run(repeats, length - 1)
    found = np.zeros_like(valid)
    found[:, 1:] = long
    found[:, :-1] |= long
    return found


def zero_run(delivered: np.ndarray, valid: np.ndarray, interval_minutes: int, least_minutes: int) -> np.ndarray:
    """Find runs of zeros that last ``least_minutes`` or longer, or the whole day.

    Parameters
    ----------
    delivered, valid : arrays, shape (P, S)
    interval_minutes, least_minutes : int
    """
    slots = valid.shape[1]
    length = min(-(-least_minutes // interval_minutes), slots)
    return in_long_run(valid & (delivered == 0), length)
