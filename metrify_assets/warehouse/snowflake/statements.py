"""The text of every statement that loads the lake into Snowflake, and of those that only Snowflake understands.

Belongs here: pure functions from names to SQL. Does not belong here: when they run (``loads.py``, ``lease.py``).

Everything lies in the schema RAW: one table per table of the lake, ``loads`` with the digest of what each of them
holds, ``requested_days`` for dbt, ``lease`` for the one run that may write, ``mark`` of the last run, and the stage
``lake``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import pyarrow as pa

from metrify_assets.schemas.table import Table

SCHEMA = "raw"
STAGE = f"{SCHEMA}.lake"
LOADS = f"{SCHEMA}.loads"
REQUESTED_DAYS = f"{SCHEMA}.requested_days"
LEASE = f"{SCHEMA}.lease"
MARK = f"{SCHEMA}.mark"


def literal(value: str | int | date | None) -> str:
    """Return a value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, date):
        return f"'{value.isoformat()}'::date"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def column_type(type_: pa.DataType) -> str:
    """Return the type that holds an Arrow type without loss.

    Instants keep their offset with them (TIMESTAMP_TZ), so that no session's time zone changes what is read.
    """
    if pa.types.is_dictionary(type_):
        return column_type(type_.value_type)
    if pa.types.is_string(type_):
        return "varchar"
    if pa.types.is_timestamp(type_):
        return "timestamp_tz"
    if pa.types.is_decimal(type_):
        return f"number({type_.precision}, {type_.scale})"
    if pa.types.is_integer(type_):
        return "bigint"
    if pa.types.is_floating(type_):
        return "double"
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_date(type_):
        return "date"
    raise TypeError(f"no column type for {type_}")


def create_schema() -> str:
    """Return what makes the schema where there is none."""
    return f"create schema if not exists {SCHEMA}"


def find_schema() -> str:
    """Return the query for the schema: one row if it is there."""
    return f"select schema_name from information_schema.schemata where schema_name = {literal(SCHEMA.upper())}"


def create_stage() -> str:
    """Return what makes the stage for files on their way."""
    return f"create stage if not exists {STAGE}"


def create_table(table: Table) -> str:
    """Return what makes the table of a table of the lake.

    Transient: what it holds can be loaded again at any time, so nothing is paid for keeping its past. Clustered by
    day, so that a day's load and a day's models touch that day's partitions only.
    """
    columns = ", ".join(f"{column.name} {column_type(column.type)}" for column in table.columns)
    clustered = " cluster by (day)" if table.by_day else ""
    return f"create transient table if not exists {SCHEMA}.{table.name} ({columns}){clustered}"


def create_bookkeeping() -> dict[str, str]:
    """Return what makes the tables beside those of the lake, by name."""
    columns = {
        LOADS: "table_name varchar, day date, digest varchar, row_count bigint, run varchar",
        REQUESTED_DAYS: "day date",
        LEASE: "holder varchar, expires_at timestamp_ntz",
        MARK: "mark varchar",
    }
    return {
        name.removeprefix(f"{SCHEMA}."): f"create transient table if not exists {name} ({listed})"
        for name, listed in columns.items()
    }


def columns_of_tables() -> str:
    """Return the query for the columns that the tables have: table, column."""
    return (
        "select lower(table_name) as table_name, lower(column_name) as column_name "
        f"from information_schema.columns where table_schema = {literal(SCHEMA.upper())}"
    )


def add_column(table: Table, name: str) -> str:
    """Return what adds a column that the lake has and the table has not."""
    column = next(column for column in table.columns if column.name == name)
    return f"alter table {SCHEMA}.{table.name} add column {name} {column_type(column.type)}"


def stage_path(table: str, day: date | None, digest: str) -> str:
    """Return where the files of a day lie on their way: below the day's digest, so that no other content can."""
    return f"@{STAGE}/{table}/{day or 'all'}/{digest}/"


