"""What consumers open: a DuckDB file with a view per mart; where the files lie on S3, a script that makes the views.

Belongs here: the statements, and replacing the file in one step. Does not belong here: the files that the views read
(``export.py``) and the queries of ``metrify query`` (``query.py``).

The file holds no rows. A view names the Parquet files of its version one by one, so that whoever opened the file goes
on seeing that version, and a new version costs what is new, not what there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from metrify_assets.published.catalog import FOLDER, Catalog, Published
from metrify_assets.published.models import Column, Model
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.settings import Settings, StoreKind
from metrify_assets.storage.object_store import ObjectStore

FILE_KEY = f"{FOLDER}/metrify.duckdb"
SCRIPT_KEY = f"{FOLDER}/metrify.sql"
STORAGE_VERSION = "v1.0.0"
"""Of the DuckDB file: clients of that version and of all later ones can open it."""
VERSION_TABLE = "_published"
VERSION_DESCRIPTION = "What is published: one row per mart."
VERSION_COLUMNS = (
    Column("version", "integer", "Number of the version, the same for all marts.", False),
    Column("published_at", "timestamp with time zone", "When the version was made (UTC).", False),
    Column("mart", "varchar", "Qualified name.", False),
    Column("cut_by", "varchar", "What the files are cut by: day, month, or null."),
    Column("first_period", "date", "First day or month; null for a mart that is not cut."),
    Column("last_period", "date", "Last day or month; null for a mart that is not cut."),
    Column("periods", "integer", "Days or months that are published; 1 for a mart that is not cut.", False),
    Column("row_count", "bigint", "Rows.", False),
    Column("bytes", "bigint", "Size of the files, bytes.", False),
    Column("digest", "varchar", "Digest of the content: equal digests, equal rows.", False),
)

Locate = Callable[[str], str]
"""From the key of a file to where a reader finds it."""


def consumer_key(settings: Settings) -> str:
    """Return the key of what consumers open.

    DuckDB opens a view's files when the view is made. On S3 that takes its extension httpfs, which it downloads: there
    consumers, who have it, make the views themselves.
    """
    return FILE_KEY if settings.store is StoreKind.LOCAL else SCRIPT_KEY


def write_consumer(settings: Settings, store: ObjectStore, catalog: Catalog) -> None:
    """Replace what consumers open by that of a version, in one step: they see the old one or the new one."""
    key = consumer_key(settings)
    if key == SCRIPT_KEY:
        store.write(key, ";\n".join([*statements(catalog, store.uri), ""]).encode())
        return
    with store.writing(key) as temporary:
        write_file(temporary, catalog, store.uri)


def write_file(path: Path, catalog: Catalog, locate: Locate) -> None:
    """Make the DuckDB file of a version; nobody may write it.

    Who opened it for writing, by forgetting ``read_only=True``, would lock all other readers out.
    """
    import duckdb

    # DuckDB makes the file itself; an empty one is none of its own to it.
    path.unlink()
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(path))} as made (storage_version {literal(STORAGE_VERSION)})")
        connection.execute("use made")
        # Each statement by itself would wait for the disk.
        connection.execute("begin")
        for statement in statements(catalog, locate):
            connection.execute(statement)
        connection.execute("commit")
    os.chmod(path, 0o444)


def statements(catalog: Catalog, locate: Locate) -> Iterator[str]:
    """Yield the SQL that makes a database of a version."""
    for schema in MART_SCHEMAS:
        yield f"create schema if not exists {schema}"
    for _, model in sorted(catalog.models.items()):
        yield f"create or replace view {model.model.table} as {_query(model, locate)}"
        yield from _comments("view", model.model.table, model.model.description, model.model.columns)
    yield version_table(catalog)
    yield from _comments("table", VERSION_TABLE, VERSION_DESCRIPTION, VERSION_COLUMNS)


def _query(published: Published, locate: Locate) -> str:
    model = published.model
    files = [part.file for _, part in sorted(published.parts.items()) if part.file]
    if not files:
        return empty_query(model)
    listed = ", ".join(literal(locate(file)) for file in files)
    # The period in the path lets a filter on it skip files unopened; DATE is stated, not guessed from the text.
    cut = f"true, hive_types = {{'{model.period}': DATE}}" if model.period else "false"
    columns = ", ".join(column.name for column in model.columns)
    return f"select {columns} from read_parquet([{listed}], hive_partitioning = {cut})"


def empty_query(model: Model) -> str:
    """Return a query without rows that has the columns of a model."""
    columns = ", ".join(f"cast(null as {column.type}) as {column.name}" for column in model.columns)
    return f"select {columns} where false"


def _comments(kind: str, table: str, description: str, columns: tuple[Column, ...]) -> Iterator[str]:
    yield f"comment on {kind} {table} is {literal(description)}"
    for column in columns:
        yield f"comment on column {table}.{column.name} is {literal(column.description)}"


def version_table(catalog: Catalog) -> str:
    """Return the statement that makes the table which says what is published."""
    names = ", ".join(column.name for column in VERSION_COLUMNS)
    typed = ", ".join(f"cast({column.name} as {column.type}) as {column.name}" for column in VERSION_COLUMNS)
    rows = ", ".join(f"({', '.join(map(literal, row))})" for row in version_rows(catalog))
    return f"create or replace table {VERSION_TABLE} as select {typed} from (values {rows}) as listed({names})"


def version_rows(catalog: Catalog) -> list[tuple[str | int | datetime | None, ...]]:
    """Return the rows of the table that says what is published."""
    rows = []
    for name, model in sorted(catalog.models.items()):
        cut = model.model.period
        periods = sorted(model.parts)
        span = (periods[0], periods[-1]) if cut and periods else (None, None)
        moment = datetime.fromisoformat(catalog.published_at)
        rows.append((catalog.version, moment, name, cut, *span, len(periods), model.rows, model.bytes, model.digest))
    return rows


def literal(value: str | int | datetime | None) -> str:
    """Return a value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
