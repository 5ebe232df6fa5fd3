"""Jobs: reading what arrived, computing days, building the dimensions.

Belongs here: what runs as a unit. Does not belong here: when it runs (``sensors.py``, ``schedules.py``).
"""

import time
from datetime import date, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from metrify_assets.days.digests import CLEAN_TABLES
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.drops.ledger import Drop
from metrify_assets.errors import LakeError, MetrifyError
from metrify_assets.landing.ingest import Ingested, ingest
from metrify_assets.landing.quarantine.files import quarantine_rows
from metrify_assets.orchestration.assets.common import ALL_TRIED, retry_policy
from metrify_assets.orchestration.assets.published import PUBLISHED_MARTS
from metrify_assets.orchestration.assets.raw import (
    DROP_CONSERVATION,
    audit_drops,
    day_materialization,
    drop_balances,
    quarantine_numbers,
)
from metrify_assets.orchestration.checks.results import (
    NEW_FILES,
    as_text,
    audit_results,
    log_evaluation,
    whole_evaluation,
)
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry, stale_registries
from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.grid_and_weather import RAW_GRID_STATUS, RAW_WEATHER
from metrify_assets.schemas.power_quality import RAW_POWER_QUALITY
from metrify_assets.schemas.readings import QUARANTINE, RAW_READINGS
from metrify_assets.schemas.registries import REGISTRIES

INGEST_JOB = "ingest"
DAYS_JOB = "delivery_days"
DIMENSIONS_JOB = "dimensions"
RECONCILE_JOB = "reconcile"
STREAM_JOB = "land_stream"
PUBLISH_JOB = "publish"
RAW_TABLES = {table.name: table for table in (RAW_READINGS, RAW_GRID_STATUS, RAW_WEATHER, RAW_POWER_QUALITY)}


class DropConfig(dg.Config):
    """One inbox file, as the sensor saw it."""

    feed: str
    name: str
    size: int
    modified_at: int
    etag: str = ""


class IngestConfig(dg.Config):
    """The inbox files of one run."""

    drops: list[DropConfig]


@dg.op(pool="ingest", retry_policy=retry_policy())
def ingest_drops(context: dg.OpExecutionContext, config: IngestConfig, platform: dg.ResourceParam[Platform]) -> None:
    """Read inbox files into raw tables and registries.

    A file that cannot be taken in does not stop the others; the run fails at the end and names it.
    """
    done: list[Ingested] = []
    failed: list[str] = []
    for position, drop in enumerate(config.drops, start=1):
        file = InboxFile(drop.feed, drop.name, drop.size, drop.modified_at, drop.etag)
        try:
            result = ingest(platform, file)
        except (LakeError, OSError):
            # The store's trouble is that of every file: it may pass, and the step is tried again.
            raise
        except MetrifyError as error:
            failed.append(f"{file.feed}/{file.name}: {error}")
            context.log.error(f"({position}/{len(config.drops)}) {failed[-1]}")
            continue
        except Exception as error:
            # A fault of one feed's reader stops no other feed. It is logged whole, and the run fails at its end.
            failed.append(f"{file.feed}/{file.name}: {type(error).__name__}: {error}")
            context.log.error(f"({position}/{len(config.drops)}) {failed[-1]}", exc_info=error)
            continue
        done.append(result)
        is_refused = result.outcome == "new" and result.drop is not None and result.drop.refused_files
        log = context.log.warning if is_refused else context.log.info
        log(f"({position}/{len(config.drops)}) {file.feed}/{file.name}: {_outcome(result)}")
    _refresh_registries(context, platform)
    report_drops(context, platform, [result.drop for result in done if result.outcome == "new" and result.drop])
    if failed:
        context.instance.add_run_tags(context.run_id, {ALL_TRIED: "true"})
        # The sensor asks again, for those files alone: trying at once would meet the same obstacle.
        raise dg.Failure(
            f"{len(failed)} of {len(config.drops)} files were not taken in: {'; '.join(failed[:3])}",
            allow_retries=False,
        )


def _outcome(result: Ingested) -> str:
    if result.drop is None or result.outcome != "new":
        return result.outcome
    return f"{result.drop.account} (drop {result.drop.drop_id})"


def _refresh_registries(context: dg.OpExecutionContext, platform: Platform) -> None:
    for entity in stale_registries(platform):
        table = REGISTRIES[entity]
        rows, manifest = build_registry(platform, entity)
        context.log.info(f"{entity}: {rows.num_rows} rows")
        context.log_event(
            dg.AssetMaterialization(
                entity,
                metadata={"dagster/row_count": rows.num_rows},
                tags={"dagster/data_version": manifest.digest},
            )
        )
        for result in audit_results(audit(table, rows)):
            log_evaluation(context, whole_evaluation(entity, result))


