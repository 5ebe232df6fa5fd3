"""The lake: Parquet tables, cut into days and shards, replaced atomically.

Belongs here: manifests, digests and the naming of files. A manifest says which files are the day; it is written last,
in one step, so a reader sees the old day or the new one and a crash leaves the old day whole. Does not belong here:
what a table's rows mean (``tables/``) and where bytes live (``resources/object_store.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.errors import LakeError
from metrify_assets.resources.object_store import ObjectStore, StoredObject

ROW_GROUP_ROWS = 1_048_576
UNPUBLISHED_FOR = timedelta(hours=6)
"""Age from which a file that no manifest names is left over from a crash."""

EMPTY = "empty"
"""Digest of a shard without rows, and of a day that is not there."""


def digest_of(*parts: object) -> str:
    """Return a stable 16-digit digest of values with a stable text form (text, numbers, dates, sorted tuples)."""
    hasher = blake2b(digest_size=8)
    for part in parts:
        hasher.update(repr(part).encode())
        hasher.update(b"\x1f")
    return hasher.hexdigest()


@dataclass(frozen=True)
class Shard:
    """One shard of a day as its manifest describes it.

    Attributes
    ----------
    file : str
        Key of the Parquet file below the lake; empty if the shard has no rows.
    rows : int
    digest : str
        Digest of the content.
    inputs : mapping of str to str
        Digest of every input that the shard was computed from, by name.
    numbers : mapping
        What the computation counted (tallies, statuses, findings), summed up in checks and metadata.
    """

    file: str
    rows: int
    digest: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Which files are a day of a table (or the whole table, if it has no days)."""

    table: str
    day: date | None
    shards: Mapping[int, Shard]
    written_at: str = ""

    @property
    def rows(self) -> int:
        """Rows of the day."""
        return sum(shard.rows for shard in self.shards.values())

    @property
    def digest(self) -> str:
        """Digest of the day's content."""
        return digest_of(*((number, self.shards[number].digest) for number in sorted(self.shards)))

    @property
    def files(self) -> list[str]:
        """Keys of the day's files."""
        return [shard.file for _, shard in sorted(self.shards.items()) if shard.file]

    def total(self, *path: str) -> float:
        """Return the sum over the shards of one of their ``numbers``, addressed by its path; absent counts as 0."""
        total = 0
        for shard in self.shards.values():
            value: Any = shard.numbers
            for step in path:
                value = value.get(step, {}) if isinstance(value, Mapping) else {}
            total += value if isinstance(value, int | float) else 0
        return total


