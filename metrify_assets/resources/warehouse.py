"""The warehouse: a DuckDB file that dbt builds the marts in.

Belongs here: opening the file safely (one writer at a time, always closed), telling dbt which files and days to
read, and row counts. Does not belong here: the models (``metrify_dbt/``) and which days are dirty (``tables/``).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.errors import WarehouseError

if TYPE_CHECKING:
    import duckdb

META_SCHEMA = "metrify"


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
        except duckdb.IOException as error:
            if "lock" in str(error):
                raise WarehouseError(
                    f"{self.path} is open in another process: close it (a notebook, a DuckDB shell, a running job) "
                    "and try again"
                ) from error
            raise WarehouseError(f"{self.path} cannot be opened: {str(error).splitlines()[0]}") from error
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

    def announce(self, files: Sequence[tuple[str, date | None, str]], days: Sequence[date]) -> None:
        """Write what dbt is to read: the current files of the lake (table, day, path), and the days to rebuild."""
        import pyarrow as pa

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
            connection.execute("begin")
            connection.execute(f"create or replace table {META_SCHEMA}.lake_files as select * from listed")
            connection.execute(f"create or replace table {META_SCHEMA}.requested_days as select * from requested")
            connection.execute("commit")

    def row_counts(self, tables: Mapping[str, str]) -> dict[str, int]:
        """Return the rows of tables, given as name -> qualified name."""
        with self.connect(read_only=True) as connection:
            return {
                name: connection.execute(f"select count(*) from {qualified}").fetchall()[0][0]
                for name, qualified in tables.items()
            }

    def row_counts_by_day(self, qualified: str, days: Sequence[date], *, by_month: bool = False) -> dict[date, int]:
        """Return the rows of each of some days of a table; of a table by month those of each day's month."""
        periods = {day: day.replace(day=1) if by_month else day for day in days}
        column = "month" if by_month else "day"
        with self.connect(read_only=True) as connection:
            query = f"select {column}, count(*) from {qualified} where list_contains(?, {column}) group by {column}"
            found = dict(connection.execute(query, [sorted(set(periods.values()))]).fetchall())
        return {day: found.get(period, 0) for day, period in periods.items()}
