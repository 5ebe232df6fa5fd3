"""The repeated hour of autumn: which pass a row without an offset belongs to.

Belongs here: resolution from the order of rows, per series. Does not belong here: any guess; an hour that was
delivered once is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metrify_assets.feeds.chunk import Chunk
from metrify_assets.feeds.labels import LabelReader
from metrify_assets.feeds.stamps import StampReader

FIRST, SECOND, UNRESOLVED = range(3)


@dataclass(frozen=True)
class RepeatedHour:
    """Rows of a file whose stamp names two instants.

    Attributes
    ----------
    row_numbers : int64 array, ascending
    passes : uint8 array
        ``FIRST``, ``SECOND`` or ``UNRESOLVED``.
    """

    row_numbers: np.ndarray
    passes: np.ndarray

    def of(self, row_numbers: np.ndarray) -> np.ndarray:
        """Return the pass of each of these rows."""
        return self.passes[np.searchsorted(self.row_numbers, row_numbers)]


def resolve(chunks: Iterator[Chunk], stamps: StampReader, identity: list[LabelReader], file_name: str) -> RepeatedHour:
    """Read a whole file and tell the passes apart.

    The first row of a series with such a stamp is the first pass, the second the second. A stamp that a series has
    once, or a third time, is unresolved.

    Parameters
    ----------
    chunks : iterator of Chunk
        The file from its start.
    stamps : StampReader
    identity : list of LabelReader
        Labels that together name the series of a row.
    file_name : str
    """
    series: dict[tuple[str | None, ...], int] = {}
    rows, owners, moments = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for chunk in chunks:
        read = stamps.read(chunk)
        chosen = np.flatnonzero(read.repeated[read.codes])
        if not chosen.size:
            continue
        labels = [reader.read(chunk, file_name) for reader in identity]
        texts = [[None if code < 0 else label.texts[code] for code in label.codes[chosen].tolist()] for label in labels]
        keys = zip(*texts, strict=True) if texts else (() for _ in range(chosen.size))
        owners.append(np.array([series.setdefault(key, len(series)) for key in keys], dtype=np.int64))
        rows.append(chunk.row_numbers[chosen])
        moments.append(read.start[0, read.codes[chosen]])
    return _by_order(np.concatenate(rows), np.concatenate(owners), np.concatenate(moments))


def _by_order(rows: np.ndarray, owners: np.ndarray, moments: np.ndarray) -> RepeatedHour:
    """Number the occurrences of every (series, stamp) in row order; ``rows`` is ascending."""
    order = np.lexsort((rows, moments, owners))
    new_group = np.ones(len(rows), dtype=bool)
    new_group[1:] = (np.diff(owners[order]) != 0) | (np.diff(moments[order]) != 0)
    group = np.cumsum(new_group) - 1
    starts = np.flatnonzero(new_group)
    occurrence = np.arange(len(rows)) - starts[group] if len(rows) else group
    count = np.diff(np.append(starts, len(rows)))[group] if len(rows) else group
    passes = np.empty(len(rows), dtype=np.uint8)
    passes[order] = np.where((count >= 2) & (occurrence < 2), occurrence, UNRESOLVED)
    return RepeatedHour(rows, passes)
