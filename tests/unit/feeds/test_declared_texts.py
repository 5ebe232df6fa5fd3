"""Every text of a feed definition is tried when it is read: what is accepted never fails later."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrify_assets.errors import FeedError
from metrify_assets.feeds.catalogue import BUILT_IN, load_feed
from metrify_assets.feeds.model import FeedFormat, parse_feed
from tests.examples import examples
from tests.unit.feeds.reading import read, write

STAMP = {"columns": ["Datum", "Uhrzeit"], "timezone": "Europe/Berlin"}


def definition(folder, base: str, **changes):
    declared = yaml.safe_load((BUILT_IN / f"{base}.yaml").read_text(encoding="utf-8")) | changes
    path = folder / f"{base}.yaml"
    path.write_text(yaml.safe_dump(declared), encoding="utf-8")
    return path


def refused(path) -> str:
    with pytest.raises(FeedError) as caught:
        load_feed(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%d.%m.%Y %d %H:%M", "%d comes twice"),
        ("%d.%m.%Y %H:%M %q", "'q' is a bad directive"),
        ("%d.%m.%Y %H:%M %", "stray %"),
        ("%-d.%m.%Y %H:%M", "'-' is a bad directive"),
        ("%H:%M", "states no date"),
        ("%m %Y %H:%M", "states no date"),
        ("%d.%m.%Y %I:%M", "states no time"),
        ("%d.%m.%Y", "states no time"),
        ("%d.%m.%Y %H", "states no time"),
        ("%Y-%V-%a %H:%M", "'%V' is incompatible"),
    ],
)
def test_a_stamp_format_that_no_stamp_of_the_feed_can_have_is_refused(tmp_path, form, message):
    text = refused(definition(tmp_path, "meters_north", stamp=STAMP | {"format": form}))
    assert "stamp" in text
    assert message in text


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y %H:%M", "%d.%m.%y %I:%M %p", "%Y-%j %H:%M:%S", "%Y%m%d%H%M", "%Y-%m-%dT%H:%M:%S.%f%z", "%c"]
)
def test_a_stamp_format_that_tells_date_and_time_is_accepted(tmp_path, form):
    assert load_feed(definition(tmp_path, "meters_north", stamp=STAMP | {"format": form})).stamp.format == form


def test_a_day_of_values_or_full_hours_need_no_finer_stamps(tmp_path):
    daily = definition(tmp_path, "meters_north", stamp=STAMP | {"format": "%d.%m.%Y"}, interval_minutes=1440)
    assert load_feed(daily).interval_minutes == 1440
    hourly = definition(tmp_path, "meters_north", stamp=STAMP | {"format": "%d.%m.%Y %H"}, interval_minutes=60)
    assert load_feed(hourly).interval_minutes == 60


@pytest.mark.parametrize("zone", ["Europe", "", "x" * 300, "a\0b", "../Berlin", "tzdata.zi", "Europe/Bern1", " UTC"])
def test_a_text_that_is_no_time_zone_is_refused_however_it_fails(tmp_path, zone):
    assert "is no IANA time zone" in refused(definition(tmp_path, "meters_north", stamp=STAMP | {"timezone": zone}))


@pytest.mark.parametrize("encoding", ["hex", "rot13", "a\0b", "undefined", "punycode", "utf-7", "hz", "utf-99"])
def test_an_encoding_that_cannot_read_lines_of_text_is_refused(tmp_path, encoding):
    assert "encoding: " in refused(definition(tmp_path, "meters_north", encoding=encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "iso8859-15", "shift_jis"])
def test_an_encoding_of_text_is_accepted(tmp_path, encoding):
    assert load_feed(definition(tmp_path, "meters_north", encoding=encoding)).encoding == encoding


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        ("meters_north", {"delimiter": "§"}, "delimiter: "),
        ("meters_north", {"delimiter": "\n"}, "delimiter: "),
        ("meters_north", {"delimiter": '"'}, "delimiter: "),
        ("meters_north", {"delimiter": "5"}, "delimiter: "),
        ("meters_north", {"thousands": "5"}, "thousands: "),
        ("meters_north", {"thousands": "-"}, "thousands: "),
        ("meters_north", {"footer": [""]}, "footer"),
        ("meters_north", {"footer": ["Σ"], "encoding": "latin-1"}, "footer"),
        ("meters_north", {"header_noise": [""]}, "header_noise"),
        ("meters_north", {"files": "in/*.csv"}, "files: "),
        ("meters_north", {"files": ""}, "files: "),
        ("meters_north", {"files": "a.csv | b.csv"}, "files: "),
        ("meters_north", {"files": "a*.csv|"}, "files: "),
        ("meters_north", {"members": "x/*.csv"}, "members: "),
        ("meters_north", {"point": {"file_name": "(a"}}, "is no regular expression"),
        ("meters_north", {"point": {"file_name": "(a){99999999999}"}}, "is no regular expression"),
        ("meters_north", {"point": {"column": "Zaehlpunkt", "mapping": {"a": " "}}}, "point"),
        ("meters_north", {"point": {"column": "Zaehlpunkt", "default": ""}}, "point"),
        ("meters_north", {"obis": "1.29"}, "obis"),
        ("meters_north", {"obis": "import"}, "obis"),
        ("meters_north", {"obis": {"column": "OBIS", "mapping": {"W": "1-0:1.29.0 "}}}, "obis"),
        ("meters_north", {"unit": {"constant": "Wh", "prefix": "G"}}, "unit 'GWh' is unknown"),
        ("meters_north", {"settle_seconds": float("inf")}, "settle_seconds: "),
        ("opsd_household", {"substituted": {"column": "interpolated_values", "separator": ""}}, "substituted"),
        ("openweathermap_onecall", {"records": ["hourly["]}, "records"),
        ("openweathermap_onecall", {"records": ["a[].b"]}, "records"),
        ("openweathermap_onecall", {"records": ["a..b"]}, "records"),
        (
            "openweathermap_onecall",
            {"values": [{"column": "weather[0].t", "metric": "temperature_c"}]},
            "column 'weather[0].t'",
        ),
        ("openweathermap_onecall", {"values": [{"column": ".temp", "metric": "temperature_c"}]}, "column '.temp'"),
        ("openweathermap_onecall", {"stamp": {"columns": [""], "format": "unix"}}, "stamp.columns"),
        ("meters_mqtt", {"mqtt": {"topics": ["meters/\0/{point}/{obis}"]}}, "mqtt.topics"),
        ("registry_weather_stations", {"rename": {"Station\n": "station_id"}}, "rename.Station"),
    ],
)
def test_a_text_that_could_only_fail_later_is_refused_with_its_file_and_field(tmp_path, base, changes, message):
    assert message in refused(definition(tmp_path, base, **changes))


@pytest.mark.parametrize("name", ["kwh ", " kwh", "k\nwh"])
def test_a_column_name_that_no_header_can_have_is_refused(tmp_path, name):
    header = ["point", "start", name]
    declared = {"header": header, "values": [{"column": name}], "point": {"column": "point"}, "obis": "1-0:1.29.0"}
    stamp = {"columns": ["start"], "timezone": "UTC"}
    assert "header" in refused(definition(tmp_path, "meters_north", stamp=stamp, status=None, **declared))


def test_a_column_name_that_ends_with_what_is_not_looked_at_is_refused(tmp_path):
    declared = {"header": ["point", "start", "kwh [1]"], "header_noise": ["[1]"], "values": [{"column": "kwh [1]"}]}
    declared |= {"point": {"column": "point"}, "obis": "1-0:1.29.0", "status": None}
    text = refused(definition(tmp_path, "meters_north", stamp={"columns": ["start"]}, **declared))
    assert "header" in text
    assert "'kwh'" in text


@pytest.mark.parametrize(
    "content",
    [
        b"name: a\ndescription: 2026-02-30\n",
        b"name: a\ndescription: 0x_\n",
        b"name: \xff\n",
        b"a: &a [*a]\n",
        b"[" * 5_000,
        b"name: a\n1: b\n",
        b"? {a: b}\n: c\n",
    ],
)
def test_a_file_that_yaml_refuses_in_its_own_ways_is_one_line(tmp_path, content):
    refused(write(tmp_path, "a.yaml", content))


def test_a_definition_that_may_not_be_opened_is_one_line(tmp_path):
    (tmp_path / "a.yaml").mkdir()
    refused(tmp_path / "a.yaml")


def test_a_line_of_a_delimited_feed_is_read_by_what_was_accepted(tmp_path):
    """The definition is not only accepted: it reads."""
    path = definition(tmp_path, "meters_north", delimiter="|", thousands="'", encoding="cp1252")
    feed = load_feed(path)
    line = {"Zaehlpunkt": "Ä1", "OBIS": "1-0:1.29.0", "Datum": "02.03.2026", "Uhrzeit": "00:15"}
    cells = [line.get(name, "1'000,5" if name in feed.value_columns else "W") for name in feed.column_names]
    content = "|".join(feed.column_names) + "\n" + "|".join(cells) + "\n"
    result = read(feed, write(tmp_path, "x.csv", content.encode("cp1252")))
    assert (result.column("point_id"), [str(value) for value in result.values]) == (["Ä1"], ["1000.500000"])


NASTY = ["", " ", "%", "%d %d", "(", "[", "a|", "\0", "\n", "é", "24:00", "UTC", "[]", "a.b", "...", "hex", "*", "1e9"]


def leaves(declared, path=()):
    """Yield where the texts of a definition stand."""
    for key, value in declared.items() if isinstance(declared, dict) else enumerate(declared):
        if isinstance(value, str):
            yield (*path, key)
        elif isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


def replaced(declared, path, text):
    if len(path) == 1:
        copy = declared.copy()
        copy[path[0]] = text
        return copy
    return replaced(declared, path[:1], replaced(declared[path[0]], path[1:], text))


@settings(max_examples=examples(), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(BUILT_IN.glob("*.yaml"))), st.data())
def test_what_is_accepted_reads_any_file_without_an_exception(tmp_path, definition_path, data):
    declared = yaml.safe_load(definition_path.read_text(encoding="utf-8"))
    texts = st.sampled_from(NASTY) | st.text(max_size=6)
    changed = replaced(declared, data.draw(st.sampled_from(list(leaves(declared)))), data.draw(texts))
    try:
        feed = parse_feed(changed)
    except FeedError:
        return
    names = [*feed.column_names] or list(feed.used_columns)
    cells = ["2026-03-02T00:00:00Z", "01.03.2026 00:15", "1", "1,5", "", "x"]
    lines = [[data.draw(st.sampled_from(cells)) for _ in names] for _ in range(3)]
    if feed.format is FeedFormat.DELIMITED:
        content = "\n".join(feed.delimiter.join(line) for line in [names, *lines])
    elif feed.format is FeedFormat.JSON_DOCUMENT:
        content = json.dumps({"hourly": [dict(zip(names, line, strict=True)) for line in lines], "current": {"dt": 1}})
    else:
        content = "\n".join(json.dumps(dict(zip(names, line, strict=True))) for line in lines)
    read(feed, write(tmp_path, "x", content.encode(feed.encoding, "replace")))
