"""A run of the platform's own jobs whose marts are built on a server that speaks Snowflake's protocol."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg

from metrify_assets.resources.snowflake.access import SnowflakeAccess
from metrify_assets.resources.snowflake.session import open_session
from metrify_assets.settings import WarehouseEngine
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from tests.harness import installation
from tests.integration.snowflake_server import environment

PLAN = SimulationPlan(points=4, days=1, first_day=date(2026, 3, 28), redelivered_day=0, corrected_day=0, late_day=0)
PLAN = type(PLAN)(**{**vars(PLAN), **PLAN.without_faults()})
FACT = "fct_smart_meter_analytics"


def test_a_run_loads_builds_records_and_leaves_nothing_to_do(tmp_path, snowflake_port, monkeypatch):
    variables = environment(snowflake_port, "run")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with installation(tmp_path, shards=1, warehouse_engine=WarehouseEngine.SNOWFLAKE) as plant:
        write_wave(simulate(PLAN).first, plant.settings.inbox)
        assert plant.settle() == ["ingest", "delivery_days"]
        # Four points of one channel at least, 24 hours.
        counted = plant.warehouse.row_counts({FACT: f"marts.{FACT}"})[FACT]
        assert counted >= 4 * 24
        [record] = plant.instance.fetch_materializations(dg.AssetKey(FACT), limit=10).records
        assert record.asset_materialization.metadata["dagster/row_count"].value == counted
        run_id = record.run_id
        assert plant.settle() == []
        with open_session(SnowflakeAccess.from_env(variables), role="r", warehouse="w", tag="t") as session:
            tags = {json.loads(tag)["run"] for (tag,) in session.run("select distinct run from raw.loads")}
            assert session.run("select holder from raw.lease") == [(None,)]
    assert tags == {run_id}
