"""Real grid and weather files, from the inbox to the marts, against numbers worked out from the files by hand.

The hourly mart is one of meters: four meters of constant power, one per control area, carry grid and weather into it.
They are the only made-up input.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.harness import installation
from tests.integration import independent as by_hand
from tests.integration import real_runs as run
from tests.real_data import require

pytestmark = [pytest.mark.dbt, pytest.mark.real_data, pytest.mark.timeout(1_800)]

SMARD = "grid/smard/Realisierter_Stromverbrauch_2023-2024_Stunde.csv"
OPSD = "grid/opsd/DE_TSO_60min_filtered.csv"
DWD = "weather/dwd_hourly_tu/stundenwerte_TU_00161_20110901_20181231_hist"
DWD_FILE = f"{DWD}/produkt_tu_stunde_20110901_20181231_00161.txt"
DWD_GAPS = f"{DWD}/Metadaten_Fehlwerte_00161_20110901_20181231.txt"

SPRING = by_hand.days_from(date(2023, 3, 25), date(2023, 3, 27))
AUTUMN = by_hand.days_from(date(2023, 10, 28), date(2023, 10, 30))
OPSD_DAYS = by_hand.days_from(date(2019, 10, 26), date(2019, 10, 28))
WEATHER_DAYS = by_hand.days_from(date(2015, 8, 19), date(2015, 8, 22))
ALL_DAYS = [*WEATHER_DAYS, *OPSD_DAYS, *SPRING, *AUTUMN]

AREAS = {"50hertz": "50Hertz", "amprion": "Amprion", "tennet": "TenneT", "transnetbw": "TransnetBW"}
OPSD_METRICS = {
    "load_actual_entsoe_transparency": "load_mw",
    "solar_generation_actual": "solar_mw",
    "wind_onshore_generation_actual": "wind_onshore_mw",
    "wind_offshore_generation_actual": "wind_offshore_mw",
}


def _german(text: str) -> int:
    return by_hand.micro(text.replace(".", "").replace(",", "."))


@pytest.fixture(scope="module")
def smard_file():
    """The SMARD file's rows of the days looked at, byte for byte, with its header."""

    def keep(row: list[str]) -> bool:
        return datetime.strptime(row[0], "%d.%m.%Y %H:%M").date() in {*SPRING, *AUTUMN}

    return by_hand.cut(require(SMARD), keep, delimiter=";")


@pytest.fixture(scope="module")
def smard(smard_file):
    """Load, residual load and pumped storage (micro-MW) by start."""
    rows = by_hand.text_rows(smard_file, delimiter=";", encoding="utf-8-sig")[1:]
    starts = list(by_hand.local_instants(datetime.strptime(row[0], "%d.%m.%Y %H:%M") for row in rows))
    assert len(set(starts)) == len(rows)
    return {start: tuple(map(_german, row[2:])) for start, row in zip(starts, rows, strict=True)}


@pytest.fixture(scope="module")
def opsd_file():
    """The OPSD file's rows of the days looked at."""

    def keep(row: list[str]) -> bool:
        return by_hand.berlin(by_hand.utc(row[0].removesuffix("Z"))).date() in set(OPSD_DAYS)

    return by_hand.cut(require(OPSD), keep, delimiter=",")


@pytest.fixture(scope="module")
def opsd(opsd_file):
    """Micro-MW by control area, metric and start, from the names of the columns."""
    header, *rows = by_hand.text_rows(opsd_file, delimiter=",")
    values = {}
    for row in rows:
        start = by_hand.utc(row[0].removesuffix("Z"))
        for name, text in list(zip(header, row, strict=True))[2:]:
            country, _, rest = name.partition("_")
            area, _, metric = rest.partition("_")
            key = (AREAS[area], metric) if area in AREAS else (country, rest)
            values[key[0], OPSD_METRICS[key[1]], start] = by_hand.micro(text)
    return values


@pytest.fixture(scope="module")
def dwd_file():
    """The station's rows of the days looked at."""
    return by_hand.cut(require(DWD_FILE), lambda row: _observed(row) in set(_weather_hours()), delimiter=";")


def _observed(row: list[str]) -> int:
    return by_hand.instant(datetime.strptime(row[1], "%Y%m%d%H").replace(tzinfo=UTC))


def _weather_hours() -> list[int]:
    return [start for day in WEATHER_DAYS for start in by_hand.slots_of(day, 60)]


