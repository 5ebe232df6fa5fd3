"""The dbt resource of the tests' installations: one process of a test process has imported dbt for all of them.

Belongs here: starting it once. Processes that a test starts itself use dbt as users do, and so do the benchmarks.
"""

from __future__ import annotations

import atexit
import shutil
from functools import cache

from metrify_assets.orchestration.resources.dbt import MetrifyDbt, dbt_resource
from metrify_assets.settings import Settings
from metrify_assets.warehouse.ready_dbt import ReadyDbt, dbt_command


@cache
def dbt_of_this_process() -> ReadyDbt:
    """Start the process, and return it."""
    ready = ReadyDbt("duckdb")
    atexit.register(ready.close)
    return ready


def ready_dbt(settings: Settings) -> MetrifyDbt:
    """Return the dbt resource of an installation whose commands the process runs."""
    assigned = [f"{name}={value}" for name, value in dbt_of_this_process().environment.items()]
    env = shutil.which("env")
    assert env is not None
    return dbt_resource(settings, [env, *assigned, *dbt_command()])
