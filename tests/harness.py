"""Runs the real sensors and jobs on a real Dagster instance, in this process.

The daemon does nothing else than this loop: evaluate a sensor, launch what it asks for. Tests that need the daemon
itself start it (see ``test_demo.py``).
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
from dagster._core.utils import make_new_run_id

from metrify_assets.days.digests import CLEAN_TABLES
from metrify_assets.orchestration.assets.common import SENSOR_TAG
from metrify_assets.orchestration.automation.jobs import DAYS_JOB, DIMENSIONS_JOB, PUBLISH_JOB
from metrify_assets.orchestration.automation.sensors import RANGE_END, RANGE_START
from metrify_assets.orchestration.build import build_defs
from metrify_assets.orchestration.run_launcher import run_locks
from metrify_assets.platform import Platform
from metrify_assets.published.consumer import FILE_KEY
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import KafkaCluster, cluster_of
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.warehouse import DuckDBWarehouse, Warehouse
from metrify_assets.warehouse.warehouses import warehouse_of
from tests.parsed import share_parse
from tests.ready_dbt import ready_dbt
from tests.unit.warehouse.databases import Database

LAKE_ASSETS = ("validated_readings", *CLEAN_TABLES)


class NoWarehouse(Database):
    """Stands for the warehouse where a test is about the lake: a dbt run takes longer than all else together."""


@dataclass
class Installation:
    """One Metrify in a temporary folder, with its Dagster instance."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    platform: Platform
    warehouse: Warehouse | NoWarehouse
    cursors: dict[str, str | None]
    run_keys: set[tuple[str, str]]

    @property
    def kafka(self) -> dict[str, KafkaCluster]:
        """The resource of the streams, where there are any."""
        return {"kafka": cluster_of(self.settings)} if self.settings.kafka_bootstrap else {}

    def tick(self, sensor_name: str) -> list[dg.RunRequest]:
        """Evaluate a sensor once and return what it asks for and was not asked before, as the daemon does."""
        sensor = self.defs.resolve_sensor_def(sensor_name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor_name),
            definitions=self.defs,
            resources={"platform": self.platform, "warehouse": self.warehouse, **self.kafka},
        )
        data = sensor.evaluate_tick(context)
        self.cursors[sensor_name] = data.cursor
        fresh = [request for request in data.run_requests or [] if (sensor_name, request.run_key) not in self.run_keys]
        self.run_keys.update((sensor_name, request.run_key) for request in fresh)
        if isinstance(self.warehouse, NoWarehouse):
            # Without marts there is nothing to publish.
            return [request for request in fresh if request.job_name != PUBLISH_JOB]
        return fresh

    def run(self, request: dg.RunRequest, job: str | None = None, *, raise_on_error: bool = True):
        """Execute a request in this process; the run is in the instance's history."""
        if isinstance(self.warehouse, NoWarehouse) and (request.job_name or job) in (DAYS_JOB, DIMENSIONS_JOB):
            return self._run_without_marts(request, raise_on_error=raise_on_error)
        return self._execute(
            request.job_name or job,
            run_config=request.run_config,
            tags=request.tags,
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            raise_on_error=raise_on_error,
        )

    def _execute(self, job: str, **arguments):
        """Execute a job in this process, which holds the run's lock. A test that plays dead leaves the lock free."""
        locks, run_id = run_locks(self.instance), make_new_run_id()
        lock = locks.take(run_id)
        try:
            result = self.defs.resolve_job_def(job).execute_in_process(
                instance=self.instance, run_id=run_id, **arguments
            )
        except Exception:
            locks.remove(run_id)
            raise
        else:
            locks.remove(run_id)
        finally:
            os.close(lock)
        return result

    def _run_without_marts(self, request: dg.RunRequest, *, raise_on_error: bool):
        """Execute the part of a request that ends with the lake; note the marts as built if it succeeds."""
        days = days_of_request(request)
        result = None
        if request.job_name == DAYS_JOB:
            result = self._execute(
                DAYS_JOB,
                tags=request.tags,
                partition_key=request.partition_key,
                asset_selection=[dg.AssetKey(name) for name in LAKE_ASSETS],
                raise_on_error=raise_on_error,
            )
        if result is None or result.success:
            inputs = marts.prepare(self.platform, self.warehouse, days, only_stale=SENSOR_TAG in request.tags)
            marts.record_days(self.platform.lake, inputs, {})
            marts.record_dimensions(self.platform.lake, inputs)
        return result

    def settle(self, *, limit: int = 30, despite_failures: bool = False) -> list[str]:
        """Tick and run until nothing is asked for; return the jobs that ran, in order.

        With ``despite_failures`` a run may fail: until it is asked for again, what does not depend on it goes on.
        """
        ran: list[str] = []
        for _ in range(limit):
            asked = [(r, r.job_name or "ingest") for r in self.tick("drops")] or [
                (r, r.job_name) for r in self.tick("dirty_days")
            ]
            if not asked:
                return ran
            for request, job in asked:
                result = self.run(request, job, raise_on_error=not despite_failures)
                assert result is None or result.success or despite_failures
                ran.append(job)
        raise AssertionError(f"still busy after {limit} rounds: {ran}")

    def put(self, feed: str, source: Path | bytes, name: str | None = None, *, mtime: float | None = None) -> Path:
        """Put a file into the inbox as a sender would, long enough ago to be settled."""
        name = name or source.name
        target = self.settings.inbox / feed / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
        moment = mtime if mtime is not None else time.time() - 60
        os.utime(target, (moment, moment))
        return target

    def query(self, sql: str) -> list[tuple]:
        """Ask the warehouse, a DuckDB file."""
        with self.warehouse.connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()


