"""The state of an installation in numbers: what was delivered, what became of it, what is left to do.

Belongs here: counting over the ledger, the manifests, the warehouse and Dagster's checks. Does not belong here: how
the numbers are shown (``cli.py``, ``demo.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from metrify_assets.platform import Platform
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.vee.codes import Status
from metrify_assets.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg

HISTORY = 2_000


@dataclass(frozen=True)
class Overview:
    """Counts of one moment; see the field names."""

    drops: int
    values_delivered: int
    values_raw: int
    values_quarantined: int
    days: int
    clean_slots: int
    slots: dict[str, int]
    checks: dict[str, int]
    failed_checks: list[str]
    marts: dict[str, int]

    def as_record(self) -> dict[str, Any]:
        """Return the overview as plain values, for JSON."""
        return asdict(self)


def overview(
    platform: Platform,
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    checks: Iterable[dg.AssetCheckKey],
) -> Overview:
    """Count over everything; ``checks`` are the asset checks to look up."""
    drops = list(platform.ledger.view().drops.values())
    values = [drop for drop in drops if drop.kind != "registry"]
    clean = platform.lake.days("clean_readings").whole()
    verdicts, failed = check_counts(instance, checks)
    return Overview(
        drops=len(drops),
        values_delivered=sum(drop.counts["delivered_values"] for drop in values),
        values_raw=sum(drop.counts["raw_values"] for drop in values),
        values_quarantined=sum(drop.counts["quarantined_values"] for drop in values),
        days=len(clean),
        clean_slots=sum(manifest.rows for manifest in clean.values()),
        slots={str(name): int(sum(day.total("status", name) for day in clean.values())) for name in Status},
        checks=verdicts,
        failed_checks=failed,
        marts=mart_rows(warehouse),
    )


def mart_rows(warehouse: Warehouse) -> dict[str, int]:
    """Return the rows of every mart; none if there is no warehouse yet."""
    if not warehouse.exists:
        return {}
    return warehouse.row_counts(warehouse.tables_in(MART_SCHEMAS))


def check_counts(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]) -> tuple[dict[str, int], list[str]]:
    """Return how the latest evaluations came out (each check, each day), and the names of those that failed."""
    import dagster as dg

    verdicts: Counter[str] = Counter({"passed": 0, "warned": 0, "failed": 0})
    failed: list[str] = []
    for check in checks:
        for partition, evaluation in _latest_evaluations(instance, check).items():
            if evaluation.passed:
                verdicts["passed"] += 1
            elif evaluation.severity == dg.AssetCheckSeverity.WARN:
                verdicts["warned"] += 1
            else:
                verdicts["failed"] += 1
                failed.append(f"{check.asset_key.to_user_string()}: {check.name} {partition or ''}".strip())
    return dict(verdicts), failed


def _latest_evaluations(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey
) -> dict[str | None, dg.AssetCheckEvaluation]:
    """Return a check's latest evaluation for each day; sums over a range (filed under no day) are left out."""
    import dagster as dg

    latest: dict[str | None, dg.AssetCheckEvaluation] = {}
    for record in instance.event_log_storage.get_asset_check_execution_history(check, limit=HISTORY):
        event = record.event.dagster_event if record.event else None
        if event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            latest.setdefault(record.partition, event.asset_check_evaluation_data)
    by_day: dict[str | None, dg.AssetCheckEvaluation] = {
        partition: evaluation for partition, evaluation in latest.items() if partition is not None
    }
    return by_day or latest
