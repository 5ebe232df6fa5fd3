"""An S3 endpoint that never answers: what is said, and when it is given up. Real sockets, the real client."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from unittest.mock import patch

import pytest

from metrify_assets.errors import LakeError
from metrify_assets.storage import s3
from metrify_assets.storage.s3 import ATTEMPTS, Bucket, S3ObjectStore
from tests.s3_server import CREDENTIALS

pytestmark = pytest.mark.seldom


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Accept connections and leave each to ``answer``, which may never do anything."""
    with ExitStack() as connections, socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.enter_context(connection)
                Thread(target=answer, args=[connection], daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent() -> Iterator[str]:
    """Accept connections and never answer."""
    with answering(lambda connection: None) as url:
        yield url


@contextmanager
def unreachable() -> Iterator[str]:
    """Never accept a connection: the queue of those that wait is full, so the system drops all others."""
    with ExitStack() as waiting:
        server = waiting.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    with patch.dict(os.environ, CREDENTIALS):
        yield


@pytest.mark.parametrize("endpoint", [silent, unreachable])
def test_an_endpoint_that_never_answers_is_told_once_and_given_up(endpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(s3, "WARN_AFTER_SECONDS", 0.1)
    with endpoint() as url:
        store = S3ObjectStore(Bucket("metrify", "", url, timeout_seconds=0.3), tmp_path)
        with pytest.raises(LakeError, match=rf"cannot be reached at {url}: .* check METRIFY_S3_ENDPOINT") as error:
            store.read("lake/_format.json")
        assert "\n" not in str(error.value)
        with pytest.raises(LakeError):
            store.read_all(["a", "b"])
    waiting = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert waiting == [f"waiting for the S3 endpoint {url} (0.1 s)"]


@pytest.mark.parametrize("endpoint", [silent, unreachable])
def test_the_command_line_says_what_it_waits_for_and_gives_up_with_one_line(endpoint, tmp_path):
    with endpoint() as url:
        environment = {
            "METRIFY_ROOT": str(tmp_path),
            "METRIFY_STORE": "s3",
            "METRIFY_S3_BUCKET": "metrify",
            "METRIFY_S3_ENDPOINT": url,
            "METRIFY_S3_TIMEOUT_SECONDS": "2",
        }
        done = subprocess.run(
            [Path(sys.executable).parent / "metrify", "drop", "list"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    first, second = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first == f"waiting for the S3 endpoint {url} (5 s)"
    assert second.startswith(f"metrify: s3://metrify/lake/_format.json cannot be reached at {url}: ")


def test_what_answers_in_time_is_not_told(sender, caplog, monkeypatch):
    monkeypatch.setattr(s3, "WARN_AFTER_SECONDS", 5)
    sender.put("plain", "a.csv", b"x")
    assert len(sender.all_keys()) == 1
    assert [record for record in caplog.records if record.name == s3.__name__] == []


def trickling(connection: socket.socket) -> None:
    """Answer any request with 12 bytes, a piece every 0.2 seconds."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
    for _ in range(6):
        time.sleep(0.2)
        connection.sendall(b"ab")


def test_a_transfer_may_take_longer_than_the_longest_silence(tmp_path):
    with answering(trickling) as url:
        store = S3ObjectStore(Bucket("metrify", "", url, timeout_seconds=0.7), tmp_path)
        assert store.read("large") == b"ab" * 6


def test_a_transfer_that_stalls_is_given_up(tmp_path):
    def stalling(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nab")

    with answering(stalling) as url:
        store = S3ObjectStore(Bucket("metrify", "", url, timeout_seconds=0.3), tmp_path)
        with pytest.raises(LakeError, match=f"large cannot be reached at {url}"):
            store.read("large")


def test_a_tick_of_a_sensor_gives_up_before_it_is_cut():
    # Dagster cuts a tick after 60 seconds and then says nothing of S3.
    assert ATTEMPTS * Bucket("metrify").timeout_seconds < 60


pytest_plugins = ["tests.s3_fixtures"]
