"""Raw assets: what was delivered, and what could not be read.

Belongs here: thin assets over the ledger. The ``ingest`` job writes these tables when files arrive; materialising a
day here reads that day's drops again, with today's feed definitions. Does not belong here: reading files
(``ingest.py``).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.days.day import unpark
from metrify_assets.days.digests import SOURCE_OF
from metrify_assets.drops.ledger import Drop, LedgerView, Part
from metrify_assets.errors import escaped
from metrify_assets.landing.ingest import read_again
from metrify_assets.landing.quarantine.files import quarantine_rows
from metrify_assets.orchestration.assets.common import OWNERS, retry_policy, table_metadata
from metrify_assets.orchestration.assets.sources import LANDING_ZONE, METER_STREAM
from metrify_assets.orchestration.checks.results import (
    WHOLE_RANGE,
    as_text,
    audit_results,
    check_specs,
    conservation_result,
    evaluation,
    log_evaluation,
    of_several_days,
    span,
)
from metrify_assets.orchestration.partitions import days_of
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import Audit, audit
from metrify_assets.schemas.grid_and_weather import RAW_GRID_STATUS, RAW_WEATHER
from metrify_assets.schemas.power_quality import RAW_POWER_QUALITY
from metrify_assets.schemas.readings import QUARANTINE, RAW_READINGS
from metrify_assets.schemas.table import Table
from metrify_assets.storage.object_store import ObjectStore

AUDITED_ROWS = 1_000_000
"""Rows that are audited together: bounds memory."""

DROP_CONSERVATION = (
    "Per drop: values delivered = raw + quarantine, where the values delivered are counted from the file without "
    "parsing it. If it fails, a reader lost or invented values: report the drop."
)


def raw_assets(days: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Return the raw tables by day, and the quarantine."""
    tables = (RAW_READINGS, RAW_GRID_STATUS, RAW_WEATHER, RAW_POWER_QUALITY)
    return [_raw_asset(table, days) for table in tables] + [_quarantine_asset()]


