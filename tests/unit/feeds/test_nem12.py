"""NEM12: values by hand, every real file against the library nemreader slot by slot, and what is refused."""

from __future__ import annotations

import gzip
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nemreader import read_nem_file

from tests.examples import examples
from tests.real_data import require
from tests.unit.feeds.reading import Result, feed, read, write

HEADER = "100,NEM12,202603011135,MDA1,Ret1\n"
CHANNEL = "200,NMI0000001,E1Q1,1,E1,N1,METER1,kWh,30,\n"
ONES = ",".join(["1"] * 48)


def day(values: str = ONES, quality: str = "A", date: str = "20260301") -> str:
    return f"300,{date},{values},{quality},,,20260302120025,\n"


def test_a_day_by_hand(tmp_path):
    values = ",".join([*(f"{i}.5" for i in range(47)), ""])
    result = read("nem12", write(tmp_path, "a.csv", HEADER + CHANNEL + day(values) + "900\n"))
    assert result.quarantine == []
    first, *_, last = result.rows
    assert (first["point_id"], first["obis_code"], first["unit"]) == ("NMI0000001", "1-1:1.29.0", "kWh")
    # Market time is ten hours ahead of UTC, all year.
    assert first["interval_start"] == datetime(2026, 2, 28, 14, tzinfo=UTC)
    assert (first["interval_minutes"], first["value"], first["source_status"]) == (30, Decimal("0.5"), "measured")
    assert last["interval_start"] == datetime(2026, 3, 1, 13, 30, tzinfo=UTC)
    assert (last["value"], last["source_status"]) == (None, "missing")
    assert set(result.column("row_number")) == {3}


def test_ranges_of_quality(tmp_path):
    events = "400,1,2,F14,76,\n400,3,24,A,,\n400,25,47,S14,1,\n400,48,48,N,,\n"
    result = read("nem12", write(tmp_path, "a.csv", HEADER + CHANNEL + day(quality="V") + events + "900\n"))
    assert result.column("source_status") == [
        *["substitute"] * 2,
        *["measured"] * 22,
        *["substitute"] * 23,
        "missing",
    ]


def test_lengths_units_and_channels_change_within_a_file(tmp_path):
    text = HEADER
    text += "200,N,B1Q1,1,B1,,M,Wh,15,\n" + day(",".join(["250"] * 96), "E52")
    text += "200,N,B1Q1,2,Q1,,M,KVARH,5\n" + day(",".join([".25"] * 288), "S")
    result = read("nem12", write(tmp_path, "a.csv", text + "900\n"))
    counts = Counter(
        zip(*(result.column(name) for name in ("obis_code", "interval_minutes", "unit", "source_status")), strict=True)
    )
    assert counts == {
        ("1-1:2.29.0", 15, "Wh", "provisional"): 96,
        ("1-1:3.29.0", 5, "kvarh", "substitute"): 288,
    }


