"""From a file in the inbox to raw rows: land the bytes, read them, write the parts, record the drop.

Belongs here: the order of these steps, which makes a drop count exactly once: outputs are named from the drop's
identity, and the ledger's record comes last, so after a crash at any point it is done again. Does not belong
here: the formats (``feeds/``) and which files are new (``inbox.py``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.clock import instant
from metrify_assets.digest import digest_of, shard_of
from metrify_assets.drops.inbox import Inbox, InboxFile, StillChangingError
from metrify_assets.drops.ledger import Drop, LedgerView, Part, Source
from metrify_assets.drops.offsets import OffsetRange
from metrify_assets.errors import DropError
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.creation import created_at
from metrify_assets.feeds.model import Feed, RegistryFeed
from metrify_assets.feeds.reader import ReadReport, read_drop, table_of
from metrify_assets.feeds.rows.batch import Batch
from metrify_assets.landing.quarantine.files import read_quarantine
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.storage.lake import parquet_options
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import day_from_number

FLUSH_ROWS = 2_000_000
"""Rows that are held in memory before they are written: bounds memory, whatever the size of a file."""


@dataclass(frozen=True)
class Ingested:
    """What became of one file: ``new``, ``redelivery`` (nothing to do), ``changing`` (still being written) or
    ``gone``."""

    file: InboxFile
    outcome: str
    drop: Drop | None = None


def raw_table(feed: Feed) -> str:
    """Return the table that a feed's rows go to."""
    return f"registry_{feed.registry}" if isinstance(feed, RegistryFeed) else table_of(feed).name


def outdated(platform: Platform) -> list[Drop]:
    """Return the drops that count and were read under another feed definition, reader or first day."""
    drops = platform.ledger.view().active.values()
    return [drop for drop in drops if drop.feed in platform.feeds and is_outdated(platform, drop)]


def is_outdated(platform: Platform, drop: Drop) -> bool:
    """Return whether a drop was read under another feed definition or reader than those of now, or lacks days that
    the first day of now accepts."""
    feed = platform.feed(drop.feed)
    if drop.parse_digest == parse_digest_of(feed, platform.first_day):
        return False
    if drop.parse_digest in {parse_digest_of(feed, day) for day in platform.former_first_days}:
        # Only the first day was another: what was not refused for its day is read as before.
        refused = read_quarantine(platform.store, drop, ["reason"])["reason"].unique().to_pylist()
        return RejectReason.DAY_OUT_OF_RANGE in refused
    return True


def parse_digest_of(feed: Feed, first_day: date) -> str:
    """Return the digest of all that decides how a feed's bytes become rows."""
    return digest_of(feed.digest, first_day)


def last_day_of(settings: Settings, received_at: int) -> date:
    """Return the last delivery day that a drop may hold: given by its arrival, so that reading it again is the same."""
    return settings.last_day(instant(received_at).astimezone(ZoneInfo(settings.timezone)).date())


def _arrived_at(feed: Feed, received_at: int, modified_at: int, read_at: int) -> int:
    """Return when a drop arrived: a document counts as received when it was made, by a clock that may be wrong."""
    return max(received_at, min(modified_at, read_at)) if feed.states_creation else received_at


def batches_of(platform: Platform, drop: Drop, path: Path, report: ReadReport) -> Iterator[Batch]:
    """Read a drop's landed bytes, which lie at ``path``, under the feed definition of now; nothing is written.

    Counts are added to ``report``.
    """
    feed = platform.feed(drop.feed)
    arrived_at = _arrived_at(feed, drop.received_at, drop.modified_at, drop.ingested_at)
    return read_drop(
        feed,
        path,
        name=drop.name,
        drop_id=drop.drop_id,
        received_at=drop.received_at,
        zone=platform.settings.timezone,
        first_day=platform.first_day,
        last_day=last_day_of(platform.settings, arrived_at),
        report=report,
        arrived_at=arrived_at,
    )


def read_again(platform: Platform, drop: Drop) -> Drop:
    """Read a drop's landed bytes once more, under the feed definition of now, and record the outcome.

    Raises
    ------
    DropError
        If the landed bytes are missing or damaged, and the inbox does not have them either.
    """
    again = read_landed(
        platform,
        platform.feed(drop.feed),
        whole_landed(platform, drop),
        name=drop.name,
        drop_id=drop.drop_id,
        size=drop.size,
        modified_at=drop.modified_at,
        received_at=drop.received_at,
        etag=drop.etag,
    )
    # Of several readings the last counts, also by a clock that was set back since.
    again = replace(again, ingested_at=max(again.ingested_at, drop.ingested_at + 1))
    platform.ledger.record(again)
    return again


