"""The event log steps aside: on a Dagster that it was not tested with, and where the setting says so."""

import logging
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from metrify_assets.errors import SettingsError
from metrify_assets.orchestration import dagster_storage
from metrify_assets.orchestration.dagster_storage import PooledSqliteEventLogStorage
from tests.unit.orchestration.event_logs import history, rows, run

pytestmark = pytest.mark.seldom

TABLE = dg.AssetKey("table")
KINDS = "select distinct typeof(event) from event_logs"


@pytest.fixture
def untested(monkeypatch):
    """A version of Dagster that nobody tried the event log with."""
    # Set first, so that what a test leaves in the environment is taken back.
    monkeypatch.setenv(dagster_storage.WARNED, "")
    monkeypatch.setattr(dagster_storage, "TESTED_VERSIONS", frozenset({"1.13.26", "1.0"}))


@pytest.fixture
def stock_by_setting(monkeypatch):
    monkeypatch.setenv("METRIFY_EVENT_LOG", "stock")


def warnings(caplog) -> list[str]:
    """Return what was warned of. That a temporary instance has no ``dagster.yaml`` Dagster says once per process."""
    texts = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [text for text in texts if not text.startswith("No dagster instance configuration file")]


def test_the_installed_version_is_one_that_was_tested():
    assert dg.__version__ in dagster_storage.TESTED_VERSIONS


@pytest.mark.parametrize("reason", ["untested", "stock_by_setting"])
def test_where_it_steps_aside_dagsters_own_storage_writes_new_events_and_packed_ones_are_read(
    reason, request, tmp_path
):
    with history(tmp_path) as instance:
        packed = run(instance)
        assert type(instance.event_log_storage) is PooledSqliteEventLogStorage
    request.getfixturevalue(reason)
    with history(tmp_path) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        plain = run(instance)
        assert len(instance.all_logs(packed)) == len(instance.all_logs(plain)) > 0
        assert len(instance.fetch_materializations(TABLE, limit=100).records) == 20
        check = dg.AssetCheckKey(TABLE, "whole")
        assert len(instance.event_log_storage.get_asset_check_execution_history(check, limit=100)) == 22
    assert (rows(tmp_path, packed, KINDS), rows(tmp_path, plain, KINDS)) == ([("blob",)], [("text",)])


def test_events_of_both_kinds_are_read_when_packing_begins_again(tmp_path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRIFY_EVENT_LOG", "stock")
        with history(tmp_path) as instance:
            plain = run(instance)
    with history(tmp_path) as instance:
        packed = run(instance)
        assert len(instance.all_logs(packed)) == len(instance.all_logs(plain)) > 0
    assert (rows(tmp_path, packed, KINDS), rows(tmp_path, plain, KINDS)) == ([("blob",)], [("text",)])


def test_one_line_warns_of_a_version_that_was_not_tested(untested, tmp_path, caplog):
    for _ in range(2):
        with history(tmp_path):
            pass
    assert warnings(caplog) == [
        f"Metrify's event log was not tested with Dagster {dg.__version__}: Dagster's own stores new events, older "
        "ones stay readable. Install 1.0, 1.13.26, or set METRIFY_EVENT_LOG=stock"
    ]


def test_processes_that_are_started_by_one_that_warned_do_not_warn_again(untested, tmp_path):
    code = (
        "import sys; from metrify_assets.orchestration import dagster_storage as storage; "
        "storage.TESTED_VERSIONS = frozenset({'1.0'}); storage.PooledSqliteStorage.from_local(sys.argv[1])"
    )
    with history(tmp_path):
        pass
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "was not tested" not in done.stderr


def test_nothing_warns_where_the_setting_decides(untested, stock_by_setting, tmp_path, caplog):
    with history(tmp_path):
        pass
    assert warnings(caplog) == []


def test_a_setting_that_is_no_kind_of_event_log_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("METRIFY_EVENT_LOG", "postgres")
    with pytest.raises(SettingsError, match=r"METRIFY_EVENT_LOG='postgres': Input should be 'packed' or 'stock'"):
        dagster_storage.PooledSqliteStorage.from_local(str(tmp_path))


def test_the_platform_packs_nothing_in_a_storage_that_is_not_its_own(tmp_path):
    """With ``storage: sqlite`` or PostgreSQL in ``dagster.yaml``, the code location only imports the module."""
    code = (
        "import metrify_assets.orchestration.automation.jobs\n"
        "from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable\n"
        "columns = SqlEventLogStorageTable.c.event, AssetCheckExecutionsTable.c.evaluation_event\n"
        "assert not any('Packed' in type(column.type).__name__ for column in columns)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
