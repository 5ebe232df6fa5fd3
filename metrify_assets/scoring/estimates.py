"""Estimates against the truth, side by side with simple baselines on the very same slots.

Belongs here: runs of slots without a value, baselines, errors. Pure functions of planes, channels x slots (C, T);
energy is in micro-kWh. Does not belong here: what the platform estimates with (``vee/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.codes import OWN_ESTIMATES, Method
from metrify_assets.vee.units import MICRO_PER_KWH

OWN_METHODS = (*OWN_ESTIMATES, Method.REGISTER_SCALED)
"""Methods of the platform that are estimates."""
SLOTS_PER_HOUR = 4
LENGTH_CLASSES = (("<= 2 h", 0, 2), ("2-4 h", 2, 4), ("4-24 h", 4, 24), ("> 24 h", 24, np.inf))
"""Name, and hours above the lower and up to the upper bound."""
MEAN_WINDOW_SLOTS = 28 * 24 * SLOTS_PER_HOUR
BASELINES = ("carry_forward", "linear_only", "mean_of_meter")


@dataclass(frozen=True)
class Error:
    """Error of an estimate over some slots.

    Attributes
    ----------
    mae_kwh : float
        Mean of the absolute errors.
    wape : float or None
        Sum of the absolute errors over the sum of the true energy; None where that is zero.
    """

    mae_kwh: float
    wape: float | None

    @classmethod
    def of(cls, estimate: np.ndarray, truth: np.ndarray) -> Error:
        """Return the error of values against true values, both of shape (n,), n >= 1."""
        total = float(np.abs(estimate - truth).sum())
        energy = float(truth.sum())
        return cls(total / len(truth) / MICRO_PER_KWH, total / energy if energy else None)


@dataclass(frozen=True)
class EstimateScore:
    """Errors of one method on gaps of one length class.

    Attributes
    ----------
    method, length : str
    slots : int
    error : Error
    baselines : dict of str to Error
        On the same slots.
    """

    method: str
    length: str
    slots: int
    error: Error
    baselines: dict[str, Error]


def run_lengths(mask: np.ndarray) -> np.ndarray:
    """Return for every true slot how many true slots its run has, 0 elsewhere; int64, shape (C, T)."""
    lengths = np.zeros(mask.shape, dtype=np.int64)
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, first = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    for line, start, stop in zip(row.tolist(), first.tolist(), end.tolist(), strict=True):
        lengths[line, start:stop] = stop - start
    return lengths


def carry_forward(value: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last usable value before each slot, and whether there is one; shapes (C, T)."""
    slot = np.arange(value.shape[1])
    last = np.maximum.accumulate(np.where(usable, slot, -1), axis=1)
    return np.take_along_axis(value, np.maximum(last, 0), axis=1).astype(np.float64), last >= 0


def linear_only(value: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return straight lines between the usable values around each gap, however long; shapes (C, T).

    At the ends of the period the one neighbour that there is stands for both.
    """
    slots = value.shape[1]
    slot = np.arange(slots)
    last = np.maximum.accumulate(np.where(usable, slot, -1), axis=1)
    following = np.minimum.accumulate(np.where(usable, slot, slots)[:, ::-1], axis=1)[:, ::-1]
    has_value = (last >= 0) | (following < slots)
    low = np.where(last >= 0, last, np.minimum(following, slots - 1))
    high = np.where(following < slots, following, np.maximum(last, 0))
    share = (slot - low) / np.maximum(high - low, 1)
    before = np.take_along_axis(value, low, axis=1)
    return before + (np.take_along_axis(value, high, axis=1) - before) * share, has_value


def mean_of_meter(value: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the channel's usable values in the 28 days before each slot; shapes (C, T)."""

    def window(plane: np.ndarray) -> np.ndarray:
        sums = np.pad(np.cumsum(plane, axis=1, dtype=np.int64), ((0, 0), (1, 0)))
        slot = np.arange(plane.shape[1])
        return sums[:, slot] - sums[:, np.maximum(slot - MEAN_WINDOW_SLOTS, 0)]

    count = window(usable)
    return window(np.where(usable, value, 0)) / np.maximum(count, 1), count > 0


def score_estimates(
    value: np.ndarray, has_value: np.ndarray, method: np.ndarray, truth: np.ndarray
) -> tuple[list[EstimateScore], int]:
    """Return the errors per method and length class, and how many estimates no baseline can be compared with.

    Parameters
    ----------
    value, has_value, method : arrays, shape (C, T)
        Clean energy; text or None.
    truth : int64 array, shape (C, T)

    Notes
    -----
    A gap is a run of slots without a value of its own: estimated or missing. Baselines draw on all other values of the
    period, the platform's sources, too.
    """
    own = np.isin(method.astype(str), [str(name) for name in OWN_METHODS]) & has_value
    usable = has_value & ~own
    hours = run_lengths(~usable) / SLOTS_PER_HOUR
    makers = {"carry_forward": carry_forward, "linear_only": linear_only, "mean_of_meter": mean_of_meter}
    baselines = {name: maker(value, usable) for name, maker in makers.items()}
    compared = own & np.logical_and.reduce([has_baseline for _, has_baseline in baselines.values()])
    scores = []
    for name in OWN_METHODS:
        for length, low, high in LENGTH_CLASSES:
            cells = compared & (method == str(name)) & (hours > low) & (hours <= high)
            if cells.any():
                scores.append(_score(str(name), length, cells, value, truth, baselines))
    return scores, int((own & ~compared).sum())


def _score(
    method: str,
    length: str,
    cells: np.ndarray,
    value: np.ndarray,
    truth: np.ndarray,
    baselines: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> EstimateScore:
    true = truth[cells]
    return EstimateScore(
        method,
        length,
        len(true),
        Error.of(value[cells], true),
        {name: Error.of(values[cells], true) for name, (values, _) in baselines.items()},
    )


def improvement_over_linear(
    scores: list[EstimateScore], methods: tuple[str, ...], lengths: tuple[str, ...]
) -> float | None:
    """Return by which share the error of some methods is lower than that of straight lines; None without any slot."""
    chosen = [score for score in scores if score.method in methods and score.length in lengths]
    if not chosen:
        return None
    ours = sum(score.error.mae_kwh * score.slots for score in chosen)
    lines = sum(score.baselines["linear_only"].mae_kwh * score.slots for score in chosen)
    return 1 - ours / lines if lines else None
