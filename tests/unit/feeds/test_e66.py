"""E66 documents (SDAT-CH): values by hand, days of a change of the clock, damaged and hostile files."""

from __future__ import annotations

import random
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.model import Feed, parse_feed
from tests.examples import examples
from tests.unit.feeds.reading import Result, feed, read, write

BEGIN = "2026-02-28T23:00:00Z"
"""Midnight in Zurich."""
POINT = "CH1012345012345000000000000000001"
ACTIVE, REACTIVE, COMMUNITY = "8716867000030", "8716867000047", "2404050010123"


def observation(sequence: object, volume: object = 1, condition: object = None) -> str:
    stated = "" if condition is None else f"<rsm:Condition>{condition}</rsm:Condition>"
    position = f"<rsm:Position><rsm:Sequence>{sequence}</rsm:Sequence></rsm:Position>"
    return f"<rsm:Observation>{position}<rsm:Volume>{volume}</rsm:Volume>{stated}</rsm:Observation>"


def series(
    *observations: str,
    begin: str = BEGIN,
    end: str = "2026-03-01T00:00:00Z",
    step: object = 15,
    step_unit: str = "MIN",
    direction: str = "Consumption",
    point: str = POINT,
    product: str = f"<rsm:ebIXCode>{ACTIVE}</rsm:ebIXCode>",
    unit: str = "KWH",
) -> str:
    """Return metering data in the order of the schema."""
    return (
        "<rsm:MeteringData><rsm:DocumentID>D1@1</rsm:DocumentID>"
        f"<rsm:Interval><rsm:StartDateTime>{begin}</rsm:StartDateTime><rsm:EndDateTime>{end}</rsm:EndDateTime>"
        f"</rsm:Interval><rsm:Resolution><rsm:Resolution>{step}</rsm:Resolution><rsm:Unit>{step_unit}</rsm:Unit>"
        f'</rsm:Resolution><rsm:{direction}MeteringPoint><rsm:VSENationalID schemeID="VSE">{point}'
        f"</rsm:VSENationalID></rsm:{direction}MeteringPoint><rsm:Product><rsm:ID>{product}</rsm:ID>"
        f"<rsm:MeasureUnit>{unit}</rsm:MeasureUnit></rsm:Product>{''.join(observations)}</rsm:MeteringData>"
    )


def document(*parts: str, before: str = "", kind: str = "E66", status: str = "9", created: str = "") -> str:
    header = (
        "<rsm:ValidatedMeteredData_HeaderInformation><rsm:InstanceDocument><rsm:DocumentID>D1</rsm:DocumentID>"
        f"<rsm:DocumentType><rsm:ebIXCode>{kind}</rsm:ebIXCode></rsm:DocumentType>"
        f"<rsm:Creation>{created or '2026-03-02T05:00:00Z'}</rsm:Creation><rsm:Status>{status}</rsm:Status>"
        "</rsm:InstanceDocument></rsm:ValidatedMeteredData_HeaderInformation>"
    )
    root = "rsm:ValidatedMeteredData_16"
    start = f'<?xml version="1.0" encoding="UTF-8"?>{before}<{root} xmlns:rsm="http://www.strom.ch">'
    return f"{start}{header}{''.join(parts)}</{root}>"


def read_text(folder: Path, text: str | bytes, of: Feed | str = "sdat_e66") -> Result:
    return read(of, write(folder, "20260302_060000_X_E66_Y.xml", text))


def rejected(result: Result) -> list[tuple[int, str, int]]:
    return [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine]


def test_observations_by_hand(tmp_path):
    text = document(series(observation(1, "2.250"), observation(2, "0.125", 56)))
    result = read_text(tmp_path, text)
    assert result.quarantine == []
    assert [
        (row["point_id"], row["obis_code"], row["interval_start"], row["interval_minutes"], row["value"], row["unit"])
        for row in result.rows
    ] == [
        (POINT, "1-1:1.29.0", datetime(2026, 2, 28, 23, tzinfo=UTC), 15, Decimal("2.25"), "kWh"),
        (POINT, "1-1:1.29.0", datetime(2026, 2, 28, 23, 15, tzinfo=UTC), 15, Decimal("0.125"), "kWh"),
    ]
    assert result.column("source_status") == ["measured", "substitute"]
    assert result.column("row_number") == [1, 2]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (None, "measured"),
        ("", "measured"),
        (21, "provisional"),
        (56, "substitute"),
        (36, "measured"),
        (81, "measured"),
        ("E01", "measured"),
        ("E05", "substitute"),
        (42, "provisional"),
        (46, "missing"),
        (41, "missing"),
    ],
)
def test_the_condition_is_the_rank_of_a_value(tmp_path, condition, status):
    assert read_text(tmp_path, document(series(observation(1, 5, condition)))).column("source_status") == [status]


