"""What the tests of streams share: feeds of streams, records, and reading back what was landed.

Belongs here: nothing that needs a broker (see ``integration/kafka_broker.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.drops.ledger import Drop
from metrify_assets.drops.offsets import OffsetRange
from metrify_assets.feeds.formats.stream_source import RECORDS
from metrify_assets.platform import Platform
from metrify_assets.storage.object_store import LocalObjectStore
from tests.workbench import IMPORT

TOPIC = "meter-reads"
FIRST = datetime(2026, 3, 9, tzinfo=UTC)
AVRO = {
    "type": "record",
    "name": "Read",
    "fields": [
        {"name": "point", "type": "string"},
        {"name": "start", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "kwh",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 6}],
        },
    ],
}


def stream_feed(folder: Path, name: str = "streamed", topics: str = f"[{TOPIC}]", **stream: object) -> Path:
    """Write the definition of a feed of hourly kWh that comes as a stream; fields beyond the topics are given."""
    folder.mkdir(parents=True, exist_ok=True)
    section = {"wait_seconds": 0, **stream}
    lines = [
        f"name: {name}",
        "description: A stream of the tests.",
        "kind: readings",
        "format: stream",
        "same_name: add",
        "stream:",
        f"  topics: {topics}",
        *(f"  {field}: {json.dumps(value)}" for field, value in section.items()),
        "stamp: {columns: [start], format: iso}",
        "interval_minutes: 60",
        "point: {column: point}",
        f'obis: "{IMPORT}"',
        "unit: kWh",
        "values: [{column: kwh}]",
    ]
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(lines))
    return path


def json_read(number: int, point: str = "A") -> bytes:
    """Return the value of a record: hour ``number`` after ``FIRST``, worth ``number`` watt-hours."""
    start = (FIRST + timedelta(hours=number % 1_000)).isoformat()
    return json.dumps({"point": point, "start": start, "kwh": number / 1_000}).encode()


def kwh(number: int) -> Decimal:
    """Return the value of ``json_read`` as it is stored."""
    return Decimal(number) / 1_000


def landed_file(path: Path, records: list[tuple[int, bytes | None, bytes | None]], row_group: int = 50_000) -> Path:
    """Write a landed range of (offset, key, value)."""
    offsets, keys, values = map(list, zip(*records, strict=True)) if records else ([], [], [])
    table = pa.table([offsets, [None] * len(offsets), keys, values], schema=RECORDS)
    pq.write_table(table, path, row_group_size=row_group)
    return path


def raw_rows(platform: Platform, *drops: Drop) -> list[dict]:
    """Return the raw rows of drops, in the order of partition and offset."""
    tables = [
        pq.read_table(platform.store.uri(part.file), partitioning=None)
        for drop in drops or platform.ledger.view().active.values()
        if drop.kind == "readings"
        for parts in drop.parts.values()
        for part in parts
    ]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: (OffsetRange.of_drop(row["drop_id"]).log, row["row_number"]))


class CrashError(Exception):
    """The process ends here."""


class FaultyStore(LocalObjectStore):
    """A store in which something happens at its ``fuse``-th step (before writing, before the rename, or after it): it
    crashes, unless something else is said."""

    fuse: int | None = None

    def _step(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.blow()

    def blow(self) -> None:
        raise CrashError

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        self._step()
        with super().writing(key) as temporary:
            yield temporary

    def keep(self, temporary: Path, key: str) -> None:
        self._step()
        super().keep(temporary, key)
        self._step()

    def create(self, key: str, content: bytes) -> bool:
        self._step()
        created = super().create(key, content)
        self._step()
        return created
