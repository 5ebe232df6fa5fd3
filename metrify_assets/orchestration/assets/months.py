"""Cost, carbon and self-consumption by month: assets without partitions, whose tables hold one part for each month.

The platform has one dimension of partitions, the delivery day, and a month is no range of it that a run could be asked
for without computing its days. Which months are computed again follows from digests, as it does for shards of a day.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Protocol

import dagster as dg

from metrify_assets.analytics.tariffs.months import (
    MonthsResult,
    compute_carbon,
    compute_costs,
    compute_self_consumption,
)
from metrify_assets.errors import TariffError
from metrify_assets.orchestration.assets.common import (
    ANALYTICS_OWNERS,
    SENSOR_TAG,
    final_failure,
    retry_policy,
    table_metadata,
)
from metrify_assets.orchestration.checks.results import audit_results, check_specs
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.costs import CARBON_BY_MONTH, COST_BY_MONTH, SELF_CONSUMPTION_BY_MONTH
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest

BY_MONTH = (COST_BY_MONTH.name, CARBON_BY_MONTH.name, SELF_CONSUMPTION_BY_MONTH.name)
COMPONENTS, ENERGY, REFUSALS = "components_add_up", "energy_is_billed_once", "refusals"


class Compute(Protocol):
    """Computes the months of a table that are due."""

    def __call__(self, platform: Platform, *, force: bool = False) -> MonthsResult: ...


def month_assets() -> list[dg.AssetsDefinition]:
    """Return the assets by month."""
    return [
        _by_month(COST_BY_MONTH, compute_costs, ["clean_readings", "clean_grid_status"], _cost_results, _cost_specs()),
        _by_month(CARBON_BY_MONTH, compute_carbon, ["clean_readings", "clean_grid_status", "points"]),
        _by_month(SELF_CONSUMPTION_BY_MONTH, compute_self_consumption, ["clean_readings"]),
    ]


def _by_month(
    table: Table,
    compute: Compute,
    deps: Sequence[str],
    further: Callable[[Manifest], list[dg.AssetCheckResult]] = lambda manifest: [],
    specs: Sequence[dg.AssetCheckSpec] = (),
) -> dg.AssetsDefinition:
    refusals = dg.AssetCheckSpec(
        REFUSALS,
        asset=table.name,
        description="Every point and month has a result. If it warns, look at column `refusal` of the table: it says "
        "what is missing, for how many hours and how much energy.",
    )

    @dg.asset(
        name=table.name,
        group_name="analytics",
        owners=ANALYTICS_OWNERS,
        kinds={"parquet"},
        deps=deps,
        description=f"{table.description} Months that have ended; one is computed again if its inputs changed.",
        metadata=table_metadata(table),
        check_specs=[*check_specs(table), refusals, *specs],
        retry_policy=retry_policy(),
    )
    # With checks Dagster takes this annotation bare only.
    def by_month(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with final_failure(TariffError):
            result = compute(platform, force=SENSOR_TAG not in context.run.tags)
        manifest = result.manifest
        rows = platform.lake.read(manifest, table.arrow)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": manifest.rows,
                "months": len(manifest.shards),
                "months_computed": ", ".join(month.isoformat()[:7] for month in result.computed),
                **_latest(manifest),
            },
            data_version=dg.DataVersion(manifest.digest),
            check_results=[*audit_results(audit(table, rows)), _refused(manifest), *further(manifest)],
        )

    return by_month


def _latest(manifest: Manifest) -> dict[str, Any]:
    """Return the numbers of the latest month, which draw a trend from month to month."""
    if not manifest.shards:
        return {}
    number, shard = max(manifest.shards.items())
    numbers = {f"latest_month/{name}": count for name, count in sorted(shard.numbers.items())}
    return {"latest_month": date(number // 12, number % 12 + 1, 1).isoformat()[:7], **numbers}


def _refused(manifest: Manifest) -> dg.AssetCheckResult:
    names = sorted(
        {name for shard in manifest.shards.values() for name in shard.numbers if name.startswith("refused/")}
    )
    counts = {name: int(manifest.total(name)) for name in names}
    return dg.AssetCheckResult(
        check_name=REFUSALS, passed=not counts, severity=dg.AssetCheckSeverity.WARN, metadata={**counts}
    )


def _cost_specs() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            COMPONENTS,
            asset=COST_BY_MONTH.name,
            description="The cents of all components are the cents of the bills. If it fails, report the month.",
        ),
        dg.AssetCheckSpec(
            ENERGY,
            asset=COST_BY_MONTH.name,
            description="The energy of the bills is that of the clean readings on the days on which their points have "
            "a tariff. If it fails, energy was billed twice or not at all: report the month.",
        ),
    ]


def _cost_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    sides = {
        COMPONENTS: ("component_cents", "total_cents"),
        ENERGY: ("billed_micro_kwh", "clean_micro_kwh"),
    }
    results = []
    for name, columns in sides.items():
        wrong = [
            f"{number // 12}-{number % 12 + 1:02}"
            for number, shard in sorted(manifest.shards.items())
            if shard.numbers.get(columns[0], 0) != shard.numbers.get(columns[1], 0)
        ]
        results.append(
            dg.AssetCheckResult(
                check_name=name,
                passed=not wrong,
                severity=dg.AssetCheckSeverity.ERROR,
                metadata={**{side: manifest.total(side) for side in columns}, "wrong_months": ", ".join(wrong)},
            )
        )
    return results
