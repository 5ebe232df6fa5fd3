"""From registries, clean readings and clean weather in a lake to the published tables."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from metrify_assets.analytics.weather.inputs import last_whole_month
from metrify_assets.analytics.weather.results import compute_weather_dependence
from metrify_assets.errors import WeatherError
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import WEATHER_STATIONS
from metrify_assets.schemas.table import Table
from metrify_assets.schemas.weather_dependence import (
    STATION_DEGREE_DAYS,
    WEATHER_ADJUSTED_DAYS,
    WEATHER_ADJUSTED_MONTHS,
    WEATHER_DEPENDENCE,
)
from metrify_assets.settings import Settings
from tests.unit.analytics.weather.lake import (
    DAYS,
    FIRST,
    IMPORT,
    LAST,
    MOVED_ON,
    SPRING,
    TEMPERATURE,
    publish,
    publish_registry,
    slot_rows,
    used,
)


@pytest.fixture(scope="module")
def result(platform):
    return compute_weather_dependence(platform, LAST, rules=SPRING)


def rows_of(platform: Platform, table: Table) -> list[dict]:
    return platform.lake.read(platform.lake.manifest(table.name, None), table.arrow).to_pylist()


def test_each_registered_import_channel_has_one_row(platform, result):
    rows = rows_of(platform, WEATHER_DEPENDENCE)
    assert [(row["point_id"], row["obis_code"]) for row in rows] == [
        (point, IMPORT) for point in ("flat", "heats", "late", "moved", "placeless")
    ]
    assert result.models == {"refused": 3, "base_load": 1, "heating": 1, "cooling": 0, "both": 0}
    assert sum(result.refusals.values()) == 3


def test_estimates_do_not_count_and_days_are_scaled_from_what_was_measured(platform, result):
    heats = next(row for row in rows_of(platform, WEATHER_DEPENDENCE) if row["point_id"] == "heats")
    assert heats["model"] == "heating"
    assert heats["base_kwh_per_day"] == pytest.approx(4.8, abs=1e-3)
    assert heats["heating_kwh_per_kelvin_day"] == pytest.approx(1.2, abs=1e-3)
    assert (heats["heating_balance_c"], heats["days"], heats["refusal"]) == (14.0, 92, None)
    assert heats["r_squared"] == pytest.approx(1)


def test_the_nearest_station_with_enough_weather_serves(platform, result):
    stations = {row["point_id"]: row["station_id"] for row in rows_of(platform, WEATHER_DEPENDENCE)}
    assert stations == {"flat": "east", "heats": "west", "late": "east", "moved": "west", "placeless": None}
    distances = {row["point_id"]: row["distance_km"] for row in rows_of(platform, WEATHER_DEPENDENCE)}
    # A tenth of a degree of longitude at 48.4 degrees north, and 0.15 at 48.
    assert distances["flat"] == pytest.approx(111.195 * 0.1 * np.cos(np.radians(48.4)), rel=1e-3)
    assert distances["heats"] == pytest.approx(111.195 * 0.15 * np.cos(np.radians(48.0)), rel=1e-3)


def test_refusals_carry_their_numbers(platform, result):
    rows = {row["point_id"]: row for row in rows_of(platform, WEATHER_DEPENDENCE)}
    numbers = {
        name: (rows[name]["refusal"], rows[name]["refused_value"], rows[name]["refused_limit"], rows[name]["model"])
        for name in ("moved", "late", "placeless")
    }
    assert numbers == {
        # From 1 May and from 1 April to the end of May; 90 % of 92 days are needed.
        "moved": ("point_moved", 31.0, 83.0, "refused"),
        "late": ("short_history", 61.0, 83.0, "refused"),
        "placeless": ("no_station", None, 200.0, "refused"),
    }
    assert rows["moved"]["baseline_from"] == MOVED_ON
    assert rows["flat"]["baseline_from"] == FIRST


def test_months_and_days_are_what_they_were_where_their_weather_is_the_ordinary_one(platform, result):
    months = [row for row in rows_of(platform, WEATHER_ADJUSTED_MONTHS) if row["point_id"] == "heats"]
    assert [row["month"] for row in months] == [date(2025, month, 1) for month in (3, 4, 5)]
    for row in months:
        true = sum(used("heats", day) for day in DAYS if day.month == row["month"].month)
        for name in ("used_kwh", "expected_kwh", "normal_kwh", "adjusted_kwh"):
            assert float(row[name]) == pytest.approx(true, abs=0.05)
    year = next(row for row in rows_of(platform, WEATHER_DEPENDENCE) if row["point_id"] == "heats")
    # Nine months have no weather: there is no ordinary year.
    assert (year["normal_year_kwh"], year["normal_years"]) == (None, 0)
    days = [row for row in rows_of(platform, WEATHER_ADJUSTED_DAYS) if row["point_id"] == "heats"]
    assert [row["day"] for row in days] == DAYS
    april = [row for row in days if row["day"].month == 4]
    # The weather of the day is gone: each day of a month is the mean day of that month.
    mean = sum(used("heats", row["day"]) for row in april) / 30
    assert [float(row["adjusted_kwh"]) for row in april] == pytest.approx([mean] * 30, abs=0.01)


def test_degree_days_of_stations_have_the_hours_that_they_rest_on(platform, result):
    rows = {(row["station_id"], row["day"]): row for row in rows_of(platform, STATION_DEGREE_DAYS)}
    assert len(rows) == 3 * 92
    cold = min(DAYS, key=TEMPERATURE.get)
    assert rows["west", cold]["hours"] == 24
    assert rows["west", cold]["temperature_c"] == pytest.approx(TEMPERATURE[cold])
    assert rows["west", cold]["heating_degree_days"] == pytest.approx(18 - TEMPERATURE[cold])
    assert rows["west", date(2025, 3, 30)]["hours"] == 23
    without = rows["near_without_weather", cold]
    assert (without["hours"], without["temperature_c"], without["heating_degree_days"]) == (0, None, None)


def test_the_same_inputs_give_the_same_tables_and_a_correction_gives_others(platform, result):
    before = platform.lake.manifest(WEATHER_DEPENDENCE.name, None)
    assert compute_weather_dependence(platform, LAST, rules=SPRING).manifest == before
    day = date(2025, 5, 6)
    corrected = [row for point in ("flat", "moved") for row in slot_rows(point, day)]
    kept = platform.lake.read(platform.lake.days(CLEAN_READINGS.name)[day], CLEAN_READINGS.arrow).to_pylist()
    publish(platform, CLEAN_READINGS, day, corrected)
    after = compute_weather_dependence(platform, LAST, rules=SPRING)
    changed = {name for name, digest in after.inputs.digests.items() if digest != before.shards[0].inputs[name]}
    assert changed == {"clean_readings"}
    heats = [key[0] for key in after.inputs.channels].index("heats")
    assert after.fits.days[heats] == 91
    publish(platform, CLEAN_READINGS, day, kept)
    assert compute_weather_dependence(platform, LAST, rules=SPRING).manifest.digest == before.digest


def test_a_default_station_serves_points_without_a_place(platform, result):
    named = compute_weather_dependence(platform, LAST, "east", SPRING)
    placeless = [key[0] for key in named.inputs.channels].index("placeless")
    assert named.fits.verdicts.refusal[placeless] == 0
    with pytest.raises(WeatherError, match="'north' is no station of the registry"):
        compute_weather_dependence(platform, LAST, "north", SPRING)


def test_the_baseline_ends_with_the_last_whole_month(platform, tmp_path):
    assert last_whole_month(platform) == LAST
    with pytest.raises(WeatherError, match="no month has ended"):
        last_whole_month(Platform(Settings(root=tmp_path)))


def test_an_installation_without_points_and_weather_has_no_rows(tmp_path):
    empty = compute_weather_dependence(Platform(Settings(root=tmp_path)), LAST)
    assert (empty.manifest.rows, empty.models["refused"]) == (0, 0)


def test_without_any_station_every_point_is_refused_by_name(tmp_path):
    platform = Platform(Settings(root=tmp_path))
    publish_registry(platform)
    publish(platform, WEATHER_STATIONS, None, [])
    done = compute_weather_dependence(platform, LAST, rules=SPRING)
    assert done.refusals["no_station"] == 5
    assert {row["station_id"] for row in rows_of(platform, WEATHER_DEPENDENCE)} == {None}
