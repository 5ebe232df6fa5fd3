"""Which forecast counts: the model, else the similar day, else the median of the last 13 days; and why.

Belongs here: the chain and its reasons. Does not belong here: how each of them is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from metrify_assets.analytics.forecast.backtest import Rolled, corrected
from metrify_assets.analytics.forecast.correction import CorrectionParameters
from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.features import Design
from metrify_assets.analytics.forecast.intervals import IntervalParameters, intervals
from metrify_assets.analytics.forecast.ridge import RidgeParameters
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.digest import digest_of
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int8Array

METHODS = ("model", "similar_day", "median_13_days", "none")
MODEL, SIMILAR, MEDIAN, NONE = range(4)
REASONS: Mapping[str, str] = {
    "": "The model's forecast.",
    "no_model": "No model: the history is too short.",
    "missing_history": "A value that the model looks at had not arrived.",
    "behind_similar_day": "The model's errors of the last 28 known days are a tenth larger than those of similar days.",
    "no_history": "Nothing had arrived that a forecast could follow from.",
}
"""Why a forecast is not the model's."""
REASON_CODES = tuple(REASONS)
NO_MODEL, MISSING, BEHIND, NO_HISTORY = range(1, 5)

COMPARED_DAYS = 28
LEAST_COMPARED_DAYS = 14
BEHIND_BY = 1.1
"""Errors of the model / those of similar days from which it is behind: by less it may be chance. Our own choice."""


@dataclass(frozen=True)
class ForecastParameters:
    """All parameters of a forecast."""

    ridge: RidgeParameters = field(default_factory=RidgeParameters)
    correction: CorrectionParameters = field(default_factory=CorrectionParameters)
    intervals: IntervalParameters = field(default_factory=IntervalParameters)

    @property
    def digest(self) -> str:
        """Digest of the parameters."""
        return digest_of(self)


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of consecutive target days, for one lead.

    Attributes
    ----------
    lead : int
    first : int
        Row of the first target day.
    p10, p50, p90 : float array, shape (targets, slots)
        NaN where there is none.
    method, reason : int8 array, shape (targets, slots)
        Positions in ``METHODS`` and ``REASON_CODES``.
    """

    lead: int
    first: int
    p10: Float64Array
    p50: Float64Array
    p90: Float64Array
    method: Int8Array
    reason: Int8Array


def forecasts(
    series: LoadSeries, calendar: DayCalendar, design: Design, rolled: Rolled, parameters: ForecastParameters
) -> Forecasts:
    """Return the forecasts of the target days that were rolled.

    Days to come may follow the last day of the series: their values are missing, so they have no errors.
    """
    lead = design.lead
    days = len(rolled.raw)
    start = rolled.first - design.first
    values = np.full((days, series.slots), np.nan)
    measured = series.values[rolled.first : rolled.first + days]
    values[: len(measured)] = measured
    members = (
        corrected(values, calendar, lead, rolled, series.minutes, parameters.correction),
        design.similar[start : start + days],
        design.median[start : start + days],
    )
    has_model = np.isfinite(rolled.raw).any(axis=1)
    behind = _is_behind(members[MODEL], members[SIMILAR], values, lead)
    usable = np.isfinite(np.stack(members))
    usable[MODEL] &= ~behind[:, None]
    method = np.where(usable.any(axis=0), usable.argmax(axis=0), NONE).astype(np.int8)
    why = np.where(behind, BEHIND, np.where(has_model, MISSING, NO_MODEL))[:, None]
    reason = np.where(method == MODEL, 0, np.where(method == NONE, NO_HISTORY, why)).astype(np.int8)
    p10, p50, p90 = (np.full((days, series.slots), np.nan) for _ in range(3))
    for number, member in enumerate(members):
        chosen = method == number
        if chosen.any():
            ends = intervals(member, values, lead, 60 // series.minutes, parameters.intervals)
            p10[chosen], p50[chosen], p90[chosen] = ends.low[chosen], member[chosen], ends.high[chosen]
    return Forecasts(lead, rolled.first, p10, p50, p90, method, reason)


def _is_behind(model: Float64Array, similar: Float64Array, values: Float64Array, lead: int) -> BoolArray:
    """Return on which days the model did worse than similar days lately, bool, shape (days,)."""
    errors = np.stack([np.abs(member - values) for member in (model, similar)])
    both = np.isfinite(errors).all(axis=0)
    by_day = np.where(both, errors, 0.0).sum(axis=2)
    behind = np.zeros(len(values), dtype=bool)
    for day in range(len(values)):
        known = slice(max(day - lead - COMPARED_DAYS, 0), max(day - lead, 0))
        if both[known].any(axis=1).sum() >= LEAST_COMPARED_DAYS:
            ours, theirs = by_day[:, known].sum(axis=1)
            behind[day] = ours > BEHIND_BY * theirs
    return behind
