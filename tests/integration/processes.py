"""Real processes of an installation: finding them, halting one at a place, waiting for them to end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 900

SITECUSTOMIZE = '''
"""Halts the first process that comes to a place, the Nth call of a function of a module, until it is released."""
import importlib.abc, importlib.util, os, sys, time

module, name, call = os.environ["HALT_AT"].split(":")


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        execute = spec.loader.exec_module

        def exec_module(loaded):
            execute(loaded)
            original, calls = getattr(loaded, name), []

            def halting(*arguments, **named):
                calls.append(name)
                if len(calls) == int(call):
                    try:
                        os.close(os.open(os.environ["HALT_MARK"], os.O_CREAT | os.O_EXCL))
                    except FileExistsError:
                        pass
                    else:
                        while not os.path.getsize(os.environ["HALT_MARK"]):
                            time.sleep(0.02)
                return original(*arguments, **named)

            setattr(loaded, name, halting)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
'''


def halting_at(place: str, folder: Path) -> tuple[dict[str, str], Path]:
    """Return the environment that halts the first process at ``module:function:call``, and the file that says so.

    A process that is halted goes on once something is written into the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    mark = folder / "halted"
    return {"PYTHONPATH": str(folder), "HALT_AT": place, "HALT_MARK": str(mark)}, mark


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any installation of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("METRIFY_", "DAGSTER_"))}


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it never does."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_of(root: Path) -> dict[int, str]:
    """Return the running processes that work on an installation, with their command lines."""
    commands = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"METRIFY_ROOT={root}".encode() in environment and is_running(int(folder.name)):
            commands[int(folder.name)] = command
    return commands


def kill_all(root: Path) -> None:
    """Kill every process that works on an installation, those that are being started included."""
    while processes := processes_of(root):
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
