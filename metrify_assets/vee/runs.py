"""Runs of consecutive slots in a grid.

Belongs here: finding and measuring runs in boolean planes of shape (P, S), and how long one must be. Does not belong
here: what a run means.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Runs(NamedTuple):
    """Maximal runs of true slots, one entry each, ordered by row and slot: slots ``first`` to ``end - 1``."""

    row: np.ndarray
    first: np.ndarray
    end: np.ndarray


def find_runs(mask: np.ndarray) -> Runs:
    """Return the maximal runs of true slots in every row of ``mask``, shape (P, S)."""
    rows, slots = mask.shape
    padded = np.zeros((rows, slots + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    row, first = np.nonzero(change == 1)
    _, end = np.nonzero(change == -1)
    return Runs(row, first, end)


def in_long_run(mask: np.ndarray, length: int) -> np.ndarray:
    """Return which slots lie in a run of at least ``length`` true slots: bool, shape (P, S).

    Notes
    -----
    Erosion followed by dilation, in log2(length) steps of whole-plane operations: a slot survives the erosion if it
    and the ``length - 1`` slots after it are true.
    """
    slots = mask.shape[1]
    if length > slots:
        return np.zeros_like(mask)
    begins = mask.copy()
    width = 1
    while width < length:
        shift = min(width, length - width)
        begins[:, : slots - shift] &= begins[:, shift:]
        begins[:, slots - shift :] = False
        width += shift
    if not begins.any():
        return begins
    width = 1
    while width < length:
        shift = min(width, length - width)
        begins[:, shift:] |= begins[:, : slots - shift].copy()
        width += shift
    return begins


def stuck_length(interval_minutes: int, least_minutes: int, least_slots: int) -> int:
    """Return how many slots of one non-zero value are a finding."""
    return max(-(-least_minutes // interval_minutes), least_slots, 2)


def zero_run_length(slots: int, interval_minutes: int, least_minutes: int) -> int:
    """Return how many zeros are a finding on a day of so many slots."""
    return min(-(-least_minutes // interval_minutes), slots)
