"""What the sources of all formats have in common: chunks of rows, rejected rows, files that cannot be read.

Belongs here: the types between a format (``text_source``, ``json_source``, ``parquet_source``) and the reader.
Does not belong here: the meaning of a column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason

MAX_VALUES_PER_BATCH = 1_000_000
"""Most values that are worked on at once: it bounds memory (about 150 bytes per value)."""

FILE_PAYLOAD_CHARACTERS = 2_000


@dataclass(frozen=True)
class Reject:
    """What has no columns: where it begins, and why it could not be read.

    Attributes
    ----------
    row_number : int
        Its first row.
    reason : RejectReason
    detail, payload : str
    rows : int
        Rows that are lost with it; a message or a day may hold many, or none.
    """

    row_number: int
    reason: RejectReason
    detail: str
    payload: str
    rows: int = 1


@dataclass
class Chunk:
    """Some consecutive rows of a file.

    Attributes
    ----------
    row_numbers : int64 array, shape (n,)
        Place in the file, from 1, ascending: data row, line, segment or reading. Rejected rows leave gaps; the values
        of a line that holds a whole day share its number.
    columns : dict of pyarrow.Array, each of length n
        Text as delivered, dictionary-encoded where the format allows; Parquet keeps its types.
    payloads : callable
        Turns row numbers of this chunk into the rows as delivered.
    rejects : list of Reject
    delivered_rows : int
        Rows that the file has here, counted without the parser.
    """

    row_numbers: np.ndarray
    columns: dict[str, pa.Array]
    payloads: Callable[[np.ndarray], list[str]]
    delivered_rows: int
    rejects: list[Reject] = field(default_factory=list)


class Source(Protocol):
    """A file that can be read from its start as often as needed."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield the file's rows in order; raise ``UnreadableFile`` if it is not what the feed declares."""


class UnreadableFile(Exception):
    """A file (or its rest) that cannot be read; becomes one quarantine row.

    Attributes
    ----------
    reason : RejectReason
    detail : str
        What was expected and what was found.
    payload : str
        Beginning of the file.
    rows : int
        Data rows that are lost with it, where they can be counted.
    """

    def __init__(self, reason: RejectReason, detail: str, payload: str = "", rows: int = 0) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.payload = payload[:FILE_PAYLOAD_CHARACTERS]
        self.rows = rows


def encode(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return codes and distinct values of a column; a null is a distinct value of its own.

    Returns
    -------
    codes : int32 array, shape (n,)
    values : pyarrow.Array, shape (u,)
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices, values = column.indices, column.dictionary
    if indices.null_count:
        indices = indices.fill_null(len(values))
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    return indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), values