def report_drops(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, platform: Platform, new: list[Drop]
) -> None:
    """Log what new drops changed: one materialization per table and day, and the state of the quarantine."""
    unbalanced = [drop.label for drop in new if not drop_balances(drop)]
    view = platform.ledger.view()
    touched: dict[tuple[str, date], None] = {}
    for drop in new:
        for replaced in view.named(drop.feed, drop.name):
            if drop.table in RAW_TABLES:
                touched.update({(drop.table, day): None for day in replaced.days})
    for table, day in sorted(touched):
        context.log_event(day_materialization(view, RAW_TABLES[table], day))
    conservation = dg.AssetCheckResult(
        check_name="conservation",
        passed=not unbalanced,
        metadata={"drops": len(new), "unbalanced": ", ".join(unbalanced), "identity": DROP_CONSERVATION},
    )
    for table in sorted({drop.table for drop in new} & RAW_TABLES.keys()):
        verdict = audit_drops(platform.store, RAW_TABLES[table], [drop for drop in new if drop.table == table])
        for result in [*audit_results(verdict), conservation]:
            log_evaluation(context, whole_evaluation(table, _of_new_files(result)))
    if any(drop.quarantine for drop in new):
        rows = quarantine_rows(platform.store, new)
        metadata = as_text(quarantine_numbers(rows, new), NEW_FILES)
        metadata["dagster/row_count"] = sum(drop.counts["quarantined_rows"] for drop in view.active.values())
        context.log_event(dg.AssetMaterialization(QUARANTINE.name, metadata=metadata))
        for result in [*audit_results(audit(QUARANTINE, rows)), conservation]:
            log_evaluation(context, whole_evaluation(QUARANTINE.name, _of_new_files(result)))


def _of_new_files(result: dg.AssetCheckResult) -> dg.AssetCheckResult:
    """Return a result on new files: its numbers are neither those of a day nor those of all files."""
    return result.with_metadata(as_text(result.metadata, NEW_FILES))


@dg.job(name=INGEST_JOB, executor_def=dg.in_process_executor, description="Read files from the inbox into raw tables.")
def ingest_job() -> None:
    ingest_drops()


@dg.op
def reconcile_ledger(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Look at every record of the ledger; records that appeared too late to be seen are listed anew.

    The logs of old runs go on the way; the history of assets and checks does not.
    """
    context.log.info(f"{platform.ledger.reconcile()} records had appeared late")
    platform.ledger.compact()
    # Imported here: with SQLAlchemy it takes as long as all of Metrify, and loading the code location needs neither.
    from metrify_assets.orchestration.dagster_storage import PooledSqliteEventLogStorage

    storage = context.instance.event_log_storage
    if isinstance(storage, PooledSqliteEventLogStorage):
        before = time.time() - timedelta(days=platform.settings.run_log_days).total_seconds()
        context.log.info(f"{storage.remove_run_logs(before)} logs of old runs were removed")


@dg.job(name=RECONCILE_JOB, executor_def=dg.in_process_executor, description="Look at every record of the ledger.")
def reconcile_job() -> None:
    reconcile_ledger()


def day_job(dimensions: dg.AssetsDefinition, daily: dg.AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """Return the job that computes a day, or a range of days in one run, from raw readings to the marts."""
    selection = dg.AssetSelection.assets("validated_readings", *CLEAN_TABLES) | dg.AssetSelection.assets(
        dimensions, daily, PUBLISHED_MARTS
    )
    return dg.define_asset_job(
        DAYS_JOB,
        selection=selection,
        executor_def=dg.in_process_executor,
        description="Compute a delivery day, or a range of days in one run, from raw readings to the marts.",
    )


def dimensions_job(dimensions: dg.AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """Return the job that builds the models without days."""
    return dg.define_asset_job(
        DIMENSIONS_JOB,
        selection=dg.AssetSelection.assets(dimensions, PUBLISHED_MARTS),
        executor_def=dg.in_process_executor,
        description="Build the dimensions after a change of the registries.",
    )


def publish_job() -> UnresolvedAssetJobDefinition:
    """Return the job that publishes what the marts hold: after a run that built them and died before it did."""
    return dg.define_asset_job(
        PUBLISH_JOB,
        selection=dg.AssetSelection.assets(PUBLISHED_MARTS),
        executor_def=dg.in_process_executor,
        description="Publish what changed in the marts and is not published yet.",
    )
