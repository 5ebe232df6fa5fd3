"""Snowflake as the platform's warehouse.

Belongs here: what the platform asks of a warehouse, said in sessions, loads and the lease. Does not belong here: their
parts (``session.py``, ``loads.py``, ``lease.py``).
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date

from metrify_assets.schemas.table import Table
from metrify_assets.warehouse.snowflake import lease, loads, statements
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import Session, as_number, open_session
from metrify_assets.warehouse.warehouse import Ask, LakePart, LocalCopies, Relation, RowCounts, counted, schemas_of


class SnowflakeWarehouse:
    """A database in Snowflake.

    Parameters
    ----------
    access : SnowflakeAccess
    tables : mapping of str to Table
        The tables of the lake that are loaded, by name.
    """

    def __init__(self, access: SnowflakeAccess, tables: Mapping[str, Table]):
        self.access = access
        self.tables = tables
        self._tag = query_tag("metrify", [])
        self._compute = access.warehouse
        self._seen = False

    @property
    def identity(self) -> str:
        """Name of the database: what was built elsewhere is not here."""
        return self.access.identity

    @property
    def exists(self) -> bool:
        """Whether anything was ever loaded. Once it was, it is not asked again: every question costs compute."""
        if not self._seen:
            with self._as_loader() as session:
                self._seen = as_number(session.run(statements.has_loads())) > 0
        return self._seen

    def label(self, run: str, days: Sequence[date]) -> dict[str, str]:
        """Name the run in every statement that follows, and choose its compute; return what dbt needs for that."""
        self._tag = query_tag(run, days)
        self._compute = self.access.warehouse_for(len(days))
        return {"METRIFY_QUERY_TAG": self._tag, "METRIFY_SNOWFLAKE_COMPUTE": self._compute}

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the warehouse for one run; another one, on any machine, waits until it is free."""
        holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        with self._as_loader() as session:
            loads.prepare_schema(session, self.tables)
            session.run(statements.first_lease())
        with lease.held_lease(self._as_loader, holder) as self._check_lease:
            yield

    def check_exclusive(self) -> None:
        """Raise ``WarehouseError`` if another run may have written since ``exclusive`` began."""
        self._check_lease()

    def mark(self) -> str | None:
        """Return what the last run left."""
        with self._as_loader() as session:
            loads.prepare_schema(session, self.tables)
            marks = session.run(statements.find_mark())
        return marks[0][0] if marks else None

    def prepare_build(
        self, parts: Sequence[LakePart], days: Sequence[date], local_copies: LocalCopies, mark: str
    ) -> None:
        """Load what changed in the lake, pass to dbt which days to build, and leave the mark of this run."""
        with self._as_loader() as session:
            loads.prepare_schema(session, self.tables)
            loads.load_parts(session, self.tables, parts, local_copies, self._tag)
            with session.transaction():
                for statement in (*statements.request_days(days), *statements.leave_mark(mark)):
                    session.run(statement)

    def row_counts(self, tables: Mapping[str, str]) -> dict[str, int]:
        """Return the rows of tables, given as name -> qualified name."""
        with self._as_transformer() as session:
            return {name: as_number(session.run(statements.count_rows(full))) for name, full in tables.items()}

    def count_rows(self, relations: Mapping[str, Relation], days: Sequence[date]) -> dict[str, RowCounts]:
        """Return the rows of relations, given by name, in one session."""
        if not relations:
            return {}
        with self._as_transformer() as session:
            return {name: counted(session.run, relation, days) for name, relation in relations.items()}

    def drop(self, tables: Sequence[str]) -> None:
        """Drop those of some tables that exist."""
        held = self.tables_in(schemas_of(tables)).values()
        with self._as_transformer() as session:
            for table in sorted(set(held).intersection(tables)):
                session.run(f"drop table {table}")

    def tables_in(self, schemas: Sequence[str]) -> dict[str, str]:
        """Return the tables and views of schemas, as name -> qualified name."""
        with self._as_transformer() as session:
            return {name: f"{schema}.{name}" for schema, name in session.run(statements.tables_in(schemas))}

    @contextmanager
    def reading(self) -> Iterator[Ask]:
        """Yield what runs queries, one after the other, in one session."""
        with self._as_transformer() as session:
            yield session.batches

    @contextmanager
    def _as_loader(self) -> Iterator[Session]:
        with self._open(self.access.loader_role) as session:
            yield session

    @contextmanager
    def _as_transformer(self) -> Iterator[Session]:
        with self._open(self.access.transformer_role) as session:
            yield session

    def _open(self, role: str) -> AbstractContextManager[Session]:
        return open_session(self.access, role=role, warehouse=self._compute, tag=self._tag)


def query_tag(run: str, days: Sequence[date]) -> str:
    """Return the tag of a run's statements: JSON, so that cost can be added up by run and by days."""
    tag: dict[str, object] = {"app": "metrify", "run": run}
    if days:
        tag |= {"first_day": str(min(days)), "last_day": str(max(days)), "days": len(days)}
    return json.dumps(tag, separators=(",", ":"))
