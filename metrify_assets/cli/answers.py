"""How the answer to a query is written: as a table for people, as CSV, JSON or Parquet.

Belongs here: rows, and how a value is shown. Does not belong here: arguments (``query.py``), and what a query may do
(``published/query.py``).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from metrify_assets.cli.common import aligned
from metrify_assets.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

EXPLAINED = ["explain_key", "explain_value"]
"""Columns of an answer that is a drawing."""
SHOWN_ROWS = 50
CELL = 40
"""Longest text of a cell that is shown whole."""


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of batches as Python values; a map is a dict.

    Raises
    ------
    QueryError
        If Python has no such value.
    """
    for batch in batches:
        columns = zip(batch.schema.names, batch.columns, strict=True)
        yield from zip(*(_values(name, column) for name, column in columns), strict=True)


def _values(name: str, column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except (OverflowError, TypeError) as error:
        # Python's dates have the years 1 to 9999 and no infinity; its maps have no lists as keys.
        raise QueryError(
            f"column {name} holds a value that cannot be shown ({error}): cast it to text, as in `{name}::varchar`"
        ) from error
    return values


def require_distinct(names: Sequence[str]) -> None:
    """Raise ``QueryError`` if two columns have the same name: only one of them could be shown."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise QueryError(f"several columns are named {', '.join(twice)}: name them apart, as in `a.day as first_day`")


def table_text(rows: pa.RecordBatchReader, limit: int) -> str:
    """Return the first rows as a table, and a line that says how many there are."""
    shown: list[tuple[Any, ...]] = []
    total = 0
    for batch in rows:
        if len(shown) < limit:
            shown += rows_of([batch.slice(0, limit - len(shown))])
        total += batch.num_rows
    names = rows.schema.names
    if names == EXPLAINED:
        return "\n".join(str(plan) for _, plan in shown)
    cells = [[_cell(value) for value in row] for row in shown]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    columns = enumerate(zip(*shown, strict=True))
    numbers = {n for n, column in columns if any(isinstance(value, int | float | Decimal) for value in column)}
    lines = aligned([names, ["-" * width for width in widths], *cells], right=numbers)
    left = total - len(shown)
    counted = f"{total:,} row{'s' * (total != 1)}"
    lines.append(f"({counted}; {left:,} not shown: --limit {total}, or --csv)" if left else f"({counted})")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return format(value, ".6g")
    text = " ".join(_text(value).split("\n"))
    return text if len(text) <= CELL else f"{text[: CELL - 3]}..."


def _text(value: Any) -> str:
    """Return a value as text: instants are ISO, numbers have all their digits, lists and the like are JSON."""
    import pyarrow as pa

    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, pa.MonthDayNano):
        return f"{value.months} months {value.days} days {Decimal(value.nanoseconds).scaleb(-9):f} seconds"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict):
        return json.dumps(_plain(value), allow_nan=False, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_csv(rows: pa.RecordBatchReader, sink: TextIO) -> None:
    """Write all rows as CSV; null is an empty cell, instants are ISO in UTC."""
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(rows.schema.names)
    writer.writerows(["" if value is None else _text(value) for value in row] for row in rows_of(rows))


def write_json(rows: pa.RecordBatchReader, sink: TextIO) -> None:
    """Write all rows as a JSON array of objects; decimals are text, so that no digit is lost."""
    require_distinct(rows.schema.names)
    separator = "["
    for row in rows_of(rows):
        record = dict(zip(rows.schema.names, map(_plain, row), strict=True))
        sink.write(f"{separator}\n{json.dumps(record, allow_nan=False)}")
        separator = ","
    sink.write("\n]\n" if separator == "," else "[]\n")


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it, however deep: whole numbers are numbers, what is no number is text."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {_text(key): _plain(part) for key, part in value.items()}
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value.isoformat() if isinstance(value, datetime) else _text(value)


def write_parquet(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write all rows into a Parquet file, which is there when it is whole, and return how many there are."""

    import pyarrow as pa
    import pyarrow.parquet as pq

    from metrify_assets.storage.object_store import replacing

    require_distinct(rows.schema.names)
    count = 0
    with replacing(path.absolute()) as temporary:
        try:
            with pq.ParquetWriter(temporary, rows.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
                    count += batch.num_rows
        except pa.ArrowNotImplementedError as error:
            raise QueryError(f"Parquet cannot hold this answer ({error}): cast the column, to text say") from error
    return count
