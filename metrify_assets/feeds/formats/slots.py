"""Wide files with one column per slot of a day: from a row per line to a row per slot.

Belongs here: the change of shape. Does not belong here: which columns are slots (``model.Slots``), and what a label
such as 24:00 means (``stamps.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import MAX_VALUES_PER_BATCH, Chunk, encode
from metrify_assets.feeds.model import SLOT_COLUMNS, Slots


def by_slot(slots: Slots, used_columns: Iterable[str], chunk: Chunk) -> Iterator[Chunk]:
    """Yield a chunk of lines as chunks of slots, line by line; all slots of a line have its number."""
    labels = pa.array(slots.labels, pa.string())
    names = [name for name in used_columns if name not in SLOT_COLUMNS]
    lines = max(1, MAX_VALUES_PER_BATCH // len(labels))
    rejects = [replace(reject, rows=len(labels)) for reject in chunk.rejects]
    delivered = chunk.delivered_rows * len(labels)
    for first in range(0, max(1, len(chunk.row_numbers)), lines):
        numbers = chunk.row_numbers[first : first + lines]
        cells = [chunk.columns[name].slice(first, lines) for name in slots.labels]
        columns = {name: _repeated(chunk.columns[name].slice(first, lines), len(labels)) for name in names}
        columns["slot"] = _labelled(np.tile(np.arange(len(labels)), len(numbers)), labels)
        columns["value"] = _interleaved(cells)
        yield Chunk(np.repeat(numbers, len(labels)), columns, chunk.payloads, delivered, rejects)
        rejects, delivered = [], 0


def _repeated(column: pa.Array | pa.ChunkedArray, times: int) -> pa.DictionaryArray:
    codes, values = encode(column)
    return _labelled(np.repeat(codes, times), values)


def _interleaved(columns: list[pa.Array | pa.ChunkedArray]) -> pa.DictionaryArray:
    """Return the first cells of all columns, then the second, and so on."""
    chunks = [chunk for column in columns for chunk in getattr(column, "chunks", [column])]
    codes, values = encode(pa.chunked_array(chunks, columns[0].type))
    return _labelled(np.ascontiguousarray(codes.reshape(len(columns), -1).T).ravel(), values)


def _labelled(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), values)
