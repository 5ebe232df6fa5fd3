"""The warehouse that dbt builds the marts in: what the platform asks of it, and the DuckDB file that is the default.

Belongs here: opening the file safely (one writer at a time, always closed), passing to dbt which files and days to
read, and row counts. Does not belong here: the models (``metrify_dbt/``), which days are dirty (``days/``), and
Snowflake (``snowflake/``).
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from metrify_assets.errors import WarehouseError
from metrify_assets.schemas.warehouse import WAREHOUSE_TABLES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

META_SCHEMA = "metrify"
BATCH_ROWS = 122_880
"""Rows that are handed on at once: a row group."""

Ask = Callable[[str], "Iterator[pa.Table]"]
"""From a query to its rows, in order, as tables that fit into memory; instants are UTC."""

LocalCopies = Callable[[Sequence[str]], Sequence[Path | str]]
"""From keys of the object store to local files with their bytes."""


@dataclass(frozen=True)
class LakePart:
    """What the lake holds of a table now: one of its days, or all of a table without days.

    Attributes
    ----------
    table : str
    day : date or None
    digest : str
        Digest of the content.
    files : tuple of str
        Keys of the Parquet files in the object store.
    rows : int
    """

    table: str
    day: date | None
    digest: str
    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Relation:
    """A table or view, and how its rows are counted.

    Attributes
    ----------
    qualified : str
        Name with its schema.
    period : str or None
        Date column that its rows belong to, ``day`` or ``month``, if they are counted by it.
    whole : bool
        Whether the rows of all days are counted, too.
    """

    qualified: str
    period: str | None = None
    whole: bool = True


@dataclass(frozen=True)
class RowCounts:
    """Rows of a relation: in all (None if that was not counted), and by day; by month those of each day's month."""

    total: int | None
    by_day: dict[date, int]


class Warehouse(Protocol):
    """What the platform asks of a warehouse."""

    @property
    def identity(self) -> str:
        """Name of the database: what was built in another one is not here."""
        ...

    @property
    def exists(self) -> bool:
        """Whether it was ever written to."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the warehouse for one run; another one waits until it is free."""
        ...

    def check_exclusive(self) -> None:
        """Raise ``WarehouseError`` if another run may have written since ``exclusive`` began."""
        ...

    def label(self, run: str, days: Sequence[date]) -> dict[str, str]:
        """Name the run and its days to the warehouse; return the environment that dbt needs for the same."""
        ...

    def mark(self) -> str | None:
        """Return what the last run left: a copy from before it, or one made anew, has another mark or none."""
        ...

    def prepare_build(
        self, parts: Sequence[LakePart], days: Sequence[date], local_copies: LocalCopies, mark: str
    ) -> None:
        """Make the lake readable to dbt as it is now, say which days to build, and leave the mark of this run."""
        ...

    def row_counts(self, tables: Mapping[str, str]) -> dict[str, int]:
        """Return the rows of tables, given as name -> qualified name."""
        ...

    def count_rows(self, relations: Mapping[str, Relation], days: Sequence[date]) -> dict[str, RowCounts]:
        """Return the rows of relations, given by name, in one session."""
        ...

    def drop(self, tables: Sequence[str]) -> None:
        """Drop those of some tables that exist."""
        ...

    def tables_in(self, schemas: Sequence[str]) -> dict[str, str]:
        """Return the tables and views of schemas, as name -> qualified name."""
        ...

    def reading(self) -> AbstractContextManager[Ask]:
        """Yield what runs queries, one after the other, in one session."""
        ...