BROKEN = {
    "too few values": (CHANNEL + day("1,2,3"), 3, 3, "expected 48 values"),
    "too many values": (CHANNEL + day(ONES + ",1"), 3, 49, "expected 48 values"),
    "no quality": (CHANNEL + f"300,20260301,{ONES}\n", 3, 48, "and a quality flag"),
    "cut": (CHANNEL + "300,20260301,1,1,1\n", 3, 3, "expected 48 values"),
    "no date": (CHANNEL + day(date="20260231"), 3, 48, "expected a date"),
    "no channel": (day(), 2, 48, "expected a 200 record"),
    "range is missing": (CHANNEL + day(quality="V") + "400,1,40,A,,\n", 3, 48, "intervals 41 to 48"),
    "range has a hole": (CHANNEL + day(quality="V") + "400,1,4,A,,\n400,6,48,A,,\n", 3, 48, "interval 5"),
    "range is beyond": (CHANNEL + day(quality="V") + "400,1,49,A,,\n", 3, 48, "ranges from 1 to 48"),
    "range is no range": (CHANNEL + day(quality="V") + "400,x,49,A,,\n", 3, 48, "ranges from 1 to 48"),
    "range varies": (CHANNEL + day(quality="V") + "400,1,48,V,,\n", 3, 48, "a quality such as A"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_day_is_quarantined_whole_and_the_next_is_read(tmp_path, name):
    text, number, cells, detail = BROKEN[name]
    result = read("nem12", write(tmp_path, "a.csv", HEADER + text + CHANNEL + day(date="20260302") + "900\n"))
    (row,) = result.quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (number, "broken_record", cells)
    assert detail in row["detail"]
    assert row["payload"] == "\n".join(line for line in text.splitlines() if line[:3] in ("300", "400"))
    assert len(result.table) == 48


@pytest.mark.parametrize(
    ("channel", "detail"),
    [
        ("200,NMI,E1\n", "at least 9 fields in the 200 record of line 2"),
        ("200,,E1,1,E1,,M,kWh,30\n", "a NMI"),
        ("200,N,E1,1,E1,,M,kWh,7\n", "divides the day in the 200 record of line 2, found '7'"),
        ("200,N,E1,1,E1,,M,kWh,0\n", "divides the day"),
    ],
)
def test_a_broken_channel_spoils_its_days_alone(tmp_path, channel, detail):
    text = HEADER + channel + day() + day(date="20260302") + CHANNEL + day() + "900\n"
    result = read("nem12", write(tmp_path, "a.csv", text))
    assert [(row["row_number"], row["value_cells"]) for row in result.quarantine] == [(2, 0), (3, 48), (4, 48)]
    assert all(detail in row["detail"] for row in result.quarantine)
    assert len(result.table) == 48


def test_cells_that_are_no_numbers_are_one_row_of_their_day(tmp_path):
    values = ",".join(["x", "1e400", *["1"] * 45, "NaN"])
    result = read("nem12", write(tmp_path, "a.csv", HEADER + CHANNEL + day(values) + "900\n"))
    (row,) = result.quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (3, "bad_number", 3)
    assert len(result.table) == 45


def test_a_file_that_breaks_off_is_told(tmp_path):
    result = read("nem12", write(tmp_path, "a.csv", HEADER + CHANNEL + day() + "300,20260302,1,1"))
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (4, "broken_record", 2),
        (5, "truncated_file", 0),
    ]
    assert len(result.table) == 48


def test_files_in_one_and_records_after_the_end(tmp_path):
    content = HEADER + CHANNEL + day() + "900\n"
    result = read("nem12", write(tmp_path, "a.csv", content + content + day() + "600,1\n"))
    assert len(result.table) == 96
    assert [(row["row_number"], row["value_cells"]) for row in result.quarantine] == [(9, 48), (10, 0)]


@pytest.mark.parametrize(
    ("text", "reason", "cells"),
    [
        ("", "empty_file", 0),
        (HEADER + "900\n", "empty_file", 0),
        (CHANNEL + day() + "900\n", "header_mismatch", 48),
        ("100,NEM13,202603011135,MDA1,Ret1\n900\n", "not_in_format", 0),
        ("100\n", "not_in_format", 0),
        ("hello", "header_mismatch", 0),
    ],
)
def test_what_is_no_nem12_file(tmp_path, text, reason, cells):
    result = read("nem12", write(tmp_path, "a.csv", text))
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [(0, reason, cells)]


def test_pieces_give_the_same_rows(tmp_path, monkeypatch):
    days = "".join(day(date=f"202603{i:02}", quality="V") + "400,1,20,A,,\n400,21,48,F,,\n" for i in range(1, 20))
    path = write(tmp_path, "a.csv", HEADER + CHANNEL + days + "300,20260320,\n900\n")
    whole = read("nem12", path)
    monkeypatch.setattr("metrify_assets.feeds.formats.nem12_source.CHUNK_VALUES", 100)
    pieces = read("nem12", path)
    assert pieces.table.equals(whole.table)
    assert pieces.quarantine == whole.quarantine


RECORDS = st.sampled_from(
    [
        *("100,NEM12,1", "100,NEM13", "200,N,E1,1,E1,,M,kWh,720,", "200,N,E1,1,V1,,M,V,720", "200,N", "200,N,,,,,,,0"),
        *("300,20260301,1,2,A,,,", "300,20260302,1,,V,,,", "300,20260301,1,x,A", "300,2026,1,2,A", "300,", "300"),
        *("300,20260301,1,2,3,A", "300,20260301,A", "400,1,1,A,,", "400,1,2,F14,76,", "400,2,2,S,,", "400,,"),
        *("500,O,S,1,2", "900", "", "  ", "abc", "300,20260301,A,2,A", "300,20260301,-1,1e3,N"),
    ]
)


@settings(max_examples=examples(1.5))
@example(["100,NEM12,1", "200,N,E1,1,E1,,M,kWh,720,", "300,20260301,A,2,A", "900"])
@given(st.lists(RECORDS, max_size=14))
def test_every_value_is_raw_or_quarantined(records):
    with TemporaryDirectory() as folder:
        result = read("nem12", write(Path(folder), "a.csv", "\n".join(["100,NEM12,1", *records])))
    numbers = [row["row_number"] for row in result.quarantine]
    assert len(set(numbers)) == len(numbers)


# Real files.


def nmi_channels(result: Result) -> dict[tuple[str, str], list[dict]]:
    rows_of_channel: dict[tuple[str, str], list[dict]] = {}
    for row in result.rows:
        rows_of_channel.setdefault((row["point_id"], row["obis_code"]), []).append(row)
    return rows_of_channel


def real_files(kind: str, count: int) -> list[Path]:
    folder = require(f"meters/nem12/{kind}")
    paths = sorted(path for path in folder.iterdir() if path.is_file() and "NEM13" not in path.name)
    assert len(paths) == count
    return paths


STATUS = {"A": "measured", "S": "substitute", "F": "substitute", "E": "provisional", "N": "missing"}


def compare_with_peer(path: Path) -> int:
    """Compare all values of a file with what nemreader reads; return how many there are."""
    logging.getLogger("nemreader").setLevel(logging.CRITICAL)
    expected = read_nem_file(str(path)).readings
    result = read("nem12", path)
    ours = nmi_channels(result)
    suffixes = feed("nem12").obis.mapping
    compared = 0
    for nmi, channels in expected.items():
        for suffix, readings in channels.items():
            if suffix not in suffixes:
                continue
            rows = ours.pop((nmi, suffixes[suffix]))
            assert len(rows) == len(readings)
            for row, reading in zip(rows, readings, strict=True):
                assert row["interval_start"] == (reading.t_start - timedelta(hours=10)).replace(tzinfo=UTC)
                assert row["interval_minutes"] == (reading.t_end - reading.t_start) // timedelta(minutes=1)
                assert row["unit"].upper() == reading.uom.upper()
                assert row["source_status"] == STATUS[reading.quality_method[0]]
                assert float(row["value"]) == pytest.approx(reading.read_value, abs=5e-7)
            compared += len(rows)
    assert ours == {}
    return compared


@pytest.mark.real_data
def test_the_examples_agree_with_nemreader():
    paths = real_files("unzipped", 10)
    assert sum(compare_with_peer(path) for path in paths) == 28_944


TORN = "NEM12#Scenario10#ETSAMDP#NEMMCO.zip"


@pytest.mark.real_data
def test_the_scenarios_of_the_market_agree_with_nemreader():
    paths = [path for path in real_files("nem12", 94) if path.name != TORN]
    assert sum(compare_with_peer(path) for path in paths) == 41_712


@pytest.mark.real_data
def test_a_real_day_that_is_torn_into_three_lines_is_quarantined_with_its_ranges():
    result = read("nem12", require(f"meters/nem12/nem12/{TORN}"))
    assert [row["row_number"] for row in result.quarantine] == [27, 28, 29, 30, 31]
    assert {row["reason"] for row in result.quarantine} == {"broken_record"}
    # The peer gives the ranges of the torn day to the day before, which was measured as a whole.
    day_before = [row for row in result.rows if row["row_number"] == 26]
    assert [row["source_status"] for row in day_before] == ["measured"] * 48


@pytest.mark.real_data
def test_many_meters_in_a_zip_agree_with_nemreader():
    assert compare_with_peer(require("meters/nem12/Example_NEM12_ManyNMIs.zip")) > 0
    assert compare_with_peer(require("meters/nem12/Example_different_intervals.zip")) == 96


@pytest.mark.real_data
def test_a_packed_file_reads_like_the_plain_one(tmp_path):
    path = require("meters/nem12/unzipped/Example_NEM12_month_solar.csv")
    packed = write(tmp_path, path.name + ".gz", gzip.compress(path.read_bytes()))
    assert read("nem12", packed).table.equals(read("nem12", path).table)


INVALID = {
    "Example_NEM12_15min_200_30min_300.csv": (3, "broken_record", 48),
    "Example_NEM12_15min_200_30min_400.csv": (3, "broken_record", 96),
    "Example_NEM12_30min_200_15min_300.csv": (3, "broken_record", 96),
    "Example_NEM12_30min_200_15min_400.csv": (3, "broken_record", 96),
    "Example_NEM12_empty.csv": (0, "empty_file", 0),
    "Example_NEM12_incomplete_interval.csv": (3, "broken_record", 0),
    "Example_NEM12_missing_header.csv": (0, "header_mismatch", 96),
    "Example_NEM12_powercor.csv": (0, "header_mismatch", 192),
    "Example_NEM12_powercor.csv.zip": (0, "header_mismatch", 192),
    "Example_NEM12_powercor_missing_fields.csv": (0, "header_mismatch", 192),
}


@pytest.mark.real_data
def test_every_invalid_file_is_quarantined_clearly():
    rejects = {}
    for path in real_files("invalid", len(INVALID)):
        (row,) = read("nem12", path).quarantine
        assert row["detail"].split(": ")[-1].startswith("expected ")
        rejects[path.name] = (row["row_number"], row["reason"], row["value_cells"])
    assert rejects == INVALID


@pytest.mark.real_data
def test_nem13_files_are_another_format():
    examples = sorted(require("meters/nem12/unzipped").glob("*NEM13*"))
    for path in [*sorted(require("meters/nem12/nem13").iterdir()), *examples]:
        assert read("nem12", path).reasons == ["not_in_format"]
    assert len(examples) == 2


def test_method_and_reason_of_the_sender_stand_in_the_remark(tmp_path):
    events = "400,1,2,F14,76,\n400,3,24,A,,\n400,25,47,S14,1,\n400,48,48,N,,\n"
    result = read("nem12", write(tmp_path, "a.csv", HEADER + CHANNEL + day(quality="V") + events + "900\n"))
    expected = ["method 14, reason 76"] * 2 + [None] * 22 + ["method 14, reason 1"] * 23 + [None]
    assert result.column("remark") == expected
    whole = read("nem12", write(tmp_path, "b.csv", HEADER + CHANNEL + day(quality="E52") + "900\n"))
    assert set(whole.column("remark")) == {"method 52"}
