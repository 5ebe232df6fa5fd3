"""The file that consumers open is theirs to read, whatever they do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.small_marts import SmallMarts, small_marts

IMPOSSIBLE = 77
READER = """
import os, pwd, sys
import duckdb

file, impossible = sys.argv[1], int(sys.argv[2])
if os.getuid() == 0:
    try:
        os.setgroups([])
        os.setuid(pwd.getpwnam("nobody").pw_uid)
    except (KeyError, PermissionError):
        sys.exit(impossible)
if not os.access(file, os.R_OK):
    sys.exit(impossible)
try:
    duckdb.connect(file)
except duckdb.IOException as error:
    print(error)
with duckdb.connect(file, read_only=True) as connection:
    print(connection.execute("select count(*) from _published").fetchall())
"""


def test_nobody_may_write_the_file_and_it_is_replaced_all_the_same(plant: SmallMarts):
    for value in ("1", "2"):
        plant.build({date(2026, 3, 30): {"A": value}})
        plant.publish()
        assert plant.file.stat().st_mode & 0o777 == 0o444
    with plant.reader() as connection:
        assert connection.execute("select distinct version from _published").fetchall() == [(2,)]


def test_who_forgets_to_open_it_read_only_is_refused_and_may_read():
    # Not in the folder of the test, which other users may not enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        plant = small_marts(Path(folder) / "metrify")
        plant.build({date(2026, 3, 30): {"A": "1"}})
        plant.publish()
        # To root modes say nothing: the reader is somebody else.
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READER, str(plant.file), str(IMPOSSIBLE)],
            capture_output=True,
            text=True,
        )
    if done.returncode == IMPOSSIBLE:
        pytest.skip("here root cannot become another user who may enter the temporary folder")
    refused, read = done.stdout.splitlines()
    assert "Permission denied" in refused
    assert read == "[(4,)]"


def test_clients_of_duckdb_1_can_open_it(plant: SmallMarts):
    plant.publish()
    with plant.reader() as connection:
        query = "select tags['storage_version'] from duckdb_databases() where database_name = 'metrify'"
        assert connection.execute(query).fetchall() == [("v1.0.0+",)]


def test_a_process_sees_the_version_that_it_has_open_until_it_closed_all(plant: SmallMarts):
    def version(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
        return connection.execute("select distinct version from _published").fetchall()

    plant.publish()
    with duckdb.connect(str(plant.file), read_only=True) as first:
        plant.build({date(2026, 3, 30): {"A": "9"}})
        plant.publish()
        with duckdb.connect(str(plant.file), read_only=True) as second:
            assert version(first) == version(second) == [(1,)]
            assert second.execute("select energy_kwh from metrics.daily where day = '2026-03-31'").fetchall()
    with duckdb.connect(str(plant.file), read_only=True) as anew:
        assert version(anew) == [(2,)]
