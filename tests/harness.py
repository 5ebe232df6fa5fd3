"""Runs the real sensors and jobs on a real Dagster instance, in this process.

The daemon does nothing else than this loop: evaluate a sensor, launch what it asks for. Tests that need the daemon
itself start it (see ``test_demo.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from metrify_assets.build import build_defs
from metrify_assets.platform import Platform
from metrify_assets.resources.warehouse import DuckDBWarehouse
from metrify_assets.settings import Settings


@dataclass
class Installation:
    """One Metrify in a temporary folder, with its Dagster instance."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    platform: Platform
    warehouse: DuckDBWarehouse
    cursors: dict[str, str | None]
    run_keys: set[tuple[str, str]]

    def tick(self, sensor_name: str) -> list[dg.RunRequest]:
        """Evaluate a sensor once and return what it asks for and was not asked before, as the daemon does."""
        sensor = self.defs.resolve_sensor_def(sensor_name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor_name),
            definitions=self.defs,
            resources={"platform": self.platform, "warehouse": self.warehouse},
        )
        data = sensor.evaluate_tick(context)
        self.cursors[sensor_name] = data.cursor
        fresh = [request for request in data.run_requests or [] if (sensor_name, request.run_key) not in self.run_keys]
        self.run_keys.update((sensor_name, request.run_key) for request in fresh)
        return fresh

    def run(self, request: dg.RunRequest, job: str | None = None, *, raise_on_error: bool = True):
        """Execute a request in this process; the run is in the instance's history."""
        definition = self.defs.resolve_job_def(request.job_name or job)
        return definition.execute_in_process(
            instance=self.instance,
            run_config=request.run_config,
            tags=request.tags,
            partition_key=request.partition_key,
            raise_on_error=raise_on_error,
        )

    def settle(self, *, limit: int = 30) -> list[str]:
        """Tick and run until nothing is asked for; return the jobs that ran, in order."""
        ran: list[str] = []
        for _ in range(limit):
            asked = [(r, r.job_name or "ingest") for r in self.tick("drops")] or [
                (r, r.job_name) for r in self.tick("dirty_days")
            ]
            if not asked:
                return ran
            for request, job in asked:
                assert self.run(request, job).success
                ran.append(job)
        raise AssertionError(f"still busy after {limit} rounds: {ran}")

    def put(self, feed: str, source: Path | bytes, name: str | None = None, *, mtime: float | None = None) -> Path:
        """Put a file into the inbox as a sender would, long enough ago to be settled."""
        import os
        import time

        name = name or source.name
        target = self.settings.inbox / feed / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
        moment = mtime if mtime is not None else time.time() - 60
        os.utime(target, (moment, moment))
        return target

    def query(self, sql: str) -> list[tuple]:
        """Ask the warehouse."""
        with self.warehouse.connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def installation(root: Path, **settings):
    """Yield an installation in ``root``."""
    chosen = Settings(root=root / "metrify", **settings)
    platform = Platform(chosen)
    warehouse = DuckDBWarehouse(chosen.warehouse)
    defs = build_defs(chosen, {"platform": platform, "warehouse": warehouse})
    (root / "dagster").mkdir(parents=True)
    storage = {
        "storage": {
            "custom": {
                "module": "metrify_assets.resources.dagster_storage",
                "class": "PooledSqliteStorage",
                "config": {"base_dir": str(root / "dagster")},
            }
        }
    }
    with dg.DagsterInstance.local_temp(str(root / "dagster"), overrides=storage) as instance:
        yield Installation(chosen, defs, instance, platform, warehouse, {}, set())
