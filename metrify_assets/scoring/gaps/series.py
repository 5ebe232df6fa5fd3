"""Measured series of a table or file as days that the platform validates in memory.

Belongs here: from instants and values to days and their registry. Does not belong here: reading files
(``real_series.py``) and the lake (``lake.py``).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.clock import instant
from metrify_assets.days.in_memory import DaysInMemory
from metrify_assets.days.raw import RawRows
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.registry.points import Registry
from metrify_assets.schemas.registries import POINTS, REGISTRIES
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_numbers, days_between
from metrify_assets.vee.grid import Deliveries, SeriesTable
from metrify_assets.vee.rulebook import RuleBook

SHARD = 0
"""There is one shard: all series are in it."""
FEED = "series"


@dataclass(frozen=True, eq=False)
class MeasuredSeries:
    """Measured energies of one channel.

    Attributes
    ----------
    point_id, obis_code : str
    point_class : str or None
    zone : str
        IANA zone of the delivery day.
    minutes : int
        Length of a slot.
    starts : int64 array, shape (N,)
        UTC microseconds, ascending, on the boundaries of slots.
    values : int64 array, shape (N,)
        Micro-kWh.
    """

    point_id: str
    obis_code: str
    point_class: str | None
    zone: str
    minutes: int
    starts: Int64Array
    values: Int64Array


class SeriesDays(DaysInMemory):
    """The days of some series of one zone, from the first to the last that has a value.

    Parameters
    ----------
    series : sequence of MeasuredSeries
    rule_book : RuleBook

    Raises
    ------
    ValueError
        If there is no value, or zones differ.
    """

    def __init__(self, series: Sequence[MeasuredSeries], rule_book: RuleBook):
        super().__init__(rule_book)
        zones = {each.zone for each in series}
        if len(zones) != 1 or not any(len(each.starts) for each in series):
            raise ValueError("series need one zone, and a value")
        [zone] = zones
        self._series = {(each.point_id, each.obis_code): each for each in series}
        ends = np.array([end for each in series for end in each.starts[[0, -1]]] if len(series) else [])
        first, last = (day_from_number(int(number)) for number in np.sort(day_numbers(ends, zone))[[0, -1]])
        self.days = days_between(first, last)
        self._set = frozenset(self.days)
        self._registry = _registry(series, zone, first)

    @property
    def registry(self) -> Registry:
        """The registry of the series."""
        return self._registry

    def delivered_days(self) -> Set[date]:
        """Return the days of the series."""
        return self._set

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the values of a day."""
        window = DeliveryDay(day, self._registry.zone)
        rows, starts, minutes, values = [], [], [], []
        for row, key in enumerate(zip(series.point_id.tolist(), series.obis_code.tolist(), strict=True)):
            own = self._series[key]
            first, end = np.searchsorted(own.starts, [window.start, window.end])
            rows.append(np.full(end - first, row, dtype=np.int32))
            minutes.append(np.full(end - first, own.minutes, dtype=np.int16))
            starts.append(own.starts[first:end])
            values.append(own.values[first:end])
        number = np.concatenate(rows)
        no = np.zeros(len(number), dtype=bool)
        deliveries = Deliveries(
            series=number,
            start=np.concatenate(starts),
            minutes=np.concatenate(minutes),
            value=np.concatenate(values),
            is_null=no,
            is_register=no,
            source_status=np.full(len(number), SourceStatus.MEASURED, dtype=np.uint8),
            received_at=np.ones(len(number), dtype=np.int64),
            order=np.arange(len(number), dtype=np.int64),
            feed=np.zeros(len(number), dtype=np.int16),
            wrong_unit=no,
        )
        return RawRows(deliveries, (), (FEED,), ())

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads: there are none."""
        return RegisterIndex((), self.registry, shard, self.rule_book)


def _registry(series: Sequence[MeasuredSeries], zone: str, first: date) -> Registry:
    entries = [
        {
            "point_id": each.point_id,
            "obis_code": each.obis_code,
            "interval_minutes": each.minutes,
            "point_class": each.point_class,
            "valid_from": first,
            "feed": FEED,
            "drop_id": FEED,
            "row_number": number,
            "received_at": instant(1),
        }
        for number, each in enumerate(series)
    ]
    types = {
        column.name: column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        for column in POINTS.columns
    }
    points = pa.Table.from_pylist(entries, schema=pa.schema(list(types.items()))).cast(POINTS.arrow)
    tables = {name: points if name == POINTS.name else table.empty() for name, table in REGISTRIES.items()}
    return Registry(tables, shards=1, zone=zone)
