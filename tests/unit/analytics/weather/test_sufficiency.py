"""Which points are refused, by which rule, with which numbers."""

from __future__ import annotations

import numpy as np
import pytest

from metrify_assets.analytics.weather.fit import Fits, fit_points
from metrify_assets.analytics.weather.rules import Model, Refusal
from tests.unit.analytics.weather.points import FIRST_DAY, baseline, use, year_of_temperature

TEMPERATURE = year_of_temperature()
ENERGY = use(TEMPERATURE, 4.0, (1.2, 14.0))
FEBRUARY = 12 * FIRST_DAY.year + 1


def refusal(fits: Fits) -> tuple[Refusal, float, float]:
    assert fits.model[0] == Model.REFUSED
    assert np.isnan([fits.base_kwh[0], fits.heating_kwh[0], fits.r_squared[0], fits.cv_rmse[0]]).all()
    verdicts = fits.verdicts
    return Refusal(int(verdicts.refusal[0])), float(verdicts.value[0]), float(verdicts.limit[0])


def test_a_point_with_enough_of_everything_is_refused_by_no_rule():
    fits = fit_points(baseline(ENERGY, TEMPERATURE))
    assert fits.verdicts.refusal[0] == Refusal.NONE
    assert np.isnan([fits.verdicts.value[0], fits.verdicts.limit[0]]).all()
    assert fits.verdicts.month[0] == -1


def test_a_point_without_a_station_is_refused_with_the_distance_of_the_nearest():
    no_place = fit_points(baseline(ENERGY, TEMPERATURE, station=np.array([-1]), distance_km=np.array([np.nan])))
    code, value, limit = refusal(no_place)
    assert (code, limit) == (Refusal.NO_STATION, 200.0)
    assert np.isnan(value)
    far = fit_points(baseline(ENERGY, TEMPERATURE, distance_km=np.array([200.1])))
    assert refusal(far) == (Refusal.NO_STATION, 200.1, 200.0)
    assert fit_points(baseline(ENERGY, TEMPERATURE, distance_km=np.array([200.0]))).model[0] == Model.HEATING


@pytest.mark.parametrize(("moved", "code"), [(True, Refusal.POINT_MOVED), (False, Refusal.SHORT_HISTORY)])
def test_too_short_a_time_at_a_place_is_refused_and_its_days_are_counted(moved, code):
    fits = fit_points(baseline(ENERGY, TEMPERATURE, begin=np.array([37]), moved=np.array([moved])))
    assert refusal(fits) == (code, 328.0, 329.0)


def test_a_point_that_moved_long_ago_is_judged_by_the_days_at_its_new_place():
    energy = ENERGY.copy()
    energy[:36] = 500.0
    fits = fit_points(baseline(energy, TEMPERATURE, begin=np.array([36]), moved=np.array([True])))
    assert fits.model[0] == Model.HEATING
    assert fits.days[0] == 329
    assert fits.heating_kwh[0] == pytest.approx(1.2)
    assert fits.r_squared[0] == pytest.approx(1)


def test_a_month_without_weather_is_refused_by_its_name_and_share():
    temperature = TEMPERATURE.copy()
    temperature[31:34] = np.nan
    fits = fit_points(baseline(ENERGY, temperature))
    # 25 of the 28 days of February: less than 90 %.
    assert refusal(fits) == (Refusal.MONTH_WITHOUT_WEATHER, pytest.approx(25 / 28), 0.9)
    assert fits.verdicts.month[0] == FEBRUARY
    temperature[33] = 3.0
    assert fit_points(baseline(ENERGY, temperature)).model[0] == Model.HEATING


def test_the_month_in_which_a_baseline_begins_counts_from_that_day():
    temperature = TEMPERATURE.copy()
    temperature[:20] = np.nan
    fits = fit_points(baseline(ENERGY, temperature, begin=np.array([20]), moved=np.array([True])))
    assert fits.model[0] == Model.HEATING
    assert fits.days[0] == 345


def test_one_day_too_few_is_refused_and_the_one_before_is_not():
    energy = np.stack([ENERGY, ENERGY])
    energy[0, :37] = np.nan
    energy[1, :36] = np.nan
    fits = fit_points(baseline(energy, TEMPERATURE))
    # 90 % of 365 days are 328.5.
    assert refusal(fits) == (Refusal.TOO_FEW_DAYS, pytest.approx(328 / 365), 0.9)
    assert fits.days.tolist() == [328, 329]
    assert fits.model[1] == Model.HEATING


def test_days_without_temperature_and_days_without_use_count_together():
    energy, temperature = ENERGY.copy(), TEMPERATURE.copy()
    energy[100:120] = np.nan
    # Three days of six months are missing: each month keeps its share, the year does not.
    for month in range(6):
        temperature[np.flatnonzero(baseline(ENERGY, TEMPERATURE).month == 12 * 2025 + 6 + month)[:3]] = np.nan
    fits = fit_points(baseline(energy, temperature))
    assert refusal(fits) == (Refusal.TOO_FEW_DAYS, pytest.approx((365 - 38) / 365), 0.9)


def test_the_first_rule_in_order_is_named_where_several_apply():
    temperature = np.full(365, np.nan)
    fits = fit_points(baseline(np.full(365, np.nan), temperature, begin=np.array([200])))
    assert refusal(fits)[0] == Refusal.SHORT_HISTORY
    assert refusal(fit_points(baseline(np.full(365, np.nan), temperature)))[0] == Refusal.MONTH_WITHOUT_WEATHER


def test_a_refused_point_changes_no_other():
    alone = fit_points(baseline(ENERGY, TEMPERATURE))
    energy = np.stack([np.full(365, np.nan), ENERGY])
    both = fit_points(baseline(energy, TEMPERATURE))
    assert refusal(both)[0] == Refusal.TOO_FEW_DAYS
    assert both.heating_kwh[1] == pytest.approx(alone.heating_kwh[0], rel=1e-12)
