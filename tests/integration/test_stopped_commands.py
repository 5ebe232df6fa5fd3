"""``metrify demo`` and ``metrify dev`` are stopped in the middle of a run; nothing of them is left.

So are single runs: from the page of a run in the UI.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import dagster as dg
import pytest

from metrify_assets.orchestration.home import open_instance
from metrify_assets.orchestration.run_launcher import run_locks
from metrify_assets.settings import Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from tests.integration.processes import (
    clean_environment,
    free_port,
    halting_at,
    is_running,
    kill_all,
    processes_of,
    wait_until,
)

pytestmark = [pytest.mark.dbt, pytest.mark.daemon, pytest.mark.timeout(1_800)]

IN_INGEST = "metrify_assets.landing.ingest:read_landed:2"
TERMINATE = """
mutation Terminate($runIds: [String!]!, $terminatePolicy: TerminateRunPolicy) {
  terminateRuns(runIds: $runIds, terminatePolicy: $terminatePolicy) {
    ... on TerminateRunsResult {
      terminateRunResults {
        __typename
        ... on TerminateRunSuccess { run { runId } }
        ... on TerminateRunFailure { message }
      }
    }
    ... on PythonError { message }
  }
}
"""
DEMO = (sys.executable, "-m", "metrify_assets.cli.main", "demo", "--points", "4", "--days", "1", "--json")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "metrify"
    # For this process, which looks at the runs.
    monkeypatch.setenv("DAGSTER_HOME", str(Settings(root=folder).dagster_home))
    yield folder
    kill_all(folder)


def start(root: Path, *command: str, output: int | IO = subprocess.PIPE, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        env={**clean_environment(), "METRIFY_ROOT": str(root), **environment},
        stdout=output,
        stderr=output,
        text=True,
    )


def in_ui(port: int, query: str, **variables: object) -> dict:
    """Return what the web server answers to a query of its pages; a person waits no longer for it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def is_served(port: int) -> bool:
    try:
        return "data" in in_ui(port, "{ version }")
    except OSError:
        return False


def run_states(root: Path) -> list[str]:
    """Return what became of the runs, once the next command looks."""
    with open_instance(Settings(root=root)) as instance:
        return [run.status.value for run in instance.get_runs()]


def test_a_demo_that_is_stopped_or_killed_leaves_nothing_behind_and_the_next_one_ends_well(root, tmp_path):
    # Two at once on a folder that does not exist yet: one of them makes what both need.
    environment, mark = halting_at(IN_INGEST, tmp_path / "first")
    both = [start(root, *DEMO, **environment) for _ in range(2)]
    wait_until(lambda: mark.exists() or any(demo.poll() is not None for demo in both))
    assert [demo.poll() for demo in both] == [None, None]
    for demo in both:
        demo.send_signal(signal.SIGINT)
    for demo in both:
        demo.communicate()
    assert [demo.returncode for demo in both] == [130, 130]
    assert processes_of(root) == {}
    assert run_states(root) == ["CANCELED"]

    # What a cancelled run left is asked for in smaller pieces: halt at the first file of one.
    environment, mark = halting_at(IN_INGEST.replace(":2", ":1"), tmp_path / "second")
    demo = start(root, *DEMO, **environment)
    wait_until(lambda: mark.exists() or demo.poll() is not None)
    assert demo.poll() is None
    demo.kill()
    demo.communicate()
    wait_until(lambda: not processes_of(root))

    both = [start(root, *DEMO) for _ in range(2)]
    outcomes = [demo.communicate() for demo in both]
    assert [demo.returncode for demo in both] == [0, 0], [error[-2_000:] for _, error in outcomes]
    counts = [json.loads(output) for output, _ in outcomes]
    assert counts[0]["slots"] == counts[1]["slots"]
    assert counts[0]["values_delivered"] == counts[0]["values_raw"] + counts[0]["values_quarantined"]


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_the_ui_in_the_background_of_a_script_ends_with_all_of_its_processes(root, tmp_path, order):
    write_wave(simulate(SimulationPlan(points=4, days=1)).first, Settings(root=root).inbox)
    environment, mark = halting_at(IN_INGEST, tmp_path / "halt")
    port = free_port()
    # A shell that is not interactive has commands in the background ignore SIGINT.
    script = f"{sys.executable} -m metrify_assets.cli.main dev --port {port} > {tmp_path}/dev.log 2>&1 & echo $!; wait"
    shell = start(root, "sh", "-c", script, **environment)
    pid = int(shell.stdout.readline())
    wait_until(lambda: mark.exists() or shell.poll() is not None)
    assert shell.poll() is None, (tmp_path / "dev.log").read_text()[-2_000:]
    os.kill(pid, order)
    wait_until(lambda: not processes_of(root))
    shell.communicate()
    # A step that is told to end is tried again: a short one may come to its end within the time it is given.
    assert run_states(root) in (["FAILURE"], ["SUCCESS"])


def test_a_run_is_terminated_in_the_ui_and_a_ui_that_is_killed_takes_all_of_its_processes_along(root, tmp_path):
    write_wave(simulate(SimulationPlan(points=4, days=1)).first, Settings(root=root).inbox)
    environment, mark = halting_at(IN_INGEST, tmp_path / "halt")
    port = free_port()
    command = (sys.executable, "-m", "metrify_assets.cli.main", "dev", "--port", str(port))
    with open(tmp_path / "dev.log", "ab") as log:
        first = start(root, *command, output=log, **environment)
        wait_until(lambda: (mark.exists() and is_served(port)) or first.poll() is not None)
        assert first.poll() is None, (tmp_path / "dev.log").read_text()[-2_000:]
        with dg.DagsterInstance.from_config(str(Settings(root=root).dagster_home)) as instance:
            [run_id] = run_locks(instance).run_ids()
            process = run_locks(instance).pid(run_id)
            answer = in_ui(port, TERMINATE, runIds=[run_id], terminatePolicy="SAFE_TERMINATE")
            [result] = answer["data"]["terminateRuns"]["terminateRunResults"]
            assert result == {"__typename": "TerminateRunSuccess", "run": {"runId": run_id}}
            assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.CANCELED
            # A process that has reported the end of its run takes a moment to end itself.
            wait_until(lambda: not is_running(process))
            # What was left is asked for again, and done.
            wait_until(
                lambda: instance.get_runs(dg.RunsFilter(job_name="ingest", statuses=[dg.DagsterRunStatus.SUCCESS]))
            )
        processes = processes_of(root)
        first.kill()
        first.wait()
        second = start(root, *command, output=log)
        wait_until(lambda: not any(is_running(pid) for pid in processes))
        wait_until(lambda: is_served(port) or second.poll() is not None)
        assert second.poll() is None, (tmp_path / "dev.log").read_text()[-2_000:]
        second.terminate()
        second.wait()
        assert processes_of(root) == {}