def counted(run: Callable[[str], Sequence[tuple[Any, ...]]], relation: Relation, days: Sequence[date]) -> RowCounts:
    """Return the rows of a relation by statements that every engine knows.

    Days are written into the statement: a filter on literals leaves the files of all other days unopened.
    """
    total = int(run(f"select count(*) from {relation.qualified}")[0][0]) if relation.whole else None
    if relation.period is None:
        return RowCounts(total, {})
    periods = {day: day.replace(day=1) if relation.period == "month" else day for day in days}
    counts: dict[date, int] = {}
    if periods:
        listed = ", ".join(f"cast('{period}' as date)" for period in sorted(set(periods.values())))
        column = relation.period
        statement = (
            f"select {column}, count(*) from {relation.qualified} where {column} in ({listed}) group by {column}"
        )
        counts = {period: int(rows) for period, rows in run(statement)}
    return RowCounts(total, {day: counts.get(period, 0) for day, period in periods.items()})


def schemas_of(tables: Iterable[str]) -> list[str]:
    """Return the schemas of qualified names."""
    return sorted({table.split(".")[0] for table in tables})


_DAMAGED = re.compile("not a valid DuckDB|Corrupt|Could not read enough|version number|newer version|older version")
"""What DuckDB says of the content of a file; all else that it cannot read is the system's fault."""


