"""Files of the weather service and of OpenWeatherMap, against plain Python with zipfile, json and decimal."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tests.real_data import require
from tests.unit.feeds.reading import Result, feed, read, write

pytestmark = pytest.mark.real_data

TU = "weather/dwd_hourly_tu"
STATIONS = [
    ("00181_19990928_20081103_hist", "dwd-181"),
    ("01246_20150801_20181231_hist", "dwd-1246"),
    ("01886_20160901_20181231_hist", "dwd-1886"),
]


def lines_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(";")] for line in text.splitlines()[1:]]


def value_of(text: str) -> Decimal | None:
    return None if Decimal(text) == -999 else Decimal(text)


def utc(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def hour_of(text: str) -> datetime:
    return datetime(int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), tzinfo=UTC)


def by_metric(result: Result, metric: str) -> list[tuple[datetime, Decimal | None, str | None]]:
    rows = result.table.filter(pc.equal(result.table["metric"], metric))
    return list(zip(*(rows[name].to_pylist() for name in ("observed_at", "value", "quality")), strict=True))


def zipped_as_delivered(folder: Path, target: Path) -> Path:
    """Pack the files of a station's folder as the weather service does: one product with its metadata."""
    product = sorted(folder.glob("produkt_*"))[-1]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [*sorted(folder.glob("Metadaten_*")), product]:
            archive.write(file, file.name)
    return product


@pytest.mark.parametrize(("folder", "station"), STATIONS)
def test_a_zip_of_a_station_gives_its_product_and_nothing_of_its_metadata(tmp_path, folder, station):
    archive = tmp_path / f"stundenwerte_TU_{folder}.zip"
    product = zipped_as_delivered(require(f"{TU}/stundenwerte_TU_{folder}"), archive)
    expected = lines_of(product.read_text("latin-1"))
    result = read("dwd_hourly_tu", archive)
    assert result.quarantine == []
    assert set(result.column("station_id")) == {station}
    for metric, column in (("temperature_c", 3), ("humidity_pct", 4)):
        assert by_metric(result, metric) == [(hour_of(row[1]), value_of(row[column]), row[2]) for row in expected]
    assert result.report.delivered_values == 2 * len(expected)


