"""The MQTT bridge against a real Mosquitto: what was published at QoS 1 arrives, whatever is killed meanwhile.

Belongs here: the way from a publisher to the tables. Does not belong here: batches and files by themselves (unit).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.landing.ingest import ingest
from metrify_assets.landing.quarantine.rows import refused_rows
from metrify_assets.sources.mqtt.batches import Limits
from metrify_assets.sources.mqtt.broker import Broker
from metrify_assets.sources.mqtt.inbox_files import InboxFiles
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.mosquitto import PATIENCE_SECONDS, Mosquitto, command, executable, files_of, lines_of, started, until
from tests.workbench import IMPORT, Workbench, workbench

pytestmark = pytest.mark.servers

DAY = date(2026, 3, 10)
SLOTS = 96


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return workbench(tmp_path)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker").start()
    yield broker
    broker.stop()


def reading(point: str, slot: int, kwh: str = "0.25") -> tuple[str, bytes]:
    start = datetime.fromtimestamp(DeliveryDay(DAY, "Europe/Berlin").slot_starts(15).tolist()[slot] / 1e6, UTC)
    return f"meters/{point}/{IMPORT}", f'{{"start": "{start.isoformat()}", "kwh": {kwh}}}'.encode()


def readings(count: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Return readings that all differ: point by point, slot by slot."""
    return [
        reading(f"P{number // SLOTS}", number % SLOTS, f"0.{number + 1:06}") for number in range(first, first + count)
    ]


def payloads(bench: Workbench) -> list[str]:
    return [line["payload"]["kwh"] for line in lines_of(bench)]


def values(messages: list[tuple[str, bytes]]) -> list[float]:
    return [json.loads(payload)["kwh"] for _, payload in messages]


def subscribe(bench: Workbench, mosquitto: Mosquitto) -> None:
    """Let the bridge make its session and leave."""
    running = started(bench, mosquitto.url)
    until(lambda: running.bridge.subscribed, "the subscription")
    running.stop()


def take_in(bench: Workbench) -> None:
    """Take all files into the platform, as the drops sensor and its job do."""
    state = bench.platform.inbox.scan(bench.platform.feeds, SYSTEM_CLOCK.now() + 60_000_000)
    assert not state.problems
    for file in state.pending(bench.platform.ledger.view()):
        assert ingest(bench.platform, file).outcome == "new"
    for drop in bench.platform.ledger.view().active.values():
        counts = drop.counts
        assert counts["delivered_values"] == counts["raw_values"] + counts["quarantined_values"]


def energy_of(bench: Workbench, messages: list[tuple[str, bytes]]) -> Decimal:
    """Return what the clean day holds of the points of some messages, all of whose slots must be measured once."""
    points = sorted({topic.split("/")[1] for topic, _ in messages})
    bench.register(*({"point_id": point, "interval_minutes": 15} for point in points))
    bench.settle()
    measured = [row for row in bench.clean(DAY).to_pylist() if row["status"] == "measured"]
    assert len(measured) == len(messages)
    assert {row["version"] for row in measured} == {1}
    return sum((row["value_kwh"] for row in measured), Decimal(0))


def energy_in(messages: list[tuple[str, bytes]]) -> Decimal:
    return sum((json.loads(payload, parse_float=Decimal)["kwh"] for _, payload in messages), Decimal(0))


def test_what_is_published_arrives_once_in_order_and_counts(bench, mosquitto):
    messages = readings(3 * SLOTS)
    running = started(bench, mosquitto.url, limits=Limits(messages=100, age_seconds=0.2))
    until(lambda: running.bridge.subscribed, "the subscription")
    mosquitto.publish(messages)
    until(lambda: len(lines_of(bench)) >= len(messages), "the messages")
    progress = running.stop().progress
    assert payloads(bench) == values(messages)
    assert (progress.written, progress.repeated, progress.waiting) == (len(messages), 0, 0)
    assert {line["levels"]["obis"] for line in lines_of(bench)} == {IMPORT}
    take_in(bench)
    assert energy_of(bench, messages) == energy_in(messages)


