"""``metrify query`` and ``metrify publish``: asking what is published, and publishing it.

Belongs here: arguments, and how answers are shown. Does not belong here: what a query may do
(``published/query.py``).
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from metrify_assets.commands.common import aligned, as_json, platform_of_environment, print_json, require_folder_of
from metrify_assets.errors import QueryError
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from metrify_assets.published.catalog import Catalog, Published

EXPLAINED = ["explain_key", "explain_value"]
"""Columns of an answer that is a drawing."""
SHOWN_ROWS = 50
CELL = 40
"""Longest text of a cell that is shown whole."""


@click.command()
@click.argument("sql", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="File with the query.")
@click.option("--limit", type=click.IntRange(1), default=SHOWN_ROWS, show_default=True, help="Rows to show in a table.")
@as_json
@click.option("--csv", "to_csv", is_flag=True, help="Print every row as CSV.")
@click.option("--parquet", "to_parquet", type=click.Path(path_type=Path), help="Write every row into a Parquet file.")
def query(sql: str | None, file: Path | None, limit: int, to_json: bool, to_csv: bool, to_parquet: Path | None) -> None:
    """Ask the published marts with SQL; without SQL, list them with their columns.

    Queries only read, and never wait for a run that builds the marts.
    """
    from metrify_assets.published.query import answer, open_published, published_catalog

    if sum((to_json, to_csv, to_parquet is not None)) > 1:
        raise click.UsageError("choose one of --json, --csv and --parquet")
    text = _text_of(sql, file)
    platform = platform_of_environment()
    if text is None:
        if to_csv or to_parquet:
            raise click.UsageError("--csv and --parquet need a query")
        catalog = published_catalog(platform)
        print_json(listing(catalog)) if to_json else click.echo(listing_text(catalog))
        return
    if to_parquet:
        require_folder_of(to_parquet)
    with open_published(platform) as connection, answer(connection, text) as rows:
        if to_parquet:
            click.echo(f"{write_parquet(rows, to_parquet):,} rows written to {to_parquet}")
        elif to_csv:
            write_csv(rows, sys.stdout)
        elif to_json:
            write_json(rows, sys.stdout)
        else:
            click.echo(table_text(rows, limit))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Export every day again, not only what changed.")
@as_json
def publish(everything: bool, to_json: bool) -> None:
    """Publish the marts as they are in the warehouse; runs that build them do it by themselves."""
    from metrify_assets.published.on_request import publish_now

    catalog = publish_now(Settings.from_env(), everything=everything)
    if to_json:
        print_json(listing(catalog))
    else:
        click.echo(f"version {catalog.version} of {catalog.published_at} is published: `metrify query` lists it")


def _text_of(sql: str | None, file: Path | None) -> str | None:
    """Return the query that was given, in the one way or the other."""
    if sql is not None and file is not None:
        raise click.UsageError("give the query or --file, not both")
    if file is None:
        return sql
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise QueryError(f"{file} is no text in UTF-8: save it as such") from error


def listing(catalog: Catalog) -> dict[str, Any]:
    """Return what is published as a record."""
    return {
        "version": catalog.version,
        "published_at": catalog.published_at,
        "location": catalog.location,
        "marts": [_mart(name, found) for name, found in sorted(catalog.models.items())],
    }


def _mart(name: str, found: Published) -> dict[str, Any]:
    periods = sorted(found.parts) if found.model.period else []
    return {
        "mart": name,
        "description": found.model.description,
        "rows": found.rows,
        "bytes": found.bytes,
        "cut_by": found.model.period,
        "first_period": periods[0] if periods else None,
        "last_period": periods[-1] if periods else None,
        "columns": [
            {"name": column.name, "type": column.type, "description": column.description}
            for column in found.model.columns
        ],
    }


def listing_text(catalog: Catalog) -> str:
    """Return what is published as people read it."""
    lines = [f"Version {catalog.version}, published {catalog.published_at}. Ask with: metrify query 'select ...'"]
    for mart in listing(catalog)["marts"]:
        span = f", {mart['first_period']} .. {mart['last_period']}" if mart["first_period"] else ""
        lines += ["", f"{mart['mart']}  ({mart['rows']:,} rows{span})", f"  {mart['description']}"]
        columns = [(column["name"], column["type"], column["description"]) for column in mart["columns"]]
        lines += [f"    {line}" for line in aligned(columns)]
    return "\n".join(lines)


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple]:
    """Yield the rows of batches as Python values."""
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def table_text(rows: pa.RecordBatchReader, limit: int) -> str:
    """Return the first rows as a table, and a line that says how many there are."""
    shown: list[tuple] = []
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
    import pyarrow as pa

    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, pa.MonthDayNano):
        return f"{value.months} months {value.days} days {Decimal(value.nanoseconds).scaleb(-9):f} seconds"
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_csv(rows: pa.RecordBatchReader, sink: TextIO) -> None:
    """Write all rows as CSV; null is an empty cell, instants are ISO in UTC."""
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(rows.schema.names)
    writer.writerows(["" if value is None else _text(value) for value in row] for row in rows_of(rows))


def write_json(rows: pa.RecordBatchReader, sink: TextIO) -> None:
    """Write all rows as a JSON array of objects; decimals are text, so that no digit is lost."""
    separator = "["
    for row in rows_of(rows):
        record = dict(zip(rows.schema.names, map(_plain, row), strict=True))
        sink.write(f"{separator}\n{json.dumps(record, default=str)}")
        separator = ","
    sink.write("\n]\n" if separator == "," else "[]\n")


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it: whole numbers are numbers, what is no number is text."""
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    # An interval is a tuple to Python.
    return _text(value) if isinstance(value, tuple) else value


def write_parquet(rows: pa.RecordBatchReader, path: Path) -> int:
    """Write all rows into a Parquet file, which is there when it is whole, and return how many there are."""
    import os

    import pyarrow as pa
    import pyarrow.parquet as pq

    from metrify_assets.resources.object_store import temporary_file

    count = 0
    with temporary_file(path.absolute().parent) as temporary:
        try:
            with pq.ParquetWriter(temporary, rows.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
                    count += batch.num_rows
        except pa.ArrowNotImplementedError as error:
            raise QueryError(f"Parquet cannot hold this answer ({error}): cast the column, to text say") from error
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    return count
