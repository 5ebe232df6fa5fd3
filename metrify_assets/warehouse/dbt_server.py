"""A process that imports dbt while a run computes its days, and forks for each of dbt's commands.

``python -P dbt_server.py DESCRIPTOR ADAPTER`` accepts clients on a socket that it was started with. It ends when its
standard input is closed, and what it forked ends with it. Importing dbt takes longer than most of what it does. Belongs
here: standard library and dbt alone; it is run by its path. Does not belong here: who starts it (``ready_dbt.py``) and
who asks (``dbt_client.py``).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack

LOOK_SECONDS = 0.5
STOP_SECONDS = 10.0
"""How long dbt may take to end by itself, once the run that asked for it is gone."""


def serve(listener: socket.socket, adapter: str) -> None:
    """Fork for each client that connects, until the process that started this one is gone."""
    # Ctrl-C reaches all processes of a terminal: the run ends dbt, and closes standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whoever connects meanwhile waits.
    import dbt.cli.main  # noqa: F401
    from dbt.adapters.factory import FACTORY

    FACTORY.load_plugin(adapter)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        client, _ = listener.accept()
        with client:
            if os.fork() == 0:
                listener.close()
                sys.exit(answer(client))


def answer(client: socket.socket) -> int:
    """Be the dbt that the client asks for; return its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    size, descriptors, *_ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(size, "big")))
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    client.sendall(f"{os.getpid()}\n".encode())
    # Open until this process is gone: the client waits for that, so that dbt has let go of the warehouse.
    until_the_end = os.dup(client.fileno())
    threading.Thread(target=_end_with, args=(os.getppid(), until_the_end), daemon=True).start()
    code = run(request["arguments"])
    client.sendall(f"{code}\n".encode())
    return code


def _end_with(server: int, client: int) -> None:
    """End this process when the server is gone, or the client: it says nothing more, so what can be read is its end."""
    while os.getppid() == server and not select.select([client], [], [], LOOK_SECONDS)[0]:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def run(arguments: list[str]) -> int:
    """Run dbt's command line; return its exit code."""
    from dbt.cli.main import cli
    from dbt_common.invocation import reset_invocation_id

    sys.argv = ["dbt", *arguments]
    reset_invocation_id()
    with ExitStack() as streams:
        for stream in (sys.stdout, sys.stderr):
            streams.callback(stream.flush)
        try:
            cli(arguments, prog_name="dbt")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Serve the socket that the command line names, and remove its folder in the end."""
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        folder = os.path.dirname(listener.getsockname())
        try:
            serve(listener, sys.argv[2])
        finally:
            # A fork ends here, too: the folder is the server's.
            if os.getpid() == OWN_PID:
                shutil.rmtree(folder)


OWN_PID = os.getpid()

if __name__ == "__main__":
    main()
