"""Parquet: what is read, and what bad input gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.feeds.reading import feed, read, write

START = datetime(2026, 3, 1, tzinfo=UTC)


def table(kwh, *, start=None, melo=None):
    rows = len(kwh)
    return pa.table(
        {
            "melo": pa.array(melo or ["M1"] * rows, pa.string()),
            "obis": ["1-0:1.29.0"] * rows,
            "start_utc": start
            if start is not None
            else pa.array([START + timedelta(minutes=15 * i) for i in range(rows)], pa.timestamp("us", "UTC")),
            "kwh": kwh,
        }
    )


def west(tmp_path, content, **options):
    path = tmp_path / "west_2026-03-01.parquet"
    pq.write_table(content, path, **options)
    return read("meters_west", path)


def test_doubles_become_exact_decimals_and_null_stays_null(tmp_path):
    result = west(tmp_path, table(pa.array([0.1, 0.1234565001, -0.25, None])))
    assert result.values == [Decimal("0.1"), Decimal("0.123457"), Decimal("-0.25"), None]
    assert result.rows[0]["interval_start"] == START


@pytest.mark.parametrize(
    "kwh",
    [
        pa.array([5], pa.int32()),
        pa.array([Decimal("5.000")], pa.decimal128(9, 3)),
        pa.array(["5"], pa.string()),
        pa.array(["5"], pa.large_string()),
        pa.array([5.0], pa.float32()),
    ],
)
def test_other_number_types_are_read(tmp_path, kwh):
    assert west(tmp_path, table(kwh)).values == [Decimal(5)]


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (pa.decimal128(9, 3), ["0.125", None, "-5.000"], ["0.125", None, "-5"]),
        (pa.decimal128(38, 6), ["999999999999.999999", "1"], ["999999999999.999999", "1"]),
        (pa.decimal128(18, 9), ["0.000000500", "0.000000499", "-1.5"], ["0.000001", "0", "-1.5"]),
        (pa.decimal64(18, 6), ["0.25"], ["0.25"]),
    ],
)
def test_decimals_are_exact_and_rounded_to_six_places(tmp_path, kind, texts, expected):
    kwh = pa.array([None if text is None else Decimal(text) for text in texts], kind)
    assert west(tmp_path, table(kwh)).values == [None if text is None else Decimal(text) for text in expected]


def test_decimals_that_are_too_large_are_refused_and_the_others_read(tmp_path):
    kwh = pa.array([Decimal("1000000000000"), Decimal("1.5"), None], pa.decimal128(20, 3))
    result = west(tmp_path, table(kwh))
    assert result.values == [Decimal("1.5"), None]
    assert result.reasons == ["value_out_of_range"]


def test_bad_cells_are_quarantined_with_their_row(tmp_path):
    result = west(tmp_path, table(pa.array([1.0, float("nan"), float("inf"), 1e12]), melo=["A", "B", "C", None]))
    assert result.values == [1]
    assert result.reasons == ["not_a_number", "not_a_number", "missing_point"]
    assert '"melo": "B"' in result.quarantine[0]["payload"]


def test_stamps_without_a_zone_are_in_the_feeds_zone(tmp_path):
    start = pa.array([datetime(2026, 3, 1, 0, 30)], pa.timestamp("ns"))
    assert west(tmp_path, table(pa.array([1.0]), start=start)).rows[0]["interval_start"].minute == 30


def test_a_null_stamp_and_1970_are_refused(tmp_path):
    start = pa.array([None, datetime(1970, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    assert west(tmp_path, table(pa.array([1.0, 2.0]), start=start)).reasons == ["bad_timestamp", "day_out_of_range"]


def test_a_file_that_is_no_parquet_is_rejected_whole(tmp_path):
    result = read("meters_west", write(tmp_path, "west_x.parquet", "melo,obis\nM1,x\n"))
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(0, "not_parquet")]


def test_an_empty_file_is_rejected_whole(tmp_path):
    assert read("meters_west", write(tmp_path, "west_x.parquet", "")).reasons == ["empty_file"]
    assert west(tmp_path, table(pa.array([], pa.float64()))).reasons == ["empty_file"]


def test_a_half_uploaded_file_is_rejected_whole(tmp_path):
    path = tmp_path / "whole.parquet"
    pq.write_table(table(pa.array([1.0] * 1_000)), path)
    content = path.read_bytes()
    for length in (4, 10, len(content) // 2, len(content) - 1):
        result = read("meters_west", write(tmp_path, "west_x.parquet", content[:length]))
        assert (result.reasons, result.rows) == (["truncated_file"], [])


def test_damage_inside_a_file_counts_the_rows_that_are_lost(tmp_path):
    path = tmp_path / "whole.parquet"
    pq.write_table(table(pa.array([i / 7 for i in range(1_000)])), path, row_group_size=100, compression="snappy")
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    result = read("meters_west", write(tmp_path, "west_x.parquet", bytes(content)))
    assert result.reasons == ["truncated_file"]
    assert result.report.delivered_values == 1_000


def test_a_missing_column_is_a_header_mismatch(tmp_path):
    result = west(tmp_path, table(pa.array([1.0, 2.0])).rename_columns(["melo", "obis", "start_utc", "kWh"]))
    assert [(row["reason"], row["value_cells"]) for row in result.quarantine] == [("header_mismatch", 2)]
    assert "kwh" in result.quarantine[0]["detail"]


def test_nan_is_null_where_the_feed_declares_it(tmp_path):
    path = tmp_path / "west_x.parquet"
    pq.write_table(table(pa.array([float("nan")])), path)
    declared = feed("meters_west").model_copy(update={"sentinels": ("NaN",)})
    assert read(declared, path).values == [None]


@pytest.mark.parametrize(
    ("kwh", "shown"),
    [
        (pa.array([[1.0]]), "list<element: double>"),
        (pa.array([{"a": 1.0}]), "struct<a: double>"),
        (pa.array([timedelta(hours=1)]), "duration[us]"),
    ],
)
def test_a_column_that_holds_no_cells_is_named(tmp_path, kwh, shown):
    result = west(tmp_path, table(kwh))
    assert (result.reasons, result.report.delivered_values) == (["header_mismatch"], 1)
    assert result.quarantine[0]["detail"] == (f"expected texts, numbers or stamps in the column kwh, found {shown}")


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    rows = table(pa.array([1.0]))
    result = west(tmp_path, rows.append_column("melo", pa.array(["M2"])))
    assert result.quarantine[0]["detail"] == "expected the column melo once, found it 2 times"


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()])
def test_texts_of_every_layout_are_read(tmp_path, kind):
    content = table(pa.array([1.0, None]), melo=["A", "B"])
    content = content.set_column(0, "melo", pa.array([b"A", b"B"]).cast(pa.string()).cast(kind))
    result = west(tmp_path, content)
    assert (result.quarantine, result.column("point_id")) == ([], ["A", "B"])


@pytest.mark.parametrize("encoded", [False, True])
def test_bytes_that_are_no_text_reject_their_row_only(tmp_path, encoded):
    content = table(pa.array([1.0, 2.0, 3.0]))
    melo = pa.array([b"A", b"\xff", b"C"])
    content = content.set_column(0, "melo", melo.dictionary_encode() if encoded else melo)
    result = west(tmp_path, content)
    assert result.column("point_id") == ["A", "C"]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "bad_encoding")]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_stamps_beyond_any_calendar_are_refused(tmp_path, unit, zone):
    start = pa.array([-(2**63) + 1, 2**63 - 1]).view(pa.timestamp(unit, zone))
    result = west(tmp_path, table(pa.array([1.0, 2.0]), start=start))
    assert result.reasons == ["day_out_of_range"] * 2 or set(result.reasons) == {"day_out_of_range", "future_stamp"}


@settings(max_examples=examples(1.5))
@example([(692, 1)])  # The footer tells of rows that no group holds.
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_no_damage_makes_the_reader_fail(changes):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "west_2026-03-01.parquet"
        pq.write_table(table(pa.array([float(i) for i in range(90)]), melo=[f"M{i % 7}" for i in range(90)]), path)
        content = bytearray(path.read_bytes())
        for place, byte in changes:
            content[place % len(content)] = byte
        read("meters_west", write(Path(folder), path.name, bytes(content)))