@pytest.fixture(scope="module")
def dwd_gaps():
    """Hours without a value, by parameter: the list that the weather service itself keeps."""
    gaps: dict[str, set[int]] = {"TT_TU": set(), "RF_TU": set()}
    for row in by_hand.rows_of(require(DWD_GAPS), delimiter=";", encoding="latin-1"):
        if len(row) < 6:
            continue
        first, last = (
            by_hand.instant(datetime.strptime(text, "%d.%m.%Y-%H:%M").replace(tzinfo=UTC)) for text in row[3:5]
        )
        hours = set(range(first, last + 1, 3600))
        assert len(hours) == int(row[5])
        gaps[row[2]] |= hours
    return gaps


def _constant_power() -> bytes:
    quarters = [start for day in ALL_DAYS for start in by_hand.slots_of(day, 15)]
    stamps = [(datetime(1970, 1, 1) + timedelta(seconds=start)).isoformat() + "Z" for start in quarters]
    lines = [f"carrier-{area},{run.IMPORT},{stamp},4.0" for area in AREAS.values() for stamp in stamps]
    return "\n".join(["point_id,obis,timestamp,mean_kw", *lines, ""]).encode()


@pytest.fixture(scope="module")
def metrify(tmp_path_factory, smard_file, opsd_file, dwd_file):
    """One run over the days of four years, each a range of its own."""
    root = tmp_path_factory.mktemp("grid")
    with installation(root, shards=1, first_day=date(2015, 1, 1)) as installed:
        run.put_points(
            installed,
            *(
                {
                    "point_id": f"carrier-{area}",
                    "obis_code": run.IMPORT,
                    "interval_minutes": 15,
                    "valid_from": "2015-01-01",
                    "control_area": area,
                    "latitude": 50.4,
                    "longitude": 7.4,
                }
                for area in AREAS.values()
            ),
        )
        installed.put(
            "registry_weather_stations",
            b"station_id,name,latitude,longitude,altitude_m,valid_from,valid_to\n"
            b"dwd-161,Andernach,50.4237,7.4202,75,2011-07-12,\n",
            "stations.csv",
        )
        installed.put("meters_east", _constant_power(), "east_constant.csv")
        installed.put("smard_load", smard_file, f"50Hertz_{require(SMARD).name}")
        installed.put("opsd_grid", opsd_file, require(OPSD).name)
        installed.put("dwd_hourly_tu", dwd_file, require(DWD_FILE).name)
        assert installed.settle() == ["ingest", *["delivery_days"] * 4]
        yield installed


def _grid_status(metrify, source: str) -> dict[tuple[str, str, int], int]:
    rows = metrify.query(
        "select control_area, metric, epoch_us(interval_start) // 1000000, value, status, resolution_minutes "
        f"from staging.stg_grid_status where source_id = '{source}'"
    )
    assert {(status, minutes) for *_, status, minutes in rows} == {("measured", 60)}
    values = {(area, metric, start): run.in_micro(value) for area, metric, start, value, *_ in rows}
    assert len(values) == len(rows)
    return values


def _marts(metrify, area: str, *columns: str) -> dict[int, tuple]:
    rows = metrify.query(
        f"select epoch_us(hour_start) // 1000000, {', '.join(columns)} "
        f"from marts.fct_smart_meter_analytics where point_id = 'carrier-{area}'"
    )
    return {start: tuple(values) for start, *values in rows}


def _hours(days: list[date]) -> list[int]:
    return [start for day in days for start in by_hand.slots_of(day, 60)]


def _mw(micro: int | None) -> float | None:
    return None if micro is None else float(Decimal(micro).scaleb(-6))


def test_every_hour_of_the_smard_file_is_an_instant_of_its_own_on_both_clock_changes(metrify, smard):
    assert sorted(smard) == _hours([*SPRING, *AUTUMN])
    assert [len(by_hand.slots_of(day, 60)) for day in (SPRING[1], AUTUMN[1])] == [23, 25]
    names = ("load_mw", "residual_load_mw", "pumped_storage_mw")
    expected = {
        ("50Hertz", metric, start): value
        for start, values in smard.items()
        for metric, value in zip(names, values, strict=True)
    }
    assert _grid_status(metrify, "smard") == expected
    assert min(expected.values()) < 0