def _raw_asset(table: Table, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=table.name,
        group_name="raw",
        owners=OWNERS,
        kinds={"parquet"},
        deps=[LANDING_ZONE, *([METER_STREAM] if table in (RAW_READINGS, RAW_POWER_QUALITY) else [])],
        description=table.description,
        metadata=table_metadata(table),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(table, conservation=DROP_CONSERVATION),
        retry_policy=retry_policy(),
        pool="ingest",
    )
    def raw(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        asked = days_of(context)
        view = platform.ledger.view()
        drops = {
            (drop.feed, drop.drop_id): drop
            for day in asked
            for drop in view.drops_of(table.name, day, active_only=False)
        }
        for position, drop in enumerate(drops.values(), start=1):
            again = read_again(platform, drop)
            context.log.info(f"{drop.label} ({position}/{len(drops)}): {again.account}")
        for output in (name for name, source in SOURCE_OF.items() if source == table.name):
            unpark(platform.store, output, asked)
        view = platform.ledger.view()
        audits = {day: audit_day(platform.store, table, view, day) for day in asked}
        by_day = {day: [*audit_results(audits[day]), _day_conserves(view, table, day)] for day in asked}
        together = [
            *audit_results(Audit.merged(audits.values())),
            conservation_result(*_drops_conserve([view.drops[key] for key in drops])),
        ]
        checks = by_day[asked[0]] if len(asked) == 1 else [of_several_days(result, asked) for result in together]
        if len(asked) == 1:
            yield dg.MaterializeResult(
                metadata=day_numbers(view, table, asked[0]),
                data_version=dg.DataVersion(view.day_digest(table.name, asked[0])),
                check_results=checks,
            )
        else:
            yield dg.MaterializeResult(metadata={WHOLE_RANGE: span(asked)}, check_results=checks)
            for day in asked:
                context.log_event(day_materialization(view, table, day))
        for day, results in by_day.items():
            for result in results:
                log_evaluation(context, evaluation(table.name, day.isoformat(), result))

    return raw


def audit_day(store: ObjectStore, table: Table, view: LedgerView, day: date) -> Audit:
    """Run the schemas of a raw table on one day."""
    drops = view.drops_of(table.name, day)
    return audit_parts(store, table, [part for drop in drops for part in drop.parts[day.isoformat()]])


def audit_drops(store: ObjectStore, table: Table, drops: Iterable[Drop]) -> Audit:
    """Run the schemas of a raw table on all rows of some drops, about ``AUDITED_ROWS`` at a time."""
    parts = [part for drop in drops for day_parts in drop.parts.values() for part in day_parts]
    return audit_parts(store, table, parts)


def audit_parts(store: ObjectStore, table: Table, parts: Iterable[Part]) -> Audit:
    """Run the schemas of a raw table on some files, several small ones together."""
    total = Audit()
    held: list[pa.Table] = []
    for part in parts:
        with store.reading(part.file) as path:
            held.append(pq.read_table(path, partitioning=None))
        if sum(rows.num_rows for rows in held) >= AUDITED_ROWS:
            total = Audit.merged([total, audit(table, pa.concat_tables(held))])
            held = []
    return Audit.merged([total, audit(table, pa.concat_tables(held))]) if held else total


def drop_balances(drop: Drop) -> bool:
    """Return whether a drop's values are all accounted for, in the reader's counts and in the files written."""
    counts = drop.counts
    written = sum(sum(part.rows.values()) for parts in drop.parts.values() for part in parts)
    return (
        counts["delivered_values"] == counts["raw_values"] + counts["quarantined_values"]
        and written == counts["raw_values"]
    )


def _drops_conserve(drops: list[Drop]) -> tuple[dict[str, int], bool]:
    totals = {
        name: sum(drop.counts[name] for drop in drops)
        for name in ("delivered_values", "raw_values", "quarantined_values")
    }
    return {"drops": len(drops), **totals}, all(drop_balances(drop) for drop in drops)


def _day_conserves(view: LedgerView, table: Table, day: date) -> dg.AssetCheckResult:
    """Return the conservation of the drops that hold a day: the numbers of the day, and those of the drops as text."""
    drops = list(view.drops_of(table.name, day, active_only=False))
    totals, holds = _drops_conserve(drops)
    whole = as_text(totals, "whole_drops")
    values = sum(sum(part.rows.values()) for drop in drops for part in drop.parts[day.isoformat()])
    result = conservation_result({}, holds)
    return result.with_metadata({"drops": len(drops), "raw_values": values, **whole})


def day_numbers(view: LedgerView, table: Table, day: date) -> dict[str, Any]:
    """Return what the UI shows of one day of a raw table."""
    drops = list(view.drops_of(table.name, day, active_only=False))
    rows = {drop.drop_id: sum(sum(part.rows.values()) for part in drop.parts[day.isoformat()]) for drop in drops}
    active = [drop for drop in drops if view.state(drop) == "active"]
    return {
        "dagster/row_count": sum(rows[drop.drop_id] for drop in active),
        "drops": len(active),
        "drops_not_counting": len(drops) - len(active),
        "feeds": ", ".join(sorted({drop.feed for drop in active})),
    }


def day_materialization(view: LedgerView, table: Table, day: date) -> dg.AssetMaterialization:
    """Return the event that a day of a raw table has new content; its version is the digest of the day."""
    return dg.AssetMaterialization(
        table.name,
        partition=day.isoformat(),
        metadata=day_numbers(view, table, day),
        tags={"dagster/data_version": view.day_digest(table.name, day)},
    )


def quarantine_numbers(rows: pa.Table, drops: Iterable[Drop]) -> dict[str, Any]:
    """Return what the UI shows of the rejected rows of some drops: how many, why, where from, and the first few."""
    frame = rows.to_pandas()
    reasons = Counter(frame["reason"].astype(str))
    head = frame.head(10)[["feed", "row_number", "reason", "detail", "payload"]].astype(str)
    return {
        "dagster/row_count": rows.num_rows,
        "value_cells": int(frame["value_cells"].sum()),
        "files_refused_as_a_whole": sum(drop.refused_files for drop in drops),
        **{f"reason/{reason}": count for reason, count in sorted(reasons.items())},
        "first_rows": dg.MetadataValue.md(_markdown(head.columns.tolist(), head.to_numpy().tolist())),
    }


def _markdown(names: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        cut = [escaped(cell.replace("|", "\\|").replace("\n", " "))[:120] for cell in cells]
        return f"| {' | '.join(cut)} |"

    return "\n".join([line(names), "|---" * len(names) + "|", *map(line, rows)])


def _quarantine_asset() -> dg.AssetsDefinition:
    @dg.asset(
        name=QUARANTINE.name,
        group_name="raw",
        owners=OWNERS,
        kinds={"parquet"},
        deps=[LANDING_ZONE, METER_STREAM],
        description=QUARANTINE.description,
        metadata=table_metadata(QUARANTINE),
        check_specs=check_specs(QUARANTINE, conservation=DROP_CONSERVATION),
        retry_policy=retry_policy(),
    )
    # With checks Dagster takes this annotation bare only.
    def quarantine(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Sum up the rejected rows of every drop that counts."""
        drops = list(platform.ledger.view().active.values())
        rows = quarantine_rows(platform.store, drops)
        return dg.MaterializeResult(
            metadata=quarantine_numbers(rows, drops),
            check_results=[
                *audit_results(audit(QUARANTINE, rows)),
                conservation_result(*_drops_conserve(drops)),
            ],
        )

    return quarantine
