"""Parquet: row batches to chunks of typed columns.

Belongs here: files that are no Parquet, lack a column or break in the middle. Does not belong here: the meaning of a
column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.feeds.chunk import MAX_VALUES_PER_BATCH, Chunk, UnreadableFile
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.files import beginning
from metrify_assets.feeds.model import Feed, FeedKind
from metrify_assets.feeds.text_source import registry_problem


class ParquetSource:
    """A Parquet file; see ``chunk.Source``."""

    def __init__(self, feed: Feed, path: Path) -> None:
        self._feed = feed
        self._path = path

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; raise ``UnreadableFile`` if the file is no Parquet, lacks a column or is damaged."""
        try:
            with pq.ParquetFile(self._path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise self._not_parquet(error) from error
        self._check_columns(schema.names, rows)
        if not rows:
            raise UnreadableFile(RejectReason.EMPTY_FILE, "expected rows, found a Parquet file without any")
        yield from self._batches(schema, rows)

    def _not_parquet(self, error: Exception) -> UnreadableFile:
        with self._path.open("rb") as stream:
            start = stream.read(4)
        if not start:
            return UnreadableFile(RejectReason.EMPTY_FILE, "expected a Parquet file, found an empty one")
        first = str(error).splitlines()[0]
        if start == b"PAR1":
            detail = f"expected a whole Parquet file, found one that breaks off or is damaged: {first}"
            return UnreadableFile(RejectReason.TRUNCATED_FILE, detail)
        detail = f"expected a Parquet file, found one that begins with {start!r}"
        return UnreadableFile(RejectReason.NOT_PARQUET, detail, beginning(self._path))

    def _check_columns(self, found: list[str], rows: int) -> None:
        if self._feed.kind is FeedKind.REGISTRY:
            problem = registry_problem(self._feed, found)
        else:
            missing = [name for name in self._feed.used_columns if name not in found]
            expected = ", ".join(self._feed.used_columns)
            problem = f"expected the columns {expected}, found {', '.join(found)[:500]!r}" if missing else None
        if problem:
            raise UnreadableFile(RejectReason.HEADER_MISMATCH, problem, ", ".join(found), rows)

    def _batches(self, schema: pa.Schema, rows: int) -> Iterator[Chunk]:
        row = 0
        names = schema.names if self._feed.kind is FeedKind.REGISTRY else list(self._feed.used_columns)
        texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
        try:
            with pq.ParquetFile(self._path, read_dictionary=texts) as file:
                size = max(1, MAX_VALUES_PER_BATCH // self._feed.values_per_row)
                for batch in file.iter_batches(batch_size=size, columns=names):
                    yield _chunk(batch, row + 1)
                    row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            detail = f"expected {rows} rows, found damage after row {row}: {str(error).splitlines()[0]}"
            raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail, rows=rows - row) from error


def _chunk(batch: pa.RecordBatch, first_row: int) -> Chunk:
    def payloads(row_numbers: np.ndarray) -> list[str]:
        rows = batch.take(pa.array(row_numbers - first_row)).to_pylist()
        return [json.dumps(row, default=str, ensure_ascii=False) for row in rows]

    numbers = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    columns = {name: batch.column(name) for name in batch.schema.names}
    return Chunk(numbers, columns, payloads, batch.num_rows)
