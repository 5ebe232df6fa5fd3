"""Spans: how long each row's interval is, and whether the row is an interval or the state of a counter.

Belongs here: the length and the kind of reading, constant for a feed or a column of it. Does not belong here: where the
interval lies (``stamps.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import Chunk, encode
from metrify_assets.feeds.model import (
    LONGEST_INTERVAL_MINUTES,
    READINGS,
    MeasuredFeed,
    MinutesColumn,
    ReadingsFeed,
    TextField,
)
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

    def __init__(self, feed: MeasuredFeed) -> None:
        length = feed.interval_minutes
        # The length of a range is read with its stamp.
        self._length = length if isinstance(length, MinutesColumn) and not feed.range_states_length else None
        self._minutes = length if isinstance(length, int) else 0
        kind = feed.reading if isinstance(feed, ReadingsFeed) else "interval"
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
            mapping = self._length.mapping
            minutes = np.array(
                [_minutes(text, mapping) for text in values.cast(pa.string()).to_pylist()], dtype=np.int64
            )
        registers = np.full(rows, self._is_register)
        if self._kind is not None:
            kinds = self._kind.read(chunk, file_name)
            # One more entry for the refused rows, whose code is -1.
            registers = np.array([*(text == "register" for text in kinds.texts), False])[kinds.codes]
        return Spans(2 * codes + registers, np.repeat(minutes, 2), np.tile([False, True], len(minutes)))


def _minutes(text: str | None, mapping: Mapping[str, int]) -> int:
    """Return the minutes that a cell states; 0 if it states none."""
    text = "" if text is None else text.strip()
    if mapping:
        return mapping.get(text, 0)
    minutes = whole(text) or 0
    return minutes if minutes <= LONGEST_INTERVAL_MINUTES else 0