class DuckDBWarehouse:
    """A DuckDB file.

    Parameters
    ----------
    path : Path
        The file; it is made when first opened.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def identity(self) -> str:
        """Name of the database. A file that was moved or copied is still the same one: its mark says so."""
        return "duckdb"

    @property
    def exists(self) -> bool:
        """Whether the file has been made."""
        return self.path.exists()

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection that is closed in any case.

        Raises
        ------
        WarehouseError
            If another process has the file open, or it is no DuckDB file.
        """
        import duckdb

        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(str(self.path), read_only=read_only)
        except duckdb.ConnectionException as error:
            raise WarehouseError(f"{self.path} is open in this process in another mode: close it first") from error
        except duckdb.Error as error:
            problem = str(error).splitlines()[0]
            is_of_the_system = isinstance(error, duckdb.IOException) and not _DAMAGED.search(problem)
            if is_of_the_system and "lock" in problem:
                raise WarehouseError(
                    f"{self.path} is open in another process: close it (a notebook, a DuckDB shell, a running job) "
                    "and try again"
                ) from error
            if is_of_the_system:
                raise WarehouseError(f"{self.path} cannot be opened: {problem}") from error
            raise WarehouseError(
                f"{self.path} cannot be opened, it is no DuckDB file that this version reads ({problem}): delete it, "
                "and the marts are built again by themselves, or by `metrify recompute FIRST LAST`"
            ) from error
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the warehouse for one run; another one (of another process, too) waits until it is free."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def check_exclusive(self) -> None:
        """Do nothing: the lock of a file is held until it is given back."""

    def label(self, run: str, days: Sequence[date]) -> dict[str, str]:
        """Do nothing: a file has one user and no bill."""
        return {}

    def mark(self) -> str | None:
        """Return what the last run left."""
        import duckdb

        if not self.exists:
            return None
        with self.connect(read_only=True) as connection:
            try:
                mark: str | None = connection.execute(f"select mark from {META_SCHEMA}.mark").fetchall()[0][0]
                return mark
            except duckdb.CatalogException:
                # A file that no run has written.
                return None

    def prepare_build(
        self, parts: Sequence[LakePart], days: Sequence[date], local_copies: LocalCopies, mark: str
    ) -> None:
        """Write what dbt is to read: the current files of the lake (table, day, path), and the days to rebuild."""
        import pyarrow as pa

        keys = [key for part in parts for key in part.files]
        owners = [(part.table, part.day) for part in parts for _ in part.files]
        files = [(*owner, str(path)) for owner, path in zip(owners, local_copies(keys), strict=True)]

        listed = pa.table(
            {
                "table_name": pa.array([table for table, _, _ in files], pa.string()),
                "day": pa.array([day for _, day, _ in files], pa.date32()),
                "path": pa.array([path for _, _, path in files], pa.string()),
            }
        )
        requested = pa.table({"day": pa.array(list(days), pa.date32())})
        with self.connect() as connection:
            connection.register("listed", listed)
            connection.register("requested", requested)
            connection.execute(f"create schema if not exists {META_SCHEMA}")
            connection.register("stored", _stored_columns(connection, files))
            connection.execute("begin")
            connection.execute(f"create or replace table {META_SCHEMA}.lake_files as select * from listed")
            connection.execute(f"create or replace table {META_SCHEMA}.stored_columns as select * from stored")
            connection.execute(f"create or replace table {META_SCHEMA}.requested_days as select * from requested")
            connection.execute(f"create or replace table {META_SCHEMA}.mark as select ? as mark", [mark])
            connection.execute("commit")

    def row_counts(self, tables: Mapping[str, str]) -> dict[str, int]:
        """Return the rows of tables, given as name -> qualified name."""
        with self.connect(read_only=True) as connection:
            return {
                name: connection.execute(f"select count(*) from {qualified}").fetchall()[0][0]
                for name, qualified in tables.items()
            }

    def count_rows(self, relations: Mapping[str, Relation], days: Sequence[date]) -> dict[str, RowCounts]:
        """Return the rows of relations, given by name, in one session."""
        if not relations:
            return {}
        with self.connect(read_only=True) as connection:

            def run(statement: str) -> list[tuple[Any, ...]]:
                return connection.execute(statement).fetchall()

            return {name: counted(run, relation, days) for name, relation in relations.items()}

    def drop(self, tables: Sequence[str]) -> None:
        """Drop those of some tables that exist."""
        if not self.exists:
            return
        held = self.tables_in(schemas_of(tables)).values()
        with self.connect() as connection:
            for table in sorted(set(held).intersection(tables)):
                connection.execute(f"drop table {table}")

    def tables_in(self, schemas: Sequence[str]) -> dict[str, str]:
        """Return the tables and views of schemas, as name -> qualified name."""
        with self.connect(read_only=True) as connection:
            names = connection.execute(
                "select table_schema, table_name from information_schema.tables "
                "where list_contains(?, table_schema) order by all",
                [list(schemas)],
            ).fetchall()
        return {name: f"{schema}.{name}" for schema, name in names}

    @contextmanager
    def reading(self) -> Iterator[Ask]:
        """Yield what runs queries, one after the other, on one connection."""
        import pyarrow as pa

        with self.connect(read_only=True) as connection, ExitStack() as answers:
            connection.execute("set TimeZone = 'UTC'")

            def ask(query: str) -> Iterator[pa.Table]:
                reader = connection.sql(query).to_arrow_reader(BATCH_ROWS)
                # An answer that was not read to its end keeps the file open, and the next connection waits for ever.
                answers.callback(reader.close)
                for batch in reader:
                    yield pa.Table.from_batches([batch])

            yield ask


def _stored_columns(connection: duckdb.DuckDBPyConnection, files: Sequence[tuple[str, date | None, str]]) -> pa.Table:
    """Return of each file (table, day, path) whether it lacks a column of its table: path, lacks_columns.

    Files are named by their content: what an earlier run found of a path still holds, and its file is not opened.
    """
    import duckdb
    import pyarrow as pa

    try:
        seen = dict(connection.execute(f"select path, lacks_columns from {META_SCHEMA}.stored_columns").fetchall())
    except duckdb.CatalogException:
        seen = {}
    lacking = [seen[path] if path in seen else _lacks_columns(table, path) for table, _, path in files]
    return pa.table(
        {
            "path": pa.array([path for _, _, path in files], pa.string()),
            "lacks_columns": pa.array(lacking, pa.bool_()),
        }
    )


def _lacks_columns(table: str, path: str) -> bool:
    """Return whether a file was stored before a column of its table was."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return not set(WAREHOUSE_TABLES[table].arrow.names) <= set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid):
        # A damaged file is named by whoever reads its rows, if anybody does.
        return False
