"""Raw rows of a day and shard, as the validation takes them.

Belongs here: reading them from the drops that count, and the layout of ``Deliveries``. Does not belong here: rows that
lie in no drop (``library/``), which ``deliveries_of`` takes as well.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.drops.ledger import Drop, LedgerView
from metrify_assets.drops.offsets import OffsetRange
from metrify_assets.drops.parts import read_groups
from metrify_assets.storage.arrow import codes_of, decimal_integers, dictionary_codes
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.vee.arrays import BoolArray, Int32Array, Int64Array
from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.grid import Deliveries, SeriesTable
from metrify_assets.vee.units import to_micro_kwh

_COLUMNS = [
    "point_id",
    "obis_code",
    "kind",
    "interval_start",
    "interval_minutes",
    "value",
    "received_at",
    "unit",
    "source_status",
    "row_number",
]
ORDER_BITS = 40
"""Bits of a delivery's order that hold the row of its drop."""
_STATUS_CODES = {status.name.lower(): int(status) for status in SourceStatus}


@dataclass(frozen=True)
class RawRows:
    """Deliveries of one shard.

    Attributes
    ----------
    deliveries : Deliveries
        ``order`` is what ``first_order`` says.
    unassigned_examples : tuple of str
        Some points that no registry knows.
    feeds : tuple of str
        What ``deliveries.feed`` numbers.
    drops : tuple of Drop
        In order of arrival.
    """

    deliveries: Deliveries
    unassigned_examples: tuple[str, ...]
    feeds: tuple[str, ...]
    drops: tuple[Drop, ...]


def read_shard(store: ObjectStore, view: LedgerView, day: date, shard: int, series: SeriesTable) -> RawRows:
    """Read the rows of every drop that counts in ``view``, for one day and shard.

    The view is the caller's, so that the rows are exactly those whose digest it records: what arrives meanwhile is
    for the next run.

    Raises
    ------
    DamagedFileError
        If a part is missing or damaged.
    """
    rows_of = SeriesRows(series)
    pieces: list[Deliveries] = []
    unknown: set[str] = set()
    drops = tuple(view.drops_of("raw_readings", day))
    feeds = tuple(sorted({drop.feed for drop in drops}))
    for rank, drop in enumerate(drops):
        for part in drop.parts[day.isoformat()]:
            groups = part.shards.get(str(shard))
            if groups:
                table = read_groups(store, drop, part, groups, _COLUMNS)
                order = first_order(drop, rank)
                pieces.append(deliveries_of(table, rows_of, order, feeds.index(drop.feed), unknown))
    if not pieces:
        pieces = [_no_deliveries()]
    together = _concatenate(pieces) if len(pieces) > 1 else pieces[0]
    return RawRows(together, tuple(sorted(unknown)[:5]), feeds, drops)


def first_order(drop: Drop, rank: int) -> int:
    """Return what a row number is added to for its place among all deliveries: first by drop, then by row.

    The rank of the drop is in the upper bits, the row in the lower 40. A record's row number is its offset, which may
    be larger than that: it counts from the first of its range.
    """
    held = OffsetRange.of_drop(drop.drop_id)
    return (rank << ORDER_BITS) - (held.start if held is not None else 0)


def _no_deliveries() -> Deliveries:
    types = (np.int32, np.int64, np.int16, np.int64, bool, bool, np.uint8, np.int64, np.int64, np.int16, bool)
    return Deliveries(*(np.empty(0, dtype=kind) for kind in types))


class SeriesRows:
    """Rows of a series table by point and channel, for many texts at once."""

    def __init__(self, series: SeriesTable):
        points = pa.array(series.point_id, pa.string()).dictionary_encode()
        channels = pa.array(series.obis_code, pa.string()).dictionary_encode()
        self._points, self._channels = points.dictionary, channels.dictionary
        # One more row and column at the end, where the index -1 of what is unknown leads.
        self._rows = np.full((len(self._points) + 1, len(self._channels) + 1), -1, dtype=np.int32)
        self._rows[points.indices.to_numpy(), channels.indices.to_numpy()] = np.arange(len(series))
        self._unit = np.append(series.unit, np.array([None], dtype=object))
        self._declared = np.array([unit is not None for unit in self._unit], dtype=bool)

    def lookup(self, points: pa.Array, channels: pa.Array) -> Int32Array:
        """Return the row of every pair of texts, -1 = none; int32, shape (points, channels)."""
        point = pc.index_in(points, self._points).fill_null(-1).to_numpy(zero_copy_only=False)
        channel = pc.index_in(channels, self._channels).fill_null(-1).to_numpy(zero_copy_only=False)
        return self._rows[np.ix_(point, channel)]

    def other_unit(self, series: Int64Array, units: list[str], unit_codes: Int64Array) -> BoolArray:
        """Return which rows came in another unit than the registry says; bool, shape (N,)."""
        if not self._declared.any():
            return np.zeros(len(series), dtype=bool)
        different = np.zeros(len(series), dtype=bool)
        for code, unit in enumerate(units):
            strange = self._declared & (self._unit != unit)
            different |= (unit_codes == code) & strange[series]
        return different


def deliveries_of(table: pa.Table, rows_of: SeriesRows, first_order: int, feed: int, unknown: set[str]) -> Deliveries:
    """Return raw rows of one delivery as the validation takes them.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of ``raw_readings``; N rows.
    rows_of : SeriesRows
    first_order : int
        What a row number is added to for its place among all deliveries.
    feed : int
        What the feed is numbered.
    unknown : set of str
        Takes the points that no series is of.
    """
    points, point_codes = dictionary_codes(table["point_id"])
    channels, channel_codes = dictionary_codes(table["obis_code"])
    series = rows_of.lookup(points, channels)[point_codes, channel_codes]
    if (series < 0).any():
        unknown.update(points.take(pa.array(np.unique(point_codes[series < 0]))).to_pylist())
    minutes = table["interval_minutes"].to_numpy().astype(np.int16)
    is_null = table["value"].is_null().to_numpy()
    micro = decimal_integers(table["value"])
    kinds, kind_codes = codes_of(table["kind"])
    register_kinds = np.array([kind == "register" for kind in kinds], dtype=bool)
    is_register = register_kinds[kind_codes]
    units, unit_codes = codes_of(table["unit"])
    micro = to_micro_kwh(micro, unit_codes, units, minutes)
    wrong_unit = rows_of.other_unit(series, units, unit_codes)
    statuses, status_codes = codes_of(table["source_status"])
    status_table = np.array([_STATUS_CODES[status] for status in statuses], dtype=np.uint8)
    return Deliveries(
        series=series,
        start=table["interval_start"].cast(pa.int64()).to_numpy(),
        minutes=minutes,
        value=micro,
        is_null=is_null,
        is_register=is_register,
        source_status=status_table[status_codes],
        # Of a zip of documents that say when they were made, each has its own.
        received_at=table["received_at"].cast(pa.int64()).to_numpy(),
        order=table["row_number"].to_numpy() + first_order,
        feed=np.full(table.num_rows, feed, dtype=np.int16),
        wrong_unit=wrong_unit & (status_table[status_codes] != SourceStatus.EDITED),
    )


def _concatenate(pieces: list[Deliveries]) -> Deliveries:
    arrays = [[getattr(piece, field.name) for piece in pieces] for field in fields(Deliveries)]
    return Deliveries(*(np.concatenate(columns) for columns in arrays))
