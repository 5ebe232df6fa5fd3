"""Audits and counts as Dagster check results.

Belongs here: the one factory that gives every table its checks, and the translation of findings into metadata. Does
not belong here: the audit itself (``audit.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from metrify_assets.schemas.audit import Audit, Finding
from metrify_assets.schemas.table import Table

STRUCTURE = "structure"
PLAUSIBILITY = "plausibility"
CONSERVATION = "conservation"
WHOLE_RANGE = "whole_range"
"""Metadata of several days together."""
NEW_FILES = "new_files"
"""Metadata of the files that a run took in."""


def check_specs(
    table: Table, *, conservation: str = "", days: dg.PartitionsDefinition | None = None
) -> list[dg.AssetCheckSpec]:
    """Return the checks of a table: structure blocks, plausibility warns, conservation (if described) blocks.

    With ``days`` each check has a result of its own for each day.
    """
    key = ", ".join(table.key)
    specs = [
        dg.AssetCheckSpec(
            STRUCTURE,
            asset=table.name,
            partitions_def=days,
            blocking=True,
            description=f"Columns, nulls, vocabularies and hard ranges hold, and ({key}) is unique. If it fails, the "
            "day was not published: see the examples, correct the feed or the registry, and run the day again.",
        ),
        dg.AssetCheckSpec(
            PLAUSIBILITY,
            asset=table.name,
            partitions_def=days,
            description="Values lie in their plausible ranges. If it warns, look at the examples: the values are kept.",
        ),
    ]
    if conservation:
        specs.append(
            dg.AssetCheckSpec(
                CONSERVATION, asset=table.name, partitions_def=days, blocking=True, description=conservation
            )
        )
    return specs


def audit_results(audit: Audit, *, broken: str = "") -> list[dg.AssetCheckResult]:
    """Return an audit as the results of the two schema checks. ``broken`` is why a day was not published."""
    structure = _metadata(audit.rows, audit.structure)
    if broken:
        structure["not_published"] = broken
    return [
        dg.AssetCheckResult(
            check_name=STRUCTURE,
            passed=not audit.structure and not broken,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=structure,
        ),
        dg.AssetCheckResult(
            check_name=PLAUSIBILITY,
            passed=not audit.plausibility,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=_metadata(audit.rows, audit.plausibility),
        ),
    ]


def conservation_result(counts: Mapping[str, int], holds: bool) -> dg.AssetCheckResult:
    """Return the conservation check with both sides of its identity."""
    return dg.AssetCheckResult(
        check_name=CONSERVATION, passed=holds, severity=dg.AssetCheckSeverity.ERROR, metadata=dict(counts)
    )


def log_evaluations_of_days(
    context: dg.AssetExecutionContext, table: str, results: Mapping[date, Sequence[dg.AssetCheckResult]]
) -> None:
    """Log the results of single days, each as a verdict on the day's latest materialization.

    The pages drop a partition's verdict that names an older materialization, or none.
    """
    targets = _latest_materializations(context.instance, table, {day.isoformat() for day in results})
    for day, of_day in results.items():
        for result in of_day:
            log_evaluation(context, evaluation(table, day.isoformat(), result, targets.get(day.isoformat())))


def _latest_materializations(
    instance: dg.DagsterInstance, table: str, days: set[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    kind, storage = dg.DagsterEventType.ASSET_MATERIALIZATION, instance.event_log_storage
    latest = storage.get_latest_storage_id_by_partition(dg.AssetKey(table), kind, days)
    if not latest:
        # No storage id at all would mean every one.
        return {}
    records = storage.get_event_records(
        dg.EventRecordsFilter(kind, dg.AssetKey(table), storage_ids=list(latest.values()))
    )
    by_id = {record.storage_id: record for record in records}
    return {
        day: AssetCheckEvaluationTargetMaterializationData(
            storage_id=storage_id, run_id=by_id[storage_id].run_id, timestamp=by_id[storage_id].timestamp
        )
        for day, storage_id in latest.items()
    }


def evaluation(
    table: str,
    day: str | None,
    result: dg.AssetCheckResult,
    target: AssetCheckEvaluationTargetMaterializationData | None = None,
) -> dg.AssetCheckEvaluation:
    """Return a result as the evaluation of one day, or of the table as a whole.

    In a range run Dagster itself files a result under no day.
    """
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table),
        check_name=result.check_name or "",
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
        description=result.description,
        partition=day,
        target_materialization_data=target,
    )


def log_evaluation(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, evaluated: dg.AssetCheckEvaluation
) -> None:
    """Log an evaluation within a run."""
    # Dagster takes it, as its own code shows, and leaves it out of the types that it lists.
    context.log_event(evaluated)  # type: ignore[arg-type]


def as_text(metadata: Mapping[str, Any], name: str, **further: str) -> dict[str, Any]:
    """Return metadata with all its numbers in one entry, which no page plots.

    Dagster's pages draw each number over all events of an asset or check. A total of many days beside the number of
    one would be a jump that says nothing.
    """
    kinds = int | float | dg.IntMetadataValue | dg.FloatMetadataValue
    numbers = {key: getattr(entry, "value", entry) for key, entry in metadata.items() if isinstance(entry, kinds)}
    rest = {key: entry for key, entry in metadata.items() if key not in numbers}
    return {**rest, name: dg.MetadataValue.json({**further, **numbers})}


def of_several_days(result: dg.AssetCheckResult, days: Sequence[date]) -> dg.AssetCheckResult:
    """Return the result of some days together, without numbers that would be plotted beside those of single days."""
    if len(days) <= 1:
        return result
    return result.with_metadata(as_text(result.metadata, WHOLE_RANGE, days=span(days)))


def span(days: Sequence[date]) -> str:
    """Return the first and the last of some days in words."""
    return f"{min(days)} to {max(days)}"


def whole_evaluation(table: str, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """Return a result as the evaluation of a whole table."""
    return evaluation(table, None, result)


def _metadata(rows: int, findings: list[Finding]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"rows": rows, "failed_rows": sum(finding.count for finding in findings)}
    for finding in findings:
        metadata[f"{finding.check}: rows"] = finding.count
        metadata[f"{finding.check}: examples"] = dg.MetadataValue.md(
            "\n".join(f"- `{example}`" for example in finding.examples)
        )
    return metadata
