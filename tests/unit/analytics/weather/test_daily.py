"""Days from their slots and hours, days that stand out, degree days of stations."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.analytics.weather.daily import daily_energy, daily_temperature, extreme_days, station_degree_days
from metrify_assets.analytics.weather.rules import DEFAULT_RULES
from tests.examples import examples


def test_a_day_of_which_half_is_measured_is_scaled_and_one_of_less_is_missing():
    kwh = np.array([[6.0, 6.0, 6.0, 0.0, np.nan]])
    share = np.array([[1.0, 0.5, 47 / 96, 0.5, 0.0]])
    np.testing.assert_array_equal(daily_energy(kwh, share, DEFAULT_RULES), [[6.0, 12.0, np.nan, 0.0, np.nan]])


def test_a_temperature_counts_from_nine_tenths_of_the_hours_of_its_day():
    # 24 hours need 22, the 23 of March 21, the 25 of October 23.
    hours, expected = np.array([22, 21, 21, 20, 23, 22]), np.array([24, 24, 23, 23, 25, 25])
    means = daily_temperature(np.full((1, 6), 5.0), hours[None].astype(float), expected, DEFAULT_RULES)
    np.testing.assert_array_equal(means, [[5.0, np.nan, 5.0, np.nan, 5.0, np.nan]])


@settings(max_examples=examples(0.5))
@given(st.lists(st.one_of(st.none(), st.floats(0, 1_000)), min_size=1, max_size=40))
def test_extreme_days_are_those_above_the_median_and_three_quartile_ranges(values):
    energy = np.array([[np.nan if value is None else value for value in values]])
    found = extreme_days(energy, np.isfinite(energy), DEFAULT_RULES)[0]
    present = [value for value in values if value is not None]
    if len(present) < 2:
        assert not found.any()
        return
    quartiles = statistics.quantiles(present, n=4, method="inclusive")
    fence = quartiles[1] + 3 * (quartiles[2] - quartiles[0])
    for value, extreme in zip(values, found.tolist(), strict=True):
        if value is None or value <= fence:
            assert not extreme
        elif value > fence * (1 + 1e-5):
            assert extreme


def test_equal_days_that_differ_by_rounding_are_not_extreme():
    energy = np.array([[2.4, 2.4, 2.4, 2.400001, 2.4000000000000004, 2.5]])
    found = extreme_days(energy, np.isfinite(energy), DEFAULT_RULES)
    assert found.tolist() == [[False, False, False, False, False, True]]


def test_degree_days_of_a_station_are_those_of_eurostat():
    heating, cooling = station_degree_days(np.array([-5.0, 15.0, 15.1, 23.9, 24.0, 30.0, np.nan]), DEFAULT_RULES)
    np.testing.assert_allclose(heating, [23, 3, 0, 0, 0, 0, np.nan])
    np.testing.assert_allclose(cooling, [0, 0, 0, 0, 3, 9, np.nan])


def test_balance_points_cover_the_range_of_caltrack_in_steps_that_it_allows():
    balance = DEFAULT_RULES.balance_points
    assert (balance[0], balance[-1]) == (-1.0, 32.0)
    assert np.diff(balance) == pytest.approx(1.0)
    assert DEFAULT_RULES.min_degree_day_sum == pytest.approx(11.111, abs=1e-3)
