"""JSON: objects, one per line of a file or one per record of a stream, to chunks of text columns.

Belongs here: texts that are no JSON or lack a field. Does not belong here: the meaning of a field.
DuckDB extracts the fields as text, so that numbers keep the digits that the sender wrote or their shortest form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import ALL_LINES, beginning, count_block, data_lines, line_blocks
from metrify_assets.feeds.formats.text_source import PROVENANCE
from metrify_assets.feeds.model import JsonLinesFeed, MeasuredFeed, RegistryFeed
from metrify_assets.schemas.registries import REGISTRIES

if TYPE_CHECKING:
    import duckdb


class JsonLinesSource:
    """A file of JSON lines; see ``chunk.Source``. A field inside an object is named ``outer.inner``."""

    def __init__(self, feed: JsonLinesFeed, path: Path) -> None:
        self._feed = feed
        self._path = path
        if isinstance(feed, RegistryFeed):
            schema = [
                column.name
                for column in REGISTRIES[feed.registry].columns
                if column.name not in PROVENANCE and not column.derived
            ]
            back = {ours: theirs for theirs, ours in feed.rename.items()}
            self._objects = JsonObjects(tuple(back.get(name, name) for name in schema), ())
        elif isinstance(feed, MeasuredFeed):
            self._objects = JsonObjects(feed.used_columns, required_columns(feed, feed.used_columns))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows in blocks of about 16 MB; raise ``UnreadableFile`` for an empty file."""
        import duckdb

        row = 0
        connection = duckdb.connect()
        try:
            for block in line_blocks(self._path, ALL_LINES):
                rows = count_block(block)
                if rows:
                    numbers = np.arange(row + 1, row + 1 + rows, dtype=np.int64)
                    yield self._objects.chunk(connection, data_lines(block, rows), numbers)
                row += rows
        finally:
            connection.close()
        if not row:
            raise UnreadableFile(
                RejectReason.EMPTY_FILE, "expected lines of JSON, found an empty file", beginning(self._path)
            )


class JsonObjects:
    """Reads the fields of JSON objects.

    Parameters
    ----------
    names : tuple of str
        The fields; one inside an object is named ``outer.inner``.
    required : tuple of str
        Those of them without which an object is refused.
    """

    def __init__(self, names: tuple[str, ...], required: tuple[str, ...]) -> None:
        self._names = names
        self._required = required

    def chunk(self, connection: duckdb.DuckDBPyConnection, lines: list[bytes], numbers: np.ndarray) -> Chunk:
        """Return the fields of some objects, one per line; ``numbers`` are their row numbers, ascending."""

        def payloads(row_numbers: np.ndarray) -> list[str]:
            positions = np.searchsorted(numbers, row_numbers).tolist()
            return [lines[position].decode("utf-8", "replace") for position in positions]

        texts, undecodable = _decoded(lines)
        fields = self._extract(connection, texts)
        rejects = {position: (RejectReason.BAD_ENCODING, detail) for position, detail in undecodable.items()}
        if fields is None:
            suspects = np.arange(len(lines))
        else:
            required = [fields[name] for name in self._required] or list(fields.values())
            suspects = np.flatnonzero(
                np.any([column.is_null().to_numpy(zero_copy_only=False) for column in required], axis=0)
            )
        rejects = self._problems(connection, texts, suspects) | rejects
        readable = np.ones(len(lines), dtype=bool)
        readable[list(rejects)] = False
        good = np.flatnonzero(readable)
        if fields is None:
            fields = self._extract(connection, texts.take(pa.array(good)))
            if fields is None:
                raise RuntimeError("lines that were read one by one are no JSON together")
        elif rejects:
            fields = {name: column.take(pa.array(good)) for name, column in fields.items()}
        refused = [
            Reject(int(numbers[position]), reason, detail, lines[position].decode("utf-8", "replace"))
            for position, (reason, detail) in sorted(rejects.items())
        ]
        return Chunk(numbers[good], fields, payloads, len(numbers), refused)

    def _extract(self, connection: duckdb.DuckDBPyConnection, texts: pa.Array) -> dict[str, pa.Array] | None:
        """Return the fields as text, null where absent; None if a line is no JSON."""
        paths = ", ".join(_path(name) for name in self._names)
        fields = ", ".join(f"fields[{i}] AS c{i}" for i in range(1, len(self._names) + 1))
        query = f"SELECT {fields} FROM (SELECT json_extract_string(line, [{paths}]) AS fields FROM lines)"
        import duckdb

        try:
            table = _ask(connection, texts, query)
        except duckdb.InvalidInputException:
            return None
        return {name: table.column(i).combine_chunks() for i, name in enumerate(self._names)}

    def _problems(
        self, connection: duckdb.DuckDBPyConnection, texts: pa.Array, suspects: np.ndarray
    ) -> dict[int, tuple[RejectReason, str]]:
        """Return what is wrong with those of the suspected lines that are no JSON objects or lack a field."""
        if not suspects.size:
            return {}
        missing = [
            f"WHEN json_type(object, {_path(name)}) IS NULL THEN {i}" for i, name in enumerate(self._required, start=1)
        ]
        query = f"""
            SELECT CASE WHEN json_type(object) IS DISTINCT FROM 'OBJECT' THEN 0 {" ".join(missing)} ELSE -1 END AS code
            FROM (SELECT try_cast(line AS JSON) AS object FROM lines)
        """
        codes = _ask(connection, texts.take(pa.array(suspects)), query).column("code").to_pylist()
        problems = {}
        for position, code in zip(suspects.tolist(), codes, strict=True):
            if code == 0:
                problems[position] = (RejectReason.BAD_JSON, "expected a JSON object in one line")
            elif code > 0:
                name = self._required[code - 1]
                problems[position] = (RejectReason.MISSING_FIELD, f"expected the field {name!r}")
        return problems


def _ask(connection: duckdb.DuckDBPyConnection, texts: pa.Array, query: str) -> pa.Table:
    """Run a query over ``lines(line)``, in the order of the lines."""
    connection.register("lines", pa.table({"line": texts}))
    try:
        return connection.sql(query).to_arrow_table()
    finally:
        connection.unregister("lines")


def _decoded(lines: list[bytes]) -> tuple[pa.Array, dict[int, str]]:
    """Return the lines as text, null where they are not UTF-8, and what is wrong with those by position."""
    try:
        return pa.array(lines, pa.binary()).cast(pa.string()), {}
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        wrong: dict[int, str] = {}
        for position, line in enumerate(lines):
            try:
                texts.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                texts.append(None)
                wrong[position] = f"expected utf-8, found byte 0x{line[error.start]:02x} at {error.start}"
        return pa.array(texts, pa.string()), wrong


def required_columns(feed: MeasuredFeed, names: Iterable[str]) -> tuple[str, ...]:
    """Return those columns that a row must have."""
    return tuple(name for name in names if name not in feed.dispensable_columns)


def _path(name: str) -> str:
    """Return the JSON path of a field as an SQL literal; a dot separates levels."""
    path = "$" + "".join('."' + part.replace('"', '\\"') + '"' for part in name.split("."))
    return "'" + path.replace("'", "''") + "'"
