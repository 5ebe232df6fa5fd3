"""Feeds of power quality: channels and units by column, by row and by definition, and what of them is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import parse_feed
from metrify_assets.feeds.values.conversions import units_of
from metrify_assets.schemas.power_quality import RANGES
from tests.unit.feeds.reading import read, write

WIDE = {
    "name": "wide",
    "description": "Three voltages and a current in one row.",
    "kind": "power_quality",
    "format": "delimited",
    "header": ["meter", "time", "u1", "u2", "i1"],
    "stamp": {"columns": ["time"]},
    "interval_minutes": 15,
    "point": {"column": "meter"},
    "values": [
        {"column": "u1", "obis": "1-0:32.7.0", "unit": "V"},
        {"column": "u2", "obis": "1-0:52.7.0", "unit": "kV"},
        {"column": "i1", "obis": "1-0:31.7.0", "unit": "mA"},
    ],
}


def test_one_row_gives_every_channel_its_value_and_unit(tmp_path):
    content = b"meter,time,u1,u2,i1\nA,2026-03-10T00:00:00Z,230.1,0.2295,\nB,2026-03-10T00:00:00Z,x,0.231,5000\n"
    result = read(parse_feed(WIDE), write(tmp_path, "wide.csv", content))
    assert [(row["point_id"], row["obis_code"], row["value"], row["unit"]) for row in result.rows] == [
        ("A", "1-0:32.7.0", Decimal("230.1"), "V"),
        ("A", "1-0:52.7.0", Decimal("0.2295"), "kV"),
        ("A", "1-0:31.7.0", None, "mA"),
        ("B", "1-0:52.7.0", Decimal("0.231"), "kV"),
        ("B", "1-0:31.7.0", Decimal(5000), "mA"),
    ]
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (2, "bad_number", 1)
    ]
    assert result.report.delivered_values == 6


def test_the_unit_of_the_feed_serves_all_its_voltages(tmp_path):
    values = [{"column": "u1", "obis": "1-0:32.7.0"}, {"column": "u2", "obis": "1-0:52.7.0"}]
    declared = {**WIDE, "values": values, "unit": {"column": "i1", "mapping": {"Volt": "V", "Ampere": "A"}}}
    content = b"meter,time,u1,u2,i1\nA,2026-03-10T00:00:00Z,230,231,Volt\nA,2026-03-10T00:15:00Z,230,231,Ampere\n"
    result = read(parse_feed(declared), write(tmp_path, "wide.csv", content))
    assert [row["value"] for row in result.rows] == [230, 231]
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (2, "wrong_unit", 2)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": [{"column": "u1", "obis": "1-0:1.29.0", "unit": "V"}]}, "is no voltage, current, power factor"),
        ({"values": [{"column": "u1", "obis": "1-0:32.7.0", "unit": "A"}]}, "unit 'A' of u1 does not measure"),
        ({"values": [{"column": "u1", "obis": "1-0:32.7.0", "unit": "kWh"}]}, "unit 'kWh' is unknown; use one of V"),
        ({"values": [{"column": "u1", "obis": "1-0:32.7.0"}]}, "give unit either for the feed, or for every one"),
        ({"obis": "1-0:32.7.0"}, "give obis either for the feed, or for every one"),
        ({"point": None}, "give point either for the feed, or for every one"),
        ({"reading": "register"}, "reading belongs to readings feeds: leave it out of a power_quality feed"),
    ],
)
def test_a_definition_that_measures_nothing_is_refused_in_one_line(changes, message):
    with pytest.raises(FeedError) as caught:
        parse_feed(WIDE | changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_unit_that_may_be_delivered_can_be_converted():
    for declared in RANGES.values():
        assert declared.delivered_units == units_of(declared.unit)
        assert declared.valid[0] <= declared.normal[0] <= declared.nominal <= declared.normal[1] <= declared.valid[1]