def test_an_unknown_condition_is_no_measured_value(tmp_path):
    assert read_text(tmp_path, document(series(observation(1, 5, 99)))).reasons == ["unknown_status"]


def test_a_condition_within_its_code_list_is_read(tmp_path):
    stated = "<rsm:ebIXCode>56</rsm:ebIXCode>"
    assert read_text(tmp_path, document(series(observation(1, 5, stated)))).column("source_status") == ["substitute"]


@pytest.mark.parametrize(
    ("direction", "product", "unit", "expected"),
    [
        ("Consumption", f"<rsm:ebIXCode>{ACTIVE}</rsm:ebIXCode>", "KWH", ("1-1:1.29.0", "kWh")),
        ("Production", f"<rsm:ebIXCode>{ACTIVE}</rsm:ebIXCode>", "MWH", ("1-1:2.29.0", "MWh")),
        # Until version 15 the code stands in the element itself.
        ("Consumption", ACTIVE, "KWT", ("1-1:1.29.0", "kW")),
        ("Consumption", REACTIVE, "K3", ("1-1:3.29.0", "kvarh")),
        ("Production", REACTIVE, "K3", ("1-1:4.29.0", "kvarh")),
    ],
)
def test_direction_and_product_are_the_channel(tmp_path, direction, product, unit, expected):
    text = document(series(observation(1), direction=direction, product=product, unit=unit))
    (row,) = read_text(tmp_path, text).rows
    assert (row["obis_code"], row["unit"]) == expected


def test_energy_within_a_community_is_no_channel_unless_a_feed_says_so(tmp_path):
    text = document(series(observation(1), product=f"<rsm:VSENationalCode>{COMMUNITY}</rsm:VSENationalCode>"))
    result = read_text(tmp_path, text)
    assert result.reasons == ["missing_obis"]
    assert f"found 'consumption {COMMUNITY}'" in result.quarantine[0]["detail"]
    declared = feed("sdat_e66").model_dump()
    declared["obis"] |= {"mapping": {f"consumption {COMMUNITY}": "1-1:1.29.0*123"}}
    assert read_text(tmp_path, text, parse_feed(declared)).column("obis_code") == ["1-1:1.29.0*123"]


def test_an_exchange_between_areas_is_read_by_its_areas(tmp_path):
    areas = (
        "</rsm:VSENationalID><rsm:Direction><rsm:InArea><rsm:EICID>12Y-A</rsm:EICID></rsm:InArea><rsm:OutArea>"
        "<rsm:EICID>10YCH</rsm:EICID></rsm:OutArea></rsm:Direction></rsm:ExchangeMeteringPoint>"
    )
    text = document(series(observation(1), direction="Exchange")).replace(
        "</rsm:VSENationalID></rsm:ExchangeMeteringPoint>", areas
    )
    assert read_text(tmp_path, text).reasons == ["missing_obis"]
    declared = feed("sdat_e66").model_dump() | {"obis": {"column": "in_area", "mapping": {"12Y-A": "1-1:2.29.0"}}}
    assert read_text(tmp_path, text, parse_feed(declared)).column("obis_code") == ["1-1:2.29.0"]


def test_two_series_in_one_document_are_two_channels(tmp_path):
    text = document(series(observation(1, 1)), series(observation(1, 2), direction="Production"))
    result = read_text(tmp_path, text)
    assert [(row["obis_code"], row["value"]) for row in result.rows] == [("1-1:1.29.0", 1), ("1-1:2.29.0", 2)]
    assert result.column("row_number") == [1, 2]


def test_two_series_of_one_channel_contradict_each_other_and_a_repeated_one_does_no_harm(tmp_path):
    twice = document(series(observation(1, 1), observation(2, 5)), series(observation(1, 2), observation(2, "5.0")))
    result = read_text(tmp_path, twice)
    assert result.values == [5, 5]
    assert result.reasons == ["contradicting_rows"] * 2


