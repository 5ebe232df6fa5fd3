"""What orchestration costs: the same days by Dagster's job and by plain calls, in one process, one after the other.

Belongs here: an installation with a few points, the job on two event logs, the direct calls. Does not belong here:
large days (``pipeline.py``): next to them the cost of a run is small, and their noise would hide it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import dagster as dg

from benchmarks.pipeline import deliver
from benchmarks.sample import DAY, write_sample
from metrify_assets.days.clean import compute_clean
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.days.validated import compute_validated
from metrify_assets.orchestration.automation.jobs import INGEST_JOB
from metrify_assets.orchestration.automation.sensors import range_request
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.dbt import dbt_environment, dbt_executable
from tests.harness import Installation, installation

POINTS = 20
Days = tuple[date, ...]


def compare(folder: str, repeats: dict[str, int], warm_up: bool) -> dict[str, dict[str, list[float]]]:
    """Time the computation of some numbers of days, so many times each, alternating.

    Parameters
    ----------
    folder : str
    repeats : dict
        Repeats by number of days (text, as it came as JSON).
    warm_up : bool
        Whether every case runs once for one day before, and all days are computed before that.

    Returns
    -------
    dict
        By number of days, the seconds of every repeat: ``job`` (as installed, with the pooled event log),
        ``job_with_dagster_log`` (with Dagster's own SQLite event log) and ``direct``.
    """
    base = Path(folder)
    (base / "sample").mkdir()
    (base / "dagster_log").mkdir()
    longest = max(map(int, repeats))
    days: Days = tuple(DAY + timedelta(days=position) for position in range(longest))
    paths = write_sample(str(base / "sample"), POINTS, longest, ("csv",))
    with (
        installation(base) as metrify,
        dg.DagsterInstance.local_temp(str(base / "dagster_log")) as own_log,
    ):
        deliver(metrify, "registry_points", paths["registry"])
        deliver(metrify, "meters_east", paths["csv"])
        if warm_up:
            metrify.settle()
        else:
            for request in metrify.tick("drops"):
                metrify.run(request, INGEST_JOB)
        cases: dict[str, Callable[[Days], None]] = {
            "job": partial(_by_job, metrify),
            "job_with_dagster_log": partial(_by_job, replace(metrify, instance=own_log)),
            "direct": partial(_directly, metrify),
        }
        if warm_up:
            _times(cases, days[-1:], 1)
        return {size: _times(cases, days[-int(size) :], count) for size, count in repeats.items()}


def _times(cases: dict[str, Callable[[Days], None]], days: Days, repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, run in cases.items():
            started = time.perf_counter()
            run(days)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def _by_job(metrify: Installation, days: Days) -> None:
    """Run the job; without the sensor's tag it computes every shard of every day."""
    metrify.run(range_request(days, None, {}))


def _directly(metrify: Installation, days: Days) -> None:
    """Compute what the job computes, with the same functions and the same dbt command."""
    platform, warehouse = metrify.platform, metrify.warehouse
    digests = Digests(platform)
    for day in days:
        compute_validated(platform, day, digests, force=True)
    digests = Digests(platform)
    shards = clean_shards(digests)
    for day in days:
        compute_clean(platform, day, digests, shards, force=True)
        compute_grid_status(platform, day, digests, force=True)
        compute_weather(platform, day, digests, force=True)
    inputs = marts.prepare(platform, warehouse, days)
    _dbt_build(metrify)
    marts.record_days(platform.lake, inputs, {})
    marts.record_dimensions(platform.lake, inputs)


def _dbt_build(metrify: Installation) -> None:
    settings = metrify.settings
    target = settings.dbt_target / "runs" / "direct"
    target.mkdir(parents=True, exist_ok=True)
    # What dagster-dbt does, too: the parsed project is at hand, and every run writes to its own folder.
    shutil.copyfile(settings.dbt_target / "partial_parse.msgpack", target / "partial_parse.msgpack")
    command = [
        dbt_executable(),
        *("--log-format", "json"),
        *("build", "--exclude-resource-type", "unit_test", "--project-dir", str(settings.dbt_project)),
    ]
    environment = {
        **os.environ,
        **dbt_environment(settings),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
    }
    subprocess.run(command, env=environment, check=True, capture_output=True)
