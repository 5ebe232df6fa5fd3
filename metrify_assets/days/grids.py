"""Grids to Arrow tables and back.

Belongs here: the layout of a dense grid as rows, sorted by resolution, series and slot. Does not belong here: how a
grid is computed (``vee/``) and where it is stored (``lake.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.schemas.readings import (
    CLEAN_READINGS,
    REGISTER_READS,
    SERIES_DAYS,
    SOURCE_STATUSES,
    VALIDATED_READINGS,
)
from metrify_assets.storage.arrow import codes_of, decimal_integers
from metrify_assets.vee.arrays import AnyArray, BoolArray, Int32Array, Int64Array, ObjectArray, UInt8Array
from metrify_assets.vee.grid import METHOD_NAMES, REASON_NAMES, STATUS_NAMES, CleanGrid, SeriesTable, ValidatedGrid
from metrify_assets.vee.midnight import EdgeRuns
from metrify_assets.vee.registers import RegisterReads


def validated_table(day: date, series: SeriesTable, grids: Sequence[ValidatedGrid]) -> pa.Table:
    """Return the rows of a shard's validated grids."""
    return _stack(
        VALIDATED_READINGS.arrow,
        [
            {
                **_cells(day, series, grid),
                "delivered_kwh": _decimal(grid.delivered, grid.has_value),
                "source_status": _labels(grid.source_status, SOURCE_STATUSES),
                "version": _plain(grid.version, pa.int16()),
                "flags": _plain(grid.flags, pa.int32()),
                "received_at": _instants(grid.received_at, grid.received_at != 0),
            }
            for grid in grids
        ],
    )


def clean_table(day: date, series: SeriesTable, grids: Sequence[CleanGrid]) -> pa.Table:
    """Return the rows of a shard's clean grids."""
    return _stack(
        CLEAN_READINGS.arrow,
        [
            {
                **_cells(day, series, grid),
                "value_kwh": _decimal(grid.value, grid.has_value),
                "value_low_kwh": _decimal(grid.interval.low, grid.interval.known),
                "value_high_kwh": _decimal(grid.interval.high, grid.interval.known),
                "variance_kwh2": _decimal(grid.interval.variance, grid.interval.known),
                "status": _labels(grid.status, STATUS_NAMES),
                "method": _labels(grid.method, METHOD_NAMES),
                "scaled_method": _labels(grid.scaled_method, METHOD_NAMES),
                "reason": _labels(grid.reason, REASON_NAMES),
                "flags": _plain(grid.flags, pa.int32()),
                "delivered_kwh": _decimal(grid.delivered, grid.has_delivered),
                "version": _plain(grid.version, pa.int16()),
                "received_at": _instants(grid.received_at, grid.received_at != 0),
            }
            for grid in grids
        ],
    )


def register_reads_table(day: date, series: SeriesTable, reads: RegisterReads) -> pa.Table:
    """Return the rows of a shard's chosen register reads."""
    present = np.ones(len(reads.series), dtype=bool)
    columns = {
        "point_id": _repeated(series.point_id[reads.series], 1),
        "obis_code": _repeated(series.obis_code[reads.series], 1),
        "read_at": _instants(reads.read_at, None),
        "state_kwh": _decimal(reads.state, present),
        "source_status": _labels(reads.source_status, SOURCE_STATUSES),
        "version": _plain(reads.version, pa.int16()),
        "flags": _plain(reads.flags, pa.int32()),
        "received_at": _instants(reads.received_at, None),
        "day": _days(day, len(reads.series)),
    }
    return _stack(REGISTER_READS.arrow, [columns])


def series_days_table(day: date, series: SeriesTable, grids: Sequence[ValidatedGrid]) -> pa.Table:
    """Return what each series of a shard's validated grids adds up to."""
    pieces = []
    for grid in grids:
        rows, slots = grid.flags.shape
        every = np.ones(rows, dtype=bool)
        edges = EdgeRuns.of(grid.delivered, grid.counts_in_runs)
        pieces.append(
            {
                "point_id": _repeated(series.point_id[grid.series], 1),
                "obis_code": _repeated(series.obis_code[grid.series], 1),
                "interval_minutes": pa.array(np.full(rows, grid.interval_minutes, dtype=np.int16)),
                "energy_kwh": _decimal(np.where(grid.valid, grid.delivered, 0).sum(axis=1), every),
                "slots": pa.array(np.full(rows, slots, dtype=np.int16)),
                "measured_slots": pa.array(grid.measured.sum(axis=1).astype(np.int16)),
                "first_kwh": _decimal(edges.first_value, every),
                "first_slots": pa.array(edges.first_slots.astype(np.int16)),
                "last_kwh": _decimal(edges.last_value, every),
                "last_slots": pa.array(edges.last_slots.astype(np.int16)),
                "day": _days(day, rows),
            }
        )
    return _stack(SERIES_DAYS.arrow, pieces)


