"""Our side of benchmark ``main``: one drop and one registry, from the inbox to the marts, by the sensors and jobs.

Belongs here: a real installation in a folder, timed, with where its seconds went. Does not belong here: the peer.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from metrify_assets.platform import Platform
from metrify_assets.storage.lake import Manifest
from tests.harness import Installation, installation

STEPS = {
    "ingest_drops": "ingest",
    "validated_readings": "validated",
    "clean_readings": "clean",
    "dbt_dimensions": "dbt",
    "dbt_daily_models": "dbt",
}
"""Dagster's steps and the names of their share; all other seconds are the rest: sensors, runs, events, empty tables."""


def run(source: str, feed: str, registry: str, folder: str, day: str) -> dict[str, Any]:
    """Deliver a file and its registry, and let the sensors and jobs work until nothing is left to do.

    Returns
    -------
    dict
        ``seconds`` from the files lying in the inbox to the marts being built, ``steps`` (seconds by step) and
        ``totals`` by name. Loading the code location is a figure of its own and not in it.
    """
    with installation(Path(folder)) as metrify:
        deliver(metrify, "registry_points", registry)
        deliver(metrify, feed, source)
        started = time.perf_counter()
        metrify.settle()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "steps": _steps(metrify), "totals": totals(metrify, date.fromisoformat(day))}


def deliver(metrify: Installation, feed: str, source: str) -> None:
    """Put a file into the inbox without holding it in memory."""
    target = metrify.settings.inbox / feed / Path(source).name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    moment = time.time() - 60
    os.utime(target, (moment, moment))


def _steps(metrify: Installation) -> dict[str, float]:
    """Return the seconds of the steps, from Dagster's own record of the runs."""
    found = dict.fromkeys(STEPS.values(), 0.0)
    for run_record in metrify.instance.get_runs():
        for step in metrify.instance.get_run_step_stats(run_record.run_id):
            if step.step_key in STEPS:
                found[STEPS[step.step_key]] += step.end_time - step.start_time
    return found


def lake_totals(platform: Platform, day: date) -> dict[str, Any]:
    """Return energy, slots by status and findings of a day, as the lake holds them."""
    validated = platform.lake.manifest("validated_readings", day)
    clean = platform.lake.manifest("clean_readings", day)
    found: dict[str, Any] = {"micro_kwh": int(clean.total("micro_kwh"))}
    found |= _counts(clean, "status", ("measured", "estimated", "missing"))
    return found | _counts(
        validated, "rules", ("gap", "negative", "physical_limit", "spike", "stuck", "robust_outlier")
    )


def totals(metrify: Installation, day: date) -> dict[str, Any]:
    """Return what the peer has to find, too: the totals of the lake and of the facts."""
    found = lake_totals(metrify.platform, day)
    tables = (("hourly", "marts.fct_smart_meter_analytics"), ("daily", "metrics.daily_consumption_metrics"))
    for name, table in tables:
        rows, energy = metrify.query(f"select count(*), sum(energy_kwh) from {table}")[0]
        found |= {f"{name}_rows": rows, f"{name}_kwh": str(energy)}
    return found


def _counts(manifest: Manifest, group: str, names: Iterable[str]) -> dict[str, int]:
    return {name: int(manifest.total(group, name)) for name in names}
