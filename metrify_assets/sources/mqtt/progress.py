"""How far the bridge is: counts, rate and delay, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrify_assets.sources.mqtt.batches import Batch, Collector


@dataclass
class Progress:
    """What a bridge has done so far.

    Attributes
    ----------
    looked_at : float
        When it was looked at last, in seconds of the caller's clock.
    messages : int
        Received, those sent again included.
    repeated : int
        Sent again by the broker, recognised and not written twice.
    lost : int
        Messages of QoS 0 that came while the memory for messages was full, because nothing could be written.
    written, batches, size : int
        Messages, files and bytes that are durable.
    waiting : int
        Messages that wait for their batch to be due.
    messages_per_second : float
        Since the look before.
    delay_seconds : float
        Longest time between receiving a message and its being durable, since the look before.
    connected : bool
    """

    looked_at: float
    messages: int = 0
    repeated: int = 0
    lost: int = 0
    written: int = 0
    batches: int = 0
    size: int = 0
    waiting: int = 0
    messages_per_second: float = 0.0
    delay_seconds: float = 0.0
    connected: bool = False
    _messages_before: int = 0
    _delay: float = 0.0

    def wrote(self, batch: Batch, now: float) -> None:
        """Count a batch that became durable; one of repeated messages alone is no file."""
        self.written += len(batch.lines)
        self.batches += bool(batch.lines)
        self.size += batch.size
        self._delay = max(self._delay, now - (batch.began if batch.began is not None else now))

    def look(self, collector: Collector, connected: bool, now: float) -> None:
        """Work out what changed since the last look."""
        passed = now - self.looked_at
        self.messages_per_second = (self.messages - self._messages_before) / passed if passed > 0 else 0.0
        self.delay_seconds, self._delay = self._delay, 0.0
        self.repeated = collector.repeated
        self.waiting = len(collector.batch.lines)
        self.connected = connected
        self.looked_at, self._messages_before = now, self.messages

    def as_record(self) -> dict[str, Any]:
        """Return the progress as plain values, for JSON."""
        names = ("messages", "repeated", "lost", "written", "batches", "size", "waiting", "connected")
        return {
            **{name: getattr(self, name) for name in names},
            "messages_per_second": round(self.messages_per_second, 1),
            "delay_seconds": round(self.delay_seconds, 3),
        }

    def as_text(self) -> str:
        """Return the progress as one line for people."""
        state = "connected" if self.connected else "not connected"
        return (
            f"{state}: {self.written:,} messages in {self.batches:,} files ({self.size:,} bytes), {self.waiting:,} "
            f"waiting, {self.repeated:,} repeated, {self.lost:,} lost; {self.messages_per_second:,.0f} messages/s, "
            f"durable within {self.delay_seconds:.1f} s"
        )
