"""Messages on their way to a file: what waits, when it is due, and what may be acknowledged afterwards.

Belongs here: the batch, its limits, and recognising messages that the broker sends again. Does not belong here: clocks,
files and connections; all of them are given.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.sources.mqtt.messages import Message, line_of


@dataclass(frozen=True)
class Limits:
    """When a batch becomes a file: whichever comes first.

    Attributes
    ----------
    messages : int
    size : int
        Bytes of its lines.
    age_seconds : float
        Since its first message.
    """

    messages: int = 10_000
    size: int = 16 << 20
    age_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """A packet that may be acknowledged once its batch is durable, on the connection that brought it."""

    connection: int
    packet: int


@dataclass
class Batch:
    """Messages that wait to become a file.

    Attributes
    ----------
    lines : list of bytes
    receipts : list of Receipt
        In the order of arrival, which the protocol wants kept; repeated messages have one, and no line.
    size : int
        Bytes of the lines, line ends included.
    began : float or None
        When the first message came, in seconds of the caller's clock.
    """

    lines: list[bytes] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    size: int = 0
    began: float | None = None

    @property
    def content(self) -> bytes:
        """The file: one line per message."""
        return b"".join(line + b"\n" for line in self.lines)

    def is_due(self, limits: Limits, now: float) -> bool:
        """Return whether the batch has reached one of its limits."""
        if self.began is None:
            return False
        return (
            max(len(self.lines), len(self.receipts)) >= limits.messages
            or self.size >= limits.size
            or now - self.began >= limits.age_seconds
        )

    def due_in(self, limits: Limits, now: float) -> float:
        """Return the seconds until the batch is due by its age."""
        return limits.age_seconds if self.began is None else max(self.began + limits.age_seconds - now, 0.0)


class Collector:
    """Takes messages in and hands out batches.

    A message that the broker sends again after a lost connection, because the acknowledgement did not reach it, is
    recognised by its packet identifier, topic and payload among the last ``window`` ones: it is acknowledged with the
    batch and not written twice. What is dropped (after a restart, say) is written once more: reading the same value
    twice changes nothing.

    Parameters
    ----------
    patterns : sequence of TopicPattern
    window : int
        Most messages that the broker may send without an acknowledgement.
    """

    def __init__(self, patterns: Sequence[TopicPattern], window: int):
        self.batch = Batch()
        self.repeated = 0
        self._patterns = tuple(patterns)
        self._window = window
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def take(self, message: Message, now: float) -> None:
        """Add a message to the batch that waits."""
        batch = self.batch
        if batch.began is None:
            batch.began = now
        if message.packet:
            batch.receipts.append(Receipt(message.connection, message.packet))
            if self._is_repeated(message):
                self.repeated += 1
                return
        line = line_of(message, self._patterns)
        batch.lines.append(line)
        batch.size += len(line) + 1

    def next_batch(self) -> None:
        """Begin a new batch: the one before is durable."""
        self.batch = Batch()

    def clear(self) -> None:
        """Drop the record of which messages came: the broker numbers its packets anew."""
        self._recent.clear()

    def _is_repeated(self, message: Message) -> bool:
        identity = blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).digest()
        if message.duplicate and self._recent.get(message.packet) == identity:
            return True
        self._recent[message.packet] = identity
        self._recent.move_to_end(message.packet)
        if len(self._recent) > self._window:
            self._recent.popitem(last=False)
        return False
