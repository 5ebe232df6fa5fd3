"""Delimited text: blocks of lines to chunks of text columns.

Belongs here: header, delimiter, quoting, encoding, wrong column counts. Does not belong here: the meaning of a
column. A physical line is a row: where a feed does not say that quotes may hold line ends, such lines are rejected one
by one.

Arrow's parser reads a block of lines; a block that it does not read exactly as its lines say (wrong column count, bad
bytes, a stray carriage return) is read again line by line. So every row keeps its number and its bytes, in one pass
over the file. (DuckDB scans as fast, but reports rejected lines only after the scan, when rows are long on their way.)
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import (
    ALL_LINES,
    LineLayout,
    beginning,
    count_block,
    count_lines,
    data_lines,
    first_line,
    line_blocks,
    with_missing_cells,
)
from metrify_assets.feeds.formats.fill_down import FillDown
from metrify_assets.feeds.formats.slots import by_slot
from metrify_assets.feeds.model import DelimitedFeed, DelimitedValues, RegistryFeed
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.storage.parallel import in_order

_TEXT = pa.dictionary(pa.int32(), pa.string())
PROVENANCE = ("feed", "drop_id", "row_number", "received_at")
"""Columns of a registry that the reader fills in itself."""


class DelimitedSource:
    """A delimited text file; see ``chunk.Source``."""

    def __init__(self, feed: DelimitedFeed, path: Path) -> None:
        self._feed = feed
        self._path = path
        self._encoding = feed.plain_encoding
        self._has_header = feed.header is not False
        footer = tuple(text.encode(self._encoding, "replace") for text in feed.footer)
        self._layout = LineLayout(feed.skip_lines + self._has_header, footer, feed.quoted_line_ends)
        self._slots = feed.slots if isinstance(feed, DelimitedValues) else None
        self._values_per_line = 1 if self._slots is None else len(self._slots.labels)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows in blocks of about 16 MB; raise ``UnreadableFile`` for an empty file or a wrong header."""
        names = self._check_beginning()
        row = 0
        fill_down = FillDown(self._feed.fill_down if isinstance(self._feed, DelimitedValues) else ())
        for parsed in in_order(self._parsing(names)):
            row += parsed.delivered_rows
            chunk = fill_down.filled(parsed)
            yield from (chunk,) if self._slots is None else by_slot(self._slots, self._feed.used_columns, chunk)
        if not row:
            raise self._unreadable(RejectReason.EMPTY_FILE, "expected data rows, found a header and nothing else")

    def _parsing(self, names: tuple[str, ...]) -> Iterator[Callable[[], Chunk]]:
        """Yield what parses each block that holds rows."""
        row = 0
        for block in line_blocks(self._path, self._layout):
            rows = count_block(block)
            if rows:
                yield partial(self._chunk, block, names, row + 1, rows)
            row += rows

    def _unreadable(self, reason: RejectReason, detail: str) -> UnreadableFile:
        rows = count_lines(self._path, self._layout) * self._values_per_line
        return UnreadableFile(reason, detail, beginning(self._path, self._encoding), rows)

    def _check_beginning(self) -> tuple[str, ...]:
        """Return the column names; raise ``UnreadableFile`` if the first line is not as declared."""
        line = first_line(self._path, self._feed.skip_lines)
        if not line.strip() and not count_lines(self._path, ALL_LINES):
            raise self._unreadable(RejectReason.EMPTY_FILE, "expected a header and data rows, found an empty file")
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise self._unreadable(
                RejectReason.BAD_ENCODING, f"expected {self._feed.encoding}, found in the first line: {error.reason}"
            ) from error
        if "\0" in text:
            raise self._unreadable(
                RejectReason.BAD_ENCODING,
                f"expected {self._feed.encoding}, found NUL bytes in the first line: no text, or UTF-16: "
                "then say encoding: utf-16",
            )
        names = _names(text, self._feed)
        problem = header_problem(self._feed, names)
        if problem:
            raise self._unreadable(RejectReason.HEADER_MISMATCH, problem)
        return tuple(names) if self._has_header else self._feed.column_names

    def _chunk(self, block: bytes, names: tuple[str, ...], first_row: int, rows: int) -> Chunk:
        def payloads(row_numbers: np.ndarray) -> list[str]:
            lines = data_lines(block, rows)
            return [lines[number - first_row].decode(self._encoding, "replace") for number in row_numbers.tolist()]

        columns = self._parse_block(block, names, rows)
        if columns is not None:
            numbers = np.arange(first_row, first_row + rows, dtype=np.int64)
            return Chunk(numbers, columns, payloads, rows)
        numbers, columns, rejects = self._parse_lines(data_lines(block, rows), names, first_row)
        return Chunk(numbers, columns, payloads, rows, rejects)

    def _parse_block(self, block: bytes, names: tuple[str, ...], rows: int) -> dict[str, pa.Array] | None:
        """Parse a block at once; return None if that does not give exactly its lines."""
        if b"\0" in block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
            return None
        try:
            if self._encoding not in ("utf-8", "utf8"):
                block = block.decode(self._encoding).encode()
            table = self._parsed(block, names)
            if table is None and self._feed.short_rows:
                table = self._parsed(with_missing_cells(block, self._feed.delimiter.encode(), len(names)), names)
        except UnicodeDecodeError:
            return None
        if table is None or table.num_rows != rows:
            # A line is not what it should be: reading line by line finds out which, and says so.
            return None
        return {name: table.column(name) for name in names}

    def _parsed(self, block: bytes, names: tuple[str, ...]) -> pa.Table | None:
        """Return a block as Arrow reads it; None if it cannot."""
        try:
            return pa_csv.read_csv(
                pa.py_buffer(block),
                # In one piece: pieces have dictionaries of their own, and to unify these costs more than it saves.
                read_options=pa_csv.ReadOptions(column_names=list(names), block_size=max(1, len(block))),
                parse_options=pa_csv.ParseOptions(delimiter=self._feed.delimiter),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, _TEXT), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid:
            return None

    def _parse_lines(
        self, lines: list[bytes], names: tuple[str, ...], first_row: int
    ) -> tuple[np.ndarray, dict[str, pa.Array], list[Reject]]:
        numbers: list[int] = []
        good: list[bytes] = []
        rejects: list[Reject] = []
        for number, line in enumerate(lines, start=first_row):
            problem = self._problem(line, number, len(names))
            if problem is None:
                numbers.append(number)
                good.append(self._whole(line, len(names)))
            else:
                rejects.append(problem)
        columns = self._parse_block(b"\n".join(good), names, len(good))
        if columns is None:
            columns = self._split(good, names)
        return np.array(numbers, dtype=np.int64), columns, rejects

    def _whole(self, line: bytes, columns: int) -> bytes:
        """Return a readable line with the cells that it may lack at its end."""
        if not self._feed.short_rows:
            return line
        cells = _fields(line.decode(self._encoding), self._feed.delimiter) or []
        return line + self._feed.delimiter.encode() * (columns - len(cells))

    def _split(self, lines: list[bytes], names: tuple[str, ...]) -> dict[str, pa.Array]:
        """Split readable lines that Arrow would read differently, such as those with a carriage return inside."""
        rows = [_fields(line.decode(self._encoding), self._feed.delimiter) for line in lines]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return {
            name: pa.array(column, pa.string()).dictionary_encode() for name, column in zip(names, columns, strict=True)
        }

    def _problem(self, line: bytes, number: int, expected: int) -> Reject | None:
        """Return why a line is no row of ``expected`` columns; None if it is one."""
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError as error:
            payload = line.decode(self._encoding, "replace")
            detail = f"expected {self._feed.encoding}, found byte 0x{line[error.start]:02x} at {error.start}"
            return Reject(number, RejectReason.BAD_ENCODING, detail, payload)
        if "\0" in text:
            return Reject(number, RejectReason.BAD_ENCODING, f"NUL byte at {text.index(chr(0))}", text)
        if '"' in text:
            fields = _fields(text, self._feed.delimiter)
            if fields is None:
                return Reject(
                    number,
                    RejectReason.WRONG_COLUMN_COUNT,
                    "expected quotes that match, found one that stays open or a line end beside them",
                    text,
                )
            columns = len(fields)
        else:
            columns = text.count(self._feed.delimiter) + 1
        if columns > expected or (columns < expected and not self._feed.short_rows):
            at_most = "at most " if self._feed.short_rows else ""
            detail = f"expected {at_most}{expected} columns, found {columns}"
            return Reject(number, RejectReason.WRONG_COLUMN_COUNT, detail, text)
        return None


