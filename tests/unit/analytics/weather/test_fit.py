"""The fit of all points, against a slow working-out per point, against points made up beforehand, and against laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.weather_peer import by_adjusted_r_squared, quality, slow_fit
from metrify_assets.analytics.weather import fit as fit_module
from metrify_assets.analytics.weather.fit import Fits, fit_points
from metrify_assets.analytics.weather.rules import DEFAULT_RULES, Model, Refusal, WeatherRules
from tests.examples import examples
from tests.unit.analytics.weather.points import baseline, use, year_of_temperature

COARSE = WeatherRules(balance_step_k=3.0)
TERMS = {Model.BASE_LOAD: "base", Model.HEATING: "heating", Model.COOLING: "cooling", Model.BOTH: "both"}
NUMBERS = ("base_kwh", "heating_kwh", "cooling_kwh", "heating_balance_c", "cooling_balance_c", "r_squared", "cv_rmse")


def noisy(seed: int, temperature: np.ndarray, **dependence) -> np.ndarray:
    """Return a year of use with noise that resembles the day before, without negative days."""
    random = np.random.default_rng(seed)
    noise = np.zeros(len(temperature))
    for day in range(1, len(noise)):
        noise[day] = 0.4 * noise[day - 1] + random.normal(0, 1.0)
    return np.maximum(use(temperature, **dependence) + noise, 0)


def assert_equal(one: Fits, other: Fits, rows=slice(None)) -> None:
    for name in ("model", "days", "extreme"):
        np.testing.assert_array_equal(getattr(one, name)[rows], getattr(other, name))
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(one, name)[rows], getattr(other, name), rtol=1e-7, atol=1e-9, err_msg=name)


@settings(max_examples=examples(0.5))
@given(
    seed=st.integers(0, 10_000),
    base=st.floats(0.0, 20.0),
    heating=st.sampled_from([0.0, 0.05, 0.5, 2.0]),
    cooling=st.sampled_from([0.0, 0.05, 0.5, 2.0]),
    missing=st.integers(0, 30),
)
def test_a_loop_over_points_and_candidates_finds_the_same(seed, base, heating, cooling, missing):
    temperature = year_of_temperature(seed)
    energy = noisy(seed, temperature, base=base, heating=(heating, 14.3), cooling=(cooling, 19.1))
    energy[np.random.default_rng(seed).choice(365, missing, replace=False)] = np.nan
    fits = fit_points(baseline(energy, temperature), COARSE)
    chosen, _ = slow_fit(energy, temperature, COARSE)
    model = Model(int(fits.model[0]))
    assert TERMS[model] == chosen.terms
    slopes = {"heating": [fits.heating_kwh[0]], "cooling": [fits.cooling_kwh[0]], "base": []}
    slopes["both"] = [fits.heating_kwh[0], fits.cooling_kwh[0]]
    np.testing.assert_allclose([fits.base_kwh[0], *slopes[chosen.terms]], chosen.coefficients, rtol=1e-6, atol=1e-8)
    balance = {"heating": [fits.heating_balance_c[0]], "cooling": [fits.cooling_balance_c[0]], "base": []}
    balance["both"] = [fits.heating_balance_c[0], fits.cooling_balance_c[0]]
    assert tuple(balance[chosen.terms]) == chosen.balance
    expected = quality(chosen, energy, temperature)
    np.testing.assert_allclose([fits.r_squared[0], fits.cv_rmse[0]], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "heating", "cooling"),
    [
        (Model.HEATING, (1.7, 14.0), (0.0, 22.0)),
        (Model.COOLING, (0.0, 14.0), (2.3, 20.0)),
        (Model.BOTH, (1.7, 12.0), (2.3, 20.0)),
        (Model.BOTH, (1.0, 16.0), (1.0, 16.0)),
    ],
)
def test_a_point_without_noise_gets_exactly_its_coefficients(model, heating, cooling):
    temperature = year_of_temperature()
    fits = fit_points(baseline(use(temperature, 4.0, heating, cooling), temperature))
    assert fits.model[0] == model
    assert fits.base_kwh[0] == pytest.approx(4.0)
    if heating[0]:
        assert (fits.heating_kwh[0], fits.heating_balance_c[0]) == pytest.approx(heating)
    else:
        assert np.isnan(fits.heating_kwh[0])
        assert np.isnan(fits.heating_balance_c[0])
    if cooling[0]:
        assert (fits.cooling_kwh[0], fits.cooling_balance_c[0]) == pytest.approx(cooling)
    assert fits.r_squared[0] == pytest.approx(1)
    assert fits.cv_rmse[0] == pytest.approx(0, abs=1e-6)


def test_a_constant_use_is_a_base_load_without_r_squared():
    fits = fit_points(baseline(np.full(365, 3.5), year_of_temperature()))
    assert fits.model[0] == Model.BASE_LOAD
    assert fits.base_kwh[0] == 3.5
    assert np.isnan(fits.r_squared[0])
    assert fits.cv_rmse[0] == 0


def test_a_point_that_uses_nothing_is_a_base_load_of_zero_without_a_relative_error():
    fits = fit_points(baseline(np.zeros(365), year_of_temperature()))
    assert fits.model[0] == Model.BASE_LOAD
    assert fits.base_kwh[0] == 0
    assert np.isnan(fits.cv_rmse[0])


def test_use_that_falls_in_the_cold_and_in_the_heat_has_no_model_but_the_base_load():
    temperature = year_of_temperature()
    energy = 40 - use(temperature, 0.0, (0.6, 12.0), (0.6, 12.0))
    assert fit_points(baseline(energy, temperature)).model[0] == Model.BASE_LOAD


def test_a_base_load_below_zero_is_no_candidate():
    temperature = year_of_temperature()
    # The best straight line through what is used only below 8 degrees would begin below zero at other balance points.
    energy = use(temperature, 0.0, (2.0, 8.0))
    fits = fit_points(baseline(energy, temperature))
    assert fits.model[0] == Model.HEATING
    assert fits.heating_balance_c[0] == 8.0
    assert fits.base_kwh[0] == pytest.approx(0, abs=1e-6)


def test_noise_alone_depends_on_no_weather_where_the_adjusted_r_squared_finds_dependence_in_most_points():
    temperature = year_of_temperature(7)
    energy = np.stack([noisy(seed, temperature, base=10.0) for seed in range(200)])
    fits = fit_points(baseline(energy, temperature))
    dependent = np.count_nonzero(fits.model != Model.BASE_LOAD)
    assert dependent <= 0.02 * 200
    adjusted = [by_adjusted_r_squared(slow_fit(row, temperature, COARSE)[1]).terms for row in energy[:20]]
    assert sum(terms != "base" for terms in adjusted) > 10


def test_a_weak_dependence_is_not_lost_to_the_strict_choice():
    temperature = year_of_temperature(8)
    energy = np.stack([noisy(seed, temperature, base=10.0, heating=(0.15, 15.0)) for seed in range(200)])
    fits = fit_points(baseline(energy, temperature))
    assert np.count_nonzero(np.isin(fits.model, (Model.HEATING, Model.BOTH))) >= 0.98 * 200
    assert np.nanmedian(fits.heating_kwh) == pytest.approx(0.15, rel=0.1)


@given(seed=st.integers(0, 1_000))
@settings(max_examples=examples(0.2))
def test_the_order_of_the_points_and_their_blocks_changes_no_result(seed):
    random = np.random.default_rng(seed)
    temperature = np.stack([year_of_temperature(seed), year_of_temperature(seed + 1, mean=14.0)])
    station = random.integers(-1, 2, 40)
    energy = np.stack(
        [
            noisy(seed + row, temperature[max(station[row], 0)], base=5.0, heating=(0.3 * (row % 3), 15.0))
            for row in range(40)
        ]
    )
    energy[random.random(energy.shape) < 0.05] = np.nan
    whole = fit_points(baseline(energy, temperature, station=station))
    order = random.permutation(40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "BLOCK_POINTS", 7)
        shuffled = fit_points(baseline(energy[order], temperature, station=station[order]))
    assert_equal(whole, shuffled, order)


def test_a_point_is_judged_by_its_own_station_alone():
    near, far = year_of_temperature(1), year_of_temperature(2)
    energy = np.stack([use(near, 2.0, (1.0, 15.0)), use(far, 2.0, (1.0, 15.0))])
    fits = fit_points(baseline(energy, np.stack([near, far]), station=np.array([0, 1])))
    np.testing.assert_allclose(fits.r_squared, 1)
    swapped = fit_points(baseline(energy, np.stack([near, far]), station=np.array([1, 0])))
    assert (swapped.r_squared < 0.95).all()


@given(seed=st.integers(0, 1_000), missing=st.integers(0, 36))
@settings(max_examples=examples(0.2))
def test_missing_days_are_left_out_and_are_never_zeros(seed, missing):
    temperature = year_of_temperature(seed)
    energy = use(temperature, 4.0, (1.2, 14.0))
    # Months keep their weather: only uses are missing.
    energy[np.random.default_rng(seed).choice(365, missing, replace=False)] = np.nan
    fits = fit_points(baseline(energy, temperature))
    assert fits.model[0] == Model.HEATING
    assert fits.days[0] == 365 - missing
    assert fits.heating_kwh[0] == pytest.approx(1.2)
    assert fits.base_kwh[0] == pytest.approx(4.0)


def test_energy_scales_with_its_unit_and_nothing_else_changes():
    temperature = year_of_temperature(3)
    energy = noisy(3, temperature, base=8.0, heating=(0.8, 15.0))
    fits = fit_points(baseline(np.stack([energy, 1_000 * energy]), temperature))
    assert fits.model[0] == fits.model[1]
    assert fits.heating_balance_c[0] == fits.heating_balance_c[1]
    assert fits.heating_kwh[1] == pytest.approx(1_000 * fits.heating_kwh[0])
    assert fits.cv_rmse[1] == pytest.approx(fits.cv_rmse[0])


def test_arrays_that_do_not_fit_together_are_refused():
    temperature = year_of_temperature()
    with pytest.raises(ValueError, match="one value for each of 1 points"):
        baseline(np.ones(365), temperature, begin=np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="one value for each of 365 days"):
        baseline(np.ones(365), temperature[:300])
    with pytest.raises(ValueError, match="station 3 has no row among 1"):
        baseline(np.ones(365), temperature, station=np.array([3]))


def test_no_points_have_no_results():
    fits = fit_points(baseline(np.empty((0, 365)), year_of_temperature()))
    assert len(fits.model) == 0


def test_the_shortest_baseline_is_that_of_the_field():
    assert DEFAULT_RULES.min_baseline_days == 329
    assert Refusal(0).name == "NONE"
