"""A server on loopback that speaks Snowflake's protocol: fakesnow's, with five faults of its own mended.

Run as ``python -m tests.integration.snowflake_server PORT`` it serves until it is killed; the fixture in
``conftest.py`` starts and stops it. What such a server proves and what it does not is in docs/snowflake.md.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from metrify_assets.settings import REPOSITORY_DIR

HOST = "127.0.0.1"
ACCOUNT = "metrifytest"
"""Account name of the test server; the dbt project's shims look for it."""


def environment(port: int, database: str) -> dict[str, str]:
    """Return the variables with which Metrify finds the server."""
    return {
        "METRIFY_WAREHOUSE_ENGINE": "snowflake",
        "SNOWFLAKE_ACCOUNT": ACCOUNT,
        "SNOWFLAKE_USER": "metrify",
        "SNOWFLAKE_PASSWORD": "any",
        "SNOWFLAKE_DATABASE": database,
        "SNOWFLAKE_WAREHOUSE": "METRIFY_DAILY",
        "SNOWFLAKE_HOST": HOST,
        "SNOWFLAKE_PORT": str(port),
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_NETWORK_TIMEOUT_SECONDS": "30",
    }


@contextlib.contextmanager
def running_server() -> Iterator[int]:
    """Run the server as a process of its own; yield its port."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__, str(port)],
        cwd=REPOSITORY_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError("the server ended: run it by hand to see why")
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


def serve(port: int) -> None:
    """Serve with the patches until the process ends."""
    import uvicorn
    from fakesnow.server import app

    _keep_null_timestamps()
    _add_up_numbers_as_numbers()
    _expand_stars_as_they_run()
    _answer_faults_once()
    _undo_at_the_end_of_a_session()
    uvicorn.run(app, host=HOST, port=port, log_level="error")


def _keep_null_timestamps() -> None:
    """A null in a column of time stamps is sent as null, not as 1970-01-01."""
    import pyarrow as pa
    from fakesnow import arrow

    send = arrow.timestamp_to_sf_struct

    def send_with_nulls(stamps: pa.Array | pa.ChunkedArray) -> pa.Array:
        stamps = stamps.combine_chunks() if isinstance(stamps, pa.ChunkedArray) else stamps
        if not stamps.null_count:
            return send(stamps)
        filled = send(stamps.fill_null(pa.scalar(0, stamps.type)))
        fields = [filled.type.field(index) for index in range(filled.type.num_fields)]
        return pa.StructArray.from_arrays(filled.flatten(), fields=fields, mask=stamps.is_null())

    arrow.timestamp_to_sf_struct = send_with_nulls


def _add_up_numbers_as_numbers() -> None:
    """A sum of decimals is a decimal; the server casts to double, for sums of text that we do not take."""
    from fakesnow import transforms

    transforms.numeric_agg_implicit_cast = lambda expression: expression


def _expand_stars_as_they_run() -> None:
    """The columns of ``create table (...) as select *`` are asked for in the SQL that runs, not in a generic one."""
    from fakesnow import transforms
    from sqlglot import exp

    create = transforms.create_table_as

    def expanded(expression: exp.Expression, connection: object) -> exp.Expression:
        query = expression.expression if isinstance(expression, exp.Create) else None
        query = query.unnest() if isinstance(query, exp.Subquery) else query
        if isinstance(query, exp.Select) and query.is_star:
            connection.execute(f"describe {query.sql(dialect='duckdb')}")
            query.set("expressions", [exp.column(name) for name, *_ in connection.fetchall()])
        return create(expression, connection)

    transforms.create_table_as = expanded


def _answer_faults_once() -> None:
    """A statement that the server cannot run is refused, not answered with a status that the client tries again."""
    import duckdb
    from fakesnow.cursor import FakeSnowflakeCursor
    from snowflake.connector.errors import ProgrammingError

    execute = FakeSnowflakeCursor.execute

    def refuse(self: FakeSnowflakeCursor, command: str, *arguments: object, **named: object) -> FakeSnowflakeCursor:
        try:
            return execute(self, command, *arguments, **named)
        except (duckdb.Error, AssertionError, AttributeError, KeyError, ValueError) as error:
            text = f"the test server cannot run this: {type(error).__name__} {error}; {command[:500]}"
            raise ProgrammingError(msg=text, errno=9999, sqlstate="99999") from error

    FakeSnowflakeCursor.execute = refuse


def _undo_at_the_end_of_a_session() -> None:
    """What a session did not commit is rolled back when it ends; and a client is given what it needs to end one."""
    module = importlib.import_module("fakesnow.server")

    class Sessions(dict):
        def __delitem__(self, token: str) -> None:
            self[token].close()
            super().__delitem__(token)

    class Answer(module.JSONResponse):
        def __init__(self, content: dict, *arguments: object, **named: object) -> None:
            data = content.get("data") or {}
            if "token" in data:
                data["masterToken"] = data["token"]
            super().__init__(content, *arguments, **named)

    module.sessions = Sessions()
    module.JSONResponse = Answer


if __name__ == "__main__":
    serve(int(sys.argv[1]))