def whole_landed(platform: Platform, drop: Drop) -> str:
    """Return the key of a drop's landed bytes, which are landed again from the inbox if they are damaged.

    Raises
    ------
    DropError
        If the inbox does not have them either.
    """
    # A local copy that is damaged is not kept: the second look is at the object.
    if _is_landed(platform.store, drop) or _is_landed(platform.store, drop):
        return drop.landed
    feed = platform.feed(drop.feed)
    sources = [
        source for name, source in platform.ledger.view().sources if (name, source.size) == (feed.name, drop.size)
    ]
    for source in sorted(sources, key=lambda source: (source.name != drop.name, -source.modified_at)):
        try:
            digest, landed = _land(platform, feed, InboxFile(feed.name, *source))
        except (FileNotFoundError, StillChangingError):
            continue
        if digest == drop_digest(drop):
            return landed
    raise DropError(
        f"{drop.landed} is missing or damaged: put {drop.feed}/{drop.name} into the inbox again as it came, and try "
        "again once the drops sensor has seen it"
    )


def _is_landed(store: ObjectStore, drop: Drop) -> bool:
    """Return whether the landed bytes are those of the drop; of a range of a stream its size alone is compared."""
    try:
        with store.reading(drop.landed) as path:
            if path.stat().st_size != drop.size:
                raise _OtherBytes
            if OffsetRange.of_drop(drop.drop_id) is None:
                with open(path, "rb") as source:
                    if _digest(source) != drop_digest(drop):
                        raise _OtherBytes
    except (FileNotFoundError, _OtherBytes):
        return False
    return True


class _OtherBytes(Exception):
    """What lies in the landing zone is not what was landed."""


def ingest(platform: Platform, file: InboxFile) -> Ingested:
    """Take one inbox file into the platform. Doing it twice, or again after a crash, changes nothing.

    Raises
    ------
    DropError
        If the path leaves the inbox, or the file may not be read.
    FeedError
        If the feed is unknown.
    """
    feed = platform.feed(file.feed)
    try:
        digest, landed = _land(platform, feed, file)
    except StillChangingError:
        return Ingested(file, "changing")
    except FileNotFoundError:
        return Ingested(file, "gone")
    view = platform.ledger.view()
    repeated = recognise(view, feed, file.name, digest)
    if repeated is not None:
        if (feed.name, file.source) not in view.sources:
            platform.ledger.record_redelivery(feed.name, repeated.drop_id, file.source)
        return Ingested(file, "redelivery", repeated)
    return Ingested(file, "new", read_new(platform, feed, landed, digest, file.source))


def read_new(platform: Platform, feed: Feed, landed: str, digest: str, source: Source) -> Drop:
    """Read landed bytes that are news, and record them as a drop; ``source`` is where they were seen."""
    view = platform.ledger.view()
    written_at = source.modified_at
    if feed.states_creation:
        with platform.store.reading(landed) as path:
            written_at = created_at(feed, path) or written_at
    drop = read_landed(
        platform,
        feed,
        landed,
        name=source.name,
        drop_id=_numbered(digest, len(_same_bytes(view, feed, digest))),
        size=source.size,
        modified_at=source.modified_at,
        received_at=_received_at(view, feed, source.name, written_at, platform.clock.now()),
        etag=source.etag,
    )
    platform.ledger.record(drop)
    return drop


def _received_at(view: LedgerView, feed: Feed, name: str, written_at: int, now: int) -> int:
    """Return when a file counts as received: when it was written, but not in the future, and after its predecessor.

    A document that states its creation was written then, however late it arrives: what a later one says stays.
    Tools that keep time stamps (rsync -t, unzip) may deliver a correction that looks older than what it corrects.
    """
    if feed.states_creation:
        return min(written_at, now)
    before = [drop.received_at for drop in view.named(feed.name, name)]
    return max([min(written_at, now), *(moment + 1 for moment in before)])


def recognise(view: LedgerView, feed: Feed, name: str, digest: str) -> Drop | None:
    """Return the drop that a delivery of these bytes under this name merely repeats, or None if it is news.

    Bytes that were withdrawn, or that something else of the same name has replaced since, are news. So are, under
    another name, bytes that nothing could be read from, and all bytes of a feed whose file names state the point.
    """
    same = [
        drop
        for drop in _same_bytes(view, feed, digest)
        if drop.key in view.active and (drop.name == name or (drop.counts["raw_values"] and not feed.reads_file_name))
    ]
    if feed.same_name == "replace":
        current = [drop for drop in view.named(feed.name, name) if drop.key in view.active]
        if current:
            same = [drop for drop in current if drop_digest(drop) == digest]
    return same[0] if same else None


