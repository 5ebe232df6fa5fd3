"""Spans: how long each row's interval is, and whether the row is an interval or the state of a counter.

Belongs here: the length and the kind of reading, constant for a feed or a column of it. Does not belong here: where the
interval lies (``stamps.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import Chunk, encode
from metrify_assets.feeds.model import LONGEST_INTERVAL_MINUTES, READINGS, Feed, FeedKind, TextField
from metrify_assets.feeds.values.labels import LabelReader
from metrify_assets.feeds.values.numbers import whole


@dataclass(frozen=True)
class Spans:
    """Lengths and kinds of a chunk's rows, as codes of the s distinct ones.

    Attributes
    ----------
    codes : int array, shape (n,), or None
        None where all rows have the same.
    minutes : int64 array, shape (s,)
        0 where it could not be read.
    is_register : bool array, shape (s,)
    """

    codes: np.ndarray | None
    minutes: np.ndarray
    is_register: np.ndarray


class SpanReader:
    """Reads the spans of one feed."""

    def __init__(self, feed: Feed) -> None:
        constant = isinstance(feed.interval_minutes, int)
        self._length = None if constant else feed.interval_minutes
        self._minutes = feed.interval_minutes if constant else 0
        kind = feed.reading if feed.kind is FeedKind.READINGS else "interval"
        self._kind = LabelReader(kind, READINGS) if isinstance(kind, TextField) else None
        self._is_register = kind == "register"

    def read(self, chunk: Chunk, file_name: str) -> Spans:
        """Return the span of every row of a chunk."""
        if self._length is None and self._kind is None:
            return Spans(None, np.array([self._minutes]), np.array([self._is_register]))
        rows = len(chunk.row_numbers)
        codes, minutes = np.zeros(rows, dtype=np.int32), np.array([self._minutes])
        if self._length is not None:
            codes, values = encode(chunk.columns[self._length.column])
            minutes = np.array([self._of_text(text) for text in values.cast(pa.string()).to_pylist()], dtype=np.int64)
        registers = np.full(rows, self._is_register)
        if self._kind is not None:
            kinds = self._kind.read(chunk, file_name)
            # One more entry for the refused rows, whose code is -1.
            registers = np.array([*(text == "register" for text in kinds.texts), False])[kinds.codes]
        return Spans(2 * codes + registers, np.repeat(minutes, 2), np.tile([False, True], len(minutes)))

    def _of_text(self, text: str | None) -> int:
        text = "" if text is None else text.strip()
        if self._length.mapping:
            return self._length.mapping.get(text, 0)
        minutes = whole(text) or 0
        return minutes if minutes <= LONGEST_INTERVAL_MINUTES else 0
