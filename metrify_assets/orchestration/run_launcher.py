"""Runs as processes of this machine, each with a lock of its own, named in ``dagster.yaml``.

Belongs here: starting the process of a run, ending it, and ending runs whose process is gone. Dagster's default
launcher leaves a run started for ever when its process dies together with the server that started it. Does not belong
here: the locks (``run_locks.py``), and which work is asked for again (``automation/``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import _check as check
from dagster._core.events import EngineEventData
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from metrify_assets.orchestration.run_locks import RunLocks
from metrify_assets.storage.child import child_command

TERMINATE_SECONDS = 2.0
"""How long a run may take to put its things down; every step survives being killed."""
KILL_SECONDS = 10.0
"""Longest wait for the end of a process that was killed."""
LOOK_SECONDS = 0.1

DIED = (
    "The process of this run ended without a result: it was killed, ran out of memory or of disk space, or its machine "
    "stopped. Work that is left is asked for again."
)
STOPPED = (
    "The process of this run ended together with the one that had started it: Metrify was stopped, or its machine was. "
    "Work that is left is asked for again."
)
STOPPED_TAG = "metrify/stopped"
"""On runs that ended because the service did: that says little about their work."""
TERMINATED = "The run was cancelled; its process has ended."
STARTING_SECONDS = 30.0
"""How long a run may be starting without a lock: the launcher takes it at once."""


def run_locks(instance: dg.DagsterInstance) -> RunLocks:
    """Return the locks of an instance's runs."""
    return RunLocks(Path(instance.root_directory) / "run_locks")


class ProcessRunLauncher(RunLauncher, ConfigurableClass):
    """Starts each run as a process that holds the run's lock and ends with the process that launched it."""

    def __init__(self, inst_data: ConfigurableClassData | None = None):
        self._inst_data = inst_data
        self._workers: list[subprocess.Popen[bytes]] = []
        # Dagster leaves this method without types.
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What ``dagster.yaml`` says."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the settings in ``dagster.yaml``: none."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> ProcessRunLauncher:
        """Make the launcher that ``dagster.yaml`` describes."""
        return cls(inst_data)

    @property
    def locks(self) -> RunLocks:
        """The locks of the instance's runs."""
        return run_locks(self._instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of a run."""
        run = context.dagster_run
        arguments = ExecuteRunArgs(check.not_none(context.job_code_origin), run.run_id, self._instance.get_ref())
        lock = self.locks.take(run.run_id)
        try:
            # The process inherits the lock, so there is no moment at which a living run is without it. When this one
            # ends it is killed: Dagster would have a step that is asked to end fail and count, or try it again.
            worker = subprocess.Popen(
                child_command("dagster", "api", "execute_run", serialize_value(arguments), stop_seconds=0),
                pass_fds=[lock],
                stdin=subprocess.DEVNULL,
                # Dagster prints every event once more.
                stdout=subprocess.DEVNULL,
            )
            self.locks.name_holder(lock, worker.pid)
        except OSError:
            self.locks.remove(run.run_id)
            raise
        finally:
            os.close(lock)
        # Asking reaps the processes that have ended.
        self._workers = [worker, *(earlier for earlier in self._workers if earlier.poll() is None)]
        self._instance.report_engine_event(
            f"Started process {worker.pid} for the run.", run, EngineEventData.in_process(worker.pid), self.__class__
        )

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster's run monitoring can ask for the health of a run's process: it can."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run has ended; one of another machine counts as running.

        The run is ended here, so that of all who look at the same time one does it; Dagster then leaves it alone.
        """
        if self._end_if_abandoned(run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, DIED)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """End a run: its process is asked to end, and killed if it does not. Return whether the run has ended.

        False for a run that had ended before, and for one whose process is not on this machine.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.status is not dg.DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)
        if self._end_by(signal.SIGTERM, TERMINATE_SECONDS, run_id) or self._end_by(
            signal.SIGKILL, KILL_SECONDS, run_id
        ):
            return True
        self._instance.report_engine_event("The process of this run is not on this machine: end it there.", run)
        return False

    def _end_by(self, order: signal.Signals, seconds: float, run_id: str) -> bool:
        """Send a signal to a run's process until the run has ended; return whether it did in time.

        Once is not enough: Dagster lets a step that was interrupted begin again.
        """
        until = time.monotonic() + seconds
        while not (self._end_if_abandoned(run_id) or self._is_finished(run_id)):
            if time.monotonic() > until:
                return False
            pid = self.locks.pid(run_id)
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, order)
            time.sleep(LOOK_SECONDS)
        return True

    def _is_finished(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    def end_dead_runs(self) -> None:
        """End every run whose process is gone, and remove the locks of runs that have ended."""
        for run_id in self.locks.run_ids():
            self._end_if_abandoned(run_id)
        self._end_runs_without_lock()

    def _end_runs_without_lock(self) -> None:
        """End the runs whose launcher ended before it took their lock."""
        starting = self._instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING]))
        latest = time.time() - STARTING_SECONDS
        for record in starting:
            run_id = record.dagster_run.run_id
            if record.update_timestamp.timestamp() > latest or self.locks.exists(run_id):
                continue
            # Who takes the lock ends the run, also where several look.
            with suppress(BlockingIOError), self.locks.holding(run_id):
                self._end(run_id, is_stopped=True)

    def _end_if_abandoned(self, run_id: str) -> bool:
        """End a run if its process is gone; return whether it is. Who ends it holds its lock: it is ended once."""
        with self.locks.abandoned(run_id) as abandoned:
            if not abandoned:
                return False
            self._end(run_id, is_stopped=self.locks.launcher_is_gone(run_id))
            self.locks.remove(run_id)
        return True

    def _end(self, run_id: str, *, is_stopped: bool) -> None:
        """Report the end of a run whose lock is held here."""
        # The process may have reported the end of the run before its own.
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is dg.DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run, TERMINATED)
            return
        if is_stopped:
            self._instance.add_run_tags(run_id, {STOPPED_TAG: "true"})
        self._instance.report_run_failed(run, STOPPED if is_stopped else DIED)


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """End the runs whose process is gone. Other launchers look after their runs themselves."""
    if isinstance(instance.run_launcher, ProcessRunLauncher):
        instance.run_launcher.end_dead_runs()
