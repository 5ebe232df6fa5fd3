"""Schedules: the finished day, the pulled sources and forecasts, every morning; reconciliation, every night."""

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from metrify_assets.analytics.grid_load import last_load_day
from metrify_assets.orchestration.assets.common import SENSOR_TAG
from metrify_assets.orchestration.assets.months import BY_MONTH
from metrify_assets.orchestration.assets.pulled import asset_name
from metrify_assets.orchestration.automation.jobs import DAYS_JOB, RECONCILE_JOB
from metrify_assets.orchestration.automation.reasons import day_tags
from metrify_assets.orchestration.checks.latest_day import DEADLINE, LATEST_DAY
from metrify_assets.platform import Platform
from metrify_assets.schemas.forecast import (
    FORECAST,
    FORECAST_BACKTEST,
    FORECAST_FEATURES,
    FORECAST_MODEL,
    FORECAST_SCORES,
)
from metrify_assets.schemas.table import Table
from metrify_assets.settings import Settings
from metrify_assets.sources.http.run import SOURCES

RECENT_LOAD = timedelta(days=7)
"""Age of the last grid status from which nothing is forecast."""


def finished_day_schedule(settings: Settings, default_status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Return the schedule that computes yesterday, also where nothing arrived for it: silence must show as missing."""

    @dg.schedule(
        name="finished_day",
        job_name=DAYS_JOB,
        cron_schedule="30 6 * * *",
        execution_timezone=settings.timezone,
        default_status=default_status,
        description="Computes the delivery day that has just ended, every morning at 06:30.",
    )
    def finished_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return _ended_day(context, settings, "the day has ended")

    return finished_day


def latest_day_schedule(settings: Settings, default_status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Return the schedule that looks for yesterday, an hour after it was asked for."""
    return dg.ScheduleDefinition(
        name=LATEST_DAY,
        target=dg.AssetSelection.checks_for_assets(LATEST_DAY),
        cron_schedule=DEADLINE,
        execution_timezone=settings.timezone,
        default_status=default_status,
        description="Looks whether the delivery day that has ended is computed and published, every morning at 07:30.",
    )


def pull_schedules(settings: Settings, default_status: dg.DefaultScheduleStatus) -> list[dg.ScheduleDefinition]:
    """Return one schedule per source that is configured; there is nothing to pull from the others."""
    configured = [name for name, source in SOURCES.items() if getattr(settings, source.setting)]
    return [_pull_schedule(settings, name, default_status) for name in configured]


def _pull_schedule(settings: Settings, source: str, default_status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"pull_{source}",
        target=dg.AssetSelection.assets(asset_name(source)),
        cron_schedule="0 8 * * *",
        execution_timezone=settings.timezone,
        default_status=default_status,
        description=f"Fetches the delivery day that has just ended from {source}, every morning at 08:00.",
    )
    def pull(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return _ended_day(context, settings, f"{source} has the day that has ended")

    return pull


def month_schedules(settings: Settings, default_status: dg.DefaultScheduleStatus) -> list[dg.ScheduleDefinition]:
    """Return the schedule of what is computed by month, where tariffs are named; without them there are no bills."""
    if settings.tariffs_file is None:
        return []
    return [
        dg.ScheduleDefinition(
            name="months",
            target=dg.AssetSelection.assets(*BY_MONTH),
            cron_schedule="0 9 * * *",
            execution_timezone=settings.timezone,
            # Such a run computes what changed.
            tags={SENSOR_TAG: "months"},
            default_status=default_status,
            description="Bills the months that have ended and whose inputs changed, every morning at 09:00.",
        )
    ]


def reconcile_schedule(settings: Settings, default_status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Return the schedule that looks at every record: the ledger's views follow the latest ones only."""
    return dg.ScheduleDefinition(
        name="reconcile",
        job_name=RECONCILE_JOB,
        cron_schedule="15 3 * * *",
        execution_timezone=settings.timezone,
        default_status=default_status,
        description="Looks at every record of the ledger, every night, and lists those anew that appeared late.",
    )


def forecast_schedules(
    settings: Settings, platform: Platform, default_status: dg.DefaultScheduleStatus
) -> list[dg.ScheduleDefinition]:
    """Return the schedules that fit the models every Monday, issue forecasts every morning, and score the last year."""

    def schedule(
        name: str, cron: str, tables: Sequence[Table], description: str, *, with_partition: bool
    ) -> dg.ScheduleDefinition:
        @dg.schedule(
            name=name,
            target=dg.AssetSelection.assets(*(table.name for table in tables)),
            cron_schedule=cron,
            execution_timezone=settings.timezone,
            default_status=default_status,
            description=description,
        )
        def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
            day = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
            last = last_load_day(platform)
            if last is None or last < day - RECENT_LOAD:
                return dg.SkipReason(f"the last grid status is of {last}: there is nothing to forecast from")
            partition = day.isoformat() if with_partition else None
            return dg.RunRequest(run_key=day.isoformat(), partition_key=partition)

        return ask

    return [
        schedule(
            "forecast_model",
            "2 8 * * 1",
            (FORECAST_MODEL,),
            "Fits the models of the week, every Monday at 08:02.",
            with_partition=True,
        ),
        schedule(
            "forecast",
            "10 8 * * *",
            (FORECAST_FEATURES, FORECAST),
            "Issues the forecasts of the day, every morning at 08:10, from what had arrived by 08:00.",
            with_partition=True,
        ),
        schedule(
            "forecast_scores",
            "0 9 * * 1",
            (FORECAST_BACKTEST, FORECAST_SCORES),
            "Forecasts the last year anew and scores it, every Monday at 09:00.",
            with_partition=False,
        ),
    ]


def _ended_day(context: dg.ScheduleEvaluationContext, settings: Settings, reason: str) -> dg.RunRequest:
    """Ask for the delivery day that ended before a tick."""
    day = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date() - timedelta(days=1)
    return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat(), tags=day_tags([day], reason))
