"""JSON documents: OpenWeatherMap's answers and SMARD's weeks, what is read, and what bad input gets."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.formats import document_source
from tests.examples import examples
from tests.unit.feeds.reading import feed, read, write

NOON = 1_767_268_800  # 2026-01-01T12:00:00Z
CURRENT = {
    "coord": {"lon": 13.4, "lat": 52.5},
    "main": {"temp": 278.52, "pressure": 1021, "humidity": 70},
    "wind": {"speed": 1.5, "deg": 30, "gust": 4.1},
    "clouds": {"all": 75},
    "rain": {"1h": 0.3},
    "snow": {"1h": 0.2},
    "dt": NOON,
    "cod": 200,
}
VALUES = {
    "temperature_c": Decimal("5.37"),
    "humidity_pct": Decimal(70),
    "pressure_hpa": Decimal(1021),
    "wind_speed_ms": Decimal("1.5"),
    "wind_direction_deg": Decimal(30),
    "cloud_cover_pct": Decimal(75),
    "precipitation_mm": Decimal("0.5"),
}


def current(tmp_path, document, name="current_berlin_2026-01-01.json"):
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    return read("openweathermap_current", write(tmp_path, name, text))


def by_metric(result):
    return {row["metric"]: row["value"] for row in result.rows}


def test_the_document_is_one_record_with_fields_inside_objects(tmp_path):
    result = current(tmp_path, CURRENT)
    assert by_metric(result) == VALUES
    assert {row["observed_at"] for row in result.rows} == {datetime(2026, 1, 1, 12, tzinfo=UTC)}
    assert {row["station_id"] for row in result.rows} == {"owm-berlin"}
    assert result.report.delivered_values == 7


@pytest.mark.parametrize(("rain", "snow", "sum_"), [(0.3, None, "0.3"), (None, 0.2, "0.2"), (None, None, None)])
def test_rain_and_snow_are_added_and_what_is_left_out_is_missing(tmp_path, rain, snow, sum_):
    document = {name: part for name, part in CURRENT.items() if name not in ("rain", "snow", "clouds")}
    document |= {"rain": {"1h": rain}} if rain else {}
    document |= {"snow": {"1h": snow}} if snow else {}
    values = by_metric(current(tmp_path, document))
    assert values["precipitation_mm"] == (Decimal(sum_) if sum_ else None)
    assert values["cloud_cover_pct"] is None


def test_a_sum_over_three_hours_is_no_hourly_value(tmp_path):
    assert by_metric(current(tmp_path, CURRENT | {"rain": {"3h": 4}, "snow": None}))["precipitation_mm"] is None


def test_a_bad_addend_makes_a_bad_cell_and_no_other(tmp_path):
    result = current(tmp_path, CURRENT | {"snow": {"1h": "much"}})
    (row,) = result.quarantine
    assert (row["reason"], row["value_cells"]) == ("bad_number", 1)
    assert "snow.1h: 'much'" in row["detail"]
    assert len(result.rows) == 6


def test_celsius_under_a_feed_of_kelvin_is_refused(tmp_path):
    result = current(tmp_path, CURRENT | {"main": CURRENT["main"] | {"temp": 5.37}})
    (row,) = result.quarantine
    assert (row["reason"], row["value_cells"]) == ("wrong_unit", 7)
    assert row["detail"] == "main.temp: expected an air temperature in K, found '5.37'"


def test_kelvin_under_a_feed_of_celsius_is_refused(tmp_path):
    kelvin = feed("openweathermap_current")
    metric = tuple(value.model_copy(update={"unit": "degC"}) if value.unit else value for value in kelvin.values)
    path = write(tmp_path, "current_berlin_2026-01-01.json", json.dumps(CURRENT))
    assert read(kelvin.model_copy(update={"values": metric}), path).reasons == ["wrong_unit"]


def hour(dt, **fields):
    return {
        "dt": dt,
        "temp": 280,
        "pressure": 1013,
        "humidity": 42,
        "clouds": 1,
        "wind_speed": 2,
        "wind_deg": 9,
    } | fields


@pytest.mark.parametrize("place", ["hourly", "data"])
def test_the_hours_of_both_versions_of_the_time_machine(tmp_path, place):
    document = {"lat": 1, place: [hour(NOON), hour(NOON + 3600, rain={"1h": 0.75})]}
    path = write(tmp_path, "timemachine_hill-top_2026-01-01.json", json.dumps(document))
    result = read("openweathermap_hours", path)
    assert [row["value"] for row in result.rows if row["metric"] == "precipitation_mm"] == [None, Decimal("0.75")]
    assert {row["station_id"] for row in result.rows} == {"owm-hill-top"}
    assert [row["row_number"] for row in result.rows] == [1] * 7 + [2] * 7


def test_one_bad_record_costs_no_other(tmp_path):
    records = [hour(NOON), 5, {"temp": 1}, hour("soon"), hour(NOON + 3600, temp=None)]
    path = write(tmp_path, "timemachine_a_2026-01-01.json", json.dumps({"hourly": records}))
    result = read("openweathermap_hours", path)
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (2, "bad_json"),
        (3, "missing_field"),
        (4, "bad_timestamp"),
    ]
    assert {row["row_number"] for row in result.rows} == {1, 5}
    assert json.loads(result.quarantine[2]["payload"]) == records[3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty_file"),
        ("{", "bad_json"),
        ("[" * 100_000, "bad_json"),
        ('{"dt": 1' + "0" * 5_000 + "}", "bad_json"),
        (b"\xff\xfe", "bad_encoding"),
        ('{"cod": 401, "message": "Invalid API key"}', "missing_field"),
        ('{"hourly": []}', "empty_file"),
        ('{"hourly": {"0": 1}}', "missing_field"),
        ('"hourly"', "missing_field"),
    ],
)
def test_what_is_no_such_document_is_refused_whole(tmp_path, content, reason):
    result = read("openweathermap_hours", write(tmp_path, "timemachine_a_2026.json", content))
    assert result.reasons == [reason]
    assert result.rows == []


def test_a_document_that_is_too_large_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(document_source, "MAX_DOCUMENT_BYTES", 10)
    assert current(tmp_path, CURRENT).reasons == ["too_large"]


def test_a_name_that_tells_no_place_is_refused(tmp_path):
    assert current(tmp_path, CURRENT, "current.json").reasons == ["unknown_file_name"]


def smard(tmp_path, series, name="smard_410_50Hertz_hour_2026-01-05.json"):
    document = {"meta_data": {"version": 1}, "series": series}
    return read("smard_chart", write(tmp_path, name, json.dumps(document)))


MONDAY = 1_767_567_600_000  # 2026-01-05T00:00+01:00


def test_a_smard_week_tells_series_and_area_in_its_name(tmp_path):
    result = smard(tmp_path, [[MONDAY, 8814.25], [MONDAY + 3_600_000, None]])
    assert [(row["interval_start"], row["value"]) for row in result.rows] == [
        (datetime(2026, 1, 4, 23, tzinfo=UTC), Decimal("8814.25")),
        (datetime(2026, 1, 5, 0, tzinfo=UTC), None),
    ]
    assert {(row["metric"], row["control_area"], row["day"]) for row in result.rows} == {
        ("load_mw", "50Hertz", date(2026, 1, 5))
    }


def test_mwh_of_a_quarter_hour_are_four_times_the_mw(tmp_path):
    series = [[MONDAY + i * 900_000, 2_000.5] for i in range(4)]
    result = smard(tmp_path, series, "smard_4068_DE_quarterhour_2026-01-05.json")
    assert result.values == [Decimal(8_002)] * 4
    assert result.column("resolution_minutes") == [15] * 4


def test_a_series_that_nobody_knows_is_refused(tmp_path):
    assert smard(tmp_path, [[MONDAY, 1]], "smard_999_DE_hour_2026-01-05.json").reasons == ["unknown_file_name"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dt", "temp", "rain", "1h"]), inner),
    max_leaves=12,
)


@settings(max_examples=examples(0.8))
@given(st.lists(json_values, min_size=1, max_size=5))
def test_every_value_of_every_record_is_raw_or_quarantined(records):
    with TemporaryDirectory() as folder:
        path = write(Path(folder), "timemachine_a_2026.json", json.dumps({"hourly": records}))
        result = read("openweathermap_hours", path)
    assert result.report.rows == len(records)
    assert result.report.delivered_values == 7 * len(records)


@settings(max_examples=examples(0.6))
@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fail(content):
    with TemporaryDirectory() as folder:
        read("openweathermap_hours", write(Path(folder), "timemachine_a_2026.json", content))
