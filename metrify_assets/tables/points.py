"""The registries as the days need them: who is valid when, and a digest that says whether that changed.

Belongs here: validity intervals, series of a day and shard, registry digests. Does not belong here: building the
registry tables from their drops (``registries.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from metrify_assets.ingest import shard_of
from metrify_assets.lake import EMPTY, Lake
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.tables.grids import dictionary_codes
from metrify_assets.vee.delivery_day import day_number
from metrify_assets.vee.grid import SeriesTable

_PROVENANCE = ("feed", "drop_id", "row_number", "received_at")
_GRID_COLUMNS = ["point_id", "obis_code", "valid_from", "interval_minutes", "connection_kw"]
"""Columns of the points that validation depends on; a new postcode changes marts, not intervals."""
_NO_END = 2**31 - 1
_COLUMN_FACTOR = 0x9E3779B97F4A7C15


class ValidityDigests:
    """Digest of the rows that are valid on a day, for every day, from one pass over the rows.

    The digest is the sum of the valid rows' digests: it does not depend on their order, and each validity boundary
    changes it by one row.
    """

    def __init__(self, rows: Iterable[tuple[int, int, int]]):
        changes: dict[int, int] = defaultdict(int)
        for start, end, digest in rows:
            changes[start] += digest
            changes[end] -= digest
        self._days = sorted(changes)
        self._sums: list[int] = []
        total = 0
        for day in self._days:
            total += changes[day]
            self._sums.append(total)

    def on(self, day: date) -> str:
        """Return the digest for a day; ``EMPTY`` if no row is valid."""
        position = bisect_right(self._days, day_number(day)) - 1
        total = self._sums[position] if position >= 0 else 0
        return f"{total:x}" if total else EMPTY


def _row_digests(table: pa.Table) -> np.ndarray:
    """Return a digest of the content of each row, uint64.

    The end of its validity is left out: closing a row changes the days on which it no longer holds, and no other.

    Distinct values are digested, column by column, and combined by an operation that does not commute: a value that
    moves to another column or another row changes the digests, and so their sum.
    """
    content = table.drop_columns([name for name in (*_PROVENANCE, "valid_to") if name in table.column_names])
    digests = np.zeros(table.num_rows, dtype=np.uint64)
    for column in content.columns:
        values, codes = dictionary_codes(column)
        # The last entry is that of null, where the code -1 leads.
        distinct = np.array([_value_digest(value) for value in [*values.to_pylist(), None]], dtype=np.uint64)
        digests = _mixed(digests * np.uint64(_COLUMN_FACTOR) + distinct[codes])
    return digests


def _value_digest(value: object) -> int:
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "big")


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Return uint64 numbers with their bits mixed: the last step of the generator SplitMix64 (Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _validity(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    start = table["valid_from"].cast(pa.int32()).to_numpy()
    end = table["valid_to"].cast(pa.int32()).fill_null(_NO_END).to_numpy()
    return start.astype(np.int64), end.astype(np.int64)


class Registry:
    """All registries at one moment, read once.

    Parameters
    ----------
    lake : Lake
    shards : int
        Number of shards of a day.
    """

    def __init__(self, lake: Lake, shards: int):
        self.shards = shards
        self.tables: dict[str, pa.Table] = {}
        self._days: dict[str, ValidityDigests] = {}
        for name, table in REGISTRIES.items():
            rows = lake.read(lake.manifest(name, None), table.arrow)
            self.tables[name] = rows
            start, end = _validity(rows)
            digests = _row_digests(rows)
            self._days[name] = ValidityDigests(zip(start.tolist(), end.tolist(), digests.tolist(), strict=True))
            if name == "points":
                self._index_points(rows, start, end, _row_digests(rows.select(_GRID_COLUMNS)))

    def _index_points(self, rows: pa.Table, start: np.ndarray, end: np.ndarray, digests: np.ndarray) -> None:
        points = rows["point_id"].to_pylist()
        shard = np.array([shard_of(point, self.shards) for point in points], dtype=np.int64)
        self._shard_days = []
        for number in range(self.shards):
            members = shard == number
            columns = (column[members].tolist() for column in (start, end, digests))
            self._shard_days.append(ValidityDigests(zip(*columns, strict=True)))
        self._start, self._end, self._shard = start, end, shard
        self._point = np.array(points, dtype=object)
        self._obis = np.array(rows["obis_code"].to_pylist(), dtype=object)
        self._minutes = rows["interval_minutes"].to_numpy().astype(np.int16)
        self._limit = rows["connection_kw"].cast(pa.float64()).fill_null(np.nan).to_numpy().astype(np.float64)

    def shard_digest(self, day: date, shard: int) -> str:
        """Return the digest of the points valid on a day in a shard."""
        return self._shard_days[shard].on(day)

    def day_digest(self, day: date) -> str:
        """Return the digest of every registry row valid on a day."""
        found = [self._days[name].on(day) for name in sorted(self._days)]
        return EMPTY if set(found) == {EMPTY} else "-".join(found)

    def series(self, day: date, shard: int) -> SeriesTable:
        """Return the series valid on a day in a shard, sorted by point and OBIS code.

        Where validity intervals of a series overlap, the row that starts last counts.
        """
        number = day_number(day)
        valid = np.flatnonzero((self._shard == shard) & (self._start <= number) & (number < self._end))
        chosen: dict[tuple[str, str], int] = {}
        for row in valid[np.argsort(self._start[valid], kind="stable")].tolist():
            chosen[self._point[row], self._obis[row]] = row
        rows = np.array([chosen[key] for key in sorted(chosen)], dtype=np.int64)
        return SeriesTable(
            point_id=self._point[rows],
            obis_code=self._obis[rows],
            interval_minutes=self._minutes[rows],
            limit_kw=self._limit[rows],
        )
