"""Making dbt ready while a run computes its days: a process imports it, and the run's commands of dbt are its forks.

Belongs here: starting and ending that process, and the command that asks it. Does not belong here: what both processes
do (``dbt_server.py``, ``dbt_client.py``).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from metrify_assets.storage.child import child_command
from metrify_assets.warehouse.dbt_client import SOCKET

HERE = Path(__file__).parent


def dbt_command() -> list[str]:
    """Return the command that runs dbt as a process that ends with this one, by a ready process where there is one."""
    # A dbt that outlives a killed run would hold the warehouse against the next one.
    alone = child_command("dbt.cli.main")
    return [sys.executable, "-I", "-S", str(HERE / "dbt_client.py"), str(len(alone)), *alone]


class ReadyDbt:
    """A process that imports dbt, and forks for the commands of whoever finds its socket in the environment.

    Parameters
    ----------
    adapter : str
        dbt's adapter to import: ``duckdb`` or ``snowflake``.
    """

    def __init__(self, adapter: str):
        # Open to this user alone: the environment that is handed over holds secrets.
        self.socket = os.path.join(tempfile.mkdtemp(prefix="metrify-dbt-"), "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen()
            number = listener.fileno()
            command = [sys.executable, "-P", str(HERE / "dbt_server.py"), str(number), adapter]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number])

    @property
    def environment(self) -> dict[str, str]:
        """Return what commands of dbt find the process by."""
        return {SOCKET: self.socket}

    def close(self) -> None:
        """End the process, and what it has forked."""
        self._process.communicate()
