"""Feed definitions: what they may say, and the errors of those that are wrong."""

from __future__ import annotations

import pytest
import yaml

from metrify_assets.errors import FeedError
from metrify_assets.feeds.catalogue import BUILT_IN, get_feed, load_feed, load_feeds
from metrify_assets.feeds.model import MqttSource
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from tests.unit.feeds.reading import feed

BUILT_IN_NAMES = [
    "amprion_demand",
    "amprion_vertical_load",
    "amprion_wind",
    "day_ahead_prices",
    "dwd_10min_ff",
    "dwd_10min_rr",
    "dwd_10min_sd",
    "dwd_10min_tu",
    "dwd_hourly_ff",
    "dwd_hourly_n",
    "dwd_hourly_rr",
    "dwd_hourly_st",
    "dwd_hourly_tu",
    "entsoe_load",
    "green_button",
    "grid_status",
    "lastgang",
    "lastgang_end_stamped",
    "lcl_halfhourly",
    "manual_edits",
    "meters_east",
    "meters_five_minute",
    "meters_hourly",
    "meters_mqtt",
    "meters_north",
    "meters_south",
    "meters_west",
    "mscons_ch",
    "mscons_ch_99a",
    "mscons_de",
    "nem12",
    "netztransparenz_solar",
    "netztransparenz_wind",
    "openweathermap_current",
    "openweathermap_history",
    "openweathermap_hours",
    "openweathermap_onecall",
    "opsd_grid",
    "opsd_grid_forecast",
    "opsd_household",
    "opsd_wind",
    "power_quality",
    "registers_daily",
    "registry_meters",
    "registry_operators",
    "registry_outages",
    "registry_points",
    "registry_registers",
    "registry_weather_stations",
    "sdat_e66",
    "sdat_esl",
    "smard_chart",
    "smard_generation",
    "smard_load",
    "transnetbw_wind",
    "weather_stations_hourly",
]


def test_the_built_in_feeds_load():
    assert list(load_feeds(Settings())) == BUILT_IN_NAMES


def test_an_unknown_feed_names_the_known_ones():
    with pytest.raises(FeedError, match=r"unknown feed 'nord': use one of .*meters_north"):
        get_feed(load_feeds(Settings()), "nord")


def changed(tmp_path, **changes):
    declared = yaml.safe_load((BUILT_IN / "meters_north.yaml").read_text(encoding="utf-8"))
    for name, value in changes.items():
        if value is None:
            del declared[name]
        else:
            declared[name] = value
    path = tmp_path / f"{declared.get('name', 'x')}.yaml"
    path.write_text(yaml.safe_dump(declared), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delimter": ";"}, "delimter: there is no such field"),
        ({"kind": "reading"}, "kind: .*'readings'.*found 'reading'"),
        ({"description": None}, "description: is missing: add it"),
        ({"decimal": ";"}, "decimal: "),
        ({"encoding": "utf-99"}, "encoding: 'utf-99' is no encoding"),
        ({"encoding": "utf-32"}, "does not keep ASCII"),
        ({"header": ["a", "b"]}, "no such column in the header: Datum"),
        ({"header": False}, "header: false needs columns"),
        ({"unit": "kVA"}, "unit 'kVA' is unknown; use one of kWh"),
        ({"status": {"column": "Status", "mapping": {"W": "true"}}}, "status 'true' is unknown"),
        ({"point": {"column": "Zaehlpunkt", "constant": "x"}}, "exactly one of column, constant and file_name"),
        ({"point": {"file_name": "north"}}, "exactly one group"),
        ({"point": None}, "give point either for the feed, or for every one of its values"),
        ({"obis": None}, "give obis"),
        ({"unit": None}, "a readings feed needs unit"),
        ({"stamp": None}, "a readings feed needs stamp"),
        ({"interval_minutes": 0}, "interval_minutes: "),
        ({"stamp": {"columns": ["Datum"], "timezone": "Europe/Bern1"}}, "no IANA time zone"),
        ({"stamp": {"columns": ["Datum"], "format": "dd.mm.yyyy"}}, "strptime format"),
        ({"stamp": {"columns": ["Datum"], "ends": "instant"}}, "say marks: end"),
    ],
)
def test_a_wrong_definition_names_file_field_and_remedy_in_one_line(tmp_path, changes, message):
    path = changed(tmp_path, **changes)
    with pytest.raises(FeedError, match=message) as caught:
        load_feed(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["a: [", "just text", "", "\t- x"])
def test_a_file_that_is_no_definition_is_named(tmp_path, content):
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(FeedError, match=r"broken\.yaml: ") as caught:
        load_feed(path)
    assert "\n" not in str(caught.value)


