"""The repeated hour of autumn: which pass a row without an offset belongs to.

Belongs here: resolution from the order of rows, per series. Does not belong here: any guess; an hour that was
delivered once is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metrify_assets.feeds.formats.chunk import Chunk
from metrify_assets.feeds.values.labels import LabelReader
from metrify_assets.feeds.values.stamps import StampReader

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
    """Read a whole file and separate the passes.

    Rows come in the order of time: where the stamps of a series go back once, the rows before are the first pass and
    those after it the second; a stamp that is missing in one pass is a gap, one that follows itself a duplicate. Where
    they never go back and each comes twice (one interval an hour, or rows sorted by the wall clock), the first is the
    first pass. Else the hour was delivered once, and nobody can say which: it is unresolved. Where stamps go back more
    than once, the file is in no order: the first of two is the first pass, one alone or a third is unresolved.

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
    """Return the pass of every row of a series from the order of its rows; ``rows`` is ascending."""
    order = np.lexsort((rows, owners))
    owner, moment = owners[order], moments[order]
    same = owner[1:] == owner[:-1]
    falls = np.zeros(len(rows), dtype=np.int64)
    falls[1:] = same & (moment[1:] < moment[:-1])
    series, place = np.unique(owner, return_inverse=True)
    fallen = np.cumsum(falls)
    first = np.searchsorted(owner, series)
    # How often the clock has gone back before each row of a series, and in all.
    before = fallen - fallen[first][place] if len(rows) else fallen
    in_all = np.bincount(place, weights=falls, minlength=len(series)).astype(np.int64)[place]

    occurrence, count = _occurrences(owner, moment)
    alone = np.bincount(place, weights=count < 2, minlength=len(series))[place] > 0
    by_count = np.where((count >= 2) & (occurrence < 2), occurrence, UNRESOLVED)
    sorted_passes = np.where(in_all == 1, before, np.where((in_all == 0) & alone, UNRESOLVED, by_count))
    passes = np.empty(len(rows), dtype=np.uint8)
    passes[order] = sorted_passes
    return RepeatedHour(rows, passes)


def _occurrences(owner: np.ndarray, moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the how-manieth row of its series with its stamp each row is, from 0, and how many there are."""
    order = np.lexsort((np.arange(len(owner)), moment, owner))
    new_group = np.ones(len(owner), dtype=bool)
    new_group[1:] = (np.diff(owner[order]) != 0) | (np.diff(moment[order]) != 0)
    group = np.cumsum(new_group) - 1
    starts = np.flatnonzero(new_group)
    occurrence, count = np.empty(len(owner), dtype=np.int64), np.empty(len(owner), dtype=np.int64)
    occurrence[order] = np.arange(len(owner)) - starts[group]
    count[order] = np.diff(np.append(starts, len(owner)))[group]
    return occurrence, count
