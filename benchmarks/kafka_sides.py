"""The two sides of benchmark ``sources_kafka``, and the records that both read."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TOPIC = "reads"
WARM_UP = "warm-up"
WARM_UP_RECORDS = 1_000
DAY = datetime(2026, 3, 10, tzinfo=UTC)
BATCH = 10_000
"""Records that one call of the bare loop asks for: as many as our side does."""
FAR_AWAY = 4_000_000_000_000_000
"""A moment at which every record has waited long enough (UTC microseconds)."""


def produce(bootstrap: str, records: int) -> dict[str, int]:
    """Write quarter-hourly reads of a day, and a few for the warm-up; return the bytes of their values."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "enable.idempotence": True})
    stamps = [(DAY + timedelta(minutes=15 * slot)).isoformat() for slot in range(96)]
    written = 0
    for topic, count in ((WARM_UP, WARM_UP_RECORDS), (TOPIC, records)):
        for number in range(count):
            point = f"DE0005626680{number // 96:021d}"
            value = json.dumps({"point": point, "start": stamps[number % 96], "kwh": number % 997 / 1_000}).encode()
            written += len(value) if topic == TOPIC else 0
            while True:
                try:
                    producer.produce(topic, value, point.encode(), 0)
                    break
                except BufferError:
                    producer.poll(0.1)
    producer.flush()
    return {"bytes": written}


def bare(bootstrap: str) -> dict[str, Any]:
    """Consume the topic to its end, and do nothing with the records."""
    _consume(bootstrap, WARM_UP)
    started = time.perf_counter()
    records = _consume(bootstrap, TOPIC)
    return {"records": records, "seconds": time.perf_counter() - started}


def _consume(bootstrap: str, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bare", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0))
    records = position = 0
    while position < high:
        for message in consumer.consume(BATCH, timeout=0.2):
            if message.error() is None:
                records += 1
                position = message.offset() + 1
    consumer.close()
    return records


def land(bootstrap: str, root: str) -> dict[str, Any]:
    """Land the topic and take it in, as the job does."""
    _land(bootstrap, Path(root) / "warm-up", WARM_UP)
    started = time.perf_counter()
    landed = _land(bootstrap, Path(root) / "reads", TOPIC)
    return {
        "records": sum(found.drop.counts["raw_values"] for found in landed),
        "bytes": sum(found.drop.size for found in landed),
        "seconds": sum(found.seconds for found in landed),
        "taken_in_seconds": time.perf_counter() - started,
    }


def _land(bootstrap: str, root: Path, topic: str) -> list[Any]:
    from metrify_assets.platform import Platform
    from metrify_assets.settings import Settings
    from metrify_assets.sources.kafka.cluster import cluster_of
    from metrify_assets.sources.kafka.lag import ranges_to_land, survey
    from metrify_assets.sources.kafka.landing import land as land_range
    from tests.streams import stream_feed

    path = stream_feed(root / "feeds", topics=f"[{topic}]", max_records_per_drop=500_000)
    path.write_text(path.read_text().replace("interval_minutes: 60", "interval_minutes: 15"))
    platform = Platform(Settings(root=root / "metrify", feeds_dir=root / "feeds", kafka_bootstrap=bootstrap))
    cluster = cluster_of(platform.settings)
    wanted = ranges_to_land(survey(platform, cluster), FAR_AWAY, 1_000)
    return [found for feed, one in wanted for found in land_range(platform, cluster, feed, one)]
