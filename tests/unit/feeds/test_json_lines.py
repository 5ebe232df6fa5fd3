"""JSON lines: what is read, and what bad input gets."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.unit.feeds.reading import feed, read, write

GOOD = '{"point": "S1", "obis": "1-0:1.29.0", "end": "2026-03-01T00:15:00+01:00", "wh": 123.4, "quality": "A"}\n'


def south(tmp_path, content):
    return read("meters_south", write(tmp_path, "south_2026-03-01.jsonl", content))


def test_an_end_stamped_line_becomes_the_interval_before(tmp_path):
    (row,) = south(tmp_path, GOOD).rows
    assert row["interval_start"] == datetime(2026, 2, 28, 23, 0, tzinfo=UTC)
    assert (row["value"], row["unit"], row["source_status"]) == (Decimal("123.4"), "Wh", "measured")


def test_null_is_a_missing_value_and_quality_is_mapped(tmp_path):
    rows = south(tmp_path, GOOD.replace("123.4", "null") + GOOD.replace('"A"', '"S"')).rows
    assert [(row["value"], row["source_status"]) for row in rows] == [
        (None, "missing"),
        (Decimal("123.4"), "substitute"),
    ]


def test_an_empty_file_is_rejected_whole(tmp_path):
    assert south(tmp_path, "").reasons == ["empty_file"]


def test_bad_lines_are_rejected_one_by_one(tmp_path):
    bad = [
        ('{"point": "S1", "obis"', "bad_json"),
        ("[1, 2]", "bad_json"),
        ("5", "bad_json"),
        (GOOD.strip().replace('"wh"', '"Wh"'), "missing_field"),
        (GOOD.strip().replace("123.4", "NaN"), "not_a_number"),
        (GOOD.strip().replace("123.4", "true"), "bad_number"),
        (GOOD.strip().replace("123.4", '{"v": 1}'), "bad_number"),
        (GOOD.strip().replace("123.4", "1e12"), "value_out_of_range"),
        (GOOD.strip().replace('"S1"', "null"), "missing_point"),
        (GOOD.strip().replace("2026-03-01T", "1970-01-01T"), "day_out_of_range"),
    ]
    result = south(tmp_path, GOOD + "".join(f"{line}\n" for line, _ in bad) + "\n" + GOOD)
    assert [row["row_number"] for row in result.rows] == [1, len(bad) + 2]
    assert [(row["payload"], row["reason"]) for row in result.quarantine] == bad
    assert [row["row_number"] for row in result.quarantine] == list(range(2, len(bad) + 2))


def test_a_bad_byte_rejects_its_line_only(tmp_path):
    result = south(tmp_path, GOOD.encode() + GOOD.replace("S1", "Sü").encode("latin-1") + GOOD.encode())
    assert [row["row_number"] for row in result.rows] == [1, 3]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "bad_encoding")]


def test_fields_inside_objects_are_named_with_a_dot(tmp_path):
    south_feed = feed("meters_south")
    nested = south_feed.model_copy(
        update={"values": (south_feed.values[0].model_copy(update={"column": "energy.import"}),)}
    )
    line = GOOD.replace('"wh": 123.4', '"energy": {"import": "7.5"}')
    assert read(nested, write(tmp_path, "south_x.jsonl", line)).values == [Decimal("7.5")]
