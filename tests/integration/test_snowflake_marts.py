"""The marts of a simulated utility, built by dbt on both engines from one lake: they are the same, value by value.

The days hold the change to summer time. What this proves, and what it does not, is in docs/snowflake.md.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from metrify_assets.platform import Platform
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.settings import Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.dbt import dbt_environment, dbt_executable
from metrify_assets.warehouse.mart_vars import MartParameters, mart_vars
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import open_session
from metrify_assets.warehouse.warehouse import Relation, Warehouse
from metrify_assets.warehouse.warehouses import warehouse_of
from tests.harness import installation
from tests.integration.snowflake_server import environment

pytestmark = [pytest.mark.servers, pytest.mark.dbt]

PLAN = SimulationPlan(
    points=8,
    days=3,
    first_day=date(2026, 3, 28),
    redelivered_day=0,
    corrected_day=1,
    late_day=2,
    power_quality_points=3,
)
DAYS = [PLAN.day(offset) for offset in range(PLAN.days)]
PARAMETERS = MartParameters(
    completeness_threshold=0.9,
    weather_min_valid_days=0.04,
    transfer_classes=("household",),
    generation_classes=("pv",),
)
"""With the defaults a month of three days says nothing, and nor does a grid without border points."""
RARELY_KNOWN = (
    ("metrics.weather_correlation_metrics", "g20_15"),
    ("metrics.weather_correlation_metrics", "correlation"),
    ("metrics.grid_balance_metrics", "loss_kwh"),
)
"""Columns that are null in every row unless the parameters let them speak."""
SCHEMAS = ("staging", "intermediate", *MART_SCHEMAS)
DAILY = ("marts.fct_smart_meter_analytics", "metrics.daily_consumption_metrics")


class Engine:
    """One warehouse over the lake of the utility, with its dbt target."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.variables = variables
        with self.chosen():
            self.settings = Settings.from_env({**variables, "METRIFY_ROOT": str(root), "METRIFY_SHARDS": "2"})
            self.warehouse: Warehouse = warehouse_of(self.settings)
        self.platform = Platform(self.settings)

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Let the environment name this engine."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            yield

    def build(self, days: Sequence[date]) -> None:
        """Announce the lake and build the models and data tests of some days."""
        target = self.settings.root / f"dbt_{self.settings.warehouse_engine}"
        with self.chosen(), self.warehouse.exclusive():
            label = self.warehouse.label("test", days)
            marts.prepare(self.platform, self.warehouse, days)
            done = subprocess.run(
                [
                    *(dbt_executable(), "--quiet", "build", "--exclude-resource-type", "unit_test"),
                    *("--vars", json.dumps(mart_vars(PARAMETERS)), "--project-dir", str(self.settings.dbt_project)),
                    *("--target-path", str(target), "--log-path", str(target)),
                ],
                env={**os.environ, **dbt_environment(self.settings), **label},
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, done.stdout[-5_000:]

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple]:
        sql = f"select {', '.join(columns)} from {table}"
        if "snowflake" in self.variables.values():
            with open_session(SnowflakeAccess.from_env(self.variables), role="r", warehouse="w", tag="t") as session:
                return session.run(sql)
        with self.warehouse.connect(read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table (DuckDB)."""
        with self.warehouse.connect(read_only=True) as connection:
            return [row[0] for row in connection.execute(f"describe {table}").fetchall()]


@pytest.fixture(scope="module")
def engines(tmp_path_factory, snowflake_port) -> tuple[Engine, Engine]:
    """DuckDB and the server, each after its first build of all days."""
    root = tmp_path_factory.mktemp("utility")
    with installation(root, with_marts=False, shards=2) as plant:
        write_wave(simulate(PLAN).first, plant.settings.inbox)
        plant.settle()
    engines = Engine(root / "metrify", {}), Engine(root / "metrify", environment(snowflake_port, "both_engines"))
    for engine in engines:
        engine.build(DAYS)
    return engines


def differences(engines: tuple[Engine, Engine]) -> dict[str, list[tuple]]:
    """Return, by table, the rows that only one engine has."""
    duckdb, snowflake = engines
    rows_of_model = {}
    for name, table in duckdb.warehouse.tables_in(SCHEMAS).items():
        columns = duckdb.columns(table)
        ours, theirs = (sorted(map(repr, engine.rows(table, columns))) for engine in (duckdb, snowflake))
        if ours != theirs:
            rows_of_model[name] = sorted(set(ours) ^ set(theirs))[:4]
    return rows_of_model


def test_every_mart_is_the_same_on_both_engines(engines):
    tables = engines[0].warehouse.tables_in(SCHEMAS)
    assert len(tables) > 20
    # The server does not list views.
    assert engines[1].warehouse.tables_in(MART_SCHEMAS) == engines[0].warehouse.tables_in(MART_SCHEMAS)
    # Equal and empty would prove nothing.
    counts = engines[0].warehouse.row_counts(tables)
    assert [name for name, rows in counts.items() if not rows] == []
    for table, column in RARELY_KNOWN:
        assert engines[0].rows(table, [f"count({column})"]) != [(0,)], column
    assert engines[1].warehouse.row_counts(tables) == counts
    assert differences(engines) == {}


def test_a_corrected_day_is_rebuilt_alone_and_the_marts_are_the_same_again(engines):
    _, snowflake = engines
    relations = {table: Relation(table, "day") for table in DAILY}
    by_day = snowflake.warehouse.count_rows(relations, DAYS)
    platform = engines[0].platform
    corrected = DAYS[1]
    # The day loses a shard: its points are gone from the lake.
    manifest = platform.lake.manifest("clean_readings", corrected)
    platform.lake.publish("clean_readings", corrected, {0: manifest.shards[0]})
    for engine in engines:
        engine.build([corrected])
    assert differences(engines) == {}
    after = snowflake.warehouse.count_rows(relations, DAYS)
    for table in DAILY:
        changed = {day for day in DAYS if after[table].by_day[day] != by_day[table].by_day[day]}
        assert changed == {corrected}
