"""What the command line changes shows in Dagster's history, on a real instance."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from metrify_assets.announce import changed_days
from metrify_assets.cli import cli
from metrify_assets.home import open_instance
from metrify_assets.settings import REPOSITORY_DIR
from tests.unit.quarantine.mending import BLANKS, mend
from tests.workbench import Workbench, reads, workbench

DAYS = [date(2026, 3, 28), date(2026, 3, 29)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """An installation with two drops, on which the commands work."""
    found = workbench(tmp_path)
    monkeypatch.setenv("METRIFY_ROOT", str(found.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(found.platform.settings.feeds_dir))
    monkeypatch.setenv("DAGSTER_HOME", str(found.platform.settings.dagster_home))
    found.land("plain", "a.csv", BLANKS)
    found.land("plain", "b.csv", reads(["B"], DAYS[:1]))
    return found


@pytest.fixture
def instance(bench: Workbench) -> Iterator[dg.DagsterInstance]:
    """The history of an installation on which Dagster ran before."""
    home = bench.platform.settings.dagster_home
    home.mkdir(parents=True)
    shutil.copyfile(REPOSITORY_DIR / "dagster.yaml", home / "dagster.yaml")
    with open_instance(bench.platform.settings) as found:
        yield found


def run(*arguments: str) -> None:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, done.exception


def versions(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return the latest version of every day of the raw readings that the history shows."""
    records = instance.fetch_materializations(dg.AssetKey("raw_readings"), limit=100).records
    found: dict[str, str] = {}
    for record in records:
        found.setdefault(record.partition_key, record.asset_materialization.tags["dagster/data_version"])
    return found


def wanted(bench: Workbench, *days: date) -> dict[str, str]:
    view = bench.platform.ledger.view()
    return {day.isoformat(): view.day_digest("raw_readings", day) for day in days}


def test_a_withdrawal_shows_on_the_days_that_it_changed(bench, instance):
    (drop,) = [found for found in bench.platform.ledger.view().drops.values() if found.name == "b.csv"]
    run("drop", "withdraw", drop.drop_id, "--reason", "wrong meter")
    assert versions(instance) == wanted(bench, DAYS[0])
    # The quarantine is what it was.
    assert instance.fetch_materializations(dg.AssetKey("quarantine"), limit=1).records == []


@pytest.mark.parametrize("command", [("quarantine", "replay", "--feed", "plain"), ("drop", "reread")])
def test_reading_again_shows_on_the_days_and_on_the_quarantine(bench, instance, command):
    mend(bench)
    run(*command)
    assert versions(instance) == wanted(bench, *DAYS)
    (record,) = instance.fetch_materializations(dg.AssetKey("quarantine"), limit=9).records
    numbers = {name: entry.value for name, entry in record.asset_materialization.metadata.items()}
    assert (numbers["dagster/row_count"], numbers["reason/bad_timestamp"]) == (1, 1)
    # Nothing changes the second time, and nothing is logged.
    run(*command)
    assert len(instance.fetch_materializations(dg.AssetKey("quarantine"), limit=9).records) == 1


def test_a_trial_shows_nothing(bench, instance):
    mend(bench)
    run("quarantine", "replay", "--feed", "plain", "--dry-run")
    assert versions(instance) == {}


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
