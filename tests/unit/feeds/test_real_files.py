"""Files that real meters, grids and stations produced, against plain Python with csv, decimal and zoneinfo."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

from tests.real_data import require
from tests.unit.feeds.reading import Result, read

pytestmark = pytest.mark.real_data

BERLIN = ZoneInfo("Europe/Berlin")


def micro(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def lines(path, delimiter, encoding="utf-8-sig"):
    with path.open(encoding=encoding, newline="") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


def instants(walls: list[datetime]) -> list[datetime]:
    """Localise wall-clock times of one series in order: the second time that a stamp comes it is the second pass."""
    seen: Counter[datetime] = Counter()
    result = []
    for wall in walls:
        result.append(wall.replace(tzinfo=BERLIN, fold=min(seen[wall], 1)).astimezone(UTC))
        seen[wall] += 1
    return result


def only(result: Result, **where: str) -> list[Decimal | None]:
    """Return the values of the rows whose columns hold these texts."""
    columns = [result.column(name) for name in where]
    rows = zip(result.values, *columns, strict=True)
    return [value for value, *texts in rows if texts == list(where.values())]


def total(values: list[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), Decimal(0))


def test_a_london_household_with_its_gaps():
    path = require("meters/lcl_halfhourly/MAC000051.csv")
    expected = lines(path, ",")[1:]
    result = read("lcl_halfhourly", path)
    assert len(result.table) == len(expected) == 17_462
    assert result.quarantine == []
    assert total(result.values) == sum(micro(row[2].strip()) for row in expected)
    starts = result.column("interval_start")
    assert starts == [datetime.fromisoformat(row[1]).replace(tzinfo=UTC) for row in expected]
    steps = [b - a for a, b in pairwise(starts)]
    missing = [step // timedelta(minutes=30) - 1 for step in steps if step != timedelta(minutes=30)]
    assert (sum(missing), len(missing), max(missing)) == (58, 8, 48)
    assert set(result.column("point_id")) == {"MAC000051"}


def test_seven_decimals_are_rounded_to_six():
    path = require("meters/lcl_halfhourly/MAC000003.csv")
    expected = [micro(row[2].strip()) for row in lines(path, ",")[1:]]
    assert any(len(row[2].strip().split(".")[-1]) > 6 for row in lines(path, ",")[1:])
    assert read("lcl_halfhourly", path).values == expected


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_load_profile_in_local_time_with_both_clock_changes(number):
    path = require(f"meters/lastgang/loadprofile_{number}.csv")
    expected = lines(path, ";")[1:]
    result = read("lastgang", path)
    assert result.quarantine == []
    assert result.values == [micro(row[2].replace(",", ".")) for row in expected]
    walls = [datetime.strptime(f"{row[0]} {row[1]}", "%d.%m.%Y %H:%M") for row in expected]
    starts = result.column("interval_start")
    assert starts == instants(walls)
    # Every quarter hour of 2021 once, in order, through both changes.
    assert {b - a for a, b in pairwise(starts)} == {timedelta(minutes=15)}
    per_day = Counter(result.column("day"))
    assert (per_day[date(2021, 3, 28)], per_day[date(2021, 10, 31)]) == (92, 100)
    assert Counter(per_day.values()) == {96: 363, 92: 1, 100: 1}
    assert set(result.column("point_id")) == {f"loadprofile_{number}"}


def test_an_end_stamped_profile_whose_march_hour_is_filled_with_zeros():
    path = require("meters/lastgang_end_stamped/lastgangdaten.csv")
    expected = [row for row in lines(path, ";") if row]
    result = read("lastgang_end_stamped", path)
    assert result.report.rows == len(expected) == 35_140
    # 02:15 to 03:00 on 25 March end intervals in an hour that the clocks skipped; all four are zeros.
    assert [row["payload"] for row in result.quarantine] == [
        "25.03.2012;02:15;0",
        "25.03.2012;02:30;0",
        "25.03.2012;02:45;0",
        "25.03.2012;03:00;0",
    ]
    assert set(result.reasons) == {"nonexistent_local_time"}
    assert total(result.values) == sum(micro(row[2].replace(",", ".")) for row in expected)
    starts = result.column("interval_start")
    assert starts[0] == datetime(2011, 12, 31, 23, 0, tzinfo=UTC)
    assert {b - a for a, b in pairwise(starts)} == {timedelta(minutes=15)}
    per_day = Counter(result.column("day"))
    assert (len(per_day), per_day[date(2012, 3, 25)], per_day[date(2012, 10, 28)]) == (366, 92, 100)


def test_a_household_of_counters_keeps_its_blanks_and_interpolations():
    path = require("meters/opsd_household/household_data_60min_singleindex.csv")
    header, *expected = lines(path, ",")
    result = read("opsd_household", path)
    channels = header[2:11]
    assert result.quarantine == []
    assert len(result.table) == len(expected) * 9 == 106_803
    assert set(result.column("kind")) == {"register"}
    named = {
        "DE_KN_residential4_grid_import": ("DE_KN_residential4", "1-0:1.8.0"),
        "DE_KN_residential4_grid_export": ("DE_KN_residential4", "1-0:2.8.0"),
        "DE_KN_residential4_pv": ("DE_KN_residential4_pv", "1-0:2.8.0"),
    }
    for position, channel in enumerate(channels, start=2):
        point, obis = named.get(channel, (channel, "1-0:1.8.0"))
        mine = pc.and_(pc.equal(result.table["point_id"], point), pc.equal(result.table["obis_code"], obis))
        rows = result.table.filter(mine)
        assert rows["value"].to_pylist() == [micro(row[position]) if row[position] else None for row in expected]
        assert rows["source_status"].to_pylist() == [
            "missing" if not row[position] else "substitute" if channel in row[11].split(" | ") else "measured"
            for row in expected
        ]
    assert result.column("interval_start")[::9] == [datetime.fromisoformat(row[0]) for row in expected]


def test_a_smard_file_of_a_year():
    path = require("grid/smard/Realisierter_Stromverbrauch_2023-2024_Stunde.csv")
    expected = lines(path, ";")[1:]
    result = read("smard_load", path, name=f"50Hertz_{path.name}")
    assert result.quarantine == []
    assert result.report.delivered_values == 3 * len(expected) == 26_280
    for position, metric in enumerate(["load_mw", "residual_load_mw", "pumped_storage_mw"], start=2):
        texts = [row[position].replace(".", "").replace(",", ".") for row in expected]
        assert only(result, metric=metric) == [micro(text) for text in texts]
    walls = [datetime.strptime(row[0], "%d.%m.%Y %H:%M") for row in expected]
    starts = result.column("interval_start")[::3]
    assert starts == instants(walls)
    assert {b - a for a, b in pairwise(starts)} == {timedelta(hours=1)}
    assert Counter(Counter(result.column("day")[::3]).values()) == {24: 363, 23: 1, 25: 1}


def test_an_opsd_file_of_five_areas():
    path = require("grid/opsd/DE_TSO_60min_filtered.csv")
    header, *expected = lines(path, ",")
    result = read("opsd_grid", path)
    assert result.quarantine == []
    assert len(result.table) == 18 * len(expected) == 157_680
    column = header.index("DE_50hertz_load_actual_entsoe_transparency")
    assert total(only(result, control_area="50Hertz", metric="load_mw")) == sum(micro(row[column]) for row in expected)
    column = header.index("DE_tennet_wind_offshore_generation_actual")
    assert total(only(result, control_area="TenneT", metric="wind_offshore_mw")) == sum(
        micro(row[column]) for row in expected
    )
    cells = [cell for row in expected for cell in row[2:]]
    assert total(result.values) == sum(micro(cell) for cell in cells if cell)
    assert sum(value is None for value in result.values) == cells.count("")


def test_an_opsd_file_with_the_operators_own_forecasts():
    path = require("grid/opsd_2018/DE_TSO_60min_2018_with_forecast.csv")
    header, *expected = lines(path, ",")
    result = read("opsd_grid_forecast", path)
    assert result.quarantine == []
    assert len(result.table) == 23 * len(expected)
    for area, name in (("DE", "DE"), ("50Hertz", "DE_50hertz"), ("TransnetBW", "DE_transnetbw")):
        column = header.index(f"{name}_load_forecast_entsoe_transparency")
        cells = [row[column] for row in expected]
        values = only(result, control_area=area, metric="load_forecast_mw")
        assert values == [micro(cell) if cell else None for cell in cells]


def test_a_dwd_station_with_its_sentinels_and_missing_hours():
    path = require(
        "weather/dwd_hourly_tu/stundenwerte_TU_00161_20110901_20181231_hist/produkt_tu_stunde_20110901_20181231_00161.txt"
    )
    expected = [[cell.strip() for cell in row] for row in lines(path, ";", "latin-1")[1:]]
    result = read("dwd_hourly_tu", path)
    assert result.quarantine == []
    assert len(result.table) == 2 * len(expected)
    for position, metric in ((3, "temperature_c"), (4, "humidity_pct")):
        values = [None if Decimal(row[position]) == -999 else micro(row[position]) for row in expected]
        assert only(result, metric=metric) == values
        assert values.count(None) == 130
    moments = result.column("observed_at")[::2]
    assert moments == [datetime.strptime(row[1], "%Y%m%d%H").replace(tzinfo=UTC) for row in expected]
    assert sum(step // timedelta(hours=1) - 1 for step in (b - a for a, b in pairwise(moments))) == 116
    assert set(result.column("station_id")) == {"dwd-161"}
    assert Counter(result.column("quality")) == {
        key: 2 * count for key, count in Counter(row[2] for row in expected).items()
    }
