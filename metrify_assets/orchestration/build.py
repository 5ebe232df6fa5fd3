"""Assembly: settings in, Dagster definitions out. The only place that puts the parts together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from metrify_assets.orchestration.assets.forecast import forecast_assets, forecast_weeks
from metrify_assets.orchestration.assets.marts import dbt_model_assets
from metrify_assets.orchestration.assets.model_sets import with_whole_paths
from metrify_assets.orchestration.assets.months import month_assets
from metrify_assets.orchestration.assets.published import published_asset
from metrify_assets.orchestration.assets.pulled import pulled_assets
from metrify_assets.orchestration.assets.raw import raw_assets
from metrify_assets.orchestration.assets.readings import reading_assets
from metrify_assets.orchestration.assets.registries import registry_assets
from metrify_assets.orchestration.assets.sources import source_assets
from metrify_assets.orchestration.assets.weather_dependence import weather_dependence_asset
from metrify_assets.orchestration.automation.jobs import day_job, dimensions_job, ingest_job, publish_job, reconcile_job
from metrify_assets.orchestration.automation.schedules import (
    finished_day_schedule,
    forecast_schedules,
    latest_day_schedule,
    month_schedules,
    pull_schedules,
    reconcile_schedule,
)
from metrify_assets.orchestration.automation.sensors import dirty_days_sensor, drops_sensor
from metrify_assets.orchestration.automation.streams import stream_job, stream_sensor
from metrify_assets.orchestration.checks.latest_day import daily_freshness, latest_day, latest_day_checks
from metrify_assets.orchestration.checks.streams import stream_checks
from metrify_assets.orchestration.partitions import delivery_days
from metrify_assets.orchestration.resources.clients import client_resources
from metrify_assets.orchestration.resources.dbt import dbt_resource, project_of
from metrify_assets.platform import platform_of
from metrify_assets.published.models import models_of
from metrify_assets.settings import METRIFY_DBT, Settings
from metrify_assets.warehouse.dbt import ready_manifest


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assemble the code location.

    Parameters
    ----------
    settings : Settings
    resource_overrides : mapping, optional
        Resources that take the place of the installation's, by name: ``platform``, ``warehouse``, ``dbt``, ``kafka``.
    """
    with warnings.catch_warnings():
        # Backfill policies and partition mappings are called beta; they are used with open eyes.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assemble(settings, resource_overrides or {})


def _assemble(settings: Settings, resource_overrides: Mapping[str, Any]) -> dg.Definitions:
    resources: dict[str, Any] = {**client_resources(settings), "dbt": dbt_resource(settings), **resource_overrides}
    platform = resource_overrides.get("platform") or platform_of(settings)
    days = delivery_days(settings, platform.first_day)
    manifest = json.loads(ready_manifest(settings).read_bytes())
    if settings.dbt_project_dir is not None:
        manifest = with_whole_paths(manifest, {"metrify": str(METRIFY_DBT)})
    dimensions, daily = dbt_model_assets(manifest, project_of(settings), days)
    published = published_asset(models_of(manifest), daily_freshness(settings.timezone))
    of_days = [day_job(dimensions, daily), dimensions_job(dimensions), publish_job()]
    sensors_on = dg.DefaultSensorStatus.RUNNING if settings.automation else dg.DefaultSensorStatus.STOPPED
    schedules_on = dg.DefaultScheduleStatus.RUNNING if settings.automation else dg.DefaultScheduleStatus.STOPPED
    # Without a broker there is nothing to land, and nothing to check.
    streams = settings.kafka_bootstrap is not None
    return dg.Definitions(
        assets=[
            *dg.with_source_code_references(
                [
                    *source_assets(),
                    *pulled_assets(days),
                    *raw_assets(days),
                    *registry_assets(),
                    *reading_assets(days, daily_freshness(settings.timezone)),
                    *forecast_assets(days, forecast_weeks(platform.first_day, settings.timezone)),
                    *month_assets(),
                    published,
                    weather_dependence_asset(),
                    latest_day(),
                ]
            ),
            dimensions,
            daily,
        ],
        asset_checks=[*latest_day_checks(), *([stream_checks()] if streams else [])],
        jobs=[ingest_job, *of_days, reconcile_job, *([stream_job] if streams else [])],
        sensors=[
            drops_sensor(sensors_on),
            dirty_days_sensor(of_days, sorted(dimensions.keys), sorted(daily.keys | published.keys), sensors_on),
            *([stream_sensor(sensors_on)] if streams else []),
        ],
        schedules=[
            finished_day_schedule(settings, schedules_on),
            latest_day_schedule(settings, schedules_on),
            reconcile_schedule(settings, schedules_on),
            *month_schedules(settings, schedules_on),
            *pull_schedules(settings, schedules_on),
            *forecast_schedules(settings, platform, schedules_on),
        ],
        resources=resources,
        executor=dg.in_process_executor,
    )
