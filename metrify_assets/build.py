"""Assembly: settings in, Dagster definitions out. The only place that puts the parts together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from metrify_assets.assets.marts import dbt_model_assets
from metrify_assets.assets.raw import raw_assets
from metrify_assets.assets.readings import reading_assets
from metrify_assets.assets.registries import registry_assets
from metrify_assets.assets.sources import source_assets
from metrify_assets.automation.jobs import day_job, dimensions_job, ingest_job
from metrify_assets.automation.schedules import finished_day_schedule
from metrify_assets.automation.sensors import dirty_days_sensor, drops_sensor
from metrify_assets.partitions import delivery_days
from metrify_assets.platform import Platform
from metrify_assets.resources.dbt import dbt_resource, ensure_manifest
from metrify_assets.resources.warehouses import warehouse_of
from metrify_assets.settings import Settings


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assemble the code location.

    Parameters
    ----------
    settings : Settings
    resource_overrides : mapping, optional
        Resources that take the place of the profile's, by name: ``platform``, ``warehouse``, ``dbt``.
    """
    with warnings.catch_warnings():
        # Backfill policies and partition mappings are called beta; they are used with open eyes.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assemble(settings, resource_overrides or {})


def _assemble(settings: Settings, resource_overrides: Mapping[str, Any]) -> dg.Definitions:
    resources: dict[str, Any] = {
        "platform": Platform(settings),
        "warehouse": warehouse_of(settings),
        "dbt": dbt_resource(settings),
        **resource_overrides,
    }
    days = delivery_days(settings)
    models = dbt_model_assets(ensure_manifest(settings), days)
    jobs = [ingest_job, day_job(models), dimensions_job(models)]
    sensors_on = dg.DefaultSensorStatus.RUNNING if settings.automation else dg.DefaultSensorStatus.STOPPED
    schedules_on = dg.DefaultScheduleStatus.RUNNING if settings.automation else dg.DefaultScheduleStatus.STOPPED
    return dg.Definitions(
        assets=[*source_assets(), *raw_assets(days), *registry_assets(), *reading_assets(days), models],
        jobs=jobs,
        sensors=[drops_sensor(sensors_on), dirty_days_sensor(jobs[1], jobs[2], sorted(models.keys), sensors_on)],
        schedules=[finished_day_schedule(settings, schedules_on)],
        resources=resources,
        executor=dg.in_process_executor,
    )
