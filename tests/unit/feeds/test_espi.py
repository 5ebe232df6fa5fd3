"""Green Button files: values by hand, damaged and hostile files, real files against a plain tree of the whole file."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.model import Feed, parse_feed
from tests.examples import examples
from tests.real_data import require
from tests.unit.feeds.reading import Result, feed, read, write

START = 1_772_323_200
"""2026-03-01T00:00Z."""


def links(**hrefs: str) -> str:
    return "".join(f'<link rel="{rel.rstrip("_")}" href="{href}"/>' for rel, href in hrefs.items())


def meter_reading(number: str = "1", kind: str = "1") -> str:
    own = f"Customer/9/UsagePoint/P1/MeterReading/{number}"
    related = links(self=own, up=own.rpartition("/")[0], related=f"{own}/IntervalBlock", related_=f"ReadingType/{kind}")
    return f"<entry>{related}<content><e:MeterReading/></content></entry>"


def reading_type(number: str = "1", **said: str | int) -> str:
    said = {"accumulationBehaviour": 4, "flowDirection": 1, "intervalLength": 900, "uom": 72} | said
    fields = "".join(f"<e:{name}>{value}</e:{name}>" for name, value in said.items())
    own = links(self=f"ReadingType/{number}")
    return f"<entry>{own}<content><e:ReadingType>{fields}</e:ReadingType></content></entry>"


def reading(start: object, value: object, duration: object = 900, quality: object = None) -> str:
    said = "" if quality is None else f"<e:ReadingQuality><e:quality>{quality}</e:quality></e:ReadingQuality>"
    time = f"<e:timePeriod><e:duration>{duration}</e:duration><e:start>{start}</e:start></e:timePeriod>"
    return f"<e:IntervalReading><e:cost>7</e:cost>{said}{time}<e:value>{value}</e:value></e:IntervalReading>"


def block(*readings: str, of: str = "1") -> str:
    own = links(up=f"Customer/9/UsagePoint/P1/MeterReading/{of}/IntervalBlock")
    interval = f"<e:interval><e:duration>86400</e:duration><e:start>{START}</e:start></e:interval>"
    content = f"<e:IntervalBlock>{interval}{''.join(readings)}</e:IntervalBlock>"
    return f"<entry>{own}<content>{content}</content></entry>"


def document(*entries: str, before: str = "") -> str:
    start = '<?xml version="1.0" encoding="UTF-8"?>' + before
    return (
        start + f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">{"".join(entries)}</feed>'
    )


def read_text(folder: Path, text: str | bytes, of: Feed | str = "green_button") -> Result:
    return read(of, write(folder, "file.xml", text))


def test_a_reading_by_hand(tmp_path):
    text = document(meter_reading(), reading_type(), block(reading(START, 250), reading(START + 900, 300, quality=8)))
    result = read_text(tmp_path, text)
    assert result.quarantine == []
    assert [
        (row["point_id"], row["obis_code"], row["interval_start"], row["interval_minutes"], row["value"], row["unit"])
        for row in result.rows
    ] == [
        ("P1", "1-0:1.29.0", datetime(2026, 3, 1, tzinfo=UTC), 15, 250, "Wh"),
        ("P1", "1-0:1.29.0", datetime(2026, 3, 1, 0, 15, tzinfo=UTC), 15, 300, "Wh"),
    ]
    assert result.column("source_status") == ["measured", "substitute"]
    assert result.column("row_number") == [1, 2]


@pytest.mark.parametrize(
    ("power", "value", "expected"),
    [
        (0, "703", Decimal(703)),
        (3, "703", Decimal(703_000)),
        (-3, "1234567", Decimal("1234.567")),
        (-6, "1", Decimal("0.000001")),
        (-9, "1500", Decimal("0.000002")),
        ("", "5", Decimal(5)),
    ],
)
def test_powers_of_ten(tmp_path, power, value, expected):
    kind = reading_type(powerOfTenMultiplier=power)
    assert read_text(tmp_path, document(meter_reading(), kind, block(reading(START, value)))).values == [expected]


@pytest.mark.parametrize(
    ("uom", "flow", "behaviour", "expected"),
    [
        (72, 1, 4, ("Wh", "1-0:1.29.0", "interval")),
        (72, 19, 4, ("Wh", "1-0:2.29.0", "interval")),
        (38, 1, 6, ("W", "1-0:1.29.0", "interval")),
        (72, 1, 3, ("Wh", "1-0:1.8.0", "register")),
        (72, 19, 1, ("Wh", "1-0:2.8.0", "register")),
    ],
)
def test_units_directions_and_counters(tmp_path, uom, flow, behaviour, expected):
    kind = reading_type(uom=uom, flowDirection=flow, accumulationBehaviour=behaviour)
    (row,) = read_text(tmp_path, document(meter_reading(), kind, block(reading(START, 1)))).rows
    assert (row["unit"], row["obis_code"], row["kind"]) == expected


def test_the_state_of_a_counter_is_that_at_the_end_of_its_time(tmp_path):
    kind = reading_type(accumulationBehaviour=3)
    readings = block(reading(START, 1, 900), reading(START, 1, 0))
    result = read_text(tmp_path, document(meter_reading(), kind, readings))
    assert [(row["interval_start"].minute, row["interval_minutes"]) for row in result.rows] == [(15, 15), (0, 1440)]


def test_every_reading_has_a_length_of_its_own(tmp_path):
    readings = [reading(START, 1, seconds) for seconds in (900, 7_200, 10_800, 90_000, "", 86_400 * 30, 61, 0, "x")]
    result = read_text(tmp_path, document(meter_reading(), reading_type(), block(*readings)))
    assert result.column("interval_minutes") == [15, 120, 180, 1_500, 15]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [
        (number, "bad_interval_length") for number in (6, 7, 8, 9)
    ]


def test_the_quality_of_the_type_holds_where_a_reading_has_none(tmp_path):
    kind = reading_type(defaultQuality=9)
    result = read_text(tmp_path, document(meter_reading(), kind, block(reading(START, 1), reading(START, 1, 900, 17))))
    assert result.column("source_status") == ["substitute", "measured"]
    result = read_text(tmp_path, document(meter_reading(), kind, block(reading(START, 1, 900, 12))))
    assert result.reasons == ["unknown_status"]


def test_several_meter_readings_in_any_order(tmp_path):
    types = reading_type("1"), reading_type("2", flowDirection=19, powerOfTenMultiplier=3)
    blocks = block(reading(START, 1), of="1"), block(reading(START, 2), of="2")
    readings = meter_reading("1", "1"), meter_reading("2", "2")
    for entries in ((*types, *readings, *blocks), (*blocks, *types, *readings), (*readings, *blocks, *types)):
        result = read_text(tmp_path, document(*entries))
        assert result.quarantine == []
        assert [(row["obis_code"], row["value"]) for row in result.rows] == [("1-0:1.29.0", 1), ("1-0:2.29.0", 2000)]


def test_a_block_without_a_type_is_refused_and_a_feed_may_say_it(tmp_path):
    text = document(block(reading(START, 1)))
    assert read_text(tmp_path, text).reasons == ["missing_obis"]
    declared = feed("green_button").model_dump()
    declared["obis"] |= {"mapping": {"interval": "1-0:1.29.0"}}
    declared["unit"] |= {"default": "Wh"}
    (row,) = read_text(tmp_path, text, parse_feed(declared)).rows
    assert (row["value"], row["unit"]) == (1, "Wh")


def test_contradictory_types_are_refused(tmp_path):
    kinds = reading_type(accumulationBehaviour=4), reading_type(accumulationBehaviour=2)
    result = read_text(tmp_path, document(meter_reading(), *kinds, block(reading(START, 1))))
    assert (result.reasons, result.rows) == (["broken_record"], [])
    assert result.quarantine[0]["payload"] == (
        '{"meter_reading": "Customer/9/UsagePoint/P1/MeterReading/1", "cost": "7", "duration": "900", '
        f'"start": "{START}", "value": "1"}}'
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reading("", 1), "bad_timestamp"),
        (reading("soon", 1), "bad_timestamp"),
        (reading(10**30, 1), "bad_timestamp"),
        (reading(10**10, 1), "day_out_of_range"),
        (reading(START, "x"), "bad_number"),
        (reading(START, 10**15), "value_out_of_range"),
    ],
)
def test_a_reading_that_cannot_be_read(tmp_path, bad, reason):
    result = read_text(tmp_path, document(meter_reading(), reading_type(), block(reading(START, 1), bad)))
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [(2, reason, 1)]
    assert len(result.table) == 1


LAUGHS = '<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("before", [LAUGHS, OUTSIDE])
def test_entities_are_refused(tmp_path, before):
    text = document(meter_reading(), reading_type(), block(reading(START, "&a;")), before=before)
    (row,) = read_text(tmp_path, text).quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (0, "forbidden_entity", 1)
    assert row["detail"].startswith("expected XML without entities of its own: EntitiesForbidden")


def test_a_file_that_breaks_off_gives_what_was_whole(tmp_path):
    text = document(meter_reading(), reading_type(), block(*(reading(START + 900 * i, i) for i in range(9))))
    result = read_text(tmp_path, text[: text.rindex("<e:value>")])
    assert result.values == list(range(8))
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (0, "truncated_file", 1)
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty_file"), ("hello", "not_in_format"), (document(), "empty_file"), ("<a><b></a>", "truncated_file")],
)
def test_what_holds_no_readings(tmp_path, text, reason):
    assert [(row["row_number"], row["reason"]) for row in read_text(tmp_path, text).quarantine] == [(0, reason)]


def test_readings_in_comments_are_none(tmp_path):
    text = document(meter_reading(), reading_type(), f"<!--{reading(START, 1)}-->", block(reading(START, 1)))
    assert read_text(tmp_path, text).report.delivered_values == 1


def test_pieces_give_the_same_rows(tmp_path, monkeypatch):
    blocks = [block(*(reading(START + 900 * i, i, "x" if i % 4 == 0 else 900) for i in range(7))) for _ in range(3)]
    text = document(meter_reading(), reading_type(), *blocks)
    whole = read_text(tmp_path, text)
    monkeypatch.setattr("metrify_assets.feeds.formats.espi_source.CHUNK_VALUES", 4)
    pieces = read_text(tmp_path, text)
    assert pieces.table.equals(whole.table)
    assert pieces.quarantine == whole.quarantine


PARTS = [meter_reading(), reading_type(), reading_type(uom=9), block(), block(reading(START, 1), of="2")]
PARTS += [block(reading(START, 1), reading("", "")), block(reading(START, "x", "x", "x")), reading(START, 1), "<a/>"]


@settings(max_examples=examples(0.8))
@given(st.lists(st.sampled_from(PARTS), max_size=6), st.integers(min_value=0, max_value=60))
def test_every_reading_is_raw_or_quarantined(parts, cut):
    text = document(*parts)
    with TemporaryDirectory() as folder:
        read_text(Path(folder), text[: len(text) - cut * cut])


# Real files.


def tree_of(path: Path) -> list[tuple[int, int, str]]:
    """Return start, seconds and value of every reading, from the whole tree."""
    espi = "{http://naesb.org/espi}"
    readings = []
    for element in ElementTree.parse(path).iter(f"{espi}IntervalReading"):
        period = element.find(f"{espi}timePeriod")
        texts = (period.findtext(f"{espi}start"), period.findtext(f"{espi}duration"), element.findtext(f"{espi}value"))
        readings.append((int(texts[0]), int(texts[1]), texts[2]))
    return readings


def require_agreement(result: Result, expected: list[tuple[int, int, str]]) -> None:
    assert result.column("interval_start") == [datetime.fromtimestamp(start, UTC) for start, _, _ in expected]
    assert result.column("interval_minutes") == [seconds // 60 for _, seconds, _ in expected]
    assert result.values == [Decimal(value) for _, _, value in expected]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count", "point", "lengths"),
    [
        ("Coastal_Multi_Family_12hr_2011.xml", 8_760, "1", {60: 8_760}),
        ("BulkSCEIntervalBlock.xml", 97, "NB6WRU", {15: 97}),
        ("cew821_sample.xml", 362, "01", {60: 362}),
    ],
)
def test_real_files_agree_with_a_plain_tree(name, count, point, lengths):
    path = require(f"meters/greenbutton/{name}")
    result = read("green_button", path)
    assert result.quarantine == []
    require_agreement(result, tree_of(path))
    assert len(result.table) == count
    assert set(result.column("point_id")) == {point}
    assert Counter(result.column("interval_minutes")) == lengths


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("PGEIntervalBlock.xml", {60: 2_556}),
        # Days, three of them those on which the clocks change.
        ("ESPIIntervalBlock.xml", {1_440: 441, 1_380: 2, 1_500: 1}),
    ],
)
def test_real_blocks_that_leave_their_types_to_another_file(name, lengths):
    path = require(f"meters/greenbutton/{name}")
    assert set(read("green_button", path).reasons) == {"missing_obis"}
    declared = feed("green_button").model_dump()
    declared["obis"] |= {"mapping": {"interval": "1-0:1.29.0"}}
    declared["unit"] |= {"default": "Wh"}
    result = read(parse_feed(declared), path)
    expected = tree_of(path)
    assert result.report.rows == len(expected) == sum(lengths.values())
    assert result.quarantine == []
    require_agreement(result, expected)
    assert Counter(result.column("interval_minutes")) == lengths


@pytest.mark.real_data
def test_a_real_file_with_two_types_of_one_name_is_refused():
    result = read("green_button", require("meters/greenbutton/BulkSCEUsageSummaryAndIntervalBlock.xml"))
    assert result.reasons == ["broken_record"] * 3


@pytest.mark.real_data
def test_real_files_without_readings_are_told():
    paths = sorted(require("meters/greenbutton").glob("*.xml"))
    results = [
        read("green_button", path)
        for path in paths
        if path.name.startswith(("ESPI", "PGE")) and "IntervalBlock" not in path.name
    ]
    assert len(results) == 15
    # One of them is a piece of XML whose prefixes nobody declares.
    assert Counter(result.reasons[0] for result in results) == {"empty_file": 14, "truncated_file": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read_and_counted(tmp_path, encoding):
    text = document(meter_reading(), reading_type(), block(reading(START, 250))).replace("UTF-8", "UTF-16")
    mark = "" if encoding == "utf-16" else "\ufeff"
    result = read_text(tmp_path, (mark + text).encode(encoding))
    assert (result.values, result.report.delivered_values) == ([250], 1)


@pytest.mark.parametrize("encoding", ["klingon", "shift_jis", "utf-7"])
def test_an_encoding_that_the_parser_does_not_know_is_told(tmp_path, encoding):
    text = document(meter_reading(), reading_type(), block(reading(START, 250))).replace("UTF-8", encoding)
    result = read_text(tmp_path, text)
    assert (result.reasons, result.report.delivered_values) == (["bad_encoding"], 1)


def test_readings_that_are_only_quoted_are_none(tmp_path):
    quoted = "<title><![CDATA[<e:IntervalReading></e:IntervalReading>]]></title><?note <e:IntervalReading> ?>"
    result = read_text(tmp_path, document(meter_reading(), reading_type(), block(reading(START, 250)), quoted))
    assert (result.values, result.report.delivered_values) == ([250], 1)


def test_any_prefix_of_the_namespace_is_counted(tmp_path):
    text = document(meter_reading(), reading_type(), block(reading(START, 250)))
    text = text.replace("<e:", "<é:").replace("</e:", "</é:").replace("xmlns:e=", "xmlns:é=")
    assert read_text(tmp_path, text).report.delivered_values == 1
