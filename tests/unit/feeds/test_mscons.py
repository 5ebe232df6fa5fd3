"""MSCONS: forms, separators, broken messages and counts by hand; real files against a splitter of a few lines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.formats.edifact import ServiceCharacters
from tests.examples import examples
from tests.real_data import require
from tests.unit.feeds.reading import Result, feed, read, write

POINT = "DE00056266802AO6G56M11SN51G21M24S"
HEAD = ["BGM+7+1+9", "DTM+137:202603010400?+00:303", "NAD+MS+9900000000001::293", "UNS+D", "NAD+DP"]


def quantity(value: str, start: str, end: str, qualifier: str = "220", *more: str) -> list[str]:
    return [f"QTY+{qualifier}:{value}", f"DTM+163:{start}?+00:303", f"DTM+164:{end}?+00:303", *more]


def message(
    *body: str, reference: str = "M1", kind: str = "MSCONS:D:04B:UN:2.4c", count: int | None = None
) -> list[str]:
    segments = [f"UNH+{reference}+{kind}", *HEAD, *body]
    return [*segments, f"UNT+{count or len(segments) + 1}+{reference}"]


def channel(obis: str = "1-1?:1.29.0", point: str = POINT) -> list[str]:
    return [f"LOC+172+{point}", "LIN+1", f"PIA+5+{obis}:SRW"]


def interchange(*messages: list[str], reference: str = "I1", count: int | None = None) -> list[str]:
    segments = [segment for lines in messages for segment in lines]
    number = len(messages) if count is None else count
    return [f"UNB+UNOC:3+S:500+R:500+260301:0430+{reference}", *segments, f"UNZ+{number}+{reference}"]


def text(segments: list[str]) -> str:
    return "UNA:+.? '" + "".join(segment + "'" for segment in segments)


TWO = [*quantity("1.5", "202603010000", "202603010015"), *quantity("2.25", "202603010015", "202603010030", "67")]


def read_text(tmp_path: Path, content: str, name: str = "mscons_de") -> Result:
    return read(name, write(tmp_path, "MSCONS_1.txt", content))


def refused(result: Result) -> list[tuple]:
    return [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine]


def test_a_message_by_hand(tmp_path):
    result = read_text(tmp_path, text(interchange(message(*channel(), *TWO))))
    assert result.quarantine == []
    assert [
        (row["point_id"], row["obis_code"], row["value"], row["interval_start"], row["interval_minutes"], row["unit"])
        for row in result.rows
    ] == [
        (POINT, "1-1:1.29.0", Decimal("1.5"), datetime(2026, 3, 1, tzinfo=UTC), 15, "kWh"),
        (POINT, "1-1:1.29.0", Decimal("2.25"), datetime(2026, 3, 1, 0, 15, tzinfo=UTC), 15, "kWh"),
    ]
    assert result.column("source_status") == ["measured", "substitute"]
    # UNB is segment 1, UNH 2, five of the head, LOC, LIN, PIA: the first QTY is segment 11.
    assert result.column("row_number") == [11, 14]


def test_own_separators_line_ends_and_releases(tmp_path):
    segments = interchange(message(*channel("1-1?:1.29.0*255", "A?'B??"), *TWO))
    other = {":": "|", "+": "^", "?": "!", "'": "~"}
    translated = "~\r\n".join("".join(other.get(c, c) for c in segment) for segment in segments)
    # What stood for itself among the old characters needs no release among the new ones.
    for released, itself in (("!^", "+"), ("1-1!|", "1-1:"), ("1.5", "1,5"), ("2.25", "2,25")):
        translated = translated.replace(released, itself)
    content = "UNA|^,! ~\r\n" + translated + "~\r\n"
    result = read_text(tmp_path, content)
    assert result.quarantine == []
    assert result.values == [Decimal("1.5"), Decimal("2.25")]
    assert result.column("point_id") == ["A~B!"] * 2
    assert result.column("obis_code") == ["1-1:1.29.0"] * 2


def test_without_una_the_standard_characters_hold(tmp_path):
    content = text(interchange(message(*channel(), *TWO))).removeprefix("UNA:+.? '")
    assert read_text(tmp_path, content).values == [Decimal("1.5"), Decimal("2.25")]


@pytest.mark.parametrize(
    ("written", "parts"),
    [("a+b", ["a", "b"]), ("a?+b+c", ["a+b", "c"]), ("a??+b", ["a?", "b"]), ("a???+b", ["a?+b"]), ("", [""])],
)
def test_releases(written, parts):
    characters = ServiceCharacters()
    assert [characters.plain(part) for part in characters.split(written, "+")] == parts


@pytest.mark.parametrize(
    ("stamp", "hour"),
    [
        ("202603010000?+01:303", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("202603010000?+00:303", datetime(2026, 3, 1, 0, tzinfo=UTC)),
        ("202603010000Z:303", datetime(2026, 3, 1, 0, tzinfo=UTC)),
        ("202603010000UTC:303", datetime(2026, 3, 1, 0, tzinfo=UTC)),
        ("202603010000-05:303", datetime(2026, 3, 1, 5, tzinfo=UTC)),
        ("20260301000000?+01:304", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        # Without an offset, the time zone of the feed.
        ("202603010000:203", datetime(2026, 2, 28, 23, tzinfo=UTC)),
    ],
)
def test_stamps(tmp_path, stamp, hour):
    end = stamp.replace("202603010000", "202603010100").replace("20260301000000", "20260301010000")
    body = [*channel(), "QTY+220:1", f"DTM+163:{stamp}", f"DTM+164:{end}"]
    (row,) = read_text(tmp_path, text(interchange(message(*body)))).rows
    assert (row["interval_start"], row["interval_minutes"]) == (hour, 60)


def test_local_stamps_of_the_repeated_hour(tmp_path):
    walls = ["0145", "0200", "0215", "0230", "0245", "0200", "0215", "0230", "0245", "0300"]
    body = channel()
    for start, end in pairwise(walls):
        body += ["QTY+220:1", f"DTM+163:20251026{start}:203", f"DTM+164:20251026{end}:203"]
    result = read_text(tmp_path, text(interchange(message(*body))))
    assert result.quarantine == []
    first = datetime(2025, 10, 25, 23, 45, tzinfo=UTC)
    assert result.column("interval_start") == [first + i * timedelta(minutes=15) for i in range(9)]
    assert set(result.column("interval_minutes")) == {15}


def test_a_run_of_quantities_after_one_start(tmp_path):
    body = ["LOC+172+::87:CH1", "DTM+163:202603290000?+01:303", "DTM+672:15:806", "LIN+1", "PIA+5+1-1?:1.29.0*255:SWR"]
    body += ["QTY+46:1.5:KWH", "QTY+79:2:KWH", "LIN+2", "PIA+5+1-1?:5.29.0*255:SWR", "QTY+46:3:K3"]
    result = read_text(tmp_path, text(interchange(message(*body))), "mscons_ch_99a")
    start = datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert [
        (row["obis_code"], row["interval_start"], row["value"], row["unit"], row["source_status"])
        for row in result.rows
    ] == [
        ("1-1:1.29.0", start, Decimal("1.5"), "kWh", "measured"),
        ("1-1:1.29.0", start + timedelta(minutes=15), 2, "kWh", "substitute"),
        ("1-1:5.29.0", start, 3, "kvarh", "measured"),
    ]


def test_register_reads(tmp_path):
    body = [*channel("1-1?:1.8.0"), "QTY+220:12345.678", "DTM+9:202603010000?+01:303"]
    (row,) = read_text(tmp_path, text(interchange(message(*body)))).rows
    assert (row["kind"], row["interval_start"]) == ("register", datetime(2026, 2, 28, 23, tzinfo=UTC))
    assert row["value"] == Decimal("12345.678")


def test_codes_of_the_standard(tmp_path):
    body = channel()
    for slot, qualifier in enumerate(["220", "67", "Z18", "201", "20", "Z30", "187", "79", "X"]):
        body += quantity("1", f"20260301{slot:02}00", f"20260301{slot:02}15", qualifier, "STS+Z32++Z92", "STS+Z40++Z74")
    result = read_text(tmp_path, text(interchange(message(*body))))
    assert result.column("source_status") == [
        *("measured", "substitute", "provisional", "provisional", "missing", "missing")
    ]
    # A forecast and a sum are no interval values.
    assert result.reasons == ["unknown_status"] * 3
    assert result.quarantine[0]["payload"] == (
        "QTY+187:1'DTM+163:202603010600?+00:303'DTM+164:202603010615?+00:303'STS+Z32++Z92'STS+Z40++Z74"
    )


@pytest.mark.parametrize(
    ("broken", "reason", "cells"),
    [
        (["QTY+220", *TWO[1:3]], "broken_record", 1),
        (["QTY", *TWO[1:3]], "broken_record", 0),
        (["QTY+220:x", *TWO[1:3]], "bad_number", 1),
        (["QTY+220:1"], "bad_timestamp", 1),
        (["QTY+220:1", "DTM+163:2026?+00:303", TWO[2]], "bad_timestamp", 1),
        (["QTY+220:1", "DTM+163:202613010000?+00:303", TWO[2]], "bad_timestamp", 1),
        (["QTY+220:1", "DTM", TWO[2]], "bad_timestamp", 1),
        (["QTY+220:1", TWO[1]], "bad_interval_length", 1),
        (["QTY+220:1", TWO[2].replace("164", "163"), TWO[1].replace("163", "164")], "bad_interval_length", 1),
        (["LOC+172", "LIN+1", "PIA+5+1-1?:1.29.0", *TWO[:3]], "missing_point", 1),
        (["LIN+2", *TWO[:3]], "missing_obis", 1),
        (["LIN+2", "PIA", *TWO[:3]], "missing_obis", 1),
    ],
)
def test_a_broken_segment_spoils_what_it_touches(tmp_path, broken, reason, cells):
    body = [*channel(), *TWO, *broken, *channel("1-1?:2.29.0"), *TWO]
    result = read_text(tmp_path, text(interchange(message(*body))))
    assert len(result.table) == 4
    if cells:
        (row,) = result.quarantine
        assert (row["reason"], row["value_cells"]) == (reason, cells)
        assert row["row_number"] == 17 + next(i for i, segment in enumerate(broken) if segment.startswith("QTY"))


WHOLE = message(*channel(), *TWO, reference="M2")


@pytest.mark.parametrize(
    ("broken", "reason", "cells"),
    [
        (message(*channel(), *TWO)[:-1], "broken_message", 2),
        (message(*channel(), *TWO)[:11], "broken_message", 1),
        (message(*channel(), *TWO, count=17), "wrong_count", 2),
        ([*message(*channel(), *TWO)[:-1], "UNT+17+M9"], "wrong_count", 2),
        ([*message(*channel(), *TWO)[:-1], "UNT"], "wrong_count", 2),
        (message(*channel(), *TWO, kind="APERAK:D:07B:UN:2.1i"), "not_in_format", 2),
    ],
)
def test_a_broken_message_is_quarantined_whole_and_the_others_are_read(tmp_path, broken, reason, cells):
    result = read_text(tmp_path, text(interchange(WHOLE, broken, WHOLE)))
    assert len(result.table) == 4
    assert refused(result) == [(2 + len(WHOLE), reason, cells)]
    assert result.quarantine[0]["payload"].startswith("UNH+M1+")


def test_a_file_that_breaks_off(tmp_path):
    content = text(interchange(WHOLE, WHOLE))
    result = read_text(tmp_path, content[: content.rindex("QTY") + 7])
    assert len(result.table) == 2
    assert refused(result) == [(2 + len(WHOLE), "broken_message", 2), (2 + len(WHOLE) + 12, "truncated_file", 0)]


def test_counts_and_references_of_the_interchange(tmp_path):
    for segments in (interchange(WHOLE, count=2), [*interchange(WHOLE)[:-1], "UNZ+1+I9"]):
        result = read_text(tmp_path, text(segments))
        assert (len(result.table), refused(result)) == (2, [(2 + len(WHOLE), "wrong_count", 0)])
    result = read_text(tmp_path, text(interchange(WHOLE)[:-1]))
    assert (len(result.table), refused(result)) == (2, [(2 + len(WHOLE), "truncated_file", 0)])


def test_several_interchanges_in_a_file(tmp_path):
    result = read_text(tmp_path, text(interchange(WHOLE) + interchange(WHOLE, reference="I2")))
    assert (len(result.table), result.quarantine) == (4, [])


def test_segments_outside_of_messages(tmp_path):
    segments = interchange(WHOLE)
    result = read_text(tmp_path, text([*segments[:-1], "QTY+220:1", "DTM+1", "UNT+1+1", segments[-1]]))
    end = 2 + len(WHOLE)
    assert refused(result) == [(end + i, "broken_record", cells) for i, cells in enumerate([1, 0, 0])]


@pytest.mark.parametrize(
    ("content", "reason"), [("", "empty_file"), ("hello", "not_in_format"), ("a;b\nc", "not_in_format")]
)
def test_what_is_no_interchange(tmp_path, content, reason):
    assert refused(read_text(tmp_path, content)) == [(0, reason, 0)]


def test_pieces_and_blocks_give_the_same_rows(tmp_path, monkeypatch):
    content = text(interchange(*(message(*channel(), *TWO, reference=f"M{i}") for i in range(9)), WHOLE[:-1]))
    whole = read_text(tmp_path, content)
    monkeypatch.setattr("metrify_assets.feeds.formats.mscons_source.CHUNK_VALUES", 3)
    monkeypatch.setattr("metrify_assets.feeds.formats.edifact.BLOCK_CHARACTERS", 7)
    pieces = read_text(tmp_path, content)
    assert pieces.table.equals(whole.table)
    assert pieces.quarantine == whole.quarantine


SEGMENTS = st.sampled_from(
    [
        *("UNH+M1+MSCONS:D:04B", "UNT+4+M1", "UNT+5+M1", "UNZ+1+I1", "UNB+UNOC:3+S+R+1:1+I1", "NAD+DP", "UNS+D"),
        *(*channel(), *TWO, "QTY", "QTY+", "QTY+1", "QTYX", "DTM", "DTM+672:15:806", "STS", "", " ", "x?"),
    ]
)


@settings(max_examples=examples(2))
@given(st.lists(SEGMENTS, max_size=15), st.booleans(), st.sampled_from(["'", "'\n", "''"]))
def test_every_value_is_raw_or_quarantined(segments, ended, terminator):
    content = terminator.join(["UNB+UNOC:3+S+R+1:1+I1", *segments]) + (terminator if ended else "")
    with TemporaryDirectory() as folder:
        result = read_text(Path(folder), content)
    numbers = [row["row_number"] for row in result.quarantine]
    assert len(set(numbers)) == len(numbers)


# Real files.


def plain(path: Path) -> list[list[str]]:
    """Split a file that releases nothing but plus signs and colons of stamps and OBIS codes."""
    content = path.read_text().removeprefix("UNA:+.? '")
    return [re.split(r"(?<!\?)[+:]", segment) for segment in content.split("'")]


@pytest.mark.real_data
def test_swiss_files_of_a_day_in_six_channels():
    paths = sorted(require("meters/mscons").glob("*_E66_*"))
    units = {}
    for path in paths:
        segments = plain(path)
        result = read("mscons_ch", path)
        assert result.quarantine == []
        assert result.values == [Decimal(segment[2]) for segment in segments if segment[0] == "QTY"]
        assert len(result.table) == 96
        stamps = [segment[2] for segment in segments if segment[:2] == ["DTM", "163"]][1:]
        # All stamps of these files have the offset +01.
        walls = [datetime.strptime(stamp, "%Y%m%d%H%M?+01") for stamp in stamps]
        assert result.column("interval_start") == [(wall - timedelta(hours=1)).replace(tzinfo=UTC) for wall in walls]
        assert set(result.column("point_id")) == {"CH1008801234500000000000000113813"}
        (obis,), (unit,) = set(result.column("obis_code")), set(result.column("unit"))
        units[obis] = unit
    assert units == {
        "1-1:1.29.0": "kWh",
        "1-1:2.29.0": "kWh",
        **{f"1-1:{channel}.29.0": "kvarh" for channel in (5, 6, 7, 8)},
    }


@pytest.mark.real_data
def test_a_strict_feed_refuses_the_swiss_count_of_segments():
    path = next(iter(sorted(require("meters/mscons").glob("*_E66_*"))))
    strict = feed("mscons_ch").model_copy(update={"control_counts": True})
    assert refused(read(strict, path)) == [(2, "wrong_count", 96)]


@pytest.mark.real_data
def test_a_swiss_run_of_quarter_hours_with_substitutes():
    (path,) = require("meters/mscons").glob("MSCONS_LG_*")
    quantities = [segment for segment in plain(path) if segment[0] == "QTY"]
    result = read("mscons_ch_99a", path)
    assert result.quarantine == []
    assert result.values == [Decimal(segment[2]) for segment in quantities]
    assert result.column("source_status") == [{"46": "measured", "79": "substitute"}[q[1]] for q in quantities]
    first = datetime(2013, 3, 23, 23, tzinfo=UTC)
    assert result.column("interval_start") == [first + i * timedelta(minutes=15) for i in range(96)]
    assert result.column("point_id")[0] == "CH1022201234500000000000000022079"


@pytest.mark.parametrize("around", [" ", "\t", "\r\n ", "  \n"])
def test_blanks_around_segments_are_no_content(tmp_path, around):
    content = text(interchange(message(*channel(), *TWO)))
    spaced = read_text(tmp_path, content.replace("'", f"'{around}").replace(f"UNA:+.? '{around}", "UNA:+.? '"))
    assert (spaced.values, spaced.quarantine) == ([Decimal("1.5"), Decimal("2.25")], [])
    before = read_text(tmp_path, content[:9] + content[9:].replace("'", f"{around}'"))
    assert (before.values, before.quarantine) == ([Decimal("1.5"), Decimal("2.25")], [])


@pytest.mark.parametrize("before", ["\ufeff", "\n", " \r\n"])
def test_what_may_stand_before_an_interchange(tmp_path, before):
    result = read_text(tmp_path, before + text(interchange(message(*channel(), *TWO))))
    assert (len(result.rows), result.quarantine) == (2, [])


def test_each_interchange_of_a_file_may_name_the_same_separators(tmp_path):
    content = text(interchange(message(*channel(), *TWO)))
    assert read_text(tmp_path, content + "\r\n" + content).quarantine == []
    assert len(read_text(tmp_path, content + content).rows) == 4


def test_method_and_reason_of_the_sender_stand_in_the_remark(tmp_path):
    status = ["STS+Z32++Z92", "STS+Z40++Z74"]
    second = quantity("2.25", "202603010015", "202603010030", "67", *status)
    body = [*quantity("1.5", "202603010000", "202603010015"), *second]
    result = read_text(tmp_path, text(interchange(message(*channel(), *body))))
    assert result.column("remark") == [None, "method Z92, reason Z74"]


@pytest.mark.parametrize(("groups", "refused_rows"), [(1, 0), (2, 1)])
def test_of_messages_in_groups_the_groups_are_counted(tmp_path, groups, refused_rows):
    two = [*message(*channel(), *TWO), *message(*channel(point="X"), *TWO, reference="M2")]
    content = interchange(["UNG+MSCONS+S+R+260301:0430+G1+UN+D:04B", *two, "UNE+2+G1"], count=groups)
    result = read_text(tmp_path, text(content))
    assert (len(result.rows), result.reasons) == (4, ["wrong_count"] * refused_rows)
