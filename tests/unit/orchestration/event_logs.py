"""Dagster's event log in a folder: with the platform's storage and with Dagster's own, and runs to fill it."""

import sqlite3
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import schema
from sqlalchemy import Text

EVENT_COLUMNS = (schema.SqlEventLogStorageTable.c.event, schema.AssetCheckExecutionsTable.c.evaluation_event)
DAYS = dg.DailyPartitionsDefinition("2026-03-01")
FIRST, LAST = "2026-03-01", "2026-03-10"


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags of a run of some days."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


@dg.asset(
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("whole", asset="table")],
)
def table(context: dg.AssetExecutionContext):
    if "break early" in context.run.tags:
        raise dg.Failure("broken", allow_retries=False)
    yield dg.MaterializeResult(
        metadata={"days": len(context.partition_keys)},
        check_results=[dg.AssetCheckResult(check_name="whole", passed=True)],
    )
    for day in context.partition_keys:
        context.log_event(dg.AssetCheckEvaluation(dg.AssetKey("table"), "whole", True, {"rows": 7}, partition=day))
    if "break" in context.run.tags:
        raise dg.Failure("broken", allow_retries=False)


@contextmanager
def history(folder: Path, *, stock: bool = False):
    """An instance on a folder, with the platform's storage or with Dagster's own."""
    folder.mkdir(exist_ok=True)
    module, name = (
        ("dagster._core.storage.sqlite_storage", "DagsterSqliteStorage")
        if stock
        else ("metrify_assets.orchestration.dagster_storage", "PooledSqliteStorage")
    )
    storage = {"custom": {"module": module, "class": name, "config": {"base_dir": str(folder)}}}
    with pytest.MonkeyPatch.context() as patch:
        for column in EVENT_COLUMNS:
            # The tables are the process's own: each storage begins with them as Dagster has them.
            patch.setattr(column, "type", Text())
        with dg.DagsterInstance.local_temp(str(folder), overrides={"storage": storage}) as instance:
            yield instance


def run(instance: dg.DagsterInstance, **tags: str) -> str:
    job = dg.Definitions([table], jobs=[dg.define_asset_job("days", "table")]).resolve_job_def("days")
    return job.execute_in_process(
        instance=instance, tags={**range_tags(FIRST, LAST), **tags}, raise_on_error=False
    ).run_id


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "history" / "runs").iterdir())


def rows(folder: Path, shard: str, sql: str) -> list[tuple]:
    with sqlite3.connect(folder / "history" / "runs" / f"{shard}.db") as connection:
        return connection.execute(sql).fetchall()
