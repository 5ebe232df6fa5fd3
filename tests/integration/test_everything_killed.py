"""Daemon, code server and runs are killed together, in each stage; a new daemon finishes the work by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date

import dagster as dg
import pytest

from metrify_assets.orchestration.home import open_instance, prepare_home
from metrify_assets.orchestration.run_launcher import STOPPED, run_locks
from metrify_assets.settings import Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import Simulation, simulate, write_wave
from tests.harness import installation, tables
from tests.integration.processes import clean_environment, halting_at, is_running, kill_all, processes_of, wait_until

pytestmark = [pytest.mark.dbt, pytest.mark.daemon, pytest.mark.timeout(1_800)]

PLAN = SimulationPlan(points=4, days=2, first_day=date(2026, 3, 27))
STAGES = {
    "ingest": "metrify_assets.landing.ingest:read_landed:4",
    "validation": "metrify_assets.days.validated:compute_validated:2",
    "publishing": "metrify_assets.published.export:write_rows:3",
}


@pytest.fixture(scope="module")
def utility() -> Simulation:
    return simulate(PLAN)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, utility: Simulation) -> dict[str, object]:
    with installation(tmp_path_factory.mktemp("straight")) as straight:
        write_wave(utility.first, straight.settings.inbox)
        straight.settle()
        return tables(straight.settings)


@contextmanager
def daemon(settings: Settings, **environment: str):
    """Run the daemon, whatever becomes of it."""
    prepared = {**prepare_home(settings), **environment}
    with open(settings.root / "daemon.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(settings.workspace_file)],
            env={**clean_environment(), **prepared},
            stdout=log,
            stderr=log,
            cwd=settings.root,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_all(settings.root)
            process.wait()


def kill_in(settings: Settings, job: str, begun: Callable[[], object], **environment: str) -> dg.DagsterRun:
    """Start the daemon, kill everything once a stage has begun, and return the run of a job that was at work.

    A run of another job may have been at work beside it.
    """
    with daemon(settings, **environment) as process:
        wait_until(lambda: begun() or process.poll() is not None)
        assert process.poll() is None
        kill_all(settings.root)
    assert processes_of(settings.root) == {}
    # Without end_dead_runs of open_instance: what was left behind is what is to be seen.
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        [run] = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.STARTED]))
    return run


def dbt_builds(settings: Settings) -> bool:
    logs = (settings.dbt_target / "runs").glob("**/dbt.log")
    return any(" START sql " in log.read_text(errors="replace") for log in logs)


def looks_until_a_run(instance: dg.DagsterInstance, since: float) -> int:
    """Return at which look since an instant, from 1, the sensor of days asked for a run."""
    [sensor] = [state for state in instance.all_instigator_state() if state.instigator_name == "dirty_days"]
    ticks = instance.get_ticks(sensor.instigator_origin_id, sensor.selector_id, after=since)
    asked = [bool(tick.run_ids) for tick in sorted(ticks, key=lambda tick: tick.timestamp)]
    return 1 + asked.index(True)


def test_after_a_kill_in_every_stage_the_same_tables_come_out_as_without(tmp_path, monkeypatch, utility, undisturbed):
    settings = Settings(root=tmp_path / "metrify")
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    write_wave(utility.first, settings.inbox)
    killed = []
    for stage, place in STAGES.items():
        environment, mark = halting_at(place, tmp_path / stage)
        job = "ingest" if stage == "ingest" else "delivery_days"
        killed.append(kill_in(settings, job, mark.exists, **environment))
        if stage == "validation":
            killed.append(kill_in(settings, job, lambda: dbt_builds(settings)))
    begun = time.time()
    with daemon(settings) as process:
        wait_until(lambda: tables(settings) == undisturbed or process.poll() is not None)
        assert process.poll() is None
        with open_instance(settings) as instance:
            # Work went on at the daemon's first looks, 5 seconds apart: a stop makes nothing wait.
            assert looks_until_a_run(instance, begun) <= 2
            # The sensors have said what became of the runs.
            for run in killed:
                assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
                events = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
                assert [event.event_log_entry.dagster_event.message for event in events] == [STOPPED]


def test_dbt_ends_with_the_run_that_started_it(tmp_path, monkeypatch, utility):
    settings = Settings(root=tmp_path / "metrify")
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    write_wave(utility.first, settings.inbox)
    with daemon(settings):
        wait_until(lambda: dbt_builds(settings))
        # The process that has imported dbt, and its fork that builds.
        of_dbt = {pid for pid, command in processes_of(settings.root).items() if "dbt_server.py" in command}
        assert len(of_dbt) == 2
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            [run_id] = run_locks(instance).run_ids()
            os.kill(run_locks(instance).pid(run_id), signal.SIGKILL)
            wait_until(lambda: not any(map(is_running, of_dbt)))
            # The sensors of the living daemon see it.
            wait_until(lambda: instance.get_run_by_id(run_id).is_finished)