def days_of_request(request: dg.RunRequest) -> list[date]:
    """Return the days that a request asks for, in order."""
    if request.partition_key:
        return [date.fromisoformat(request.partition_key)]
    if RANGE_START not in request.tags:
        return []
    first, last = (date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END))
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def tables(settings: Settings) -> dict[str, object]:
    """Return the digest of every day of the lake, and the rows of every published mart."""
    lake = Platform(settings).lake
    contents: dict[str, object] = {
        f"{table} {day}": manifest.digest for table in LAKE_ASSETS for day, manifest in lake.days(table).items()
    }
    file = settings.root / FILE_KEY
    if not file.exists():
        return contents
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table in DuckDBWarehouse(file).tables_in(MART_SCHEMAS).values():
            contents[table] = sorted(map(repr, connection.execute(f"select * from {table}").fetchall()))
    return contents


def resources_of(settings: Settings, platform: Platform, warehouse: Warehouse | NoWarehouse) -> dict[str, object]:
    """Return the resources of an installation by name. In a test dbt is ready; elsewhere it is started anew."""
    resources: dict[str, object] = {"platform": platform, "warehouse": warehouse}
    if "PYTEST_VERSION" in os.environ and not isinstance(warehouse, NoWarehouse):
        resources["dbt"] = ready_dbt(settings)
    return resources


@contextmanager
def installation(root: Path, *, with_marts: bool = True, **settings):
    """Yield an installation in ``root``; without marts, dbt is never run and the marts count as built."""
    chosen = Settings(root=root / "metrify", **settings)
    platform = Platform(chosen)
    warehouse = warehouse_of(chosen) if with_marts else NoWarehouse(root / "no_warehouse", "none")
    share_parse(chosen)
    defs = build_defs(chosen, resources_of(chosen, platform, warehouse))
    (root / "dagster").mkdir(parents=True, exist_ok=True)
    storage = {
        "storage": {
            "custom": {
                "module": "metrify_assets.orchestration.dagster_storage",
                "class": "PooledSqliteStorage",
                "config": {"base_dir": str(root / "dagster")},
            }
        }
    }
    launcher = {"run_launcher": {"module": "metrify_assets.orchestration.run_launcher", "class": "ProcessRunLauncher"}}
    with dg.DagsterInstance.local_temp(str(root / "dagster"), overrides={**storage, **launcher}) as instance:
        yield Installation(chosen, defs, instance, platform, warehouse, {}, set())
