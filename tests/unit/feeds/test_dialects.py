"""Delimited files of all dialects: layouts, units, lengths per row, packed files; values worked out by hand."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import Feed, parse_feed
from tests.unit.feeds.reading import feed, read, write

GERMAN = {
    "name": "german",
    "description": "A file of a dialect.",
    "kind": "readings",
    "format": "delimited",
    "delimiter": ";",
    "decimal": ",",
    "header": ["Zählpunkt", "Datum", "Uhrzeit", "Verbrauch"],
    "stamp": {"columns": ["Datum", "Uhrzeit"], "format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
    "interval_minutes": 15,
    "point": {"column": "Zählpunkt"},
    "obis": "1-0:1.29.0",
    "unit": "kWh",
    "values": [{"column": "Verbrauch"}],
}


def dialect(**changes) -> Feed:
    return parse_feed({**GERMAN, **changes})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_any_encoding_and_delimiter(tmp_path, encoding, delimiter):
    text = "Zählpunkt;Datum;Uhrzeit;Verbrauch\nMühle;01.03.2026;00:15;1,25\n".replace(";", delimiter)
    result = read(dialect(encoding=encoding, delimiter=delimiter), write(tmp_path, "file.csv", text.encode(encoding)))
    (row,) = result.rows
    assert (row["point_id"], row["value"], row["interval_start"]) == (
        "Mühle",
        Decimal("1.250000"),
        utc("2026-02-28T23:15"),
    )


def test_lines_before_the_header_and_totals_are_no_data(tmp_path):
    text = (
        "Lastgang der Mühle\nerstellt am 02.03.2026\nZählpunkt;Datum;Uhrzeit;Verbrauch\n"
        "A;01.03.2026;00:00;1\nA;01.03.2026;00:15;2\nSumme;;;3\nGesamt A;;;3\n"
    )
    result = read(dialect(skip_lines=2, footer=["Summe", "Gesamt"]), write(tmp_path, "file.csv", text))
    assert result.values == [1, 2]
    assert result.column("row_number") == [1, 2]
    assert (result.report.delivered_values, result.quarantine) == (2, [])


def test_a_total_that_is_not_declared_is_quarantined(tmp_path):
    text = "Zählpunkt;Datum;Uhrzeit;Verbrauch\nA;01.03.2026;00:00;1\nSumme;;;1\n"
    result = read(dialect(), write(tmp_path, "file.csv", text))
    assert result.values == [1]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "bad_timestamp")]


def test_a_preamble_longer_than_the_file_is_an_empty_file(tmp_path):
    result = read(dialect(skip_lines=9), write(tmp_path, "file.csv", "a\nb\n"))
    assert result.reasons == ["header_mismatch"]


QUOTED = 'Zählpunkt;Datum;Uhrzeit;Verbrauch\n"A\r\nHinterhaus";01.03.2026;00:00;"1,5"\nB;01.03.2026;00:00;2\n'


def test_line_ends_inside_quotes_where_the_feed_says_so(tmp_path):
    result = read(dialect(quoted_line_ends=True), write(tmp_path, "file.csv", QUOTED))
    assert result.column("point_id") == ["A  Hinterhaus", "B"]
    assert result.values == [Decimal("1.5"), 2]
    assert result.column("row_number") == [1, 2]
    assert result.report.rows == 2


def test_line_ends_inside_quotes_are_rejected_elsewhere(tmp_path):
    text = 'Zählpunkt;Datum;Uhrzeit;Verbrauch\nA;01.03.2026;"00:00\n";1\nB;01.03.2026;00:00;2\n'
    result = read(dialect(), write(tmp_path, "file.csv", text))
    assert result.values == [2]
    assert result.reasons == ["wrong_column_count"] * 2


def test_a_quote_that_stays_open_spoils_its_line_alone(tmp_path):
    text = 'Zählpunkt;Datum;Uhrzeit;Verbrauch\n"A;01.03.2026;00:00;1\nB;01.03.2026;00:00;2\n'
    result = read(dialect(quoted_line_ends=True), write(tmp_path, "file.csv", text))
    assert result.values == [2]
    assert result.reasons == ["wrong_column_count"]


def test_a_quoted_cell_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("metrify_assets.feeds.formats.files.BLOCK_BYTES", 40)
    body = "".join(f'"P\n{i}";01.03.2026;00:00;{i}\n' for i in range(50))
    path = write(tmp_path, "file.csv", "Zählpunkt;Datum;Uhrzeit;Verbrauch\n" + body)
    result = read(dialect(quoted_line_ends=True), path)
    assert result.values == list(range(50))
    assert result.column("point_id") == [f"P {i}" for i in range(50)]


LENGTHS = {
    "header": ["Zählpunkt", "Ende", "Dauer", "Art", "Wert", "Einheit"],
    "stamp": {"columns": ["Ende"], "format": "iso", "marks": "end"},
    "interval_minutes": {"column": "Dauer"},
    "reading": {"column": "Art", "mapping": {"LG": "interval", "ZS": "register"}},
    "unit": {"column": "Einheit"},
    "values": [{"column": "Wert"}],
}


def test_length_unit_and_kind_of_every_row(tmp_path):
    lines = [
        "A;2026-03-01T10:15:00Z;15;LG;4;kW",
        "A;2026-03-01T11:00:00Z;60;LG;4;kW",
        "A;2026-03-01T11:00:00Z;1440;ZS;1234,5;kWh",
        "A;2026-03-01T11:30:00Z;30;LG;250;Wh",
        "A;2026-03-01T12:00:00Z;30;LG;0,001;MWh",
        "A;2026-03-01T12:00:00Z;30;LG;7;kvarh",
    ]
    text = ";".join(LENGTHS["header"]) + "\n" + "\n".join(lines)
    result = read(dialect(**LENGTHS), write(tmp_path, "file.csv", text))
    assert result.quarantine == []
    assert result.column("interval_start") == [
        utc("2026-03-01T10:00"),
        utc("2026-03-01T10:00"),
        utc("2026-03-01T11:00"),
        utc("2026-03-01T11:00"),
        utc("2026-03-01T11:30"),
        utc("2026-03-01T11:30"),
    ]
    assert result.column("interval_minutes") == [15, 60, 1440, 30, 30, 30]
    assert result.column("kind") == ["interval", "interval", "register", "interval", "interval", "interval"]
    assert result.column("unit") == ["kW", "kW", "kWh", "Wh", "MWh", "kvarh"]


def test_lengths_and_kinds_that_cannot_be(tmp_path):
    lines = [
        "A;2026-03-01T10:15:00Z;;LG;4;kW",
        "A;2026-03-01T10:15:00Z;15.5;LG;4;kW",
        "A;2026-03-01T10:15:00Z;0;LG;4;kW",
        "A;2026-03-01T10:15:00Z;44640;LG;4;kW",
        "A;2026-03-01T10:15:00Z;15;XX;4;kW",
        "A;2026-03-01T10:15:00Z;15;LG;4;kVA",
        "A;2026-03-01T10:15:00Z;15;LG;4;kW",
    ]
    text = ";".join(LENGTHS["header"]) + "\n" + "\n".join(lines)
    result = read(dialect(**LENGTHS), write(tmp_path, "file.csv", text))
    assert result.column("row_number") == [7]
    assert result.reasons == [*["bad_interval_length"] * 4, "unknown_reading", "unknown_unit"]
    assert result.quarantine[3]["detail"] == "Dauer: expected whole minutes from 1 to 1500, found '44640'"


def test_lengths_by_name(tmp_path):
    named = {**LENGTHS, "interval_minutes": {"column": "Dauer", "mapping": {"PT15M": 15, "PT1H": 60}}}
    text = ";".join(LENGTHS["header"]) + "\nA;2026-03-01T10:00:00Z;PT1H;LG;4;kW\nA;2026-03-01T10:00:00Z;P1D;LG;4;kW"
    result = read(dialect(**named), write(tmp_path, "file.csv", text))
    assert result.column("interval_minutes") == [60]
    assert result.quarantine[0]["detail"] == "Dauer: expected one of PT15M, PT1H, found 'P1D'"


def test_24_00_ends_the_day(tmp_path):
    stamp = {**GERMAN["stamp"], "marks": "end"}
    text = "Zählpunkt;Datum;Uhrzeit;Verbrauch\nA;01.03.2026;24:00;1\nA;01.03.2026;24:15;1\n"
    result = read(dialect(stamp=stamp), write(tmp_path, "file.csv", text))
    assert result.column("interval_start") == [utc("2026-03-01T22:45")]
    assert result.reasons == ["bad_timestamp"]


WIDE = {
    "header": ["Zählpunkt", "Datum", "...", "Einheit"],
    "slots": {"first": "06:00", "last": "24:00", "step_minutes": 360},
    "stamp": {"columns": ["Datum", "slot"], "format": "%d.%m.%Y %H:%M", "timezone": "UTC", "marks": "end"},
    "interval_minutes": 360,
    "unit": {"column": "Einheit"},
    "values": [{"column": "value"}],
}
WIDE_HEADER = "Zählpunkt;Datum;06:00;12:00;18:00;24:00;Einheit\n"


def test_one_column_per_slot(tmp_path):
    text = WIDE_HEADER + "A;01.03.2026;1;2;;4;kWh\nB;01.03.2026;5;x;7;y;kWh\nC;01.03.2026;1;2;3;kWh\n"
    result = read(dialect(**WIDE), write(tmp_path, "file.csv", text))
    assert [(row["point_id"], row["interval_start"].hour, row["value"], row["row_number"]) for row in result.rows] == [
        ("A", 0, 1, 1),
        ("A", 6, 2, 1),
        ("A", 12, None, 1),
        ("A", 18, 4, 1),
        ("B", 0, 5, 2),
        ("B", 12, 7, 2),
    ]
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (2, "bad_number", 2),
        (3, "wrong_column_count", 4),
    ]
    assert result.quarantine[0]["payload"] == "B;01.03.2026;5;x;7;y;kWh"
    assert result.report.delivered_values == 12


def test_slots_in_pieces_give_the_same_rows(tmp_path, monkeypatch):
    text = WIDE_HEADER + "".join(f"P{i};01.03.2026;{i};{i + 1};{i + 2};{i + 3};kWh\n" for i in range(7))
    path = write(tmp_path, "file.csv", text)
    whole = read(dialect(**WIDE), path)
    monkeypatch.setattr("metrify_assets.feeds.formats.slots.MAX_VALUES_PER_BATCH", 9)
    assert read(dialect(**WIDE), path).table.equals(whole.table)


def test_slots_of_the_days_that_the_clocks_change(tmp_path):
    quarters = {
        **WIDE,
        "slots": {"first": "00:00", "last": "23:45", "step_minutes": 15},
        "stamp": {**GERMAN["stamp"], "columns": ["Datum", "slot"]},
        "interval_minutes": 15,
    }
    labels = [f"{i // 4:02}:{i % 4 * 15:02}" for i in range(96)]
    header = ";".join(["Zählpunkt", "Datum", *labels, "Einheit"])
    spring = ";".join(["A", "29.03.2026", *("" if 8 <= i < 12 else "1" for i in range(96)), "kWh"])
    autumn = ";".join(["A", "26.10.2025", *["1"] * 96, "kWh"])
    result = read(dialect(**quarters), write(tmp_path, "file.csv", f"{header}\n{spring}\n{autumn}\n"))
    # The skipped hour does not exist, the repeated one is there once: both are told, and nothing is guessed.
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (1, "nonexistent_local_time", 4),
        (2, "ambiguous_dst_hour", 4),
    ]
    assert len(result.rows) == 2 * 92
    assert len({row["interval_start"] for row in result.rows}) == 2 * 92


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slots": None}, "slots and one ... among the column names"),
        ({"header": ["Zählpunkt", "Datum", "Einheit"]}, "slots and one ... among the column names"),
        ({"slots": {"first": "06:00", "last": "24:30", "step_minutes": 15}}, "24:00 at most"),
        ({"values": [{"column": "Einheit"}]}, "has one value"),
    ],
)
def test_slots_that_cannot_be(changes, message):
    with pytest.raises(FeedError, match=message):
        dialect(**{**WIDE, **changes})


def zipped(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


CSV = "Zählpunkt;Datum;Uhrzeit;Verbrauch\nA;01.03.2026;00:00;1\nA;01.03.2026;00:15;x\n".encode()
OTHER = "Zählpunkt;Datum;Uhrzeit;Verbrauch\nB;01.03.2026;00:00;3\n".encode()


def test_a_zip_with_one_file_reads_like_the_file(tmp_path):
    plain = read(dialect(), write(tmp_path, "plain.csv", CSV))
    assert read(dialect(), write(tmp_path, "packed.csv.zip", zipped(("a/plain.csv", CSV)))).table.equals(plain.table)
    assert read(dialect(), write(tmp_path, "packed.csv.gz", gzip.compress(CSV))).table.equals(plain.table)


def test_the_files_of_a_zip_are_read_one_after_another(tmp_path):
    content = zipped(("1.csv", CSV), ("2.csv", b"something else\n"), ("3.csv", OTHER))
    result = read(dialect(), write(tmp_path, "packed.zip", content))
    assert [(row["row_number"], row["point_id"], row["value"]) for row in result.rows] == [(1, "A", 1), (5, "B", 3)]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (2, "bad_number"),
        (3, "header_mismatch"),
    ]
    assert result.quarantine[1]["detail"].startswith("2.csv: expected 'Zählpunkt;")
    assert result.quarantine[0]["payload"] == "A;01.03.2026;00:15;x"


def test_members_choose_the_files_of_a_zip(tmp_path):
    path = write(tmp_path, "packed.zip", zipped(("readme.txt", b"hello"), ("data.csv", OTHER)))
    assert read(dialect(members="*.csv"), path).quarantine == []
    assert read(dialect(members="*.dat"), path).quarantine[0]["detail"] == (
        "expected a zip file that holds *.dat, found readme.txt, data.csv"
    )


def test_damaged_zips_are_quarantined(tmp_path):
    whole = zipped(("data.csv", OTHER * 50))
    broken = read(dialect(), write(tmp_path, "broken.zip", whole[: len(whole) // 2]))
    assert broken.reasons == ["truncated_file"]
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    assert read(dialect(), write(tmp_path, "flipped.zip", bytes(flipped))).reasons == ["truncated_file"]
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    assert "password" in read(dialect(), write(tmp_path, "locked.zip", bytes(locked))).quarantine[0]["detail"]


def test_packed_files_belong_to_the_feed_of_their_names():
    north = dialect(files="north_*.csv")
    assert [north.accepts(f"north_1.csv{end}") for end in ("", ".gz", ".zip", ".bz2")] == [True, True, True, False]
    assert dialect(files="NEM12*.zip").accepts("NEM12#1.zip")


def test_a_field_that_a_feed_does_not_use_is_not_in_its_digest():
    north = feed("meters_north")
    assert north.digest == north.model_copy(update={"skip_lines": 0, "slots": None}).digest
    assert north.digest != north.model_copy(update={"skip_lines": 1}).digest