def test_a_step_of_an_hour_and_one_of_five_minutes(tmp_path):
    hours = series(observation(1), observation(24), end="2026-03-01T23:00:00Z", step=1, step_unit="HUR")
    (first, last) = read_text(tmp_path, document(hours)).rows
    assert (first["interval_minutes"], last["interval_start"]) == (60, datetime(2026, 3, 1, 22, tzinfo=UTC))
    (row,) = read_text(tmp_path, document(series(observation(12), step=5))).rows
    assert (row["interval_minutes"], row["interval_start"]) == (5, datetime(2026, 2, 28, 23, 55, tzinfo=UTC))


@pytest.mark.parametrize(
    ("begin", "end", "slots"),
    [
        # The clocks go forward on 29 March 2026 and back on 26 October 2025.
        ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 92),
        ("2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z", 100),
        # The same in wall-clock time, of Zurich.
        ("2026-03-29T00:00:00", "2026-03-30T00:00:00", 92),
        ("2025-10-26T00:00:00", "2025-10-27T00:00:00", 100),
    ],
)
def test_days_of_a_change_of_the_clock_are_whole(tmp_path, begin, end, slots):
    text = document(series(*(observation(i, i) for i in range(1, slots + 1)), begin=begin, end=end))
    result = read_text(tmp_path, text)
    assert result.quarantine == []
    starts = result.column("interval_start")
    assert [later - earlier for earlier, later in pairwise(starts)] == ([timedelta(minutes=15)] * (slots - 1))
    assert len(set(result.column("day"))) == 1
    more = document(series(observation(slots + 1), begin=begin, end=end))
    assert read_text(tmp_path, more).quarantine[0]["detail"] == (
        f"expected a sequence from 1 to {slots}, found '{slots + 1}'"
    )


def test_observations_that_are_left_out_are_a_gap_and_their_order_does_not_matter(tmp_path):
    places = [i for i in range(1, 97) if not 9 <= i <= 40]
    random.Random(1).shuffle(places)
    text = document(series(*(observation(i, i) for i in places), end="2026-03-01T23:00:00Z"))
    result = read_text(tmp_path, text)
    assert result.quarantine == []
    midnight = datetime(2026, 2, 28, 23, tzinfo=UTC)
    expected = {midnight + timedelta(minutes=15 * (i - 1)): i for i in places}
    assert dict(zip(result.column("interval_start"), result.values, strict=True)) == expected


def test_an_observation_without_a_volume_is_missing_and_not_zero(tmp_path):
    text = document(series(observation(1, ""), observation(2, 0), observation(3, "", 46)))
    result = read_text(tmp_path, text.replace("<rsm:Volume></rsm:Volume>", "", 1))
    assert result.values == [None, 0, None]
    assert result.column("source_status") == ["missing", "measured", "missing"]


def test_a_series_without_any_observation_is_named_and_the_others_are_read(tmp_path):
    result = read_text(tmp_path, document(series(), series(observation(1))))
    assert result.values == [1]
    assert rejected(result) == [(1, "broken_record", 0)]
    assert result.quarantine[0]["detail"] == "expected 4 observations of the series, found none"
    assert POINT in result.quarantine[0]["payload"]


def test_every_row_of_quarantine_has_a_number_of_its_own(tmp_path):
    text = document(
        series(), series(observation("x")), series(), series(observation(1)), series(observation(1), step=0)
    )
    result = read_text(tmp_path, text)
    assert rejected(result) == [(number, "broken_record", rows) for number, rows in ((1, 0), (2, 1), (3, 0), (5, 1))]
    assert result.column("row_number") == [4]


