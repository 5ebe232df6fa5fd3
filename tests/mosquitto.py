"""A real Mosquitto on a free loopback port, with its own configuration and persistence.

Belongs here: starting, stopping and killing the broker, publishing to it, and running the bridge. Does not belong here:
what a test expects.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from metrify_assets.errors import BridgeError
from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.settings import StoreKind
from metrify_assets.sources.mqtt.batches import Limits
from metrify_assets.sources.mqtt.broker import Broker
from metrify_assets.sources.mqtt.inbox_files import InboxFiles, InboxObjects
from metrify_assets.sources.mqtt.mqtt import Bridge
from metrify_assets.sources.mqtt.session import Session
from tests.workbench import Workbench

PATIENCE_SECONDS = 120
REQUIRED = "METRIFY_REQUIRE_SERVERS"
QUICK = Limits(age_seconds=0.2)


def executable(name: str = "mosquitto") -> str:
    """Return the path of a program of the package; skip the test where it is absent, or fail if it is required."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        reason = f"{name} is not installed: apt-get install mosquitto"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason} ({REQUIRED}=1)")
        pytest.skip(reason)
    return path


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fail and say for what."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_SECONDS} s for {what}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Mosquitto:
    """One broker in a folder of its own.

    Attributes
    ----------
    folder : Path
    extra : list of str
        Lines for the configuration; ``listener`` ones belong to the only listener.
    anonymous, persistent : bool
    """

    folder: Path
    extra: list[str] = field(default_factory=list)
    anonymous: bool = True
    persistent: bool = True
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text()

    def start(self) -> Mosquitto:
        """Start the broker, or start it again on what it kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(self.anonymous).lower()}",
            f"persistence {str(self.persistent).lower()}",
            f"persistence_location {self.folder}/",
            f"log_dest file {self.folder}/mosquitto.log",
            # What a slow or absent bridge has not fetched must not be thrown away.
            "max_queued_messages 0",
            *(["user root"] if os.geteuid() == 0 else []),
            *self.extra,
        ]
        config.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([executable(), "-c", str(config)])
        until(self._answers, f"mosquitto on port {self.port}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"mosquitto ended with {self.process.returncode}: {self.log[-500:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the broker: it writes what it keeps. SIGKILL does not let it."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None

    @contextlib.contextmanager
    def client(self, name: str = "meters", **credentials: str) -> Iterator[paho.Client]:
        """Yield a connected publisher."""
        client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        if credentials:
            client.username_pw_set(**credentials)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            yield client
        finally:
            client.disconnect()
            client.loop_stop()

    def publish(self, messages: Iterable[tuple[str, bytes]], qos: int = 1, **credentials: str) -> None:
        """Publish messages and wait until the broker has all of them."""
        with self.client(**credentials) as client:
            sent = [client.publish(topic, payload, qos=qos) for topic, payload in messages]
            for info in sent:
                info.wait_for_publish(PATIENCE_SECONDS)
                assert info.is_published()


@dataclass
class RunningBridge:
    """A bridge in a thread of the test."""

    bridge: Bridge
    messages: list[str]
    thread: threading.Thread
    error: list[BaseException]

    def stop(self) -> Bridge:
        """Ask it to stop, and return it once it has."""
        self.bridge.stop()
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error[0]
        return self.bridge

    def ends(self) -> BridgeError:
        """Return the error by which it ends on its own."""
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        (error,) = self.error
        assert isinstance(error, BridgeError)
        return error


def started(
    bench: Workbench,
    broker: Broker | str,
    *topics: str,
    feed: str = "meters_mqtt",
    client_id: str = "bridge",
    limits: Limits = QUICK,
    receive_maximum: int = 20_000,
    write: Callable[[Any, bytes], object] | None = None,
) -> RunningBridge:
    """Run a bridge in a thread; ``write`` takes its files and the bytes of one."""
    declared_feed = bench.platform.feed(feed)
    files: InboxFiles | InboxObjects
    if bench.platform.settings.store is StoreKind.S3:
        files = InboxObjects(bench.platform.inbox, declared_feed, client_id)
    else:
        files = InboxFiles(bench.inbox, declared_feed, client_id)
    declared = topics or bench.platform.feed(feed).mqtt.topics
    messages: list[str] = []
    bridge = Bridge(
        broker=Broker.from_env({}, url=broker) if isinstance(broker, str) else broker,
        session=Session(client_id, [TopicPattern.parse(topic) for topic in declared], receive_maximum),
        limits=limits,
        write=lambda content: write(files, content) if write else files.write(content),
        report=messages.append,
        show=lambda _: None,
        resumes=files.exist(),
    )
    error: list[BaseException] = []

    def run() -> None:
        try:
            bridge.run()
        except BaseException as failure:  # noqa: BLE001 - whatever it is, the test looks at it
            error.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return RunningBridge(bridge, messages, thread, error)


def command(bench: Workbench, url: str, *options: object, script: str = "") -> subprocess.Popen:
    """Start ``metrify bridge mqtt`` as a process of its own; ``script`` runs before it, in the same process."""
    settings = bench.platform.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("METRIFY_")}
    environment |= {
        "METRIFY_ROOT": str(settings.root),
        "METRIFY_SHARDS": str(settings.shards),
        "METRIFY_FEEDS_DIR": str(settings.feeds_dir),
        "METRIFY_MQTT_URL": url,
    }
    if settings.store is StoreKind.S3:
        environment |= {
            "METRIFY_STORE": "s3",
            "METRIFY_S3_BUCKET": settings.s3_bucket,
            "METRIFY_S3_PREFIX": settings.s3_prefix,
            "METRIFY_S3_ENDPOINT": settings.s3_endpoint,
        }
    arguments = ["bridge", "mqtt", "--feed", "meters_mqtt", "--client-id", "bridge", *map(str, options)]
    program = (
        f"import sys\n{script}\nfrom metrify_assets.cli.main import main\n"
        f"sys.argv = ['metrify', *{arguments!r}]\nmain()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def files_of(bench: Workbench, feed: str = "meters_mqtt") -> list[Path]:
    """Return the finished files of a feed in the order of their writing."""
    return sorted((bench.inbox / feed).glob("mqtt_*.jsonl"))


def lines_of(bench: Workbench, feed: str = "meters_mqtt") -> list[dict]:
    """Return all lines that arrived, in order."""
    return [json.loads(line) for path in files_of(bench, feed) for line in path.read_bytes().splitlines()]
