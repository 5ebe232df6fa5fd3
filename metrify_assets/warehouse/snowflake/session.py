"""Sessions with Snowflake, on its own connector.

Belongs here: opening a session with its role, compute, query tag and timeouts, running statements, and saying in one
line what went wrong. Does not belong here: which statements (``statements.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrify_assets.errors import WarehouseError
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess

if TYPE_CHECKING:
    import pyarrow as pa

LOGIN_TIMEOUT_SECONDS = 60
TAG_LENGTH = 2_000
"""Longest query tag that Snowflake takes."""


class Session:
    """One open session.

    Parameters
    ----------
    connection : snowflake.connector.SnowflakeConnection
    """

    def __init__(self, connection: Any):
        self._connection = connection

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def changed(self, statement: str) -> int:
        """Run one statement that changes rows and return how many it changed."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.rowcount or 0

    def loaded(self, statement: str) -> int:
        """Run a COPY INTO and return how many rows it loaded."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column.name.lower() for column in cursor.description]
            if "rows_loaded" not in names:
                # No file was found: the answer is one line of text.
                return 0
            position = names.index("rows_loaded")
            return sum(int(row[position]) for row in cursor.fetchall())

    def batches(self, query: str) -> Iterator[pa.Table]:
        """Run one query and yield its rows as Arrow tables, one per batch of the server's."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            for table in cursor.fetch_arrow_batches():
                yield table.rename_columns([name.lower() for name in table.column_names])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what runs inside one step: all of it is there afterwards, or none."""
        self.run("begin")
        try:
            yield
        except Exception:
            self.run("rollback")
            raise
        self.run("commit")


def session_parameters(access: SnowflakeAccess, tag: str) -> dict[str, Any]:
    """Return the parameters that a session is opened with."""
    return {
        "QUERY_TAG": tag[:TAG_LENGTH],
        # Instants come as UTC; local time is always asked for by name.
        "TIMEZONE": "UTC",
        "STATEMENT_TIMEOUT_IN_SECONDS": access.statement_timeout_seconds,
        # A session that waits for another one's lock longer than that will not get it.
        "LOCK_TIMEOUT": 300,
    }


def connection_arguments(access: SnowflakeAccess, *, role: str, warehouse: str, tag: str) -> dict[str, Any]:
    """Return the arguments that Snowflake's connector opens a session with: a role, a compute and a query tag."""
    arguments = {
        "host": access.host,
        "port": access.port,
        "protocol": access.protocol,
        "account": access.account,
        "user": access.user,
        "database": access.database,
        "role": role,
        "warehouse": warehouse,
        "login_timeout": LOGIN_TIMEOUT_SECONDS,
        "network_timeout": access.network_timeout_seconds,
        # Every statement is its own transaction unless one was begun.
        "autocommit": True,
        "session_parameters": session_parameters(access, tag),
        # Arrow tables keep decimals; as double, energies would be rounded.
        "arrow_number_to_decimal": True,
        "application": "Metrify",
    }
    if access.password:
        arguments["password"] = access.password
    else:
        arguments |= {
            "private_key_file": access.private_key_path,
            "private_key_file_pwd": access.private_key_passphrase or None,
        }
    return {name: value for name, value in arguments.items() if value is not None and value != ""}


@contextmanager
def open_session(access: SnowflakeAccess, *, role: str, warehouse: str, tag: str) -> Iterator[Session]:
    """Yield a session that is closed in any case; what it did not commit is undone.

    Raises
    ------
    WarehouseError
        If Snowflake cannot be reached, refuses the login or a statement, or the key cannot be read; one line.
    """
    from snowflake.connector import connect, errors

    check_key(access)
    try:
        with closing(connect(**connection_arguments(access, role=role, warehouse=warehouse, tag=tag))) as connection:
            yield Session(connection)
    except errors.Error as error:
        raise WarehouseError(f"Snowflake ({access.account}): {_one_line(str(error))}") from error


def check_key(access: SnowflakeAccess) -> None:
    """Raise ``WarehouseError`` if the private key cannot be read with its passphrase."""
    if access.private_key_path is None:
        return
    from cryptography.hazmat.primitives import serialization

    passphrase = access.private_key_passphrase.encode() if access.private_key_passphrase else None
    try:
        serialization.load_pem_private_key(Path(access.private_key_path).read_bytes(), passphrase)
    except (OSError, ValueError, TypeError) as error:
        raise WarehouseError(
            f"{access.private_key_path} cannot be used as private key ({_one_line(str(error))}): "
            "check SNOWFLAKE_PRIVATE_KEY_PATH and SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"
        ) from error


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()[:2])


def as_number(rows: list[tuple[Any, ...]]) -> int:
    """Return the one number of a counting query."""
    return int(rows[0][0])
