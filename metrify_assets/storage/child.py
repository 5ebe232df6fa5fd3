"""A Python module as a process that ends with the process that started it.

``python -m metrify_assets.storage.child PARENT SECONDS MODULE ARGUMENTS...`` runs a module as ``python -m`` does. When
the parent is gone, also with SIGKILL, the process is asked to end, and killed if it does not in time; one that leads a
group of processes ends with all of them. Belongs here: nothing else.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

LOOK_SECONDS = 0.5
STOP_SECONDS = 10.0
"""How long it may take to end by itself."""


def child_command(module: str, *arguments: str, stop_seconds: float = STOP_SECONDS) -> list[str]:
    """Return the command that runs a module as a process that ends with this one.

    With no ``stop_seconds`` it is killed at once when this one is gone.
    """
    watching = ("-P", "-m", "metrify_assets.storage.child", str(os.getpid()), str(stop_seconds))
    return [sys.executable, *watching, module, *arguments]


def _end_with(parent: int, stop_seconds: float) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    if stop_seconds:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(stop_seconds)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the module that the command line names, and watch the process that it names: it may be gone already."""
    threading.Thread(target=_end_with, args=(int(sys.argv[1]), float(sys.argv[2])), daemon=True).start()
    del sys.argv[:3]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
