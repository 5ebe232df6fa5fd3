"""The parts of a forecast by hand calculation, or against an independent slow one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from metrify_assets.analytics.forecast import champion
from metrify_assets.analytics.forecast.backtest import fit_week, roll
from metrify_assets.analytics.forecast.champion import METHODS, REASON_CODES, ForecastParameters, forecasts
from metrify_assets.analytics.forecast.correction import CorrectionParameters, correction
from metrify_assets.analytics.forecast.day_calendar import FRIDAY, MIDWEEK, MONDAY, SATURDAY, SUNDAY
from metrify_assets.analytics.forecast.features import NAMES, design, recent_median, similar_day, usual_level
from metrify_assets.analytics.forecast.intervals import IntervalParameters, intervals
from metrify_assets.analytics.forecast.ridge import RidgeParameters, fit
from metrify_assets.analytics.forecast.scores import score
from metrify_assets.reference.control_areas import AREAS, holiday_share
from tests.unit.analytics.loads import calendar_of, load_series

FIRST = date(2019, 1, 1)


def column(designed, name):
    return designed.features[..., NAMES.index(name)]


def test_lags_are_those_of_the_local_hour_over_a_change_of_the_clock():
    first, days = date(2019, 3, 1), 50
    series, calendar = load_series(first, days), calendar_of(first, days)
    target = series.row(date(2019, 4, 3))
    designed = design(series, calendar, 1, target, target)
    for hour in range(24):
        assert column(designed, "week_before")[0, hour] == series.values[series.row(date(2019, 3, 27)), hour]
        assert column(designed, "last_day")[0, hour] == series.values[series.row(date(2019, 4, 1)), hour]


def test_a_week_ahead_the_week_before_is_the_last_that_was_whole():
    series, calendar = load_series(FIRST, 60), calendar_of(FIRST, 60)
    designed = design(series, calendar, 7, 40, 40)
    assert np.array_equal(column(designed, "week_before")[0], series.values[26])
    assert np.array_equal(column(designed, "last_day")[0], series.values[32])


def test_kinds_of_days_around_easter_and_christmas():
    calendar = calendar_of(date(2019, 4, 15), 270)
    kinds = {
        "2019-04-18": MIDWEEK,
        "2019-04-19": SUNDAY,
        "2019-04-20": SATURDAY,
        "2019-04-22": SUNDAY,
        "2019-04-26": FRIDAY,
        "2019-04-29": MONDAY,
        "2019-12-24": SATURDAY,
    }
    assert {day: int(calendar.kind[calendar.row(date.fromisoformat(day))]) for day in kinds} == kinds
    bridge = calendar.row(date(2019, 5, 31))  # The Friday after Ascension.
    assert calendar.special[bridge]
    assert not calendar.ordinary[bridge]
    assert calendar.after[bridge] == 0


def test_a_regional_holiday_counts_by_the_people_that_have_it():
    corpus_christi = date(2019, 6, 20)
    assert holiday_share("TransnetBW", corpus_christi) == 1.0
    assert holiday_share("50Hertz", corpus_christi) == 0.0
    of_germany = AREAS["DE"].people
    with_it = sum(of_germany[state] for state in ("BW", "BY", "HE", "NW", "RP", "SL"))
    assert holiday_share("DE", corpus_christi) == pytest.approx(with_it / sum(of_germany.values()))
    assert 0.2 < holiday_share("TenneT", date(2019, 8, 15)) < 0.35


def test_the_similar_day_is_the_mean_of_the_last_three_of_its_kind():
    calendar = calendar_of(date(2019, 2, 1), 40)
    past = np.arange(39.0)[:, None] * np.ones((1, 24))
    past[31] = np.nan  # Monday 2019-03-04: nothing known of it.
    mondays = [calendar.row(date(2019, 2, day)) for day in (11, 18, 25)]
    assert similar_day(past[:38], calendar, MONDAY)[0] == np.mean(mondays)


def test_the_level_takes_the_week_before_of_a_holiday():
    past = np.arange(20.0)[:, None] * np.ones((1, 24))
    ordinary = np.ones(20, dtype=bool)
    ordinary[[15, 8]] = False
    assert usual_level(past, ordinary) == (13 + 14 + 1 + 16 + 17 + 18 + 19) / 7


def test_the_median_leaves_out_what_is_missing():
    past = np.arange(20.0)[:, None] * np.ones((1, 24))
    past[19, 0] = np.nan
    assert recent_median(past)[:2].tolist() == [12.5, 13.0]


def test_ridge_solves_what_a_general_optimiser_would():
    random = np.random.default_rng(3)
    x, ages = random.normal(size=(80, 1, 3)) * [1, 5, 0.2], np.arange(80.0, 0, -1)
    y = 2 + x @ np.array([1.0, -0.5, 3.0]) + random.normal(size=(80, 1))
    parameters = RidgeParameters(penalty=0.3, half_life_days=50)
    model = fit(x, y, ages, parameters, ("a", "b", "c"), ("", ""))
    weight = 0.5 ** (ages / 50)
    weight /= weight.sum()
    spread = np.sqrt(weight @ (x[:, 0] - weight @ x[:, 0]) ** 2)
    # The same as least squares with one more row for each penalised coefficient.
    rows = np.vstack([np.column_stack([np.ones(80), x[:, 0]]) * np.sqrt(weight)[:, None], np.zeros((3, 4))])
    rows[80:, 1:] = np.diag(np.sqrt(0.3) * spread)
    expected = np.linalg.lstsq(rows, np.append(y[:, 0] * np.sqrt(weight), [0, 0, 0]), rcond=None)[0]
    assert [model.intercept[0], *model.coefficients[0]] == pytest.approx(expected)


def test_a_model_knows_its_training_window():
    series, calendar = load_series(FIRST, 100), calendar_of(FIRST, 100)
    designed = design(series, calendar, 1, 0, 99)
    model = fit_week(series, designed, date(2019, 4, 1), RidgeParameters())
    assert (model.first_day, model.last_day) == ("2019-01-01", "2019-03-31")
    assert 40 < model.days <= 90


def test_too_short_a_history_has_no_model_and_says_so():
    series, calendar = load_series(FIRST, 40), calendar_of(FIRST, 40)
    designed = design(series, calendar, 1, 0, 39)
    issued = forecasts(
        series, calendar, designed, roll(series, designed, 0, 39, RidgeParameters()), ForecastParameters()
    )
    assert [METHODS[code] for code in issued.method[[0, 2, 39], 12]] == ["none", "median_13_days", "similar_day"]
    assert [REASON_CODES[code] for code in issued.reason[[0, 39], 12]] == ["no_history", "no_model"]


def test_a_missing_hour_falls_back_in_that_hour_alone():
    series, calendar = load_series(FIRST, 120), calendar_of(FIRST, 120)
    values = series.values.copy()
    values[112, 15] = np.nan
    series = replace(series, values=values)
    designed = design(series, calendar, 1, 0, 119)
    issued = forecasts(
        series, calendar, designed, roll(series, designed, 60, 119, RidgeParameters()), ForecastParameters()
    )
    # Of day 119 the week before is day 112.
    assert METHODS[issued.method[-1, 15]] == "similar_day"
    assert REASON_CODES[issued.reason[-1, 15]] == "missing_history"
    assert (np.delete(issued.method[-1], 15) == champion.MODEL).all()


def test_a_model_that_is_behind_gives_way_to_similar_days():
    values = np.full((40, 24), 100.0)
    behind = champion._is_behind(values + 2.0, values + 1.0, values, 1)
    # Fourteen days are known for the target day 15.
    assert behind.tolist() == [False] * 15 + [True] * 25
    assert not champion._is_behind(values + 1, values + 2, values, 1).any()


def test_the_correction_is_a_share_of_the_mean_error_and_of_this_morning_s():
    parameters = CorrectionParameters(memory_days=1 / np.log(2), share=0.5, morning_share=0.25)
    errors = np.array([[2.0, 0.0], [5.0, 3.0]])
    # Weights 1/2 and 1: means 4 and 2; the morning is 8 above the mean of its slot.
    added = correction(errors, np.array([12.0]), np.array([True, True, True]), parameters)
    assert added.tolist() == pytest.approx([0.5 * 4 + 0.25 * 8, 0.5 * 2 + 0.25 * 8])
    holiday = correction(errors, np.array([12.0]), np.array([True, False, False]), parameters)
    assert holiday.tolist() == pytest.approx([0.5 * 2, 0.0])


def test_intervals_cover_what_they_should_when_errors_are_skewed_and_grow():
    random = np.random.default_rng(5)
    days = 700
    forecast = np.full((days, 24), 1_000.0)
    spread = np.linspace(10, 60, days)[:, None]
    values = forecast + spread * (random.gamma(2.0, 1.0, (days, 24)) - 1.2)
    for lead in (1, 7):
        ends = intervals(forecast, values, lead, 1, IntervalParameters())
        later = slice(100, None)
        below, above = (values < ends.low)[later].mean(), (values > ends.high)[later].mean()
        assert below == pytest.approx(0.1, abs=0.015)
        assert above == pytest.approx(0.1, abs=0.015)


def test_there_is_no_interval_without_errors():
    forecast = np.full((60, 24), 1_000.0)
    ends = intervals(forecast, np.full((60, 24), np.nan), 1, 1, IntervalParameters())
    assert np.isnan(ends.low).all()


def test_scores_by_hand():
    values, p50, p10, p90 = (
        np.array([row]) for row in ([10.0, 20, np.nan], [12.0, 19, 5], [9.0, 16, 4], [14.0, 19.5, 6])
    )
    result = score(values, p50, p10, p90, np.array([[7.0, 17, 1]]))
    assert result.count == 2
    assert result.wape == pytest.approx(3 / 30)
    assert result.mase == pytest.approx(3 / 6)
    assert result.coverage == 0.5
    losses = (0.1 * 1 + 0.5 * 2 + 0.1 * 4) / 3 + (0.1 * 4 + 0.5 * 1 + 0.9 * 0.5) / 3
    assert result.pinball == pytest.approx(losses / 30)


def test_what_cannot_be_compared_has_no_score():
    nothing = np.full((1, 2), np.nan)
    assert score(nothing, nothing, nothing, nothing, nothing).wape is None


def test_a_model_beats_the_week_before_on_a_load_with_weather():
    series, calendar = load_series(FIRST, 300), calendar_of(FIRST, 300)
    designed = design(series, calendar, 1, 0, 299)
    issued = forecasts(
        series, calendar, designed, roll(series, designed, 60, 299, RidgeParameters()), ForecastParameters()
    )
    week_before = series.lagged()[53:293]
    result = score(series.values[60:], issued.p50, issued.p10, issued.p90, week_before)
    assert result.mase < 0.8
    assert 0.75 < result.coverage < 0.85
    assert issued.first == 60
    assert timedelta(days=issued.first) + FIRST == date(2019, 3, 2)


def test_quarter_hours_are_forecast_like_hours():
    means = []
    for minutes in (60, 15):
        series, calendar = load_series(FIRST, 100, minutes), calendar_of(FIRST, 100, minutes)
        designed = design(series, calendar, 1, 0, 99)
        issued = forecasts(
            series, calendar, designed, roll(series, designed, 60, 99, RidgeParameters()), ForecastParameters()
        )
        assert (issued.method[-1] == champion.MODEL).all()
        means.append((issued.p50[-1].mean() / series.values[-1].mean(), issued.p50.shape[1]))
    (hourly, hours), (quarterly, quarters) = means
    assert (hours, quarters) == (24, 96)
    assert hourly == pytest.approx(1, abs=0.1)
    assert quarterly == pytest.approx(1, abs=0.1)
