"""Our side of benchmark ``warehouse``: dbt in a Dagster run, as the sensor's requests run it.

Belongs here: a run of the dbt assets alone, for days whose lake lies there already. Does not belong here: the lake
(``warehouse_sample.py``), the peer (``warehouse_by_hand.py``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from metrify_assets.automation.jobs import DAYS_JOB
from metrify_assets.automation.sensors import range_request
from tests.harness import LAKE_ASSETS, installation


def build(folder: str, days: Sequence[str]) -> dict[str, Any]:
    """Run the dbt assets of the job of delivery days for contiguous days (ISO).

    Returns
    -------
    dict
        ``seconds`` of the run: telling dbt what to read, dbt with its tests, counting rows, recording what was built,
        and Dagster's bookkeeping; not the loading of the code location. ``models`` and ``tests``: what dbt built.
    """
    wanted = tuple(date.fromisoformat(day) for day in days)
    with installation(Path(folder)) as metrify:
        keys = metrify.defs.resolve_job_def(DAYS_JOB).asset_layer.selected_asset_keys
        models = sorted((key for key in keys if key.path[-1] not in LAKE_ASSETS), key=str)
        started = time.perf_counter()
        result = metrify.run(range_request(wanted, None, {}, models))
        seconds = time.perf_counter() - started
        # Reports of single days of a range come on top; the names are the same.
        built = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
        tests = {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}
    return {"seconds": seconds, "models": sorted(built), "tests": sorted(tests)}
