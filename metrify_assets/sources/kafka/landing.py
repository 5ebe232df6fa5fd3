"""From a range of offsets to a drop: read the records, land them, take the drop in.

Belongs here: the order of these steps, which makes a record count exactly once. A drop is named by its range; the
next range starts where the ranges of the ledger end. First the records are landed, then a claim says which range begins
at its first offset, then the drop is read and recorded in the ledger. Of two runs that land the same offsets at once
one makes the claim, and the other takes in what was claimed. A range that was landed but not recorded is taken in as it
lies, because the broker may have dropped its records since. Does not belong here: the broker's protocol
(``sources/kafka/cluster.py``) and the meaning of a record (``feeds/``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.drops.ledger import Drop, LedgerView
from metrify_assets.drops.offsets import Log, OffsetRange, incarnation_of, landed_end
from metrify_assets.errors import StreamError
from metrify_assets.feeds.formats.stream_source import RECORDS
from metrify_assets.feeds.model import Feed, StreamFeed
from metrify_assets.landing.ingest import read_landed
from metrify_assets.platform import Platform
from metrify_assets.sources.kafka.cluster import KafkaCluster, OffsetsExpiredError
from metrify_assets.storage.object_store import ObjectStore

ROW_GROUP_RECORDS = 50_000
ROW_GROUP_BYTES = 16 << 20
"""A row group ends at the record with which it reaches one of both: bounds memory here and in the reader."""

_FOOTER = "metrify.stream"


@dataclass(frozen=True)
class Landed:
    """A range that became a drop, and what that took.

    Attributes
    ----------
    range : OffsetRange
    drop : Drop
    seconds : float
        From asking the broker to the bytes in the landing zone; 0 for a range that lay there already.
    """

    range: OffsetRange
    drop: Drop
    seconds: float


def ranges_of(view: LedgerView, feed: Feed) -> dict[Log, list[OffsetRange]]:
    """Return every range of a feed that the ledger records, withdrawn ones too, by log."""
    ranges: dict[Log, list[OffsetRange]] = {}
    for name, drop_id in view.drops:
        held = OffsetRange.of_drop(drop_id) if name == feed.name else None
        if held is not None:
            ranges.setdefault(held.log, []).append(held)
    return ranges


def landing_key(feed: Feed, wanted: OffsetRange) -> str:
    """Return the key of a range in the landing zone."""
    return f"{_folder(feed, wanted.log)}/{wanted.name}"


def _folder(feed: Feed, log: Log) -> str:
    return f"landing/{feed.name}/{log.topic}.{log.incarnation}"


def _claim_key(feed: Feed, log: Log, start: int) -> str:
    return f"{_folder(feed, log)}/claims/{log.partition}-{start}"


def land(platform: Platform, cluster: KafkaCluster, feed: Feed, wanted: OffsetRange) -> Iterator[Landed]:
    """Land a range and take it in, drop by drop. Doing it twice, or again after a crash, changes nothing.

    Offsets that are landed already are passed over. What the broker no longer has becomes a drop without records that
    says which offsets are lost. A log that ends before the range (a transaction is still open) is landed so far.

    Raises
    ------
    StreamError
        If the broker does not answer, the topic is not the one that was asked for, or offsets before it are missing.
    """
    recorded = ranges_of(platform.ledger.view(), feed).get(wanted.log, [])
    position = landed_end(recorded)
    while left := _claimed(platform.store, feed, wanted.log, position):
        # A crash came between the claim and the record.
        position = left.end
        yield Landed(left, _take_in(platform, feed, left), 0.0)
    if wanted.is_superseded:
        if not any(held.is_superseded for held in recorded):
            yield _note_end(platform, feed, OffsetRange(wanted.log, position, position, lost=True))
        return
    if position < wanted.start:
        raise StreamError(
            f"{wanted.log}: offsets {position} to {wanted.start - 1} are not landed yet: land them before {wanted.name}"
        )
    require_incarnation(cluster, feed, wanted.log)
    while position < wanted.end:
        piece = OffsetRange(wanted.log, position, wanted.end)
        try:
            landed = _land_records(platform, cluster, feed, piece)
        except OffsetsExpiredError as expired:
            landed = _expired(platform, feed, OffsetRange(wanted.log, position, expired.low, lost=True))
        if landed is None:
            return
        position = landed.range.end
        yield landed


def require_incarnation(cluster: KafkaCluster, feed: Feed, log: Log) -> None:
    """Raise ``StreamError`` unless the topic on the broker is still the one of the log."""
    topic = cluster.topics([log.topic]).get(log.topic)
    if topic is None:
        raise StreamError(
            f"topic {log.topic} does not exist, or may not be read: create it or grant read access, "
            f"or remove it from feed {feed.name}"
        )
    if not isinstance(feed, StreamFeed):
        raise StreamError(f"feed {feed.name} is no stream any more: correct its definition, or do not land {log}")
    if incarnation_of(topic.topic_id, feed.stream.generation) != log.incarnation:
        raise StreamError(f"topic {log.topic} was created again: ask for ranges of the new one")


def _claimed(store: ObjectStore, feed: Feed, log: Log, start: int) -> OffsetRange | None:
    """Return the range that was claimed to begin at an offset; None if no run has got so far."""
    key = _claim_key(feed, log, start)
    try:
        held = OffsetRange.of_drop(store.read(key).decode())
    except FileNotFoundError:
        return None
    if held is None or not store.exists(landing_key(feed, held)):
        raise StreamError(f"{log}: what lies at offset {start} is missing or damaged: remove {store.uri(key)}")
    return held


def _claim(store: ObjectStore, feed: Feed, held: OffsetRange) -> OffsetRange:
    """Claim that a landed range is the one that begins at its first offset; return the one that is."""
    if store.create(_claim_key(feed, held.log, held.start), held.drop_id.encode()):
        return held
    owner = _claimed(store, feed, held.log, held.start) or held
    if owner != held and not owner.lost:
        # The same records, by another run; only where that found them expired are these kept, for people.
        store.delete(landing_key(feed, held))
    return owner


def _land_records(platform: Platform, cluster: KafkaCluster, feed: Feed, wanted: OffsetRange) -> Landed | None:
    """Land as much of a range as the broker has from its start on; None if there is nothing to land yet."""
    log = wanted.log
    started = time.monotonic()
    with platform.store.scratch(_folder(feed, log)) as temporary:
        with _RecordWriter(temporary) as writer:
            try:
                for batch, position in cluster.read(log.topic, log.partition, wanted.start, wanted.end):
                    writer.add(batch, position)
            except OffsetsExpiredError:
                # What was read before is landed; the loss behind it is found when the next range begins there.
                if writer.position is None:
                    raise
            if writer.position is None or writer.position == wanted.start:
                return None
            held = OffsetRange(log, wanted.start, writer.position)
            writer.finish(_footer(platform, feed, held, records=writer.records))
        # The topic may have been created again while it was read: then these records are of another log.
        require_incarnation(cluster, feed, log)
        platform.store.keep(temporary, landing_key(feed, held))
    seconds = time.monotonic() - started
    owner = _claim(platform.store, feed, held)
    return Landed(owner, _take_in(platform, feed, owner), seconds if owner == held else 0.0)


def _expired(platform: Platform, feed: Feed, lost: OffsetRange) -> Landed:
    """Land a drop without records for offsets that nobody can read any more, unless a crash left them landed."""
    owner = _claim(platform.store, feed, _lying(platform.store, feed, lost) or _land_loss(platform, feed, lost))
    return Landed(owner, _take_in(platform, feed, owner), 0.0)


def _lying(store: ObjectStore, feed: Feed, lost: OffsetRange) -> OffsetRange | None:
    """Return the longest landed range that begins where a loss does and was never claimed: a crash left it."""
    folder = _folder(feed, lost.log)
    lying = []
    for item in store.list(folder):
        name = item.key.removeprefix(f"{folder}/").removesuffix(".parquet")
        held = OffsetRange.of_drop(f"{name}.{lost.log.incarnation}")
        if held is not None and (held.log, held.start, held.lost) == (lost.log, lost.start, False):
            lying.append(held)
    return max(lying, default=None)


def _note_end(platform: Platform, feed: Feed, ended: OffsetRange) -> Landed:
    """Land the note that a later incarnation took the place of a log."""
    return Landed(ended, _take_in(platform, feed, _land_loss(platform, feed, ended)), 0.0)


def _land_loss(platform: Platform, feed: Feed, lost: OffsetRange) -> OffsetRange:
    """Write the durable account of offsets that nobody can read any more; return them."""
    with platform.store.writing(landing_key(feed, lost)) as temporary, _RecordWriter(temporary) as writer:
        writer.finish(_footer(platform, feed, lost, records=0))
    return lost


def _footer(platform: Platform, feed: Feed, held: OffsetRange, *, records: int) -> dict[str, object]:
    """Return what a landed file says of itself: a crash must not change when its records count as received."""
    before = [
        drop.received_at
        for (name, drop_id), drop in platform.ledger.view().drops.items()
        if name == feed.name and (earlier := OffsetRange.of_drop(drop_id)) is not None and earlier.log == held.log
    ]
    return {
        "topic": held.log.topic,
        "partition": held.log.partition,
        "start": held.start,
        "end": held.end,
        "lost": held.lost,
        "records": records,
        "received_at": max([platform.clock.now(), *(moment + 1 for moment in before)]),
    }


def _take_in(platform: Platform, feed: Feed, held: OffsetRange) -> Drop:
    """Read a landed range into the raw tables and record it, which is the last step."""
    recorded = platform.ledger.view().drops.get((feed.name, held.drop_id))
    if recorded is not None:
        return recorded
    key = landing_key(feed, held)
    with platform.store.reading(key) as path:
        received_at = json.loads(pq.read_metadata(path).metadata[_FOOTER.encode()])["received_at"]
        size = path.stat().st_size
    drop = read_landed(
        platform,
        feed,
        key,
        name=held.name,
        drop_id=held.drop_id,
        size=size,
        modified_at=received_at,
        received_at=received_at,
    )
    others = [other for other in ranges_of(platform.ledger.view(), feed).get(held.log, []) if other != held]
    if landed_end(others) != held.start:
        raise StreamError(f"{held.log}: another run landed offsets from {held.start} meanwhile: run one at a time")
    platform.ledger.record(drop)
    return drop


class _RecordWriter:
    """Writes records into a Parquet file, holding at most one row group of them.

    Attributes
    ----------
    position : int or None
        First offset behind those that were added; None before the first.
    records : int
    """

    def __init__(self, path: Path) -> None:
        self.position: int | None = None
        self.records = 0
        self._held: list[pa.RecordBatch] = []
        # Nearly every record differs from the others: dictionaries would cost time and save nothing.
        self._sink = pq.ParquetWriter(
            path,
            RECORDS,
            compression="zstd",
            compression_level=1,
            use_dictionary=["key"],
            column_encoding={"offset": "DELTA_BINARY_PACKED", "timestamp": "DELTA_BINARY_PACKED"},
            write_statistics=["offset", "timestamp"],
        )

    def __enter__(self) -> _RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()

    def add(self, batch: pa.RecordBatch, position: int) -> None:
        """Add records; ``position`` is the first offset behind them."""
        self.position = position
        self.records += batch.num_rows
        if batch.num_rows:
            self._held.append(batch)
        if (
            sum(held.num_rows for held in self._held) >= ROW_GROUP_RECORDS
            or sum(held.nbytes for held in self._held) >= ROW_GROUP_BYTES
        ):
            self._flush()

    def finish(self, footer: dict[str, object]) -> None:
        """Write what is held, and the footer."""
        self._flush()
        self._sink.add_key_value_metadata({_FOOTER: json.dumps(footer)})
        self._sink.close()

    def _flush(self) -> None:
        if self._held:
            rows = pa.Table.from_batches(self._held)
            self._sink.write_table(rows, row_group_size=rows.num_rows)
            self._held.clear()