def header_of(feed: DelimitedFeed, path: Path) -> tuple[str, ...]:
    """Return the column names of a file as they are compared with the declared ones; empty if they are no text."""
    try:
        return tuple(_names(first_line(path, feed.skip_lines).decode(feed.plain_encoding), feed))
    except UnicodeDecodeError:
        return ()


def _names(line: str, feed: DelimitedFeed) -> list[str]:
    """Return the column names of a header line, without blanks around them and endings that are not looked at.

    A column without a name is called by its place (``#3``) where the feed calls it so.
    """
    names = [feed.without_noise(name) for name in _fields(line, feed.delimiter) or [line]]
    places = [f"#{place}" for place in range(1, len(names) + 1)]
    by_place = set(places).intersection(feed.column_names)
    return [place if not name and place in by_place else name for name, place in zip(names, places, strict=True)]


def _fields(line: str, delimiter: str) -> list[str] | None:
    """Split one line as Arrow's parser does; None if its quotes do not match."""
    if '"' not in line:
        return line.split(delimiter)
    reader = csv.reader([line + "\n", ""], delimiter=delimiter)
    try:
        fields = next(reader)
    except csv.Error:
        # A carriage return outside of quotes, in a line that has quotes elsewhere.
        return None
    # A quote that stays open goes on to the next line.
    return fields if reader.line_num == 1 else None


def header_problem(feed: DelimitedFeed, names: list[str]) -> str | None:
    """Say in one line what is wrong with a file's first line; None if it is as declared."""
    if feed.header is False:
        if len(feed.columns) > 1 and len(names) == 1 and not feed.short_rows:
            return f"expected {len(feed.columns)} columns separated by {feed.delimiter!r}, found no {feed.delimiter!r}"
        return None
    if isinstance(feed, RegistryFeed):
        return registry_problem(feed, names)
    expected = [name.strip() for name in feed.column_names]
    if names == expected:
        return None
    return f"expected {feed.delimiter.join(expected)!r}, found {feed.delimiter.join(names)[:500]!r}"


def registry_problem(feed: RegistryFeed, names: list[str]) -> str | None:
    """Say which columns a registry file lacks or has twice; None if it can be read."""
    columns = [feed.rename.get(name, name) for name in names]
    required = [
        column.name
        for column in REGISTRIES[feed.registry].columns
        if not column.nullable and not column.derived and column.name not in PROVENANCE
    ]
    missing = [name for name in required if name not in columns]
    if missing:
        return f"expected the columns {', '.join(required)}, found {', '.join(names)[:500]!r}"
    twice = sorted({name for name in columns if columns.count(name) > 1})
    return f"expected every column once, found {', '.join(twice)} twice" if twice else None
