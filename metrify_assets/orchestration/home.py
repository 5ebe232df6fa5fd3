"""Dagster's home: where runs are recorded, and the processes that work on it.

Belongs here: preparing the home, and starting the daemon or the UI on it. Does not belong here: what the command line
says (``cli.py``) and what the demo does (``demo.py``).
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from metrify_assets.errors import MetrifyError, SettingsError
from metrify_assets.settings import SHIPPED_DIR, Settings
from metrify_assets.storage.child import child_command

if TYPE_CHECKING:
    import dagster as dg

HOST = "127.0.0.1"
STOP_SECONDS = 30
PORT_SECONDS = 15
"""Longest wait for a port: longer than a child may take to end once its parent is gone."""


def prepare_home(settings: Settings) -> dict[str, str]:
    """Make Dagster's home, set up what is new, parse the dbt project; return the environment of Dagster's processes."""
    from metrify_assets.landing.setup import set_up
    from metrify_assets.platform import Platform
    from metrify_assets.storage.object_store import replacing
    from metrify_assets.warehouse.dbt import ensure_manifest

    configuration = settings.dagster_home / "dagster.yaml"
    try:
        for folder in (settings.inbox, settings.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        # Another process may be reading it: it is replaced whole.
        with replacing(configuration) as copy:
            shutil.copyfile(SHIPPED_DIR / "dagster.yaml", copy)
    except OSError as error:
        raise SettingsError(f"{settings.root} cannot be written ({error.strerror}): {_remedy(error)}") from error
    set_up(Platform(settings))
    ensure_manifest(settings)
    return {
        **os.environ,
        **settings.path_variables,
        **_import_path(settings),
        "DAGSTER_HOME": str(settings.dagster_home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def _import_path(settings: Settings) -> dict[str, str]:
    """Return the variable by which Dagster's processes find the modules beside an installation's own workspace."""
    folder = settings.workspace_file.parent
    if folder == SHIPPED_DIR:
        return {}
    # Dagster takes the first entry out while it loads code: it expects the folder of a script there.
    paths = (str(settings.root), str(folder), os.environ.get("PYTHONPATH", ""))
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _remedy(error: OSError) -> str:
    return "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "set METRIFY_ROOT"


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Return the Dagster instance of the home; call ``prepare_home`` first. Runs whose process is gone are ended."""
    import dagster as dg

    from metrify_assets.orchestration.run_launcher import end_dead_runs

    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    instance = dg.DagsterInstance.get()
    end_dead_runs(instance)
    return instance


def daemon_is_alive(settings: Settings) -> bool:
    """Return whether a daemon (of ``metrify dev``, say) works on the home already."""
    from metrify_assets.orchestration.dagster_storage import daemon_holds

    return daemon_holds(settings.dagster_home)


def run_here(
    instance: dg.DagsterInstance, job: dg.JobDefinition, *, run_id: str | None = None, **arguments: Any
) -> dg.ExecuteInProcessResult:
    """Run a job in this process, as a run of the history that can be seen to be alive; a failure does not raise."""
    from dagster._core.utils import make_new_run_id

    from metrify_assets.orchestration.run_launcher import run_locks

    run_id = run_id or make_new_run_id()
    with run_locks(instance).holding(run_id):
        return job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False, **arguments)


