"""The registries as the days need them: who is valid when, and a digest that says whether that changed.

Belongs here: series, outages and counters of a day and shard, registry digests. Does not belong here: building the
registry tables from their drops (``registries.py``), validity and its digests as such (``validity.py``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import date
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metrify_assets.digest import EMPTY, shard_of
from metrify_assets.registry.validity import NO_END, ValidityDigests, chained, outlived, row_digests, validity
from metrify_assets.schemas.registries import REGISTRIES, WAREHOUSE_REGISTRIES
from metrify_assets.storage.arrow import codes_of
from metrify_assets.storage.lake import Lake
from metrify_assets.vee.arrays import Float64Array, Int64Array, ObjectArray, UInt64Array
from metrify_assets.vee.brackets import CounterTable
from metrify_assets.vee.channels import ChannelKind, kind_of
from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_number
from metrify_assets.vee.grid import CHECK_REGISTER, MULTIPLIER_ONE, NO_STATE, UNKNOWN_STATE, SeriesTable
from metrify_assets.vee.units import MICRO_PER_KWH
from metrify_assets.vee.validate import Outages

S = TypeVar("S", bound=np.generic)
Key = tuple[str, str]
"""Point and OBIS code."""

VALIDATION_COLUMNS = ["point_id", "obis_code", "valid_from", "interval_minutes", "connection_kw", "point_class"]
"""Columns of the points that validation depends on; a new postcode changes marts, not intervals."""
ESTIMATION_COLUMNS = ["point_id", "obis_code", "valid_from", "federal_state", "annual_kwh", "load_profile"]
POWER_QUALITY_COLUMNS = ["point_id", "obis_code", "valid_from", "interval_minutes"]
COUNTER_COLUMNS = ["point_id", "obis_code", "valid_from", "unit", "multiplier", "digits"]
VERSION_KEYS = {
    "points": ("point_id", "obis_code"),
    "meters": ("point_id",),
    "operators": ("operator_id",),
    "weather_stations": ("station_id",),
}
"""What has one version at a time in the marts' dimensions."""
_SERIES_KEPT = 64


class _Entries:
    """Rows of one registry with their validity and shard."""

    def __init__(self, rows: pa.Table, shards: int):
        self.rows = rows
        self.start, self.end = validity(rows)
        self.points = rows["point_id"].to_pylist()
        numbers = {point: shard_of(point, shards) for point in set(self.points)}
        self.shard = np.array([numbers[point] for point in self.points], dtype=np.int64)

    def valid(self, day: date, shard: int) -> Int64Array:
        """Return the rows valid on a day in a shard, those that start last in the end."""
        number = day_number(day)
        rows = np.flatnonzero((self.shard == shard) & (self.start <= number) & (number < self.end))
        return rows[np.argsort(self.start[rows], kind="stable")]

    def texts(self, name: str) -> ObjectArray:
        """Return a column of texts; object array, None where null."""
        return np.array([*self.rows[name].to_pylist(), None], dtype=object)[:-1]

    def numbers(self, name: str) -> Float64Array:
        """Return a column of numbers; float64, NaN where null."""
        values: Float64Array = self.rows[name].cast(pa.float64()).fill_null(np.nan).to_numpy().astype(np.float64)
        return values

    def micros(self, name: str, unknown: int) -> Int64Array:
        """Return a column of kWh in micro-kWh; int64."""
        values = self.numbers(name)
        given = ~np.isnan(values)
        return np.where(given, np.rint(np.where(given, values, 0) * MICRO_PER_KWH), unknown).astype(np.int64)

    def digests(self, columns: list[str], shard: int) -> tuple[Int64Array, Int64Array, UInt64Array]:
        """Return start, end and digest of the rows of a shard."""
        ours = self.shard == shard
        return self.start[ours], self.end[ours], row_digests(self.rows.select(columns).filter(pa.array(ours)))


