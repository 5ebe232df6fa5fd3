"""Computing days on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from datetime import date

from metrify_assets.errors import MetrifyError
from metrify_assets.settings import Settings


def recompute_days(settings: Settings, first: date, last: date, *, verbose: bool = False) -> str:
    """Run the ``delivery_days`` job for a day or a range; return the run's id.

    Files that the days are computed from are made again first if they are damaged; their own are written in any case.

    Raises
    ------
    MetrifyError
        If the range is empty or lies outside of the partitions.
    RunError
        If the run fails.
    """
    from metrify_assets.automation.jobs import DAYS_JOB
    from metrify_assets.automation.sensors import RANGE_END, RANGE_START
    from metrify_assets.foreground import run_job
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
    repair_inputs(Platform(settings), days_between(first, last))
    if first == last:
        return run_job(settings, DAYS_JOB, verbose=verbose, partition_key=first.isoformat())
    tags = {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
    return run_job(settings, DAYS_JOB, verbose=verbose, tags=tags)
