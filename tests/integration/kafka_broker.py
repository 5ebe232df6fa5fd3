"""A real Kafka broker on loopback: one node, its own controller, from the jars of `kafka/pom.xml`.

Belongs here: getting the jars, starting and stopping the broker, and what a sender or an administrator does to a topic.
Tests skip where Java or the jars cannot be had, and say why; with METRIFY_REQUIRE_SERVERS=1 they fail instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from tests.integration.processes import free_port

POM = Path(__file__).parent / "kafka" / "pom.xml"
CACHE_VARIABLE = "METRIFY_TEST_CACHE"
REQUIRE_VARIABLE = "METRIFY_REQUIRE_SERVERS"
JAVA = 17
PATIENCE_SECONDS = 180
"""Longest wait for anything that the broker does; no test asserts how long it takes."""


class NoBrokerError(Exception):
    """A broker cannot be had here, in one line."""


def require_java() -> None:
    """Raise ``NoBrokerError`` unless a Java is there that the broker runs on."""
    if shutil.which("java") is None:
        raise NoBrokerError(f"there is no Java: install Java {JAVA} to run a Kafka broker")
    output = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = output.partition('"')[2].partition(".")[0]
    if not version.isdigit() or int(version) < JAVA:
        raise NoBrokerError(f"the Kafka broker needs Java {JAVA} or later, found {output.splitlines()[:1]}")


def jars() -> Path:
    """Return the folder of the broker's jars; the first time they are fetched with Maven."""
    require_java()
    cache = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "metrify-kafka")
    folder = cache / f"jars-{sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise NoBrokerError(f"the Kafka broker's jars are not in {cache} and there is no mvn to fetch them")
    cache.mkdir(parents=True, exist_ok=True)
    # Fetched beside their place and renamed: another session may do the same at this moment.
    with tempfile.TemporaryDirectory(dir=cache) as beside:
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        fetched = subprocess.run(
            [*command, f"-DoutputDirectory={beside}/jars"], capture_output=True, text=True, check=False
        )
        if fetched.returncode:
            last = (fetched.stdout + fetched.stderr).strip().splitlines()[:1]
            raise NoBrokerError(f"the Kafka broker's jars cannot be fetched: {last}")
        with contextlib.suppress(OSError):
            os.rename(f"{beside}/jars", folder)
    return folder


def eventually(what: str, condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came true that {what}")
        time.sleep(0.1)


class Broker:
    """One node that is broker and controller, in a folder of its own.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None
        self._classpath = f"{jars()}/*"
        self._properties = folder / "server.properties"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "logs",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.min.isr": 1,
            # What a test waits for happens soon.
            "log.initial.task.delay.ms": 200,
            "log.retention.check.interval.ms": 200,
            "log.cleaner.backoff.ms": 200,
            "log.cleaner.dedupe.buffer.size": 4 << 20,
            "log.segment.delete.delay.ms": 100,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "background.threads": 2,
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))

    def _command(self, *arguments: str) -> list[str]:
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *options, "-cp", self._classpath, *arguments]

    def _java(self, *arguments: str) -> None:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 500})

    def start(self) -> None:
        """Start the node and wait until it answers."""
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._properties)), stdout=log, stderr=log, start_new_session=True
            )

        def answers() -> bool:
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2_000:]
            try:
                return bool(self.admin.list_topics(timeout=1).brokers)
            except KafkaException:
                return False

        eventually("the broker answers", answers)

    def kill(self) -> None:
        """End the node at once, as a power failure does: ended in order, it sometimes takes minutes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def create(self, topic: str, partitions: int = 1, **config: object) -> None:
        """Create a topic; ``retention_ms=1000`` sets ``retention.ms``."""
        named = {name.replace("_", "."): str(value) for name, value in config.items()}
        wanted = NewTopic(topic, partitions, 1, config=named)

        def created() -> bool:
            # A topic of that name may still be on its way out.
            try:
                self.admin.create_topics([wanted])[topic].result(PATIENCE_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
                return False
            return True

        eventually(f"topic {topic} is created", created)
        eventually(f"topic {topic} has leaders", lambda: self._has_leaders(topic, partitions))

    def _has_leaders(self, topic: str, partitions: int) -> bool:
        replicas = self.admin.list_topics(topic, timeout=5).topics[topic].partitions
        return len(replicas) == partitions and all(partition.leader == 1 for partition in replicas.values())

    def delete(self, topic: str) -> None:
        """Delete a topic and wait until it is gone."""
        self.admin.delete_topics([topic])[topic].result(PATIENCE_SECONDS)
        eventually(f"topic {topic} is gone", lambda: topic not in self.admin.list_topics(timeout=5).topics)

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have so many partitions."""
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(PATIENCE_SECONDS)
        eventually(f"topic {topic} has leaders", lambda: self._has_leaders(topic, partitions))

    def configure(self, topic: str, **config: object) -> None:
        """Change the configuration of a topic."""
        entries = [
            ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result(PATIENCE_SECONDS)

    def low(self, topic: str, partition: int = 0) -> int:
        """Return the first offset that is left."""
        return self._offset(topic, partition, OffsetSpec.earliest())

    def high(self, topic: str, partition: int = 0) -> int:
        """Return the offset after the last record, committed or not."""
        return self._offset(topic, partition, OffsetSpec.latest())

    def _offset(self, topic: str, partition: int, spec: OffsetSpec) -> int:
        (future,) = self.admin.list_offsets({TopicPartition(topic, partition): spec}).values()
        return future.result(PATIENCE_SECONDS).offset

    def cut(self, topic: str, before: int, partition: int = 0) -> None:
        """Delete the records before an offset, as an administrator can."""
        (future,) = self.admin.delete_records([TopicPartition(topic, partition, before)]).values()
        future.result(PATIENCE_SECONDS)

    def producer(self, **config: object) -> Producer:
        """Return a producer that writes each record once."""
        named = {name.replace("_", "."): value for name, value in config.items()}
        return Producer(
            {"bootstrap.servers": self.bootstrap, "log_level": 0, "enable.idempotence": True, "linger.ms": 5, **named}
        )

    def produce(
        self, topic: str, values: Iterable[bytes | None], *, partition: int = 0, key: bytes | None = None
    ) -> None:
        """Write records and wait until the broker has them all."""
        producer = self.producer()
        for value in values:
            while True:
                try:
                    producer.produce(topic, value, key, partition)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(PATIENCE_SECONDS) == 0


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Broker]:
    """Yield a broker that runs, and kill it in the end; raise ``NoBrokerError`` where none can be had."""
    broker = Broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def require_broker() -> None:
    """Skip the tests where no broker can be had, or fail them where servers are required."""
    try:
        jars()
    except NoBrokerError as error:
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(f"{REQUIRE_VARIABLE}=1, but {error}")
        pytest.skip(str(error))


@contextlib.contextmanager
def running_or_skipped(folder: Path) -> Iterator[Broker]:
    """Yield a broker that runs; where none can be had, skip the tests, or fail them where servers are required."""
    require_broker()
    with running(folder) as broker:
        yield broker
