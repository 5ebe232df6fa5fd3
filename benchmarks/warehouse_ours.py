"""Our side of benchmark ``warehouse``: dbt in a Dagster run, as the sensor's requests run it.

Belongs here: a run of the dbt assets and of their publication, for days whose lake lies there already. Does not belong
here: the lake (``warehouse_sample.py``), the peer (``warehouse_by_hand.py``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from metrify_assets.orchestration.assets.published import PUBLISHED_MARTS
from metrify_assets.orchestration.automation.jobs import DAYS_JOB, DIMENSIONS_JOB
from metrify_assets.orchestration.automation.sensors import range_request
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.digests import MartDigests
from tests.harness import LAKE_ASSETS, Installation, installation


def build(folder: str, days: Sequence[str]) -> dict[str, Any]:
    """Run the dbt assets of the job of delivery days for contiguous days (ISO), the dimensions only if they are stale.

    Returns
    -------
    dict
        ``seconds`` of the run: telling dbt what to read, dbt with its tests, counting rows, recording what was built,
        and Dagster's bookkeeping; not the loading of the code location. ``publish_seconds``: its last step, which is
        not among them, for nobody publishes by hand. ``models`` and ``tests``: what dbt built.
    """
    wanted = tuple(date.fromisoformat(day) for day in days)
    with installation(Path(folder)) as metrify:
        keys, dimensions = (_keys(metrify, job) for job in (DAYS_JOB, DIMENSIONS_JOB))
        if not marts.dimensions_stale(metrify.platform.lake, MartDigests(metrify.platform), wanted):
            keys -= dimensions - {dg.AssetKey(PUBLISHED_MARTS)}
        models = sorted((key for key in keys if key.path[-1] not in LAKE_ASSETS), key=str)
        started = time.perf_counter()
        result = metrify.run(range_request(wanted, None, {}, models))
        seconds = time.perf_counter() - started
        publishing = result.filter_events(lambda event: event.is_step_success and event.step_key == PUBLISHED_MARTS)
        publish_seconds = sum(event.step_success_data.duration_ms for event in publishing) / 1000
        # Reports of single days of a range come on top; the names are the same.
        built = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
        tests = {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}
    return {
        "seconds": seconds - publish_seconds,
        "publish_seconds": publish_seconds,
        "models": sorted(built),
        "tests": sorted(tests),
    }


def _keys(metrify: Installation, job: str) -> frozenset[dg.AssetKey]:
    return frozenset(metrify.defs.resolve_job_def(job).asset_layer.selected_asset_keys)
