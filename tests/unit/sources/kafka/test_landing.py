"""Landing: ranges become drops exactly once, whatever the log does and wherever it crashes.

The broker of these tests is a list; the real one is in ``integration/test_kafka.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.drops.ledger import Ledger
from metrify_assets.drops.offsets import Log, OffsetRange, faults, incarnation_of, landed_end
from metrify_assets.errors import StreamError
from metrify_assets.feeds.catalogue import load_feed
from metrify_assets.feeds.formats.stream_source import RECORDS
from metrify_assets.feeds.model import LONGEST_STREAM_NAMES
from metrify_assets.landing.ingest import outdated, read_again
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import OffsetsExpiredError, Topic, Watermarks
from metrify_assets.sources.kafka.lag import losses, ranges_to_land, stream_feeds, survey
from metrify_assets.sources.kafka.landing import land, ranges_of
from tests.clock import read_as
from tests.examples import examples
from tests.streams import TOPIC, CrashError, FaultyStore, json_read, kwh, raw_rows, stream_feed

pytestmark = pytest.mark.slow

NOW = 2_000_000_000_000_000
"""Some moment long after every test (UTC microseconds)."""


class ListBroker:
    """One topic of lists: a value per offset, or None where a marker of a transaction stands."""

    def __init__(self, partitions: int = 1) -> None:
        self.topic_id = "first"
        self.values: list[list[bytes | None]] = [[] for _ in range(partitions)]
        self.low = [0] * partitions
        self.expire_while_reading: int | None = None

    def topics(self, names: list[str]) -> dict[str, Topic]:
        return {TOPIC: Topic(TOPIC, self.topic_id, tuple(range(len(self.values))))} if TOPIC in names else {}

    def watermarks(self, partitions) -> dict[tuple[str, int], Watermarks]:
        return {(topic, n): Watermarks(self.low[n], len(self.values[n])) for topic, n in partitions}

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[tuple[pa.RecordBatch, int]]:
        log = self.values[partition]
        for offset in range(start, min(end, len(log))):
            if self.expire_while_reading is not None and offset > start:
                self.low[partition] = max(self.low[partition], min(self.expire_while_reading, len(log)))
                self.expire_while_reading = None
            if offset < self.low[partition]:
                raise OffsetsExpiredError(self.low[partition])
            held = [] if log[offset] is None else [(offset, None, None, log[offset])]
            columns = list(map(list, zip(*held, strict=True))) if held else [[], [], [], []]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, RECORDS, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=RECORDS), offset + 1
        if start < self.low[partition] and start >= min(end, len(log)):
            raise OffsetsExpiredError(self.low[partition])

    def produce(self, numbers, partition: int = 0) -> None:
        self.values[partition] += [json_read(number) for number in numbers]


class Plant:
    """A platform with one stream, on a broker of lists."""

    def __init__(self, root: Path, broker: ListBroker, **stream: object) -> None:
        path = stream_feed(root / "feeds", **stream)
        self.platform = Platform(Settings(root=root / "metrify", shards=1, feeds_dir=path.parent))
        self.store = FaultyStore(self.platform.settings.root)
        self.feed = load_feed(path)
        self.cluster = broker
        parts = {"store": self.store, "ledger": Ledger(self.store), "feeds": {"streamed": self.feed}}
        self.platform.__dict__ |= parts

    def tick(self, *, most: int = 100) -> list[OffsetRange]:
        """Land what is due, as sensor and job do; return the ranges that became drops."""
        wanted = ranges_to_land(survey(self.platform, self.cluster), NOW, most)
        return [landed.range for feed, offsets in wanted for landed in land(self.platform, self.cluster, feed, offsets)]

    def held(self, partition: int = 0) -> list[OffsetRange]:
        return sorted(
            offsets
            for log, ranges in ranges_of(self.platform.ledger.view(), self.feed).items()
            if log.partition == partition
            for offsets in ranges
        )

    def offsets(self) -> list[int]:
        return [row["row_number"] for row in raw_rows(self.platform)]

    def lost(self) -> list[tuple[int, int]]:
        return sorted(
            (loss.range.start, loss.range.end)
            for loss in losses(self.platform.ledger, stream_feeds(self.platform.feeds))
        )

    def names(self) -> list[str]:
        return sorted(Path(item.key).name for item in self.store.list("landing") if "/claims/" not in item.key)


@pytest.fixture
def broker() -> ListBroker:
    return ListBroker()


@pytest.fixture
def plant(tmp_path, broker) -> Plant:
    return Plant(tmp_path, broker, max_records_per_drop=4)


def test_records_become_drops_named_by_their_range(plant, broker):
    broker.produce(range(6))
    assert [(offsets.start, offsets.end) for offsets in plant.tick()] == [(0, 4), (4, 6)]
    assert plant.names() == ["meter-reads-0-0-4.parquet", "meter-reads-0-4-6.parquet"]
    assert [(row["row_number"], row["value"]) for row in raw_rows(plant.platform)] == [(n, kwh(n)) for n in range(6)]
    assert plant.tick() == []


def test_a_run_that_is_repeated_changes_nothing(plant, broker):
    broker.produce(range(6))
    wanted = ranges_to_land(survey(plant.platform, plant.cluster), NOW, 100)
    plant.tick()
    before = plant.store.list("")
    assert [landed for feed, offsets in wanted for landed in land(plant.platform, plant.cluster, feed, offsets)] == []
    assert plant.store.list("") == before


def test_a_range_that_is_landed_in_part_is_continued(plant, broker):
    broker.produce(range(3))
    plant.tick()
    broker.produce(range(3, 6))
    log = plant.held()[0].log
    (landed,) = land(plant.platform, plant.cluster, plant.feed, OffsetRange(log, 0, 6))
    assert (landed.range.start, landed.range.end) == (3, 6)
    assert plant.offsets() == list(range(6))


def test_a_range_behind_a_hole_is_refused(plant, broker):
    broker.produce(range(6))
    log = Log(TOPIC, incarnation_of("first", 1), 0)
    with pytest.raises(StreamError, match="offsets 0 to 2 are not landed yet"):
        list(land(plant.platform, plant.cluster, plant.feed, OffsetRange(log, 3, 6)))


def test_gaps_of_transactions_are_no_loss(plant, broker):
    broker.produce(range(2))
    broker.values[0] += [None, None]
    broker.produce([4])
    broker.values[0] += [None] * 5
    assert [(offsets.start, offsets.end) for offsets in plant.tick()] == [(0, 4), (4, 8), (8, 10)]
    assert plant.offsets() == [0, 1, 4]
    assert plant.lost() == []


def test_expired_offsets_are_recorded_as_a_loss_with_their_size(plant, broker):
    broker.produce(range(3))
    plant.tick()
    broker.produce(range(3, 12))
    broker.low[0] = 9
    assert [offsets.name for offsets in plant.tick()] == [
        "meter-reads-0-3-9-lost.parquet",
        "meter-reads-0-9-12.parquet",
    ]
    assert plant.lost() == [(3, 9)]
    assert plant.offsets() == [0, 1, 2, 9, 10, 11]
    assert faults(plant.held()) == []


def test_a_loss_is_acknowledged_by_withdrawing_it_and_still_tiles(plant, broker):
    broker.produce(range(3))
    broker.low[0] = 2
    plant.tick()
    (loss,) = losses(plant.platform.ledger, [plant.feed])
    plant.platform.ledger.withdraw(loss.drop, "expired before we began")
    assert plant.lost() == []
    assert plant.tick() == []
    assert landed_end(plant.held()) == 3


def test_what_expires_while_it_is_read_keeps_what_was_read(plant, broker):
    broker.produce(range(4))
    broker.expire_while_reading = 3
    assert [offsets.name for offsets in plant.tick()] == [
        "meter-reads-0-0-1.parquet",
        "meter-reads-0-1-3-lost.parquet",
        "meter-reads-0-3-4.parquet",
    ]
    assert plant.offsets() == [0, 3]


def test_an_expiry_beyond_the_range_is_one_loss(plant, broker):
    broker.produce(range(12))
    wanted = ranges_to_land(survey(plant.platform, plant.cluster), NOW, 1)
    broker.low[0] = 10
    assert [
        landed.range.name for feed, offsets in wanted for landed in land(plant.platform, plant.cluster, feed, offsets)
    ] == ["meter-reads-0-0-10-lost.parquet"]
    plant.tick()
    assert plant.offsets() == [10, 11]


def test_a_topic_created_again_is_read_from_its_start_and_reported(plant, broker):
    broker.produce(range(5))
    plant.tick()
    # The new topic has grown beyond the old one's end: offsets alone would not tell.
    broker.topic_id, broker.values = "second", [[]]
    broker.produce(range(20, 27))
    plant.tick()
    assert [row["value"] for row in raw_rows(plant.platform)].count(kwh(20)) == 1
    assert len(plant.offsets()) == 5 + 7
    assert plant.lost() == [(5, 5)]
    assert plant.tick() == []


def test_a_topic_created_again_while_it_is_read_lands_nothing(plant, broker, monkeypatch):
    broker.produce(range(3))
    wanted = ranges_to_land(survey(plant.platform, plant.cluster), NOW, 1)
    reading = broker.read

    def read_and_replace(*arguments):
        yield from reading(*arguments)
        broker.topic_id = "second"

    monkeypatch.setattr(broker, "read", read_and_replace)
    with pytest.raises(StreamError, match="created again"):
        [landed for feed, offsets in wanted for landed in land(plant.platform, plant.cluster, feed, offsets)]
    assert plant.names() == []


def test_a_log_that_ends_below_the_landed_ranges_is_a_problem(plant, broker):
    broker.produce(range(5))
    plant.tick()
    broker.values = [[]]
    broker.produce(range(2))
    lags = survey(plant.platform, plant.cluster)
    assert lags.partitions == []
    assert lags.problems == [
        "meter-reads-0 ends at 2, but 5 offsets are landed: the broker lost records; raise the generation of feed "
        "streamed to read its topics again"
    ]


def test_a_later_generation_reads_everything_again(tmp_path, broker):
    broker.produce(range(3))
    Plant(tmp_path, broker).tick()
    again = Plant(tmp_path, broker, generation=2)
    again.tick()
    assert sorted(again.offsets()) == [0, 0, 1, 1, 2, 2]


def test_the_longest_names_that_a_feed_may_have_are_names_of_files(tmp_path, broker, monkeypatch):
    topic = "t" * (LONGEST_STREAM_NAMES - len("streamed"))
    monkeypatch.setattr(f"{__name__}.TOPIC", topic)
    plant = Plant(tmp_path, broker, topics=f"[{topic}]")
    broker.values[0] += [json_read(0), b"poison"]
    assert [offsets.name for offsets in plant.tick()] == [f"{topic}-0-0-2.parquet"]
    # The longest offsets and partitions that Kafka has would take this much more.
    longest = max(len(Path(item.key).name) for item in plant.store.list(""))
    assert longest + 2 * 18 + 4 + len("-lost") <= 255


def test_a_topic_that_is_missing_is_a_problem(tmp_path, broker):
    plant = Plant(tmp_path, broker, topics="[elsewhere]")
    assert survey(plant.platform, plant.cluster).problems == [
        "topic elsewhere does not exist, or may not be read: create it or grant read access, "
        "or remove it from feed streamed"
    ]


def test_a_partition_without_a_leader_does_not_stop_the_others(tmp_path, monkeypatch):
    broker = ListBroker(partitions=2)
    plant = Plant(tmp_path, broker)
    for partition in range(2):
        broker.produce(range(2), partition)
    watermarks = broker.watermarks
    monkeypatch.setattr(broker, "watermarks", lambda asked: watermarks([log for log in asked if log[1] == 1]))
    assert survey(plant.platform, plant.cluster).problems == [
        "meter-reads-0: its leader does not answer: see that every broker runs"
    ]
    assert [offsets.name for offsets in plant.tick()] == ["meter-reads-1-0-2.parquet"]


def test_partitions_take_turns(tmp_path):
    broker = ListBroker(partitions=3)
    plant = Plant(tmp_path, broker, max_records_per_drop=2)
    for partition in range(3):
        broker.produce(range(4), partition)
    assert [(offsets.log.partition, offsets.start) for offsets in plant.tick(most=4)] == [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 2),
    ]


def test_few_records_wait_and_many_do_not(tmp_path, broker):
    plant = Plant(tmp_path, broker, wait_seconds=60, max_records_per_drop=3)
    broker.produce([0])
    plant.tick()
    broker.produce([1])
    moment = survey(plant.platform, plant.cluster).partitions[0].landed_at
    assert ranges_to_land(survey(plant.platform, plant.cluster), moment + 59_000_000, 9) == []
    assert len(ranges_to_land(survey(plant.platform, plant.cluster), moment + 60_000_000, 9)) == 1
    broker.produce([2, 3])
    assert len(ranges_to_land(survey(plant.platform, plant.cluster), moment + 1, 9)) == 1


def test_drops_of_a_partition_are_received_in_order_whatever_the_clock_does(plant, broker, monkeypatch):
    for number, moment in enumerate([1_000, 900, 800]):
        read_as(monkeypatch, lambda moment=moment: moment)
        broker.produce([number])
        plant.tick()
    drops = sorted(plant.platform.ledger.view().drops.values(), key=lambda drop: drop.name)
    assert [drop.received_at for drop in drops] == [1_000, 1_001, 1_002]


def test_poison_is_replayed_after_the_feed_was_mended(tmp_path, broker):
    plant = Plant(tmp_path, broker)
    broker.values[0] += [json_read(0), b'{"meter": "A", "start": "2026-03-09T01:00:00Z", "kwh": 1}']
    plant.tick()
    (drop,) = plant.platform.ledger.view().active.values()
    assert (drop.counts["raw_values"], drop.counts["quarantined_values"]) == (1, 1)
    path = tmp_path / "feeds" / "streamed.yaml"
    path.write_text(path.read_text().replace("{column: point}", "{column: meter}"))
    mended = Platform(plant.platform.settings)
    (old,) = outdated(mended)
    again = read_again(mended, old)
    assert (again.counts["raw_values"], again.counts["quarantined_values"]) == (1, 1)
    assert [row["row_number"] for row in raw_rows(mended)] == [1]


def test_a_landed_range_keeps_the_records_as_they_came(plant, broker):
    broker.values[0] += [b"\x00\xff poison", json_read(1)]
    plant.tick()
    (item,) = [item for item in plant.store.list("landing") if item.key.endswith(".parquet")]
    table = pq.read_table(plant.store.uri(item.key), partitioning=None)
    assert table.column("value").to_pylist() == [b"\x00\xff poison", json_read(1)]
    assert table.column("offset").to_pylist() == [0, 1]


@pytest.mark.parametrize("fuse", range(12))
def test_a_crash_at_any_step_neither_loses_nor_repeats(tmp_path, broker, fuse):
    plant = Plant(tmp_path, broker, max_records_per_drop=4)
    broker.produce(range(6))
    plant.store.fuse = fuse
    with pytest.raises(CrashError):
        plant.tick()
    broker.produce(range(6, 9))
    again = Plant(tmp_path, broker, max_records_per_drop=4)
    again.tick()
    assert again.offsets() == list(range(9))
    assert faults(again.held()) == []


@pytest.mark.parametrize("fuse", [1, 2, 3, 4, 8])
def test_a_range_that_was_landed_but_not_recorded_outlives_the_broker(plant, broker, fuse):
    broker.produce(range(3))
    # Two steps land the file, two claim it; then come the note of the shards, and the raw part.
    plant.store.fuse = fuse
    with pytest.raises(CrashError):
        plant.tick()
    assert plant.names() == ["meter-reads-0-0-3.parquet"]
    plant.store.fuse = None
    broker.produce(range(3, 5))
    broker.low[0] = 3
    plant.tick()
    assert plant.offsets() == list(range(5))
    assert plant.lost() == []


@pytest.mark.parametrize("step", range(12))
def test_of_two_that_land_the_same_offsets_at_once_one_counts(tmp_path, broker, step):
    first, second = (Plant(tmp_path, broker, max_records_per_drop=9) for _ in range(2))
    broker.produce(range(5))

    def meanwhile() -> None:
        first.store.fuse = None
        broker.produce(range(5, 7))
        second.tick()

    first.store.fuse, first.store.blow = step, meanwhile
    first.tick()
    first.tick()
    assert first.offsets() == list(range(7))
    assert faults(first.held()) == []


def test_two_that_land_different_ranges_of_the_same_start_take_in_the_one_that_was_claimed(tmp_path, broker):
    """Both have landed their records, and neither has recorded a drop."""
    first, second = (Plant(tmp_path, broker, max_records_per_drop=9) for _ in range(2))
    broker.produce(range(3))
    (asked,) = ranges_to_land(survey(first.platform, first.cluster), NOW, 1)
    broker.produce(range(3, 5))
    # Both steps of landing, and those around the claim; then the other one begins and is over before the first goes on.
    first.store.fuse, first.store.blow = 3, lambda: (setattr(first.store, "fuse", None), second.tick())
    (landed,) = land(first.platform, first.cluster, *asked)
    assert landed.range.end == 3
    assert [(each.start, each.end) for each in first.held()] == [(0, 3), (3, 5)]
    assert first.names() == ["meter-reads-0-0-3.parquet", "meter-reads-0-3-5.parquet"]


def test_a_log_is_not_listed_to_land_its_next_range(plant, broker, monkeypatch):
    for number in range(3):
        broker.produce([number])
        plant.tick()
    listed: list[str] = []
    listing = plant.store.list
    monkeypatch.setattr(plant.store, "list", lambda prefix, after="": listed.append(prefix) or listing(prefix, after))
    broker.produce([3])
    plant.tick()
    assert {folder for folder in listed if folder.startswith("landing")} == set()


def test_a_claim_whose_range_was_removed_says_what_to_do(plant, broker):
    broker.produce(range(3))
    plant.store.fuse = 4
    with pytest.raises(CrashError):
        plant.tick()
    plant.store.fuse = None
    (landed,) = [item.key for item in plant.store.list("landing") if item.key.endswith(".parquet")]
    plant.store.delete(landed)
    with pytest.raises(StreamError, match=r"is missing or damaged: remove .*/claims/0-0"):
        plant.tick()


@settings(max_examples=examples(0.3))
@given(st.data())
def test_every_offset_is_landed_once_or_lost_once_in_any_order_of_events(tmp_path_factory, data):
    """A log that grows and expires, and runs that crash at any step, in any order."""
    root = tmp_path_factory.mktemp("plant")
    broker = ListBroker()
    longest = data.draw(st.integers(1, 5), "longest")
    expired: set[int] = set()
    for _ in range(data.draw(st.integers(1, 6), "rounds")):
        high = len(broker.values[0])
        broker.produce(range(high, high + data.draw(st.integers(0, 6), "grown")))
        broker.low[0] = data.draw(st.integers(broker.low[0], len(broker.values[0])), "low")
        expired |= set(range(broker.low[0]))
        plant = Plant(root, broker, max_records_per_drop=longest)
        plant.store.fuse = data.draw(st.none() | st.integers(0, 25), "fuse")
        try:
            plant.tick()
        except CrashError:
            continue
    plant = Plant(root, broker, max_records_per_drop=longest)
    plant.tick()
    lost = [offset for start, end in plant.lost() for offset in range(start, end)]
    landed = plant.offsets()
    assert sorted(landed + lost) == list(range(len(broker.values[0])))
    assert set(lost) <= expired
    assert faults(plant.held()) == []
    assert [row["value"] for row in raw_rows(plant.platform)] == [kwh(offset) for offset in landed]
