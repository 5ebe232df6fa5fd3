"""The dbt models as assets: the dimensions, and the daily models.

Belongs here: running dbt for the days of a run, once per set, and reporting what it built and tested. Does not belong
here: the models (``metrify_dbt/``), dbt's arguments (``model_sets.py``), and which days are dirty
(``days/digests.py``).
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import dagster as dg
from dagster_dbt import DbtProject, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from metrify_assets.orchestration.assets.common import SENSOR_TAG, retry_policy
from metrify_assets.orchestration.assets.model_sets import (
    DAILY_MODELS,
    DIMENSIONS,
    ModelSet,
    build_arguments,
    code_versions,
    declared_columns,
    relations,
    rows_by_day,
)
from metrify_assets.orchestration.assets.translator import MetrifyTranslator
from metrify_assets.orchestration.checks.results import evaluation, log_evaluation, of_several_days
from metrify_assets.orchestration.partitions import days_of
from metrify_assets.orchestration.resources.dbt import MetrifyDbt
from metrify_assets.platform import Platform
from metrify_assets.storage.lake import damaged_file
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.dbt import command_by_hand, run_folder
from metrify_assets.warehouse.dbt_project import vars_arguments
from metrify_assets.warehouse.digests import MARTS
from metrify_assets.warehouse.warehouse import RowCounts, Warehouse

FAILED_ROWS = "dagster_dbt/failed_row_count"


class MartAssets(NamedTuple):
    """The two sets of models."""

    dimensions: dg.AssetsDefinition
    daily: dg.AssetsDefinition


@dataclass(frozen=True)
class Models:
    """The parsed project, and how its models look in Dagster."""

    manifest: Mapping[str, Any]
    project: DbtProject
    translator: MetrifyTranslator


@dataclass(frozen=True)
class Step:
    """One step: what it may use."""

    context: dg.AssetExecutionContext
    dbt: MetrifyDbt
    platform: Platform
    warehouse: Warehouse
    models: Models


def dbt_model_assets(manifest: Mapping[str, Any], project: DbtProject, days: dg.PartitionsDefinition) -> MartAssets:
    """Return all dbt models as two steps: one without days, one that builds every day of a run in one invocation."""
    models = Models(manifest, project, MetrifyTranslator(days, code_versions(manifest)))
    return MartAssets(
        dimensions=_step(DIMENSIONS, models, _build_dimensions), daily=_step(DAILY_MODELS, models, _build_days)
    )


def _step(which: ModelSet, models: Models, build: Callable[[Step], Iterator[Any]]) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=models.manifest,
        project=models.project,
        select=which.select,
        exclude=which.exclude,
        name=which.name,
        dagster_dbt_translator=models.translator,
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
        # From passing to dbt what to read until recording what it built, nobody else may do the same.
        with warehouse.exclusive():
            yield from build(Step(context, dbt, platform, warehouse, models))

    return dbt_models


def _build_dimensions(step: Step) -> Iterator[Any]:
    """Build the models without days."""
    os.environ.update(step.warehouse.label(step.context.run.run_id, []))
    inputs = marts.prepare(step.platform, step.warehouse, [])
    yield from _replace_dimensions(step, inputs, part=_part(step.context))


def _build_days(step: Step) -> Iterator[Any]:
    """Build the daily models for the days of the run; checks alone look at every day that the marts hold."""
    context, platform, warehouse = step.context, step.platform, step.warehouse
    days = days_of(context) if context.selected_asset_keys else sorted(platform.lake.days(MARTS))
    os.environ.update(warehouse.label(context.run.run_id, days))
    if _has_all_models(context):
        for table in marts.drop_tables_with_changed_columns(
            platform.store, warehouse, declared_columns(step.models.manifest)
        ):
            context.log.warning(f"the columns of {table} changed: it was dropped, and all days are built anew")
    inputs = marts.prepare(platform, warehouse, days, only_stale=SENSOR_TAG in context.run.tags)
    if context.selected_asset_keys and not marts.dimensions_hold(platform.lake, inputs):
        _build_dimensions_beside(step, inputs)
    for problem in inputs.damaged:
        context.log.error(f"a day is left out: {problem}")
    context.log.info(f"dbt builds {len(inputs.days)} days")
    part = _part(context)
    if context.selected_asset_keys:
        marts.invalidate_days(platform.lake, inputs, only_changed=part is not None)
    events, error = _invoke(step, DAILY_MODELS, part=part)
    # What dbt could not read cannot be counted either.
    counts = {} if error else _counts(step, events, days)
    for event in _with_counts(context, events, counts):
        yield of_several_days(event, days) if isinstance(event, dg.AssetCheckResult) else event
    if context.selected_asset_keys:
        _report_checks_by_day(context, events, list(inputs.days))
    if error:
        raise _failure(step.platform, inputs, events, error)
    if part is None:
        kept = rows_by_day(step.models.manifest)
        rows = {day: sum(counts[name].by_day[day] for name in kept & counts.keys()) for day in inputs.days}
        # What another run may have written over is not recorded as built.
        warehouse.check_exclusive()
        marts.record_days(platform.lake, inputs, rows)


def _build_dimensions_beside(step: Step, inputs: marts.MartInputs) -> None:
    """Build the dimensions from within the step of the days, which would else be built from older ones."""
    step.context.log.info("the dimensions are older than what they are made from: they are built first")
    for event in _replace_dimensions(step, inputs, part=None, beside=True):
        step.context.log_event(event)


def _replace_dimensions(
    step: Step, inputs: marts.MartInputs, *, part: set[str] | None, beside: bool = False
) -> Iterator[Any]:
    """Yield what dbt did to the dimensions; record them once all of them were built and tested."""
    marts.invalidate_dimensions(step.platform.lake, inputs, only_changed=part is not None)
    events, error = _invoke(step, DIMENSIONS, part=part, beside=beside)
    yield from _with_counts(step.context, events, {} if error else _counts(step, events, []))
    if error:
        raise _failure(step.platform, inputs, events, error)
    if part is None:
        step.warehouse.check_exclusive()
        marts.record_dimensions(step.platform.lake, inputs)


def _invoke(
    step: Step, which: ModelSet, *, part: set[str] | None, beside: bool = False
) -> tuple[list[Any], DagsterDbtCliRuntimeError | None]:
    """Run dbt to its end; return what it did as Dagster's events, and the error that it ended with.

    ``beside``: the models are not those of this step; their events are whole, not results of the step.
    """
    models = step.models
    settings = step.platform.settings
    target = run_folder(settings, f"{step.context.run.run_id[:8]}-{which.name}")
    arguments = build_arguments(which, part, vars_arguments(*settings.dbt_projects))
    step.context.log.info(f"the same by hand: {command_by_hand(settings, arguments)}")
    invocation = step.dbt.cli(
        arguments,
        manifest=models.manifest,
        dagster_dbt_translator=models.translator,
        target_path=target,
    )
    context = None if beside else step.context
    events: list[Any] = []
    # dbt has the warehouse's file open until it ends: nothing is reported, nothing counted before.
    try:
        for event in invocation.stream_raw_events():
            events += event.to_default_asset_events(
                models.manifest, models.translator, context, target_path=target, project=models.project
            )
    except DagsterDbtCliRuntimeError as error:
        # The folder is kept, to be read. What dbt said before it failed, test results above all, belongs on the assets.
        return events, error
    shutil.rmtree(target)
    return events, None


def _part(context: dg.AssetExecutionContext) -> set[str] | None:
    """Return the names of the models and tests that were chosen; None if all were."""
    every = {spec.key for spec in context.assets_def.node_check_specs_by_output_name.values()}
    if _has_all_models(context) and context.selected_asset_check_keys == every:
        return None
    return {key.path[-1] for key in context.selected_asset_keys} | {
        key.name for key in context.selected_asset_check_keys
    }


def _has_all_models(context: dg.AssetExecutionContext) -> bool:
    return set(context.selected_asset_keys) == set(context.assets_def.node_keys_by_output_name.values())


def _counts(step: Step, events: Sequence[Any], days: Sequence[date]) -> dict[str, RowCounts]:
    """Return the rows of the models that were built, in all and by day."""
    built = relations(step.models.manifest, filter(None, map(_built, events)))
    return step.warehouse.count_rows(built, days)


def _with_counts(
    context: dg.AssetExecutionContext, events: Sequence[Any], counts: Mapping[str, RowCounts]
) -> Iterator[Any]:
    """Yield dbt's events, those of models with their rows; the rows of each day go to the event of the day."""
    for event in events:
        name = _built(event)
        if name is None or name not in counts:
            yield event
            continue
        rows = counts[name]
        for day, count in rows.by_day.items():
            number = {"dagster/partition_row_count": count}
            context.add_asset_metadata(number, asset_key=name, partition_key=day.isoformat())
        whole = {} if rows.total is None else {"dagster/row_count": rows.total}
        yield event.with_metadata({**event.metadata, **whole})


