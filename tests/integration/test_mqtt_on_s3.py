"""The MQTT bridge into the inbox of a bucket: what it acknowledges is an object, whatever is killed meanwhile."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from metrify_assets.landing.ingest import ingest
from metrify_assets.orchestration.automation.sensors import scan_inbox
from metrify_assets.registry.registries import build_registry
from metrify_assets.sources.mqtt.batches import Limits
from tests.integration.test_mqtt_bridge import DAY, energy_in, readings, subscribe, values
from tests.mosquitto import PATIENCE_SECONDS, Mosquitto, command, started, until
from tests.s3_server import Sender, new_bucket, s3_settings
from tests.workbench import Workbench, points_file, workbench

pytestmark = pytest.mark.servers

pytest_plugins = ["tests.s3_fixtures"]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker").start()
    yield broker
    broker.stop()


@pytest.fixture
def bench(sender: Sender, tmp_path: Path) -> Workbench:
    return workbench(tmp_path, **s3_settings(sender))


def objects(sender: Sender) -> list[str]:
    return [key for key in sender.all_keys() if key.startswith("inbox/meters_mqtt/mqtt_bridge_")]


def payloads(bench: Workbench, sender: Sender) -> list[float]:
    contents = [bench.platform.store.read(key) for key in objects(sender)]
    return [json.loads(line)["payload"]["kwh"] for content in contents for line in content.splitlines()]


def test_a_bridge_that_is_killed_and_stopped_loses_nothing_and_every_value_counts_once(bench, sender, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(192)
    mosquitto.publish(messages)
    killed = command(bench, mosquitto.url, "--max-messages", 30, "--receive-maximum", 60)
    until(lambda: len(objects(sender)) >= 3, "some objects")
    killed.kill()
    killed.communicate()
    again = command(bench, mosquitto.url, "--max-messages", 30, "--max-age", 0.2)
    until(lambda: len(set(payloads(bench, sender))) == len(messages), "the messages")
    again.send_signal(signal.SIGTERM)
    assert again.wait(PATIENCE_SECONDS) == 0
    again.communicate()
    # An object tells whole seconds: several came within one, and are read in the order of their names all the same.
    files = scan_inbox(bench.platform, "").files
    assert [f"inbox/{file.feed}/{file.name}" for file in files] == objects(sender)
    for file in files:
        ingest(bench.platform, file)
    names = [drop.name for drop in bench.platform.ledger.view().drops_of("raw_readings", DAY)]
    assert names == sorted(names)
    sender.put(
        "registry_points", "points.csv", points_file([{"point_id": f"P{n}", "interval_minutes": 15} for n in (0, 1)])
    )
    (registry,) = scan_inbox(bench.platform, "").files
    ingest(bench.platform, registry)
    build_registry(bench.platform, "points")
    assert bench.settle() == [DAY]
    measured = [row["value_kwh"] for row in bench.clean(DAY).to_pylist() if row["status"] == "measured"]
    assert (len(measured), sum(measured)) == (len(messages), energy_in(messages))


def test_a_bucket_that_refuses_makes_the_broker_wait(bench, mosquitto, s3_url, monkeypatch):
    inbox = bench.platform.inbox
    running = started(bench, mosquitto.url, limits=Limits(10, age_seconds=0.1), receive_maximum=20)
    until(lambda: running.bridge.subscribed, "the subscription")
    monkeypatch.setattr(inbox, "bucket", replace(inbox.bucket, name=f"{inbox.bucket.name}-later"))
    messages = readings(30)
    mosquitto.publish(messages)
    until(lambda: sum("there is no bucket" in message for message in running.messages) >= 2, "two attempts")
    assert running.bridge.progress.messages == 20
    later = new_bucket(s3_url, inbox.bucket.name)
    until(lambda: running.bridge.progress.written == 30, "the messages")
    running.stop()
    lines = []
    for key in objects(later):
        with later.bucket.opened(key) as body:
            lines += body.read().splitlines()
    assert [json.loads(line)["payload"]["kwh"] for line in lines] == values(messages)