@pytest.mark.parametrize("sequence", ["0", "5", "-1", "x", "", "1.0", "²", "9" * 5_000])
def test_a_wrong_sequence_takes_its_observation_alone(tmp_path, sequence):
    result = read_text(tmp_path, document(series(observation(1), observation(sequence, 7), observation(4))))
    assert len(result.values) == 2
    assert rejected(result) == [(2, "broken_record", 1)]
    assert result.quarantine[0]["detail"].startswith("expected a sequence from 1 to 4, found ")
    assert '"volume": "7"' in result.quarantine[0]["payload"]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"end": BEGIN}, f"expected an interval that ends after it begins, found '{BEGIN}' to '{BEGIN}'"),
        ({"begin": "soon"}, "expected an interval that ends after it begins, found 'soon' to '2026-03-01T00:00:00Z'"),
        ({"begin": "0001-01-01T00:00:00"}, "expected an interval that ends after it begins, found '0001-01-01T"),
        ({"end": "2026-03-01T00:10:00Z"}, "expected an interval of whole 15 minutes, found "),
        (
            {"begin": "2025-10-26T02:00:00", "end": "2025-10-26T03:00:00"},
            "expected times with an offset where the clocks change, found ",
        ),
        (
            {"begin": "2025-03-30T02:00:00", "end": "2025-03-30T04:00:00"},
            "expected times with an offset where the clocks change, found ",
        ),
        ({"step": "0"}, "expected a resolution in MIN or HUR, found '0' 'MIN'"),
        ({"step": ""}, "expected a resolution in MIN or HUR, found '' 'MIN'"),
        ({"step": "9" * 12}, "expected a resolution in MIN or HUR, found '999999999999' 'MIN'"),
        ({"step_unit": "MON", "step": 1}, "expected a resolution in MIN or HUR, found '1' 'MON'"),
    ],
)
def test_a_series_whose_times_cannot_be_read_is_refused_whole_and_the_others_are_read(tmp_path, changes, detail):
    bad = series(observation(1), observation(2), **changes)
    result = read_text(tmp_path, document(series(observation(1, 5)), bad, series(observation(2, 6))))
    assert result.values == [5, 6]
    assert result.column("row_number") == [1, 4]
    assert rejected(result) == [(2, "broken_record", 2)]
    assert result.quarantine[0]["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("<rsm:Volume>7</rsm:Volume>", "<rsm:Volume>7</rsm:Volume><rsm:Volume>8</rsm:Volume>", "Volume"),
        ("<rsm:Sequence>1</rsm:Sequence>", "<rsm:Sequence>1</rsm:Sequence><rsm:Sequence>2</rsm:Sequence>", "Sequence"),
        ("<rsm:Condition>56", "<rsm:Condition>21</rsm:Condition><rsm:Condition>56", "Condition"),
    ],
)
def test_an_observation_that_says_one_thing_twice_is_refused(tmp_path, old, new, name):
    text = document(series(observation(1, 7, 56), observation(2, 9)))
    result = read_text(tmp_path, text.replace(old, new))
    assert result.values == [9]
    assert rejected(result) == [(1, "broken_record", 1)]
    assert result.quarantine[0]["detail"] == f"expected one {name}, found several"


def test_openers_of_comments_without_an_end_are_looked_through_once(tmp_path):
    # From each of them on it would be hours.
    [row] = read_text(tmp_path, b"<a>" + b"<!-- " * 300_000).quarantine
    assert row["reason"] == "truncated_file"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (series(observation(1), unit="WTT"), "unknown_unit"),
        (series(observation(1), unit=""), "unknown_unit"),
        (series(observation(1), point=""), "missing_point"),
        (series(observation(1), product=""), "missing_obis"),
        (series(observation(1, "1,5")), "bad_number"),
        (series(observation(1, "NaN")), "not_a_number"),
        (series(observation(1, 10**15)), "value_out_of_range"),
        (series(observation(1), begin="1950-01-01T00:00:00Z", end="1950-01-01T01:00:00Z"), "day_out_of_range"),
        (series(observation(4), begin="2026-06-01T12:00:00Z", end="2026-06-01T13:00:00Z"), "future_stamp"),
    ],
)
def test_a_value_that_cannot_be_read(tmp_path, bad, reason):
    result = read_text(tmp_path, document(series(observation(1)), bad))
    assert rejected(result) == [(2, reason, 1)]
    assert '"sequence": ' in result.quarantine[0]["payload"]
    assert result.values == [1]


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("before", [LAUGHS, OUTSIDE])
def test_entities_are_refused(tmp_path, before):
    (row,) = read_text(tmp_path, document(series(observation(1, "&a;")), before=before)).quarantine
    assert (row["row_number"], row["reason"], row["value_cells"]) == (0, "forbidden_entity", 1)
    assert row["detail"].startswith("expected XML without entities of its own: EntitiesForbidden")


