"""Computing days on request, in this process, as one run of the recorded history."""

from __future__ import annotations

from datetime import date

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
    from metrify_assets.automation.sensors import RANGE_END, RANGE_START
    from metrify_assets.build import build_defs
    from metrify_assets.home import open_instance, prepare_home, run_here
    from metrify_assets.partitions import delivery_days

    if last < first:
        raise MetrifyError(f"{last} lies before {first}: give the earlier day first")
    keys = set(delivery_days(settings).get_partition_keys())
    for day in (first, last):
        if day.isoformat() not in keys:
            raise MetrifyError(f"{day} is no delivery day of this installation: see METRIFY_FIRST_DAY")
    prepare_home(settings)
    job = build_defs(settings).resolve_job_def(DAYS_JOB)
    span = {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
    with open_instance(settings) as instance:
        result = run_here(instance, job, **({"partition_key": first.isoformat()} if first == last else {"tags": span}))
        if not result.success:
            raise MetrifyError(f"run {result.run_id} failed: read it with `make dev`, page Runs")
        return result.run_id
