"""Files that people export from web pages: ranges in a cell, positions in a day, cells and names that are left out."""

from __future__ import annotations

import codecs
import gzip
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.errors import FeedError
from metrify_assets.feeds.formats import files
from metrify_assets.feeds.formats.files import with_missing_cells
from metrify_assets.feeds.model import Feed, parse_feed
from metrify_assets.feeds.places import places
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.examples import examples
from tests.unit.feeds.reading import Result, read, write

BERLIN = ZoneInfo("Europe/Berlin")


def grid(**changes: object) -> Feed:
    """Return a feed of the web export of the ENTSO-E platform, with some changes."""
    declared: dict[str, Any] = {
        "name": "entsoe_web",
        "description": "Actual total load, web export.",
        "kind": "grid_status",
        "format": "delimited",
        "header": ["MTU (CET/CEST)", "Load"],
        "stamp": {
            "columns": ["MTU (CET/CEST)"],
            "range": " - ",
            "format": "%d.%m.%Y %H:%M",
            "timezone": "Europe/Berlin",
        },
        "interval_minutes": 15,
        "source_id": "entsoe",
        "control_area": "Amprion",
        "metric": "load_mw",
        "sentinels": ["N/A", "n/e", "-"],
        "values": [{"column": "Load"}],
    }
    return parse_feed({name: value for name, value in {**declared, **changes}.items() if value is not None})


def tennet(**changes: object) -> Feed:
    """Return a feed of positions within a day, whose date stands in its first row alone."""
    stamp = {"columns": ["Datum"], "position": "Position", "format": "%d.%m.%Y", "timezone": "Europe/Berlin"}
    declared: dict[str, Any] = {"header": ["Datum", "Position", "MW"], "delimiter": ";", "fill_down": ["Datum"]}
    return grid(**{**declared, "stamp": stamp, "values": [{"column": "MW"}], **changes})


def export(*rows: str) -> str:
    lines = [",".join(f'"{cell}"' for cell in row.split("|")) for row in ("MTU (CET/CEST)|Load", *rows)]
    return "".join(f"{line}\n" for line in lines)


def starts(result: Result) -> list[str]:
    return [moment.strftime("%m-%d %H:%M") for moment in result.column("interval_start")]


# A range in one cell.


def test_the_range_of_a_cell_is_the_start_and_the_length_of_its_interval(tmp_path):
    text = export("01.01.2024 00:00 - 01.01.2024 00:15|44123", "01.01.2024 00:15 - 01.01.2024 00:30|N/A")
    result = read(grid(), write(tmp_path, "a.csv", text))
    assert result.quarantine == []
    assert starts(result) == ["12-31 23:00", "12-31 23:15"]
    assert result.values == [44123, None]
    assert result.column("resolution_minutes") == [15, 15]


@pytest.mark.parametrize(
    "cell",
    [
        "01.01.2024 00:15 - 01.01.2024 00:00",
        "01.01.2024 00:00 - 01.01.2024 00:00",
        "01.01.2024 00:00 - 01.01.2024 01:00",
        "01.01.2024 00:00 - 01.01.2023 00:15",
    ],
)
def test_a_range_of_another_length_or_that_ends_before_it_begins_is_refused(tmp_path, cell):
    result = read(grid(), write(tmp_path, "a.csv", export(f"{cell}|1", "01.01.2024 00:15 - 01.01.2024 00:30|2")))
    assert (result.values, result.reasons) == ([2], ["bad_interval_length"])
    assert result.quarantine[0]["detail"] == (
        f"MTU (CET/CEST): expected a range that ends 15 minutes after it begins, found '{cell}'"
    )


@pytest.mark.parametrize(
    "cell", ["01.01.2024 00:00", "", "01.01.2024 00:00 - ", " - ", "a - b - c", "01.01.2024 00:00 - 2024-01-01 00:15"]
)
def test_a_cell_that_holds_no_range_is_refused(tmp_path, cell):
    result = read(grid(), write(tmp_path, "a.csv", export(f"{cell}|1")))
    assert result.reasons == ["bad_timestamp"]
    detail = "MTU (CET/CEST): expected two stamps of format %d.%m.%Y %H:%M with ' - ' between them, found "
    assert result.quarantine[0]["detail"].startswith(detail)


