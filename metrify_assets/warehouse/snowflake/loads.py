"""Loads of the lake into Snowflake: afterwards RAW holds what the lake holds, day by day.

Belongs here: which days have to be loaded, and the one transaction that replaces a day together with the note of its
digest. Does not belong here: the text of the statements (``statements.py``).

A day is replaced whole or not at all, whatever happens in between: files are uploaded to a path below the day's digest
first (nobody reads it), then delete, COPY and the note are one transaction. A day whose note says the current digest is
left alone, so running again costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metrify_assets.digest import digest_of
from metrify_assets.errors import WarehouseError
from metrify_assets.schemas.table import Table
from metrify_assets.warehouse.snowflake import statements
from metrify_assets.warehouse.snowflake.session import Session
from metrify_assets.warehouse.warehouse import LakePart, LocalCopies


def prepare_schema(session: Session, tables: Mapping[str, Table]) -> None:
    """Make what the loads need where it is missing, and give the tables the columns that the lake has got since.

    Nothing is asked for that is there already: the loader's role may not make the schema.
    """
    columns_of: dict[str, set[str]] = {}
    for table, column in session.run(statements.columns_of_tables()):
        columns_of.setdefault(table, set()).add(column)
    if not columns_of:
        if not session.run(statements.find_schema()):
            session.run(statements.create_schema())
        session.run(statements.create_stage())
    for table, statement in statements.create_bookkeeping().items():
        if table not in columns_of:
            session.run(statement)
    for table in tables.values():
        if table.name not in columns_of:
            session.run(statements.create_table(table))
            continue
        for column in table.columns:
            if column.name not in columns_of[table.name]:
                session.run(statements.add_column(table, column.name))


def load_parts(
    session: Session, tables: Mapping[str, Table], parts: Iterable[LakePart], local_copies: LocalCopies, run: str
) -> list[LakePart]:
    """Make RAW hold exactly these parts of the lake; return those that were loaded or removed.

    Raises
    ------
    WarehouseError
        If a load brought other rows than the lake holds; that day stays as it was, those before it are loaded.
    """
    held = {(table, day): digest for table, day, digest in session.run(statements.loads())}
    wanted = {(part.table, part.day): part for part in parts}
    gone = [LakePart(table, day, "", (), 0) for table, day in held if (table, day) not in wanted]
    stale = [part for key, part in wanted.items() if held.get(key) != load_digest(part, tables[part.table])]
    for part in [*gone, *stale]:
        replace_part(session, tables[part.table], part, local_copies, run)
    return [*gone, *stale]


def load_digest(part: LakePart, table: Table) -> str:
    """Return the digest of what RAW should hold for a part: its content, in these columns."""
    columns = ((column.name, statements.column_type(column.type)) for column in table.columns)
    return digest_of(part.digest, *columns)


def replace_part(session: Session, table: Table, part: LakePart, local_copies: LocalCopies, run: str) -> None:
    """Replace a day of a table, or a whole table without days; a part without digest is removed."""
    digest = load_digest(part, table)
    path = statements.stage_path(table.name, part.day, digest)
    for file in local_copies(part.files):
        session.run(statements.put(str(file), path))
    with session.transaction():
        session.run(statements.delete_part(table.name, part.day))
        loaded = session.loaded(statements.copy_into(table.name, path)) if part.files else 0
        if loaded != part.rows:
            raise WarehouseError(
                f"{table.name} {part.day or ''}: {loaded} of {part.rows} rows were loaded, nothing was changed: "
                "compute the day again"
            )
        session.run(statements.delete_load(table.name, part.day))
        if part.digest:
            session.run(statements.insert_load(table.name, part.day, digest, loaded, run))
