"""Runs as real processes that are killed, cancelled and left alone; what becomes of them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from metrify_assets.orchestration import run_launcher
from metrify_assets.orchestration.home import run_here
from metrify_assets.orchestration.run_launcher import DIED, STOPPED, STOPPED_TAG, end_dead_runs, run_locks
from metrify_assets.orchestration.run_locks import Holder, Launcher, this_machine
from tests.integration import launched_jobs
from tests.integration.processes import is_running, wait_until

REPOSITORY = Path(__file__).parents[2]
OVERRIDES = {
    "run_launcher": {"module": "metrify_assets.orchestration.run_launcher", "class": "ProcessRunLauncher"},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"},
}

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(600)]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides=OVERRIDES) as instance:
        yield instance
        for run_id in run_locks(instance).run_ids():
            pid = run_locks(instance).pid(run_id)
            if pid not in (None, os.getpid()) and is_running(pid):
                os.kill(pid, signal.SIGKILL)


def created(
    instance: dg.DagsterInstance, job: dg.JobDefinition, status: dg.DagsterRunStatus, mark: Path
) -> dg.DagsterRun:
    origin = dg.reconstructable(job).get_python_origin()
    return instance.create_run_for_job(job, status=status, tags={"at_work": str(mark)}, job_code_origin=origin)


def launch(instance: dg.DagsterInstance, job: dg.JobDefinition, mark: Path, *, wait: bool = True) -> str:
    """Start a run's process, as the daemon does; return the run's id once it is at work."""
    run = created(instance, job, dg.DagsterRunStatus.STARTING, mark)
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    if wait:
        wait_until(mark.exists)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> str:
    return instance.get_run_by_id(run_id).status.value


def kill_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    os.kill(run_locks(instance).pid(run_id), signal.SIGKILL)
    wait_until(lambda: is_abandoned(instance, run_id))


def is_abandoned(instance: dg.DagsterInstance, run_id: str) -> bool:
    with run_locks(instance).abandoned(run_id) as abandoned:
        return abandoned


def failures(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    return [record.event_log_entry.dagster_event.message for record in records]


def test_a_run_ends_well_and_leaves_no_lock(instance, tmp_path):
    run_id = launch(instance, launched_jobs.quick, tmp_path / "mark")
    wait_until(lambda: instance.get_run_by_id(run_id).is_finished and is_abandoned(instance, run_id))
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "SUCCESS"
    assert run_locks(instance).run_ids() == []


def test_a_run_whose_process_is_killed_fails_with_the_reason(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark")
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "STARTED"
    kill_worker(instance, run_id)
    assert status_of(instance, run_id) == "STARTED"
    # Several processes look at the same time; one of them says it.
    threads = [threading.Thread(target=end_dead_runs, args=(instance,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert status_of(instance, run_id) == "FAILURE"
    assert failures(instance, run_id) == [DIED]
    assert run_locks(instance).run_ids() == []


def test_run_monitoring_lets_a_living_run_be_and_ends_one_whose_process_is_gone(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark")
    monitor_started_run(instance, None, instance.get_run_record_by_id(run_id), logging.getLogger())
    assert status_of(instance, run_id) == "STARTED"
    kill_worker(instance, run_id)
    monitor_started_run(instance, None, instance.get_run_record_by_id(run_id), logging.getLogger())
    assert status_of(instance, run_id) == "FAILURE"
    assert failures(instance, run_id) == [DIED]


def test_a_run_whose_process_is_killed_before_it_came_up_fails(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark", wait=False)
    kill_worker(instance, run_id)
    assert status_of(instance, run_id) == "STARTING"
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "FAILURE"


def test_a_run_that_never_had_a_process_fails_once_it_should_have_one(instance, tmp_path, monkeypatch):
    run_id = created(instance, launched_jobs.quick, dg.DagsterRunStatus.STARTING, tmp_path / "mark").run_id
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "STARTING"
    monkeypatch.setattr(run_launcher, "STARTING_SECONDS", 0.0)
    begun = launch(instance, launched_jobs.sleeping, tmp_path / "mark", wait=False)
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "FAILURE"
    assert failures(instance, run_id) == [STOPPED]
    assert instance.get_run_by_id(run_id).tags[STOPPED_TAG] == "true"
    assert run_locks(instance).run_ids() == [begun]
    assert status_of(instance, begun) == "STARTING"


def test_a_run_that_was_being_cancelled_when_its_process_died_is_cancelled(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark")
    instance.report_run_canceling(instance.get_run_by_id(run_id))
    kill_worker(instance, run_id)
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "CANCELED"


def test_runs_without_a_process_and_runs_of_another_machine_are_left_alone(instance, tmp_path):
    waiting = created(instance, launched_jobs.quick, dg.DagsterRunStatus.NOT_STARTED, tmp_path / "mark").run_id
    elsewhere = created(instance, launched_jobs.quick, dg.DagsterRunStatus.STARTED, tmp_path / "mark").run_id
    locks = run_locks(instance)
    os.close(locks.take(elsewhere))
    machine = replace(this_machine(), host="another", kernel="another")
    holder = Holder(machine, os.getpid(), Launcher.this_process())
    (locks.folder / elsewhere).write_text(json.dumps(asdict(holder)) + "\n")
    end_dead_runs(instance)
    assert status_of(instance, waiting) == "NOT_STARTED"
    assert status_of(instance, elsewhere) == "STARTED"
    # Nor is a process ended that happens to have the same number here.
    assert locks.pid(elsewhere) is None


@pytest.mark.parametrize(
    "job", [launched_jobs.sleeping, launched_jobs.retrying, launched_jobs.querying, launched_jobs.waiting]
)
def test_a_run_at_work_ends_when_it_is_terminated(instance, tmp_path, job):
    run_id = launch(instance, job, tmp_path / "mark")
    pid = run_locks(instance).pid(run_id)
    assert instance.run_coordinator.cancel_run(run_id)
    assert status_of(instance, run_id) == "CANCELED"
    wait_until(lambda: not is_running(pid))
    wait_until(lambda: not run_locks(instance).pid(run_id) or is_abandoned(instance, run_id))
    end_dead_runs(instance)
    assert run_locks(instance).run_ids() == []


def test_a_run_whose_process_is_gone_is_cancelled_when_it_is_terminated(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark")
    kill_worker(instance, run_id)
    assert instance.run_coordinator.cancel_run(run_id)
    assert status_of(instance, run_id) == "CANCELED"


def test_a_run_that_is_not_up_yet_ends_when_it_is_terminated(instance, tmp_path):
    run_id = launch(instance, launched_jobs.sleeping, tmp_path / "mark", wait=False)
    assert instance.run_coordinator.cancel_run(run_id)
    assert status_of(instance, run_id) == "CANCELED"
    assert not (tmp_path / "mark").exists()


LAUNCHING = """
import sys, time
from pathlib import Path
import dagster as dg
from tests.integration import launched_jobs
from tests.integration.test_run_launcher import OVERRIDES, launch
with dg.DagsterInstance.local_temp(sys.argv[1], overrides=OVERRIDES) as instance:
    print(launch(instance, launched_jobs.sleeping, Path(sys.argv[2])), flush=True)
    time.sleep(600)
