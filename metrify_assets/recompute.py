"""Computing days on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from metrify_assets.errors import MetrifyError
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult


def recompute_days(settings: Settings, first: date, last: date) -> str:
    """Run the ``delivery_days`` job for a day or a range; return the run's id.

    Files that the days are computed from are made again first if they are damaged; their own are written in any case.

    Raises
    ------
    MetrifyError
        If the range is empty or lies outside of the partitions, or the run fails.
    """
    from metrify_assets.automation.jobs import DAYS_JOB
    from metrify_assets.automation.sensors import RANGE_END, RANGE_START
    from metrify_assets.build import build_defs
    from metrify_assets.home import open_instance, prepare_home
    from metrify_assets.partitions import delivery_days
    from metrify_assets.platform import Platform
    from metrify_assets.tables.repair import repair_inputs
    from metrify_assets.vee.delivery_day import days_between

    if last < first:
        raise MetrifyError(f"{last} lies before {first}: give the earlier day first")
    keys = set(delivery_days(settings).get_partition_keys())
    for day in (first, last):
        if day.isoformat() not in keys:
            raise MetrifyError(f"{day} is no delivery day of this installation: see METRIFY_FIRST_DAY")
    prepare_home(settings)
    repair_inputs(Platform(settings), days_between(first, last))
    job = build_defs(settings).resolve_job_def(DAYS_JOB)
    with open_instance(settings) as instance:
        if first == last:
            result = job.execute_in_process(instance=instance, partition_key=first.isoformat(), raise_on_error=False)
        else:
            tags = {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
            result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        if not result.success:
            raise MetrifyError(f"run {result.run_id} failed: {_reason(result)}")
        return result.run_id


def _reason(result: ExecuteInProcessResult) -> str:
    """Return in one line why the first step failed that did."""
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    if not failures:
        return "read it with `make dev`, page Runs"
    error = failures[0].error
    while error.cause is not None:
        error = error.cause
    told = failures[0].user_failure_data
    text = told.description if told is not None and told.description else error.message
    return " ".join(text.split())
