"""Pulled sources against a server that mimics the weather service, SMARD and OpenWeatherMap: what lands, and when not.

The servers of the sources cannot be reached from a test; their layouts of addresses and answers are mimicked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import dagster as dg
import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.days.digests import Digests
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.errors import PullError
from metrify_assets.landing.ingest import ingest
from metrify_assets.orchestration.assets.pulled import pulled_assets
from metrify_assets.orchestration.automation.schedules import pull_schedules
from metrify_assets.orchestration.automation.sensors import RANGE_END, RANGE_START
from metrify_assets.orchestration.partitions import delivery_days
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.settings import Settings
from metrify_assets.sources.http import dwd
from metrify_assets.sources.http.client import HttpClient
from metrify_assets.sources.http.run import pull_day
from tests.integration.web import Reply, Web, web_server
from tests.unit.sources.http.test_token_bucket import FakeClock

DAY = date(2026, 3, 28)
SPRING = date(2026, 3, 29)
SECRET = "geheim0815"
ZIP = "application/zip"
TU = "/dwd/hourly/air_temperature/recent/stundenwerte_TU_{}_akt.zip"


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def platform(tmp_path, web, monkeypatch) -> Platform:
    monkeypatch.setenv("METRIFY_OPENWEATHERMAP_KEY", SECRET)
    return Platform(settings_of(tmp_path, web))


def settings_of(root, web: Web, **changes) -> Settings:
    chosen = {
        "dwd_url": f"{web.url}/dwd",
        "dwd_stations": "161,1766",
        "smard_url": f"{web.url}/smard/",
        "smard_series": "410:50Hertz",
        "openweathermap_url": f"{web.url}/owm",
        "openweathermap_stations": "berlin:52.52:13.40",
    }
    return Settings(root=root / "metrify", **(chosen | changes))


def pull(platform: Platform, source: str, day: date = DAY):
    return pull_day(platform, source, day, HttpClient(clock=FakeClock()))


def files(platform: Platform) -> dict[str, bytes]:
    """Return everything below the root."""
    root = platform.settings.root
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def landed(platform: Platform) -> dict[str, bytes]:
    """Return the bytes in the landing zone by the names that they came under, without what servers said of them."""
    contents = {
        name.rpartition("/")[2].partition("-")[2]: content
        for name, content in files(platform).items()
        if name.startswith("landing/") and "/validators/" not in name
    }
    return {name: content for name, content in contents.items() if name}


# Weather service


def station_line(station: int, moment: datetime, temperature: float = 5.0, quality: int = 1) -> str:
    return f"{station:>11};{moment:%Y%m%d%H};{quality:>5};{temperature:6.1f};  80.0;eor"


def station_zip(station: int, **changes) -> bytes:
    """Return four days of a station, in UTC, as the weather service packs them."""
    hours = [datetime(2026, 3, 27, tzinfo=UTC) + timedelta(hours=i) for i in range(96)]
    lines = ["STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor", *(station_line(station, hour, **changes) for hour in hours)]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # With a time of their own, so that the same content is the same zip.
        for name, text in (
            (f"Metadaten_Geographie_{station:05}.txt", "Stations_id;Stationshoehe\n"),
            (f"produkt_tu_stunde_20241001_20260330_{station:05}.txt", "\r\n".join([*lines, ""])),
        ):
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def serve_stations(web: Web, *stations: int, etag: str = '"1"', **changes) -> None:
    for station in stations:
        body = station_zip(station, **changes)
        web.answer(TU.format(f"{station:05}"), Reply(body=body, type=ZIP, headers={"ETag": etag}))


def test_a_day_of_stations_is_the_zip_as_it_came_and_a_drop_of_its_lines(platform, web):
    serve_stations(web, 161, 1766)
    pulled = pull(platform, "dwd")
    names = [f"dwd_hourly_tu/produkt_tu_stunde_{station}_2026-03-28.txt" for station in ("00161", "01766")]
    assert (pulled.landed, pulled.unchanged, pulled.failed) == (names, [], [])
    contents = landed(platform)
    assert contents["stundenwerte_TU_00161_akt.zip"] == station_zip(161)
    # 28 March 2026 in Berlin is 23:00 UTC of the day before to 22:00 UTC.
    hours = [datetime(2026, 3, 27, 23, tzinfo=UTC) + timedelta(hours=i) for i in range(24)]
    lines = ["STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor", *(station_line(161, hour) for hour in hours), ""]
    assert contents["produkt_tu_stunde_00161_2026-03-28.txt"].decode() == "\n".join(lines)
    assert [drop.name for drop in pulled.drops] == [name.partition("/")[2] for name in names]


def test_pulled_bytes_are_stored_once(platform, web):
    serve_stations(web, 161)
    web.answer(PATH, Reply(body=smard_week(167, 120)))
    web.answer("/owm", Reply(body=history(datetime(2026, 3, 28, tzinfo=UTC))))
    for source in ("dwd", "smard", "openweathermap"):
        pull(platform, source)
        pull(platform, source)
    kept = [content for name, content in files(platform).items() if not name.startswith(("lake/", "ledger/"))]
    assert len(kept) == len(set(kept))
    assert [kept.count(body) for body in (station_zip(161), smard_week(167, 120))] == [1, 1]
    assert not platform.settings.inbox.exists()


def test_bytes_that_were_withdrawn_stay_so_until_the_source_has_others(platform, web):
    serve_stations(web, 161)
    (drop,) = pull(platform, "dwd").drops
    platform.ledger.withdraw(drop, "the station stood in the sun")
    assert pull(platform, "dwd").unchanged == ["dwd_hourly_tu/produkt_tu_stunde_00161_2026-03-28.txt"]
    assert platform.ledger.view().active == {}
    serve_stations(web, 161, etag='"2"', temperature=4.0)
    (other,) = pull(platform, "dwd").drops
    assert list(platform.ledger.view().active) == [other.key]


def test_bytes_that_come_back_after_others_count_again(platform, web):
    ids = []
    for etag, temperature in (('"1"', 5.0), ('"2"', 6.0), ('"3"', 5.0)):
        serve_stations(web, 161, etag=etag, temperature=temperature)
        ids += [drop.drop_id for drop in pull(platform, "dwd").drops]
    assert len(ids) == 3
    assert ids[2] == f"{ids[0]}.2"
    assert [drop for _, drop in platform.ledger.view().active] == [ids[2]]


def test_bytes_that_a_person_landed_before_are_a_redelivery(platform, web):
    web.answer(PATH, Reply(body=smard_week(167, 120)))
    file = platform.settings.inbox / "smard_chart" / "smard_410_50Hertz_hour_2026-03-23.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(smard_week(167, 120))
    (inbox_file,) = platform.inbox.scan(platform.feeds, SYSTEM_CLOCK.now() + 10_000_000).files
    ingest(platform, inbox_file)
    pulled = pull(platform, "smard")
    assert (len(pulled.unchanged), len(platform.ledger.view().drops)) == (1, 1)


def test_pulling_again_changes_nothing_and_asks_for_nothing_that_is_known(platform, web):
    serve_stations(web, 161, 1766)
    pull(platform, "dwd")
    before = files(platform)
    stamps = {path: path.stat().st_mtime_ns for path in platform.settings.landing.rglob("*")}
    again = pull(platform, "dwd")
    assert (len(again.landed), len(again.unchanged)) == (0, 2)
    assert files(platform) == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert [headers.get("If-None-Match") for _, headers in web.asked] == [None, None, '"1"', '"1"']


def test_another_day_comes_from_the_zip_that_is_landed(platform, web):
    serve_stations(web, 161)
    pull(platform, "dwd")
    pulled = pull(platform, "dwd", SPRING)
    assert pulled.landed == ["dwd_hourly_tu/produkt_tu_stunde_00161_2026-03-29.txt"]
    lines = landed(platform)[pulled.landed[0].partition("/")[2]].splitlines()
    assert len(lines) - 1 == 23
    assert len([name for name in files(platform) if name.endswith(".zip")]) == 1


def test_what_was_pulled_is_read_as_the_weather_of_the_day(platform, web):
    serve_stations(web, 161, 1766)
    assert len(pull(platform, "dwd").drops) == 2
    compute_weather(platform, DAY, Digests(platform))
    rows = platform.lake.read(platform.lake.manifest("clean_weather", DAY), CLEAN_WEATHER.arrow).to_pylist()
    assert {(row["station_id"], row["temperature_c"], row["quality"]) for row in rows} == {
        ("dwd-161", 5.0, "1"),
        ("dwd-1766", 5.0, "1"),
    }
    assert len(rows) == 48
    assert pull(platform, "dwd").drops == []


def test_a_day_that_was_checked_since_is_a_later_version(platform, web):
    serve_stations(web, 161)
    pull(platform, "dwd")
    serve_stations(web, 161, etag='"2"', temperature=6.5, quality=3)
    assert len(pull(platform, "dwd").drops) == 1
    compute_weather(platform, DAY, Digests(platform))
    rows = platform.lake.read(platform.lake.manifest("clean_weather", DAY), CLEAN_WEATHER.arrow).to_pylist()
    assert {(row["temperature_c"], row["quality"]) for row in rows} == {(6.5, "3")}
    # Both zips are kept as they came.
    assert len([name for name in files(platform) if name.endswith(".zip")]) == 2


def test_the_failure_of_one_station_does_not_lose_the_others(platform, web):
    serve_stations(web, 1766)
    pulled = pull(platform, "dwd")
    assert pulled.landed == ["dwd_hourly_tu/produkt_tu_stunde_01766_2026-03-28.txt"]
    (failed,) = pulled.failed
    assert failed.startswith("tu 00161: ")
    assert failed.endswith("does not exist (404): check station, series and day")
    with pytest.raises(PullError, match=r"^1 of 2 were not pulled: tu 00161: "):
        pulled.raise_if_failed()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"PK\x03\x04 broken", "expected a whole zip file"),
        (b"no zip at all", "expected 'STATIONS_ID;MESS_DATUM"),
    ],
)
def test_a_zip_that_is_none_is_kept_and_named(platform, web, body, reason):
    web.answer(TU.format("00161"), Reply(body=body, type=ZIP))
    failed = pull(platform, "dwd").failed[0]
    assert reason in failed
    assert "\n" not in failed
    assert list(landed(platform).values()) == [body]
    assert platform.ledger.view().drops == {}


def test_a_day_that_the_zip_does_not_hold_is_said_to_be_missing(platform, web):
    serve_stations(web, 161)
    failed = pull(platform, "dwd", date(2026, 4, 9)).failed[0]
    assert "has no row of 2026-04-09: try again later" in failed


def test_a_day_that_the_zip_holds_in_part_is_taken_in_and_said_to_be_unfinished(platform, web):
    # The zips end at 23:00 UTC of the 30th, which is 01:00 of the 31st in Berlin.
    serve_stations(web, 161, 1766)
    last = date(2026, 3, 31)
    pulled = pull(platform, "dwd", last)
    for failed in pulled.failed:
        assert failed.endswith("ends before 2026-03-31 does: what it has is taken in, try again later for the rest")
    assert {drop.name: drop.counts["rows"] for drop in pulled.drops} == {
        "produkt_tu_stunde_00161_2026-03-31.txt": 2,
        "produkt_tu_stunde_01766_2026-03-31.txt": 2,
    }
    assert pull(platform, "dwd", date(2026, 3, 30)).failed == []


def test_a_zip_that_breaks_off_is_never_landed(platform, web):
    whole = station_zip(161)
    web.answer(TU.format("00161"), Reply(body=whole, type=ZIP, cut=len(whole) - 1))
    assert "breaks off" in pull(platform, "dwd").failed[0]
    assert files(platform) == {}
    web.answer(TU.format("00161"), Reply(body=whole, type=ZIP))
    assert len(pull(platform, "dwd").landed) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("moment", ["zip", "validators", "lines", "parts", "record"])
def test_a_process_killed_in_the_middle_leaves_nothing_half(platform, web, monkeypatch, moment):
    serve_stations(web, 161)
    kinds = {
        ".zip": "zip",
        "/validators/": "validators",
        ".txt": "lines",
        "lake/raw_weather": "parts",
        "ledger/": "record",
    }
    keep = type(platform.store).keep

    def dying_keep(self, temporary, key):
        if moment == next((kind for part, kind in kinds.items() if part in key), None):
            raise Killed
        keep(self, temporary, key)

    with monkeypatch.context() as dying:
        dying.setattr(type(platform.store), "keep", dying_keep)
        with pytest.raises(Killed):
            pull(platform, "dwd")
    assert platform.ledger.view().drops == {}
    (drop,) = pull(platform, "dwd").drops
    assert drop.counts["raw_values"] == 48
    assert pull(platform, "dwd").drops == []
    stored = [content for name, content in files(platform).items() if name.startswith("landing/")]
    assert len(stored) == len(set(stored)) == 3


def test_a_process_killed_while_it_receives_has_landed_nothing(platform, web):
    whole = station_zip(161)
    web.answer(TU.format("00161"), Reply(body=whole, type=ZIP, pause=0.05))
    environment = {
        **os.environ,
        "METRIFY_ROOT": str(platform.settings.root),
        "METRIFY_DWD_URL": platform.settings.dwd_url,
        "METRIFY_DWD_STATIONS": "161",
        "METRIFY_FIRST_DAY": "2026-01-01",
    }
    command = [sys.executable, "-m", "metrify_assets.cli.main", "pull", "dwd", "--day", DAY.isoformat()]
    process = subprocess.Popen(command, env=environment)
    try:
        while not web.asked:
            assert process.poll() is None, "ended before it asked for anything"
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        process.kill()
        process.wait()
    assert files(platform) == {}
    web.answer(TU.format("00161"), Reply(body=whole, type=ZIP))
    assert subprocess.run(command, env=environment, check=True, capture_output=True).stdout.startswith(b"landed")


def test_bytes_that_were_removed_from_landing_are_fetched_again(platform, web):
    serve_stations(web, 161)
    pull(platform, "dwd")
    for path in platform.settings.landing.rglob("*.zip"):
        path.unlink()
    assert pull(platform, "dwd").unchanged
    assert "If-None-Match" not in web.asked[-2][1]
    assert len([name for name in files(platform) if name.endswith(".zip")]) == 1


def test_bytes_that_were_damaged_in_landing_are_fetched_again(platform, web):
    serve_stations(web, 161, 1766)
    pull(platform, "dwd")
    (zipped,) = platform.settings.root.glob("landing/*/*_00161_*.zip")
    whole = zipped.read_bytes()
    zipped.write_bytes(whole[:-20])
    again = pull(platform, "dwd", date(2026, 3, 29))
    assert (again.failed, len(again.landed)) == ([], 2)
    assert zipped.read_bytes() == whole


def test_products_beside_temperature_have_folders_and_feeds_of_their_own(web, tmp_path):
    platform = Platform(settings_of(tmp_path, web, dwd_stations="4911", dwd_products="tu,ff,st,sd10"))
    pull(platform, "dwd")
    assert [path for path, _ in web.asked] == [
        "/dwd/hourly/air_temperature/recent/stundenwerte_TU_04911_akt.zip",
        "/dwd/hourly/wind/recent/stundenwerte_FF_04911_akt.zip",
        "/dwd/hourly/solar/stundenwerte_ST_04911_row.zip",
        "/dwd/10_minutes/solar/recent/10minutenwerte_SOLAR_04911_akt.zip",
    ]
    assert {product.feed for product in dwd.PRODUCTS.values()} <= platform.feeds.keys()


# SMARD

MONDAY = 1_774_220_400_000  # 2026-03-23T00:00+01:00


def smard_week(hours: int, published: int) -> bytes:
    series = [[MONDAY + i * 3_600_000, 8_000.25 + i if i < published else None] for i in range(hours)]
    return json.dumps({"meta_data": {"version": 1}, "series": series}).encode()


PATH = f"/smard/410/50Hertz/410_50Hertz_hour_{MONDAY}.json"


def test_the_week_of_a_day_of_smard_is_one_file_that_grows(platform, web):
    web.answer(PATH, Reply(body=smard_week(167, 120)))
    name = "smard_chart/smard_410_50Hertz_hour_2026-03-23.json"
    assert pull(platform, "smard", DAY).landed == [name]
    assert pull(platform, "smard", date(2026, 3, 23)).unchanged == [name]
    web.answer(PATH, Reply(body=smard_week(167, 167)))
    assert pull(platform, "smard", SPRING).landed == [name]
    compute_grid_status(platform, SPRING, Digests(platform))
    rows = platform.lake.read(platform.lake.manifest("clean_grid_status", SPRING), CLEAN_GRID_STATUS.arrow).to_pylist()
    assert [row["value"] for row in rows] == [Decimal("8000.25") + i for i in range(144, 167)]
    assert {(row["control_area"], row["metric"], row["unit"], row["status"]) for row in rows} == {
        ("50Hertz", "load_mw", "MW", "measured")
    }


def test_quarter_hours_are_a_setting(web, tmp_path):
    platform = Platform(settings_of(tmp_path, web, smard_series="4068:DE", smard_resolution="quarterhour"))
    path = f"/smard/4068/DE/4068_DE_quarterhour_{MONDAY}.json"
    web.answer(path, Reply(body=json.dumps({"series": [[MONDAY + i * 900_000, 1.5] for i in range(8)]}).encode()))
    (drop,) = pull(platform, "smard").drops
    assert drop.counts["raw_values"] == 8


# OpenWeatherMap


def history(*hours: datetime) -> bytes:
    records = [
        {"dt": int(hour.timestamp()), "main": {"temp": 280.15, "humidity": 80, "pressure": 1013}, "clouds": {"all": 9}}
        for hour in hours
    ]
    return json.dumps({"cod": "200", "cnt": len(records), "list": records}).encode()


def test_a_day_of_a_place_is_asked_for_from_midnight_to_midnight_on_the_short_day_too(platform, web):
    hours = [datetime(2026, 3, 28, 23, tzinfo=UTC) + timedelta(hours=i) for i in range(23)]
    web.answer("/owm", Reply(body=history(*hours)))
    pulled = pull(platform, "openweathermap", SPRING)
    assert pulled.landed == ["openweathermap_history/history_berlin_2026-03-29.json"]
    start, end = int(hours[0].timestamp()), int(hours[-1].timestamp())
    assert web.asked[0][0] == f"/owm?lat=52.52&lon=13.40&type=hour&start={start}&end={end}&appid={SECRET}"
    compute_weather(platform, SPRING, Digests(platform))
    rows = platform.lake.read(platform.lake.manifest("clean_weather", SPRING), CLEAN_WEATHER.arrow).to_pylist()
    assert [(row["observed_at"], row["temperature_c"], row["station_id"]) for row in rows] == [
        (hour, 7.0, "owm-berlin") for hour in hours
    ]


def test_the_key_is_in_no_name_and_no_file(platform, web):
    web.answer("/owm", Reply(body=history(datetime(2026, 3, 28, tzinfo=UTC)), headers={"ETag": '"1"'}))
    assert len(pull(platform, "openweathermap").drops) == 1
    for name, content in files(platform).items():
        assert SECRET not in name
        assert SECRET.encode() not in content


def test_a_key_that_is_missing_or_wrong_is_said_so(platform, web, monkeypatch):
    web.answer("/owm", Reply(401, b'{"cod": 401, "message": "Invalid API key"}'))
    assert pull(platform, "openweathermap").failed[0].endswith("set METRIFY_OPENWEATHERMAP_KEY to a valid key")
    monkeypatch.delenv("METRIFY_OPENWEATHERMAP_KEY")
    assert "METRIFY_OPENWEATHERMAP_KEY is not set" in pull(platform, "openweathermap").failed[0]
    assert files(platform) == {}


# Settings, command line, assets


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ("dwd", {"dwd_stations": ""}, "nothing to pull from dwd: set METRIFY_DWD_STATIONS"),
        ("dwd", {"dwd_products": "sun"}, "METRIFY_DWD_PRODUCTS: 'sun' is no product: use some of tu, ff"),
        ("smard", {"smard_series": "load"}, "METRIFY_SMARD_SERIES: 'load' is no series"),
        ("openweathermap", {"openweathermap_stations": "Berlin"}, "METRIFY_OPENWEATHERMAP_STATIONS: 'Berlin' is no"),
        ("entsoe", {}, "unknown source 'entsoe': use one of dwd, smard, openweathermap"),
    ],
)
def test_what_is_not_configured_is_named(tmp_path, web, source, changes, message):
    with pytest.raises(PullError, match=message):
        pull(Platform(settings_of(tmp_path, web, **changes)), source)


@pytest.fixture
def command(platform, web, monkeypatch):
    """The command line in an environment that names the platform."""
    monkeypatch.setenv("METRIFY_ROOT", str(platform.settings.root))
    monkeypatch.setenv("METRIFY_DWD_URL", f"{web.url}/dwd")
    monkeypatch.setenv("METRIFY_DWD_STATIONS", "161, 1766")
    return lambda *arguments: CliRunner().invoke(cli, ["pull", *arguments])


def test_the_command_line_pulls_a_day(command, web):
    serve_stations(web, 161, 1766)
    result = command("dwd", "--day", "2026-03-28", "--json")
    assert result.exit_code == 0
    record = json.loads(result.output)
    assert (record["source"], record["day"], len(record["landed"]), record["failed"]) == ("dwd", "2026-03-28", 2, [])
    again = command("dwd", "--day", "2026-03-28")
    assert again.output.splitlines()[0] == "unchanged  dwd_hourly_tu/produkt_tu_stunde_00161_2026-03-28.txt"


def test_the_command_line_fails_if_a_station_does(command, web):
    serve_stations(web, 161)
    result = command("dwd", "--day", "2026-03-28")
    assert result.exit_code == 1
    assert "landed" in result.output
    assert str(result.exception).startswith("1 of 2 were not pulled: tu 01766: ")


def materialise(platform: Platform, source: str, day: date, **options):
    days = delivery_days(platform.settings)
    (asset,) = [pulled for pulled in pulled_assets(days) if pulled.key == dg.AssetKey(f"pulled_{source}")]
    return dg.materialize([asset], partition_key=day.isoformat(), resources={"platform": platform}, **options)


def test_the_asset_of_a_day_lands_it_and_counts(platform, web):
    serve_stations(web, 161, 1766)
    result = materialise(platform, "dwd", DAY)
    own = result.asset_materializations_for_node("pulled_dwd")
    events = {event.asset_key.path[-1]: event for event in own}
    assert {name: value.value for name, value in events["pulled_dwd"].metadata.items()} == {"landed": 2, "unchanged": 0}
    assert (events["raw_weather"].partition, events["raw_weather"].metadata["dagster/row_count"].value) == (
        str(DAY),
        96,
    )


def test_a_range_counts_each_of_its_days_by_itself(web, tmp_path):
    serve_stations(web, 161)
    platform = Platform(settings_of(tmp_path, web, dwd_stations="161"))
    (asset,) = [
        pulled for pulled in pulled_assets(delivery_days(platform.settings)) if pulled.key == dg.AssetKey("pulled_dwd")
    ]
    ends = {RANGE_START: str(DAY), RANGE_END: str(SPRING)}
    result = dg.materialize([asset], tags=ends, resources={"platform": platform})
    counts = {}
    for event in result.asset_materializations_for_node("pulled_dwd"):
        numbers = {name: entry.value for name, entry in event.metadata.items() if isinstance(entry.value, int)}
        if numbers:
            counts[event.partition] = numbers
    # A range's own event, which every day gets, says the range and no number.
    assert counts == {str(day): {"landed": 1, "unchanged": 0} for day in (DAY, SPRING)}


def test_the_asset_fails_with_the_name_of_the_station_and_keeps_the_others(platform, web):
    serve_stations(web, 161)
    result = materialise(platform, "dwd", DAY, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "1 were not pulled: 2026-03-28 tu 01766: " in str(failure.step_failure_data.user_failure_data.description)
    assert [drop.name for drop in platform.ledger.view().drops.values()] == ["produkt_tu_stunde_00161_2026-03-28.txt"]


def test_only_what_is_configured_has_a_schedule(tmp_path, web):
    running = dg.DefaultScheduleStatus.RUNNING
    assert pull_schedules(Settings(root=tmp_path), running) == []
    settings = settings_of(tmp_path, web, smard_series="")
    schedules = pull_schedules(settings, running)
    assert [schedule.name for schedule in schedules] == ["pull_dwd", "pull_openweathermap"]
    days = delivery_days(settings)
    defs = dg.Definitions(assets=pulled_assets(days), schedules=schedules, resources={"platform": Platform(settings)})
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 3, 30, 6, 0, tzinfo=UTC), repository_def=defs.get_repository_def()
    )
    (asked,) = defs.get_repository_def().get_schedule_def("pull_dwd").evaluate_tick(context).run_requests
    assert asked.partition_key == "2026-03-29"
