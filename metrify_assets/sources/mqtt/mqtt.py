"""The bridge: a persistent session with an MQTT broker, emptied into inbox files.

Belongs here: connecting, the loop, acknowledging, stopping. Does not belong here: what a batch is (``batches.py``) and
how a file is written (``inbox_files.py``).

The order of steps is what makes it safe: receive, write the file and wait until it is durable, acknowledge. Whatever is
not acknowledged the broker sends again, so a message is lost at no point; one may be written twice if the bridge dies
between the last two steps. The broker never has more than ``receive_maximum`` messages under way, which bounds memory:
while files cannot be written, nothing is acknowledged, and the broker waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metrify_assets.errors import BridgeError
from metrify_assets.sources.mqtt.batches import Batch, Collector, Limits
from metrify_assets.sources.mqtt.broker import Broker
from metrify_assets.sources.mqtt.messages import Message
from metrify_assets.sources.mqtt.progress import Progress
from metrify_assets.sources.mqtt.session import (
    LARGEST_WINDOW,
    REFUSED_FOR_GOOD,
    TAKEN_OVER,
    Pause,
    Session,
    connect,
    new_client,
    subscribe,
)

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

ANSWER_SECONDS = 10
"""How long the broker may take to answer a connection."""
SLICE_SECONDS = 0.25
"""Longest wait in one go: a request to stop is heard within it."""
BURST = 1_000
"""Most packets that are read before anything else is looked at."""
STEADY_SECONDS = 10.0
"""A connection that is lost sooner counts as a failed attempt: two bridges of one name throw each other out."""
SILENCE_SECONDS = 0.2
DRAIN_SECONDS = 5.0


@dataclass
class Bridge:
    """Receives the messages of a feed until it is stopped.

    Parameters
    ----------
    broker : Broker
    session : Session
    limits : Limits
    write : callable
        Makes a batch durable under a name of its own, or raises ``OSError``.
    report : callable
        Takes one line for people: connections lost, files that cannot be written.
    show : callable
        Takes ``Progress`` now and then.
    show_seconds : float
    resumes : bool
        Whether the session was used before, so that the broker should know it.

    Raises
    ------
    BridgeError
        If limits do not fit the session.
    """

    broker: Broker
    session: Session
    limits: Limits
    write: Callable[[bytes], object]
    report: Callable[[str], None]
    show: Callable[[Progress], None]
    show_seconds: float = 10.0
    resumes: bool = False
    progress: Progress = field(init=False)
    subscribed: bool = field(init=False, default=False)
    """Whether the broker has granted the topics on the connection of now."""

    def __post_init__(self) -> None:
        if not 1 <= self.session.receive_maximum <= LARGEST_WINDOW:
            raise BridgeError(f"--receive-maximum is from 1 to {LARGEST_WINDOW}, not {self.session.receive_maximum}")
        if self.limits.messages > self.session.receive_maximum:
            raise BridgeError(
                f"a batch of {self.limits.messages} messages is never full if only {self.session.receive_maximum} may "
                "be under way: lower --max-messages or raise --receive-maximum"
            )
        self.progress = Progress(time.monotonic())
        self._collector = Collector(self.session.patterns, self.session.receive_maximum)
        self._client = new_client(self.broker, self.session)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._connection = 0
        self._connected, self._connected_at = False, 0.0
        self._stopping = False
        self._discarding = False
        self._seen = 0
        self._fatal = ""
        self._reconnecting, self._rewriting = Pause(), Pause()

    def stop(self) -> None:
        """Ask the bridge to write what it has, acknowledge it and leave. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> Progress:
        """Work until ``stop``; return what was done.

        Raises
        ------
        BridgeError
            If the broker refuses the bridge for good, or the last batch cannot be written.
        """
        shown = time.monotonic()
        while not self._stopping and not self._fatal:
            if self._connected:
                self._receive()
            else:
                self._connect()
            self._flush_if_due()
            if time.monotonic() - shown >= self.show_seconds:
                shown = time.monotonic()
                self._show()
        self._leave()
        return self.progress

    # Connecting.

    def _connect(self) -> None:
        """Try to connect once, or wait a moment until the next attempt is due."""
        now = time.monotonic()
        if now < self._reconnecting.until:
            time.sleep(min(SLICE_SECONDS, self._reconnecting.until - now))
            return
        problem = self._try_to_connect()
        if problem and not self._fatal:
            waits = self._reconnecting.lengthen(time.monotonic())
            self.report(f"{self.broker.host}:{self.broker.port} {problem}; next attempt in {waits:.1f} s")

    def _try_to_connect(self) -> str:
        """Connect and wait for the broker's answer; return what is wrong, empty if nothing is."""
        try:
            connect(self._client, self.broker, self.session)
        except OSError as error:
            return f"cannot be reached ({error.strerror or error})"
        until = time.monotonic() + ANSWER_SECONDS
        while not self._connected:
            if self._client.loop(SLICE_SECONDS) or self._stopping or self._fatal:
                return "closed the connection"
            if time.monotonic() > until:
                return f"does not answer within {ANSWER_SECONDS} s"
        return ""

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fatal = REFUSED_FOR_GOOD.get(reason.value, "")
            if not self._fatal:
                self.report(f"the broker does not accept the connection: {reason}")
            return
        self._connection += 1
        self._connected, self._connected_at = True, time.monotonic()
        if not flags.session_present:
            self._collector.clear()
            if self._connection > 1 or self.resumes:
                self.report(
                    f"the broker does not know the session {self.session.client_id} any more: what was published "
                    "meanwhile is lost; give the broker persistence, and the session a longer --session-days"
                )
        granted = getattr(properties, "SessionExpiryInterval", self.session.expiry_seconds)
        if granted < self.session.expiry_seconds:
            self.report(f"the broker keeps the session for {granted} s only, not {self.session.expiry_seconds} s")
        subscribe(client, self.session)

    def _on_subscribe(
        self, _client: Client, _data: object, _packet: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        for pattern, reason in zip(self.session.patterns, reasons, strict=True):
            if reason.is_failure:
                self._fatal = f"the broker refuses {pattern.filter} ({reason}): give the user the right to read it"
            elif reason.value < 1:
                self._fatal = f"the broker grants QoS 0 only for {pattern.filter}: allow QoS 1"
        self.subscribed = not self._fatal

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        was_connected, self._connected = self._connected, False
        self.subscribed = False
        if flags.is_disconnect_packet_from_server and reason.value == TAKEN_OVER:
            self._fatal = f"another bridge connected as {self.session.client_id}: stop one, or name it with --client-id"
        elif was_connected and not self._stopping and not self._fatal:
            self._lost(str(reason), time.monotonic())

    def _lost(self, reason: str, now: float) -> None:
        """Say that the connection was lost, and wait before the next attempt if that was soon."""
        if now - self._connected_at >= STEADY_SECONDS:
            self._reconnecting.reset()
            self.report(f"connection lost: {reason}")
            return
        waits = self._reconnecting.lengthen(now)
        self.report(
            f"connection lost at once: {reason}; next attempt in {waits:.1f} s. If this goes on, look whether another "
            f"bridge is connected as {self.session.client_id}: name one with --client-id"
        )

    # Receiving.

    def _receive(self) -> None:
        """Read what has come, at most until the batch is due."""
        now = time.monotonic()
        # A batch that is due and cannot be written waits for its next attempt, not for its age.
        quiet = max(self._collector.batch.due_in(self.limits, now), self._rewriting.until - now)
        if not self._read_burst(min(SLICE_SECONDS, quiet)):
            self._connected = False

    def _read_burst(self, wait: float) -> bool:
        """Wait for a packet, then read what else has come; return whether the connection is still there."""
        now = time.monotonic()
        code = self._client.loop(wait)
        seen = -1
        for _ in range(BURST):
            if code or seen == self._seen or self._collector.batch.is_due(self.limits, now):
                break
            seen = self._seen
            code = self._client.loop_read()
        return not code

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._seen += 1
        if self._discarding:
            return
        self.progress.messages += 1
        if not message.qos and len(self._collector.batch.lines) >= self.session.receive_maximum:
            # The broker does not wait for an acknowledgement of these: while nothing can be written, they are lost.
            self.progress.lost += 1
            return
        self._collector.take(
            Message(
                topic=message.topic,
                payload=bytes(message.payload),
                packet=message.mid if message.qos else 0,
                qos=message.qos,
                retained=message.retain,
                duplicate=bool(message.dup),
                received_at=time.time_ns() // 1_000,
                connection=self._connection,
            ),
            time.monotonic(),
        )

    # Writing and acknowledging.

    def _flush_if_due(self) -> None:
        """Write the batch if it has reached a limit, or its connection is lost and it may have to wait."""
        now = time.monotonic()
        batch = self._collector.batch
        if batch.began is None or now < self._rewriting.until:
            return
        if self._connected and not batch.is_due(self.limits, now):
            return
        try:
            self._flush(batch)
        except OSError as error:
            waits = self._rewriting.lengthen(time.monotonic())
            self.report(
                f"{len(batch.lines)} messages cannot be written ({error.strerror or error}): make room in the inbox, "
                f"or fix its permissions; they stay with the broker, next attempt in {waits:.1f} s"
                + (f"; {self.progress.lost} messages of QoS 0 were lost so far" if self.progress.lost else "")
            )

    def _flush(self, batch: Batch) -> None:
        """Make a batch durable, then acknowledge it; raise ``OSError`` if it cannot be written."""
        if batch.lines:
            self.write(batch.content)
        self._rewriting.reset()
        self.progress.wrote(batch, time.monotonic())
        self._collector.next_batch()
        for receipt in batch.receipts:
            # What came on an earlier connection comes again on this one, with its own turn to be acknowledged.
            if self._connected and receipt.connection == self._connection:
                self._client.ack(receipt.packet, 1)

    # Leaving.

    def _leave(self) -> None:
        """Write what is left, acknowledge it and disconnect; the session stays with the broker."""
        batch = self._collector.batch
        try:
            if batch.began is not None:
                self._flush(batch)
        except OSError as error:
            raise BridgeError(
                f"the last {len(batch.lines)} messages cannot be written ({error.strerror or error}): make room and "
                "start the bridge again; the broker has them"
            ) from error
        finally:
            self._drain()
            self._client.disconnect()
        self._show()
        if self._fatal:
            raise BridgeError(self._fatal)

    def _drain(self) -> None:
        """Send the last acknowledgements, and read until nothing comes any more.

        A socket that is closed with unread packets may take back what was sent last. What is read here is not
        acknowledged: the broker keeps it for the next time.
        """
        self._discarding = True
        until = time.monotonic() + DRAIN_SECONDS
        quiet_since = time.monotonic()
        while self._connected and time.monotonic() < until:
            waiting, seen = self._client.want_write(), self._seen
            if not self._read_burst(SILENCE_SECONDS / 4):
                return
            if waiting or self._seen != seen:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= SILENCE_SECONDS:
                return

    def _show(self) -> None:
        self.progress.look(self._collector, self._connected, time.monotonic())
        self.show(self.progress)
