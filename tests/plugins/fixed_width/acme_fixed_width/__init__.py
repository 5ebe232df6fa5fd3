"""A format of one's own: 12 characters of point, 12 of stamp, 8 of watt-hours; a line per value."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject
from metrify_assets.feeds.model import Feed

LINES = 100_000
WIDTH = 32


class FixedWidthSource:
    """Yields the columns ``point``, ``stamp`` and ``wh`` as text: the feed says what they mean."""

    def __init__(self, feed: Feed, path: Path) -> None:
        self._path = path

    def chunks(self) -> Iterator[Chunk]:
        """Yield the lines in bounded pieces; a line of another width is rejected, never guessed at."""
        with self._path.open(encoding="utf-8", errors="replace") as stream:
            first = 1
            # A file without lines gives one chunk without rows.
            while (lines := [line.rstrip("\r\n") for _, line in zip(range(LINES), stream, strict=False)]) or first == 1:
                yield _chunk(lines, first)
                first += max(1, len(lines))


def _chunk(lines: list[str], first: int) -> Chunk:
    numbered = list(enumerate(lines, first))
    rows = [(number, line) for number, line in numbered if len(line) == WIDTH]
    rejects = [
        Reject(number, RejectReason.BROKEN_RECORD, f"expected {WIDTH} characters, found {len(line)}", line)
        for number, line in numbered
        if len(line) != WIDTH
    ]
    columns = {
        name: pa.array([line[part].strip() for _, line in rows], pa.string())
        for name, part in (("point", slice(0, 12)), ("stamp", slice(12, 24)), ("wh", slice(24, 32)))
    }
    numbers = np.array([number for number, _ in rows], dtype=np.int64)
    return Chunk(numbers, columns, lambda asked: [lines[n - first] for n in asked.tolist()], len(lines), rejects)
