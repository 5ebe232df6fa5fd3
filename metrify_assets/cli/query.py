"""``metrify query`` and ``metrify publish``: asking what is published, and publishing it.

Belongs here: arguments, and how the list of the marts is shown. Does not belong here: what a query may do
(``published/query.py``), and how its answer is written (``answers.py``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metrify_assets.cli.answers import SHOWN_ROWS, table_text, write_csv, write_json, write_parquet
from metrify_assets.cli.common import (
    aligned,
    as_json,
    platform_of_environment,
    print_json,
    require_folder_of,
    with_logs,
)
from metrify_assets.errors import QueryError
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    from metrify_assets.published.catalog import Catalog, Published


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
@with_logs
@as_json
def publish(everything: bool, verbose: bool, to_json: bool) -> None:
    """Publish the marts as they are in the warehouse; runs that build them do it by themselves."""
    from metrify_assets.orchestration.on_request import publish_now

    catalog = publish_now(Settings.from_env(), everything=everything, verbose=verbose)
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
        "marts": [_mart(name, model) for name, model in sorted(catalog.models.items())],
    }


def _mart(name: str, model: Published) -> dict[str, Any]:
    periods = sorted(model.parts) if model.model.period else []
    return {
        "mart": name,
        "description": model.model.description,
        "rows": model.rows,
        "bytes": model.bytes,
        "cut_by": model.model.period,
        "first_period": periods[0] if periods else None,
        "last_period": periods[-1] if periods else None,
        "columns": [
            {"name": column.name, "type": column.type, "description": column.description}
            for column in model.model.columns
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
