"""Asking what is published: one statement that reads, and nothing else.

Belongs here: opening what is published so that a query can do no harm, and running it. Does not belong here: how an
answer is shown (``cli/query.py``).

What guards the data: the one statement must be one that reads; the file is open read-only; DuckDB reads no other file
than those published, writes none, loads no extension, and its settings are locked.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.errors import PublishError, QueryError
from metrify_assets.published.catalog import FOLDER, Catalog, read_catalog
from metrify_assets.published.consumer import FILE_KEY, consumer_key, version_table
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.warehouse.warehouse import BATCH_ROWS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from metrify_assets.platform import Platform

NOTHING = "nothing is published yet: run `metrify publish`, or build a day first with `metrify recompute DAY`"
_UNKNOWN_TABLE = re.compile(r"Table with name (\S+) does not exist")
_PUBLISHED_FILE = re.compile(rf"/{FOLDER}/\S+\.parquet")
_LOCKED = re.compile(r"Could not set lock on file(?:.* held in (.*? \(PID \d+\)))?")
_EXPLAIN_OPTIONS = frozenset({"analyze", "analyse", "format"})


def published_catalog(platform: Platform) -> Catalog:
    """Return what is published; raise ``PublishError`` that says what to run if nothing is."""
    catalog = read_catalog(platform.store)
    if catalog is None or not platform.store.exists(consumer_key(platform.settings)):
        raise PublishError(NOTHING)
    if catalog.location != platform.store.uri(FOLDER):
        raise PublishError(f"this was published as {catalog.location} and moved since: run `metrify publish`")
    return catalog


@contextmanager
def open_published(platform: Platform) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to what is published that can only read.

    It never meets a writer: the file is replaced, not written to, and who has it open keeps the version.

    Raises
    ------
    PublishError
        If nothing is published, or the file cannot be opened.
    """
    catalog = published_catalog(platform)
    local = consumer_key(platform.settings) == FILE_KEY
    file = platform.store.uri(FILE_KEY) if local else ":memory:"
    with tempfile.TemporaryDirectory(prefix="metrify-query-") as spill, _connected(file, read_only=local) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set temp_directory = '{spill}'")
        if local:
            folder = str(Path(file).parent).replace("'", "''")
            connection.execute(f"set allowed_directories = ['{folder}/']")
        else:
            _attach_datasets(connection, platform, catalog)
        connection.execute(f"set search_path = 'main,{','.join(MART_SCHEMAS)}'")
        for setting in (
            "enable_external_access",
            "python_enable_replacements",
            "autoinstall_known_extensions",
            "autoload_known_extensions",
        ):
            connection.execute(f"set {setting} = false")
        connection.execute("set lock_configuration = true")
        yield connection


def _connected(file: str, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    import duckdb

    try:
        return duckdb.connect(file, read_only=read_only)
    except duckdb.ConnectionException as error:
        raise PublishError(f"{file} is open in this process in another mode: close it first") from error
    except duckdb.Error as error:
        locked = _LOCKED.search(str(error))
        if locked:
            holder = locked[1] or "another process"
            raise PublishError(
                f"{file} is open for writing in {holder}: close it there and open it with read_only=True"
            ) from error
        reason = one_line(str(error))
        raise PublishError(f"{file} cannot be opened ({reason}): delete it and run `metrify publish`") from error


def _attach_datasets(connection: duckdb.DuckDBPyConnection, platform: Platform, catalog: Catalog) -> None:
    """Make the marts of a bucket known: PyArrow reads them, of the files and columns that a query needs."""
    from metrify_assets.platform import bucket_of
    from metrify_assets.published.datasets import dataset_of, file_system

    bucket = bucket_of(platform.settings)
    files = file_system(bucket)
    for schema in MART_SCHEMAS:
        connection.execute(f"create schema {schema}")
    for name, model in catalog.models.items():
        connection.register(model.model.name, dataset_of(bucket, files, model))
        connection.execute(f"create view {name} as select * from temp.{model.model.name}")
    connection.execute(version_table(catalog))


@contextmanager
def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.RecordBatchReader]:
    """Run one statement that reads and yield its rows, to be read as they come.

    Raises
    ------
    QueryError
        If it is no such statement, or DuckDB refuses it, which it may find out only while rows are read; one line.
    """
    import duckdb

    try:
        require_reading(sql)
        reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
        try:
            yield reader
        finally:
            # An answer that was not read to its end keeps the file open, and the next connection waits for ever.
            reader.close()
    except duckdb.Error as error:
        unknown = _UNKNOWN_TABLE.search(str(error))
        if unknown:
            raise QueryError(_unknown_mart(unknown[1], _names(connection))) from error
        damaged = _PUBLISHED_FILE.search(str(error))
        advice = ": a published file is missing or damaged, run `metrify publish --all`" if damaged else ""
        raise QueryError(one_line(str(error)) + advice) from error


def _names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    query = "select schema_name || '.' || view_name from duckdb_views() where list_contains(?, schema_name)"
    return [name for (name,) in connection.execute(query, [list(MART_SCHEMAS)]).fetchall()]


def _unknown_mart(name: str, marts: list[str]) -> str:
    bare = {mart.partition(".")[2]: mart for mart in marts}
    wanted = name.rpartition(".")[2].lower()
    alike = [mart for mart in bare if wanted in mart] or get_close_matches(wanted, bare, cutoff=0.5)
    meant = ", ".join(bare[mart] for mart in sorted(alike)[:4])
    return f"there is no mart {name}: {f'did you mean {meant}? ' if meant else ''}`metrify query` lists them"


def require_reading(sql: str) -> None:
    """Raise ``QueryError`` unless a text is one statement that reads."""
    import duckdb

    parsed = duckdb.extract_statements(sql)
    if len(parsed) != 1:
        raise QueryError(f"one statement at a time, not {len(parsed)}: give one that reads, such as select")
    kind = parsed[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        # What is explained may be run.
        require_reading(_explained(parsed[0].query))
    elif kind == duckdb.StatementType.MULTI:
        # DuckDB makes three statements of it, of which one writes; a copy of a pivot looks the same.
        raise QueryError("a pivot names its columns here: write `pivot ... on COLUMN in ('one', 'two')`")
    elif kind != duckdb.StatementType.SELECT:
        raise QueryError(
            f"the marts are only read, {kind.name.lower()} is refused: use select, describe, summarize or explain"
        )


def _explained(statement: str) -> str:
    """Return what an explain explains: what follows ``explain``, ``analyze`` and options such as ``(format json)``."""
    import duckdb

    # DuckDB returns where tokens start, in bytes. Text in quotes keeps them, so that it equals no word below.
    text = statement.encode()
    tokens = duckdb.tokenize(statement)
    ends = [start for start, _ in tokens[1:]] + [len(text)]
    spans = [(start, end) for (start, kind), end in zip(tokens, ends, strict=True) if kind != duckdb.token_type.comment]
    words = [text[start:end].decode().strip().lower() for start, end in spans]
    after = 1
    if words[1] in ("analyze", "analyse"):
        after = 2
    elif words[1] == "(" and words[2] in _EXPLAIN_OPTIONS:
        after = words.index(")") + 1
    return text[spans[after][0] :].decode() if after < len(spans) else ""


def one_line(message: str) -> str:
    """Return DuckDB's message without the excerpt of the query that follows it."""
    return " ".join(message.split("\n\nLINE ")[0].split())