def test_what_is_published_while_the_bridge_is_away_waits_for_it_and_comes_once(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(500)
    for first in (0, 200):
        mosquitto.publish(messages[first : first + 200])
        running = started(bench, mosquitto.url)
        until(lambda wanted=first + 200: len(lines_of(bench)) >= wanted, "the messages")
        running.stop()
    mosquitto.publish(messages[400:])
    running = started(bench, mosquitto.url)
    until(lambda: len(lines_of(bench)) >= 500, "the messages")
    running.stop()
    # A clean stop acknowledges all that was written: nothing came twice.
    assert payloads(bench) == values(messages)
    assert not any(line["duplicate"] for line in lines_of(bench))


def test_a_bridge_that_is_stopped_while_messages_pour_in_writes_each_once(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(4_000)
    publisher = threading.Thread(target=mosquitto.publish, args=(messages,))
    publisher.start()
    for wanted in (300, 1_500, 2_500, 4_000):
        running = started(bench, mosquitto.url, limits=Limits(messages=50, age_seconds=0.1), receive_maximum=200)
        until(lambda wanted=wanted: len(lines_of(bench)) >= wanted, "the messages")
        running.stop()
    publisher.join(PATIENCE_SECONDS)
    assert payloads(bench) == values(messages)


def test_a_bridge_that_is_killed_again_and_again_loses_nothing_and_every_value_counts_once(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(3_000)
    publisher = threading.Thread(target=mosquitto.publish, args=(messages,))
    publisher.start()
    for wanted in (400, 1_000, 1_800):
        process = command(bench, mosquitto.url, "--max-messages", 50, "--max-age", 0.2)
        until(lambda wanted=wanted: len(lines_of(bench)) >= wanted, "some messages")
        process.kill()
        process.communicate()
    publisher.join(PATIENCE_SECONDS)
    running = started(bench, mosquitto.url)
    until(lambda: len(set(payloads(bench))) == len(messages), "the messages")
    running.stop()
    assert set(payloads(bench)) == set(values(messages))
    take_in(bench)
    assert energy_of(bench, messages) == energy_in(messages)


KILLED_AFTER_WRITING = """
import os, signal
from metrify_assets.sources.mqtt.inbox_files import InboxFiles
write = InboxFiles.write
def deadly(self, content):
    write(self, content)
    os.kill(os.getpid(), signal.SIGKILL)
InboxFiles.write = deadly
"""
KILLED_WHILE_WRITING = """
import os, signal
os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("script", "times"), [(KILLED_AFTER_WRITING, 2), (KILLED_WHILE_WRITING, 1)])
def test_a_kill_around_the_writing_of_a_file_loses_nothing(bench, mosquitto, script, times):
    subscribe(bench, mosquitto)
    messages = readings(SLOTS)
    mosquitto.publish(messages)
    process = command(bench, mosquitto.url, "--max-messages", len(messages), script=script)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    process.communicate()
    again = command(bench, mosquitto.url, "--max-messages", len(messages), "--max-age", 0.2)
    until(lambda: len(lines_of(bench)) >= times * len(messages), "the messages")
    again.send_signal(signal.SIGTERM)
    assert again.wait(PATIENCE_SECONDS) == 0, again.communicate()
    again.communicate()
    # Durable but not acknowledged: the broker sends it again, and the bridge of now knows nothing of the one before.
    assert Counter(payloads(bench)) == dict.fromkeys(values(messages), times)
    assert not list(bench.inbox.glob("*/.*"))
    take_in(bench)
    assert energy_of(bench, messages) == energy_in(messages)
    tally = bench.platform.lake.manifest("validated_readings", DAY).total("tally", "identical")
    assert tally == (times - 1) * len(messages)


def test_what_is_sent_again_after_a_lost_connection_is_recognised(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(200)
    mosquitto.publish(messages)
    cut: list[Path] = []

    def write_and_lose_the_connection(files: InboxFiles, content: bytes) -> Path:
        path = files.write(content)
        if not cut:
            cut.append(path)
            running.bridge._client.socket().shutdown(socket.SHUT_RDWR)
        return path

    running = started(bench, mosquitto.url, limits=Limits(100, age_seconds=0.2), write=write_and_lose_the_connection)
    until(lambda: len(lines_of(bench)) >= 200 and running.bridge.progress.messages >= 300, "the messages")
    progress = running.stop().progress
    assert any("connection lost" in message for message in running.messages)
    assert progress.repeated == 100
    assert payloads(bench) == values(messages)
    # And it was acknowledged: the next bridge gets nothing.
    again = started(bench, mosquitto.url)
    mosquitto.publish([reading("P9", 0, "9")])
    until(lambda: 9 in payloads(bench), "the message after them")
    assert again.stop().progress.messages == 1


def test_a_broker_that_is_restarted_keeps_what_it_has_and_the_bridge_comes_back(bench, mosquitto):
    messages = readings(600)
    running = started(bench, mosquitto.url, limits=Limits(messages=50, age_seconds=5))
    until(lambda: running.bridge.subscribed, "the connection")
    mosquitto.publish(messages[:275])
    until(lambda: running.bridge.progress.messages >= 275, "the first messages")
    mosquitto.stop()
    # What was received is written at once: the batch of 25 does not wait for the broker.
    until(lambda: len(lines_of(bench)) >= 275, "the batch under way")
    mosquitto.start()
    mosquitto.publish(messages[275:])
    until(lambda: len(set(payloads(bench))) == 600, "the others")
    running.stop()
    assert payloads(bench) == values(messages)
    assert any("connection lost" in message for message in running.messages)
    assert not any("forgotten" in message for message in running.messages)


def test_a_broker_that_forgets_the_session_is_told_as_a_possible_loss(bench, tmp_path):
    broker = Mosquitto(tmp_path / "forgetful", persistent=False).start()
    running = started(bench, broker.url)
    until(lambda: running.bridge.subscribed, "the connection")
    broker.stop(signal.SIGKILL)
    broker.start()
    until(
        lambda: any("does not know the session bridge any more" in message for message in running.messages),
        "the notice",
    )
    # It has subscribed anew: what comes from now on arrives.
    until(lambda: running.bridge.subscribed, "the subscription")
    broker.publish([reading("P0", 0, "3")])
    until(lambda: payloads(bench) == [3], "a message after the loss")
    running.stop()
    # The same while the bridge is away: its files say that there was a session.
    broker.stop(signal.SIGKILL)
    broker.start()
    again = started(bench, broker.url)
    until(lambda: again.bridge.subscribed, "the connection")
    again.stop()
    assert ["does not know the session" in message for message in again.messages] == [True]
    broker.stop()


def test_a_bridge_that_cannot_write_makes_the_broker_wait(bench, mosquitto):
    subscribe(bench, mosquitto)
    full = threading.Event()
    full.set()

    def write(files: InboxFiles, content: bytes) -> Path:
        if full.is_set():
            raise OSError(28, os.strerror(28))
        return files.write(content)

    messages = readings(1_000)
    mosquitto.publish(messages)
    running = started(bench, mosquitto.url, limits=Limits(20, age_seconds=0.1), receive_maximum=50, write=write)
    until(lambda: sum("cannot be written" in message for message in running.messages) >= 2, "two attempts")
    # The window is full, and not one message more was sent: memory is bounded by it.
    assert running.bridge.progress.messages == 50
    assert files_of(bench) == []
    assert "No space left on device" in running.messages[0]
    full.clear()
    until(lambda: len(lines_of(bench)) >= 1_000, "the messages")
    running.stop()
    assert payloads(bench) == values(messages)


def test_messages_of_qos_0_that_find_no_room_are_counted_as_lost(bench, mosquitto):
    full = threading.Event()
    full.set()

    def write(files: InboxFiles, content: bytes) -> Path:
        if full.is_set():
            raise OSError(28, os.strerror(28))
        return files.write(content)

    running = started(bench, mosquitto.url, limits=Limits(20, age_seconds=0.1), receive_maximum=50, write=write)
    until(lambda: running.bridge.subscribed, "the subscription")
    messages = readings(80)
    mosquitto.publish(messages, qos=0)
    until(lambda: any("30 messages of QoS 0 were lost" in message for message in running.messages), "the notice")
    full.clear()
    until(lambda: len(lines_of(bench)) >= 50, "the messages")
    assert running.stop().progress.lost == 30
    assert payloads(bench) == values(messages[:50])


def test_a_bridge_that_cannot_write_its_last_batch_says_so_and_the_broker_keeps_it(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(10)
    mosquitto.publish(messages)

    def refuse(_files: InboxFiles, _content: bytes) -> Path:
        raise OSError(28, os.strerror(28))

    running = started(bench, mosquitto.url, write=refuse)
    until(lambda: running.messages, "an attempt")
    running.bridge.stop()
    assert "the last 10 messages cannot be written" in str(running.ends())
    again = started(bench, mosquitto.url)
    until(lambda: len(lines_of(bench)) >= 10, "the messages")
    again.stop()
    assert payloads(bench) == values(messages)


def test_a_stop_by_signal_is_clean_and_told(bench, mosquitto):
    subscribe(bench, mosquitto)
    messages = readings(7)
    mosquitto.publish(messages)
    process = command(bench, mosquitto.url, "--max-age", 3_600, "--json", "--show-seconds", 0.2)
    looks = (json.loads(line) for line in process.stdout)
    assert any(look["waiting"] == 7 for look in looks)
    assert files_of(bench) == []
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    last = json.loads(out.splitlines()[-1])
    assert (last["written"], last["batches"], last["waiting"]) == (7, 1, 0)
    assert payloads(bench) == values(messages)
    assert "inbox/meters_mqtt/" in err


POISON = [
    b"\xff\xfe\x00binary",
    b"",
    b"not json",
    b"{",
    b"[" * 5_000,
    b"null",
    b'{"start": "2026-03-10T00:00:00Z"}',
    b'{"start": "yesterday", "kwh": 1}',
    b'{"start": "2026-03-10T00:00:00Z", "kwh": NaN}',
    b'{"start": "2026-03-10T00:00:00Z", "kwh": "\\ud800"}',
    b'{"start": "2026-03-10T00:00:00Z", "kwh": {"value": 1}}',
]


def test_poison_is_kept_as_it_came_and_named_with_its_place_beside_good_messages(bench, mosquitto):
    running = started(bench, mosquitto.url)
    until(lambda: running.bridge.subscribed, "the connection")
    good = readings(5)
    poison = [(f"meters/X/{IMPORT}", payload) for payload in POISON]
    mosquitto.publish([*good[:3], *poison, *good[3:]])
    total = len(good) + len(POISON)
    until(lambda: running.bridge.progress.written >= total, "the messages")
    running.stop()
    take_in(bench)
    drops = list(bench.platform.ledger.view().active.values())
    assert sum(drop.counts["raw_values"] for drop in drops) == 5
    rows, refused = refused_rows(bench.platform, drops, limit=100)
    assert refused == len(POISON)
    for row in rows:
        with open(row.path, "rb") as landed:
            line = landed.read().split(b"\n")[row.line_number - 1]
        assert line.decode() == row.payload
    binary = json.loads(rows[0].payload)
    assert (binary["base64"], rows[0].reason) == ("//4AYmluYXJ5", "missing_field")
    assert energy_of(bench, good) == energy_in(good)


def test_qos_0_and_retained_messages_are_taken_and_marked(bench, mosquitto):
    with mosquitto.client() as client:
        client.publish(*reading("R", 0, "1"), qos=1, retain=True).wait_for_publish(PATIENCE_SECONDS)
    running = started(bench, mosquitto.url)
    until(lambda: len(lines_of(bench)) == 1, "the retained message")
    mosquitto.publish([reading("Q", 0, "2")], qos=0)
    until(lambda: len(lines_of(bench)) == 2, "the message of QoS 0")
    running.stop()
    # Coming back does not bring the retained message again: the subscription is not new.
    again = started(bench, mosquitto.url)
    mosquitto.publish([reading("S", 0, "3")])
    until(lambda: payloads(bench)[-1] == 3, "a third message")
    again.stop()
    facts = [(line["retained"], line["qos"], line["packet"] > 0) for line in lines_of(bench)]
    assert facts == [(True, 1, True), (False, 0, False), (False, 1, True)]


def test_two_bridges_of_one_name_throw_each_other_out_ever_more_slowly_and_say_so(bench, mosquitto):
    both = [started(bench, mosquitto.url), started(bench, mosquitto.url)]
    until(lambda: all(growing(waits_told(running.messages)) for running in both), "waits that grow")
    messages = readings(20)
    mosquitto.publish(messages)
    until(lambda: set(payloads(bench)) == set(values(messages)), "the messages")
    for running in both:
        running.stop()


def waits_told(messages: list[str]) -> list[float]:
    """Return the seconds that each line about the other bridge says it will wait."""
    lines = [line for line in messages if "another bridge is connected as bridge" in line]
    return [float(line.partition("next attempt in ")[2].partition(" s")[0]) for line in lines]


def growing(waits: list[float]) -> bool:
    return any(later > sooner for sooner, later in pairwise(waits))


def test_a_broker_that_is_not_there_yet_is_waited_for(bench, tmp_path):
    broker = Mosquitto(tmp_path / "late")
    running = started(bench, broker.url)
    until(lambda: any("cannot be reached" in message for message in running.messages), "an attempt")
    broker.start()
    until(lambda: running.bridge.subscribed, "the connection")
    running.stop()
    broker.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that asks for a password."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    passwords = folder / "passwords"
    subprocess.run([executable("mosquitto_passwd"), "-b", "-c", str(passwords), "metrify", "s3cret"], check=True)
    broker = Mosquitto(folder, [f"password_file {passwords}"], anonymous=False).start()
    yield broker
    broker.stop()


def test_a_user_is_let_in_by_password_only(bench, guarded):
    assert "METRIFY_MQTT_USERNAME" in str(started(bench, guarded.url).ends())
    wrong = {"METRIFY_MQTT_URL": guarded.url, "METRIFY_MQTT_USERNAME": "metrify", "METRIFY_MQTT_PASSWORD": "guess"}
    assert "METRIFY_MQTT_USERNAME" in str(started(bench, Broker.from_env(wrong)).ends())
    running = started(bench, Broker.from_env(wrong | {"METRIFY_MQTT_PASSWORD": "s3cret"}))
    until(lambda: running.bridge.subscribed, "the connection")
    guarded.publish([reading("P0", 0, "4")], username="metrify", password="s3cret")
    until(lambda: payloads(bench) == [4], "the message")
    running.stop()


def test_a_broker_that_grants_qos_0_only_ends_the_bridge_with_what_to_do(bench, tmp_path):
    broker = Mosquitto(tmp_path / "careless", ["max_qos 0"]).start()
    assert "grants QoS 0 only for meters/+/+: allow QoS 1" in str(started(bench, broker.url).ends())
    broker.stop()


def test_messages_come_over_tls_only_from_a_broker_that_is_trusted(bench, tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    broker = Mosquitto(folder, [f"certfile {certificate}", f"keyfile {key}"]).start()
    url = broker.url.replace("mqtt:", "mqtts:")
    strange = started(bench, url)
    until(lambda: any("CERTIFICATE_VERIFY_FAILED" in message for message in strange.messages), "the refusal")
    strange.stop()
    running = started(bench, Broker.from_env({"METRIFY_MQTT_URL": url, "METRIFY_MQTT_CA_FILE": str(certificate)}))
    until(lambda: running.bridge.subscribed, "the connection")
    running.stop()
    broker.stop()