def ranges(day: date, minutes: int, form: str = "%d.%m.%Y %H:%M", *, marked: bool = False) -> list[str]:
    """Return the ranges of a local day as a wall clock shows them, with the names of its times if ``marked``."""
    bounds = [*DeliveryDay(day).slot_starts(minutes).tolist(), DeliveryDay(day).end]
    moments = [datetime.fromtimestamp(bound / 1e6, UTC).astimezone(BERLIN) for bound in bounds]
    shown = [moment.strftime(form) + (f" ({moment.tzname()})" if marked else "") for moment in moments]
    return [f"{first} - {last}" for first, last in pairwise(shown)]


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2024, 10, 27), date(2024, 7, 1)])
def test_ranges_over_the_changes_of_the_clock(tmp_path, day, marked, minutes):
    cells = ranges(day, minutes, marked=marked)
    text = export(*(f"{cell}|{place}" for place, cell in enumerate(cells)))
    result = read(grid(interval_minutes=minutes), write(tmp_path, "a.csv", text))
    assert result.quarantine == []
    expected = DeliveryDay(day).slot_starts(minutes).tolist()
    assert [moment.timestamp() * 1e6 for moment in result.column("interval_start")] == expected
    assert result.values == list(range(len(expected)))


def test_one_pass_of_the_repeated_hour_is_read_where_it_says_which(tmp_path):
    form = "%d/%m/%Y %H:%M:%S"
    stamp = {**grid().stamp.model_dump(), "format": form}
    cells = ["27/10/2024 02:15:00 (CEST) - 27/10/2024 02:30:00 (CEST)", "27/10/2024 02:15:00 - 27/10/2024 02:30:00"]
    cells.append("27/10/2024 02:45:00 (CET) - 27/10/2024 03:00:00")
    cells.append("27/10/2024 02:30:00 (EST) - 27/10/2024 02:45:00 (EST)")
    result = read(grid(stamp=stamp), write(tmp_path, "a.csv", export(*(f"{cell}|1" for cell in cells))))
    assert starts(result) == ["10-27 00:15", "10-27 01:45"]
    assert result.reasons == ["ambiguous_dst_hour", "bad_timestamp"]


def test_a_file_whose_ranges_have_one_of_several_lengths_is_read_with_it(tmp_path):
    of = grid(also_intervals=[60])
    hours = export("01.01.2024 00:00 - 01.01.2024 01:00|1", "01.01.2024 01:00 - 01.01.2024 02:00|2")
    assert read(of, write(tmp_path, "a.csv", hours)).column("resolution_minutes") == [60, 60]
    mixed = export(*(f"{cell}|1" for cell in ranges(date(2024, 1, 1), 60)), "02.01.2024 00:00 - 02.01.2024 00:15|2")
    assert read(of, write(tmp_path, "a.csv", mixed)).reasons == ["bad_interval_length"]


def test_ranges_may_state_the_length_of_every_row(tmp_path):
    of = grid(interval_minutes={"column": "MTU (CET/CEST)"})
    cells = ["31.03.2024 00:00 - 31.03.2024 00:15", "31.03.2024 01:00 - 31.03.2024 03:00"]
    cells += ["27.10.2024 00:00 - 28.10.2024 00:00", "01.01.2024 00:00 - 01.02.2024 00:00"]
    result = read(of, write(tmp_path, "a.csv", export(*(f"{cell}|1" for cell in cells))))
    assert result.column("resolution_minutes") == [15, 60, 1_500]
    assert result.quarantine[0]["detail"].startswith(
        "MTU (CET/CEST): expected a range that ends 1 to 1500 minutes after it begins, found '01.01.2024"
    )


@pytest.mark.parametrize(
    ("stamp", "message"),
    [
        ({"format": "iso"}, "a range stands in one column"),
        ({"marks": "end"}, "a range stands in one column"),
        ({"columns": ["MTU (CET/CEST)", "Load"]}, "a range stands in one column"),
        ({"format": "%d.%m.%Y"}, "states no time of day"),
    ],
)
def test_a_range_that_cannot_be_read_is_refused_with_the_definition(stamp, message):
    with pytest.raises(FeedError, match=message):
        grid(stamp={**grid().stamp.model_dump(), **stamp})


