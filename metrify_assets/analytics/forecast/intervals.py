"""P10 and P90: signed errors of past forecasts, at levels that adapt until the intervals cover what they should.

Belongs here: conformal quantiles of relative errors. Does not belong here: the forecast that they surround (P50).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Float64Array

LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class IntervalParameters:
    """How intervals are found. Chosen on 2018.

    Attributes
    ----------
    window_days : int
        Past days whose errors count.
    least_days : int
        Days below which there is no interval.
    neighbours : int
        Slots on either side, in hours, whose errors count too.
    memory_days : float
        How errors of that window are scaled: by how large errors were lately, days.
    learning_rate : float
        Change of a level per day and share of slots outside, beyond what should be; divided by lead + 1, since that
        many days pass before it shows.
    least_tail, most_tail : float
        Bounds of both levels.
    """

    window_days: int = 90
    least_days: int = 28
    neighbours: int = 1
    memory_days: float = 7.0
    learning_rate: float = 0.08
    least_tail: float = 0.005
    most_tail: float = 0.25


@dataclass(frozen=True, eq=False)
class Intervals:
    """Both ends of consecutive days, shape (days, slots); NaN where there is none."""

    low: Float64Array
    high: Float64Array


def intervals(
    forecast: Float64Array, values: Float64Array, lead: int, slots_per_hour: int, parameters: IntervalParameters
) -> Intervals:
    """Return P10 and P90 of forecasts of consecutive days.

    Parameters
    ----------
    forecast : float array, shape (days, slots)
        P50; NaN where there is none.
    values : float array, shape (days, slots)
        What was measured; NaN where it is missing or still to come.
    lead : int
        Days from issue to target: of a target ``d`` errors up to ``d - lead - 1`` are known.
    slots_per_hour : int
    parameters : IntervalParameters

    Notes
    -----
    The level of each end starts at 0.1 and moves by rate * (0.1 - share of the day's slots outside of that end).

    References
    ----------
    Gibbs, Candes: Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021, eq. 2. Asymmetric ends:
    Linusson, Johansson, Lofstrom: Signed-Error Conformal Regression, PAKDD 2014. The scale is our own choice.
    """
    days, slots = forecast.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.where(forecast > 0, values / forecast - 1.0, np.nan)
    size = np.array([_mean_of(np.abs(row)) for row in errors])
    scale = np.array([_recent(size[: max(day - lead, 0)], parameters.memory_days) for day in range(days)])
    scored = errors / scale[:, None]
    low, high = np.full((days, slots), np.nan), np.full((days, slots), np.nan)
    reach = parameters.neighbours * slots_per_hour
    around = (np.arange(slots)[:, None] + np.arange(-reach, reach + 1)) % slots
    tails = np.array([LOW, 1.0 - HIGH])
    for day in range(days):
        last = day - lead - 1
        if last >= 0:
            # A new day is known: how much of it lay outside?
            outside = (_share(values[last] < low[last], low[last]), _share(values[last] > high[last], high[last]))
            tails = _adapted(tails, outside, parameters, lead)
        first = max(last + 1 - parameters.window_days, 0)
        window = scored[first : last + 1]
        known = window[np.isfinite(window).any(axis=1)]
        if len(known) < parameters.least_days or not np.isfinite(scale[day]):
            continue
        pooled = known[:, around].transpose(1, 0, 2).reshape(slots, -1)
        # A day is one trial, whatever the number of its slots: the rank is that of n + 1 days.
        upper = np.minimum((1.0 - tails) * (1.0 + 1.0 / len(known)), 1.0)
        ends = _quantiles(pooled, (float(1.0 - upper[0]), float(upper[1])))
        low[day] = forecast[day] * (1.0 + np.minimum(ends[0], 0.0) * scale[day])
        high[day] = forecast[day] * (1.0 + np.maximum(ends[1], 0.0) * scale[day])
    return Intervals(low, high)


def _adapted(
    tails: Float64Array, outside: tuple[float, float], parameters: IntervalParameters, lead: int
) -> Float64Array:
    target = np.array([LOW, 1.0 - HIGH])
    step = parameters.learning_rate / (lead + 1) * (target - np.array(outside))
    return np.clip(tails + np.where(np.isfinite(step), step, 0.0), parameters.least_tail, parameters.most_tail)


def _share(outside: BoolArray, end: Float64Array) -> float:
    """Return the share of slots outside of an end, NaN on a day without one."""
    has_end = np.isfinite(end)
    return float(outside[has_end].mean()) if has_end.any() else np.nan


def _mean_of(row: Float64Array) -> float:
    has_value = np.isfinite(row)
    return float(row[has_value].mean()) if has_value.any() else np.nan


def _recent(sizes: Float64Array, memory: float) -> float:
    """Return the mean of sizes, of which those of long ago count less; NaN without any."""
    has_value = np.isfinite(sizes)
    weight = np.where(has_value, np.exp(-np.arange(len(sizes))[::-1] / memory), 0.0)
    return float((weight * np.where(has_value, sizes, 0.0)).sum() / weight.sum()) if has_value.any() else np.nan


def _quantiles(pooled: Float64Array, levels: tuple[float, float]) -> Float64Array:
    """Return two quantiles of each row without its missing values, shape (2, rows)."""
    whole = np.isfinite(pooled).all(axis=1)
    ends = np.full((2, len(pooled)), np.nan)
    if whole.any():
        ends[:, whole] = np.quantile(pooled[whole], levels, axis=1)
    for row in np.flatnonzero(~whole):
        values = pooled[row][np.isfinite(pooled[row])]
        if len(values):
            ends[:, row] = np.quantile(values, levels)
    return ends
