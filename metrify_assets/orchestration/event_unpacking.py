"""A packed history written back as the text that Dagster's own storage reads.

Belongs here: the files of Dagster's SQLite event log, by plain SQLite: it works whatever version of Dagster is
installed. Does not belong here: how an event is packed (``event_packing.py``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from metrify_assets.errors import RunError
from metrify_assets.orchestration.event_packing import unpack

EVENT_COLUMNS = {"event_logs": "event", "asset_check_executions": "evaluation_event"}
"""Columns of Dagster's tables that may be packed."""
INDEX = "index.db"
"""File of all runs; each other file holds the events of one run."""
BUSY_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes
    ----------
    files, events : int
        Files looked at, and values that were packed in them.
    """

    files: int
    events: int


def unpack_history(folder: Path) -> Unpacked:
    """Unpack every event in a folder of event logs; what is text stays as it is.

    Each file changes as a whole or not at all: a call that was interrupted is made again.

    Raises
    ------
    RunError
        If a file is damaged.
    """
    index = folder / INDEX
    indexes = _indexes(index) if index.exists() else {}
    files = sorted(folder.glob("*.db"))
    return Unpacked(len(files), sum(_unpack_file(path, indexes) for path in files))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise RunError(
            f"{path} cannot be unpacked ({error}): put it back from a backup, or delete the file of a run to give up "
            "its log, and try again"
        ) from error


def _unpack_file(path: Path, indexes: dict[str, str]) -> int:
    """Unpack the events of one file, give it Dagster's indexes; return how many events were packed."""
    times = path.stat()
    changed = 0
    with _opened(path) as connection:
        connection.create_function("unpack_event", 1, unpack, deterministic=True)
        connection.execute("begin immediate")
        tables = _names(connection, "table")
        for table, column in EVENT_COLUMNS.items():
            if table in tables:
                changed += connection.execute(
                    f"update {table} set {column} = unpack_event({column}) where typeof({column}) = 'blob'"
                ).rowcount
        if "event_logs" in tables:
            for name in indexes.keys() - _names(connection, "index"):
                connection.execute(indexes[name])
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)")
    # The age of a run's log is that of its file.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return changed


def _names(connection: sqlite3.Connection, kind: str) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_master where type = ?", [kind])}


def _indexes(path: Path) -> dict[str, str]:
    """Return the statements that make Dagster's indexes of events, as the file of all runs has them."""
    with _opened(path) as connection:
        return dict(
            connection.execute(
                "select name, sql from sqlite_master where type = 'index' and tbl_name = 'event_logs' "
                "and sql is not null"
            )
        )
