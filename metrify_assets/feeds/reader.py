"""A drop, read: the one entrance to all formats and kinds of feeds.

Belongs here: choosing source and row reader, cutting work into bounded batches, counting. Does not belong here:
formats and fields, and where drops lie or go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pyarrow.compute as pc

from metrify_assets.feeds.batch import Batch, Provenance, file_quarantine
from metrify_assets.feeds.chunk import MAX_VALUES_PER_BATCH, Chunk, Source, UnreadableFile
from metrify_assets.feeds.files import beginning, uncompressed
from metrify_assets.feeds.json_source import JsonLinesSource
from metrify_assets.feeds.measured import TABLES, MeasuredReader
from metrify_assets.feeds.model import Feed, FeedFormat, FeedKind
from metrify_assets.feeds.parquet_source import ParquetSource
from metrify_assets.feeds.registry import RegistryReader
from metrify_assets.feeds.repeated_hour import RepeatedHour, resolve
from metrify_assets.feeds.stream_source import StreamSource
from metrify_assets.feeds.text_source import DelimitedSource
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table

_SOURCES = {
    FeedFormat.DELIMITED: DelimitedSource,
    FeedFormat.JSON_LINES: JsonLinesSource,
    FeedFormat.PARQUET: ParquetSource,
    FeedFormat.STREAM: StreamSource,
}


@dataclass
class ReadReport:
    """Counts of a drop, complete when it has been read to its end.

    ``delivered_values == raw_values + quarantined_values`` always holds; the left side is counted without the parser
    (data lines of a text file, rows of a Parquet file's footer, times the value columns of the feed).
    """

    rows: int = 0
    delivered_values: int = 0
    raw_values: int = 0
    quarantined_rows: int = 0
    quarantined_values: int = 0


def table_of(feed: Feed) -> Table:
    """Return the table that the rows of a feed go to."""
    return REGISTRIES[feed.registry] if feed.kind is FeedKind.REGISTRY else TABLES[feed.kind]


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
) -> Iterator[Batch]:
    """Read a file as its feed declares; what cannot be read becomes quarantine rows, never an exception.

    Parameters
    ----------
    feed : Feed
    path : Path
        The file; gzip is recognised by its bytes.
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
    provenance = Provenance(feed.name, drop_id, name, received_at)
    try:
        with uncompressed(path) as plain:
            source: Source = _SOURCES[feed.format](feed, plain)
            read = _row_reader(feed, source, provenance, zone, first_day, last_day)
            for part in (part for chunk in source.chunks() for part in _parts(chunk, feed.values_per_row)):
                try:
                    batch = read(part)
                except UnreadableFile as problem:
                    raise _with_rows(problem, source, plain) from problem
                report.rows += part.delivered_rows
                report.delivered_values += part.delivered_rows * feed.values_per_row
                yield _counted(batch, report)
    except UnreadableFile as problem:
        cells = problem.rows * feed.values_per_row
        report.rows += problem.rows
        report.delivered_values += cells
        yield _counted(Batch(table_of(feed).empty(), file_quarantine(problem, provenance, cells)), report)


def _row_reader(
    feed: Feed, source: Source, provenance: Provenance, zone: str, first_day: date, last_day: date
) -> Callable[[Chunk], Batch]:
    if feed.kind is FeedKind.REGISTRY:
        return RegistryReader(feed, provenance, zone).read

    @cache
    def repeated_hour() -> RepeatedHour:
        # A second pass over the file, only for files that hold the repeated hour.
        return resolve(source.chunks(), reader.stamps, reader.series, provenance.file_name)

    reader = MeasuredReader(
        feed, provenance, zone=zone, first_day=first_day, last_day=last_day, repeated_hour=repeated_hour
    )
    return reader.read


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


def _counted(batch: Batch, report: ReadReport) -> Batch:
    report.raw_values += batch.rows.num_rows
    report.quarantined_rows += batch.quarantine.num_rows
    report.quarantined_values += pc.sum(batch.quarantine.column("value_cells")).as_py() or 0
    return batch
