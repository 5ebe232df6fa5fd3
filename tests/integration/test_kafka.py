"""Streams on a real broker: the real sensor and job, and everything that brokers and topics do to them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from fastavro import parse_schema, schemaless_writer

from metrify_assets.drops.ledger import Ledger
from metrify_assets.drops.offsets import faults
from metrify_assets.errors import StreamError
from metrify_assets.orchestration.automation import streams
from metrify_assets.orchestration.automation.streams import STREAM_JOB
from metrify_assets.orchestration.run_launcher import run_locks
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import KafkaCluster, OffsetsExpiredError, cluster_of
from metrify_assets.sources.kafka.lag import losses, ranges_to_land, stream_feeds, survey
from metrify_assets.sources.kafka.landing import land, ranges_of
from tests.harness import Installation, installation
from tests.integration.kafka_broker import PATIENCE_SECONDS, Broker, eventually, running_or_skipped
from tests.streams import AVRO, FIRST, CrashError, FaultyStore, json_read, kwh, raw_rows, stream_feed
from tests.workbench import ARRIVED, points_file

pytestmark = pytest.mark.servers

NOW = 4_000_000_000_000_000
"""A moment at which every record has waited long enough (UTC microseconds)."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests; each test has topics of its own."""
    with running_or_skipped(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own, with one partition."""
    name = f"reads.{request.node.name[:80].replace('[', '.').replace(']', '')}"
    broker.create(name, segment_ms=100, file_delete_delay_ms=0)
    return name


class Plant:
    """A platform with one stream of a topic."""

    def __init__(self, root: Path, broker: Broker, topic: str, *, timeout: float = 20, config: str = "", **stream):
        feeds = stream_feed(root / "feeds", topics=f"[{topic}]", **stream).parent
        (root / "kafka.properties").write_text(config)
        self.platform = Platform(
            Settings(
                root=root / "metrify",
                shards=1,
                feeds_dir=feeds,
                kafka_bootstrap=broker.bootstrap,
                kafka_config_file=root / "kafka.properties",
                kafka_timeout_seconds=timeout,
            )
        )
        self.feed = self.platform.feed("streamed")
        self.cluster = cluster_of(self.platform.settings)

    def tick(self) -> list[str]:
        """Land what is due; return the names of the drops."""
        wanted = ranges_to_land(survey(self.platform, self.cluster), NOW, 100)
        return [
            landed.range.name for feed, offsets in wanted for landed in land(self.platform, self.cluster, feed, offsets)
        ]

    def values(self) -> list[Decimal | None]:
        return [row["value"] for row in raw_rows(self.platform)]

    def offsets(self) -> list[int]:
        return [row["row_number"] for row in raw_rows(self.platform)]

    def lost(self) -> list[int]:
        return [len(loss.range) for loss in losses(self.platform.ledger, stream_feeds(self.platform.feeds))]

    def faults(self) -> list[str]:
        held = ranges_of(self.platform.ledger.view(), self.feed).values()
        return [fault for ranges in held for fault in faults(ranges)]


@pytest.fixture
def plant(tmp_path: Path, broker: Broker, topic: str) -> Plant:
    return Plant(tmp_path, broker, topic)


def reads(*numbers: int) -> list[bytes]:
    return [json_read(number) for number in numbers]


# What arrives is landed.


def test_the_broker_tells_topics_and_watermarks(broker, topic):
    cluster = KafkaCluster(broker.bootstrap)
    broker.produce(topic, reads(0, 1, 2))
    assert cluster.topics([topic, "nowhere"])[topic].partitions == (0,)
    assert "nowhere" not in cluster.topics([topic, "nowhere"])
    marks = cluster.watermarks([(topic, 0)])[topic, 0]
    assert (marks.low, marks.high) == (0, 3)


def test_exactly_the_offsets_asked_for_are_read(broker, topic):
    broker.produce(topic, reads(*range(10)), key=b"A")
    batches = list(KafkaCluster(broker.bootstrap).read(topic, 0, 3, 7))
    rows = [row for batch, _ in batches for row in batch.to_pylist()]
    assert [(row["offset"], row["key"], row["value"]) for row in rows] == [
        (offset, b"A", json_read(offset)) for offset in range(3, 7)
    ]
    assert all(abs(row["timestamp"].timestamp() - time.time()) < 3_600 for row in rows)
    assert batches[-1][1] == 7


def test_each_range_starts_where_the_one_before_ended(plant, broker, topic):
    broker.produce(topic, reads(0, 1, 2))
    assert plant.tick() == [f"{topic}-0-0-3.parquet"]
    broker.produce(topic, reads(3, 4))
    assert plant.tick() == [f"{topic}-0-3-5.parquet"]
    assert plant.tick() == []
    assert plant.values() == [kwh(number) for number in range(5)]


def test_avro_with_a_wire_header_is_read(tmp_path, broker, topic):
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (feeds / "read.avsc").write_text(json.dumps(AVRO))
    plant = Plant(
        tmp_path, broker, topic, value="avro", wire_header="confluent", avro_schemas={"3": "read.avsc"}, key="meter"
    )
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(AVRO), {"point": "A", "start": FIRST, "kwh": Decimal("0.25")})
    broker.produce(topic, [b"\x00\x00\x00\x00\x03" + out.getvalue(), b"\x00\x00\x00\x00\x04" + out.getvalue()])
    plant.tick()
    assert plant.values() == [Decimal("0.25")]
    (drop,) = plant.platform.ledger.view().active.values()
    assert drop.counts["quarantined_rows"] == 1


def test_markers_of_transactions_are_no_loss_and_open_ones_wait(plant, broker, topic):
    producer = broker.producer(transactional_id=topic)
    producer.init_transactions(PATIENCE_SECONDS)

    def write(*numbers: int) -> None:
        producer.begin_transaction()
        for value in reads(*numbers):
            producer.produce(topic, value, partition=0)
        assert producer.flush(PATIENCE_SECONDS) == 0

    write(0, 1)
    producer.commit_transaction(PATIENCE_SECONDS)
    write(2, 3)
    producer.abort_transaction(PATIENCE_SECONDS)
    write(4, 5)
    # Offsets: 0 1 commit, 3 4 abort, 6 7 and no end yet.
    eventually("both markers are written", lambda: survey(plant.platform, plant.cluster).partitions[0].high == 6)
    assert plant.tick() == [f"{topic}-0-0-6.parquet"]
    assert plant.values() == [kwh(0), kwh(1)]
    assert plant.tick() == []
    producer.commit_transaction(PATIENCE_SECONDS)
    eventually("the last marker is written", lambda: survey(plant.platform, plant.cluster).partitions[0].high == 9)
    assert plant.tick() == [f"{topic}-0-6-9.parquet"]
    assert plant.values() == [kwh(0), kwh(1), kwh(4), kwh(5)]
    assert (plant.lost(), plant.faults()) == ([], [])


def test_compacted_offsets_are_no_loss(tmp_path, broker):
    topic = "reads.compacted"
    broker.create(topic, cleanup_policy="compact", segment_ms=50, min_cleanable_dirty_ratio=0.01, delete_retention_ms=0)
    for number in range(4):
        broker.produce(topic, reads(number), key=b"A")
        time.sleep(0.1)
    cluster = KafkaCluster(broker.bootstrap)

    def left() -> list[int]:
        return [offset for batch, _ in cluster.read(topic, 0, 0, 100) for offset in batch["offset"].to_pylist()]

    eventually("old values of the key are gone", lambda: len(left()) < 4)
    remaining = left()
    plant = Plant(tmp_path, broker, topic)
    plant.tick()
    assert plant.offsets() == remaining
    assert (plant.lost(), plant.faults(), survey(plant.platform, plant.cluster).lag) == ([], [], 0)


# What goes wrong between the broker and the ledger.


@pytest.mark.parametrize("fuse", range(0, 12, 2))
def test_a_crash_at_any_step_neither_loses_nor_repeats(tmp_path, broker, topic, fuse):
    broker.produce(topic, reads(*range(5)))
    plant = Plant(tmp_path, broker, topic, max_records_per_drop=3)
    store = FaultyStore(plant.platform.settings.root)
    store.fuse = fuse
    plant.platform.__dict__ |= {"store": store, "ledger": Ledger(store)}
    with pytest.raises(CrashError):
        plant.tick()
    broker.produce(topic, reads(5, 6))
    again = Plant(tmp_path, broker, topic, max_records_per_drop=3)
    again.tick()
    assert again.values() == [kwh(number) for number in range(7)]
    assert again.faults() == []


LANDER = """
import sys
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import cluster_of
from metrify_assets.sources.kafka.landing import land
from metrify_assets.sources.kafka.lag import ranges_to_land, survey
platform = Platform(Settings.from_env(shards=1))
for feed, one in ranges_to_land(survey(platform, cluster_of(platform.settings)), 4_000_000_000_000_000, 1_000):
    for found in land(platform, cluster_of(platform.settings), feed, one):
        print(found.range.name, flush=True)
"""


def test_a_process_that_is_killed_again_and_again_lands_every_record_once(tmp_path, broker, topic):
    broker.produce(topic, reads(*range(400)))
    plant = Plant(tmp_path, broker, topic, max_records_per_drop=20)
    settings = plant.platform.settings
    environment = {
        **os.environ,
        "METRIFY_ROOT": str(settings.root),
        "METRIFY_FEEDS_DIR": str(settings.feeds_dir),
        "METRIFY_KAFKA_BOOTSTRAP": broker.bootstrap,
    }
    for drops in (1, 3, 2):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", LANDER], env=environment, stdout=subprocess.PIPE, text=True
        )
        with closing(process.stdout):
            for _ in range(drops):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert 0 < len(plant.offsets()) < 400
    plant.tick()
    assert plant.offsets() == list(range(400))
    assert plant.faults() == []


def test_a_range_outlives_a_restart_of_the_broker_in_its_middle(tmp_path, broker, topic, monkeypatch):
    broker.produce(topic, reads(*range(20_000)))
    # So little is fetched ahead that most of the range is still with the broker when it dies.
    little = "queued.max.messages.kbytes=64\nfetch.message.max.bytes=20000\nqueued.min.messages=10\n"
    plant = Plant(tmp_path, broker, topic, timeout=60, config=little)
    reading = plant.cluster.read
    positions = []

    def read_over_a_restart(*arguments):
        for batch, position in reading(*arguments):
            positions.append(position)
            yield batch, position
            if len(positions) == 1:
                broker.kill()
                broker.start()

    monkeypatch.setattr(plant.cluster, "read", read_over_a_restart)
    assert plant.tick() == [f"{topic}-0-0-20000.parquet"]
    assert positions[0] < 20_000
    assert plant.offsets() == list(range(20_000))


def test_a_broker_that_stays_away_lands_nothing_and_loses_nothing(tmp_path, broker, topic, monkeypatch):
    broker.produce(topic, reads(*range(20_000)))
    little = "queued.max.messages.kbytes=64\nfetch.message.max.bytes=20000\nqueued.min.messages=10\n"
    plant = Plant(tmp_path, broker, topic, timeout=3, config=little)
    reading = plant.cluster.read

    def read_until_death(*arguments):
        for number, batch in enumerate(reading(*arguments)):
            yield batch
            if not number:
                broker.kill()

    monkeypatch.setattr(plant.cluster, "read", read_until_death)
    try:
        with pytest.raises(StreamError, match="see that the broker runs"):
            plant.tick()
        with pytest.raises(StreamError, match="see that the broker runs"):
            survey(plant.platform, plant.cluster)
    finally:
        broker.start()
    assert plant.offsets() == []
    again = Plant(tmp_path, broker, topic)
    tick_until_it_answers(again)
    assert again.offsets() == list(range(20_000))


def tick_until_it_answers(plant: Plant) -> None:
    """Look again, as the sensor does: a broker that has just started does not know yet who leads a partition."""
    for _ in range(60):
        try:
            plant.tick()
        except StreamError:
            time.sleep(0.5)
        else:
            return
    plant.tick()


# What goes wrong with the log.


def test_retention_ahead_of_us_is_a_loss_with_its_size(plant, broker, topic):
    broker.produce(topic, reads(0, 1, 2))
    plant.tick()
    broker.produce(topic, reads(*range(3, 9)))
    broker.configure(topic, retention_ms=1)
    eventually("the records have expired", lambda: broker.low(topic) == 9)
    broker.configure(topic, retention_ms=-1)
    broker.produce(topic, reads(9, 10))
    assert plant.tick() == [f"{topic}-0-3-9-lost.parquet", f"{topic}-0-9-11.parquet"]
    assert plant.lost() == [6]
    assert plant.offsets() == [0, 1, 2, 9, 10]
    assert plant.faults() == []


def test_offsets_that_expire_before_they_are_read_raise(broker, topic):
    broker.produce(topic, reads(*range(5)))
    broker.cut(topic, 4)
    with pytest.raises(OffsetsExpiredError) as caught:
        list(KafkaCluster(broker.bootstrap).read(topic, 0, 2, 5))
    assert caught.value.low == 4


def test_records_cut_between_plan_and_landing_are_a_loss(plant, broker, topic):
    broker.produce(topic, reads(*range(5)))
    wanted = ranges_to_land(survey(plant.platform, plant.cluster), NOW, 100)
    broker.cut(topic, 4)
    names = [
        landed.range.name for feed, offsets in wanted for landed in land(plant.platform, plant.cluster, feed, offsets)
    ]
    assert names == [f"{topic}-0-0-4-lost.parquet", f"{topic}-0-4-5.parquet"]


def test_a_topic_created_again_is_read_from_its_start_and_reported(plant, broker, topic):
    broker.produce(topic, reads(0, 1, 2))
    plant.tick()
    broker.delete(topic)
    assert survey(plant.platform, plant.cluster).problems == [
        f"topic {topic} does not exist, or may not be read: create it or grant read access, "
        "or remove it from feed streamed"
    ]
    broker.create(topic)
    # Longer than the old one: its offsets alone would look like a continuation.
    broker.produce(topic, reads(*range(10, 15)))
    assert plant.tick() == [f"{topic}-0-3-3-lost.parquet", f"{topic}-0-0-5.parquet"]
    assert sorted(plant.values()) == [kwh(number) for number in (0, 1, 2, 10, 11, 12, 13, 14)]
    assert plant.lost() == [0]
    assert plant.tick() == []


def test_a_partition_that_is_added_is_read_from_its_start(plant, broker, topic):
    broker.produce(topic, reads(0))
    plant.tick()
    broker.add_partitions(topic, 2)
    broker.produce(topic, reads(1, 2), partition=1)
    assert plant.tick() == [f"{topic}-1-0-2.parquet"]


# The sensor and the job.


@pytest.fixture
def parts(broker: Broker, topic: str) -> str:
    """A topic with three partitions."""
    broker.add_partitions(topic, 3)
    return topic


@pytest.fixture
def installed(tmp_path: Path, broker: Broker, parts: str) -> Iterator[Installation]:
    """An installation with a stream of three partitions."""
    feeds = stream_feed(tmp_path / "feeds", topics=f"[{parts}]", max_records_per_drop=40).parent
    with installation(
        tmp_path,
        with_marts=False,
        shards=2,
        feeds_dir=feeds,
        kafka_bootstrap=broker.bootstrap,
        kafka_timeout_seconds=5,
        max_stream_drops_per_run=4,
    ) as plant:
        yield plant


def land_stream(plant: Installation, request: dg.RunRequest, **options) -> dg.ExecuteInProcessResult:
    return plant.run(request, STREAM_JOB, **options)


def asked(request: dg.RunRequest) -> list[tuple[int, int, int]]:
    """Return the partitions and offsets that a request asks for."""
    ranges = request.run_config["ops"]["land_ranges"]["config"]["ranges"]
    return [(offsets["partition"], offsets["start"], offsets["end"]) for offsets in ranges]


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    evaluations = [event.asset_check_evaluation_data for event in result.all_events if event.event_type is kind]
    return {
        evaluation.check_name: evaluation
        for evaluation in evaluations
        if evaluation.asset_key == dg.AssetKey("meter_stream")
    }


def test_the_stream_flows_from_the_broker_to_clean_readings(installed, broker, parts):
    rows = points_file([{"point_id": point} for point in "ABC"])
    installed.put("registry_points", rows, "points.csv", mtime=ARRIVED.timestamp())
    installed.settle()
    for partition, point in enumerate("ABC"):
        values = [json_read(hour, point) for hour in range(24)]
        broker.produce(parts, values, partition=partition)
    broker.produce(parts, [b"poison", None])
    (request,) = installed.tick("stream")
    result = land_stream(installed, request)
    (event,) = [
        step for step in result.all_events if step.is_step_materialization and step.asset_key.path == ["meter_stream"]
    ]
    metadata = event.materialization.metadata
    counts = [metadata[name].value for name in ("dagster/row_count", "quarantined_records", "lag")]
    assert counts == [74, 2, 0]
    table = [record.data for record in metadata["partitions"].records]
    assert [(row["partition"], row["last_offset"]) for row in table] == [(0, 25), (1, 23), (2, 23)]
    assert metadata["records_per_second"].value > 0
    assert {name: evaluation.passed for name, evaluation in verdicts(result).items()} == {"lag": True, "loss": True}
    # Hours of 9 March UTC lie on two local days; the sum of 0 ... 23 watt-hours is 276, times three.
    assert installed.settle() == ["delivery_days"]
    lake = installed.platform.lake
    rows = [
        row
        for day in (FIRST.date(), FIRST.date() + timedelta(days=1))
        for row in lake.read(lake.manifest("clean_readings", day), CLEAN_READINGS.arrow).to_pylist()
    ]
    assert sum(row["value_kwh"] for row in rows if row["status"] == "measured") == Decimal("0.828")
    assert installed.tick("stream") == []


def reason(plant: Installation) -> str | None:
    """Return why a tick of the sensor asks for nothing."""
    context = dg.build_sensor_context(
        instance=plant.instance,
        definitions=plant.defs,
        resources={"platform": plant.platform, **plant.kafka},
    )
    return plant.defs.resolve_sensor_def("stream").evaluate_tick(context).skip_message


def test_many_records_are_cut_into_drops_and_runs(installed, broker, parts):
    for partition in range(3):
        broker.produce(parts, reads(*range(100)), partition=partition)
    (first,) = installed.tick("stream")
    assert asked(first) == [(0, 0, 40), (1, 0, 40), (2, 0, 40), (0, 40, 80)]
    assert land_stream(installed, first).success
    (second,) = installed.tick("stream")
    assert asked(second) == [(0, 80, 100), (1, 40, 80), (2, 40, 80), (1, 80, 100)]
    assert land_stream(installed, second).success
    (third,) = installed.tick("stream")
    assert asked(third) == [(2, 80, 100)]
    assert land_stream(installed, third).success
    assert installed.tick("stream") == []
    assert len(raw_rows(installed.platform)) == 300


def test_nothing_is_asked_for_twice_while_a_run_is_under_way(installed, broker, parts, monkeypatch):
    broker.produce(parts, reads(0, 1))
    (request,) = installed.tick("stream")
    # The same question before the run began: the key is the same, so the daemon starts nothing.
    assert installed.tick("stream") == []
    under_way = installed.instance.create_run_for_job(
        installed.defs.resolve_job_def(STREAM_JOB),
        run_config=request.run_config,
        tags=request.tags,
        status=dg.DagsterRunStatus.STARTED,
    )
    lock = run_locks(installed.instance).take(under_way.run_id)
    assert "being landed" in reason(installed)
    # Its process ends without a word.
    os.close(lock)
    assert "wait for their next attempt" in reason(installed)
    monkeypatch.setattr(streams, "time", SimpleNamespace(time=lambda: time.time() + 300))
    (again,) = installed.tick("stream")
    assert asked(again) == asked(request)
    assert again.run_key != request.run_key


def test_a_run_that_is_repeated_lands_nothing_more(installed, broker, parts):
    broker.produce(parts, reads(0, 1))
    (request,) = installed.tick("stream")
    for _ in range(2):
        assert land_stream(installed, request).success
    assert [row["value"] for row in raw_rows(installed.platform)] == [kwh(0), kwh(1)]


def test_one_partition_that_fails_does_not_stop_the_others(installed, broker, parts):
    broker.produce(parts, reads(0, 1))
    broker.produce(parts, reads(2, 3), partition=1)
    (request,) = installed.tick("stream")
    # A range behind a hole is refused.
    request.run_config["ops"]["land_ranges"]["config"]["ranges"][0]["start"] = 1
    result = land_stream(installed, request, raise_on_error=False)
    assert not result.success
    assert [row["value"] for row in raw_rows(installed.platform)] == [kwh(2), kwh(3)]


def test_a_loss_fails_its_check_until_it_is_acknowledged(installed, broker, parts):
    broker.produce(parts, reads(0, 1))
    land_stream(installed, *installed.tick("stream"))
    broker.produce(parts, reads(*range(2, 7)))
    broker.cut(parts, 6)
    result = land_stream(installed, *installed.tick("stream"))
    loss = verdicts(result)["loss"]
    assert not loss.passed
    assert loss.metadata["lost_offsets"].value == 4
    (lost_range,) = losses(installed.platform.ledger, stream_feeds(installed.platform.feeds))
    installed.platform.ledger.withdraw(lost_range.drop, "the head-end system sent them as a file")
    check = installed.defs.resolve_asset_graph().asset_check_keys
    assert dg.AssetCheckKey(dg.AssetKey("meter_stream"), "loss") in check
    broker.produce(parts, reads(7))
    assert verdicts(land_stream(installed, *installed.tick("stream")))["loss"].passed


def test_a_broker_that_is_down_gives_one_clear_reason_and_no_run(installed, broker, parts):
    broker.produce(parts, reads(0))
    broker.kill()
    try:
        assert installed.tick("stream") == []
        assert f"no answer from {broker.bootstrap}" in reason(installed)
    finally:
        broker.start()
    requests: list[dg.RunRequest] = []
    eventually("the sensor asks again", lambda: requests.extend(installed.tick("stream")) or bool(requests))
    assert land_stream(installed, *requests).success
    assert len(raw_rows(installed.platform)) == 1


def test_a_topic_that_is_missing_is_named_and_does_not_stop_the_others(installed, broker, parts):
    broker.delete(parts)
    assert installed.tick("stream") == []
    assert f"topic {parts} does not exist, or may not be read" in reason(installed)
    broker.create(parts, 1)
    broker.produce(parts, reads(0))
    (request,) = installed.tick("stream")
    assert asked(request) == [(0, 0, 1)]
