"""What a forecast looks at: values that were there at the time of issue, and the calendar.

Belongs here: features by issue day, and the two forecasts that need no regression: similar day and median. Does not
belong here: the regression (``ridge.py``).

A forecast is issued on a day at 08:00 local time. Known are then all days before, and the issue day up to 08:00.
``IssueView`` cuts the series there, once: nothing behind it can see more. Lags are by local slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

ISSUE_MINUTE = 8 * 60
"""Local minute of the day at which forecasts are issued."""
DAY_AHEAD, WEEK_AHEAD = 1, 7
LEADS = (DAY_AHEAD, WEEK_AHEAD)
"""Days from the issue day to the day that is forecast."""

SIMILAR_DAYS = 3
SIMILAR_LOOKBACK = 60
MEDIAN_DAYS = 13
LEVEL_DAYS = 7
LEVEL_WEEKS = 4
HARMONICS = (1, 2)

NAMES = (
    "similar",
    "similar_at_work",
    "morning_from_similar",
    "last_hour_from_similar",
    "last_day",
    "week_before",
    "two_weeks_before",
    "morning_from_week_before",
    "last_hour_from_week_before",
    "level",
    "work_day_before",
    "work_last_day",
    "work_week_before",
    *(f"{wave}_{harmonic}" for harmonic in HARMONICS for wave in ("cos", "sin")),
    "sun",
    *(f"weekday_{number}" for number in range(7)),
    "holiday",
    "holiday_saturday",
    "before_holiday",
    "after_holiday",
    "after_holiday_saturday",
    "reduced",
    "reduced_similar",
    "pre_christmas",
)
"""Names of the features, in order."""


@dataclass(frozen=True, eq=False)
class IssueView:
    """What was known of a series when a forecast was issued.

    Attributes
    ----------
    past : float array, shape (issue, slots)
        All days before the issue day.
    morning : float array, shape (morning slots,)
        The issue day up to 08:00.
    """

    past: Float64Array
    morning: Float64Array

    @classmethod
    def at(cls, lagged: Float64Array, issue: int, minutes: int) -> IssueView:
        """Return what was known at 08:00 of the day in row ``issue``."""
        morning = lagged[issue, : ISSUE_MINUTE // minutes] if issue < len(lagged) else _unknown(minutes)
        return cls(lagged[:issue].copy(), morning.copy())


@dataclass(frozen=True, eq=False)
class Design:
    """Features, similar days and medians of consecutive target days, for one lead.

    Attributes
    ----------
    lead : int
    first : int
        Row of the first target day, in the rows of series and calendar.
    features : float array, shape (targets, slots, features)
        Missing is NaN.
    similar, median : float array, shape (targets, slots)
    """

    lead: int
    first: int
    features: Float64Array
    similar: Float64Array
    median: Float64Array


def design(
    series: LoadSeries, calendar: DayCalendar, lead: int, first: int, last: int, *, features_from: int = 0
) -> Design:
    """Return what forecasts of the target rows ``first`` to ``last``, both included, look at.

    Rows before ``features_from`` have similar days and medians alone: their raw forecasts are at hand.

    Raises
    ------
    ValueError
        If the calendar does not begin where the series does, or ends before ``last``.
    """
    if calendar.first != series.first or last >= len(calendar.work):
        raise ValueError(f"{series.name}: the calendar does not cover the days that are forecast")
    lagged = series.lagged()
    rows = range(first, last + 1)
    features = np.full((len(rows), series.slots, len(NAMES)), np.nan)
    similar = np.full((len(rows), series.slots), np.nan)
    median = similar.copy()
    for position, target in enumerate(rows):
        issue = target - lead
        if issue <= 0:
            continue
        view = IssueView.at(lagged, issue, series.minutes)
        similar[position] = similar_day(view.past, calendar, int(calendar.kind[target]))
        median[position] = recent_median(view.past)
        if target >= features_from:
            features[position] = issue_features(view, calendar, target, lead, series.minutes, similar[position])
    return Design(lead, first, features, similar, median)


def issue_features(
    view: IssueView, calendar: DayCalendar, target: int, lead: int, minutes: int, similar: Float64Array
) -> Float64Array:
    """Return the features of a target day, shape (slots, features); see ``NAMES``."""
    past, morning = view.past, view.morning
    issue = len(past)
    hour = 60 // minutes
    of_issue_day = similar_day(past, calendar, int(calendar.kind[issue]))[: len(morning)]
    from_similar = morning - of_issue_day
    from_week = morning - _row(past, issue - 7)[: len(morning)]
    # The last whole week before the target that was known: its day of the same weekday.
    week = -(-(lead + 1) // 7) * 7
    weekday = calendar.weekday[target] == np.arange(7)
    at_work = np.where(np.arange(7) == 6, 1.0, 1.0 - calendar.holiday[target])
    workday, saturday = float(calendar.weekday[target] < 5), float(calendar.weekday[target] == 5)
    angle = calendar.angle[target]
    columns = (
        similar,
        similar * calendar.work[target],
        from_similar.mean(),
        from_similar[-hour:].mean(),
        past[-1],
        _row(past, target - week),
        _row(past, target - week - 7),
        from_week.mean(),
        from_week[-hour:].mean(),
        usual_level(past, calendar.ordinary),
        calendar.work[target - 1],
        calendar.work[issue - 1],
        calendar.work[target - week] if target >= week else np.nan,
        *(wave(harmonic * angle) for harmonic in HARMONICS for wave in (np.cos, np.sin)),
        calendar.sun[target],
        *(weekday * at_work),
        calendar.holiday[target] * workday,
        calendar.holiday[target] * saturday,
        calendar.before[target],
        calendar.after[target],
        calendar.holiday[target - 1] * saturday,
        calendar.reduced[target],
        calendar.reduced[target] * similar,
        calendar.pre_christmas[target],
    )
    features = np.empty((len(similar), len(columns)))
    for number, column in enumerate(columns):
        features[:, number] = column
    return features


def similar_day(past: Float64Array, calendar: DayCalendar, kind: int) -> Float64Array:
    """Return the mean of the last three days of a kind, slot by slot, shape (slots,); NaN where there is none.

    Days around Christmas and bridge days count for none.
    """
    issue = len(past)
    first = max(issue - SIMILAR_LOOKBACK, 0)
    alike = (calendar.kind[first:issue] == kind) & ~calendar.special[first:issue]
    alike &= np.isfinite(past[first:]).any(axis=1)
    rows: Int64Array = np.flatnonzero(alike)[-SIMILAR_DAYS:] + first
    return _mean(past[rows])


def recent_median(past: Float64Array) -> Float64Array:
    """Return the median of the last 13 days, slot by slot, shape (slots,); NaN where there is no value."""
    # Sorting puts what is missing last.
    recent = np.sort(past[-MEDIAN_DAYS:], axis=0)
    count = np.isfinite(recent).sum(axis=0)
    middle = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(recent) - 1)])
    median: Float64Array = np.take_along_axis(recent, middle, axis=0).mean(axis=0)
    return median


def usual_level(past: Float64Array, ordinary: BoolArray) -> float:
    """Return the mean of the last seven days; NaN if one of them has no value.

    For a day that is not ordinary the same weekday a week before counts, or one of the three weeks before that.
    """
    rows = []
    for row in range(len(past) - LEVEL_DAYS, len(past)):
        weeks = [row - 7 * back for back in range(LEVEL_WEEKS) if row - 7 * back >= 0]
        chosen = next((week for week in weeks if ordinary[week]), None)
        if chosen is None:
            return np.nan
        rows.append(chosen)
    return float(_mean(past[rows].T).mean())


def _mean(rows: Float64Array) -> Float64Array:
    """Return the mean of the values of each column, NaN where there is none."""
    has_value = np.isfinite(rows)
    count = has_value.sum(axis=0)
    total = np.where(has_value, rows, 0.0).sum(axis=0)
    mean: Float64Array = np.divide(total, count, out=np.full(rows.shape[1], np.nan), where=count > 0)
    return mean


def _row(past: Float64Array, row: int) -> Float64Array:
    return np.array(past[row]) if row >= 0 else np.full(past.shape[1], np.nan)


def _unknown(minutes: int) -> Float64Array:
    return np.full(ISSUE_MINUTE // minutes, np.nan)
