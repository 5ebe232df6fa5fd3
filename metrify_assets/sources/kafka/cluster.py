"""The Kafka cluster: topics, watermarks, and the records of an explicit range of offsets.

Belongs here: everything that talks to a broker, and how a connection is set up. Nothing is stored there: no consumer
group is joined and no offset is committed. Does not belong here: which offsets to read (``drops/offsets.py``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from metrify_assets.errors import SettingsError, StreamError, require_extra
from metrify_assets.feeds.formats.stream_source import RECORDS
from metrify_assets.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from confluent_kafka import Consumer, KafkaError, KafkaException, Message
    from confluent_kafka.admin import AdminClient

T = TypeVar("T")

KAFKA_SECRETS = {
    "sasl.username": "METRIFY_KAFKA_USERNAME",
    "sasl.password": "METRIFY_KAFKA_PASSWORD",
    "ssl.key.password": "METRIFY_KAFKA_SSL_KEY_PASSWORD",
}
"""Properties of librdkafka that come from the environment, and from nowhere else."""

BATCH_RECORDS = 10_000
"""Most records that one call of the client returns."""
QUEUED_KIBIBYTES = 32 * 1024
"""Bytes that the client fetches ahead: bounds memory."""
_WAIT_SECONDS = 0.2
_NO_TIMESTAMP = 0
"""``confluent_kafka.TIMESTAMP_NOT_AVAILABLE``."""


@dataclass(frozen=True)
class Topic:
    """A topic as the broker describes it: its id (new for a topic that is created again) and its partitions."""

    name: str
    topic_id: str
    partitions: tuple[int, ...]


@dataclass(frozen=True)
class Watermarks:
    """First offset that the broker still has, and the one after the last record that is committed."""

    low: int
    high: int


class OffsetsExpiredError(Exception):
    """The broker no longer has the offset that is to be read next.

    Attributes
    ----------
    low : int
        First offset that it still has.
    """

    def __init__(self, low: int) -> None:
        super().__init__(f"the first offset left is {low}")
        self.low = low


class KafkaCluster:
    """A cluster of brokers.

    Parameters
    ----------
    bootstrap : str
        ``host:port``, several separated by commas.
    config_file : Path, optional
        File of ``property=value`` lines for librdkafka: protocol, certificates, mechanisms.
    timeout_seconds : float
        Longest wait for an answer, and for the next record.
    secrets : mapping, optional
        Secrets by the environment variable that holds them (see ``KAFKA_SECRETS``); those of this process if omitted.
    """

    def __init__(
        self,
        bootstrap: str,
        config_file: Path | None = None,
        timeout_seconds: float = 10,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self._config_file = config_file
        require_extra("kafka", "reading topics")
        self._timeout = timeout_seconds
        self._secrets = secrets

    def config(self) -> dict[str, Any]:
        """Return librdkafka's properties; raise ``SettingsError`` if the file cannot be read or holds a secret."""
        environ = os.environ if self._secrets is None else self._secrets
        given = read_properties(self._config_file) if self._config_file else {}
        kept = [name for name in given if name in KAFKA_SECRETS]
        if kept:
            variable = KAFKA_SECRETS[kept[0]]
            raise SettingsError(
                f"{self._config_file} holds {kept[0]}: remove it there and set {variable} in the environment"
            )
        secrets = {name: environ[variable] for name, variable in KAFKA_SECRETS.items() if environ.get(variable)}
        # Errors are raised where they matter; without this librdkafka also prints each failed attempt to connect.
        defaults = {"log_level": 0, "reconnect.backoff.max.ms": 1_000}
        return {**defaults, **given, **secrets, "bootstrap.servers": self.bootstrap}

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Return those of some topics that exist and may be described, by name.

        Raises
        ------
        StreamError
            If the broker does not answer.
        """
        from confluent_kafka import KafkaError, KafkaException, TopicCollection

        absent = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED)
        topics: dict[str, Topic] = {}
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout)
        for name, future in futures.items():
            try:
                described = self._answer(future, f"topic {name}")
            except StreamError as error:
                cause = error.__cause__
                if isinstance(cause, KafkaException) and cause.args[0].code() in absent:
                    continue
                raise
            numbers = tuple(sorted(partition.id for partition in described.partitions))
            topics[name] = Topic(name, str(described.topic_id), numbers)
        return topics

    def watermarks(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Watermarks]:
        """Return the watermarks of some partitions in two requests; a partition that has no answer is left out.

        Raises
        ------
        StreamError
            If none has an answer.
        """
        from confluent_kafka import IsolationLevel, TopicPartition

        # Documented as part of this module, which does not list it among its names; its methods have no types.
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

        wanted = [TopicPartition(topic, number) for topic, number in partitions]
        ends: list[dict[tuple[str, int], int]] = []
        refusal: StreamError | None = None
        specs = (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
        for spec in specs if wanted else ():
            futures = self._admin.list_offsets(
                dict.fromkeys(wanted, spec),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._timeout,
            )
            ends.append({})
            for partition, future in futures.items():
                try:
                    offsets = self._answer(future, f"{partition.topic}-{partition.partition}")
                except StreamError as error:
                    refusal = error
                    continue
                ends[-1][partition.topic, partition.partition] = offsets.offset
            if refusal is not None and not ends[-1]:
                raise refusal
        if not ends:
            return {}
        earliest, latest = ends
        return {key: Watermarks(low, latest[key]) for key, low in earliest.items() if key in latest}

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Yield the committed records of the offsets from ``start`` to before ``end``, in order.

        Yields
        ------
        batch : pyarrow.RecordBatch
            In the schema of ``RECORDS``.
        position : int
            First offset that is not in this batch or one before it; offsets without a record (markers of
            transactions, compacted records) are passed over.

        Raises
        ------
        OffsetsExpiredError
            If the broker no longer has the offset that comes next.
        StreamError
            If the broker does not answer, or refuses.
        """
        position = start
        consumer = self._consumer(topic, partition, start)
        patience = time.monotonic() + self._timeout
        try:
            while position < end:
                sorted_out = _sorted_out(consumer.consume(BATCH_RECORDS, timeout=_WAIT_SECONDS), end)
                if sorted_out.position is not None:
                    position = sorted_out.position
                    yield _batch(sorted_out.records), position
                    patience = time.monotonic() + self._timeout
                if sorted_out.trouble is not None:
                    # Even if the client would try again: records behind the event were set aside with it.
                    raise self._refusal(sorted_out.trouble, topic, partition, position)
                if sorted_out.at_end:
                    return
                if time.monotonic() > patience:
                    raise StreamError(
                        f"{topic}-{partition}: nothing came from {self.bootstrap} for {self._timeout:g} s at offset "
                        f"{position}: see that the broker runs"
                    )
        finally:
            consumer.close()

    def _refusal(self, error: KafkaError, topic: str, partition: int, position: int) -> Exception:
        """Return what a broker's refusal means."""
        from confluent_kafka import KafkaError

        if error.code() not in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            return StreamError(f"{topic}-{partition}: {error.str()}: see that the topic is there and may be read")
        marks = self.watermarks([(topic, partition)])[topic, partition]
        if position < marks.low:
            return OffsetsExpiredError(marks.low)
        return StreamError(
            f"{topic}-{partition} ends at {marks.high}, before offset {position}: the broker lost records; raise the "
            "feed's generation to read it again"
        )

    @cached_property
    def _admin(self) -> AdminClient:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            return AdminClient(self.config())
        except KafkaException as error:
            raise self._wrong_property(error) from error

    def _consumer(self, topic: str, partition: int, start: int) -> Consumer:
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        properties = {
            # The client wants a name for its group; none is joined, because the partition is assigned.
            "group.id": "metrify",
            "queued.max.messages.kbytes": QUEUED_KIBIBYTES,
            **self.config(),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
        }
        try:
            consumer = Consumer(properties)
        except KafkaException as error:
            raise self._wrong_property(error) from error
        consumer.assign([TopicPartition(topic, partition, start)])
        return consumer

    def _wrong_property(self, error: KafkaException) -> SettingsError:
        reason = error.args[0].str()
        return SettingsError(f"the Kafka client refuses its properties ({reason}): correct {self._config_file}")

    def _answer(self, future: Future[T], what: str) -> T:
        from confluent_kafka import KafkaException

        try:
            return future.result(self._timeout + _WAIT_SECONDS)
        except (KafkaException, TimeoutError) as error:
            reason = error.args[0].str() if error.args else "no answer"
            raise StreamError(
                f"{what}: no answer from {self.bootstrap} ({reason}): see that the broker runs"
            ) from error


