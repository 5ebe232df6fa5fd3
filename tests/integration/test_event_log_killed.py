"""Processes that write events and are killed: what they had said to be stored is there."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import dagster as dg
import pytest

from metrify_assets.orchestration.dagster_storage import PooledSqliteStorage

pytestmark = pytest.mark.seldom

KILLS = 6
MOST = 10_000
"""Records that Dagster gives at a time."""
WRITER = '''
"""Stores events of short runs for ever, and says after each one that it is stored."""
import sys, time
import dagster as dg
from dagster._core.events import AssetMaterialization, DagsterEvent, DagsterEventType, StepMaterializationData
from metrify_assets.orchestration.dagster_storage import PooledSqliteStorage

folder, name = sys.argv[1:]
log = PooledSqliteStorage.from_local(folder).event_log_storage
number = 0


def store(run, kind, data=None, message=""):
    global number
    number += 1
    event = DagsterEvent(kind.value, "job", message=message, event_specific_data=data)
    log.store_event(dg.EventLogEntry(None, 10, f"{run} {number}", run, time.time(), dagster_event=event))
    print(run, number, kind.value, flush=True)


print("ready", flush=True)
for position in range(1_000_000):
    run = f"{name}-{position}"
    store(run, DagsterEventType.RUN_START)
    for partition in ("2026-03-01", "2026-03-02", "2026-03-03"):
        made = AssetMaterialization("table", partition=partition, metadata={"rows": number})
        store(run, DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made, []), "x" * 500)
    store(run, DagsterEventType.RUN_SUCCESS)
'''
MIRRORED = {"ASSET_MATERIALIZATION", "PIPELINE_START", "PIPELINE_SUCCESS"}
"""Events that are also in the index of all runs."""


def start(folder, name: str) -> subprocess.Popen:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    return writer


def kill_after(writer: subprocess.Popen, count: int) -> list[list[str]]:
    """Kill a process that has said so many events; return all that it had said, whole lines only."""
    lines = [writer.stdout.readline() for _ in range(count)]
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read()
    assert writer.wait() == -signal.SIGKILL
    lines += rest.splitlines(keepends=True)
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder on which writers were killed at moments of chance, two at a time, and what they had said."""
    folder, chance = tmp_path_factory.mktemp("killed"), random.Random(20261130)
    said = []
    for attempt in range(KILLS // 2):
        writers = [start(folder, f"{attempt}{which}") for which in "ab"]
        for writer in writers:
            said += kill_after(writer, chance.randrange(5, 150))
    return folder, said


def test_every_event_that_was_said_to_be_stored_is_there(killed):
    folder, said = killed
    log = PooledSqliteStorage.from_local(str(folder)).event_log_storage
    stored = {run: {entry.user_message for entry in log.get_logs_for_run(run)} for run in {run for run, *_ in said}}
    assert len(said) > 5 * KILLS
    assert [line for line in said if f"{line[0]} {line[1]}" not in stored[line[0]]] == []


def test_the_index_of_all_runs_holds_them_as_well(killed):
    folder, said = killed
    log = PooledSqliteStorage.from_local(str(folder)).event_log_storage
    records = log.fetch_materializations(dg.AssetKey("table"), limit=MOST).records
    for kind in (dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS):
        records = [*records, *log.fetch_run_status_changes(kind, MOST).records]
    stored = Counter(record.event_log_entry.user_message for record in records)
    assert [line for line in said if line[2] in MIRRORED and stored[f"{line[0]} {line[1]}"] != 1] == []


def test_the_files_are_whole_and_are_written_on(killed):
    folder, _ = killed
    for path in (folder / "history" / "runs").glob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert len(kill_after(start(folder, "last"), 10)) >= 10
