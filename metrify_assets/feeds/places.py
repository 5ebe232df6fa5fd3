"""Where a data row stands in its file, so that a person can find it with an editor.

Belongs here: the file inside a zip, line numbers of the formats that have lines, and what the numbers of the others
count. Does not belong here: reading a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.creation import files_of
from metrify_assets.feeds.formats.files import LineLayout, count_block, is_blank, line_blocks
from metrify_assets.feeds.model import DelimitedFeed, Feed, FeedFormat, JsonLinesFeed

UNITS = {
    FeedFormat.MSCONS: "segment",
    FeedFormat.ESPI: "reading",
    FeedFormat.E66: "observation",
    FeedFormat.ESL: "value row",
    FeedFormat.JSON_DOCUMENT: "record",
    FeedFormat.STREAM: "offset",
}
"""What the row numbers of a format count, where it is no row."""


@dataclass(frozen=True)
class Place:
    """Place of a row.

    Attributes
    ----------
    member : str
        Name of the file inside a zip; blank elsewhere.
    line : int or None
        Line of that (uncompressed) file, from 1, where its rows are lines.
    """

    member: str = ""
    line: int | None = None


def places(feed: Feed, path: Path, rows: Iterable[int], inside: Sequence[tuple[str, int]] = ()) -> dict[int, Place]:
    """Return the places of some rows of a file; rows that cannot be located are left out.

    Blank lines are no rows, and a header is none: so the line of a row is found by counting. A compressed file is
    counted as it is once unpacked. Where some lines are totals, or go on in the next one, the line of a row is not
    told.

    Parameters
    ----------
    rows : iterable of int
        Row numbers; 0 stands for the file as a whole and has no place.
    inside : sequence of (str, int)
        Files of a zip with the number of each as a whole, as ``ReadReport.members`` has them.
    """
    wanted = {row for row in rows if row > 0}
    if not wanted:
        return {}
    places: dict[int, Place] = {}
    starts = [start for _, start in inside] or [0]
    try:
        for member, start, after in zip_longest(files_of(feed, path), starts, starts[1:]):
            if member is None or start is None:
                break
            own = {row for row in wanted if start < row and (after is None or row < after)}
            lines = _lines_in(feed, member.path, {row - start for row in own})
            places |= {row: Place(member.name, lines.get(row - start)) for row in own}
            if start in wanted:
                places[start] = Place(member.name)
    except UnreadableFile:
        # A zip that cannot be opened was refused as a whole: it has no rows.
        pass
    return {row: place for row, place in places.items() if place != Place()}


def _lines_in(feed: Feed, path: Path, rows: set[int]) -> dict[int, int]:
    """Return the lines of some rows of a plain file."""
    if feed.format is FeedFormat.NEM12:
        return {row: row for row in rows}
    if not rows:
        return {}
    if isinstance(feed, JsonLinesFeed):
        return _count(path, rows, 0)
    if not isinstance(feed, DelimitedFeed) or feed.footer or feed.quoted_line_ends:
        return {}
    return _count(path, rows, feed.skip_lines + (feed.header is not False))


def _count(path: Path, wanted: set[int], before: int) -> dict[int, int]:
    lines: dict[int, int] = {}
    line, row, last = before, 0, max(wanted)
    for block in line_blocks(path, LineLayout(before)):
        rows = count_block(block)
        if not any(row < number <= row + rows for number in wanted):
            line += block.count(b"\n")
            row += rows
            continue
        for text in _lines(block):
            line += 1
            row += not is_blank(text)
            if row in wanted and row not in lines:
                lines[row] = line
        if row >= last:
            break
    return lines


def _lines(block: bytes) -> list[bytes]:
    """Return the lines of a block; only a line feed ends one."""
    lines = block.split(b"\n")
    return lines if lines[-1] else lines[:-1]
