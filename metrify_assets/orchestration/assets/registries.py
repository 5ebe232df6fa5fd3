"""Registry assets: points, meters, operators, weather stations."""

import dagster as dg

from metrify_assets.orchestration.assets.common import OWNERS, retry_policy, table_metadata
from metrify_assets.orchestration.assets.sources import LANDING_ZONE
from metrify_assets.orchestration.checks.results import audit_results, check_specs
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry
from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table


def registry_assets() -> list[dg.AssetsDefinition]:
    """Return one asset per registry."""
    return [_registry_asset(table) for table in REGISTRIES.values()]


def _registry_asset(table: Table) -> dg.AssetsDefinition:
    @dg.asset(
        name=table.name,
        group_name="registries",
        owners=OWNERS,
        kinds={"parquet"},
        deps=[LANDING_ZONE],
        description=f"{table.description} A change of a row makes the days on which it is valid dirty.",
        metadata=table_metadata(table),
        check_specs=check_specs(table),
        retry_policy=retry_policy(),
        pool="ingest",
    )
    # With checks Dagster takes this annotation bare only.
    def registry(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        rows, manifest = build_registry(platform, table.name)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": rows.num_rows},
            data_version=dg.DataVersion(manifest.digest),
            check_results=audit_results(audit(table, rows)),
        )

    return registry