def test_feeds_of_the_installation_come_beside_the_built_in_ones(tmp_path):
    changed(tmp_path, name="my_feed")
    feeds = load_feeds(Settings(feeds_dir=tmp_path))
    assert set(feeds) == {*BUILT_IN_NAMES, "my_feed"}


def test_a_second_definition_of_a_name_is_named_and_the_built_in_one_stays(tmp_path):
    path = changed(tmp_path, description="a second one of that name")
    feeds = load_feeds(Settings(feeds_dir=tmp_path))
    assert feeds.broken == {"meters_north": f"{path}: a feed 'meters_north' exists already: choose another name"}
    assert get_feed(feeds, "meters_north") == feed("meters_north")


def test_a_broken_definition_stops_no_other_feed_and_says_what_is_wrong_where_it_is_asked_for(tmp_path):
    changed(tmp_path, name="my_feed")
    (tmp_path / "torn.yaml").write_text("name: [")
    changed(tmp_path, name="odd", stamp={"columns": ["Datum", "Uhrzeit"], "format": "%d.%m.%Y %d %H:%M"})
    feeds = load_feeds(Settings(feeds_dir=tmp_path))
    assert set(feeds) == {*BUILT_IN_NAMES, "my_feed"}
    assert list(feeds.broken) == ["odd", "torn"]
    assert get_feed(feeds, "my_feed").name == "my_feed"
    with pytest.raises(FeedError, match=r"odd\.yaml: stamp\.format: .*%d comes twice"):
        get_feed(feeds, "odd")


def test_a_definition_that_is_corrected_is_known_to_the_next_look(tmp_path):
    platform = Platform(Settings(root=tmp_path / "root", feeds_dir=tmp_path))
    path = tmp_path / "my_feed.yaml"
    path.write_text("name: [")
    platform.look_at_feeds()
    assert list(platform.feeds.broken) == ["my_feed"]
    changed(tmp_path, name="my_feed")
    platform.look_at_feeds()
    assert "my_feed" in platform.feeds
    assert not platform.feeds.broken
    path.unlink()
    platform.look_at_feeds()
    assert "my_feed" not in platform.feeds


def test_a_feeds_folder_that_is_absent_is_an_error(tmp_path):
    with pytest.raises(FeedError, match="METRIFY_FEEDS_DIR"):
        load_feeds(Settings(feeds_dir=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mqtt": {"topics": []}}, "mqtt.topics"),
        ({"mqtt": {"topics": ["a/#/b"]}}, "'#' is no level"),
        ({"mqtt": {"topics": ["{point}/{obis}", "meters/{point}"]}}, r"'meters/{point}' has no level {obis}"),
        ({"format": "parquet"}, "use format json_lines, not parquet"),
    ],
)
def test_topics_that_the_feed_cannot_read_are_told(tmp_path, changes, message):
    declared = yaml.safe_load((BUILT_IN / "meters_mqtt.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "meters_mqtt.yaml"
    path.write_text(yaml.safe_dump(declared | changes), encoding="utf-8")
    with pytest.raises(FeedError, match=message):
        load_feed(path)


def test_topics_play_no_part_in_how_lines_are_read():
    published = feed("meters_mqtt")
    elsewhere = published.model_copy(update={"mqtt": MqttSource(topics=("elsewhere/{point}/{obis}",))})
    assert published.digest == elsewhere.digest
    # Messages keep their order, so the last counts: as in a file whose feed says so.
    assert published.digest == published.model_copy(update={"mqtt": None, "repeated_rows": "last"}).digest


def test_the_digest_holds_which_rows_count_and_only_where_it_is_not_the_last():
    north, smard, grid, refusing = map(feed, ("meters_north", "smard_load", "grid_status", "amprion_demand"))
    assert north.counting_rows == refusing.counting_rows == "refuse"
    assert smard.counting_rows == grid.counting_rows == "last"
    digests = {north.model_copy(update={"repeated_rows": rows}).digest for rows in ("refuse", "last", "first")}
    assert len(digests) == 3
    assert north.digest == north.model_copy(update={"repeated_rows": "refuse"}).digest
    assert grid.digest == grid.model_copy(update={"repeated_rows": "last"}).digest


def test_the_digest_follows_what_affects_reading_and_nothing_else():
    north = feed("meters_north")
    assert north.digest == load_feed(BUILT_IN / "meters_north.yaml").digest
    assert north.digest == north.model_copy(update={"description": "other", "settle_seconds": 60.0}).digest
    assert north.digest != north.model_copy(update={"decimal": "."}).digest


def test_a_feed_accepts_names_by_pattern_with_or_without_gz():
    north = feed("meters_north")
    assert north.accepts("north_2026-03-01.csv")
    assert north.accepts("sub/north_2026-03-01.csv.gz")
    assert not north.accepts("south_2026-03-01.csv")
