"""Dagster's SQLite storage: an event log that keeps connections and stays small, and a lock of living daemons.

Belongs here: two overrides of Dagster's own storage, named in ``dagster.yaml``. Dagster opens and closes a new engine
for every event, which recompiles each statement and checkpoints the write-ahead log each time; a range of days writes
thousands of events, and this was most of a run's time (measured in ``benchmarks/``). It also stores each event of an
asset two or three times, as JSON, and keeps what was planned for ever. Here events are packed, and what nobody reads
any more leaves the index when its run ends. And a daemon's last heartbeat looks alive for a minute after its death; a
lock does not. Does not belong here: anything that changes what the UI shows.

The event log stands on private members of Dagster. On a version that it was not tested with, and where
``METRIFY_EVENT_LOG=stock`` says so, Dagster's own event log stores new events; packed ones stay readable.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import dagster
from dagster import DagsterEventType, Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._daemon.types import DaemonHeartbeat
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, delete, event, text
from sqlalchemy.pool import QueuePool

from metrify_assets.errors import HistoryError
from metrify_assets.orchestration.disk import full_disk, is_full
from metrify_assets.orchestration.event_packing import PackedText
from metrify_assets.settings import EventLog, Settings

TESTED_VERSIONS = frozenset({"1.13.27"})
"""Versions of Dagster on which the tests of this event log have passed."""
SETTING = "METRIFY_EVENT_LOG"
WARNED = "METRIFY_EVENT_LOG_WARNED"
"""Version that this process, or the one that started it, has warned of."""
ENDS = {DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED}
PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
EVENTS_OF_CHECKS = (
    DagsterEventType.ASSET_CHECK_EVALUATION.value,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
)
"""Events of checks: the index has them in the table of check executions as well, where they are looked up."""
EARLIER_PLANS = text(
    """
    delete from event_logs
    where id in (
        select earlier.id
        from event_logs as own
        join event_logs as earlier
            on earlier.asset_key = own.asset_key
            and earlier.dagster_event_type = own.dagster_event_type
            and earlier.partition is own.partition
            and earlier.id < own.id
        where own.run_id = :run_id and own.dagster_event_type = :planned
    )
    """
)
"""Of the plans for an asset and partition only the latest is ever asked for."""
RUN_PAGE_BYTES = 1_024
"""Page of a run's file: a quarter of the default, because most of its tables stay empty and take a page each."""
UNUSED_INDEXES = ("idx_events_by_asset", "idx_events_by_asset_partition", "idx_event_type", "idx_step_key")
"""Indexes of the events that a run's file does without: it is asked for its one run."""
CHECKPOINT_SECONDS = 1
BUSY_TIMEOUT_SECONDS = 60
DAEMON_LOCK = "daemon.lock"
STORAGE_LOCK = "storage.lock"
KEPT_ENGINES = 8
"""Run logs whose connections are kept; the index of all runs is one more."""


_LOGGER = logging.getLogger(__name__)


@event.listens_for(Engine, "handle_error")
def _name_a_full_disk(context: ExceptionContext) -> None:
    """Raise an error that says what to do where SQLite only says "disk I/O error", its word for a full disk as well."""
    trouble = context.original_exception
    if isinstance(trouble, sqlite3.OperationalError) and context.engine is not None:
        folder = Path(context.engine.url.database or ".").parent
        if trouble.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) and is_full(folder):
            raise HistoryError(full_disk(folder)) from trouble


def packs_events() -> bool:
    """Return whether new events are packed: unless the setting or the version of Dagster is against it."""
    # This setting alone: a process that only shows the history needs none of the others.
    if Settings.from_env({SETTING: os.environ.get(SETTING, "")}).event_log is EventLog.STOCK:
        return False
    if dagster.__version__ in TESTED_VERSIONS:
        return True
    if os.environ.get(WARNED) != dagster.__version__:
        os.environ[WARNED] = dagster.__version__
        _LOGGER.warning(
            f"Metrify's event log was not tested with Dagster {dagster.__version__}: Dagster's own stores new events, "
            f"older ones stay readable. Install {', '.join(sorted(TESTED_VERSIONS))}, or set {SETTING}=stock"
        )
    return False


