"""The published marts as one asset: a version of all of them, exported after they were built.

Belongs here: what Dagster shows of a publication, and the check that it says what the warehouse says. Does not belong
here: the publication itself (``published/``).
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from metrify_assets.errors import PublishError
from metrify_assets.orchestration.assets.common import SENSOR_TAG, final_failure, retry_policy
from metrify_assets.orchestration.checks.results import evaluation, log_evaluation, whole_evaluation
from metrify_assets.orchestration.partitions import days_of
from metrify_assets.platform import Platform
from metrify_assets.published.catalog import Catalog
from metrify_assets.published.consumer import VERSION_COLUMNS, VERSION_TABLE, consumer_key
from metrify_assets.published.models import Model
from metrify_assets.published.publish import ForceExport, Publication, publish
from metrify_assets.warehouse.warehouse import Warehouse

PUBLISHED_MARTS = "published_marts"
EQUALS_WAREHOUSE = "equals_warehouse"


class PublishConfig(dg.Config):
    """What to publish."""

    everything: bool = False
    """Export every day again, not only what changed."""


def published_asset(models: Sequence[Model], freshness: dg.FreshnessPolicy | None = None) -> dg.AssetsDefinition:
    """Return the asset of the published marts."""

    @dg.asset(
        name=PUBLISHED_MARTS,
        deps=[dg.AssetKey(model.name) for model in models],
        group_name="published",
        owners=["team:analytics"],
        kinds={"parquet", "duckdb"},
        freshness_policy=freshness,
        description="The marts for consumers: Parquet by day or month, and one file that names it (`metrify query`). "
        "A run exports what changed; consumers see the version before until the new one is whole.",
        metadata={"dagster/column_schema": _version_schema(), "table": VERSION_TABLE},
        check_specs=[
            dg.AssetCheckSpec(
                EQUALS_WAREHOUSE,
                asset=PUBLISHED_MARTS,
                blocking=True,
                description="Every file that a run exported, read back, holds the rows that were read from the "
                "warehouse, column by column; and rows, values of each column and sums of exact numbers are those that "
                "the warehouse counts itself. If it fails, nothing was published: read the differences, and run "
                "`metrify publish --all`. A run that exports nothing compares nothing, and says so.",
            )
        ],
        retry_policy=retry_policy(),
        pool="warehouse",
    )
    # With checks Dagster takes this annotation bare only.
    def published_marts(
        context: dg.AssetExecutionContext,
        config: PublishConfig,
        platform: dg.ResourceParam[Platform],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        days = _days_of_run(context)
        warehouse.label(context.run.run_id, days)
        # What a sensor asked for follows from what changed; a person may have changed the models.
        asked = ForceExport(tuple(days), dimensions=SENSOR_TAG not in context.run.tags, everything=config.everything)
        with final_failure(PublishError):
            done = publish(platform, warehouse, models, asked, context.log.info)
        result = _result(done)
        # Dagster plans the check for each day of the run, though the asset has none.
        for day in days:
            log_evaluation(context, evaluation(PUBLISHED_MARTS, day.isoformat(), result))
        if done.differences or done.catalog is None:
            log_evaluation(context, whole_evaluation(PUBLISHED_MARTS, result))
            raise dg.Failure(
                f"nothing was published: {len(done.differences)} files differ from the marts; {done.differences[0]}",
                allow_retries=False,
            )
        return dg.MaterializeResult(
            metadata=_numbers(done.catalog, done, platform),
            data_version=dg.DataVersion(done.catalog.digest),
            check_results=[result],
        )

    return published_marts


def _days_of_run(context: dg.AssetExecutionContext) -> list[date]:
    """Return the days that the run builds; none if it builds the dimensions alone, or publishes alone."""
    return days_of(context) if context.has_partition_key or context.has_partition_key_range else []


def _version_schema() -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name, column.type, column.description, dg.TableColumnConstraints(nullable=column.nullable)
            )
            for column in VERSION_COLUMNS
        ]
    )


def _numbers(catalog: Catalog, done: Publication, platform: Platform) -> dict[str, dg.MetadataValue | int | str]:
    models = catalog.models.values()
    days = {period for published in models if published.model.period == "day" for period in published.parts}
    return {
        "dagster/row_count": sum(published.rows for published in models),
        "bytes": sum(published.bytes for published in models),
        "days": len(days),
        "version": catalog.version,
        "parts_exported": done.exported,
        "parts_waiting": done.waiting,
        "files_written": done.written,
        "file": dg.MetadataValue.path(platform.store.uri(consumer_key(platform.settings))),
        "rows": dg.MetadataValue.md(
            "\n".join(f"- `{published.model.table}` {published.rows:,}" for published in models)
        ),
    }


def _result(done: Publication) -> dg.AssetCheckResult:
    """Return what the comparison found; where there was nothing to compare it says so."""
    compared = f"{done.exported} exported parts were read back and compared with the warehouse."
    return dg.AssetCheckResult(
        check_name=EQUALS_WAREHOUSE,
        passed=not done.differences,
        description=compared if done.exported else "Nothing was exported, so nothing was compared.",
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "parts_compared": done.exported,
            "differences": dg.MetadataValue.md("\n".join(f"- {difference}" for difference in done.differences[:20])),
        },
    )