def test_a_file_that_breaks_off_gives_the_series_that_were_whole(tmp_path):
    text = document(series(observation(1), observation(2)), series(*(observation(i) for i in range(1, 5))))
    result = read_text(tmp_path, text[: text.rindex("<rsm:Volume>")])
    assert result.column("row_number") == [1, 2]
    assert rejected(result) == [(0, "truncated_file", 4)]


@pytest.mark.parametrize(
    ("text", "reason", "values"),
    [
        ("", "empty_file", 0),
        ("hello", "not_in_format", 0),
        (document(), "empty_file", 0),
        ("<a><b></a>", "truncated_file", 0),
        (document(series(observation(1)), kind="E31"), "not_in_format", 1),
        (document(series(observation(1)), status="1"), "not_in_format", 1),
        (document(series(observation(1))).replace("UTF-8", "klingon"), "bad_encoding", 1),
    ],
)
def test_what_is_no_document_of_values_is_refused_whole(tmp_path, text, reason, values):
    assert rejected(read_text(tmp_path, text)) == [(0, reason, values)]


def test_the_cancellation_of_a_document_says_what_to_do(tmp_path):
    result = read_text(tmp_path, document(series(observation(1)), status="1"))
    assert result.quarantine[0]["detail"].endswith("take that one back with `metrify drop withdraw`")


def test_observations_outside_of_a_series_are_counted_and_refused(tmp_path):
    result = read_text(tmp_path, document(series(observation(1)), observation(2), observation(3)))
    assert result.values == [1]
    assert rejected(result) == [(2, "broken_record", 2)]
    nested = observation(1).replace("</rsm:Observation>", f"{observation(2)}</rsm:Observation>")
    assert rejected(read_text(tmp_path, document(series(nested)))) == [(2, "broken_record", 1)]


def test_observations_in_comments_are_none(tmp_path):
    assert read_text(tmp_path, document(f"<!--{series(observation(1))}-->", series(observation(1)))).values == [1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read_and_counted(tmp_path, encoding):
    text = document(series(observation(1, 3))).replace("UTF-8", "UTF-16")
    mark = "" if encoding == "utf-16" else "\ufeff"
    assert read_text(tmp_path, (mark + text).encode(encoding)).values == [3]


@pytest.mark.parametrize(("prefix", "declaration"), [("ns0:", "xmlns:ns0="), ("", "xmlns=")])
def test_any_prefix_of_the_namespace_is_read(tmp_path, prefix, declaration):
    text = document(series(observation(1, 3))).replace("xmlns:rsm=", "@").replace("rsm:", prefix)
    assert read_text(tmp_path, text.replace("@", declaration)).values == [3]


def test_pieces_give_the_same_rows(tmp_path, monkeypatch):
    parts = [series(*(observation(i, i) for i in (1, 9, 2)), point=f"P{i}") for i in range(3)]
    text = document(*parts, series(observation(1), end=BEGIN), series(), series(observation(4)))
    whole = read_text(tmp_path, text)
    monkeypatch.setattr("metrify_assets.feeds.formats.e66_source.CHUNK_VALUES", 4)
    pieces = read_text(tmp_path, text)
    assert pieces.rows == whole.rows
    assert pieces.quarantine == whole.quarantine


def test_documents_in_a_zip_are_read_one_after_another(tmp_path):
    path = tmp_path / "a_E66_b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", document(series(observation(1, 1)), created="2026-03-03T05:00:00Z"))
        archive.writestr("b.xml", document(series(observation(2, 2)), created="2026-03-02T05:00:00Z"))
    assert read("sdat_e66", path).values == [2, 1]


PARTS = [series(observation(1)), series(), series(observation(2, "x"), observation("x")), observation(1), "<a/>"]
PARTS += [series(observation(1), step=7), series(observation(3), unit="?"), "<rsm:MeteringData/>"]


@settings(max_examples=examples(0.8))
@given(st.lists(st.sampled_from(PARTS), max_size=6), st.integers(min_value=0, max_value=60))
def test_every_observation_is_raw_or_quarantined(parts, cut):
    text = document(*parts)
    with TemporaryDirectory() as folder:
        read_text(Path(folder), text[: len(text) - cut * cut])
