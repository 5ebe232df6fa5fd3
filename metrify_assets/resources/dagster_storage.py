"""Dagster's SQLite storage, with an event log that keeps its connections, and a lock that a living daemon holds.

Belongs here: two overrides of Dagster's own storage, named in ``dagster.yaml``. Dagster opens and closes a new engine
for every event, which recompiles each statement and checkpoints the write-ahead log each time; a range of days writes
thousands of events, and this was most of a run's time (measured in ``benchmarks/``). And a daemon's last heartbeat
looks alive for a minute after its death; a lock does not. Does not belong here: anything that changes what is stored.
"""

from __future__ import annotations

import fcntl
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TextIO

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._daemon.types import DaemonHeartbeat
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_SECONDS = 60
DAEMON_LOCK = "daemon.lock"
STORAGE_LOCK = "storage.lock"
KEPT_ENGINES = 8
"""Run logs whose connections are kept; the index of all runs is one more."""


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """``SqliteEventLogStorage`` that keeps one engine per database file.

    Commits go to the write-ahead log without waiting for the disk (``synchronous=NORMAL``): after a power cut the
    last events may be missing, the database stays whole. The data themselves do not depend on the event log.
    """

    _engines: OrderedDict[str, Engine]
    _found: set[str] | None = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        if not hasattr(self, "_engines"):
            self._engines = OrderedDict()
        if shard in self._engines:
            self._engines.move_to_end(shard)
            return self._engines[shard]
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=8,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _relax(connection: object, _record: object) -> None:
            connection.execute("PRAGMA synchronous=NORMAL")

        self._engines[shard] = engine
        while len(self._engines) > KEPT_ENGINES:
            _, oldest = self._engines.popitem(last=False)
            oldest.dispose()
        return engine

    def has_table(self, table_name: str) -> bool:
        """Tell whether a table exists; asked for every event, so what was found is remembered: no table ever leaves."""
        above = super().has_table
        return self._once(table_name, lambda: above(table_name))

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        above = super()._has_asset_key_col_on_connection
        return self._once(f"asset_keys.{column_name}", lambda: above(conn, column_name))

    def _once(self, name: str, look: Callable[[], bool]) -> bool:
        """Look for a part of the database schema until it was found."""
        if self._found is None:
            self._found = set()
        if name not in self._found and look():
            self._found.add(name)
        return name in self._found

    def delete_events(self, run_id: str) -> None:
        """Remove a run's events, and let go of its file."""
        super().delete_events(run_id)
        engine = self._engines.pop(run_id, None) if hasattr(self, "_engines") else None
        if engine is not None:
            engine.dispose()


@cache
def _hold_daemon_lock(base_dir: Path) -> TextIO:
    """Hold the lock of daemons until this process ends. They share it: Dagster itself complains about a second one."""
    lock = (base_dir / DAEMON_LOCK).open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def daemon_holds(base_dir: Path) -> bool:
    """Return whether a daemon that has sent a heartbeat to this storage is still there."""
    with open(base_dir / DAEMON_LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class LockingSqliteRunStorage(SqliteRunStorage):
    """``SqliteRunStorage`` that holds a lock in every process that sends heartbeats: in daemons.

    Parameters
    ----------
    conn_string : str
    base_dir : Path
        Folder of the lock.
    """

    def __init__(self, conn_string: str, base_dir: Path):
        super().__init__(conn_string)
        self._base_dir = base_dir

    def add_daemon_heartbeat(self, daemon_heartbeat: DaemonHeartbeat) -> None:
        """Store a heartbeat, and show from now on that this process lives."""
        _hold_daemon_lock(self._base_dir)
        super().add_daemon_heartbeat(daemon_heartbeat)


class PooledSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage with the event log and the runs above."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        # Two processes that make the same tables at once: one of them would fail.
        with open(Path(base_dir) / STORAGE_LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().__init__(base_dir, inst_data)
        # The folder stays the one that Dagster chose: both classes read the same files.
        self._event_log_storage = PooledSqliteEventLogStorage(self._event_log_storage._base_dir)
        self._run_storage = LockingSqliteRunStorage(self._run_storage._conn_string, Path(base_dir))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: SqliteStorageConfig
    ) -> PooledSqliteStorage:
        """Make the storage that ``dagster.yaml`` describes."""
        return cls.from_local(inst_data=inst_data, **config_value)
