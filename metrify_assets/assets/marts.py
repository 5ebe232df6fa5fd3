"""The dbt models as assets: staging, marts, metrics.

Belongs here: running dbt for the days of a run, once per run, and reporting what it built. Does not belong here: the
models (``metrify_dbt/``) and which days are dirty (``tables/digests.py``).
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from metrify_assets.assets.common import SENSOR_TAG, retry_policy
from metrify_assets.partitions import days_of
from metrify_assets.platform import Platform
from metrify_assets.resources.dbt import MetrifyDbt, vars_arguments
from metrify_assets.resources.warehouse import Warehouse
from metrify_assets.tables import marts

DBT_MODELS = "dbt_models"
DAILY_MATERIALIZATION = "incremental"
"""dbt materialization of the models that a run of delivery days builds: by day, or by the months of the days."""


class MetrifyTranslator(DagsterDbtTranslator):
    """Names of dbt models as asset keys; only the daily models are partitioned."""

    def __init__(self, days: dg.PartitionsDefinition):
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.days = days

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the model's name, or the asset that a source names."""
        named = dbt_resource_props.get("meta", {}).get("dagster", {}).get("asset_key")
        return dg.AssetKey(named or [dbt_resource_props["name"]])

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition | None:
        """Return the delivery days for the daily models, none for the others."""
        return self.days if dbt_resource_props["config"].get("materialized") == DAILY_MATERIALIZATION else None


def dbt_model_assets(manifest: Path, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Return all dbt models as one step: one invocation builds every day of a run."""

    @dbt_assets(
        manifest=manifest,
        name=DBT_MODELS,
        dagster_dbt_translator=MetrifyTranslator(days),
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=retry_policy(),
        pool="warehouse",
    )
    def dbt_models(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[MetrifyDbt],
        platform: dg.ResourceParam[Platform],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[Any]:
        # From telling dbt what to read until recording what it built, nobody else may do the same.
        with warehouse.exclusive():
            yield from _build(context, dbt, platform, warehouse)

    return dbt_models


def _build(
    context: dg.AssetExecutionContext, dbt: MetrifyDbt, platform: Platform, warehouse: Warehouse
) -> Iterator[Any]:
    asked = days_of(context) if context.has_partition_key or context.has_partition_key_range else []
    os.environ.update(warehouse.label(context.run.run_id, asked))
    inputs = marts.prepare(platform, warehouse, asked, only_stale=SENSOR_TAG in context.run.tags)
    asked = list(inputs.days)
    context.log.info(f"dbt builds {len(asked)} days")
    invocation = dbt.cli(
        # dbt's unit tests say nothing about the data: they belong to the project's own tests.
        ["build", "--exclude-resource-type", "unit_test", *vars_arguments()],
        context=context,
        target_path=platform.settings.dbt_target / "runs" / context.run.run_id[:8],
    )
    # dbt has the file open until it ends; counts can only be added then.
    events: list[Any] = []
    try:
        for event in invocation.stream():
            events.append(event)
    except DagsterDbtCliRuntimeError as error:
        # What dbt said before it failed, test results above all, belongs on the assets.
        yield from events
        raise dg.Failure(f"dbt failed: {error}") from error
    built = {
        node["name"]: f"{node['schema']}.{node['alias']}"
        for node in invocation.manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    counts = warehouse.row_counts({name: built[name] for name in _model_names(events) if name in built})
    for event in events:
        name = getattr(event, "output_name", None)
        if name in counts:
            yield event.with_metadata({**event.metadata, "dagster/row_count": counts[name]})
        else:
            yield event
    _record(context, platform, warehouse, inputs, asked, built, _monthly_models(invocation.manifest))
    # Kept after a failure, to be read.
    shutil.rmtree(invocation.target_path)


def _model_names(events: list[Any]) -> list[str]:
    return [event.output_name for event in events if isinstance(event, dg.Output)]


def _monthly_models(manifest: Mapping[str, Any]) -> set[str]:
    """Return the models that a run of days builds by month."""
    models = (node for node in manifest["nodes"].values() if node["resource_type"] == "model")
    return {node["name"] for node in models if node["config"]["meta"].get("replaces") == "month"}


def _record(
    context: dg.AssetExecutionContext,
    platform: Platform,
    warehouse: Warehouse,
    inputs: marts.MartInputs,
    asked: list[date],
    built: Mapping[str, str],
    monthly: set[str],
) -> None:
    """Record what the marts hold now, and report every day of every daily model that was built."""
    daily = [key.path[-1] for key in context.selected_asset_keys if _is_daily(context, key)]
    every = [spec.key.path[-1] for spec in context.assets_def.specs if spec.partitions_def is not None]
    counted = daily if asked else []
    by_model = {name: warehouse.row_counts_by_day(built[name], asked, by_month=name in monthly) for name in counted}
    # What another run may have written over is not recorded as built.
    warehouse.check_exclusive()
    if set(daily) == set(every):
        totals = {day: sum(rows[day] for name, rows in by_model.items() if name not in monthly) for day in asked}
        marts.record_days(platform, inputs, totals)
    if all(
        _is_daily(context, spec.key) or spec.key in context.selected_asset_keys for spec in context.assets_def.specs
    ):
        marts.record_dimensions(platform, inputs)
    if not context.has_partition_key_range:
        return
    for name, rows in by_model.items():
        for day in asked:
            metadata = {"dagster/partition_row_count": rows[day], "dagster/row_count": rows[day]}
            context.log_event(dg.AssetMaterialization(name, partition=day.isoformat(), metadata=metadata))


def _is_daily(context: dg.AssetExecutionContext, key: dg.AssetKey) -> bool:
    return context.assets_def.specs_by_key[key].partitions_def is not None
