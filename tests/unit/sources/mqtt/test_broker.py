from __future__ import annotations

import pytest
from paho.mqtt.client import DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from metrify_assets.errors import BridgeError, SettingsError
from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.sources.mqtt.batches import Limits
from metrify_assets.sources.mqtt.broker import Broker
from metrify_assets.sources.mqtt.mqtt import Bridge
from metrify_assets.sources.mqtt.session import LONGEST_PAUSE, SHORTEST_PAUSE, Pause, Session


def test_the_address_names_host_port_and_whether_it_is_encrypted():
    plain = Broker.from_env({}, url="mqtt://broker.example")
    assert (plain.host, plain.port, plain.tls) == ("broker.example", 1883, False)
    secure = Broker.from_env({"METRIFY_MQTT_URL": "mqtts://[::1]:9000/"})
    assert (secure.host, secure.port, secure.tls) == ("::1", 9000, True)


def test_secrets_come_from_the_environment_and_are_not_shown():
    broker = Broker.from_env({"METRIFY_MQTT_USERNAME": "m", "METRIFY_MQTT_PASSWORD": "s3cret"})
    assert broker.password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(broker)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"METRIFY_MQTT_URL": "http://x"}, "METRIFY_MQTT_URL: write mqtt://"),
        ({"METRIFY_MQTT_URL": "mqtt://x:port"}, "write mqtt://"),
        ({"METRIFY_MQTT_URL": "mqtt://x/topic"}, "write mqtt://"),
        ({"METRIFY_MQTT_URL": "mqtt://m:s3cret@x"}, "leave user and password out"),
        ({"METRIFY_MQTT_PASSWORD": "s3cret"}, "a password needs METRIFY_MQTT_USERNAME"),
        ({"METRIFY_MQTT_URL": "mqtts://x", "METRIFY_MQTT_CA_FILE": "/absent.pem"}, "METRIFY_MQTT_CA_FILE: is no file"),
        ({"METRIFY_MQTT_CA_FILE": __file__}, "certificates need TLS"),
        ({"METRIFY_MQTT_URL": "mqtts://x", "METRIFY_MQTT_CERT_FILE": __file__}, "belong together"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_secret(environ, message):
    with pytest.raises(SettingsError, match=message) as error:
        Broker.from_env(environ)
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("limits", "window", "message"),
    [(Limits(messages=21), 20, "is never full"), (Limits(messages=1), 0, "from 1"), (Limits(), 70_000, "to 65535")],
)
def test_limits_that_do_not_fit_the_session_are_told(limits, window, message):
    with pytest.raises(BridgeError, match=message):
        Bridge(Broker(), Session("x", [], window), limits, write=lambda _: None, report=print, show=print)


def bridge() -> Bridge:
    return Bridge(
        Broker(),
        Session("x", [TopicPattern.parse("meters/{point}/energy")]),
        Limits(),
        write=lambda _: None,
        report=lambda _: None,
        show=print,
    )


def test_a_broker_that_says_that_another_took_over_ends_the_bridge():
    work = bridge()
    taken_over = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")
    work._on_disconnect(None, None, DisconnectFlags(is_disconnect_packet_from_server=True), taken_over, None)
    with pytest.raises(BridgeError, match="another bridge connected as x"):
        work.run()


def test_a_topic_that_the_user_may_not_read_ends_the_bridge_with_what_to_do():
    work = bridge()
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    work._on_subscribe(None, None, 1, [refused], None)
    with pytest.raises(BridgeError, match=r"refuses meters/\+/energy \(Not authorized\): give the user the right"):
        work.run()
    assert not work.subscribed


def test_pauses_grow_to_a_limit_and_begin_anew():
    pause = Pause()
    waits = [pause.lengthen(now=100.0) for _ in range(12)]
    assert all(SHORTEST_PAUSE / 2 <= wait <= LONGEST_PAUSE for wait in waits)
    assert waits[-1] >= LONGEST_PAUSE / 2
    assert pause.until == 100 + waits[-1]
    pause.reset()
    assert pause.lengthen(now=0.0) <= SHORTEST_PAUSE
