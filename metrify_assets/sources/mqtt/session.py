"""A persistent session with a broker, as the bridge asks for it, and the client that speaks for it.

Belongs here: what is asked of the broker when connecting and subscribing, what its refusals mean, and the waits between
attempts. Does not belong here: the loop (``mqtt.py``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrify_assets.errors import BridgeError, require_extra
from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.sources.mqtt.broker import Broker

if TYPE_CHECKING:
    from paho.mqtt.client import Client

KEEPALIVE_SECONDS = 30
LARGEST_WINDOW = 65_535
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between attempts: doubled each time, with jitter."""

REFUSED_FOR_GOOD = {
    132: "the broker does not speak MQTT 5: use one that does",
    133: "the broker does not accept the client id: choose another with --client-id",
    134: "the broker refuses user and password: set METRIFY_MQTT_USERNAME and METRIFY_MQTT_PASSWORD",
    135: "the broker does not let this user in: give it the right, or set METRIFY_MQTT_USERNAME",
    138: "the broker has banned this client: ask who runs it",
    140: "the broker wants another authentication: set METRIFY_MQTT_USERNAME, or a client certificate",
}
"""Reason codes of a refused connection (MQTT 5.0, 3.2.2.2) that are final: trying again does not help."""
TAKEN_OVER = 142
"""Reason code of a connection that the broker closes because another client has the same id."""


@dataclass(frozen=True)
class Session:
    """What the bridge asks the broker for.

    Attributes
    ----------
    client_id : str
        Names the session: it goes on where one of the same name ended.
    patterns : sequence of TopicPattern
    receive_maximum : int
        Most messages that may be under way without an acknowledgement.
    expiry_seconds : int
        How long the broker keeps the session, and what arrives for it, while the bridge is away.
    """

    client_id: str
    patterns: Sequence[TopicPattern]
    receive_maximum: int = 20_000
    expiry_seconds: int = 7 * 86_400


@dataclass
class Pause:
    """Growing waits between attempts."""

    until: float = 0.0
    seconds: float = SHORTEST_PAUSE

    def lengthen(self, now: float) -> float:
        """Wait once more, longer than the last time; return for how many seconds."""
        waits = self.seconds * random.uniform(0.5, 1.0)
        self.until = now + waits
        self.seconds = min(2 * self.seconds, LONGEST_PAUSE)
        return waits

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self.until, self.seconds = 0.0, SHORTEST_PAUSE


def new_client(broker: Broker, session: Session) -> Client:
    """Return a client that leaves acknowledging to its caller; raise ``BridgeError`` if certificates cannot be used."""
    require_extra("mqtt", "the bridge to an MQTT broker")
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, session.client_id, protocol=paho.MQTTv5, manual_ack=True)
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password.get_secret_value() if broker.password else None)
    if broker.tls:
        files = (broker.ca_file, broker.cert_file, broker.key_file)
        authorities, certificate, key = (str(path) if path else None for path in files)
        try:
            client.tls_set(authorities, certificate, key)
        except OSError as error:
            raise BridgeError(
                f"the certificates cannot be used ({error}): check METRIFY_MQTT_CA_FILE, _CERT_FILE and _KEY_FILE"
            ) from error
    return client


def connect(client: Client, broker: Broker, session: Session) -> None:
    """Ask for the session; the answer comes later. Raises ``OSError`` if the broker cannot be reached."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    # The library leaves this class without types.
    wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    wishes.SessionExpiryInterval = session.expiry_seconds
    wishes.ReceiveMaximum = session.receive_maximum
    client.connect(broker.host, broker.port, KEEPALIVE_SECONDS, clean_start=False, properties=wishes)


def subscribe(client: Client, session: Session) -> None:
    """Ask for the topics at QoS 1; retained messages come with a new subscription only."""
    from paho.mqtt.subscribeoptions import SubscribeOptions

    options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
    client.subscribe([(pattern.filter, options) for pattern in session.patterns])
