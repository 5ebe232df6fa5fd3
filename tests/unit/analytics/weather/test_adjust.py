"""Expected and adjusted use, and the degree days of an ordinary year."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.analytics.weather.adjust import (
    adjusted_use,
    expected_day_of_months,
    expected_days,
    month_degree_days,
    month_use,
    ordinary_year,
)
from metrify_assets.analytics.weather.fit import fit_points
from metrify_assets.analytics.weather.rules import Model
from tests.examples import examples
from tests.unit.analytics.weather.points import FIRST_DAY, baseline, months, use, year_of_temperature

TEMPERATURE = year_of_temperature()
MONTHS = months(FIRST_DAY, 365)
STATION = np.zeros(1, np.int64)


def test_the_expected_use_of_a_day_is_base_load_and_degree_days():
    fits = fit_points(baseline(use(TEMPERATURE, 4.0, (1.5, 12.0), (2.0, 20.0)), TEMPERATURE))
    expected = expected_days(fits, STATION, np.array([[2.0, 15.0, 23.0, np.nan]]))
    np.testing.assert_allclose(expected, [[4 + 10 * 1.5, 4.0, 4 + 3 * 2.0, np.nan]])


def test_a_base_load_is_expected_without_any_weather_and_a_refused_point_never():
    fits = fit_points(baseline(np.stack([np.full(365, 3.0), np.full(365, np.nan)]), TEMPERATURE))
    expected = expected_days(fits, np.zeros(2, np.int64), np.array([[np.nan, 5.0]]))
    np.testing.assert_array_equal(expected, [[3.0, 3.0], [np.nan, np.nan]])


def test_adjusting_to_the_same_weather_changes_nothing():
    energy = use(TEMPERATURE, 4.0, (1.5, 12.0)) + np.random.default_rng(1).normal(0, 1, 365)
    fits = fit_points(baseline(energy, TEMPERATURE))
    expected = expected_days(fits, STATION, TEMPERATURE[None])
    np.testing.assert_allclose(adjusted_use(energy[None], expected, expected), energy[None])


def test_a_year_two_degrees_warmer_uses_less_by_the_slope_times_two_on_each_heating_day():
    energy = use(TEMPERATURE, 4.0, (1.5, 25.0))
    fits = fit_points(baseline(energy, TEMPERATURE))
    assert fits.model[0] == Model.HEATING
    expected = expected_days(fits, STATION, TEMPERATURE[None])
    warmer = expected_days(fits, STATION, TEMPERATURE[None] + 2)
    change = adjusted_use(energy[None], expected, warmer) - energy
    cold = TEMPERATURE + 2 <= 25
    np.testing.assert_allclose(change[0, cold], -3.0)


@settings(max_examples=examples(0.2))
@given(seed=st.integers(0, 1_000))
def test_a_month_is_the_mean_of_its_days(seed):
    temperature = year_of_temperature(seed)
    energy = use(temperature, 4.0, (1.5, 12.0), (0.7, 18.0))
    fits = fit_points(baseline(energy, temperature))
    by_month = expected_day_of_months(fits, STATION, month_degree_days(temperature[None], MONTHS))
    by_day = expected_days(fits, STATION, temperature[None])
    each = [by_day[0, month == MONTHS].mean() for month in np.unique(MONTHS)]
    np.testing.assert_allclose(by_month[0], each)


def test_an_ordinary_year_is_the_mean_over_the_years_of_what_the_model_expects():
    years = [year_of_temperature(seed, mean=9.0 + seed) for seed in range(3)]
    energy = use(years[0], 4.0, (1.5, 12.0))
    fits = fit_points(baseline(energy, years[0]))
    month = np.concatenate([months(date(year, 1, 1), 365) for year in (2021, 2022, 2023)])
    together = month_degree_days(np.concatenate(years)[None], month)
    ordinary = ordinary_year(together, np.unique(month))
    assert ordinary.periods.tolist() == [[3] * 12]
    expected = expected_day_of_months(fits, STATION, ordinary)
    alone = [expected_day_of_months(fits, STATION, month_degree_days(year[None], MONTHS)) for year in years]
    np.testing.assert_allclose(expected, np.mean(alone, axis=0))


def test_a_month_with_too_little_weather_does_not_count_among_the_years():
    temperature = np.concatenate([year_of_temperature(1), year_of_temperature(2)])[None]
    month = np.concatenate([months(date(year, 1, 1), 365) for year in (2021, 2022)])
    temperature[0, :4] = np.nan
    # 27 of 31 days of the first January are less than 90 %.
    ordinary = ordinary_year(month_degree_days(temperature, month), np.unique(month))
    assert ordinary.periods[0].tolist() == [1] + [2] * 11
    only = month_degree_days(temperature[:, 365:], month[365:])
    np.testing.assert_allclose(ordinary.heating[0, 0], only.heating[0, 0])


def test_a_calendar_month_that_no_year_has_is_missing_and_not_zero():
    ordinary = ordinary_year(month_degree_days(TEMPERATURE[None, 31:], MONTHS[31:]), np.unique(MONTHS[31:]))
    assert np.isnan(ordinary.heating[0, 0]).all()
    assert np.isfinite(ordinary.heating[0, 1:]).all()


def test_the_use_of_a_month_is_scaled_from_nine_tenths_of_its_days():
    energy = np.full((2, 365), 2.0)
    energy[0, :3] = np.nan
    energy[1, :4] = np.nan
    used = month_use(energy, MONTHS)
    np.testing.assert_allclose(used[0], 2.0)
    assert np.isnan(used[1, 0])
    assert used[1, 1] == pytest.approx(2.0)
