"""The command that takes the place of dbt in the tests: ``dbt_server.py`` runs it, with this process's streams.

Started with the path of the socket and dbt's arguments. Belongs here: what starts in milliseconds.
"""

import json
import os
import signal
import socket
import sys


def main() -> int:
    """Hand over folder, environment and streams; pass signals on; return dbt's exit code."""
    request = json.dumps({"arguments": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request)
        with server.makefile() as answers:
            dbt = int(answers.readline())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda received, _: os.kill(dbt, received))
            code = answers.readline()
    # A dbt that was killed says nothing.
    return int(code) if code else 128 + signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main())
