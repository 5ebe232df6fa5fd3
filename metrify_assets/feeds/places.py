"""Where a data row stands in its file, so that a person can find it with an editor.

Belongs here: line numbers of the formats that have lines. Does not belong here: reading a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metrify_assets.feeds.archives import members
from metrify_assets.feeds.chunk import UnreadableFile
from metrify_assets.feeds.files import LineLayout, count_block, is_blank, line_blocks
from metrify_assets.feeds.model import Feed, FeedFormat

_WITH_LINES = (FeedFormat.DELIMITED, FeedFormat.JSON_LINES)


def line_numbers(feed: Feed, path: Path, rows: Iterable[int]) -> dict[int, int]:
    """Return the line, from 1, of some data rows of a file; rows that have no line of their own are left out.

    Blank lines are no rows, and a header is none: so the line of a row is found by counting. A compressed file is
    counted as it is once unpacked, and of several in an archive the first. Where some lines are totals, or go on in the
    next one, the line of a row is not told.
    """
    wanted = {row for row in rows if row > 0}
    if not wanted or feed.format not in _WITH_LINES or feed.footer or feed.quoted_line_ends:
        return {}
    before = feed.skip_lines + (feed.format is FeedFormat.DELIMITED and feed.header is not False)
    try:
        for member in members(path, feed.members):
            return _count(member.path, wanted, before)
    except UnreadableFile:
        # What breaks off was refused as a whole: it has no rows.
        pass
    return {}


def _count(path: Path, wanted: set[int], before: int) -> dict[int, int]:
    found: dict[int, int] = {}
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
            if row in wanted and row not in found:
                found[row] = line
        if row >= last:
            break
    return found


def _lines(block: bytes) -> list[bytes]:
    """Return the lines of a block; only a line feed ends one."""
    lines = block.split(b"\n")
    return lines if lines[-1] else lines[:-1]
