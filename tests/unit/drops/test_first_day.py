"""The first delivery day that an installation keeps: chosen when it is set up, moved by one command."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.days.digests import Digests
from metrify_assets.drops.first_day import FIRST_DAY_KEY, FirstDay, of_new_installation, read_first_day
from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.landing.ingest import outdated
from metrify_assets.landing.setup import move, planned, set_up
from metrify_assets.orchestration.build import build_defs
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from tests.clock import noon_of
from tests.workbench import Workbench, reads, workbench

pytestmark = pytest.mark.slow

EARLY = date(2025, 1, 1)
DAYS = [date(2026, 3, 10) + timedelta(n) for n in range(3)]


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Workbench:
    """An installation that was set up on 2026-04-15, named by the environment of commands."""
    noon_of(monkeypatch, date(2026, 4, 15))
    bench = workbench(tmp_path)
    set_up(bench.platform)
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.delenv("METRIFY_FIRST_DAY", raising=False)
    return bench


def anew(bench: Workbench) -> Workbench:
    """The same installation, in another process."""
    return Workbench(Platform(bench.platform.settings))


def metrify(*arguments: str):
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("today", "first"),
    [
        (date(2026, 11, 30), date(2025, 1, 1)),
        (date(2026, 1, 1), date(2025, 1, 1)),
        (date(2025, 12, 31), date(2024, 1, 1)),
    ],
)
def test_a_new_installation_begins_with_the_year_before(today, first):
    assert of_new_installation(today) == first


def test_what_is_set_up_stays_whatever_the_day(bench, monkeypatch):
    assert bench.platform.first_day == EARLY
    noon_of(monkeypatch, date(2027, 1, 1))
    set_up(anew(bench).platform)
    assert anew(bench).platform.first_day == EARLY


def test_an_installation_from_before_there_was_such_a_record_goes_on_as_it_did(tmp_path):
    bench = workbench(tmp_path)
    bench.land("plain", "old.csv", reads(["A"], [date(2021, 5, 5)]))
    set_up(bench.platform)
    assert read_first_day(bench.platform.store) is None
    assert anew(bench).platform.first_day == date(2020, 1, 1) == planned(bench.platform)
    assert bench.land("plain", "older.csv", reads(["A"], [date(2020, 1, 1)])).drop.days == [date(2020, 1, 1)]


def test_the_environment_rules_and_nothing_is_kept(tmp_path, monkeypatch):
    platform = workbench(tmp_path, first_day=date(2024, 6, 1)).platform
    set_up(platform)
    assert (platform.first_day, read_first_day(platform.store)) == (date(2024, 6, 1), None)
    with pytest.raises(SettingsError, match=r"^METRIFY_FIRST_DAY=2024-06-01 rules here: set it to 2023-01-01, then"):
        move(platform, date(2023, 1, 1))


def test_the_partitions_are_those_of_the_installation(bench):
    defs = build_defs(anew(bench).platform.settings, {"dbt": None})
    days = defs.resolve_assets_def("clean_readings").partitions_def
    assert days.get_first_partition_key() == str(EARLY)


def test_older_values_are_kept_in_quarantine_with_the_command_that_lets_them_in(bench):
    move(bench.platform, DAYS[1])
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    assert (drop.days, drop.counts["quarantined_rows"]) == (DAYS[1:], 24)
    (detail,) = {row["detail"].partition(", found")[0] for row in bench.quarantine(drop)}
    assert detail.endswith("for older ones move the first day with `metrify first-day`")


def test_moving_the_first_day_reads_the_drops_again_that_held_older_days_and_no_other(bench):
    bench.register("A", "B")
    move(bench.platform, DAYS[1])
    partly = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    whole = bench.land("plain", "b.csv", reads(["B"], DAYS[1:])).drop
    broken = bench.land("plain", "c.csv", b"point,start,kwh\nA,nonsense,1\n").drop
    done = metrify("first-day", str(DAYS[0]), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {"first_day": str(DAYS[0]), "drops_read_again": 1, "values": 72}
    after = anew(bench)
    view = after.platform.ledger.view()
    assert view.drops[partly.key].days == DAYS
    assert [view.drops[drop.key].ingested_at for drop in (whole, broken)] == [whole.ingested_at, broken.ingested_at]
    assert outdated(after.platform) == []
    assert Digests(after.platform).dirty_days("validated_readings") == set(DAYS)


def test_a_move_that_was_broken_off_is_finished_by_the_next(bench):
    move(bench.platform, DAYS[1])
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    move(bench.platform, DAYS[0])
    assert json.loads(metrify("first-day", str(DAYS[0]), "--json").output)["drops_read_again"] == 1
    assert anew(bench).platform.ledger.view().drops[drop.key].days == DAYS


def test_a_running_process_keeps_the_first_day_of_its_partitions(bench):
    bench.land("plain", "a.csv", reads(["A"], [EARLY]))
    running = anew(bench).platform
    assert running.first_day == EARLY
    metrify("first-day", "2024-02-01")
    bench = anew(bench)
    bench.land("plain", "b.csv", reads(["A"], [date(2024, 2, 1)]))
    assert Digests(bench.platform).wanted_days("validated_readings") == {EARLY, date(2024, 2, 1)}
    assert Digests(running).wanted_days("validated_readings") == {EARLY}


def test_the_first_day_can_come_later_as_long_as_no_values_were_read_before_it(bench):
    bench.land("plain", "a.csv", reads(["A"], DAYS[1:]))
    assert metrify("first-day", str(DAYS[1])).exit_code == 0
    assert anew(bench).platform.first_day == DAYS[1]
    assert outdated(anew(bench).platform) == []
    refused = metrify("first-day", str(DAYS[2]))
    assert isinstance(refused.exception, LakeError)
    assert str(refused.exception) == f"values of {DAYS[1]} were read already: give that day, or an earlier one"


@pytest.mark.parametrize("day", ["1989-12-31", "2026-04-16"])
def test_a_day_that_cannot_be_the_first_is_refused(bench, day):
    with pytest.raises(SettingsError, match=f"^{day} cannot be the first day: give one from 1990-01-01 to 2026-04-15"):
        move(bench.platform, date.fromisoformat(day))


def test_a_damaged_record_names_its_file_and_what_to_do(bench):
    bench.platform.store.write(FIRST_DAY_KEY, b"{")
    with pytest.raises(LakeError, match=r"_first_day\.json is damaged: delete it, and say `metrify first-day DAY`"):
        anew(bench).platform.first_day  # noqa: B018


def test_the_first_day_and_who_says_it_are_shown(bench, monkeypatch):
    assert metrify("first-day").output == "2025-01-01, kept by the installation; older values are quarantined\n"
    assert json.loads(metrify("first-day", "--json").output)["origin"] == "kept by the installation"
    monkeypatch.setenv("METRIFY_FIRST_DAY", "2024-01-01")
    assert metrify("first-day").output.startswith("2024-01-01, set by METRIFY_FIRST_DAY")


def test_a_file_is_checked_under_the_first_day_that_landing_it_will_set_up(tmp_path, monkeypatch):
    noon_of(monkeypatch, date(2026, 4, 15))
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "root"))
    monkeypatch.delenv("METRIFY_FIRST_DAY", raising=False)
    row = "P1,1-0:1.29.0,2024-12-30T12:00:00Z,1.2\n"
    file = tmp_path / "east_2024-12-30.csv"
    file.write_text("point_id,obis,timestamp,mean_kw\n" + row)
    checked = metrify("feed", "check", str(file), "--feed", "meters_east", "--json")
    assert json.loads(checked.stdout)["reasons"] == {"day_out_of_range": 1}
    assert not (tmp_path / "root").exists()
    assert metrify("land", str(file), "--feed", "meters_east").exit_code == 0
    assert read_first_day(Platform(Settings(root=tmp_path / "root")).store) == FirstDay(EARLY)


def test_a_day_to_come_is_not_computed_before_it_has_begun(bench, monkeypatch):
    # Values of a day to come, as forecasts are; the clock was ahead when they came.
    noon_of(monkeypatch, date(2026, 6, 2))
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A"], [date(2026, 4, 15), date(2026, 4, 16)]))
    noon_of(monkeypatch, date(2026, 4, 15))
    assert Digests(bench.platform).dirty_days("validated_readings") == {date(2026, 4, 15)}
    noon_of(monkeypatch, date(2026, 4, 16))
    assert Digests(bench.platform).dirty_days("validated_readings") == {date(2026, 4, 15), date(2026, 4, 16)}


def test_a_root_that_is_not_set_up_says_so_and_what_its_first_day_will_be(tmp_path, monkeypatch):
    noon_of(monkeypatch, date(2026, 4, 15))
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "new"))
    monkeypatch.delenv("METRIFY_FIRST_DAY", raising=False)
    assert metrify("first-day").output == (
        "nothing is set up yet: the first day will be 2025-01-01, unless `metrify first-day DAY` or the demo chooses "
        "another; older values will be quarantined\n"
    )
    shown = json.loads(metrify("first-day", "--json").output)
    assert shown == {"first_day": "2025-01-01", "origin": "nothing is set up yet"}
    assert not (tmp_path / "new").exists()


def test_a_root_from_before_there_was_such_a_record_says_that_it_keeps_none(tmp_path, monkeypatch):
    bench = workbench(tmp_path)
    bench.land("plain", "old.csv", reads(["A"], [date(2021, 5, 5)]))
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.delenv("METRIFY_FIRST_DAY", raising=False)
    assert metrify("first-day").output == "2020-01-01, as the installation keeps none; older values are quarantined\n"
