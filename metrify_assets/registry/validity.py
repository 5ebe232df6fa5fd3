"""Validity intervals and their digests: what says whether anything that holds on a day has changed.

Belongs here: digests of rows with a validity, summed up per day. Does not belong here: what the rows mean
(``points.py``, ``register_reads.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from metrify_assets.digest import EMPTY
from metrify_assets.storage.arrow import dictionary_codes
from metrify_assets.vee.arrays import BoolArray, Int64Array, UInt64Array
from metrify_assets.vee.delivery_day import day_number

NO_END = 2**31 - 1
_PROVENANCE = ("feed", "drop_id", "row_number", "received_at")
_COLUMN_FACTOR = 0x9E3779B97F4A7C15


class ValidityDigests:
    """Digest of the rows that are valid on a day, for every day, from one pass over the rows.

    The digest is the sum of the valid rows' digests, modulo 2^64: it does not depend on their order, and each validity
    boundary changes it by one row.

    Parameters
    ----------
    start, end : int arrays, shape (N,)
        First day on which a row holds, and first day on which it no longer does; days since 1970.
    digest : uint64 array, shape (N,)
    """

    def __init__(self, start: Int64Array, end: Int64Array, digest: UInt64Array):
        digest = np.asarray(digest, dtype=np.uint64)
        boundaries, place = np.unique(np.concatenate([start, end]), return_inverse=True)
        changes = np.zeros(len(boundaries), dtype=np.uint64)
        np.add.at(changes, place[: len(digest)], digest)
        np.subtract.at(changes, place[len(digest) :], digest)
        self._days = boundaries.tolist()
        self._sums = np.cumsum(changes, dtype=np.uint64).tolist()

    def on(self, day: date) -> str:
        """Return the digest for a day; ``EMPTY`` if no row is valid."""
        position = bisect_right(self._days, day_number(day)) - 1
        total = self._sums[position] if position >= 0 else 0
        return f"{total:x}" if total else EMPTY


def row_digests(table: pa.Table) -> UInt64Array:
    """Return a digest of the content of each row, uint64.

    The end of its validity is left out: closing a row changes the days on which it no longer holds, and no other. So
    is where the row came from.

    Distinct values are digested, column by column, and combined by an operation that does not commute: a value that
    moves to another column or another row changes the digests, and so their sum.
    """
    content = table.drop_columns([name for name in (*_PROVENANCE, "valid_to") if name in table.column_names])
    digests = np.zeros(table.num_rows, dtype=np.uint64)
    for column in content.columns:
        values, codes = dictionary_codes(column)
        # The last entry is that of null, where the code -1 leads.
        distinct = np.array([_value_digest(value) for value in [*values.to_pylist(), None]], dtype=np.uint64)
        digests = chained(digests, distinct[codes])
    return digests


def outlived(table: pa.Table, key: Sequence[str]) -> BoolArray:
    """Return the rows that end before a row of the same key that did not start later; bool, shape (N,).

    From then on the warehouse may give the longer row a further version.
    """
    start, end = validity(table)
    group = np.zeros(len(start), dtype=np.int64)
    for name in key:
        values, codes = dictionary_codes(table[name])
        group = group * (len(values) + 1) + codes
    group = np.unique(group, return_inverse=True)[1]
    order = np.lexsort((-end, start, group))
    # Raised by its group a day comes after all days of the groups before, so one running maximum serves all of them.
    ends = end[order] + group[order] * (2 * NO_END)
    nested = np.zeros(len(start), dtype=bool)
    nested[order[1:]] = np.maximum.accumulate(ends)[:-1] > ends[1:]
    return nested


def chained(digests: UInt64Array, further: UInt64Array | Int64Array) -> UInt64Array:
    """Return digests of what has been digested, followed by something further; uint64 arrays of one shape."""
    return _mixed(digests * np.uint64(_COLUMN_FACTOR) + further.astype(np.uint64))


def _value_digest(value: object) -> int:
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "big")


def _mixed(numbers: UInt64Array) -> UInt64Array:
    """Return uint64 numbers with their bits mixed: the last step of the generator SplitMix64 (Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    last: UInt64Array = numbers ^ (numbers >> np.uint64(31))
    return last


def validity(table: pa.Table) -> tuple[Int64Array, Int64Array]:
    """Return first day and first day after, int64, days since 1970; an open end is ``NO_END``."""
    start = table["valid_from"].cast(pa.int32()).to_numpy()
    end = table["valid_to"].cast(pa.int32()).fill_null(NO_END).to_numpy()
    return start.astype(np.int64), end.astype(np.int64)
