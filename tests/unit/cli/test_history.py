"""``metrify history unpack``: a packed history becomes one that Dagster's own storage reads."""

import json
import os
import sqlite3

import dagster as dg
import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import RunError
from metrify_assets.orchestration.dagster_storage import _hold_daemon_lock
from metrify_assets.orchestration.event_unpacking import unpack_history
from tests.unit.orchestration.event_log_answers import answers
from tests.unit.orchestration.event_logs import history, rows, run

pytestmark = pytest.mark.seldom

TABLE = dg.AssetKey("table")
CHECK = dg.AssetCheckKey(TABLE, "whole")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path))
    return tmp_path


def unpack(*options: str):
    return CliRunner().invoke(cli, ["history", "unpack", *options])


def told(instance: dg.DagsterInstance, runs: list[str]):
    return answers(instance.event_log_storage, runs, [TABLE], [CHECK], ["2026-03-01", "2026-03-02"])


def test_dagsters_own_storage_reads_all_of_an_unpacked_history(root):
    home = root / "dagster"
    with history(home) as instance:
        runs = [run(instance), run(instance, **{"break": "yes"})]
        packed = told(instance, runs)
    done = unpack()
    assert done.exit_code == 0, done.output
    assert "Dagster's own storage reads all of them" in done.output
    with history(home, stock=True) as instance:
        assert told(instance, runs) == packed
        runs.append(run(instance))
        assert len(instance.fetch_materializations(TABLE, limit=100).records) == 30
    for shard in ("index", *runs):
        assert rows(home, shard, "select distinct typeof(event) from event_logs") == [("text",)]


def test_the_files_of_runs_get_the_indexes_that_dagster_makes(root):
    home = root / "dagster"
    names = "select name from sqlite_master where type = 'index' and sql is not null order by 1"
    with history(root / "stock", stock=True) as instance:
        stock = rows(root / "stock", run(instance), names)
    with history(home) as instance:
        ours = run(instance)
    assert rows(home, ours, names) != stock
    assert unpack().exit_code == 0
    assert rows(home, ours, names) == stock


def test_what_was_unpacked_is_counted_and_unpacking_again_changes_nothing(root):
    with history(root / "dagster") as instance:
        runs = [run(instance)]
        stored = len(instance.all_logs(runs[0]))
    first, again = (json.loads(unpack("--json").output) for _ in range(2))
    assert first["files"] == again["files"] == 2
    assert first["events"] > stored
    assert again["events"] == 0


def test_a_file_that_was_packed_in_part_is_unpacked_whole(root):
    home = root / "dagster"
    with history(home) as instance:
        plain = run(instance)
        unpack_history(home / "history" / "runs")
        packed = run(instance)
        before = told(instance, [plain, packed])
    assert unpack().exit_code == 0
    with history(home, stock=True) as instance:
        assert told(instance, [plain, packed]) == before


def test_the_logs_of_runs_stay_as_old_as_they_are(root):
    home = root / "dagster"
    with history(home) as instance:
        path = instance.event_log_storage.path_for_shard(run(instance))
    os.utime(path, (1_000_000, 1_000_000))
    assert unpack().exit_code == 0
    assert os.path.getmtime(path) == 1_000_000


def test_packing_goes_on_unless_the_setting_ends_it(root, monkeypatch):
    with history(root / "dagster") as instance:
        run(instance)
    assert "METRIFY_EVENT_LOG=stock" in unpack().output
    monkeypatch.setenv("METRIFY_EVENT_LOG", "stock")
    assert "METRIFY_EVENT_LOG=stock" not in unpack().output


def test_a_daemon_that_works_is_to_be_stopped_first(root):
    with history(root / "dagster"):
        _hold_daemon_lock(root / "dagster")
        done = unpack()
    assert isinstance(done.exception, RunError)
    assert "stop it" in str(done.exception)


def test_a_folder_without_a_history_is_named(root):
    done = unpack()
    assert isinstance(done.exception, RunError)
    assert f"{root / 'dagster' / 'history' / 'runs'} does not exist" in str(done.exception)


def test_a_damaged_file_is_named_and_stays_as_it_was(root):
    home = root / "dagster"
    with history(home) as instance:
        path = instance.event_log_storage.path_for_shard(run(instance))
    with sqlite3.connect(path) as connection:
        connection.execute("update event_logs set event = x'01ff' where id = 3")
    done = unpack()
    assert isinstance(done.exception, RunError)
    assert str(done.exception).startswith(f"{path} cannot be unpacked")
    kinds = "select typeof(event) from event_logs group by 1"
    assert rows(home, os.path.basename(path).removesuffix(".db"), kinds) == [("blob",)]
