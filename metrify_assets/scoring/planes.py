"""The period as planes, channels x slots: truth, labels and what the platform made of them, in one order.

Belongs here: from tables to arrays. Does not belong here: any judgement (``rules.py``, ``estimates.py``).

C is the number of channels, T the number of quarter hours of the period. Energy is int64 micro-kWh.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.simulator.plan import INTERVAL_MINUTES
from metrify_assets.storage.arrow import codes_of, decimal_integers
from metrify_assets.vee.arrays import Int64Array, ObjectArray
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, day_numbers

STEP = INTERVAL_MINUTES * MICROSECONDS_PER_MINUTE
NO_LABEL = ""

Key = tuple[str, str]
"""Point and OBIS code."""


@dataclass(frozen=True, eq=False)
class Axes:
    """What the planes' rows and columns stand for.

    Attributes
    ----------
    keys : tuple of Key, length C
    start : int64
        First instant of the period, UTC microseconds.
    slots : int
        T.
    zone : str
    """

    keys: tuple[Key, ...]
    start: int
    slots: int
    zone: str

    @classmethod
    def of_truth(cls, truth: pa.Table, zone: str) -> Axes:
        """Return the axes of a table of true values, each channel of which has every slot of the period."""
        starts = truth["interval_start"].cast(pa.int64()).to_numpy()
        points, point = codes_of(truth["point_id"])
        channels, channel = codes_of(truth["obis_code"])
        pairs = np.unique(point.astype(np.int64) * len(channels) + channel)
        keys = sorted((points[pair // len(channels)], channels[pair % len(channels)]) for pair in pairs.tolist())
        first = int(starts.min())
        return cls(tuple(keys), first, int(starts.max() - first) // STEP + 1, zone)

    @property
    def shape(self) -> tuple[int, int]:
        """(C, T)."""
        return len(self.keys), self.slots

    @cached_property
    def row(self) -> dict[Key, int]:
        """Row of every channel."""
        return {key: number for number, key in enumerate(self.keys)}

    @cached_property
    def starts(self) -> np.ndarray:
        """Start of every slot, int64, shape (T,)."""
        return self.start + STEP * np.arange(self.slots, dtype=np.int64)

    @cached_property
    def day(self) -> np.ndarray:
        """Delivery day of every slot, counted from 0, int64, shape (T,)."""
        numbers = day_numbers(self.starts, self.zone).astype(np.int64)
        days: Int64Array = numbers - numbers[0]
        return days

    @property
    def days(self) -> int:
        """Number of delivery days."""
        return int(self.day[-1]) + 1

    def cells(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which rows of a table lie on the planes, and their row and column there; shapes (N,), (n,), (n,)."""
        points, point = codes_of(table["point_id"])
        channels, channel = codes_of(table["obis_code"])
        lookup = np.full((len(points) + 1, len(channels) + 1), -1, dtype=np.int64)
        for i, point_id in enumerate(points):
            for j, obis in enumerate(channels):
                lookup[i, j] = self.row.get((point_id, obis), -1)
        row = lookup[point, channel]
        offset = table["interval_start"].cast(pa.int64()).fill_null(-1).to_numpy() - self.start
        column = offset // STEP
        inside = (row >= 0) & (column >= 0) & (column < self.slots) & (column * STEP == offset)
        return inside, row[inside], column[inside]

    def whole_days(self, plane: np.ndarray) -> np.ndarray:
        """Return every slot of those channels' days on which ``plane`` holds any slot; bool, shape (C, T)."""
        touched = np.zeros((len(self.keys), self.days), dtype=bool)
        row, column = np.nonzero(plane)
        touched[row, self.day[column]] = True
        return touched[:, self.day]


@dataclass(frozen=True, eq=False)
class Observed:
    """What the platform made of the period; arrays of shape (C, T).

    Attributes
    ----------
    flags : int32
    value, delivered : int64
        Clean and delivered energy, 0 where there is none.
    has_value, has_delivered : bool
    status, method, source_status : object
        Texts; None where null.
    """

    flags: np.ndarray
    value: np.ndarray
    has_value: np.ndarray
    delivered: np.ndarray
    has_delivered: np.ndarray
    method: np.ndarray
    source_status: np.ndarray

    @classmethod
    def of_tables(cls, axes: Axes, clean: Iterable[pa.Table], validated: Iterable[pa.Table]) -> Observed:
        """Put the rows of days on planes."""
        shape = axes.shape
        observed = cls(
            flags=np.zeros(shape, dtype=np.int32),
            value=np.zeros(shape, dtype=np.int64),
            has_value=np.zeros(shape, dtype=bool),
            delivered=np.zeros(shape, dtype=np.int64),
            has_delivered=np.zeros(shape, dtype=bool),
            method=np.full(shape, None, dtype=object),
            source_status=np.full(shape, None, dtype=object),
        )
        for table in clean:
            inside, *places = axes.cells(table)
            cell = tuple(places)
            observed.flags[cell] = table["flags"].to_numpy()[inside]
            for name, values, there in (
                ("value_kwh", observed.value, observed.has_value),
                ("delivered_kwh", observed.delivered, observed.has_delivered),
            ):
                values[cell] = decimal_integers(table[name])[inside]
                there[cell] = pc.is_valid(table[name]).to_numpy()[inside]
            observed.method[cell] = _texts(table["method"])[inside]
        for table in validated:
            inside, *places = axes.cells(table)
            observed.source_status[tuple(places)] = _texts(table["source_status"])[inside]
        return observed


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    texts, codes = codes_of(column)
    chosen: ObjectArray = np.array([*texts, None], dtype=object)[codes]
    return chosen


def plane_of(axes: Axes, table: pa.Table, column: str) -> np.ndarray:
    """Return energies of a table as a plane; int64, shape (C, T)."""
    plane = np.zeros(axes.shape, dtype=np.int64)
    inside, row, slot = axes.cells(table)
    plane[row, slot] = decimal_integers(table[column])[inside]
    return plane


class Label(TypedDict):
    """What is read of a row of the labels."""

    feed: str
    point_id: str
    obis_code: str
    interval_start: datetime
    detail: str


class Labels:
    """What was injected.

    Parameters
    ----------
    axes : Axes
    table : pyarrow.Table
        In the simulator's schema ``LABELS``.
    """

    def __init__(self, axes: Axes, table: pa.Table):
        self.axes, self.table = axes, table
        self._kinds, self._codes = codes_of(table["kind"])

    def rows(self, kind: str) -> list[Label]:
        """Return the labels of a kind."""
        labels: list[Label] = self._of(kind).to_pylist()
        return labels

    def plane(self, *kinds: str, detail: str | None = None) -> np.ndarray:
        """Return the slots with a label of these kinds, and of that detail if it is given; bool, shape (C, T)."""
        mask = np.zeros(self.axes.shape, dtype=bool)
        for kind in kinds:
            table = self._of(kind)
            if detail is not None:
                table = table.filter(pc.equal(table["detail"], detail))
            if table.num_rows:
                _, row, slot = self.axes.cells(table)
                mask[row, slot] = True
        return mask

    def _of(self, kind: str) -> pa.Table:
        if kind not in self._kinds:
            return self.table.slice(0, 0)
        return self.table.filter(pa.array(self._codes == self._kinds.index(kind)))