def test_a_range_or_a_position_of_a_day_that_is_not_taken_in_says_so(tmp_path):
    first = date(2024, 7, 1)
    text = export(
        "01.07.2020 00:00 - 01.07.2020 00:15|1", "01.07.2024 00:00 - 01.07.2024 00:15|2", "01.07.9999 00:00 - x|3"
    )
    result = read(grid(), write(tmp_path, "a.csv", text), first_day=first)
    assert (result.values, result.reasons) == ([2], ["day_out_of_range", "bad_timestamp"])
    text = "Datum;Position;MW\n01.07.2020;97;1\n;1;1\n01.07.2024;96;2\n31.12.9999;1;3\n"
    result = read(tennet(), write(tmp_path, "b.csv", text), first_day=first)
    assert (result.values, result.reasons) == ([2], ["day_out_of_range"] * 3)


# Positions within a day, and dates that stand in the first row of a day alone.


def day_of_positions(day: date, count: int) -> str:
    dates = [day.strftime("%d.%m.%Y"), *[""] * (count - 1)]
    return "".join(f"{text};{place};{place}\n" for place, text in enumerate(dates, start=1))


@pytest.mark.parametrize(("day", "slots"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100), (date(2024, 7, 1), 96)])
def test_positions_count_the_quarter_hours_of_the_local_day(tmp_path, day, slots):
    text = "Datum;Position;MW\n" + day_of_positions(day, slots) + day_of_positions(day + timedelta(days=1), 96)
    result = read(tennet(), write(tmp_path, "a.csv", text))
    assert result.quarantine == []
    expected = [start for own in (day, day + timedelta(days=1)) for start in DeliveryDay(own).slot_starts(15).tolist()]
    assert [moment.timestamp() * 1e6 for moment in result.column("interval_start")] == expected


@pytest.mark.parametrize("position", ["0", "93", "97", "-1", "x", "", "1.5", "²"])
def test_a_position_that_the_day_does_not_have_is_refused(tmp_path, position):
    text = f"Datum;Position;MW\n31.03.2024;1;1\n;{position};2\n;92;3\n"
    result = read(tennet(), write(tmp_path, "a.csv", text))
    assert (result.values, result.reasons) == ([1, 3], ["bad_timestamp"])
    assert result.quarantine[0]["detail"] == (
        "Datum, Position: expected a date of format %d.%m.%Y, in this row or above it, and the number of an interval "
        f"of that day, found '31.03.2024 {position}'"
    )


def test_rows_before_the_first_date_are_refused(tmp_path):
    result = read(tennet(), write(tmp_path, "a.csv", "Datum;Position;MW\n;1;1\n ;2;2\n01.07.2024;3;3\n;4;4\n"))
    assert (result.values, result.reasons) == ([3, 4], ["bad_timestamp"] * 2)
    assert "expected a date of format %d.%m.%Y, in this row or above it, and" in result.quarantine[0]["detail"]


def test_below_a_line_that_cannot_be_read_no_date_is_assumed_until_the_next(tmp_path):
    lines = ["01.07.2024;1;1", ";2;2", "02.07.2024;1", ";2;3", ";3;4", "03.07.2024;1;5", ";2;6"]
    result = read(tennet(), write(tmp_path, "a.csv", "Datum;Position;MW\n" + "\n".join(lines) + "\n"))
    assert result.values == [1, 2, 5, 6]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (3, "wrong_column_count"),
        (4, "bad_timestamp"),
        (5, "bad_timestamp"),
    ]


