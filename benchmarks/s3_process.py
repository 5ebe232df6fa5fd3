"""An S3 server in a process of its own, so that its work and its hold on the interpreter are not ours; and how long a
client waits for it.

Belongs here: moto's server, filled past its API, and the clock. Does not belong here: what is measured.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True)
class S3Process:
    """A server that runs; everything that is put into it is put by its own process."""

    url: str
    _pipe: Connection

    def put_many(self, bucket: str, objects: Sequence[tuple[str, bytes]], modified: datetime | None = None) -> None:
        """Store objects in the server directly: a request each would take minutes."""
        self._pipe.send((bucket, objects, modified))
        self._pipe.recv()


@contextmanager
def s3_process() -> Iterator[S3Process]:
    """Run the server; the credentials that it expects are in the environment meanwhile."""
    from tests.s3_server import CREDENTIALS

    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there,))
    process.start()
    try:
        with patch.dict(os.environ, CREDENTIALS):
            yield S3Process(here.recv(), here)
    finally:
        here.send(None)
        process.join()


def _serve(pipe: Connection) -> None:
    import logging

    from metrify_assets.storage.s3 import Bucket
    from tests.s3_server import PREFIX, Sender, s3_endpoint

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with s3_endpoint() as url:
        pipe.send(url)
        while (asked := pipe.recv()) is not None:
            name, objects, modified = asked
            sender = Sender(Bucket(name, PREFIX))
            for key, content in objects:
                sender.put_many([key], content, modified)
            pipe.send(None)


class Waiting:
    """Time that a client spends between sending a request and having its whole answer; requests side by side count
    once."""

    def __init__(self, client: Any):
        self.seconds = 0.0
        self._under_way, self._since = 0, 0.0
        self._lock = threading.Lock()
        # The one place through which every request goes, before anything of its answer is read.
        session = client._endpoint.http_session
        send = session.send

        def timed(request: Any) -> Any:
            self._begin()
            try:
                return send(request)
            finally:
                self._end()

        session.send = timed

    def _begin(self) -> None:
        with self._lock:
            if not self._under_way:
                self._since = time.perf_counter()
            self._under_way += 1

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
            if not self._under_way:
                self.seconds += time.perf_counter() - self._since
