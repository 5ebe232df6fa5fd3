"""A process that has imported dbt and forks for each command: importing dbt takes longer than what it does in a test.

Started with the path of a socket; ends when its standard input is closed. Belongs here: standard library and dbt alone.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
from contextlib import ExitStack


def serve(path: str) -> None:
    """Fork for each client that connects, until the process that started this one is gone."""
    from dbt.adapters.factory import FACTORY

    FACTORY.load_plugin("duckdb")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            with client:
                if os.fork() == 0:
                    sys.exit(answer(client))
    shutil.rmtree(os.path.dirname(path))


def answer(client: socket.socket) -> int:
    """Be the dbt that the client asks for; return its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    code = run(request["arguments"])
    client.sendall(f"{code}\n".encode())
    return code


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


if __name__ == "__main__":
    serve(sys.argv[1])