def set_event_columns(*, packs: bool) -> None:
    """Let this process read packed events, and pack those that it writes or not.

    The tables are the process's own: whatever reads or writes an event goes through these columns.
    """
    SqlEventLogStorageTable.c.event.type = PackedText(packs)
    AssetCheckExecutionsTable.c.evaluation_event.type = PackedText(packs)


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
                is_new = not os.path.exists(self.path_for_shard(shard))
                self._initdb(engine)
                if is_new and shard != INDEX_SHARD_NAME:
                    _drop_indexes(engine)
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
        def _relax(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA synchronous=NORMAL")
            if shard != INDEX_SHARD_NAME:
                # Holds for a file that is about to be made.
                connection.execute(f"PRAGMA page_size={RUN_PAGE_BYTES}")

        self._engines[shard] = engine
        while len(self._engines) > KEPT_ENGINES:
            _, oldest = self._engines.popitem(last=False)
            oldest.dispose()
        return engine

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists; asked for every event, so the answer is remembered: no table ever leaves."""
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

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; the last one of a run ends what was only of use while it ran."""
        super().store_event(event)
        kind = event.dagster_event.event_type if event.dagster_event is not None else None
        if kind in ENDS:
            self._tidy(event.run_id)

    def _tidy(self, run_id: str) -> None:
        """Remove a run's events of checks from the index, and earlier plans of what it had planned; cut the logs.

        The latest plan of an asset and partition stays: the UI reads which run was the last to try. The files of the
        runs keep everything.
        """
        events = SqlEventLogStorageTable.c
        with self.index_connection() as connection:
            connection.execute(
                delete(SqlEventLogStorageTable).where(
                    events.run_id == run_id, events.dagster_event_type.in_(EVENTS_OF_CHECKS)
                )
            )
            connection.execute(EARLIER_PLANS, {"run_id": run_id, "planned": PLANNED})
        self._close(run_id)
        for shard in (run_id, INDEX_SHARD_NAME):
            # A process that is killed, or ends with its connections open, would leave 4 MB of each.
            with closing(sqlite3.connect(self.path_for_shard(shard), timeout=CHECKPOINT_SECONDS)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def remove_run_logs(self, before: float) -> int:
        """Remove the files of runs that were last written before an instant (seconds since 1970); return how many.

        The history of assets and checks is in the index and stays, and so do the runs.
        """
        old = [run_id for run_id in self.get_all_run_ids() if os.path.getmtime(self.path_for_shard(run_id)) < before]
        for run_id in old:
            self._let_go(run_id)
            for ending in ("", "-wal", "-shm"):
                Path(f"{self.path_for_shard(run_id)}{ending}").unlink(missing_ok=True)
        return len(old)

    def delete_events(self, run_id: str) -> None:
        """Remove a run's events, and let go of its file."""
        super().delete_events(run_id)
        self._let_go(run_id)

    def _let_go(self, run_id: str) -> None:
        self._close(run_id)
        self._initialized_dbs.discard(run_id)

    def _close(self, run_id: str) -> None:
        engine = self._engines.pop(run_id, None) if hasattr(self, "_engines") else None
        if engine is not None:
            engine.dispose()


def _drop_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        for name in UNUSED_INDEXES:
            connection.execute(text(f"drop index if exists {name}"))


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
    """Dagster's SQLite storage with the runs and, where events are packed, the event log above."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        # Two processes that make the same tables at once: one of them would fail.
        with open(Path(base_dir) / STORAGE_LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().__init__(base_dir, inst_data)
        packs = packs_events()
        set_event_columns(packs=packs)
        if packs:
            # The folder stays the one that Dagster chose: both classes read the same files.
            self._event_log_storage = PooledSqliteEventLogStorage(self._event_log_storage._base_dir)
        self._run_storage = LockingSqliteRunStorage(self._run_storage._conn_string, Path(base_dir))

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return what ``dagster.yaml`` may say: another folder than Dagster's home."""
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledSqliteStorage:
        """Make the storage that ``dagster.yaml`` describes.

        Tools such as ``dg`` read that file without a home: then it is that of the installation.
        """
        home = os.environ.get("DAGSTER_HOME") or os.fspath(Settings.from_env().dagster_home)
        base_dir = config_value.get("base_dir", home)
        Path(base_dir).mkdir(parents=True, exist_ok=True)
        return cls.from_local(inst_data=inst_data, base_dir=base_dir)
