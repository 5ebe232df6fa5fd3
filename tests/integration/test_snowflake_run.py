"""A run of the platform's own jobs whose marts are built on a server that speaks Snowflake's protocol."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from metrify_assets.published.consumer import FILE_KEY
from metrify_assets.settings import WarehouseEngine
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import open_session
from metrify_assets.warehouse.warehouse import Relation
from tests.harness import installation
from tests.integration.snowflake_server import environment

pytestmark = [pytest.mark.servers, pytest.mark.dbt]

PLAN = SimulationPlan(points=4, days=3, first_day=date(2026, 3, 28), redelivered_day=0, corrected_day=1, late_day=2)
PLAN = type(PLAN)(**{**vars(PLAN), **PLAN.without_faults()})
DAYS = [PLAN.day(offset) for offset in range(PLAN.days)]
FACT = "fct_smart_meter_analytics"


def published_rows(file: Path, table: str) -> list[str]:
    """Return what a consumer sees of a mart."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return sorted(map(repr, connection.execute(f"select * from {table}").fetchall()))


def test_a_run_loads_builds_records_publishes_and_leaves_nothing_to_do(tmp_path, snowflake_port, monkeypatch):
    variables = environment(snowflake_port, "run")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with installation(tmp_path, shards=1, warehouse_engine=WarehouseEngine.SNOWFLAKE) as plant:
        write_wave(simulate(PLAN).first, plant.settings.inbox)
        assert plant.settle() == ["ingest", "delivery_days"]
        counted = plant.warehouse.count_rows({FACT: Relation(f"marts.{FACT}", "day")}, DAYS)[FACT].by_day
        # Four points of one channel at least; the day of the change to summer time has 23 hours.
        assert all(counted[day] >= 4 * 23 for day in DAYS[:2])
        records = plant.instance.fetch_materializations(dg.AssetKey(FACT), limit=100, ascending=True).records
        reported = {record.partition_key: record.asset_materialization.metadata for record in records}
        assert {str(day): rows for day, rows in counted.items()} == {
            day: metadata["dagster/partition_row_count"].value for day, metadata in reported.items() if day
        }
        [run_id] = {record.run_id for record in records}
        assert plant.settle() == []
        with open_session(SnowflakeAccess.from_env(variables), role="r", warehouse="w", tag="t") as session:
            for table in ("marts.fct_smart_meter_analytics", "metrics.monthly_consumption_metrics", "marts.dim_points"):
                ours, theirs = (
                    published_rows(plant.settings.root / FILE_KEY, table),
                    session.run(f"select * from {table}"),
                )
                assert ours
                assert ours == sorted(map(repr, theirs)), table
            tags = {json.loads(tag)["run"] for (tag,) in session.run("select distinct run from raw.loads")}
            assert session.run("select holder from raw.lease") == [(None,)]
    assert tags == {run_id}
