"""Parquet: row batches to chunks of typed columns.

Belongs here: files that are no Parquet, lack a column or break in the middle. Does not belong here: the meaning of a
column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import MAX_VALUES_PER_BATCH, Chunk, Reject, UnreadableFile, encode
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.text_source import registry_problem
from metrify_assets.feeds.model import ParquetFeed, RegistryFeed
from metrify_assets.schemas.registries import REGISTRIES

_BYTES = (*(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary),)
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, *_BYTES)
_CELLS = (
    *_TEXTS,
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean),
    *(pa.types.is_timestamp, pa.types.is_date, pa.types.is_null, pa.types.is_dictionary),
)
"""Types of columns that a cell may have."""
_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What Arrow raises for a file that is damaged; the last for the names of its columns."""


class ParquetSource:
    """A Parquet file; see ``chunk.Source``."""

    def __init__(self, feed: ParquetFeed, path: Path) -> None:
        self._feed = feed
        self._path = path

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows; raise ``UnreadableFile`` if the file is no Parquet, lacks a column or is damaged."""
        try:
            with pq.ParquetFile(self._path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        except _DAMAGE as error:
            raise self._not_parquet(error) from error
        self._check_columns(schema, rows)
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

    def _check_columns(self, schema: pa.Schema, rows: int) -> None:
        columns = schema.names
        if isinstance(self._feed, RegistryFeed):
            problem = registry_problem(self._feed, columns)
        else:
            missing = [name for name in self._feed.used_columns if name not in columns]
            expected = ", ".join(self._feed.used_columns)
            problem = f"expected the columns {expected}, found {', '.join(columns)[:500]!r}" if missing else None
        problem = problem or self._unfit(schema)
        if problem:
            raise UnreadableFile(RejectReason.HEADER_MISMATCH, problem, ", ".join(columns), rows)

    def _unfit(self, schema: pa.Schema) -> str | None:
        """Say which column is there twice, or holds what no cell can be; None if all can be read."""
        for name in self._names(schema):
            if self._is_beside_schema(name):
                continue
            if schema.names.count(name) > 1:
                return f"expected the column {name} once, found it {schema.names.count(name)} times"
            kind = schema.field(name).type
            if not any(fits(kind) for fits in _CELLS):
                return f"expected texts, numbers or stamps in the column {name}, found {kind}"
        return None

    def _is_beside_schema(self, name: str) -> bool:
        """Return whether a registry's schema has no such column: it may hold anything."""
        feed = self._feed
        if not isinstance(feed, RegistryFeed):
            return False
        return feed.rename.get(name, name) not in REGISTRIES[feed.registry].arrow.names

    def _names(self, schema: pa.Schema) -> list[str]:
        """Return the columns that are read."""
        return schema.names if isinstance(self._feed, RegistryFeed) else list(self._feed.used_columns)

    def _batches(self, schema: pa.Schema, rows: int) -> Iterator[Chunk]:
        row = 0
        names = self._names(schema)
        texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
        try:
            with pq.ParquetFile(self._path, read_dictionary=texts, page_checksum_verification=True) as file:
                size = max(1, MAX_VALUES_PER_BATCH // self._feed.values_per_row)
                for batch in file.iter_batches(batch_size=size, columns=names):
                    yield _chunk(batch, row + 1)
                    row += batch.num_rows
        except _DAMAGE as error:
            detail = f"expected {rows} rows, found damage after row {row}: {str(error).splitlines()[0]}"
            raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail, rows=rows - row) from error
        if row < rows:
            detail = f"expected {rows} rows as the footer says, found {row}"
            raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail, rows=rows - row)


def _chunk(batch: pa.RecordBatch, first_row: int) -> Chunk:
    columns = {name: _in_one_piece(batch.column(name)) for name in batch.schema.names}

    def payloads(row_numbers: np.ndarray) -> list[str]:
        chosen = pa.array(row_numbers - first_row)
        cells = zip(*(_plain(column.take(chosen)) for column in columns.values()), strict=True)
        rows = [dict(zip(columns, row, strict=True)) for row in cells]
        return [json.dumps(row, default=str, ensure_ascii=False) for row in rows]

    numbers = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    undecodable = {
        name: wrong for name, column in columns.items() if _is_text(column) and (wrong := _undecodable(column)).any()
    }
    if not undecodable:
        return Chunk(numbers, {name: _as_text(column) for name, column in columns.items()}, payloads, batch.num_rows)
    bad = np.any(list(undecodable.values()), axis=0)
    good = pa.array(np.flatnonzero(~bad))
    rejects = [
        Reject(number, RejectReason.BAD_ENCODING, f"expected utf-8 in {', '.join(undecodable)}", payload)
        for number, payload in zip(numbers[bad].tolist(), payloads(numbers[bad]), strict=True)
    ]
    # Out of their dictionaries, which name the bad texts as well.
    readable = {
        name: _as_text(_decoded(column.take(good)) if _is_text(column) else column.take(good))
        for name, column in columns.items()
    }
    return Chunk(numbers[~bad], readable, payloads, batch.num_rows, rejects)


def _is_text(column: pa.Array) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return any(is_kind(kind) for is_kind in _TEXTS)


def _in_one_piece(column: pa.Array) -> pa.Array:
    """Return texts and bytes that came as views, which Arrow does not take rows of, in the usual layout.

    Raises
    ------
    pa.ArrowInvalid
        If codes point beyond their dictionary: Arrow does not look at that while it reads a damaged page.
    """
    if pa.types.is_dictionary(column.type):
        bounds = pc.min_max(column.indices)
        if bounds["max"].is_valid and not 0 <= bounds["min"].as_py() <= bounds["max"].as_py() < len(column.dictionary):
            raise pa.ArrowInvalid("codes of texts that the file does not have")
        return column
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_binary_view(column.type) else column


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _as_text(column: pa.Array) -> pa.Array:
    """Return texts that came as bytes or in another layout as texts; other columns as they are."""
    if not _is_text(column) or pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string())


def _undecodable(column: pa.Array) -> np.ndarray:
    """Return which cells are no UTF-8; bool, shape (n,)."""
    codes, values = encode(column)
    as_bytes = values.cast(pa.binary())
    try:
        as_bytes.cast(pa.string())
        return np.zeros(len(codes), dtype=bool)
    except pa.ArrowInvalid:
        undecodable = np.array([not _is_utf8(content) for content in as_bytes.to_pylist()], dtype=bool)
        cells: np.ndarray = undecodable[codes]
        return cells


def _is_utf8(content: bytes | None) -> bool:
    try:
        (content or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(column: pa.Array) -> list[Any]:
    """Return cells for a payload, as Python has them or, where it has no such stamp or text, as near as can be."""
    cells: list[Any]
    try:
        cells = column.to_pylist()
        return cells
    except (OverflowError, ValueError):
        if pa.types.is_timestamp(column.type):
            cells = column.view(pa.int64()).to_pylist()
            return cells
        cells = _decoded(column).cast(pa.binary()).to_pylist()
        return [None if cell is None else cell.decode("utf-8", "replace") for cell in cells]
