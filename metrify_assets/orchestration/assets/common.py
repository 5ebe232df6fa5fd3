"""What all assets share: how a table looks in the UI, and how a run's days are materialised.

Belongs here: metadata derived from ``schemas/``, the loop over the days of a run. Does not belong here: computing.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pyarrow as pa

from metrify_assets.days.day import DayResult
from metrify_assets.errors import MetrifyError
from metrify_assets.orchestration.checks.results import (
    WHOLE_RANGE,
    audit_results,
    conservation_result,
    log_evaluations_of_days,
    of_several_days,
    span,
)
from metrify_assets.orchestration.partitions import days_of
from metrify_assets.schemas.audit import Audit
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest

OWNERS = ["team:metering"]
ANALYTICS_OWNERS = ["team:analytics"]
"""Of what is computed of clean data."""
SENSOR_TAG = ".dagster/metrify-work"
"""Tag of the runs that a sensor asked for: they compute what changed. Other runs compute everything they were asked.

Its value is a digest, by which a piece of work is recognised. The UI shows no tag that begins with ``.dagster/``.
"""


ALL_TRIED = "metrify/all_tried"
"""Tag of a failed run that tried each of its drops: no other of them is left unread because of it."""


def retry_policy() -> dg.RetryPolicy:
    """Return the policy of every step: three more tries, further and further apart, never all at once."""
    return dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def table_metadata(table: Table) -> dict[str, Any]:
    """Return the static metadata of a table: its column schema."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=_type_name(column.type),
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns), "key": ", ".join(table.key)}


@contextmanager
def final_failure(*errors: type[MetrifyError]) -> Iterator[None]:
    """Make some errors of Metrify the failure of a step that is not tried again: it would find the same."""
    try:
        yield
    except errors as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def svg_image(title: str, document: str) -> str:
    """Return an SVG document as an image in Markdown, which needs no file beside it."""
    return f"![{title}](data:image/svg+xml;base64,{b64encode(document.encode()).decode()})"


def _type_name(kind: pa.DataType) -> str:
    return "string" if pa.types.is_dictionary(kind) else str(kind)


Numbers = Callable[[Manifest], dict[str, Any]]
"""What is shown of a day that was published."""

Conservation = Callable[[Manifest], tuple[dict[str, int], bool]]
"""Both sides of a published day's identity by name, and whether it holds."""


def materialise_days(
    context: dg.AssetExecutionContext,
    table: Table,
    compute: Callable[..., DayResult],
    numbers: Numbers,
    conservation: Conservation | None = None,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Compute the days of a run one after the other and report each.

    A run that a sensor asked for computes the shards that changed; any other run computes all of them. Days that
    fail are parked and named; the run fails only if no day is left.
    """
    force = SENSOR_TAG not in context.run.tags
    days = days_of(context)
    results: list[DayResult] = []
    for position, day in enumerate(days, start=1):
        result = compute(day, force=force)
        results.append(result)
        rows = result.manifest.rows if result.manifest else 0
        computed = f"{rows} rows, {len(result.computed)} shards computed" if result.computed else "up to date"
        verdict = f"PARKED: {result.parked}" if result.parked else computed
        context.log.info(f"{table.name} {day} ({position}/{len(days)}): {verdict}")
    parked = [result for result in results if result.parked]
    if len(parked) == len(results):
        _report_checks(context, table, parked, conservation)
        raise dg.Failure(
            f"{table.name}: no day could be computed. {parked[0].day}: {parked[0].parked}", allow_retries=False
        )
    whole = Audit.merged(result.audit for result in results)
    checks = audit_results(whole)
    checks += _conservation_of(results, conservation)
    checks = [of_several_days(check, days) for check in checks]
    if len(results) == 1:
        only = results[0]
        yield dg.MaterializeResult(
            metadata=_day_metadata(only, numbers), data_version=_version(only), check_results=checks
        )
        if not context.has_partition_key:
            # A range of one day: Dagster files its results under no day.
            _report_checks(context, table, results, conservation)
        return
    yield dg.MaterializeResult(
        metadata={WHOLE_RANGE: span(days), "parked": ", ".join(f"{r.day}: {r.parked}" for r in parked)},
        check_results=checks,
    )
    # After Dagster's own events of the range, so that each day's latest event carries the numbers of that day.
    for result in results:
        _report_day(context, table, result, numbers)
    _report_checks(context, table, results, conservation)


def _conservation_of(results: list[DayResult], conservation: Conservation | None) -> list[dg.AssetCheckResult]:
    if conservation is None:
        return []
    verdicts = [
        conservation(result.manifest) for result in results if result.manifest is not None and not result.parked
    ]
    totals: Counter[str] = Counter()
    for counts, _ in verdicts:
        totals.update(counts)
    return [conservation_result(totals, all(holds for _, holds in verdicts))]


def _report_day(context: dg.AssetExecutionContext, table: Table, result: DayResult, numbers: Numbers) -> None:
    version = _version(result)
    context.log_event(
        dg.AssetMaterialization(
            table.name,
            partition=result.day.isoformat(),
            metadata=_day_metadata(result, numbers),
            tags={"dagster/data_version": version.value} if version else {},
        )
    )


def _report_checks(
    context: dg.AssetExecutionContext, table: Table, results: list[DayResult], conservation: Conservation | None
) -> None:
    checks = {}
    for result in results:
        checks[result.day] = audit_results(result.audit, broken=result.parked)
        if not result.parked:
            checks[result.day] += _conservation_of([result], conservation)
    log_evaluations_of_days(context, table.name, checks)


def _day_metadata(result: DayResult, numbers: Numbers) -> dict[str, Any]:
    if result.manifest is None:
        return {"dagster/row_count": 0, "parked": result.parked}
    metadata: dict[str, Any] = {"dagster/row_count": result.manifest.rows, **numbers(result.manifest)}
    metadata["shards_computed"] = len(result.computed)
    if result.parked:
        metadata["parked"] = result.parked
    return metadata


def _version(result: DayResult) -> dg.DataVersion | None:
    return dg.DataVersion(result.manifest.digest) if result.manifest and not result.parked else None