def put(file: str, path: str) -> str:
    """Return what uploads a file as it is."""
    escaped = file.replace("\\", "\\\\").replace("'", "\\'")
    return f"put 'file://{escaped}' {path} auto_compress = false overwrite = true"


def copy_into(table: str, path: str) -> str:
    """Return what loads all files below a path and removes them from the stage.

    ``force``: Snowflake skips files that it has loaded before, but their rows have just been deleted.
    ``use_logical_type``: decimals, dates and UTC instants are what the file says they are.
    """
    return (
        f"copy into {SCHEMA}.{table} from {path} file_format = (type = parquet use_logical_type = true) "
        "match_by_column_name = case_insensitive on_error = abort_statement force = true purge = true"
    )


def _of_day(day: date | None) -> str:
    return "day is null" if day is None else f"day = {literal(day)}"


def delete_part(table: str, day: date | None) -> str:
    """Return what deletes a day, or all rows of a table without days."""
    return f"delete from {SCHEMA}.{table}" + ("" if day is None else f" where {_of_day(day)}")


def delete_load(table: str, day: date | None) -> str:
    """Return what removes the note of what a table holds for a day."""
    return f"delete from {LOADS} where table_name = {literal(table)} and {_of_day(day)}"


def insert_load(table: str, day: date | None, digest: str, rows: int, run: str) -> str:
    """Return what notes what a table holds for a day now."""
    values = ", ".join(literal(value) for value in (table, day, digest, rows, run))
    return f"insert into {LOADS} (table_name, day, digest, row_count, run) values ({values})"


def loads() -> str:
    """Return the query for what the tables hold: table, day, digest."""
    return f"select table_name, day, digest from {LOADS}"


def request_days(days: Iterable[date]) -> list[str]:
    """Return what replaces the days that dbt is to build."""
    statements = [f"delete from {REQUESTED_DAYS}"]
    listed = ", ".join(f"({literal(day)})" for day in days)
    if listed:
        statements.append(f"insert into {REQUESTED_DAYS} (day) values {listed}")
    return statements


def find_mark() -> str:
    """Return the query for what the last run left: one row, or none."""
    return f"select mark from {MARK}"


def leave_mark(mark: str) -> list[str]:
    """Return what replaces the mark."""
    return [f"delete from {MARK}", f"insert into {MARK} (mark) values ({literal(mark)})"]


def count_rows(qualified: str) -> str:
    """Return the query for the rows of a table."""
    return f"select count(*) from {qualified}"


def tables_in(schemas: Sequence[str]) -> str:
    """Return the query for the tables of schemas: schema, table; in lower case, as the models are written."""
    listed = ", ".join(literal(schema.upper()) for schema in schemas)
    return (
        "select lower(table_schema) as table_schema, lower(table_name) as table_name from information_schema.tables "
        f"where table_schema in ({listed}) order by 1, 2"
    )


def has_loads() -> str:
    """Return the query for whether anything was ever loaded: one row if the bookkeeping is there."""
    return (
        "select count(*) from information_schema.tables "
        f"where table_schema = {literal(SCHEMA.upper())} and table_name = 'LOADS'"
    )


def first_lease() -> str:
    """Return what makes the one row of the lease, free, if it is not there."""
    return f"insert into {LEASE} (holder, expires_at) select null, null where not exists (select 1 from {LEASE})"


def take_lease(holder: str, seconds: int) -> str:
    """Return what takes the lease if it is free or has run out."""
    return (
        f"update {LEASE} set holder = {literal(holder)}, expires_at = dateadd(second, {seconds}, sysdate()) "
        "where holder is null or expires_at < sysdate()"
    )


def renew_lease(holder: str, seconds: int) -> str:
    """Return what prolongs the lease of its holder. It may have run out, if nobody took it since."""
    return f"update {LEASE} set expires_at = dateadd(second, {seconds}, sysdate()) where holder = {literal(holder)}"


def give_back_lease(holder: str) -> str:
    """Return what frees the lease."""
    return f"update {LEASE} set holder = null, expires_at = null where holder = {literal(holder)}"
