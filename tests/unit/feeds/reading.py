"""Helpers of the feed tests: feeds by name, and a file read to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, cached_property
from pathlib import Path

import pyarrow as pa

from metrify_assets.feeds.catalogue import BUILT_IN, load_feed
from metrify_assets.feeds.model import Feed
from metrify_assets.feeds.reader import ReadReport, read_drop, table_of
from metrify_assets.schemas.readings import QUARANTINE
from metrify_assets.vee.delivery_day import to_microseconds

RECEIVED = datetime(2026, 6, 1, 12, tzinfo=UTC)


@cache
def feed(name: str) -> Feed:
    return load_feed(BUILT_IN / f"{name}.yaml")


@dataclass
class Result:
    """All rows of a drop."""

    table: pa.Table
    quarantine: list[dict]
    report: ReadReport

    @cached_property
    def rows(self) -> list[dict]:
        return self.table.to_pylist()

    def column(self, name: str) -> list:
        return self.table.column(name).to_pylist()

    @property
    def values(self) -> list:
        return self.column("value")

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.quarantine]


def read(
    of: Feed | str,
    path: Path,
    *,
    name: str | None = None,
    received: datetime = RECEIVED,
    first_day: date = date(1995, 1, 1),
    last_day: date = date(2026, 6, 2),
) -> Result:
    """Read a file to its end; check schemas and conservation on the way."""
    of = feed(of) if isinstance(of, str) else of
    report = ReadReport()
    tables, quarantine = [], []
    for batch in read_drop(
        of,
        path,
        name=name or path.name,
        drop_id="drop-1",
        received_at=to_microseconds(received),
        zone="Europe/Berlin",
        first_day=first_day,
        last_day=last_day,
        report=report,
    ):
        assert batch.rows.schema == table_of(of).arrow
        assert batch.quarantine.schema == QUARANTINE.arrow
        batch.rows.validate(full=True)
        batch.quarantine.validate(full=True)
        tables.append(batch.rows)
        quarantine += batch.quarantine.to_pylist()
    table = pa.concat_tables(tables)
    assert report.raw_values == len(table)
    assert report.quarantined_rows == len(quarantine)
    assert report.quarantined_values == sum(row["value_cells"] for row in quarantine)
    assert report.delivered_values == report.raw_values + report.quarantined_values
    return Result(table, quarantine, report)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