def validated_grids(table: pa.Table) -> list[tuple[list[tuple[str, str]], ValidatedGrid]]:
    """Return the grids that ``validated_table`` made the rows of, each with the keys (point, OBIS code) of its rows."""
    minutes = table["interval_minutes"].to_numpy()
    grids = []
    # Nearly always all rows are of one length, and finding the distinct ones takes ten times as long as seeing that.
    uniform = len(minutes) > 0 and (minutes == minutes[0]).all()
    for length in [int(minutes[0])] if uniform else np.flatnonzero(np.bincount(minutes)).tolist():
        chosen = minutes == length
        rows = table if chosen.all() else table.filter(pa.array(chosen))
        starts = rows["interval_start"].cast(pa.int64()).to_numpy()
        # A series ends where the slots do not go on.
        ends = np.flatnonzero(starts[1:] <= starts[:-1])
        slots = int(ends[0]) + 1 if len(ends) else len(starts)
        shape = (rows.num_rows // slots, slots)
        delivered = rows["delivered_kwh"]
        firsts = rows.select(["point_id", "obis_code"]).take(pa.array(np.arange(0, rows.num_rows, slots)))
        keys = list(zip(texts(firsts["point_id"]), texts(firsts["obis_code"]), strict=True))
        received = rows["received_at"].cast(pa.int64()).fill_null(0).to_numpy()
        grids.append(
            (
                keys,
                ValidatedGrid(
                    series=np.arange(shape[0], dtype=np.int32),
                    interval_minutes=length,
                    starts=starts[:slots],
                    delivered=decimal_integers(delivered).reshape(shape),
                    has_value=delivered.is_valid().to_numpy().reshape(shape),
                    source_status=_label_codes(rows["source_status"], SOURCE_STATUSES).reshape(shape),
                    version=rows["version"].to_numpy().reshape(shape),
                    flags=rows["flags"].to_numpy().reshape(shape),
                    received_at=received.reshape(shape),
                ),
            )
        )
    return grids


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """A validated grid as its rows lie in the lake: a few series of it are unpacked when they are asked for.

    Attributes
    ----------
    interval_minutes, slots : int
    first, series : int
        Its rows begin with ``first`` and are those of so many series.
    column : callable
        Returns a column of the validated rows of the shard, series by series.
    """

    interval_minutes: int
    slots: int
    first: int
    series: int
    column: Callable[[str], pa.ChunkedArray]

    def values(self, series: Int64Array) -> Int64Array:
        """Return ``delivered`` of some series, all of which have a value in every slot."""
        values: Int64Array = decimal_integers(self._cells("delivered_kwh", series)).reshape(len(series), self.slots)
        return values

    def _cells(self, name: str, series: Int64Array) -> pa.ChunkedArray:
        cells = self.first + (series[:, None] * self.slots + np.arange(self.slots)).ravel()
        return self.column(name).take(pa.array(cells))

    def take(self, series: Int64Array) -> tuple[Int64Array, BoolArray, UInt8Array, Int32Array]:
        """Return ``delivered``, ``has_value``, ``source_status`` and ``flags`` of some series (-1 = the last one)."""
        series = np.where(series < 0, self.series - 1, series)
        delivered = self._cells("delivered_kwh", series)
        shape = (len(series), self.slots)
        return (
            decimal_integers(delivered).reshape(shape),
            delivered.is_valid().to_numpy().reshape(shape),
            _label_codes(self._cells("source_status", series), SOURCE_STATUSES).reshape(shape),
            self._cells("flags", series).to_numpy().reshape(shape),
        )


def texts(column: pa.ChunkedArray) -> list[str]:
    """Return the texts of a column; of a dictionary-encoded one a fifteenth of the time that ``to_pylist`` takes."""
    values: list[str] = column.cast(pa.string()).to_pylist()
    return values


def _cells(day: date, series: SeriesTable, grid: ValidatedGrid | CleanGrid) -> dict[str, pa.Array]:
    rows, slots = len(grid.series), len(grid.starts)
    return {
        "point_id": _repeated(series.point_id[grid.series], slots),
        "obis_code": _repeated(series.obis_code[grid.series], slots),
        "interval_start": _instants(np.tile(grid.starts, rows), None),
        "interval_minutes": pa.array(np.full(rows * slots, grid.interval_minutes, dtype=np.int16)),
        "day": _days(day, rows * slots),
    }


def _days(day: date, rows: int) -> pa.Array:
    return pa.array(np.full(rows, np.datetime64(day), dtype="datetime64[D]"))


def _repeated(names: ObjectArray, slots: int) -> pa.DictionaryArray:
    encoded = pa.array(names.tolist(), pa.string()).dictionary_encode()
    indices = np.repeat(encoded.indices.to_numpy(zero_copy_only=False), slots)
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), encoded.dictionary)


def _decimal(values: Int64Array, present: BoolArray) -> pa.Array:
    flat, mask = np.ascontiguousarray(values, dtype=np.int64).ravel(), present.ravel()
    if not mask.any():
        return pa.nulls(len(flat), pa.decimal64(18, 6))
    if mask.all():
        return pa.Array.from_buffers(pa.decimal64(18, 6), len(flat), [None, pa.py_buffer(flat)])
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return pa.Array.from_buffers(pa.decimal64(18, 6), len(flat), [bits, pa.py_buffer(np.where(mask, flat, 0))])


def _labels(codes: AnyArray, names: Sequence[str]) -> pa.DictionaryArray:
    flat = codes.ravel().astype(np.int32)
    absent = flat < 0
    indices = pa.array(np.where(absent, 0, flat), pa.int32(), mask=absent if absent.any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array([str(name) for name in names], pa.string()))


def _label_codes(column: pa.ChunkedArray, names: Sequence[str]) -> UInt8Array:
    labels, codes = codes_of(column)
    numbers: UInt8Array = np.array([names.index(name) for name in labels], dtype=np.uint8)[codes]
    return numbers


def _plain(values: AnyArray, kind: pa.DataType) -> pa.Array:
    return pa.array(values.ravel(), kind)


def _instants(values: Int64Array, present: BoolArray | None) -> pa.Array:
    flat = values.ravel()
    mask = None if present is None else ~present.ravel()
    return pa.array(flat, pa.int64(), mask=mask).cast(pa.timestamp("us", tz="UTC"))


def _stack(schema: pa.Schema, pieces: list[dict[str, pa.Array]]) -> pa.Table:
    if not pieces:
        return schema.empty_table()
    tables = [pa.table([piece[name] for name in schema.names], schema=schema) for piece in pieces]
    return pa.concat_tables(tables).unify_dictionaries()
