"""A drop, read: the one entrance to all formats and kinds of feeds.

Belongs here: choosing source and row reader, cutting work into bounded batches, counting. Does not belong here:
formats and fields, and where drops lie or go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.archives import Member, is_zip
from metrify_assets.feeds.formats.chunk import MAX_VALUES_PER_BATCH, Chunk, Source, UnreadableFile
from metrify_assets.feeds.formats.creation import created_in, files_of
from metrify_assets.feeds.formats.document_source import JsonDocumentSource
from metrify_assets.feeds.formats.e66_source import E66Source
from metrify_assets.feeds.formats.esl_source import EslSource
from metrify_assets.feeds.formats.espi_source import EspiSource
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.fitting import with_columns_of, with_interval_of
from metrify_assets.feeds.formats.json_source import JsonLinesSource
from metrify_assets.feeds.formats.mscons_source import MsconsSource
from metrify_assets.feeds.formats.nem12_source import Nem12Source
from metrify_assets.feeds.formats.parquet_source import ParquetSource
from metrify_assets.feeds.formats.stream_source import StreamSource
from metrify_assets.feeds.formats.text_source import DelimitedSource
from metrify_assets.feeds.model import (
    DelimitedFeed,
    E66Readings,
    EslReadings,
    EspiReadings,
    Feed,
    JsonDocumentFeed,
    JsonLinesFeed,
    MeasuredFeed,
    MsconsReadings,
    Nem12Readings,
    ObservedFeed,
    ParquetFeed,
    PluginFeed,
    RegistryFeed,
    StreamFeed,
)
from metrify_assets.feeds.plugins import load_reader
from metrify_assets.feeds.rows.batch import Batch, Provenance, file_quarantine
from metrify_assets.feeds.rows.contradictions import BatchSlots, RepeatedSlots, SlotWatch, slots_of
from metrify_assets.feeds.rows.measured import TABLES, MeasuredReader
from metrify_assets.feeds.rows.registry import RegistryReader
from metrify_assets.feeds.values.repeated_hour import RepeatedHour, resolve
from metrify_assets.feeds.values.stamps import StampReader
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.storage.parallel import in_order


@dataclass
class ReadReport:
    """Counts of a drop, complete when it has been read to its end.

    ``rows`` counts what the format delivers values in: data lines, segments of quantities, readings, slots of a day.

    ``delivered_values == raw_values + quarantined_values`` always holds; the left side is counted without the parser
    (data lines of a text file, rows of a Parquet file's footer, times the value columns of the feed).
    """

    rows: int = 0
    delivered_values: int = 0
    raw_values: int = 0
    quarantined_rows: int = 0
    quarantined_values: int = 0
    refused_files: int = 0
    """Files of which nothing was read: the drop itself, or files in its zip."""
    repeated_slots: int = 0
    """Slots that come more than once. These two are counted where the file is watched; see ``read_drop``."""
    contradicting_slots: int = 0
    """Slots among them that come with different values."""
    members: list[tuple[str, int]] = field(default_factory=list)
    """Files of a zip in the order in which they were read, each with the number that stands for it as a whole; those
    of its rows follow."""

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the drop's account by their names."""
        left_out = ("repeated_slots", "contradicting_slots", "members")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def clear(self) -> None:
        """Begin to count anew."""
        vars(self).update(vars(ReadReport()))


def table_of(feed: Feed) -> Table:
    """Return the table that the rows of a feed go to."""
    return REGISTRIES[feed.registry] if isinstance(feed, RegistryFeed) else TABLES[feed.kind]


def read_drop(
    feed: Feed,
    path: Path,
    *,
    name: str,
    drop_id: str,
    received_at: int,
    zone: str,
    first_day: date,
    last_day: date,
    report: ReadReport,
    restart: Callable[[], None] | None = None,
    arrived_at: int = 0,
) -> Iterator[Batch]:
    """Read a file as its feed declares; what cannot be read becomes quarantine rows, never an exception.

    That a slot has two values shows when the second is read, maybe at the end of the file. Then the file is read once
    more, without the values that the feed refuses. Documents in a zip that say when they were made contradict
    themselves alone: of two of them the one made later counts.

    Parameters
    ----------
    feed : Feed
    path : Path
        The file; gzip and zip are recognised by their bytes. The files in a zip are read one after another, the row
        numbers of each follow those of the one before.
    name : str
        Name under which the sender delivered it (points may be in it).
    drop_id : str
    received_at : int
        UTC microseconds.
    zone : str
        Zone of the delivery day.
    first_day, last_day : date
        Delivery days that are accepted, both included.
    report : ReadReport
        Counts are added to it.
    restart : callable, optional
        Called before the file is read once more: batches before it do not count. Without it no such batch is yielded,
        since the file is looked through first where its feed refuses contradictions; and slots that come more than
        once are counted for all feeds but streams and registries.
    arrived_at : int
        When the drop arrived, where it counts as received before, UTC microseconds.

    Yields
    ------
    Batch
        At most about a million values each, in file order. A file that cannot be read at all gives one batch with one
        quarantine row of number 0.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    reading = _Reading(
        feed, path, Provenance(feed.name, drop_id, name, received_at, arrived_at), _Days(zone, first_day, last_day)
    )
    refuses = feed.counting_rows != "last"
    if isinstance(feed, RegistryFeed | StreamFeed) or not (refuses or restart is None):
        yield from reading.batches(report)
        return
    if refuses and feed.states_creation and is_zip(path):
        yield from reading.batches(report, apart=True)
        return
    watch = SlotWatch(feed.kind)
    first_look = reading.batches(report, watch=watch)
    if refuses and restart is None:
        for _ in first_look:
            pass
    else:
        yield from first_look
    repeated = watch.settle(lambda: (batch.rows for batch in reading.batches(ReadReport())))
    if refuses and (repeated.contradicting or restart is None):
        if restart is not None:
            restart()
        report.clear()
        yield from reading.batches(report, repeated=repeated)
    report.repeated_slots, report.contradicting_slots = repeated.repeated, repeated.contradicting


def _source(feed: Feed, path: Path) -> Source:
    """Return the source of a plain file; raise ``FeedError`` if the reader of another package cannot be loaded."""
    match feed:
        case DelimitedFeed():
            return DelimitedSource(feed, path)
        case JsonLinesFeed():
            return JsonLinesSource(feed, path)
        case JsonDocumentFeed():
            return JsonDocumentSource(feed, path)
        case ParquetFeed():
            return ParquetSource(feed, path)
        case StreamFeed():
            return StreamSource(feed, path)
        case MsconsReadings():
            return MsconsSource(feed, path)
        case Nem12Readings():
            return Nem12Source(feed, path)
        case EspiReadings():
            return EspiSource(feed, path)
        case E66Readings():
            return E66Source(feed, path)
        case EslReadings():
            return EslSource(feed, path)
        case PluginFeed():
            return load_reader(feed.reader)(feed, path)
    raise TypeError(f"no source for {type(feed).__name__}")


@dataclass(frozen=True)
class _Days:
    """Zone of the delivery day, and the days that are accepted."""

    zone: str
    first: date
    last: date


@dataclass(frozen=True)
class _Reading:
    """A drop that can be read from its start as often as needed."""

    feed: Feed
    path: Path
    provenance: Provenance
    days: _Days

    def batches(
        self,
        report: ReadReport,
        *,
        watch: SlotWatch | None = None,
        repeated: RepeatedSlots | None = None,
        apart: bool = False,
    ) -> Iterator[Batch]:
        """Yield the batches of all files of the drop.

        Parameters
        ----------
        report : ReadReport
        watch : SlotWatch, optional
            Takes the slots of every batch.
        repeated : RepeatedSlots, optional
            Slots of the drop whose contradictions are refused as the feed declares.
        apart : bool
            Whether the files are looked through one by one for such slots.
        """
        feed, first = self.feed, 0
        try:
            for member in files_of(feed, self.path):
                if member.name:
                    report.members.append((member.name, first))
                own = with_columns_of(feed, member.path)
                source = _Numbered(_source(own, member.path), first)
                provenance = self._provenance(member)
                before = report.rows
                try:
                    if member.problem is not None:
                        raise _with_lost_rows(member.problem, source)
                    if apart:
                        repeated = self._repeated(own, source, member.path)
                        report.repeated_slots += repeated.repeated
                        report.contradicting_slots += repeated.contradicting
                    yield from self._member(own, source, member.path, report, watch, repeated, provenance)
                except UnreadableFile as problem:
                    report.refused_files += report.rows == before
                    yield _unreadable(_within(problem, member), own, self.provenance, first, report)
                # One more than its rows, so that the next one has a number of its own.
                first = source.last + 1
        except UnreadableFile as problem:
            report.refused_files += 1
            yield _unreadable(problem, feed, self.provenance, first, report)

    def _provenance(self, member: Member) -> Provenance:
        """Return where the rows of a file come from: a document counts as received when it was made."""
        created = created_in(self.feed, member.path) if member.problem is None else None
        received_at = self.provenance.received_at
        made_at = min(created or received_at, received_at)
        return replace(self.provenance, received_at=made_at, arrived_at=self.provenance.latest_at)

    def _repeated(self, feed: Feed, source: Source, path: Path) -> RepeatedSlots:
        """Return the slots that one plain file gives more than once."""

        def rows(watch: SlotWatch | None) -> Iterator[pa.Table]:
            try:
                for batch in self._member(feed, source, path, ReadReport(), watch, None, self.provenance):
                    yield batch.rows
            except UnreadableFile:
                # Reading the file says so.
                return

        watch = SlotWatch(feed.kind)
        for _ in rows(watch):
            pass
        return watch.settle(lambda: rows(None))

    def _member(
        self,
        feed: Feed,
        source: Source,
        path: Path,
        report: ReadReport,
        watch: SlotWatch | None,
        repeated: RepeatedSlots | None,
        provenance: Provenance,
    ) -> Iterator[Batch]:
        """Read one plain file; raise ``UnreadableFile`` where it, or its rest, cannot be read."""
        days = self.days
        if isinstance(feed, ObservedFeed) and feed.also_intervals:
            stamps = StampReader(feed, days.zone, days.first, days.last, provenance.latest_at, provenance.file_name)
            feed = with_interval_of(feed, source, path, stamps)
        read = _row_reader(feed, source, provenance, days, repeated)

        def read_part(part: Chunk) -> tuple[int, Batch, BatchSlots | None]:
            try:
                batch = read(part)
            except UnreadableFile as problem:
                raise _with_rows(problem, source, path) from problem
            return part.delivered_rows, batch, None if watch is None else slots_of(feed.kind, batch.rows)

        parts = (part for chunk in source.chunks() for part in _parts(chunk, feed.values_per_row))
        # The rows of a registry are judged by those before them.
        workers = 1 if isinstance(feed, RegistryFeed) else 2
        for rows, batch, slots in in_order((partial(read_part, part) for part in parts), workers):
            report.rows += rows
            report.delivered_values += rows * feed.values_per_row
            if watch is not None and slots is not None:
                watch.add(slots)
            yield _counted(batch, report)


def _unreadable(
    problem: UnreadableFile, feed: Feed, provenance: Provenance, row_number: int, report: ReadReport
) -> Batch:
    """Return the batch of a file that cannot be read."""
    cells = problem.rows * feed.values_per_row
    report.rows += problem.rows
    report.delivered_values += cells
    quarantine = file_quarantine(problem, provenance, cells, row_number)
    return _counted(Batch(table_of(feed).empty(), quarantine), report)


class _Numbered:
    """A source whose row numbers go on after those of the files before it; see ``chunk.Source``."""

    def __init__(self, source: Source, first: int) -> None:
        self._source = source
        self._first = first
        self.last = first

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows of the source, numbered anew."""
        for chunk in self._source.chunks():
            numbers = [int(chunk.row_numbers[-1]) if len(chunk.row_numbers) else 0]
            numbers += [reject.row_number for reject in chunk.rejects[-1:]]
            self.last = max(self.last, self._first + max(numbers))
            yield self._moved(chunk) if self._first else chunk

    def _moved(self, chunk: Chunk) -> Chunk:
        def payloads(row_numbers: np.ndarray) -> list[str]:
            return chunk.payloads(row_numbers - self._first)

        rejects = [replace(reject, row_number=reject.row_number + self._first) for reject in chunk.rejects]
        return Chunk(chunk.row_numbers + self._first, chunk.columns, payloads, chunk.delivered_rows, rejects)


def _within(problem: UnreadableFile, member: Member) -> UnreadableFile:
    """Name the file inside a zip that a problem is about."""
    if not member.name:
        return problem
    return UnreadableFile(problem.reason, f"{member.name}: {problem.detail}", problem.payload, problem.rows)


def _row_reader(
    feed: Feed, source: Source, provenance: Provenance, days: _Days, repeated: RepeatedSlots | None
) -> Callable[[Chunk], Batch]:
    if isinstance(feed, RegistryFeed):
        return RegistryReader(feed, provenance, days.zone).read
    if not isinstance(feed, MeasuredFeed):
        raise TypeError(f"no reader for {type(feed).__name__}")

    @cache
    def repeated_hour() -> RepeatedHour:
        # A second pass over the file, only for files that hold the repeated hour.
        return resolve(source.chunks(), reader.stamps, reader.series, provenance.file_name)

    reader = MeasuredReader(
        feed, provenance, zone=days.zone, first_day=days.first, last_day=days.last, repeated_hour=repeated_hour
    )
    if repeated is None:
        return reader.read
    contradicting = partial(repeated.contradictions, but_the_first=feed.counting_rows == "first")
    return lambda chunk: reader.read(chunk, contradicting)


def _parts(chunk: Chunk, values_per_row: int) -> Iterator[Chunk]:
    """Cut a chunk so that no part holds many more than a million values; rejected rows go with the first part."""
    size = max(1, MAX_VALUES_PER_BATCH // values_per_row)
    for start in range(0, max(1, len(chunk.row_numbers)), size):
        columns = {name: column.slice(start, size) for name, column in chunk.columns.items()}
        delivered, rejects = (0, []) if start else (chunk.delivered_rows, chunk.rejects)
        yield Chunk(chunk.row_numbers[start : start + size], columns, chunk.payloads, delivered, rejects)


def _with_rows(problem: UnreadableFile, source: Source, path: Path) -> UnreadableFile:
    """Complete a problem with the file as a whole that showed while its first rows were read."""
    rows = sum(chunk.delivered_rows for chunk in source.chunks())
    return UnreadableFile(problem.reason, problem.detail, beginning(path), rows)


def _with_lost_rows(problem: UnreadableFile, source: Source) -> UnreadableFile:
    """Complete the problem of a file that was unpacked in part with the rows that can be located in it."""
    if problem.reason is not RejectReason.TRUNCATED_FILE:
        return problem
    rows = 0
    try:
        for chunk in source.chunks():
            rows += chunk.delivered_rows
    except UnreadableFile as rest:
        rows += rest.rows
    return UnreadableFile(problem.reason, problem.detail, problem.payload, rows)


def _counted(batch: Batch, report: ReadReport) -> Batch:
    report.raw_values += batch.rows.num_rows
    report.quarantined_rows += batch.quarantine.num_rows
    report.quarantined_values += pc.sum(batch.quarantine.column("value_cells")).as_py() or 0
    return batch
