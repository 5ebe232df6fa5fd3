"""What the command line changes shows in Dagster's history, on a real instance."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.digest import EMPTY
from metrify_assets.landing.ingest import read_again
from metrify_assets.orchestration.home import open_instance
from metrify_assets.orchestration.raw_day_events import changed_days, report_raw_day_events
from metrify_assets.settings import REPOSITORY_DIR
from tests.unit.landing.quarantine.mending import BLANKS, mend
from tests.workbench import Workbench, reads, workbench

DAYS = [date(2026, 3, 28), date(2026, 3, 29)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """An installation with two drops, on which the commands work."""
    bench = workbench(tmp_path)
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    monkeypatch.setenv("DAGSTER_HOME", str(bench.platform.settings.dagster_home))
    bench.land("plain", "a.csv", BLANKS)
    bench.land("plain", "b.csv", reads(["B"], DAYS[:1]))
    return bench


@pytest.fixture
def instance(bench: Workbench) -> Iterator[dg.DagsterInstance]:
    """The history of an installation on which Dagster ran before, and shows what has been read so far."""
    home = bench.platform.settings.dagster_home
    home.mkdir(parents=True)
    shutil.copyfile(REPOSITORY_DIR / "dagster.yaml", home / "dagster.yaml")
    report_raw_day_events(bench.platform)
    with open_instance(bench.platform.settings) as instance:
        yield instance


def run(*arguments: str) -> None:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, done.exception


def events(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """Return day and version of every event of the raw readings, in order."""
    records = instance.fetch_materializations(dg.AssetKey("raw_readings"), limit=100, ascending=True).records
    return [(r.partition_key, r.asset_materialization.tags["dagster/data_version"]) for r in records]


def states(bench: Workbench, *days: date) -> list[tuple[str, str]]:
    view = bench.platform.ledger.view()
    return [(day.isoformat(), view.day_digest("raw_readings", day)) for day in days]


def refused(instance: dg.DagsterInstance) -> list[tuple[int, int]]:
    """Return what the events of the quarantine say: rows, and those with a bad number."""
    records = instance.fetch_materializations(dg.AssetKey("quarantine"), limit=100, ascending=True).records
    numbers = [record.asset_materialization.metadata for record in records]
    return [
        (
            metadata["dagster/row_count"].value,
            metadata["reason/bad_number"].value if "reason/bad_number" in metadata else 0,
        )
        for metadata in numbers
    ]


def test_a_withdrawal_shows_on_the_days_that_it_changed(bench, instance):
    first = states(bench, *DAYS)
    assert events(instance) == first
    (drop,) = [landed for landed in bench.platform.ledger.view().drops.values() if landed.name == "b.csv"]
    run("drop", "withdraw", drop.drop_id, "--reason", "wrong meter")
    assert events(instance) == [*first, *states(bench, DAYS[0])]
    assert first[0] != states(bench, DAYS[0])[0]


@pytest.mark.parametrize("command", [("quarantine", "replay", "--feed", "plain"), ("drop", "reread")])
def test_reading_again_shows_on_the_days_and_on_the_quarantine(bench, instance, command):
    first = states(bench, *DAYS)
    mend(bench)
    run(*command)
    assert events(instance) == [*first, *states(bench, *DAYS)]
    assert refused(instance) == [(3, 2), (1, 0)]
    # Nothing changes the second time, and nothing is logged.
    run(*command)
    assert len(events(instance)) == 4
    assert len(refused(instance)) == 2


def test_what_a_killed_command_left_untold_the_next_one_tells(bench, instance):
    first = states(bench, *DAYS)
    mend(bench)
    # As if the process had ended between the ledger's record and the event.
    for drop in list(bench.platform.ledger.view().active.values()):
        read_again(bench.platform, drop)
    run("quarantine", "replay", "--feed", "plain")
    assert events(instance) == [*first, *states(bench, *DAYS)]


def test_a_trial_shows_nothing(bench, instance):
    first = events(instance)
    mend(bench)
    run("quarantine", "replay", "--feed", "plain", "--dry-run")
    assert events(instance) == first


def test_a_day_that_no_drop_holds_any_more_shows_as_empty(bench, instance):
    for name in ("a.csv", "b.csv"):
        (drop,) = [landed for landed in bench.platform.ledger.view().active.values() if landed.name == name]
        run("drop", "withdraw", drop.drop_id, "--reason", "all wrong")
    assert dict(events(instance)) == {day.isoformat(): EMPTY for day in DAYS}


def test_an_installation_without_dagster_is_left_without(bench):
    mend(bench)
    run("quarantine", "replay", "--feed", "plain")
    assert not bench.platform.settings.dagster_home.exists()


def test_days_that_a_drop_does_not_hold_any_more_have_changed_too(bench):
    before = bench.platform.ledger.view()
    for drop in before.active.values():
        bench.platform.ledger.withdraw(drop, "all wrong")
    after = bench.platform.ledger.view()
    assert changed_days(before, after) == [("raw_readings", day) for day in DAYS]
    assert changed_days(after, before) == changed_days(before, after)
    assert changed_days(after, after) == []