@pytest.mark.parametrize(("folder", "station"), STATIONS)
def test_what_is_missing_is_what_the_weather_service_lists_itself(folder, station):
    place = require(f"{TU}/stundenwerte_TU_{folder}")
    (product,) = place.glob("produkt_*")
    (listed,) = place.glob(f"Metadaten_Fehlwerte_{folder.removesuffix('_hist')}.txt")
    gaps = [row for row in lines_of(listed.read_text("latin-1")) if len(row) > 5 and row[2] in ("TT_TU", "RF_TU")]
    result = read("dwd_hourly_tu", product)
    for metric, parameter in (("temperature_c", "TT_TU"), ("humidity_pct", "RF_TU")):
        expected = set()
        for row in gaps:
            if row[2] == parameter:
                start, end = (utc(text, "%d.%m.%Y-%H:%M") for text in row[3:5])
                expected |= {start + timedelta(hours=i) for i in range((end - start) // timedelta(hours=1) + 1)}
        delivered = {moment for moment, value, _ in by_metric(result, metric) if value is not None}
        first, last = min(delivered), max(delivered)
        hours = {first + timedelta(hours=i) for i in range((last - first) // timedelta(hours=1) + 1)}
        inside = {moment for moment in expected if first <= moment <= last}
        assert hours - delivered == inside


def test_a_recent_snapshot_overlaps_the_historical_file_with_other_quality_levels():
    historical = read(
        "dwd_hourly_tu", next(require(f"{TU}/stundenwerte_TU_00161_20110901_20181231_hist").glob("produkt_*"))
    )
    snapshots = sorted(require(f"{TU}/stundenwerte_TU_00161_akt").glob("produkt_*"))
    recent = [read("dwd_hourly_tu", path) for path in snapshots]
    old, *new = (
        {moment: (value, quality) for moment, value, quality in by_metric(r, "temperature_c")}
        for r in [historical, *recent]
    )
    both = old.keys() & new[0].keys()
    assert min(both) == datetime(2018, 9, 21, tzinfo=UTC)
    assert {old[moment][0] for moment in both} >= {new[0][moment][0] for moment in both} - {None}
    # A later snapshot has checked what an earlier one had not.
    changed = Counter(
        (new[0][moment][1], new[-1][moment][1])
        for moment in new[0].keys() & new[-1].keys()
        if new[0][moment][1] != new[-1][moment][1]
    )
    assert changed
    assert all(int(later) > int(earlier) for earlier, later in changed)


def test_the_original_ten_minute_zip_as_means_in_watts_per_square_metre():
    path = require("weather/dwd_zip/10minutenwerte_SOLAR_01766_akt.zip")
    with zipfile.ZipFile(path) as archive:
        expected = lines_of(archive.read(archive.namelist()[0]).decode("latin-1"))
    result = read("dwd_10min_sd", path)
    assert result.quarantine == []
    assert len(expected) == 288

    def watts(text: str) -> Decimal:
        # J/cm2 in ten minutes: 10,000 J/m2 over 600 s.
        exact = Fraction(text) * 10_000 / 600
        return (Decimal(exact.numerator) / exact.denominator).quantize(Decimal("0.000001"), ROUND_HALF_UP)

    assert by_metric(result, "global_radiation_wm2") == [
        (utc(row[1], "%Y%m%d%H%M") - timedelta(minutes=10), watts(row[4]), row[2]) for row in expected
    ]
    assert max(result.values) == Decimal("860")


def test_the_sun_says_that_ten_minute_stamps_name_the_end_of_their_interval():
    result = read("dwd_10min_sd", require("weather/dwd_zip/10minutenwerte_SOLAR_01766_akt.zip"))
    # True noon in Greven (7.7 degrees east) is at 11:28 UTC in early June. Between the times at which radiation rises
    # above and falls below a level lies the middle of the day, if each interval is stamped by its middle.
    middles = []
    for day in (9, 10):
        bright = [
            moment + timedelta(minutes=5)
            for moment, value, _ in by_metric(result, "global_radiation_wm2")
            if moment.day == day and value >= 83
        ]
        middles.append(bright[0] + (bright[-1] - bright[0]) / 2)
    noon = [datetime(2023, 6, day, 11, 28, tzinfo=UTC) for day in (9, 10)]
    stamped_at_the_end = sum((abs(middle - true) for middle, true in zip(middles, noon, strict=True)), timedelta())
    stamped_at_the_start = sum(
        (abs(middle + timedelta(minutes=10) - true) for middle, true in zip(middles, noon, strict=True)), timedelta()
    )
    assert stamped_at_the_end < stamped_at_the_start


def test_the_original_zip_of_hourly_wind():
    path = require("weather/dwd_zip/observations_recent_FF_akt.zip")
    with zipfile.ZipFile(path) as archive:
        (product,) = (name for name in archive.namelist() if name.startswith("produkt_"))
        expected = lines_of(archive.read(product).decode("latin-1"))
    result = read("dwd_hourly_ff", path)
    for metric, column in (("wind_speed_ms", 3), ("wind_direction_deg", 4)):
        assert by_metric(result, metric) == [(hour_of(row[1]), value_of(row[column]), row[2]) for row in expected]
    assert result.values.count(None) == 1


def test_an_archive_of_metadata_only_is_refused():
    result = read("dwd_10min_sd", require("weather/dwd_zip/Meta_Daten_zehn_min_sd_01766.zip"))
    assert result.reasons == ["bad_archive"]


def one_call(tmp_path, file: str, name: str, feed_name: str, unit: str) -> tuple[dict, Result]:
    path = require(f"weather/openweathermap/{file}.json")
    declared = feed(feed_name)
    values = tuple(value.model_copy(update={"unit": unit}) if value.unit else value for value in declared.values)
    copy = write(tmp_path, name, path.read_bytes())
    result = read(declared.model_copy(update={"values": values}), copy)
    return json.loads(path.read_text("utf-8"), parse_float=Decimal), result


FIELDS = {
    "humidity_pct": "humidity",
    "pressure_hpa": "pressure",
    "wind_speed_ms": "wind_speed",
    "wind_direction_deg": "wind_deg",
    "cloud_cover_pct": "clouds",
}


@pytest.mark.parametrize(
    ("file", "unit", "zero"), [("korea_2021", "degC", Decimal(0)), ("seattle_2020_alerts", "K", Decimal("273.15"))]
)
def test_the_hours_of_a_real_answer(tmp_path, file, unit, zero):
    document, result = one_call(tmp_path, file, "timemachine_place_2021-02-19.json", "openweathermap_hours", unit)
    hours = document["hourly"]
    assert result.quarantine == []
    moments = [datetime.fromtimestamp(hour["dt"], UTC) for hour in hours]

    def told(metric: str) -> list:
        return [(moment, value) for moment, value, _ in by_metric(result, metric)]

    assert told("temperature_c") == list(zip(moments, [hour["temp"] - zero for hour in hours], strict=True))
    for metric, name in FIELDS.items():
        assert told(metric) == list(zip(moments, [hour.get(name) for hour in hours], strict=True))
    rain = [hour.get("rain", {}).get("1h") for hour in hours]
    assert told("precipitation_mm") == list(zip(moments, rain, strict=True))
    assert len(hours) - rain.count(None) == (13 if unit == "K" else 0)


@pytest.mark.parametrize(("file", "unit"), [("korea_2021", "K"), ("seattle_2020_alerts", "degC")])
def test_a_real_answer_in_another_unit_than_declared_is_refused_row_by_row(tmp_path, file, unit):
    document, result = one_call(tmp_path, file, "timemachine_place_2021-02-19.json", "openweathermap_hours", unit)
    assert result.rows == []
    assert result.reasons == ["wrong_unit"] * len(document["hourly"])


def test_of_a_one_call_answer_only_now_was_observed(tmp_path):
    document, result = one_call(
        tmp_path, "korea_2021", "onecall_gumi_2021-02-19.json", "openweathermap_onecall", "degC"
    )
    now = document["current"]
    assert {row["observed_at"] for row in result.rows} == {datetime.fromtimestamp(now["dt"], UTC)}
    assert {row["metric"]: row["value"] for row in result.rows} == {
        "temperature_c": now["temp"],
        "precipitation_mm": None,
        **{metric: now[name] for metric, name in FIELDS.items()},
    }
