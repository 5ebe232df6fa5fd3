"""Nothing of a forecast follows from what came after its issue."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metrify_assets.analytics.forecast.backtest import roll
from metrify_assets.analytics.forecast.champion import ForecastParameters, forecasts
from metrify_assets.analytics.forecast.features import LEADS, design
from metrify_assets.analytics.forecast.series import LoadSeries, instant_of
from tests.unit.analytics.loads import ZONE, calendar_of, instants, load_values

FIRST, DAYS = date(2018, 9, 1), 260
HOUR = 3_600_000_000
SPRING, AUTUMN = date(2019, 3, 31), date(2018, 10, 28)
EASTER, CHRISTMAS = date(2019, 4, 21), date(2018, 12, 25)


@cache
def measured() -> tuple[np.ndarray, np.ndarray]:
    return instants(FIRST, DAYS), load_values(FIRST, DAYS)


@cache
def calendar():
    return calendar_of(FIRST, DAYS)


def scrambled(issue_day: date, seed: int) -> np.ndarray:
    """Return the load with nonsense in every hour that had not ended at 08:00 of the issue day, half of it missing."""
    starts, values = measured()
    after = starts + HOUR > instant_of(issue_day, 480, ZONE)
    random = np.random.default_rng(seed)
    nonsense = np.where(random.random(len(values)) < 0.5, np.nan, random.uniform(-1e6, 1e6, len(values)))
    return np.where(after, nonsense, values)


def series_of(values: np.ndarray) -> LoadSeries:
    return LoadSeries.of("load", measured()[0], values, minutes=60, days=(FIRST, FIRST + timedelta(days=DAYS - 1)))


def days_from(first: int) -> st.SearchStrategy[date]:
    return st.integers(first, DAYS - 9).map(lambda number: FIRST + timedelta(days=number))


@example(SPRING, 1)
@example(SPRING - timedelta(days=1), 1)
@example(AUTUMN, 1)
@example(AUTUMN - timedelta(days=1), 1)
@example(EASTER, 1)
@example(CHRISTMAS, 1)
@given(days_from(1), st.integers(0, 99))
def test_features_of_an_issue_day_are_the_same_whatever_comes_after_it(issue_day, seed):
    whole, cut = series_of(measured()[1]), series_of(scrambled(issue_day, seed))
    for lead in LEADS:
        target = whole.row(issue_day) + lead
        ours, theirs = (design(series, calendar(), lead, target, target) for series in (whole, cut))
        for name in ("features", "similar", "median"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), strict=True)


@pytest.mark.slow
@settings(max_examples=3)
@example(SPRING, 1)
@example(AUTUMN + timedelta(days=70), 1)
@given(days_from(110), st.integers(0, 99))
def test_a_forecast_with_its_model_and_its_interval_is_the_same_whatever_comes_after_its_issue(issue_day, seed):
    parameters = ForecastParameters()
    for lead in LEADS:
        target = series_of(measured()[1]).row(issue_day) + lead
        issued = []
        for values in (measured()[1], scrambled(issue_day, seed)):
            series = series_of(values)
            designed = design(series, calendar(), lead, 0, target)
            rolled = roll(series, designed, 60, target, parameters.ridge)
            issued.append(forecasts(series, calendar(), designed, rolled, parameters))
        assert np.isfinite(issued[0].p50[-1]).all()
        for name in ("p10", "p50", "p90", "method", "reason"):
            np.testing.assert_array_equal(getattr(issued[0], name)[-1], getattr(issued[1], name)[-1], strict=True)


def test_the_hour_before_the_issue_is_seen_and_the_hour_after_it_is_not():
    starts, values = measured()
    issue_day = date(2019, 2, 6)
    target = (issue_day - FIRST).days + 1
    as_it_was = design(series_of(values), calendar(), 1, target, target).features
    for hour, seen in ((7, True), (8, False)):
        changed = values.copy()
        changed[starts == instant_of(issue_day, hour * 60, ZONE)] += 100
        differs = not np.array_equal(as_it_was, design(series_of(changed), calendar(), 1, target, target).features)
        assert differs is seen


def test_a_calendar_of_other_days_is_refused():
    with pytest.raises(ValueError, match="calendar does not cover"):
        design(series_of(measured()[1]), calendar_of(FIRST, 10), 1, 5, 20)