def drop_digest(drop: Drop) -> str:
    """Return the digest of a drop's bytes."""
    return drop.drop_id.partition(".")[0]


def _numbered(digest: str, times: int) -> str:
    """Return the id of a drop whose bytes came so many times before, each time after something else replaced them."""
    return f"{digest}.{times + 1}" if times else digest


def _same_bytes(view: LedgerView, feed: Feed, digest: str) -> list[Drop]:
    """Return the drops of a feed that hold the same bytes, in the order in which they came."""
    candidates: list[Drop] = []
    while drop := view.drops.get((feed.name, _numbered(digest, len(candidates)))):
        candidates.append(drop)
    return candidates


def inbox_digest(inbox: Inbox, file: InboxFile) -> str:
    """Return the digest of a file in the inbox; raises what ``Inbox.reading`` does."""
    with inbox.reading(file) as source:
        return _digest(source)


def _digest(source: BinaryIO, copy: BinaryIO | None = None) -> str:
    """Return the digest of a stream's bytes, 16 hexadecimal digits, writing them to ``copy`` on the way."""
    hasher = blake2b(digest_size=8)
    while chunk := source.read(1 << 20):
        hasher.update(chunk)
        if copy is not None:
            copy.write(chunk)
    return hasher.hexdigest()


def _land(platform: Platform, feed: Feed, file: InboxFile) -> tuple[str, str]:
    """Copy the bytes to the landing zone, in one pass; return their digest and their key.

    What lies there already is replaced: it may be damaged.
    """
    folder = f"landing/{feed.name}"
    with platform.store.scratch(folder) as temporary:
        with platform.inbox.reading(file) as source, open(temporary, "wb") as copy:
            digest = _digest(source, copy)
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(file.name).name)[-100:]
        key = f"{folder}/{digest}-{base}"
        platform.store.keep(temporary, key)
    return digest, key


def read_landed(
    platform: Platform,
    feed: Feed,
    landed: str,
    *,
    name: str,
    drop_id: str,
    size: int,
    modified_at: int,
    received_at: int,
    etag: str = "",
) -> Drop:
    """Read landed bytes, write their raw and quarantine parts and return the record that is to be written."""
    settings = platform.settings
    platform.keep_format()
    moment = platform.clock.now()
    arrived_at = _arrived_at(feed, received_at, modified_at, moment)
    report = ReadReport()
    # What is accepted depends on the feed's definition and on the first day: another reading gets other names.
    parse_digest = parse_digest_of(feed, platform.first_day)
    shards = settings.shards if table_of(feed).sharded else 1
    writer = _PartWriter(platform, raw_table(feed), f"{drop_id}~{parse_digest}", shards)
    rejected: list[pa.Table] = []

    def restart() -> None:
        writer.discard()
        rejected.clear()

    with platform.store.reading(landed) as path:
        for batch in read_drop(
            feed,
            path,
            name=name,
            drop_id=drop_id,
            received_at=received_at,
            zone=settings.timezone,
            first_day=platform.first_day,
            last_day=last_day_of(settings, arrived_at),
            report=report,
            restart=restart,
            arrived_at=arrived_at,
        ):
            if batch.rows.num_rows:
                writer.add(batch.rows)
            if batch.quarantine.num_rows:
                rejected.append(batch.quarantine)
    parts = writer.finish()
    quarantine = ""
    if rejected:
        quarantine = f"lake/quarantine/{feed.name}/{drop_id}~{parse_digest}.parquet"
        with platform.store.writing(quarantine) as temporary:
            pq.write_table(pa.concat_tables(rejected).unify_dictionaries(), temporary, compression="snappy")
    return Drop(
        feed=feed.name,
        drop_id=drop_id,
        name=name,
        kind=feed.kind,
        table=raw_table(feed),
        replaces=feed.same_name == "replace",
        landed=landed,
        size=size,
        modified_at=modified_at,
        received_at=received_at,
        ingested_at=moment,
        parse_digest=parse_digest,
        parts=parts,
        counts={
            "rows": report.rows,
            "delivered_values": report.delivered_values,
            "raw_values": report.raw_values,
            "quarantined_rows": report.quarantined_rows,
            "quarantined_values": report.quarantined_values,
            "refused_files": report.refused_files,
        },
        quarantine=quarantine,
        etag=etag,
    )


