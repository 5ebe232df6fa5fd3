"""A landed range of a stream: records as they came, to chunks of text columns.

Belongs here: null values, wire headers, JSON and Avro values, keys; all of it at reading time, so that a drop can
be read again with a corrected feed or schema. A record's row number is its offset. Does not belong here: the broker,
and the meaning of a field.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.json_source import JsonObjects, required_columns
from metrify_assets.feeds.model import StreamFeed
from metrify_assets.feeds.stream import parsed_schema

if TYPE_CHECKING:
    import duckdb

RECORDS = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)
"""Columns of a landed range. ``timestamp`` is what the topic says (creation, or append to the log)."""

_WIRE_HEADER_BYTES = 5
_Refused = dict[int, tuple[RejectReason, str]]
"""What is wrong with records, by their position."""


class StreamSource:
    """A landed range of offsets; see ``chunk.Source``. A field inside a record is named ``outer.inner``."""

    def __init__(self, feed: StreamFeed, path: Path) -> None:
        self._stream = feed.stream
        self._path = path
        names = feed.record_columns
        required = required_columns(feed, names)
        self._values = (
            _AvroValues(feed, names, required) if self._stream.value == "avro" else _JsonValues(names, required)
        )

    def chunks(self) -> Iterator[Chunk]:
        """Yield the records, one chunk per row group; a range without records has no chunks.

        Raises
        ------
        UnreadableFile
            If the file is no landed range, or damaged.
        """
        rows = done = 0
        try:
            with pq.ParquetFile(self._path) as file:
                rows = file.metadata.num_rows
                for group in range(file.num_row_groups):
                    records = file.read_row_group(group, columns=["offset", "key", "value"]).combine_chunks()
                    yield self._chunk(records)
                    done += records.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            detail = f"expected a landed range of offsets, found damage after {done} records: {error}"
            raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail.splitlines()[0], rows=rows - done) from error

    def _chunk(self, records: pa.Table) -> Chunk:
        offsets = records["offset"].to_numpy()
        values: list[bytes | None] = records["value"].to_pylist()
        keys, refused = self._keys(records["key"])
        schemas, bodies = self._bodies(values, refused)
        good = np.array([position for position in range(len(values)) if position not in refused], dtype=np.int64)
        chunk = self._values.chunk(
            [bodies[i] for i in good.tolist()], offsets[good], [schemas[i] for i in good.tolist()]
        )
        if keys is not None and self._stream.key is not None:
            chunk.columns[self._stream.key] = keys.take(pa.array(np.searchsorted(offsets, chunk.row_numbers)))
        chunk.rejects = [
            *chunk.rejects,
            *(
                Reject(int(offsets[position]), reason, detail, self._values.payload(values[position] or b""))
                for position, (reason, detail) in refused.items()
            ),
        ]
        chunk.delivered_rows = len(values)
        return chunk

    def _keys(self, keys: pa.ChunkedArray) -> tuple[pa.Array | None, _Refused]:
        """Return the keys as text, and the records whose key is none; nothing where the feed does not read keys."""
        if self._stream.key is None:
            return None, {}
        texts: list[str | None] = []
        refused: _Refused = {}
        for position, key in enumerate(keys.to_pylist()):
            try:
                texts.append(None if key is None else key.decode("utf-8"))
            except UnicodeDecodeError as error:
                texts.append(None)
                detail = f"key: expected utf-8, found byte 0x{key[error.start]:02x} at {error.start}"
                refused[position] = (RejectReason.BAD_ENCODING, detail)
        return pa.array(texts, pa.string()), refused

    def _bodies(self, values: list[bytes | None], refused: _Refused) -> tuple[list[int | None], list[bytes]]:
        """Return the schema id (where there is one) and the body of every value; note in ``refused`` what has none."""
        ids: list[int | None] = [None] * len(values)
        bodies: list[bytes] = []
        for position, value in enumerate(values):
            if value is None:
                refused[position] = (RejectReason.NO_VALUE, "expected a value, found none (a tombstone)")
            elif self._stream.wire_header == "confluent":
                if len(value) < _WIRE_HEADER_BYTES or value[0] != 0:
                    detail = f"expected a zero byte and a schema id, found {value[:_WIRE_HEADER_BYTES].hex()!r}"
                    refused[position] = (RejectReason.BAD_WIRE_HEADER, detail)
                else:
                    ids[position] = int.from_bytes(value[1:_WIRE_HEADER_BYTES], "big")
                    value = value[_WIRE_HEADER_BYTES:]
            bodies.append(value or b"")
        return ids, bodies


class _JsonValues:
    """Reads values that are JSON objects."""

    def __init__(self, names: tuple[str, ...], required: tuple[str, ...]) -> None:
        self._objects = JsonObjects(names, required)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        # In memory; it is closed with this object.
        import duckdb

        return duckdb.connect()

    def chunk(self, bodies: list[bytes], offsets: np.ndarray, ids: list[int | None]) -> Chunk:
        return self._objects.chunk(self._connection, bodies, offsets)

    @staticmethod
    def payload(value: bytes) -> str:
        return value.decode("utf-8", "replace")


class _AvroValues:
    """Reads values that are Avro records without their schema."""

    def __init__(self, feed: StreamFeed, names: tuple[str, ...], required: tuple[str, ...]) -> None:
        declared = feed.stream
        self._only = parsed_schema(declared.avro_schema) if declared.avro_schema is not None else None
        self._by_id = {number: parsed_schema(schema) for number, schema in declared.avro_schemas.items()}
        self._paths = {name: name.split(".") for name in names}
        self._required = required

    def chunk(self, bodies: list[bytes], offsets: np.ndarray, ids: list[int | None]) -> Chunk:
        columns: dict[str, list[str | None]] = {name: [] for name in self._paths}
        good: list[int] = []
        rejects: list[Reject] = []
        for position, (body, number) in enumerate(zip(bodies, ids, strict=True)):
            try:
                fields = self._fields(body, number)
            except _RefusedError as problem:
                rejects.append(Reject(int(offsets[position]), problem.reason, problem.detail, self.payload(body)))
                continue
            good.append(position)
            for name, text in fields.items():
                columns[name].append(text)

        def payloads(row_numbers: np.ndarray) -> list[str]:
            return [self.payload(bodies[position]) for position in np.searchsorted(offsets, row_numbers).tolist()]

        arrays = {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
        return Chunk(offsets[np.array(good, dtype=np.int64)], arrays, payloads, len(bodies), rejects)

    def _fields(self, body: bytes, number: int | None) -> dict[str, str | None]:
        record = self._record(body, number)
        fields = {}
        for name, path in self._paths.items():
            value: Any = record
            for step in path:
                if isinstance(value, dict) and step in value:
                    value = value[step]
                    continue
                if value is not None and name in self._required:
                    raise _RefusedError(RejectReason.MISSING_FIELD, f"expected the field {name!r}")
                value = None
            fields[name] = _text(value)
        return fields

    def _record(self, body: bytes, number: int | None) -> Any:
        from fastavro import schemaless_reader

        by_id = None if number is None else self._by_id.get(number)
        schema = self._only if self._only is not None else by_id
        if schema is None:
            ids = ", ".join(map(str, sorted(self._by_id)))
            raise _RefusedError(RejectReason.UNKNOWN_SCHEMA, f"expected one of the schema ids {ids}, found {number}")
        stream = io.BytesIO(body)
        try:
            record = schemaless_reader(stream, schema, None)
        # What fastavro raises on bytes that another schema, or none, wrote.
        except (EOFError, LookupError, ValueError, ArithmeticError, struct.error) as error:
            raise _RefusedError(RejectReason.BAD_AVRO, f"expected a record of the schema, found {error!r}") from error
        if stream.tell() != len(body):
            detail = f"expected a record of the schema, found {len(body) - stream.tell()} bytes behind one"
            raise _RefusedError(RejectReason.BAD_AVRO, detail)
        return record

    @staticmethod
    def payload(value: bytes) -> str:
        """Return the bytes as hexadecimal digits: they are no text."""
        return value.hex()


class _RefusedError(Exception):
    """A record that cannot be read, and why."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _text(value: Any) -> str | None:
    """Return a field of an Avro record as JSON would write it, numbers with all digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
