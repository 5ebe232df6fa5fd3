"""Days asked for in Dagster's UI: its own mutation, and the daemon's step that turns it into runs."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.schema import create_schema

from metrify_assets.orchestration.automation.sensors import PARTITION, RANGE_END, RANGE_START

pytestmark = [pytest.mark.seldom, pytest.mark.timeout(900)]

DAYS = ("2026-03-30", "2026-03-31")
TABLES = ("raw_readings", "validated_readings", "clean_readings", "clean_weather", "stg_smart_meter_readings")
LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """What the UI and the daemon have: the code location in a server of its own. Runs are queued, and not started."""
    root = tmp_path_factory.mktemp("backfill")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("METRIFY_ROOT", str(root / "metrify"))
        environment.setenv("METRIFY_FIRST_DAY", "2026-03-01")
        home = root / "dagster"
        home.mkdir()
        overrides = {
            "run_coordinator": {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator"},
            "code_servers": {"local_startup_timeout": 600},
        }
        target = ModuleTarget("metrify_assets.definitions", None, str(root), "metrify")
        with (
            dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance,
            WorkspaceProcessContext(instance, target) as process,
        ):
            yield process


Work = set[tuple[str, str]]


def backfilled(ui: WorkspaceProcessContext, tables: tuple[str, ...], days: tuple[str, ...]) -> tuple[Work, Work]:
    """Ask for days of some assets as the UI does; return table and day of its target, and of what runs are queued."""
    params = {"assetSelection": [{"path": [table]} for table in tables], "partitionNames": list(days)}
    with ui.create_request_context() as request:
        answer = create_schema().execute(LAUNCH, variable_values={"params": params}, context_value=request)
    assert answer.errors is None
    launched = answer.data["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    assert [error for error in execute_backfill_iteration(ui, logging.getLogger("backfill")) if error] == []
    target = ui.instance.get_backfill(launched["backfillId"]).asset_backfill_data.target_subset
    runs = ui.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": launched["backfillId"]}))
    return (
        {(partition.asset_key.path[-1], partition.partition_key) for partition in target.iterate_asset_partitions()},
        {(key.path[-1], day) for run in runs for key in run.asset_selection for day in days_of(run)},
    )


def days_of(run: dg.DagsterRun) -> list[str]:
    if PARTITION in run.tags:
        return [run.tags[PARTITION]]
    first, last = (date.fromisoformat(run.tags[tag]) for tag in (RANGE_START, RANGE_END))
    return [str(first + timedelta(offset)) for offset in range((last - first).days + 1)]


def test_a_backfill_computes_the_days_that_were_asked_for_and_no_other(ui):
    asked = {(table, day) for table in TABLES for day in DAYS}
    assert backfilled(ui, TABLES, DAYS) == (asked, asked)


def test_a_backfill_of_today_computes_no_day_to_come(ui):
    today = datetime.now(ZoneInfo("Europe/Berlin")).date().isoformat()
    asked = {(table, today) for table in TABLES}
    assert backfilled(ui, TABLES, (today,)) == (asked, asked)