class _PartWriter:
    """Cuts rows into days and shards and writes them, holding at most ``FLUSH_ROWS`` rows."""

    def __init__(self, platform: Platform, table: str, name: str, shards: int):
        self.platform, self.table, self.name, self.shards = platform, table, name, shards
        self.held: dict[tuple[str, int], list[pa.Table]] = defaultdict(list)
        self.rows = 0
        self.flushes = 0
        self.parts: dict[str, list[Part]] = defaultdict(list)

    def add(self, rows: pa.Table) -> None:
        for key, piece in self._cut(rows):
            self.held[key].append(piece)
        self.rows += rows.num_rows
        if self.rows >= FLUSH_ROWS:
            self._flush()

    def finish(self) -> dict[str, list[Part]]:
        self._flush()
        return dict(self.parts)

    def discard(self) -> None:
        """Delete what was written. What comes then has other names, so no name ever stood for two contents."""
        self.held.clear()
        self.rows = 0
        for part in [part for parts in self.parts.values() for part in parts]:
            self.platform.store.delete(part.file)
        self.parts.clear()

    def _cut(self, rows: pa.Table) -> Iterator[tuple[tuple[str, int], pa.Table]]:
        if "day" not in rows.column_names:
            yield ("", 0), rows
            return
        days = rows["day"].cast(pa.int32()).to_numpy().astype(np.int64)
        shards = _shard_numbers(rows["point_id"], self.shards) if self.shards > 1 else np.zeros(len(days), np.int64)
        keys = days * self.shards + shards
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        ends = np.r_[starts[1:], len(ordered)]
        already = bool(np.all(order[1:] > order[:-1]))
        sorted_rows = rows if already else rows.take(pa.array(order))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            day, shard = divmod(int(ordered[start]), self.shards)
            yield (day_from_number(day).isoformat(), shard), sorted_rows.slice(start, end - start)

    def _flush(self) -> None:
        by_day: dict[str, list[tuple[int, list[pa.Table]]]] = defaultdict(list)
        for (day, shard), pieces in sorted(self.held.items()):
            by_day[day].append((shard, pieces))
        for day, shards in by_day.items():
            folder = f"lake/{self.table}/day={day}" if day else f"lake/{self.table}"
            key = f"{folder}/{self.name}-{self.flushes}.parquet"
            groups: dict[str, list[int]] = {}
            counts: dict[str, int] = {}
            with self.platform.store.writing(key) as temporary:
                schema = shards[0][1][0].schema
                with pq.ParquetWriter(temporary, schema, **parquet_options(schema)) as sink:
                    for position, (shard, pieces) in enumerate(shards):
                        data = _own_dictionaries(pa.concat_tables(pieces).unify_dictionaries().combine_chunks())
                        sink.write_table(data, row_group_size=max(data.num_rows, 1))
                        groups[str(shard)] = [position]
                        counts[str(shard)] = data.num_rows
            self.parts[day].append(Part(key, groups, counts))
        self.held.clear()
        self.rows = 0
        self.flushes += 1


def _own_dictionaries(rows: pa.Table) -> pa.Table:
    """Return the rows with dictionaries of the texts that they hold, and no others.

    The rows of a shard are cut from a file whose dictionary names every point: without this each of its row groups
    would carry, and each reader unpack, all of them.
    """
    columns = [
        _own_dictionary(rows[field.name]) if pa.types.is_dictionary(field.type) else rows[field.name]
        for field in rows.schema
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _own_dictionary(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    indices = array.indices
    codes = indices.fill_null(0).to_numpy(zero_copy_only=False)
    used = np.zeros(max(len(array.dictionary), 1), dtype=bool)
    used[codes] = True
    if used.all() or not len(array.dictionary):
        return array
    places = (np.cumsum(used) - 1).astype(np.int32)
    absent = indices.is_null().to_numpy(zero_copy_only=False) if indices.null_count else None
    return pa.DictionaryArray.from_arrays(
        pa.array(places[codes], pa.int32(), mask=absent), array.dictionary.take(pa.array(np.flatnonzero(used)))
    )


def _shard_numbers(points: pa.ChunkedArray, shards: int) -> Int64Array:
    encoded = points if pa.types.is_dictionary(points.type) else pc.dictionary_encode(points)
    encoded = encoded.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    numbers = np.array([shard_of(text, shards) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
    rows: Int64Array = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
    return rows
