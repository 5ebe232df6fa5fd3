"""Computing days on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from datetime import date, timedelta

from metrify_assets.errors import MetrifyError
from metrify_assets.settings import Settings


def recompute_days(settings: Settings, first: date, last: date) -> str:
    """Run the ``delivery_days`` job for a day or a range; return the run's id.

    Raises
    ------
    MetrifyError
        If the range is empty or lies outside of the partitions, or the run fails.
    """
    from metrify_assets.automation.jobs import DAYS_JOB
    from metrify_assets.automation.reasons import day_tags
    from metrify_assets.automation.sensors import RANGE_END, RANGE_START
    from metrify_assets.build import build_defs
    from metrify_assets.home import open_instance, prepare_home
    from metrify_assets.platform import Platform

    if last < first:
        raise MetrifyError(f"{last} lies before {first}: give the earlier day first")
    prepare_home(settings)
    begins, today = Platform(settings).first_day, settings.today()
    if first < begins:
        raise MetrifyError(f"{first} lies before the first day, {begins}: move it with `metrify first-day {first}`")
    if last > today:
        raise MetrifyError(f"{last} has not come yet: give a day up to {today}")
    job = build_defs(settings).resolve_job_def(DAYS_JOB)
    with open_instance(settings) as instance:
        days = [first + timedelta(offset) for offset in range((last - first).days + 1)]
        tags = day_tags(days, "asked for on the command line")
        if first == last:
            result = job.execute_in_process(
                instance=instance, tags=tags, partition_key=first.isoformat(), raise_on_error=False
            )
        else:
            tags |= {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
            result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        if not result.success:
            raise MetrifyError(f"run {result.run_id} failed: read it with `make dev`, page Runs")
        return result.run_id