class DaemonKeeper:
    """Sees to it that a daemon works on the home: one that is there already, or one of its own.

    A daemon evaluates the sensors and launches runs. In the end the own one is stopped, after its runs.

    Parameters
    ----------
    settings : Settings
    environment : dict
        From ``prepare_home``.
    instance : DagsterInstance
    """

    def __init__(self, settings: Settings, environment: dict[str, str], instance: dg.DagsterInstance):
        self.settings, self.environment, self.instance = settings, environment, instance
        self.log = settings.dagster_home / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starting: TextIO | None = None
        self._stopped_by: int | None = None

    def __enter__(self) -> DaemonKeeper:
        # Ended by a signal, this process must still stop the daemon: leave through the context manager. A script that
        # starts a command in the background has it ignore SIGINT, and Dagster then ignores SIGTERM as well.
        self._before = {number: signal.signal(number, self._stop_by) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _stop_by(self, number: int, _: object) -> NoReturn:
        self._stopped_by = number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                self._stop(self._process)
        finally:
            self._end_start()
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def ensure(self) -> bool:
        """Return whether the daemon is one of another process; start one if there is none.

        Raises
        ------
        MetrifyError
            If the daemon that was started here has ended.
        KeyboardInterrupt, SystemExit
            If this process was told to end.
        """
        if self._stopped_by is not None:
            # Python drops what a signal raises while an object is being deleted.
            self._stop_by(self._stopped_by, None)
        alive = daemon_is_alive(self.settings)
        if self._process is None:
            if alive or not self._begin_start():
                return True
            # It may have come up before the lock was free.
            if daemon_is_alive(self.settings):
                self._end_start()
                return True
            self._process = self._start()
        elif self._process.poll() is not None:
            raise MetrifyError(f"Dagster's daemon ended: see {self.log}")
        elif alive:
            self._end_start()
        return False

    def _begin_start(self) -> bool:
        """Return whether this process may start a daemon: until others can see it, nobody else does."""
        self._starting = (self.settings.dagster_home / "daemon-start.lock").open("a")
        try:
            fcntl.flock(self._starting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._end_start()
            return False
        return True

    def _end_start(self) -> None:
        if self._starting is not None:
            self._starting.close()
            self._starting = None

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                child_command("dagster._daemon", "run", "-w", str(self.settings.workspace_file)),
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.settings.root,
                start_new_session=True,
            )

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        """Cancel the daemon's runs, stop it, and end what is left of it."""
        from metrify_assets.orchestration.run_launcher import end_dead_runs

        if process.poll() is None:
            self._cancel_runs(process.pid)
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            # Those that it has launched meanwhile.
            self._cancel_runs(process.pid)
        _kill_group(process)
        end_dead_runs(self.instance)

    def _cancel_runs(self, session: int) -> None:
        from metrify_assets.orchestration.run_launcher import STOPPED_TAG, run_locks

        locks = run_locks(self.instance)
        for run_id in locks.run_ids():
            with suppress(ProcessLookupError):
                pid = locks.pid(run_id)
                if pid is not None and os.getsid(pid) == session:
                    self.instance.add_run_tags(run_id, {STOPPED_TAG: "true"})
                    self.instance.run_launcher.terminate(run_id)


def run_ui(settings: Settings, port: int) -> int:
    """Run ``dagster dev`` on the home until it ends or is stopped; return its exit code.

    Its processes (web server, daemon, code server, runs) are a group of their own. It ends with this process, also with
    SIGKILL.

    Raises
    ------
    MetrifyError
        If another program has the port.
    """
    environment = prepare_home(settings)
    open_instance(settings).dispose()
    _require_port(port)
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: object) -> None:
        if not started:
            sys.exit(128 + number)
        started[0].terminate()

    # A script that starts a command in the background has it ignore SIGINT, and Dagster then ignores SIGTERM as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    arguments = ("dev", "-w", str(settings.workspace_file), "-h", HOST, "-p", str(port))
    started.append(
        subprocess.Popen(
            child_command("dagster", *arguments), env=environment, cwd=settings.root, start_new_session=True
        )
    )
    try:
        return started[0].wait()
    finally:
        _kill_group(started[0])


def _kill_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the processes that ``leader`` and its children started."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def _require_port(port: int) -> None:
    """Wait until a port is free: a UI that was killed a moment ago gives it back within seconds."""
    until = time.monotonic() + PORT_SECONDS
    is_waiting = False
    while True:
        try:
            socket.create_server((HOST, port)).close()
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise MetrifyError(
                    f"port {port} cannot be used ({error.strerror}): name another with --port"
                ) from error
        if not is_waiting:
            print(f"metrify: waiting for port {port}: another program has it", file=sys.stderr)
            is_waiting = True
        time.sleep(0.2)
