"""Delimited text: what is read, and what bad input gets."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product

import pytest

from tests.unit.feeds.reading import feed, read, write

HEADER = "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status\n"
GOOD = "P1;1-0:1.29.0;01.03.2026;00:15;0,125;W\n"


def north(tmp_path, body, header=HEADER, **options):
    content = header + body if isinstance(body, str) else header.encode() + body
    return read("meters_north", write(tmp_path, "north_2026-03-01.csv", content), **options)


def test_a_row_becomes_a_typed_reading_in_utc(tmp_path):
    result = north(tmp_path, GOOD)
    assert result.quarantine == []
    assert result.rows == [
        {
            "point_id": "P1",
            "obis_code": "1-0:1.29.0",
            "kind": "interval",
            "interval_start": datetime(2026, 2, 28, 23, 15, tzinfo=UTC),
            "interval_minutes": 15,
            "value": Decimal("0.125000"),
            "unit": "kWh",
            "source_status": "measured",
            "author": None,
            "remark": None,
            "feed": "meters_north",
            "drop_id": "drop-1",
            "row_number": 1,
            "received_at": datetime(2026, 6, 1, 12, tzinfo=UTC),
            "day": date(2026, 3, 1),
        }
    ]


def test_status_letters_are_mapped_and_a_blank_value_is_a_missing_one(tmp_path):
    rows = north(
        tmp_path,
        "P1;1-0:1.29.0;01.03.2026;00:00;1;E\nP1;1-0:1.29.0;01.03.2026;00:15;2;V\nP1;1-0:1.29.0;01.03.2026;00:30; ;W\n",
    ).rows
    assert [row["source_status"] for row in rows] == ["substitute", "provisional", "missing"]
    assert rows[2]["value"] is None


def test_an_empty_file_is_rejected_whole(tmp_path):
    for content in ("", "\n\n  \n"):
        result = read("meters_north", write(tmp_path, "north_x.csv", content))
        assert result.reasons == ["empty_file"]
        assert result.quarantine[0]["row_number"] == 0
        assert result.report.delivered_values == 0


def test_a_header_without_rows_is_an_empty_file(tmp_path):
    result = north(tmp_path, "")
    assert result.reasons == ["empty_file"]
    assert result.quarantine[0]["payload"] == HEADER


def test_a_truncated_last_line_is_one_quarantine_row(tmp_path):
    result = north(tmp_path, GOOD + "P1;1-0:1.29.0;01.03.2026;00:3")
    assert len(result.rows) == 1
    (row,) = result.quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (2, "wrong_column_count", 1)
    assert row["payload"] == "P1;1-0:1.29.0;01.03.2026;00:3"
    assert "expected 6 columns, found 4" in row["detail"]


def test_a_last_line_without_a_line_end_is_read(tmp_path):
    assert len(north(tmp_path, GOOD.rstrip("\n")).rows) == 1


def test_a_row_with_too_many_columns_keeps_the_numbers_of_the_rows_after_it(tmp_path):
    result = north(tmp_path, GOOD + GOOD.rstrip("\n") + ";extra\n" + "\n" + GOOD)
    assert [row["row_number"] for row in result.rows] == [1, 3]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "wrong_column_count")]
    assert result.report.rows == 3


def test_a_wrong_delimiter_rejects_the_file_and_counts_its_values(tmp_path):
    content = (HEADER + GOOD * 7).replace(";", ",")
    result = read("meters_north", write(tmp_path, "north_x.csv", content))
    (row,) = result.quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (0, "header_mismatch", 7)
    assert "Zaehlpunkt;OBIS" in row["detail"]
    assert "Zaehlpunkt,OBIS" in row["detail"]
    assert row["payload"] == content[:2_000]


def test_a_wrong_delimiter_without_a_header_rejects_the_file(tmp_path):
    result = read("lastgang_end_stamped", write(tmp_path, "lastgang1.csv", "01.03.2026,00:15,1\n01.03.2026,00:30,2\n"))
    assert [(row["reason"], row["value_cells"]) for row in result.quarantine] == [("header_mismatch", 2)]


def test_a_header_of_another_feed_is_rejected(tmp_path):
    result = north(tmp_path, GOOD, header="Zaehlpunkt;OBIS;Datum;Uhrzeit;Messwert;Status\n")
    assert result.reasons == ["header_mismatch"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_a_wrong_encoding_of_the_file(tmp_path, encoding):
    result = read("meters_north", write(tmp_path, "north_x.csv", (HEADER + GOOD).encode(encoding)))
    assert result.reasons == ["bad_encoding"]
    assert "utf-8" in result.quarantine[0]["detail"]


@pytest.mark.parametrize("bad", [b"P\xfc;", b"P\x00;"])
def test_a_bad_byte_rejects_its_row_only(tmp_path, bad):
    result = north(tmp_path, GOOD.encode() + bad + GOOD.encode()[3:] + GOOD.encode())
    assert [row["row_number"] for row in result.rows] == [1, 3]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "bad_encoding")]


def test_latin_1_is_read_as_declared(tmp_path):
    latin = feed("meters_north").model_copy(update={"encoding": "latin-1"})
    result = read(latin, write(tmp_path, "north_x.csv", (HEADER + "Zähler 1" + GOOD[2:]).encode("latin-1")))
    assert result.rows[0]["point_id"] == "Zähler 1"


def test_a_byte_order_mark_and_carriage_returns_are_not_content(tmp_path):
    content = b"\xef\xbb\xbf" + (HEADER + GOOD + GOOD).replace("\n", "\r\n").encode()
    result = read("meters_north", write(tmp_path, "north_x.csv", content))
    assert (len(result.rows), result.quarantine) == (2, [])


def test_a_stray_carriage_return_stays_in_its_line(tmp_path):
    result = north(tmp_path, GOOD + "P1;1-0:1.29.0;01.03.2026;00:15;0,1\r25;W\n" + GOOD)
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "bad_number")]
    assert [row["row_number"] for row in result.rows] == [1, 3]


def test_quoted_fields_are_unquoted_and_an_open_quote_rejects_its_lines(tmp_path):
    result = north(tmp_path, '"P;1"' + GOOD[2:] + '"P' + GOOD[1:] + GOOD)
    assert [row["point_id"] for row in result.rows] == ["P;1", "P1"]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "wrong_column_count")]


def test_gzip_is_read_whatever_its_name(tmp_path):
    result = read("meters_north", write(tmp_path, "north_x.csv", gzip.compress((HEADER + GOOD).encode())))
    assert len(result.rows) == 1


def test_a_half_uploaded_gzip_is_rejected_whole(tmp_path):
    lines = "".join(f"P{i};1-0:1.29.0;01.03.2026;00:15;{i},5;W\n" for i in range(5_000))
    packed = gzip.compress((HEADER + lines).encode())
    result = read("meters_north", write(tmp_path, "north_x.csv.gz", packed[: len(packed) // 2]))
    assert (result.reasons, result.rows) == (["truncated_file"], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "not_a_number"),
        ("-inf", "not_a_number"),
        ("1000000000000", "value_out_of_range"),
        ("-1e12", "value_out_of_range"),
        ("1e999", "value_out_of_range"),
        ("999999999999,9999999", "value_out_of_range"),
        ("1.234", "bad_number"),
        ("1,2,3", "bad_number"),
        ("0x10", "bad_number"),
        ("1_000", "bad_number"),
        ("-", "bad_number"),
        ("kWh", "bad_number"),
    ],
)
def test_what_is_no_value_is_quarantined_with_its_row(tmp_path, text, reason):
    line = f"P1;1-0:1.29.0;01.03.2026;00:15;{text};W"
    result = north(tmp_path, GOOD + line + "\n")
    assert len(result.rows) == 1
    (row,) = result.quarantine
    assert (row["reason"], row["row_number"], row["payload"]) == (reason, 2, line)
    assert row["day"] == date(2026, 3, 1)
    assert text in row["detail"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 0,5 ", "0.5"),
        ("+1", "1"),
        ("-0,25", "-0.25"),
        (",5", "0.5"),
        ("5,", "5"),
        ("1,5e2", "150"),
        ("1E-6", "0.000001"),
        ("0,1234565", "0.123457"),
        ("-0,1234565", "-0.123457"),
        ("999999999999,999999", "999999999999.999999"),
    ],
)
def test_numbers_are_exact_to_six_places(tmp_path, text, value):
    assert north(tmp_path, f"P1;1-0:1.29.0;01.03.2026;00:15;{text};W\n").values == [Decimal(value)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("P1;1-0:1.29.0;01.01.1970;00:15;1;W", "day_out_of_range"),
        ("P1;1-0:1.29.0;01.01.2199;00:15;1;W", "day_out_of_range"),
        ("P1;1-0:1.29.0;01.01.0001;00:00;1;W", "day_out_of_range"),
        ("P1;1-0:1.29.0;31.12.9999;23:45;1;W", "day_out_of_range"),
        ("P1;1-0:1.29.0;30.02.2026;00:15;1;W", "bad_timestamp"),
        ("P1;1-0:1.29.0;2026-03-01;00:15;1;W", "bad_timestamp"),
        ("P1;1-0:1.29.0;;;1;W", "bad_timestamp"),
        ("P1;1-0:1.29.0;29.03.2026;02:30;1;W", "nonexistent_local_time"),
        (" ;1-0:1.29.0;01.03.2026;00:15;1;W", "missing_point"),
        ("P1;;01.03.2026;00:15;1;W", "missing_obis"),
        ("P1;1-0:1.29.0;01.03.2026;00:15;1;X", "unknown_status"),
        ("P1;1-0:1.29.0;01.06.2026;14:00;1;W", "future_stamp"),
    ],
)
def test_a_row_that_cannot_be_placed_is_quarantined_whole(tmp_path, line, reason):
    result = north(tmp_path, GOOD + line + "\n" + GOOD)
    assert [row["row_number"] for row in result.rows] == [1, 3]
    assert [(row["reason"], row["payload"], row["value_cells"]) for row in result.quarantine] == [(reason, line, 1)]


def test_an_interval_may_end_three_minutes_after_it_was_received(tmp_path):
    # 14:00 in Berlin on 1 June is 12:00 UTC; the interval ends at 12:15.
    line = "P1;1-0:1.29.0;01.06.2026;14:00;1;W\n"
    assert len(north(tmp_path, line, received=datetime(2026, 6, 1, 12, 12, tzinfo=UTC)).rows) == 1
    assert north(tmp_path, line, received=datetime(2026, 6, 1, 12, 11, 59, tzinfo=UTC)).reasons == ["future_stamp"]


def test_days_outside_the_accepted_range_are_quarantined_at_both_ends(tmp_path):
    body = "".join(f"P1;1-0:1.29.0;{day:02d}.03.2026;00:00;{day};W\n" for day in range(1, 6))
    result = north(tmp_path, body, first_day=date(2026, 3, 2), last_day=date(2026, 3, 4))
    assert result.values == [2, 3, 4]
    assert result.reasons == ["day_out_of_range"] * 2


def test_a_blank_value_in_the_east_is_null_and_utc_is_read_as_utc(tmp_path):
    body = "point_id,obis,timestamp,mean_kw\nE1,1-0:1.29.0,2026-03-01T00:15:00Z,\n"
    (row,) = read("meters_east", write(tmp_path, "east_2026-03-01.csv", body)).rows
    assert (row["value"], row["unit"]) == (None, "kW")
    assert row["interval_start"] == datetime(2026, 3, 1, 0, 15, tzinfo=UTC)
    assert row["day"] == date(2026, 3, 1)


def test_a_point_from_the_file_name_needs_that_name(tmp_path):
    path = write(tmp_path, "upload", "Datum;Periode ab;kW\n01.03.2026;00:00;1,5\n01.03.2026;00:15;2\n")
    assert {row["point_id"] for row in read("lastgang", path, name="in/loadprofile_7.csv").rows} == {"loadprofile_7"}
    (row,) = read("lastgang", path, name="other.csv").quarantine
    assert (row["reason"], row["row_number"], row["value_cells"]) == ("unknown_file_name", 0, 2)


def test_thousands_signs_must_stand_where_thousands_are(tmp_path):
    header = "Datum von;Datum bis;Gesamt (Netzlast) [MWh];Residuallast [MWh];Pumpspeicher [MWh]"
    body = (
        "01.03.2026 00:00;01.03.2026 01:00;8.814,25;-1.402,25;-\n01.03.2026 01:00;01.03.2026 02:00;88.14,25;1,5;0,25\n"
    )
    result = read("smard_load", write(tmp_path, "50Hertz_smard.csv", f"\ufeff{header}\n{body}"))
    assert result.values == [Decimal("8814.25"), Decimal("-1402.25"), None, Decimal("1.5"), Decimal("0.25")]
    assert [row["metric"] for row in result.rows[:3]] == ["load_mw", "residual_load_mw", "pumped_storage_mw"]
    (row,) = result.quarantine
    assert (row["reason"], row["value_cells"], row["row_number"]) == ("bad_number", 1, 2)


def test_a_wide_row_with_a_bad_stamp_counts_all_its_values(tmp_path):
    header = ",".join(feed("weather_stations_hourly").header)
    result = read("weather_stations_hourly", write(tmp_path, "w.csv", f"{header}\nS1,yesterday,1,2,3,4,5\nS1,x,1\n"))
    assert [(row["reason"], row["value_cells"]) for row in result.quarantine] == [
        ("bad_timestamp", 5),
        ("wrong_column_count", 5),
    ]


def test_grid_status_checks_area_and_metric_and_knows_the_unit(tmp_path):
    body = (
        "timestamp_utc,control_area,metric,value\n2026-03-01T00:00:00Z,Amprion,load_mw,20000\n"
        "2026-03-01T00:00:00Z,Amprion,frequency_hz,50.01\n2026-03-01T00:00:00Z,Atlantis,load_mw,1\n"
        "2026-03-01T00:00:00Z,Amprion,mood,1\n"
    )
    result = read("grid_status", write(tmp_path, "grid.csv", body))
    assert [(row["metric"], row["unit"], row["source_id"]) for row in result.rows] == [
        ("load_mw", "MW", "grid_control"),
        ("frequency_hz", "Hz", "grid_control"),
    ]
    assert result.reasons == ["unknown_control_area", "unknown_metric"]


def test_a_file_of_many_blocks_keeps_row_numbers_and_rejects(tmp_path, monkeypatch):
    monkeypatch.setattr("metrify_assets.feeds.formats.files.BLOCK_BYTES", 1_000)
    lines = [f"P{i};1-0:1.29.0;01.03.2026;00:15;{i};W\n" for i in range(1, 301)]
    lines[99] = "broken\n"
    lines[200] = "P201;1-0:1.29.0;01.03.2026;00:15;many;W\n"
    result = north(tmp_path, "".join(lines))
    assert [row["row_number"] for row in result.rows] == [i for i in range(1, 301) if i not in (100, 201)]
    assert all(row["value"] == row["row_number"] for row in result.rows)
    assert [(row["row_number"], row["payload"]) for row in result.quarantine] == [
        (100, "broken"),
        (201, lines[200].rstrip()),
    ]


def test_quotes_are_read_the_same_whatever_the_neighbours_are(tmp_path):
    points = ["".join(characters) for n in range(1, 6) for characters in product('"a', repeat=n)]
    for point in points:
        line = f"{point};1-0:1.29.0;01.03.2026;00:15;1;W\n"
        alone, beside = north(tmp_path, line), north(tmp_path, line + "broken\n")
        assert alone.table.select(["point_id"]).to_pylist() == beside.table.select(["point_id"]).to_pylist()
        assert alone.reasons == beside.reasons[:-1]
