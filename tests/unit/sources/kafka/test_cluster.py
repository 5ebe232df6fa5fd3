"""The Kafka cluster without a broker: properties, secrets, and a broker that is not there."""

from __future__ import annotations

import socket

import pytest

from metrify_assets.errors import SettingsError, StreamError
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import KafkaCluster, cluster_of


def cluster(tmp_path, text: str = "", secrets: dict[str, str] | None = None) -> KafkaCluster:
    path = tmp_path / "kafka.properties"
    path.write_text(text)
    return KafkaCluster("127.0.0.1:1", path, timeout_seconds=0.5, secrets=secrets or {})


def test_an_installation_without_a_broker_says_so(tmp_path):
    with pytest.raises(SettingsError, match="set METRIFY_KAFKA_BOOTSTRAP to host:port"):
        cluster_of(Settings(root=tmp_path))


def test_properties_come_from_the_file_and_secrets_from_the_environment(tmp_path):
    secrets = {"METRIFY_KAFKA_USERNAME": "metrify", "METRIFY_KAFKA_PASSWORD": "a=b"}
    text = "# TLS\nsecurity.protocol = SASL_SSL\n\nsasl.mechanism=SCRAM-SHA-512\n"
    properties = cluster(tmp_path, text, secrets).config()
    assert properties["security.protocol"] == "SASL_SSL"
    assert properties["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (properties["sasl.username"], properties["sasl.password"]) == ("metrify", "a=b")
    assert properties["bootstrap.servers"] == "127.0.0.1:1"


def test_a_password_in_the_file_is_refused_without_showing_it(tmp_path):
    with pytest.raises(SettingsError, match="set METRIFY_KAFKA_PASSWORD in the environment") as caught:
        cluster(tmp_path, "sasl.password=secret-1").config()
    assert "secret-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("security.protocol", "kafka.properties:1: expected property=value"), ("=x", "expected property=value")],
)
def test_a_line_that_is_no_property_is_named(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        cluster(tmp_path, text).config()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"METRIFY_KAFKA_CONFIG_FILE=.*cannot be read"):
        KafkaCluster("127.0.0.1:1", tmp_path / "none").config()


def test_a_property_that_the_client_does_not_know_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r'No such configuration property: "securty\.protocol"'):
        cluster(tmp_path, "securty.protocol=SSL").topics(["a"])


def test_a_broker_that_is_not_there_is_one_line_within_the_timeout(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = KafkaCluster(f"127.0.0.1:{probe.getsockname()[1]}", timeout_seconds=0.5)
        for ask in (lambda: nobody.topics(["a"]), lambda: nobody.watermarks([("a", 0)])):
            with pytest.raises(StreamError, match=r"no answer from 127\.0\.0\.1:.*see that the broker runs") as caught:
                ask()
            assert "\n" not in str(caught.value)
        with pytest.raises(StreamError, match=r"nothing came from 127\.0\.0\.1"):
            list(nobody.read("a", 0, 0, 1))
