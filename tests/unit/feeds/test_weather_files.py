"""Products of the weather service: ten-minute and hourly, their stamps, units, sentinels and quality levels."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.unit.feeds.reading import feed, read, write


def product(tmp_path, name, *rows, header=None):
    declared = feed(name)
    lines = [header or ";".join(f" {column}" for column in declared.column_names), *rows, ""]
    file = declared.members.replace("*", "20260101_20260102_00044")
    return read(name, write(tmp_path, file, "\r\n".join(lines)))


def told(result, *names):
    return [tuple(row[name] for name in names) for row in result.rows]


def test_a_ten_minute_stamp_is_utc_and_before_2000_central_european_time_all_year(tmp_path):
    rows = [
        f"  44;{stamp};  3;1013.2; 21.5; 20.1; 60.0; 13.0;eor"
        for stamp in ("199907010000", "199912312350", "200001010000")
    ]
    result = product(tmp_path, "dwd_10min_tu", *rows)
    assert result.column("observed_at")[::3] == [
        datetime(1999, 6, 30, 23, 0, tzinfo=UTC),
        datetime(1999, 12, 31, 22, 50, tzinfo=UTC),
        datetime(2000, 1, 1, 0, 0, tzinfo=UTC),
    ]


def test_the_clocks_of_summer_do_not_touch_old_ten_minute_stamps(tmp_path):
    # 02:10 on 28 March 1999 does not exist in Berlin; on 31 October it comes twice. CET all year knows neither.
    rows = [f"44;{stamp};3;-999;1.0;-999;-999;-999;eor" for stamp in ("199903280210", "199910310210")]
    result = product(tmp_path, "dwd_10min_tu", *rows)
    assert result.quarantine == []
    assert result.column("observed_at")[::3] == [
        datetime(1999, 3, 28, 1, 10, tzinfo=UTC),
        datetime(1999, 10, 31, 1, 10, tzinfo=UTC),
    ]


def test_temperature_humidity_and_pressure_with_their_quality(tmp_path):
    result = product(tmp_path, "dwd_10min_tu", "   44;202601010010;    2; 989.0;   2.4;   1.0;  87.5;   0.5;eor")
    assert told(result, "metric", "value", "quality") == [
        ("temperature_c", Decimal("2.4"), "2"),
        ("humidity_pct", Decimal("87.5"), "2"),
        ("pressure_hpa", Decimal(989), "2"),
    ]


def test_ten_minutes_of_sun_are_a_mean_stored_at_their_beginning(tmp_path):
    result = product(tmp_path, "dwd_10min_sd", "1766;202601011200;2;-999;6.0;0.167;-999;eor")
    assert told(result, "metric", "value", "observed_at") == [
        ("global_radiation_wm2", Decimal(100), datetime(2026, 1, 1, 11, 50, tzinfo=UTC))
    ]


def test_an_hour_of_sun_in_true_solar_time_is_a_mean_as_well(tmp_path):
    result = product(tmp_path, "dwd_hourly_st", "183;2026010112:06;1;-999;-999;36.0;-999;78.5;2026010113:00;eor")
    assert told(result, "value", "observed_at", "quality") == [
        (Decimal(100), datetime(2026, 1, 1, 11, 6, tzinfo=UTC), "1")
    ]


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        (
            "dwd_hourly_ff",
            "4911;2018091500;10; 1.6; 80;eor",
            [("wind_speed_ms", Decimal("1.6")), ("wind_direction_deg", Decimal(80))],
        ),
        (
            "dwd_hourly_ff",
            "4911;2019042021;10;-999; 90;eor",
            [("wind_speed_ms", None), ("wind_direction_deg", Decimal(90))],
        ),
        ("dwd_hourly_rr", "44;2026010100;3; 0.4;1;6;eor", [("precipitation_mm", Decimal("0.4"))]),
        ("dwd_10min_rr", "44;202601010010;3;10;0.12;1;eor", [("precipitation_mm", Decimal("0.12"))]),
        (
            "dwd_10min_ff",
            "44;202601010010;3;3.3;270;eor",
            [("wind_speed_ms", Decimal("3.3")), ("wind_direction_deg", Decimal(270))],
        ),
        ("dwd_hourly_n", "44;2026010100;3;P; 6;eor", [("cloud_cover_pct", Decimal(75))]),
        ("dwd_hourly_n", "44;2026010100;3;P;-1;eor", [("cloud_cover_pct", None)]),
        ("dwd_hourly_n", "44;2026010100;3;-999;-999;eor", [("cloud_cover_pct", None)]),
    ],
)
def test_wind_rain_and_cloud(tmp_path, name, row, expected):
    result = product(tmp_path, name, row)
    assert result.quarantine == []
    assert told(result, "metric", "value") == expected


def test_minus_one_is_no_cloud_and_yet_a_temperature(tmp_path):
    result = product(tmp_path, "dwd_hourly_tu", "44;2026010100;3;-1;80;eor")
    assert result.values == [Decimal(-1), Decimal(80)]


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("dwd_hourly_tu", "stundenwerte_TU_00161_akt.zip"),
        ("dwd_hourly_tu", "stundenwerte_TU_00161_20110901_20181231_hist.zip"),
        ("dwd_hourly_ff", "stundenwerte_FF_04911_akt.zip"),
        ("dwd_hourly_rr", "stundenwerte_RR_00044_akt.zip"),
        ("dwd_hourly_n", "stundenwerte_N_00044_akt.zip"),
        ("dwd_hourly_st", "stundenwerte_ST_00183_row.zip"),
        ("dwd_10min_tu", "10minutenwerte_TU_00044_akt.zip"),
        ("dwd_10min_ff", "10minutenwerte_wind_00044_akt.zip"),
        ("dwd_10min_rr", "10minutenwerte_nieder_00044_akt.zip"),
        ("dwd_10min_sd", "10minutenwerte_SOLAR_01766_akt.zip"),
    ],
)
def test_a_feed_accepts_the_names_that_the_weather_service_gives(name, archive):
    assert feed(name).accepts(archive)
    assert feed(name).accepts(feed(name).members.replace("*", "20260101_20260102_00044"))
    assert not feed(name).accepts("Metadaten_Geographie_00044.txt")
