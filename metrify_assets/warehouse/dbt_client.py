"""The command that runs dbt: by the process that has imported it, or, where there is none, by importing it.

``python dbt_client.py COUNT COMMAND... ARGUMENTS...`` hands dbt's arguments, folder, environment and streams to the
process behind the socket that the environment names (``dbt_server.py``). Without it, it becomes the COMMAND, which has
COUNT words. Belongs here: what starts in milliseconds, run by its path.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

SOCKET = "METRIFY_DBT_SOCKET"


def main() -> int:
    """Run dbt; return its exit code."""
    count = int(sys.argv[1])
    command, arguments = sys.argv[2 : 2 + count], sys.argv[2 + count :]
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ.get(SOCKET, ""))
            code = _ask(server, arguments)
        except OSError:
            # No run has made one ready, or it ended.
            code = None
    if code is None:
        os.execv(command[0], [*command, *arguments])
    return code


def _ask(server: socket.socket, arguments: list[str]) -> int | None:
    """Hand over folder, environment and streams; pass signals on; return dbt's exit code, None if it did not begin."""
    request = json.dumps({"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    with server.makefile() as answers:
        begun = answers.readline()
        if not begun:
            return None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: os.kill(int(begun), received))
        code = answers.readline()
        # Closed when the process is gone.
        answers.read()
    # A dbt that was killed says nothing.
    return int(code) if code else 128 + signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main())