class Lake:
    """Reads and replaces tables.

    Parameters
    ----------
    store : ObjectStore
        Store whose keys start with ``lake/``.
    """

    def __init__(self, store: ObjectStore):
        self.store = store
        self._cache: dict[str, tuple[StoredObject, Manifest]] = {}

    @staticmethod
    def folder(table: str, day: date | None) -> str:
        """Return the folder of a table, or of one of its days."""
        return f"lake/{table}/day={day.isoformat()}" if day else f"lake/{table}"

    def _manifest_key(self, table: str, day: date | None) -> str:
        return f"{self.folder(table, day)}/_manifest.json"

    def manifest(self, table: str, day: date | None) -> Manifest | None:
        """Return the manifest of a day (or of a table without days), or None if it was never written."""
        key = self._manifest_key(table, day)
        try:
            return _parsed(key, table, day, self.store.read(key))
        except FileNotFoundError:
            return None

    def undated(self, tables: Sequence[str]) -> dict[str, Manifest | None]:
        """Return the manifests of tables without days, read side by side; None where one was never written."""
        keys = [self._manifest_key(table, None) for table in tables]
        contents = self.store.read_all(keys)
        return {
            table: None if content is None else _parsed(key, table, None, content)
            for table, key, content in zip(tables, keys, contents, strict=True)
        }

    def days(self, table: str) -> dict[date, Manifest]:
        """Return the manifests of all days of a table; only those changed since the last call are read again."""
        listed = {
            item.key: item
            for item in self.store.list(f"lake/{table}")
            if item.key.endswith("/_manifest.json") and "/day=" in item.key
        }
        changed = [key for key, item in listed.items() if key not in self._cache or self._cache[key][0] != item]
        for key, content in zip(changed, self.store.read_all(changed), strict=True):
            self._cache.pop(key, None)
            if content is not None:
                self._cache[key] = (listed[key], _parsed(key, table, _day_of(key), content))
        return {_day_of(key): self._cache[key][1] for key in listed if key in self._cache}

    def write_shard(
        self,
        table: str,
        day: date | None,
        number: int,
        data: pa.Table,
        *,
        inputs: Mapping[str, str] | None = None,
        numbers: Mapping[str, Any] | None = None,
    ) -> Shard:
        """Write one shard's rows to a file named by its content and return its description.

        The file is not part of the day before ``publish`` names it. Rows are written in the order given.
        """
        if data.num_rows == 0:
            return Shard("", 0, EMPTY, dict(inputs or {}), dict(numbers or {}))
        sink = pa.BufferOutputStream()
        write_parquet(data, sink)
        content = sink.getvalue()
        digest = blake2b(content, digest_size=8).hexdigest()
        key = f"{self.folder(table, day)}/s{number}-{digest}.parquet"
        if not self.store.exists(key):
            self.store.write(key, content)
        return Shard(key, data.num_rows, digest, dict(inputs or {}), dict(numbers or {}))

    def copy_shard(
        self,
        shard: Shard,
        table: str,
        day: date | None,
        number: int,
        *,
        inputs: Mapping[str, str] | None = None,
        numbers: Mapping[str, Any] | None = None,
    ) -> Shard:
        """Copy the file of a shard, byte by byte, to another table or day and return its description there."""
        if not shard.file:
            return Shard("", 0, EMPTY, dict(inputs or {}), dict(numbers or {}))
        key = f"{self.folder(table, day)}/s{number}-{shard.digest}.parquet"
        if not self.store.exists(key):
            self.store.write(key, self.store.read(shard.file))
        return Shard(key, shard.rows, shard.digest, dict(inputs or {}), dict(numbers or {}))

    def publish(self, table: str, day: date | None, shards: Mapping[int, Shard]) -> Manifest:
        """Make the shards the day: one atomic step, after which readers follow the new manifest.

        Older files that neither the new nor the replaced manifest names are removed: a reader that started before the
        replacement still finds its files, and another run that computes the same day is not robbed of what it has
        written and not yet published.
        """
        before = self.manifest(table, day)
        manifest = Manifest(table, day, dict(shards), datetime.now(UTC).isoformat(timespec="seconds"))
        if before is not None and before.shards == manifest.shards:
            return before
        record = {
            "table": table,
            "day": day.isoformat() if day else None,
            "written_at": manifest.written_at,
            "shards": {str(number): asdict(shard) for number, shard in sorted(shards.items())},
        }
        self.store.write(self._manifest_key(table, day), json.dumps(record, separators=(",", ":")).encode())
        keep = set(manifest.files) | set(before.files if before else ())
        oldest = (datetime.now(UTC) - UNPUBLISHED_FOR).timestamp() * 1_000_000
        for item in self.store.list(self.folder(table, day)):
            if item.key.endswith(".parquet") and item.key not in keep and item.modified_at < oldest:
                self.store.delete(item.key)
        return manifest

    def forget(self, table: str, day: date | None) -> None:
        """Remove what is published of a day; its files stay until the day is published again."""
        self.store.delete(self._manifest_key(table, day))

    def read(self, manifest: Manifest | None, schema: pa.Schema, columns: Iterable[str] | None = None) -> pa.Table:
        """Return the rows that a manifest names, shard by shard; an absent day has none."""
        wanted = list(columns) if columns is not None else schema.names
        target = pa.schema([schema.field(name) for name in wanted])
        if manifest is None or not manifest.files:
            return target.empty_table()
        tables = [self.read_shard(shard, wanted) for _, shard in sorted(manifest.shards.items()) if shard.file]
        return pa.concat_tables([table.cast(target) for table in tables]).unify_dictionaries()

    def read_shard(self, shard: Shard, columns: Iterable[str] | None = None) -> pa.Table:
        """Return one shard's rows."""
        try:
            with self.store.reading(shard.file) as path:
                return pq.read_table(path, columns=list(columns) if columns is not None else None, partitioning=None)
        except (FileNotFoundError, pa.ArrowInvalid, OSError) as error:
            raise LakeError(
                f"{shard.file} is missing or damaged: delete the day's _manifest.json and compute the day again"
            ) from error


def write_parquet(data: pa.Table, sink: object) -> None:
    """Write rows as the lake stores them: decimals as integers, text dictionary-encoded, fast compression."""
    pq.write_table(data, sink, row_group_size=ROW_GROUP_ROWS, **parquet_options(data.schema))


def _day_of(key: str) -> date:
    """Return the day of a manifest by its key."""
    return date.fromisoformat(key.rpartition("day=")[2].partition("/")[0])


def _parsed(key: str, table: str, day: date | None, content: bytes) -> Manifest:
    """Return the manifest that some bytes say."""
    try:
        record = json.loads(content)
    except json.JSONDecodeError as error:
        raise LakeError(f"{key} is damaged ({error}): delete it and compute the day again") from error
    shards = {int(number): Shard(**shard) for number, shard in record["shards"].items()}
    return Manifest(table, day, shards, record["written_at"])


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return how the lake writes a table's columns: what PyArrow's writer takes.

    Measured on 2.4 million rows: row numbers as differences take a thousandth of the space and a quarter of the time;
    statistics of labels take as long as all else about them, and no reader filters by them.
    """
    counters = [name for name in schema.names if name == "row_number"]
    return {
        "compression": "snappy",
        "store_decimal_as_integer": True,
        "use_dictionary": [name for name in schema.names if name not in counters],
        "column_encoding": dict.fromkeys(counters, "DELTA_BINARY_PACKED") or None,
        "write_statistics": [field.name for field in schema if not pa.types.is_dictionary(field.type)],
    }