"""


def test_a_run_ends_with_the_process_that_launched_it(instance, tmp_path):
    mark = tmp_path / "mark"
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHING, instance.root_directory, str(mark)], stdout=subprocess.PIPE, text=True
    ) as daemon:
        run_id = daemon.stdout.readline().strip()
        pid = run_locks(instance).pid(run_id)
        assert is_running(pid)
        daemon.kill()
    wait_until(lambda: not is_running(pid))
    wait_until(lambda: not run_locks(instance).pid(run_id) or is_abandoned(instance, run_id))
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "FAILURE"


RUNNING_HERE = """
import sys
import dagster as dg
from metrify_assets.orchestration.home import run_here
from tests.integration import launched_jobs
from tests.integration.test_run_launcher import OVERRIDES
with dg.DagsterInstance.local_temp(sys.argv[1], overrides=OVERRIDES) as instance:
    run_here(instance, launched_jobs.sleeping, tags={"at_work": sys.argv[2]})
"""


def test_a_run_of_the_command_line_is_seen_to_live_and_to_die(instance, tmp_path):
    mark = tmp_path / "mark"
    with subprocess.Popen([sys.executable, "-c", RUNNING_HERE, instance.root_directory, str(mark)]) as command:
        wait_until(mark.exists)
        [run_id] = run_locks(instance).run_ids()
        end_dead_runs(instance)
        assert status_of(instance, run_id) == "STARTED"
        command.kill()
    wait_until(lambda: is_abandoned(instance, run_id))
    end_dead_runs(instance)
    assert status_of(instance, run_id) == "FAILURE"


def test_a_run_of_the_command_line_that_ends_leaves_no_lock(instance, tmp_path):
    assert run_here(instance, launched_jobs.quick, tags={"at_work": str(tmp_path / "mark")}).success
    assert run_locks(instance).run_ids() == []
