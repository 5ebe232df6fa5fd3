"""Files that real grids produced (Amprion, TransnetBW, OPSD), against plain Python with csv, decimal and zoneinfo."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow.compute as pc
import pytest

from tests.real_data import require
from tests.unit.feeds.reading import Result, read
from tests.unit.feeds.test_real_files import BERLIN, instants

pytestmark = pytest.mark.real_data

QUARTER = timedelta(minutes=15)


def rows_of(path, delimiter=","):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter=delimiter))[1:]


def local(text: str, form: str = "%Y-%m-%d %H:%M") -> datetime:
    return datetime.strptime(text, form)


def values_by_start(result: Result, metric: str) -> list[tuple[datetime, Decimal | None]]:
    rows = result.table.filter(pc.equal(result.table["metric"], metric))
    return list(zip(rows["interval_start"].to_pylist(), rows["value"].to_pylist(), strict=True))


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN).astimezone(UTC)


def read_by_hand(rows: list[list[str]], refused: set[int]) -> list[tuple[datetime, Decimal]]:
    """Return start and value of all rows but the refused ones (numbered from 1)."""
    starts = instants([local(f"{row[0]} {row[1]}") for row in rows])
    pairs = enumerate(zip(starts, rows, strict=True), start=1)
    return [(start, Decimal(row[3])) for number, (start, row) in pairs if number not in refused]


@pytest.mark.parametrize(
    ("feed", "file", "metric", "refused", "reason"),
    [
        # 25 March 2007, 01:00-02:00 four times, twice as zeros: none of the sixteen rows can be believed.
        ("amprion_demand", "demand_200703", "load_mw", set(range(2309, 2325)), "contradicting_rows"),
        # 28 and 31 July twice with the same values, one day missing.
        ("amprion_demand", "demand_200907", "load_mw", set(), None),
        ("amprion_demand", "demand_201506", "load_mw", set(), None),
        # 30 March 2008: the hour from 01:00 twice, as zero and as 1,963 MW.
        ("amprion_wind", "feedin-wind_200803", "wind_onshore_mw", {698, 699}, "contradicting_rows"),
        ("amprion_wind", "feedin-wind_200810", "wind_onshore_mw", set(), None),
        ("amprion_vertical_load", "verticalload_200903", "vertical_load_mw", set(), None),
        # The repeated hour of October once: 02:00 to 02:45 name two instants each.
        (
            "amprion_vertical_load",
            "verticalload_200910",
            "vertical_load_mw",
            set(range(2313, 2317)),
            "ambiguous_dst_hour",
        ),
        (
            "amprion_vertical_load",
            "verticalload_201510",
            "vertical_load_mw",
            set(range(2313, 2317)),
            "ambiguous_dst_hour",
        ),
    ],
)
def test_an_amprion_month(feed, file, metric, refused, reason):
    path = require(f"grid/amprion/{file}.csv")
    rows = rows_of(path)
    result = read(feed, path)
    assert values_by_start(result, metric) == read_by_hand(rows, refused)
    assert {row["row_number"] for row in result.quarantine} == refused
    assert set(result.reasons) == ({reason} if refused else set())
    assert result.report.delivered_values == len(rows)


def test_the_hourly_months_of_amprion_give_way_to_quarter_hourly_ones():
    hourly = read("amprion_wind", require("grid/amprion/feedin-wind_200803.csv"))
    quarters = read("amprion_wind", require("grid/amprion/feedin-wind_200810.csv"))
    assert set(hourly.column("resolution_minutes")) == {60}
    assert set(quarters.column("resolution_minutes")) == {15}


def test_the_repeated_hour_of_october_2008_is_told_by_the_order_of_its_rows():
    result = read("amprion_wind", require("grid/amprion/feedin-wind_200810.csv"))
    values = dict(values_by_start(result, "wind_onshore_mw"))
    # 02:00 twice: 1,555 MW, then 1,639 MW an hour later; 02:45 is 1,623 and 1,680 MW.
    assert [values[datetime(2008, 10, 26, hour, minute, tzinfo=UTC)] for hour in (0, 1) for minute in (0, 45)] == [
        1555,
        1623,
        1639,
        1680,
    ]
    assert Counter(result.column("day"))[date(2008, 10, 26)] == 100


def test_what_july_2009_of_amprion_has_twice_and_lacks():
    days = Counter(read("amprion_demand", require("grid/amprion/demand_200907.csv")).column("day"))
    assert {day: count for day, count in days.items() if count != 96} == {
        date(2009, 7, 28): 192,
        date(2009, 7, 31): 192,
    }
    assert {date(2009, 7, day) for day in range(1, 32)} - set(days) == {date(2009, 7, 15)}


MONTHS = {
    "0[mwindeinsp_ist_prognose_2015_11.csv]": 1_728,
    "10[mwindeinsp_ist_prognose_2015_01.csv]": 2_976,
    "11[mwindeinsp_ist_prognose_2015_00.csv]": 2_976,
    "2[mwindeinsp_ist_prognose_2015_09.csv]": 2_880,
    "3[mwindeinsp_ist_prognose_2015_08.csv]": 2_976,
    "4[mwindeinsp_ist_prognose_2015_07.csv]": 2_976,
    "5[mwindeinsp_ist_prognose_2015_06.csv]": 2_880,
    "6[mwindeinsp_ist_prognose_2015_05.csv]": 2_976,
    "7[mwindeinsp_ist_prognose_2015_04.csv]": 2_880,
    "8(mwindeinsp_ist_prognose_2015_03.csv)_KORRIGIERT": 2_972,
    "9[mwindeinsp_ist_prognose_2015_02.csv]": 2_688,
}


def transnetbw(name: str):
    path = require(f"grid/transnetbw/TransnetBW_wind_{name}.csv")
    return rows_of(path, ";"), read("transnetbw_wind", path)


@pytest.mark.parametrize("name", MONTHS)
def test_a_month_of_transnetbw(name):
    rows, result = transnetbw(name)
    assert result.quarantine == []
    assert len(rows) == MONTHS[name]
    starts = instants([local(f"{row[0]} {row[1]}", "%d.%m.%Y %H:%M:%S") for row in rows])
    for metric, column in (("wind_onshore_forecast_mw", 4), ("wind_onshore_mw", 5)):
        values = [Decimal(row[column].replace(",", ".")) if row[column] else None for row in rows]
        assert values_by_start(result, metric) == list(zip(starts, values, strict=True))
    assert {after - before for before, after in pairwise(starts)} == {QUARTER}


def test_a_month_of_transnetbw_that_is_not_over_has_forecasts_only_at_its_end():
    rows, result = transnetbw("0[mwindeinsp_ist_prognose_2015_11.csv]")
    missing = [start for start, value in values_by_start(result, "wind_onshore_mw") if value is None]
    assert len(missing) == sum(not row[5] for row in rows) == 122
    assert missing[0] == berlin(2015, 11, 17, 17, 30)
    assert missing[-1] == berlin(2015, 11, 18, 23, 45)
    assert None not in dict(values_by_start(result, "wind_onshore_forecast_mw")).values()


def test_the_march_that_was_published_with_wrong_hours_and_its_correction():
    rows, wrong = transnetbw("8[mwindeinsp_ist_prognose_2015_03.csv]")
    corrected_rows, corrected = transnetbw("8(mwindeinsp_ist_prognose_2015_03.csv)_KORRIGIERT")
    # On 29 March 05:45, 05:00, 05:15, 05:30 and 05:45 stand where 03:45 to 04:45 should; then the true ones follow.
    labels = [row[1] for row in rows if row[0] == "29.03.2015"][11:16]
    assert labels == ["05:45:00", "05:00:00", "05:15:00", "05:30:00", "05:45:00"]
    assert [row[1] for row in corrected_rows if row[0] == "29.03.2015"][11:16] == [
        "03:45:00",
        "04:00:00",
        "04:15:00",
        "04:30:00",
        "04:45:00",
    ]
    assert {row["reason"] for row in wrong.quarantine} == {"contradicting_rows"}
    assert len(wrong.quarantine) == 9
    assert {row["payload"].split(";")[1] for row in wrong.quarantine} == {
        "05:00:00",
        "05:15:00",
        "05:30:00",
        "05:45:00",
    }
    first, later = (dict(values_by_start(result, "wind_onshore_mw")) for result in (wrong, corrected))
    assert {start: later[start] for start in first} == first
    absent = sorted(set(later) - set(first))
    assert absent == [berlin(2015, 3, 29, 3, 45) + i * QUARTER for i in range(9)]


def test_the_october_of_transnetbw_with_one_wrong_hour():
    rows, result = transnetbw("1[mwindeinsp_ist_prognose_2015_10.csv]")
    # The second 02:45 is called 03:45, which comes again: neither can be believed. The 02:45 that is left is of the
    # first pass, because the clock goes back after it.
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (2320, "contradicting_rows"),
        (2324, "contradicting_rows"),
    ]
    values = dict(values_by_start(result, "wind_onshore_mw"))
    expected = {
        datetime(2015, 10, 25, 0, minute, tzinfo=UTC): Decimal(rows[2312 + i][5])
        for i, minute in enumerate((0, 15, 30, 45))
    }
    expected |= {
        datetime(2015, 10, 25, 1, minute, tzinfo=UTC): Decimal(rows[2316 + i][5])
        for i, minute in enumerate((0, 15, 30))
    }
    assert {start: values[start] for start in expected} == expected
    assert datetime(2015, 10, 25, 1, 45, tzinfo=UTC) not in values
    assert Counter(result.column("day"))[date(2015, 10, 25)] == 2 * 98


def test_three_years_of_german_wind():
    path = require("grid/opsd/DE_wind_60min_2017_2019_filtered.csv")
    rows = rows_of(path)
    result = read("opsd_wind", path)
    assert result.quarantine == []
    for metric, column in (("wind_offshore_mw", 5), ("wind_onshore_mw", 8)):
        expected = [(datetime.fromisoformat(row[0]), Decimal(row[column]) if row[column] else None) for row in rows]
        assert values_by_start(result, metric) == expected
