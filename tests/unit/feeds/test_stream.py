"""Streams: what their declaration may say, and how landed records are read."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.errors import FeedError
from metrify_assets.feeds.catalogue import load_feed
from tests.examples import examples
from tests.streams import AVRO, FIRST, json_read, kwh, landed_file, stream_feed
from tests.unit.feeds.reading import read

GOOD = json_read(1)


@pytest.fixture
def avro(tmp_path):
    """A feed of Avro values whose schema lies beside its definition."""
    (tmp_path / "read.avsc").write_text(json.dumps(AVRO))
    return load_feed(stream_feed(tmp_path, value="avro", avro_schema="read.avsc"))


def encoded(point: str = "A", value: str | None = "0.001", schema=AVRO, **more) -> bytes:
    out = io.BytesIO()
    record = {"point": point, "start": FIRST, "kwh": value if value is None else Decimal(value), **more}
    schemaless_writer(out, parse_schema(schema), record)
    return out.getvalue()


def of_json(tmp_path, values, **stream):
    feed = load_feed(stream_feed(tmp_path, **stream))
    records = [(10 * number, b"K", value) for number, value in enumerate(values)]
    return read(feed, landed_file(tmp_path / "t-0-0-1.parquet", records))


def test_the_row_number_of_a_record_is_its_offset(tmp_path):
    rows = of_json(tmp_path, [json_read(number) for number in range(3)]).rows
    assert [row["row_number"] for row in rows] == [0, 10, 20]
    assert [row["value"] for row in rows] == [kwh(0), kwh(1), kwh(2)]


def test_poison_goes_to_quarantine_with_its_offset_and_as_it_came(tmp_path):
    poison = [
        (None, "no_value", ""),
        (b"", "bad_json", ""),
        (b"\x00\x00", "bad_json", "\x00\x00"),
        (b"{not json", "bad_json", "{not json"),
        (b"[1]", "bad_json", "[1]"),
        (b"\xff\xfe", "bad_encoding", "\ufffd\ufffd"),
        (GOOD.replace(b'"kwh"', b'"kW"'), "missing_field", GOOD.replace(b'"kwh"', b'"kW"').decode()),
        (GOOD.replace(b"0.001", b'"much"'), "bad_number", GOOD.replace(b"0.001", b'"much"').decode()),
        (GOOD.replace(b"0.001", b"[1]"), "bad_number", GOOD.replace(b"0.001", b"[1]").decode()),
        (GOOD.replace(b"2026", b"2O26"), "bad_timestamp", GOOD.replace(b"2026", b"2O26").decode()),
    ]
    result = of_json(tmp_path, [GOOD, *(value for value, _, _ in poison), GOOD])
    assert [row["row_number"] for row in result.rows] == [0, 10 * (len(poison) + 1)]
    assert [(row["row_number"], row["reason"], row["payload"]) for row in result.quarantine] == [
        (10 * number, reason, payload) for number, (_, reason, payload) in enumerate(poison, start=1)
    ]
    assert result.report.delivered_values == len(poison) + 2


def test_an_object_may_be_written_over_several_lines(tmp_path):
    pretty = json.dumps(json.loads(GOOD), indent=2).encode()
    assert of_json(tmp_path, [pretty]).values == [kwh(1)]


def test_a_range_without_records_is_an_empty_drop(tmp_path):
    result = of_json(tmp_path, [])
    assert (result.rows, result.quarantine, result.report.delivered_values) == ([], [], 0)


def test_a_damaged_range_is_rejected_whole(tmp_path):
    path = tmp_path / "t-0-0-1.parquet"
    path.write_bytes(b"PAR1 not really")
    assert read(load_feed(stream_feed(tmp_path)), path).reasons == ["truncated_file"]


def test_the_key_can_be_a_field(tmp_path):
    feed = load_feed(stream_feed(tmp_path, key="point"))
    value = json.dumps({"start": FIRST.isoformat(), "kwh": 1}).encode()
    records = [(0, b"P1", value), (1, None, value), (2, b"\xff", value), (3, b"P2", b"poison"), (4, b"P2", value)]
    result = read(feed, landed_file(tmp_path / "a.parquet", records))
    assert [(row["row_number"], row["point_id"]) for row in result.rows] == [(0, "P1"), (4, "P2")]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (1, "missing_point"),
        (2, "bad_encoding"),
        (3, "bad_json"),
    ]


def test_avro_decimals_and_stamps_are_exact(tmp_path, avro):
    records = [(7, None, encoded("A", "123456789.123456")), (8, None, encoded("B", None))]
    first, second = read(avro, landed_file(tmp_path / "a.parquet", records)).rows
    assert (first["point_id"], first["value"]) == ("A", Decimal("123456789.123456"))
    assert first["interval_start"] == datetime(2026, 3, 9, tzinfo=UTC)
    assert (second["point_id"], second["value"], second["source_status"]) == ("B", None, "missing")


def test_bytes_that_another_schema_wrote_are_refused(tmp_path, avro):
    wider = {**AVRO, "fields": [*AVRO["fields"], {"name": "quality", "type": "string"}]}
    records = [
        (0, None, encoded(schema=wider, quality="A")),
        (1, None, encoded()[:-1]),
        (2, None, b""),
        (3, None, None),
    ]
    result = read(avro, landed_file(tmp_path / "a.parquet", [*records, (4, None, encoded())]))
    assert [row["row_number"] for row in result.rows] == [4]
    assert result.reasons == ["bad_avro", "bad_avro", "bad_avro", "no_value"]
    assert result.quarantine[0]["payload"] == encoded(schema=wider, quality="A").hex()


def test_a_mended_schema_reads_the_same_drop_again(tmp_path):
    narrow = {**AVRO, "fields": AVRO["fields"][:1]}
    (tmp_path / "read.avsc").write_text(json.dumps(AVRO))
    wider = {**AVRO, "fields": [*AVRO["fields"], {"name": "quality", "type": "string"}]}
    feed = load_feed(stream_feed(tmp_path, value="avro", avro_schema="read.avsc"))
    path = landed_file(tmp_path / "a.parquet", [(0, None, encoded(schema=wider, quality="A"))])
    assert read(feed, path).reasons == ["bad_avro"]
    (tmp_path / "read.avsc").write_text(json.dumps(wider))
    mended = load_feed(tmp_path / "streamed.yaml")
    assert mended.digest != feed.digest
    assert read(mended, path).values == [Decimal("0.001")]
    (tmp_path / "read.avsc").write_text(json.dumps(narrow))
    with pytest.raises(FeedError, match="no such field in every Avro schema: start, kwh"):
        load_feed(tmp_path / "streamed.yaml")


def test_the_wire_header_chooses_the_schema(tmp_path):
    wider = {**AVRO, "fields": [*AVRO["fields"], {"name": "quality", "type": "string"}]}
    (tmp_path / "v1.avsc").write_text(json.dumps(AVRO))
    (tmp_path / "v2.avsc").write_text(json.dumps(wider))
    feed = load_feed(
        stream_feed(tmp_path, value="avro", wire_header="confluent", avro_schemas={"7": "v1.avsc", "258": "v2.avsc"})
    )
    records = [
        (0, None, b"\x00\x00\x00\x00\x07" + encoded("A")),
        (1, None, b"\x00\x00\x00\x01\x02" + encoded("B", schema=wider, quality="A")),
        (2, None, b"\x00\x00\x00\x00\x09" + encoded("C")),
        (3, None, encoded("D")),
        (4, None, b"\x00\x00"),
    ]
    result = read(feed, landed_file(tmp_path / "a.parquet", records))
    assert [row["point_id"] for row in result.rows] == ["A", "B"]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (2, "unknown_schema"),
        (3, "bad_wire_header"),
        (4, "bad_wire_header"),
    ]


def test_json_may_have_a_wire_header_too(tmp_path):
    result = of_json(tmp_path, [b"\x00\x00\x00\x00\x07" + GOOD, GOOD], wire_header="confluent")
    assert result.values == [kwh(1)]
    assert result.reasons == ["bad_wire_header"]


@settings(max_examples=examples(0.25))
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=20), st.integers(1, 7))
def test_no_bytes_stop_the_reader_or_get_lost(tmp_path_factory, values, row_group):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "read.avsc").write_text(json.dumps(AVRO))
    path = landed_file(folder / "a.parquet", [(n, v, v) for n, v in enumerate([*values, GOOD, encoded()])], row_group)
    for feed in (
        load_feed(stream_feed(folder, "json_feed")),
        load_feed(stream_feed(folder, "key_feed", key="point")),
        load_feed(stream_feed(folder, "avro_feed", value="avro", avro_schema="read.avsc")),
    ):
        result = read(feed, path)
        numbers = [*result.column("row_number"), *(row["row_number"] for row in result.quarantine)]
        assert sorted(numbers) == list(range(len(values) + 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topics": "[]"}, "stream.topics"),
        ({"topics": "['a b']"}, "stream.topics.0"),
        ({"topics": "[a, a]"}, "topics must differ"),
        ({"topics": f"[{'a' * 143}]"}, "too long together"),
        ({"value": "avro"}, "either avro_schema, or avro_schemas by id"),
        ({"avro_schema": "none.avsc"}, "cannot be read"),
        ({"value": "avro", "avro_schema": {"type": "recor"}}, "is no Avro schema"),
        ({"value": "avro", "avro_schemas": {"1": AVRO}}, "say wire_header: confluent"),
        ({"avro_schema": AVRO}, "say value: avro"),
        ({"max_records_per_drop": 0}, "stream.max_records_per_drop"),
    ],
)
def test_a_wrong_declaration_is_named_in_one_line(tmp_path, change, message):
    with pytest.raises(FeedError, match=message) as caught:
        load_feed(stream_feed(tmp_path, **change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("same_name: add", "same_name: replace", "say same_name: add"),
        ("format: stream", "format: json_lines", "stream belongs to stream feeds: use format stream, not json_lines"),
    ],
)
def test_a_stream_fits_its_feed(tmp_path, old, new, message):
    path = stream_feed(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FeedError, match=message):
        load_feed(path)


def test_where_and_when_to_read_does_not_change_how(tmp_path):
    plain = load_feed(stream_feed(tmp_path))
    assert load_feed(stream_feed(tmp_path, topics="[other]", generation=2, wait_seconds=9)).digest == plain.digest
    assert load_feed(stream_feed(tmp_path, wire_header="confluent")).digest != plain.digest


def test_of_records_for_one_slot_all_are_read_because_the_last_counts(tmp_path):
    values = [json_read(1), json_read(1).replace(b"0.001", b"5"), json_read(2)]
    result = of_json(tmp_path, values)
    assert result.quarantine == []
    assert [row["row_number"] for row in result.rows] == [0, 10, 20]
    assert len({row["interval_start"] for row in result.rows}) == 2