@settings(max_examples=examples(0.5), deadline=None)
@given(
    st.lists(st.sampled_from(["01.07.2024;1;1", ";2;2", " ;3;3", ";x;4", "5", "02.07.2024;7;5", "x;1;6"]), max_size=12),
    st.integers(min_value=1, max_value=60),
)
def test_dates_are_filled_down_over_blocks_as_line_by_line(tmp_path_factory, lines, block):
    """An independent walk over the lines, whatever the size of the blocks that are read at once."""
    day: str | None = None
    expected = []
    for line in lines:
        cells = line.split(";")
        if len(cells) != 3:
            day = None
            continue
        day = cells[0].strip() or day
        if day in ("01.07.2024", "02.07.2024") and cells[1].isdecimal():
            expected.append((date(2024, 7, int(day[:2])), int(cells[1]), Decimal(cells[2])))
    path = write(tmp_path_factory.mktemp("x"), "a.csv", "Datum;Position;MW\n" + "".join(f"{line}\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", block)
        result = read(tennet(repeated_rows="last"), path)
    first = datetime(2024, 6, 30, 22, tzinfo=UTC)
    slots = [(start - first) // timedelta(minutes=15) % 96 + 1 for start in result.column("interval_start")]
    assert list(zip(result.column("day"), slots, result.values, strict=True)) == expected


def test_any_column_may_be_filled_down_but_not_one_of_values(tmp_path):
    of = grid(
        header=["area", "MTU (CET/CEST)", "Load"],
        control_area={"column": "area"},
        fill_down=["area"],
    )
    first, second = ranges(date(2024, 1, 1), 15)[:2]
    text = f"area,MTU (CET/CEST),Load\nAmprion,{first},1\n,{second},\n"
    assert read(of, write(tmp_path, "a.csv", text)).column("control_area") == ["Amprion", "Amprion"]
    with pytest.raises(FeedError, match="a blank cell of Load means that there is none: leave it out of fill_down"):
        grid(fill_down=["Load"])
    with pytest.raises(FeedError, match="no such column in the header: Tag"):
        grid(fill_down=["Tag"])


@pytest.mark.parametrize(
    "stamp", [{"format": "iso"}, {"format": "%d.%m.%Y %H:%M"}, {"marks": "end"}, {"position": "Datum"}]
)
def test_a_position_that_cannot_be_read_is_refused_with_the_definition(stamp):
    with pytest.raises(FeedError, match="position"):
        tennet(stamp={**tennet().stamp.model_dump(), **stamp})


@pytest.mark.parametrize("length", [{"column": "Load"}, {"column": "MTU (CET/CEST)", "mapping": {"a": 15}}])
def test_a_length_beside_a_range_is_refused_with_the_definition(length):
    with pytest.raises(FeedError, match="interval_minutes: a range states its length itself"):
        grid(interval_minutes=length)


# What the documentation shows.


def shown_definitions() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parents[3] / "docs/formats.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(name: .*?)```", text, re.DOTALL)]
    return {block["name"]: block for block in blocks if "kind" in block}


def test_the_definitions_of_the_documentation_read_what_they_are_for(tmp_path):
    definitions = {name: parse_feed(block) for name, block in shown_definitions().items()}
    cells = ranges(date(2024, 10, 27), 15, "%d/%m/%Y %H:%M:%S", marked=True)
    text = '"MTU (CET/CEST)","Actual Total Load (MW)"\n' + "".join(f'"{cell}","n/e"\n' for cell in cells)
    result = read(definitions.pop("entsoe_web_load"), write(tmp_path, "a.csv", text))
    assert (result.values, result.quarantine) == ([None] * 100, [])
    head = "Windenergie\r\nStand\r\n\r\nDatum;Position;prognostiziert [MW];tatsaechlich [MW];\r\n"
    lines = head + "27.10.2024;1;5;6;\r\n;2;7;8;\r\n;100;9\r\n"
    result = read(definitions.pop("tennet_wind"), write(tmp_path, "b.csv", lines.encode("latin-1")))
    assert (result.values, starts(result)) == ([6, 8, None], ["10-26 22:00", "10-26 22:15", "10-27 22:45"])
    assert (result.quarantine, definitions) == ([], {})


# Cells, names and encodings.


def test_rows_may_be_shorter_than_the_header_if_the_feed_says_so(tmp_path):
    header = ["Datum", "Position", "MW", "Offshore"]
    values = [{"column": "MW", "metric": "load_mw"}, {"column": "Offshore", "metric": "wind_offshore_mw"}]
    lines = ["01.07.2024;1;1;2", ";2;3", ";3", ";4;5;6;7", "", ';5;"8"', ";6;9;10"]
    path = write(tmp_path, "a.csv", ";".join(header) + "\r\n" + "\r\n".join(lines) + "\r\n")
    strict = read(tennet(header=header, values=values, metric=None), path)
    assert strict.reasons.count("wrong_column_count") == 4
    result = read(tennet(header=header, values=values, metric=None, short_rows=True), path)
    # The line that is too long may have been the first of a day.
    assert result.values == [1, 2, 3, None, None, None]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (4, "wrong_column_count"),
        (5, "bad_timestamp"),
        (6, "bad_timestamp"),
    ]
    assert result.quarantine[0]["detail"] == "expected at most 4 columns, found 5"