class Registry:
    """All registries at one moment, read once.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        Registry tables by name.
    shards : int
        Number of shards of a day.
    zone : str
        Zone of the delivery day.
    """

    def __init__(self, tables: Mapping[str, pa.Table], shards: int, zone: str):
        self.shards, self.zone, self.tables = shards, zone, tables
        self._days = {name: _table_digests(name, rows) for name, rows in tables.items()}
        energy, instantaneous = _by_kind(tables["points"])
        self._points = _Entries(energy, shards)
        self._power_quality = _Entries(instantaneous, shards)
        self._registers = _Entries(tables["registers"], shards)
        self._outages = _Entries(tables["outages"], shards)
        self._index_points()
        self._index_registers()
        self._outage_start = tables["outages"]["starts_at"].cast(pa.int64()).to_numpy()
        self._outage_end = tables["outages"]["ends_at"].cast(pa.int64()).to_numpy()
        self._shard_digests: dict[tuple[str, int], ValidityDigests] = {}
        self._series: OrderedDict[tuple[int, str], SeriesTable] = OrderedDict()
        # Shards of a day are worked out by several threads.
        self._lock = Lock()

    @classmethod
    def read(cls, lake: Lake, shards: int, zone: str) -> Registry:
        """Read the registries of a lake."""
        tables = {name: lake.read(lake.manifest(name, None), table.arrow) for name, table in REGISTRIES.items()}
        return cls(tables, shards, zone)

    def _index_points(self) -> None:
        points = self._points
        self._obis = points.texts("obis_code")
        self._minutes = points.rows["interval_minutes"].to_numpy().astype(np.int16)
        self._limit = points.numbers("connection_kw")
        self._annual = points.numbers("annual_kwh")
        self._labels = {name: points.texts(name) for name in ("point_class", "federal_state", "load_profile")}

    def _index_registers(self) -> None:
        registers = self._registers
        self._register_obis = registers.texts("obis_code")
        self._unit = registers.texts("unit")
        multiplier = registers.numbers("multiplier")
        self._multiplier = np.rint(np.where(np.isnan(multiplier), 1, multiplier) * MULTIPLIER_ONE).astype(np.int64)
        digits = registers.numbers("digits")
        self._modulus = np.where(np.isnan(digits), 0, 10.0 ** np.nan_to_num(digits) * MICRO_PER_KWH).astype(np.int64)
        self._initial = registers.micros("initial_kwh", UNKNOWN_STATE)
        self._final = registers.micros("final_kwh", UNKNOWN_STATE)
        unstated = (self._final == UNKNOWN_STATE) & (registers.end != NO_END)
        self._closing = np.where(unstated, NO_STATE, self._final)
        self._resolution = registers.micros("resolution_kwh", 0)

    def shard_digest(self, day: date, shard: int) -> str:
        """Return the digest of what validation takes from the registries on a day in a shard."""
        return _joined([self._digest_of(name, shard).on(day) for name in ("validation", "counters", "states")])

    def estimation_digest(self, day: date, shard: int) -> str:
        """Return the digest of what estimation takes from the points valid on a day in a shard."""
        return self._digest_of("estimation", shard).on(day)

    def power_quality_digest(self, day: date, shard: int) -> str:
        """Return the digest of the instantaneous channels valid on a day in a shard."""
        return self._digest_of("power_quality", shard).on(day)

    def outage_digest(self, day: date, shard: int) -> str:
        """Return the digest of the outages that touch a day in a shard."""
        return self._digest_of("outages", shard).on(day)

    def day_digest(self, day: date) -> str:
        """Return the digest of every registry row valid on a day that the marts read."""
        return _joined([self._days[name].on(day) for name in sorted(WAREHOUSE_REGISTRIES)])

    def whole_digest(self, day: date) -> str:
        """Return the digest of every registry row valid on a day."""
        return _joined([self._days[name].on(day) for name in sorted(self._days)])

    def _digest_of(self, what: str, shard: int) -> ValidityDigests:
        key = (what, shard)
        if key not in self._shard_digests:
            parts = {
                "validation": lambda: self._points.digests(VALIDATION_COLUMNS, shard),
                "estimation": lambda: self._points.digests(ESTIMATION_COLUMNS, shard),
                "power_quality": lambda: self._power_quality.digests(POWER_QUALITY_COLUMNS, shard),
                "counters": lambda: self._registers.digests(COUNTER_COLUMNS, shard),
                "outages": lambda: self._outages.digests(["point_id", "starts_at", "ends_at"], shard),
                "states": lambda: self._state_digests(shard),
            }[what]()
            self._shard_digests[key] = ValidityDigests(*parts)
        return self._shard_digests[key]

    def _state_digests(self, shard: int) -> tuple[Int64Array, Int64Array, UInt64Array]:
        """Return digests of initial and final states: each matters on one day, the first and the last of service."""
        registers = self._registers
        _, _, keys = registers.digests(["point_id", "obis_code"], shard)
        ours = np.flatnonzero(registers.shard == shard)
        pieces = []
        for states, first in ((self._initial, registers.start[ours]), (self._closing, registers.end[ours] - 1)):
            has_state = states[ours] != UNKNOWN_STATE
            digests = chained(keys[has_state], states[ours][has_state].view(np.uint64))
            pieces.append((first[has_state], first[has_state] + 1, digests))
        first, end, digests = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        return first, end, digests

    def series(self, day: date, shard: int) -> SeriesTable:
        """Return the series valid on a day in a shard, sorted by point and OBIS code.

        Where validity intervals of a series overlap, the row that starts last counts. Registers that are no series of
        their own follow among them, without slots (``CHECK_REGISTER``).
        """
        key = (shard, self.shard_digest(day, shard) + self.estimation_digest(day, shard))
        series = self._series.get(key)
        if series is None:
            series = self._find_series(day, shard)
            with self._lock:
                self._series[key] = series
                if len(self._series) > _SERIES_KEPT:
                    self._series.popitem(last=False)
        return series

    def _find_series(self, day: date, shard: int) -> SeriesTable:
        points = self._latest(self._points, self._obis, day, shard)
        registers = self._latest(self._registers, self._register_obis, day, shard)
        keys = sorted({*points, *registers})
        # The entry at the end, reached by the index -1, stands for what is unknown.
        point = np.array([points.get(key, -1) for key in keys], dtype=np.int64)
        register = np.array([registers.get(key, -1) for key in keys], dtype=np.int64)
        number = day_number(day)

        def at(values: npt.NDArray[S], rows: Int64Array, unknown: object) -> npt.NDArray[S]:
            return np.append(values, np.array([unknown], dtype=values.dtype))[rows]

        begins = at(self._registers.start, register, -1) == number
        ends = at(self._registers.end, register, -1) == number + 1
        return SeriesTable(
            point_id=np.array([key[0] for key in keys], dtype=object),
            obis_code=np.array([key[1] for key in keys], dtype=object),
            interval_minutes=at(self._minutes, point, CHECK_REGISTER),
            limit_kw=at(self._limit, point, np.nan),
            annual_kwh=at(self._annual, point, np.nan),
            unit=at(self._unit, register, None),
            multiplier=at(self._multiplier, register, MULTIPLIER_ONE),
            modulus=at(self._modulus, register, 0),
            opening=np.where(begins, at(self._initial, register, UNKNOWN_STATE), UNKNOWN_STATE),
            closing=np.where(ends, at(self._closing, register, UNKNOWN_STATE), UNKNOWN_STATE),
            **{name: at(values, point, None) for name, values in self._labels.items()},
        )

    def power_quality_channels(self, day: date, shard: int) -> dict[Key, int]:
        """Return the instantaneous channels valid on a day in a shard, with the minutes between their values.

        Where validity intervals of a channel overlap, the row that starts last counts.
        """
        codes, minutes = self._power_quality.texts("obis_code"), self._power_quality.rows["interval_minutes"]
        latest = self._latest(self._power_quality, codes, day, shard)
        return {key: minutes[row].as_py() for key, row in latest.items()}

    @staticmethod
    def _latest(entries: _Entries, obis: ObjectArray, day: date, shard: int) -> dict[Key, int]:
        return {(entries.points[row], obis[row]): row for row in entries.valid(day, shard).tolist()}

    def outages(self, day: date, shard: int, series: SeriesTable) -> Outages:
        """Return the declared outages that touch a day, for the series of a shard: all channels of the point."""
        rows = self._outages.valid(day, shard)
        pairs = [
            (number, row)
            for row in rows.tolist()
            for number in np.flatnonzero(series.point_id == self._outages.points[row]).tolist()
        ]
        spans = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return Outages(spans[:, 0], self._outage_start[spans[:, 1]], self._outage_end[spans[:, 1]])

    def counters(self, shard: int, number_of: Mapping[Key, int]) -> CounterTable:
        """Return the counters of a shard, their registers as numbered by the caller; others are left out."""
        registers = self._registers
        rows = [
            (number_of[key], row)
            for row in np.flatnonzero(registers.shard == shard).tolist()
            if (key := (registers.points[row], self._register_obis[row])) in number_of
        ]
        rows.sort(key=lambda entry: (entry[0], registers.start[entry[1]]))
        number = np.array([entry[0] for entry in rows], dtype=np.int64)
        row = np.array([entry[1] for entry in rows], dtype=np.int64)
        return CounterTable(
            register=number,
            start=self._midnights(registers.start[row]),
            end=self._midnights(registers.end[row]),
            modulus=self._modulus[row],
            multiplier=self._multiplier[row],
            resolution=self._resolution[row],
            initial=self._initial[row],
            final=self._final[row],
        )

    def _midnights(self, numbers: Int64Array) -> Int64Array:
        """Return the first instant of each day; the largest int64 where there is no end."""
        distinct, place = np.unique(numbers, return_inverse=True)
        instants = [
            np.iinfo(np.int64).max if number == NO_END else DeliveryDay(day_from_number(number), self.zone).start
            for number in distinct.tolist()
        ]
        return np.array(instants, dtype=np.int64)[place]


def _by_kind(points: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the channels of energy, and those that are instantaneous, which validation and estimation know not of."""
    texts, codes = codes_of(points["obis_code"])
    kinds = np.array([kind_of(text) is ChannelKind.ENERGY for text in texts], dtype=bool)
    if kinds.all():
        return points, points.slice(0, 0)
    is_energy = kinds[codes]
    return points.filter(pa.array(is_energy)), points.filter(pa.array(~is_energy))


def _table_digests(name: str, rows: pa.Table) -> ValidityDigests:
    (start, end), digests = validity(rows), row_digests(rows)
    if name in VERSION_KEYS:
        # From the end of such a row on the marts have a further version of an earlier one.
        nested = outlived(rows, VERSION_KEYS[name])
        start, end = np.append(start, end[nested]), np.append(end, np.full(nested.sum(), NO_END))
        digests = np.append(digests, chained(digests[nested], start[len(digests) :].view(np.uint64)))
    return ValidityDigests(start, end, digests)


def _joined(digests: list[str]) -> str:
    return EMPTY if set(digests) == {EMPTY} else "-".join(digests)
