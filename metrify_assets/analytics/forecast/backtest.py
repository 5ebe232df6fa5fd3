"""Rolling origin: every day of a past window is forecast from what was known when its forecast was issued.

Belongs here: the weekly refit, and the way from raw to corrected forecasts. Does not belong here: scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from metrify_assets.analytics.forecast.correction import CorrectionParameters, correction
from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.features import ISSUE_MINUTE, NAMES, Design
from metrify_assets.analytics.forecast.ridge import RidgeModel, RidgeParameters, fit
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.vee.arrays import Float64Array


@dataclass(frozen=True)
class Rolled:
    """Raw forecasts of consecutive target days.

    Attributes
    ----------
    first : int
        Row of the first target day.
    raw : float array, shape (targets, slots)
        By the model of the week of issue; NaN where there is no model or a feature is missing.
    stale : float array, shape (targets, slots)
        By the model of the week before.
    """

    first: int
    raw: Float64Array
    stale: Float64Array


def monday(day: date) -> date:
    """Return the Monday of a day's week: at its 08:00 the model of the week is fitted."""
    return day - timedelta(days=day.weekday())


def fit_week(series: LoadSeries, design: Design, week: date, parameters: RidgeParameters) -> RidgeModel | None:
    """Return the model of a week: fitted to all target days before its Monday."""
    end = series.row(week) - design.first
    if end <= 0:
        return None
    values = series.values[design.first : design.first + end]
    ages = np.arange(len(values), 0, -1, dtype=float)
    days = (series.first + timedelta(days=design.first), week - timedelta(days=1))
    window = (days[0].isoformat(), days[1].isoformat())
    return fit(design.features[: len(values)], values, ages, parameters, NAMES, window)


def roll(series: LoadSeries, design: Design, first: int, last: int, parameters: RidgeParameters) -> Rolled:
    """Return raw forecasts of the target rows ``first`` to ``last``, both included, refitted every Monday."""
    raw = np.full((last - first + 1, series.slots), np.nan)
    stale = raw.copy()
    weeks: dict[date, RidgeModel | None] = {}
    for target in range(first, last + 1):
        week = monday(series.first + timedelta(days=target - design.lead))
        for of_week in (week - timedelta(days=7), week):
            if of_week not in weeks:
                weeks[of_week] = fit_week(series, design, of_week, parameters)
        features = design.features[target - design.first]
        model, before = weeks[week], weeks[week - timedelta(days=7)]
        if model is not None:
            raw[target - first] = model.predict(features)
        if before is not None:
            stale[target - first] = before.predict(features)
    return Rolled(first, raw, stale)


def corrected(
    values: Float64Array,
    calendar: DayCalendar,
    lead: int,
    rolled: Rolled,
    minutes: int,
    parameters: CorrectionParameters,
) -> Float64Array:
    """Return raw forecasts corrected by the errors that were known at their issue, shape (targets, slots).

    ``values`` are those of the target days, NaN where one is missing or still to come.
    """
    result = rolled.raw.copy()
    errors = values - rolled.raw
    morning = ISSUE_MINUTE // minutes
    for position in range(lead, len(result)):
        # Rows before the issue day, and the issue day itself.
        issue = position - lead
        ordinary = calendar.ordinary[rolled.first : rolled.first + issue + 1]
        result[position] += correction(errors[:issue], errors[issue, :morning], ordinary, parameters)
    return result