def test_a_short_row_that_lacks_its_stamp_is_refused(tmp_path):
    of = grid(header=["Load", "MTU (CET/CEST)"], short_rows=True)
    text = "Load,MTU (CET/CEST)\n1\n2,01.01.2024 00:15 - 01.01.2024 00:30\n"
    result = read(of, write(tmp_path, "a.csv", text))
    assert (result.values, result.reasons) == ([2], ["bad_timestamp"])


LINE = st.lists(st.sampled_from(["", "a", "ä", '"x;y"', '"z', " ", "1"]), max_size=5).map(";".join)


@settings(max_examples=examples(0.5))
@given(st.lists(LINE, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_missing_cells_are_added_at_once_as_line_by_line(lines, line_end, is_ended):
    block = (line_end.join(lines) + (line_end if is_ended and lines else "")).encode()
    expected = []
    for line in block.split(b"\n"):
        text = line.removesuffix(b"\r")
        cells, is_inside = 1, False
        for sign in text.decode():
            is_inside ^= sign == '"'
            cells += sign == ";" and not is_inside
        blank = not text.strip(b" \r")
        expected.append(text + b";" * (0 if blank else max(0, 4 - cells)) + line[len(text) :])
    is_broken = any(line.count('"') % 2 for line in lines)
    assert with_missing_cells(block, b";", 4) == (block if is_broken else b"\n".join(expected))


def test_columns_without_a_name_are_called_by_their_place(tmp_path):
    header = ["Datum", "#2", "#3", "MW"]
    stamp = {**tennet().stamp.model_dump(), "position": "#2"}
    path = write(tmp_path, "a.csv", "Datum;; ;MW\n01.07.2024;1;x;5\n;2;x;6\n")
    result = read(tennet(header=header, stamp=stamp), path)
    assert (result.values, result.quarantine) == ([5, 6], [])
    named = write(tmp_path, "b.csv", "Datum;Nr;;MW\n01.07.2024;1;x;5\n")
    (row,) = read(tennet(header=header, stamp=stamp), named).quarantine
    assert row["detail"] == "expected 'Datum;#2;#3;MW', found 'Datum;Nr;#3;MW'"


def test_a_nameless_column_at_another_place_is_refused_with_the_definition():
    with pytest.raises(FeedError, match="'#4' stands for a column without a name at that place: write '#3' here"):
        tennet(header=["Datum", "Position", "#4", "MW"])
    with pytest.raises(FeedError, match="column names must differ: call columns without a name by their place"):
        tennet(header=["Datum", "Position", "", "", "MW"])


TEXT = "Datum;Position;MW\r\n01.07.2024;1;5\r\n;2;6\r\nß;3;7\r\n"


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-16", codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")),
        ("utf-16", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
        ("utf-16", TEXT.encode("utf-16-le")),
        ("UTF16", TEXT.encode("utf-16-be")),
        ("utf-16-le", TEXT.encode("utf-16-le")),
        ("utf-16-be", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_text_in_utf_16_is_read_packed_or_not(tmp_path, encoding, content, packed):
    path = write(tmp_path, "a.csv.gz" if packed else "a.csv", gzip.compress(content) if packed else content)
    of = tennet(encoding=encoding)
    result = read(of, path)
    assert (result.values, result.reasons) == ([5, 6], ["bad_timestamp"])
    assert result.quarantine[0]["payload"] == "ß;3;7"
    assert places(of, path, [3])[3].line == 4


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_what_is_no_utf_16_takes_its_line_alone(tmp_path, monkeypatch, block):
    monkeypatch.setattr("metrify_assets.feeds.formats.archives.BLOCK_BYTES", block)
    lone = TEXT.encode("utf-16").replace("ß".encode("utf-16-le"), b"\x00\xd8") + b"\x31"
    result = read(tennet(encoding="utf-16"), write(tmp_path, "a.csv", lone))
    assert result.values == [5, 6]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (3, "bad_encoding"),
        (4, "bad_encoding"),
    ]


@pytest.mark.parametrize("content", [TEXT.encode(), codecs.BOM_UTF8 + TEXT.encode()])
def test_text_of_single_bytes_is_no_utf_16(tmp_path, content):
    (row,) = read(tennet(encoding="utf-16"), write(tmp_path, "a.csv", content)).quarantine
    assert (row["reason"], row["row_number"]) == ("bad_encoding", 0)
    assert row["detail"] == "expected utf-16, found text of single bytes: correct the encoding of the feed"
    assert read(tennet(encoding="utf-16"), write(tmp_path, "b.csv", b"")).reasons == ["empty_file"]


def test_utf_16_that_the_feed_does_not_declare_says_what_to_do(tmp_path):
    (row,) = read(tennet(), write(tmp_path, "a.csv", TEXT.encode("utf-16-le"))).quarantine
    assert row["detail"].endswith("found NUL bytes in the first line: no text, or UTF-16: then say encoding: utf-16")


def test_formats_that_state_their_encoding_have_none_of_two_bytes():
    with pytest.raises(FeedError, match="encoding utf-16 belongs to delimited and json_lines feeds: leave it out"):
        grid(format="json_document", header=None, records=["[]"], encoding="utf-16")


def test_large_files_are_filled_and_completed_without_a_look_at_each_row(tmp_path, monkeypatch):
    """The ways that go line by line are not entered."""
    days = [date(2019, 1, 1) + timedelta(days=place) for place in range(400)]
    counts = [len(DeliveryDay(day).slot_starts(15)) for day in days]
    text = "Datum;Position;MW;\n" + "".join(map(day_of_positions, days, counts))

    def refused(*_: object) -> None:
        raise AssertionError("lines are looked at one by one")

    monkeypatch.setattr("metrify_assets.feeds.formats.text_source.DelimitedSource._parse_lines", refused)
    result = read(tennet(header=["Datum", "Position", "MW", "#4"], short_rows=True), write(tmp_path, "a.csv", text))
    assert result.quarantine == []
    expected = np.concatenate([DeliveryDay(day).slot_starts(15) for day in days])
    assert np.array_equal(result.table["interval_start"].to_numpy().astype("datetime64[us]").astype(np.int64), expected)


CELLS = ["", " ", "1", "0,5", "x", '"', '"a;b"', "27.10.2024", "31.03.2024", "93", "100", "NaN", "\r", "ß", "#2", " - "]
CELLS += ["27.10.2024 02:15 - 27.10.2024 02:30", "27.10.2024 02:15 (CEST) - 27.10.2024 02:30 (CEST)", "a - b - c"]
CELLS += ["31.03.2024 02:15 - 31.03.2024 02:30", "01.01.0001 00:00 - 31.12.9999 23:45", "31.12.9999", "-1", "9" * 30]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("of", ["range", "position"])
@settings(max_examples=examples(0.6))
@given(
    lines=st.lists(st.lists(st.sampled_from(CELLS), max_size=4).map(";".join), max_size=12),
    rest=st.binary(max_size=5),
    block=st.integers(min_value=1, max_value=80),
)
def test_every_value_of_an_export_is_raw_or_quarantined(tmp_path_factory, of, encoding, lines, rest, block):
    options = {"short_rows": True, "encoding": encoding, "header": ["Datum", "#2", "MW"], "delimiter": ";"}
    declared = tennet().stamp.model_dump() | {"position": "#2"}
    if of == "range":
        declared = grid().stamp.model_dump() | {"columns": ["Datum"]}
    feed = tennet(stamp=declared, **options)
    content = "".join(f"{line}\n" for line in ("Datum;;MW", *lines)).encode(encoding) + rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", block)
        result = read(feed, write(tmp_path_factory.mktemp("x"), "a.csv", content))
    refused = [row["row_number"] for row in result.quarantine]
    numbers = {*(row["row_number"] for row in result.rows), *refused}
    assert numbers == set(range(1, result.report.rows + 1)) or refused == [0]
    if not rest:
        assert result.report.rows == sum(bool(line.strip(" \r")) for line in lines)