def _built(event: Any) -> str | None:
    """Return the name of the model or seed whose building an event records."""
    if isinstance(event, dg.Output):
        return event.output_name
    return event.asset_key.path[-1] if isinstance(event, dg.AssetMaterialization) else None


def _report_checks_by_day(context: dg.AssetExecutionContext, events: Sequence[Any], days: Sequence[date]) -> None:
    """Log what the tests found for each day: Dagster itself files it under no day.

    A test looks at all days of a run at once, so of a range that fails, every day is reported as failed.
    """
    results = [event for event in events if isinstance(event, dg.AssetCheckResult)]
    for result in results:
        if result.asset_key is None:
            raise ValueError(f"the dbt test {result.check_name} names no model")
        model = result.asset_key.path[-1]
        for day in days:
            log_evaluation(context, evaluation(model, day.isoformat(), of_several_days(result, days)))


def _failure(
    platform: Platform, inputs: marts.MartInputs, events: Sequence[Any], error: DagsterDbtCliRuntimeError
) -> dg.Failure:
    """Return the failure of a step: tests that failed with their rows, files that cannot be read, or what dbt said."""
    failed = [
        f"{event.check_name} ({event.metadata[FAILED_ROWS].value} rows)"
        for event in events
        if isinstance(event, dg.AssetCheckResult | dg.AssetCheckEvaluation)
        and not event.passed
        and event.severity is dg.AssetCheckSeverity.ERROR
        and FAILED_ROWS in event.metadata
    ]
    damaged = marts.damaged_files(platform, inputs, str(error))
    if damaged:
        # The same bytes would fail again.
        files = "; ".join(str(damaged_file(key)) for key in damaged[:3])
        return dg.Failure(f"dbt cannot read {len(damaged)} files of the lake: {files}", allow_retries=False)
    if not failed:
        return dg.Failure(f"dbt failed: {error}")
    # The same rows would fail again.
    return dg.Failure(
        f"{len(failed)} dbt tests failed: {', '.join(failed)}; their descriptions say what to do", allow_retries=False
    )
