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
    from metrify_assets.days.repair import repair_inputs
    from metrify_assets.orchestration.automation.jobs import DAYS_JOB
    from metrify_assets.orchestration.automation.reasons import day_tags
    from metrify_assets.orchestration.automation.sensors import RANGE_END, RANGE_START
    from metrify_assets.orchestration.foreground import run_job
    from metrify_assets.platform import Platform
    from metrify_assets.vee.delivery_day import days_between

    if last < first:
        raise MetrifyError(f"{last} lies before {first}: give the earlier day first")
    platform = Platform(settings)
    begins, today = platform.first_day, platform.today
    if first < begins:
        raise MetrifyError(f"{first} lies before the first day, {begins}: move it with `metrify first-day {first}`")
    if last > today:
        raise MetrifyError(f"{last} has not come yet: give a day up to {today}")
    days = days_between(first, last)
    repair_inputs(platform, days)
    tags = day_tags(days, "asked for on the command line")
    if first == last:
        return run_job(settings, DAYS_JOB, verbose=verbose, tags=tags, partition_key=first.isoformat())
    tags |= {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
    return run_job(settings, DAYS_JOB, verbose=verbose, tags=tags)