def read_properties(path: Path) -> dict[str, str]:
    """Return the ``property=value`` lines of a file; raise ``SettingsError`` in one line if it is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"METRIFY_KAFKA_CONFIG_FILE={path} cannot be read ({error}): give a text file") from error
    properties: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, sign, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not sign or not name.strip():
            raise SettingsError(f"{path}:{number}: expected property=value, such as security.protocol=SSL")
        properties[name.strip()] = value.strip()
    return properties


@dataclass(frozen=True)
class _Found:
    """What one call of the client brought: records, where they lead to, and events behind them."""

    records: list[Message]
    position: int | None
    at_end: bool
    trouble: KafkaError | None


def _sorted_out(messages: list[Message], end: int) -> _Found:
    """Separate records before ``end`` from the end of the partition and from errors."""
    from confluent_kafka import KafkaError

    # Nearly always there is no event: then no record is looked at twice.
    events = [message for message in messages if message.error() is not None]
    records = messages[: messages.index(events[0])] if events else messages
    if records and _offset(records[-1]) >= end:
        return _Found([message for message in records if _offset(message) < end], end, False, None)
    position = _offset(records[-1]) + 1 if records else None
    trouble = events[0].error() if events else None
    if trouble is None:
        return _Found(records, position, False, None)
    if trouble.code() != KafkaError._PARTITION_EOF:
        return _Found(records, position, False, trouble)
    # Behind the last record there may be markers of transactions: the event says where the log ends.
    return _Found(records, min(_offset(events[0]), end), True, None)


def _offset(message: Message) -> int:
    """Return where a message stands; the client leaves that out of messages that were not yet sent only."""
    offset = message.offset()
    if offset is None:
        raise ValueError("a message that was read has no offset")
    return offset


def _batch(messages: list[Message]) -> pa.RecordBatch:
    stamps = [message.timestamp() for message in messages]
    columns = [
        [message.offset() for message in messages],
        [None if kind == _NO_TIMESTAMP else moment for kind, moment in stamps],
        [message.key() for message in messages],
        [message.value() for message in messages],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, RECORDS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORDS)


@cache
def cluster_of(settings: Settings) -> KafkaCluster:
    """Return the cluster of an installation; raise ``SettingsError`` if it has none."""
    if settings.kafka_bootstrap is None:
        raise SettingsError("there is no Kafka cluster: set METRIFY_KAFKA_BOOTSTRAP to host:port")
    return KafkaCluster(settings.kafka_bootstrap, settings.kafka_config_file, settings.kafka_timeout_seconds)
