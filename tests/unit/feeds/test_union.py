"""Kind and format choose the class of a feed: its fields, its errors, its JSON schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from jsonschema.validators import validator_for

from metrify_assets.cli.main import cli
from metrify_assets.errors import FeedError
from metrify_assets.feeds.catalogue import BUILT_IN
from metrify_assets.feeds.model import (
    CLASSES,
    DelimitedFeed,
    GrammarFeed,
    ReadingsFeed,
    RegistryFeed,
    StreamFeed,
    feed_schema,
    parse_feed,
)
from metrify_assets.landing.preview import preview
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from tests.unit.feeds.reading import feed

DIGESTS = {
    "meters_north": "298be921997db803",
    "meters_mqtt": "90c34a5a432ae067",
    "mscons_ch": "8a3d606081ed4320",
    "openweathermap_onecall": "92854f3efbb78259",
    "registry_points": "be2edd558aca28c4",
    "smard_load": "21125a10fe9e1cdd",
}
"""As they were when a feed was one class with all fields: a changed digest reads every drop of a feed again."""


def declared(name: str) -> dict:
    return yaml.safe_load((BUILT_IN / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator():
    schema = feed_schema()
    validator_class = validator_for(schema)
    validator_class.check_schema(schema)
    return validator_class(schema)


def test_a_feed_has_the_class_of_its_kind_and_format():
    assert isinstance(feed("meters_north"), DelimitedFeed)
    assert isinstance(feed("meters_north"), ReadingsFeed)
    assert isinstance(feed("nem12"), GrammarFeed)
    assert isinstance(feed("registry_points"), RegistryFeed)
    assert not isinstance(feed("meters_west"), StreamFeed | DelimitedFeed)
    for path in BUILT_IN.glob("*.yaml"):
        definition = declared(path.stem)
        assert type(feed(path.stem)) is CLASSES[definition["kind"], definition["format"]]


def test_there_is_a_class_for_each_kind_and_each_format_that_can_carry_it():
    text = ("delimited", "json_lines", "json_document", "parquet", "stream", "plugin")
    own = ("mscons", "nem12", "espi", "e66", "esl")
    expected = {("readings", name) for name in (*text, *own)}
    expected |= {(kind, name) for kind in ("grid_status", "weather", "power_quality") for name in text}
    expected |= {("registry", name) for name in ("delimited", "json_lines", "parquet")}
    assert set(CLASSES) == expected


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_of_a_definition_is_what_it_always_was(name):
    assert feed(name).digest == DIGESTS[name]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "meters_south",
            {"delimiter": ";"},
            "delimiter belongs to delimited feeds: use format delimited, not json_lines",
        ),
        ("meters_north", {"rename": {}}, "rename belongs to registry feeds: leave it out of a readings feed"),
        ("meters_north", {"control_counts": False}, "control_counts belongs to mscons feeds: use format mscons"),
        (
            "meters_north",
            {"values": [{"column": "kWh", "unit": "MWh"}]},
            "values.0.unit belongs to grid_status, weather and power_quality feeds: leave it out of a readings feed",
        ),
        ("meters_north", {"values": [{"column": "kWh", "unti": "MWh"}]}, "values.0.unti: there is no such field"),
        (
            "registry_points",
            {"format": "json_document"},
            "format: a registry feed comes as 'delimited', 'json_lines' or",
        ),
        ("grid_status", {"format": "mscons"}, "format: a grid_status feed comes as 'delimited', 'json_lines', "),
        ("registry_points", {"registry": None}, "registry: Input should be 'points', 'meters'"),
        (
            "meters_north",
            {"kind": ["readings"]},
            "kind: use one of 'readings', 'grid_status', 'weather', 'power_quality' or 'registry'",
        ),
    ],
)
def test_a_field_that_a_feed_cannot_have_is_named_with_where_it_belongs(name, changes, message):
    with pytest.raises(FeedError) as caught:
        parse_feed(declared(name) | changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("meters_north", "kind", "kind: is missing: add it"),
        ("meters_north", "format", "format: is missing: add it"),
        ("meters_north", "name", "name: is missing: add it"),
        ("meters_north", "header", "a delimited feed needs header: add it"),
        ("weather_stations_hourly", "station", "a weather feed needs station: add it"),
        ("openweathermap_hours", "records", "a json_document feed needs records: add it"),
        ("registry_points", "registry", "a registry feed needs registry: add it, one of points, meters, registers"),
    ],
)
def test_a_field_that_is_missing_is_named_with_what_needs_it(name, field, message):
    definition = declared(name)
    del definition[field]
    with pytest.raises(FeedError) as caught:
        parse_feed(definition)
    assert str(caught.value).startswith(message)


def test_energy_of_rows_of_different_length_is_refused_when_the_definition_is_read():
    """Nothing says by which hours to divide before the rows are read."""
    lengths = {"header": ["start", "minutes", "mwh"], "stamp": {"columns": ["start"]}, "metric": "load_mw"}
    lengths |= {"interval_minutes": {"column": "minutes"}, "control_area": "DE"}
    grid = declared("grid_status") | lengths
    with pytest.raises(FeedError, match="needs interval_minutes as a number: give it, or deliver a rate"):
        parse_feed(grid | {"values": [{"column": "mwh", "unit": "MWh"}]})
    assert parse_feed(grid | {"values": [{"column": "mwh", "unit": "kW"}]}).values_per_row == 1


def test_weather_of_rows_of_different_length_is_previewed(tmp_path):
    definition = declared("weather_stations_hourly") | {
        "name": "my_weather",
        "header": ["station_id", "observed_at", "minutes", "temperature_c"],
        "interval_minutes": {"column": "minutes"},
        "values": [{"column": "temperature_c", "metric": "temperature_c"}],
    }
    path = tmp_path / "w.csv"
    path.write_text(
        "station_id,observed_at,minutes,temperature_c\nS,2026-03-01T00:00Z,60,1\nS,2026-03-01T01:00Z,10,2\n"
    )
    platform = Platform(Settings(root=tmp_path / "root"))
    result = preview(platform, parse_feed(definition), path, 5, lambda *_: set())
    assert result.counts["raw_values"] == 2


def test_every_built_in_definition_is_as_the_published_schema_says(validator):
    for path in sorted(BUILT_IN.glob("*.yaml")):
        problems = [problem.message for problem in validator.iter_errors(declared(path.stem))]
        assert not problems, path.name


@pytest.mark.parametrize(
    "changes",
    [
        {"delimter": ";"},
        {"kind": "reading"},
        {"station": "x"},
        {"mqtt": {"topics": ["a"]}},
        {"decimal": ";"},
        {"unit": 1},
    ],
)
def test_the_published_schema_refuses_a_wrong_field(validator, changes):
    assert validator.is_valid(declared("meters_north"))
    assert not validator.is_valid(declared("meters_north") | changes)


def test_the_schema_takes_short_texts_numbers_as_sentinels_and_times_without_an_offset(validator):
    north = declared("meters_north") | {"unit": {"constant": "kWh"}, "sentinels": [-999, "n/a"]}
    assert validator.is_valid(north)
    assert parse_feed(north).sentinels == ("-999", "n/a")
    changed_clock = declared("dwd_10min_ff")
    assert validator.is_valid(changed_clock)
    changed_clock["stamp"]["earlier"]["before"] = "2000-01-01T00:00:00Z"
    assert not validator.is_valid(changed_clock)


def test_the_command_prints_the_schema_or_writes_it():
    runner = CliRunner()
    printed = runner.invoke(cli, ["feed", "schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == feed_schema()
    with runner.isolated_filesystem():
        written = runner.invoke(cli, ["feed", "schema", "--write", "feed.schema.json"])
        assert json.loads(Path("feed.schema.json").read_text(encoding="utf-8")) == feed_schema()
    assert "# yaml-language-server: $schema=feed.schema.json" in written.stdout