def test_smard_raw_totals_are_those_of_the_file(metrify, smard):
    rows = metrify.query(
        f"select metric, count(*), sum(value) from {run.raw_table(metrify, 'raw_grid_status')} "
        "where feed = 'smard_load' group by 1"
    )
    loads, residual, storage = zip(*smard.values(), strict=True)
    assert {metric: (count, run.in_micro(total)) for metric, count, total in rows} == {
        "load_mw": (len(smard), sum(loads)),
        "residual_load_mw": (len(smard), sum(residual)),
        "pumped_storage_mw": (len(smard), sum(storage)),
    }
    assert run.quarantined(metrify, "smard_load") == []


def test_the_load_of_the_control_area_stands_beside_every_hour_of_its_meters(metrify, smard):
    marts = _marts(metrify, "50Hertz", "control_area_load_mw", "local_hour", "energy_kwh")
    for days in (SPRING, AUTUMN):
        expected = {start: (_mw(smard[start][0]), by_hand.berlin(start).hour, 4) for start in _hours(days)}
        assert {start: marts[start] for start in _hours(days)} == expected
    elsewhere = _marts(metrify, "Amprion", "control_area_load_mw")
    assert {elsewhere[start] for start in _hours([*SPRING, *AUTUMN])} == {(None,)}


def test_every_cell_of_the_opsd_file_is_one_value_of_its_area_and_metric(metrify, opsd):
    assert len(opsd) == len(_hours(OPSD_DAYS)) * 18
    assert _grid_status(metrify, "opsd") == opsd
    assert run.quarantined(metrify, "opsd_grid") == []


@pytest.mark.parametrize("area", AREAS.values())
def test_load_sun_and_wind_of_an_area_reach_the_hourly_mart(metrify, opsd, area):
    metrics = ("load_mw", "solar_mw", "wind_onshore_mw", "wind_offshore_mw")
    marts = _marts(metrify, area, *(f"control_area_{metric}" for metric in metrics))
    expected = {start: tuple(_mw(opsd.get((area, metric, start))) for metric in metrics) for start in _hours(OPSD_DAYS)}
    assert {start: marts[start] for start in expected} == expected
    assert len(expected) == 24 + 25 + 24


def test_the_hours_without_weather_are_those_that_the_weather_service_lists_itself(metrify, dwd_gaps):
    rows = metrify.query(
        "select epoch_us(observed_at) // 1000000, temperature_c, humidity_pct from staging.stg_weather_data"
    )
    hours = set(_weather_hours())
    for number, parameter in ((1, "TT_TU"), (2, "RF_TU")):
        delivered = {row[0] for row in rows if row[number] is not None}
        assert hours - delivered == dwd_gaps[parameter] & hours
        assert len(hours - delivered) == 20


def test_a_missing_hour_and_one_marked_minus_999_differ_in_raw_only(metrify, dwd_file):
    rows = by_hand.text_rows(dwd_file, delimiter=";", encoding="latin-1")[1:]
    marked = sum(float(row[3]) == -999 for row in rows)
    assert 0 < marked < 20
    counts = metrify.query(
        f"select metric, count(*), count(value), sum(value) from {run.raw_table(metrify, 'raw_weather')} group by 1"
    )
    totals = {
        metric: sum(by_hand.micro(row[column]) for row in rows if float(row[column]) != -999)
        for metric, column in (("temperature_c", 3), ("humidity_pct", 4))
    }
    assert {metric: (cells, values, run.in_micro(total)) for metric, cells, values, total in counts} == {
        metric: (len(rows), len(rows) - marked, total) for metric, total in totals.items()
    }
    [(lowest,)] = metrify.query("select min(temperature_c) from staging.stg_weather_data")
    assert lowest > -50


def test_temperature_and_humidity_of_the_nearest_station_stand_beside_every_hour(metrify, dwd_file):
    rows = by_hand.text_rows(dwd_file, delimiter=";", encoding="latin-1")[1:]
    file = {_observed(row): tuple(None if float(text) == -999 else float(text) for text in row[3:5]) for row in rows}
    marts = _marts(metrify, "TenneT", "temperature_c", "humidity_pct", "station_id")
    expected = {start: (*file.get(start, (None, None)), "dwd-161") for start in _weather_hours()}
    assert {start: marts[start] for start in expected} == expected


def test_all_checks_pass(metrify):
    assert run.failed_checks(metrify) == []
