"""The dbt resource of the tests' installations: each command is a process of its own, which need not import dbt.

Belongs here: starting the server once in a test process. Processes that a test starts itself use dbt as users do,
and so do the benchmarks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from metrify_assets.orchestration.resources.dbt import MetrifyDbt, dbt_resource
from metrify_assets.settings import Settings

HERE = Path(__file__).parent


@cache
def socket_of_server() -> str:
    """Start the server of this process, and return the path of its socket."""
    path = os.path.join(tempfile.mkdtemp(prefix="metrify-dbt-"), "socket")
    server = subprocess.Popen(
        [sys.executable, "-P", str(HERE / "dbt_server.py"), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout.readline() == b"ready\n"
    # Its standard input stays open for as long as this process lives.
    _servers.append(server)
    return path


_servers: list[subprocess.Popen] = []


def ready_dbt(settings: Settings) -> MetrifyDbt:
    """Return the dbt resource of an installation whose commands the server runs."""
    client = [sys.executable, "-I", "-S", str(HERE / "dbt_client.py"), socket_of_server()]
    return dbt_resource(settings, client)
