"""Dagster's home: where runs are recorded, and the processes that work on it.

Belongs here: preparing the home, and starting the daemon or the UI on it. Does not belong here: what the command line
says (``cli.py``) and what the demo does (``demo.py``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.errors import MetrifyError, SettingsError
from metrify_assets.settings import REPOSITORY_DIR, Settings

if TYPE_CHECKING:
    import dagster as dg

HOST = "127.0.0.1"
WORKSPACE = REPOSITORY_DIR / "workspace.yaml"
STOP_SECONDS = 30


def prepare_home(settings: Settings) -> dict[str, str]:
    """Make Dagster's home, set up what is new, parse the dbt project; return the environment of Dagster's processes."""
    from metrify_assets.first_day import set_up
    from metrify_assets.platform import Platform
    from metrify_assets.resources.dbt import ensure_manifest

    try:
        for folder in (settings.inbox, settings.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY_DIR / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    except OSError as error:
        raise SettingsError(f"{settings.root} cannot be written ({error.strerror}): set METRIFY_ROOT") from error
    set_up(Platform(settings))
    ensure_manifest(settings)
    return {
        **os.environ,
        "METRIFY_ROOT": str(settings.root),
        "DAGSTER_HOME": str(settings.dagster_home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Return the Dagster instance of the home; call ``prepare_home`` first."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    return dg.DagsterInstance.get()


def daemon_is_alive(instance: dg.DagsterInstance) -> bool:
    """Return whether a daemon (of ``metrify dev``, say) works on the home already."""
    import time

    beats = instance.get_daemon_heartbeats()
    return any(time.time() - beat.timestamp < 60 for name, beat in beats.items() if name == "SENSOR")


@contextmanager
def daemon(settings: Settings, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run Dagster's daemon, which evaluates the sensors and launches runs; stop it in the end."""
    log_path = settings.dagster_home / "daemon.log"
    # Ended by a signal, this process must still stop the daemon: leave through the context manager.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with open(log_path, "ab") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", str(WORKSPACE)],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=settings.root,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _stop(process)
            signal.signal(signal.SIGTERM, before)


def _stop(process: subprocess.Popen) -> None:
    """Stop a process and its children (the code server)."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def run_ui(settings: Settings, port: int) -> None:
    """Replace this process by ``dagster dev`` on the home."""
    environment = prepare_home(settings)
    executable = str(Path(sys.executable).parent / "dagster")
    if not os.path.exists(executable):
        raise MetrifyError("dagster is not installed in this environment: run `make setup`")
    os.chdir(settings.root)
    os.execve(executable, [executable, "dev", "-w", str(WORKSPACE), "-h", HOST, "-p", str(port)], environment)
