"""Plausible ranges: grid status by area, air pressure by altitude."""

from __future__ import annotations

import pytest

from metrify_assets.schemas.grid_and_weather import (
    CLEAN_WEATHER,
    CONTROL_AREAS,
    GRID_METRICS,
    HIGHEST_STATION_M,
    grid_range,
    pressure_range,
)
from metrify_assets.warehouse.mart_vars import mart_vars


@pytest.mark.parametrize(
    ("altitude", "low", "high"),
    [
        (0, 950.0, 1_050.0),
        # (1 - 0.0065 x 600 / 253.15) ^ 5.25588 = 0.921639, (1 - 0.0065 x 600 / 313.15) ^ 5.25588 = 0.936254.
        (600, 875.56, 983.07),
        # ICAO's tables give 0.8874 of the pressure at sea level at 1,000 m and 15 degC: these ends are around it.
        (1_000, 828.61, 940.40),
    ],
)
def test_the_plausible_pressure_at_a_station_goes_by_its_altitude(altitude, low, high):
    assert pressure_range(altitude, "station") == pytest.approx((low, high), abs=0.01)


def test_a_pressure_reduced_to_sea_level_is_held_to_sea_level_and_an_unknown_one_to_either():
    assert pressure_range(600, "sea") == (950, 1_050)
    assert pressure_range(600, None) == (pressure_range(600, "station")[0], 1_050)


def test_the_pressure_of_every_german_station_passes_the_range_of_the_column():
    (column,) = [column for column in CLEAN_WEATHER.columns if column.name == "pressure_hpa"]
    # Records of the Zugspitze are about 670 and 731 hPa.
    for hpa in (670, 731, 955, 1_048):
        assert column.minimum <= hpa <= column.maximum
    assert column.minimum == pressure_range(HIGHEST_STATION_M, "station")[0]


def test_the_load_of_a_control_area_has_another_range_than_that_of_germany():
    assert grid_range("load_mw", "DE") == (25_000, 90_000)
    assert grid_range("load_mw", "TransnetBW") == (2_000, 13_500)
    assert grid_range("load_mw", "Amprion") == (8_000, 38_000)
    assert grid_range("solar_mw", "Amprion") == (0, 60_000)
    assert grid_range("frequency_hz", "Amprion") == grid_range("frequency_hz", "DE") == (47, 52)


def test_dbt_has_the_range_of_every_metric_and_area():
    ranges = mart_vars()["plausible_grid"]
    assert set(ranges) == set(CONTROL_AREAS)
    assert all(set(metrics) == set(GRID_METRICS) for metrics in ranges.values())
    assert ranges["TenneT"]["load_mw"] == [6_000, 32_000]
