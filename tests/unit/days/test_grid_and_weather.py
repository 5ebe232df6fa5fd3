"""Versions of grid status and weather: what a day shows after corrections and overlapping files."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

from metrify_assets.days.digests import Digests
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from tests.workbench import ARRIVED, Workbench

DAY = date(2026, 3, 10)
NIGHT = date(2026, 3, 29)


def weather(bench: Workbench, day: date = DAY) -> list[dict]:
    compute_weather(bench.platform, day, Digests(bench.platform))
    return bench.platform.lake.read(bench.platform.lake.manifest("clean_weather", day), CLEAN_WEATHER.arrow).to_pylist()


def grid_status(bench: Workbench, day: date) -> dict[tuple[str, datetime], tuple[Decimal | None, str]]:
    compute_grid_status(bench.platform, day, Digests(bench.platform))
    manifest = bench.platform.lake.manifest("clean_grid_status", day)
    rows = bench.platform.lake.read(manifest, CLEAN_GRID_STATUS.arrow).to_pylist()
    return {(row["metric"], row["interval_start"]): (row["value"], row["status"]) for row in rows}


def station_zip(product: str, lines: list[str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Metadaten_Fehlwerte_00161.txt", "x")
        archive.writestr(product, "\r\n".join(["STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor", *lines, ""]))
    return buffer.getvalue()


def test_a_later_snapshot_of_a_station_gives_its_values_and_its_quality_level(bench):
    first = [f"161;20260310{hour:02};    1;   4.0;  80.0;eor" for hour in range(6, 12)]
    checked = [f"161;20260310{hour:02};    3;   4.5;  81.0;eor" for hour in range(6, 10)]
    bench.land(
        "dwd_hourly_tu",
        "stundenwerte_TU_00161_akt.zip",
        station_zip("produkt_tu_stunde_20241001_20260310_00161.txt", first),
    )
    bench.land(
        "dwd_hourly_tu",
        "stundenwerte_TU_00161_20110901_20251231_hist.zip",
        station_zip("produkt_tu_stunde_20110901_20251231_00161.txt", checked),
        ARRIVED + timedelta(days=1),
    )
    observations = [(row["observed_at"].hour, row["temperature_c"], row["quality"]) for row in weather(bench)]
    assert observations == [(hour, 4.5, "3") for hour in range(6, 10)] + [(hour, 4.0, "1") for hour in (10, 11)]


def test_a_value_that_is_missing_later_does_not_displace_the_one_that_was_there(bench):
    for position, temperature in enumerate(("4.0", "-999")):
        line = f"161;2026031006;    1;   {temperature};  80.0;eor"
        bench.land(
            "dwd_hourly_tu", f"produkt_tu_stunde_{position}.txt", _product(line), ARRIVED + timedelta(days=position)
        )
    assert [row["temperature_c"] for row in weather(bench)] == [4.0]


def _product(*lines: str) -> bytes:
    return "\r\n".join(["STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor", *lines, ""]).encode()


def test_temperature_and_radiation_of_a_station_stand_in_one_row(bench):
    bench.land("dwd_hourly_tu", "produkt_tu_stunde_a.txt", _product("161;2026031012;3;9.5;60.0;eor"))
    radiation = "STATIONS_ID;MESS_DATUM;QN;DS_10;GS_10;SD_10;LS_10;eor\n161;202603101210;3;-999;30.0;0.1;-999;eor\n"
    bench.land("dwd_10min_sd", "produkt_zehn_min_sd_a.txt", radiation.encode())
    (row,) = weather(bench)
    assert (row["observed_at"], row["temperature_c"], row["global_radiation_wm2"]) == (
        datetime(2026, 3, 10, 12, tzinfo=UTC),
        9.5,
        500.0,
    )


HEADER = "Datum von;Uhrzeit von;Datum bis;Uhrzeit bis;Prognose (MW);Ist-Wert (MW)"


def month(*rows: tuple[str, str]) -> bytes:
    lines = [f"29.03.2026;{start}:00;29.03.2026;x;;{value}" for start, value in rows]
    return "\n".join([HEADER, *lines, ""]).encode()


def test_a_corrected_month_is_a_later_version_of_the_published_one(bench):
    published = month(("03:30", "239"), ("05:45", "252"), ("05:00", "250"), ("05:00", "297"), ("05:45", "310"))
    corrected = month(("03:30", "240"), ("03:45", "252"), ("04:00", "250"), ("05:00", "297"), ("05:45", "310"))
    name = "mwindeinsp_ist_prognose_2026_02"
    wrong = bench.land("transnetbw_wind", f"{name}.csv", published)
    start = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    # Each of the four cells that contradict another; the forecasts beside them are blank and contradict nothing.
    assert wrong.drop.counts["quarantined_values"] == 4
    assert {
        moment: values for (metric, moment), values in grid_status(bench, NIGHT).items() if metric == "wind_onshore_mw"
    } == {start: (Decimal(239), "measured")}
    bench.land("transnetbw_wind", f"{name}_KORRIGIERT.csv", corrected, ARRIVED + timedelta(days=9))
    values = {
        moment: value for (metric, moment), value in grid_status(bench, NIGHT).items() if metric == "wind_onshore_mw"
    }
    minutes = (0, 15, 30, 90, 135)
    assert values == {
        start + timedelta(minutes=offset): (Decimal(value), "measured")
        for offset, value in zip(minutes, (240, 252, 250, 297, 310), strict=True)
    }
    assert wrong.drop.drop_id in {drop.drop_id for drop in bench.platform.ledger.view().active.values()}
