"""Slots that one delivery gives more than once, and which of them it gives different values.

Belongs here: finding and counting them, while batches pass and without holding the file. Which of several values is
right cannot be known from the file. Does not belong here: what becomes of them (``repeated_rows`` of a feed,
``reader.py``), and a later delivery that corrects an earlier one (versions, ``vee/versions.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import encode
from metrify_assets.feeds.model import FeedKind
from metrify_assets.storage.arrow import decimal_integers
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE
from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS
from metrify_assets.vee.placement import MICROSECONDS_PER_SECOND
from metrify_assets.vee.units import to_micro_kwh

_SERIES = {
    FeedKind.READINGS: ("point_id", "obis_code", "kind", "interval_minutes"),
    FeedKind.GRID_STATUS: ("source_id", "control_area", "metric"),
    FeedKind.WEATHER: ("station_id", "source_id", "metric"),
    FeedKind.POWER_QUALITY: ("point_id", "obis_code", "unit"),
}
_KIND = _SERIES[FeedKind.READINGS].index("kind")
QUARTER_HOUR = 15
"""Minutes."""
_START = {
    FeedKind.READINGS: "interval_start",
    FeedKind.GRID_STATUS: "interval_start",
    FeedKind.WEATHER: "observed_at",
    FeedKind.POWER_QUALITY: "interval_start",
}
CELLS_AT_ONCE = 8_000_000
"""Most cells of series in no order that are compared at once: about 30 bytes each."""
_MOST_COMBINATIONS = 4_000_000
_LATEST, _EARLIEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min

Series = tuple[object, ...]
"""What names a series: the values of its columns."""


@dataclass(frozen=True, eq=False)
class _Cells:
    """Value cells in file order.

    Attributes
    ----------
    series : int array, shape (m,)
    start : int64 array, shape (m,)
        UTC microseconds.
    value : int64 array, shape (m,)
        Millionths of the stored unit; of readings micro-kWh, so that 1 kWh and 1,000 Wh are equal.
    missing : bool array, shape (m,)
        Blank, or missing by the word of the sender: such a cell contradicts nothing.
    """

    series: np.ndarray
    start: np.ndarray
    value: np.ndarray
    missing: np.ndarray

    def take(self, chosen: np.ndarray) -> _Cells:
        return _Cells(self.series[chosen], self.start[chosen], self.value[chosen], self.missing[chosen])


@dataclass(frozen=True, eq=False)
class _Slots:
    """What repeats among some cells.

    Attributes
    ----------
    repeated : int64 array, shape (r,)
        Series of every slot that comes more than once.
    series, start, first : int64 arrays, shape (c,)
        Slots with different values, and the first value of each.
    """

    repeated: np.ndarray
    series: np.ndarray
    start: np.ndarray
    first: np.ndarray


@dataclass(frozen=True, eq=False)
class BatchSlots:
    """What ``SlotWatch`` needs to know of a batch: a pure function of it (``slots_of``), so threads can compute it.

    Attributes
    ----------
    series : list of Series, length u
    low, high, cells : int64 arrays, shape (u,)
        First and last start of each series in the batch, UTC microseconds, and how many cells it has.
    slots : _Slots
        What repeats inside the batch; series are positions in ``series``.
    """

    series: list[Series]
    low: np.ndarray
    high: np.ndarray
    cells: np.ndarray
    slots: _Slots


@dataclass(frozen=True, eq=False)
class RepeatedSlots:
    """Slots that a delivery gives more than once.

    Attributes
    ----------
    repeated : int
        Slots that come more than once, whatever their values.
    """

    kind: FeedKind
    numbers: dict[Series, int]
    repeated: int
    slots: _Slots

    @property
    def contradicting(self) -> int:
        """Slots among them that come with different values."""
        return len(self.slots.start)

    def contradictions(self, rows: pa.Table, *, but_the_first: bool = False) -> np.ndarray:
        """Return which raw rows hold a value of a slot with different values; bool, shape (n,).

        Parameters
        ----------
        rows : pyarrow.Table
            Raw rows of the delivery.
        but_the_first : bool
            Leave out the first value of each slot, and those that are equal to it.
        """
        slots = self.slots
        if not len(slots.start) or not rows.num_rows:
            return np.zeros(rows.num_rows, dtype=bool)
        names, cells = _cells(self.kind, rows)
        number = np.array([self.numbers.get(name, -1) for name in names], dtype=np.int64)[cells.series]
        starts = np.unique(slots.start)
        place = np.minimum(np.searchsorted(starts, cells.start), len(starts) - 1)
        # Both keys are exact: a start that no contradiction has is no key at all.
        keys = slots.series * len(starts) + np.searchsorted(starts, slots.start)
        key = np.where((starts[place] == cells.start) & (number >= 0), number * len(starts) + place, -1)
        order = np.argsort(keys)
        position = order[np.minimum(np.searchsorted(keys, key, sorter=order), len(keys) - 1)]
        chosen: np.ndarray = (keys[position] == key) & ~cells.missing
        return chosen & (cells.value != slots.first[position]) if but_the_first else chosen


class SlotWatch:
    """Watches the batches of one delivery for slots that come more than once.

    What repeats inside a batch is known at once. Between batches it is enough that a series goes on after, or before,
    what was seen of it: files in the order of time, and those that begin with the latest, cost no memory. Of other
    series the cells are compared in the end, when ``settle`` reads the delivery once more.
    """

    def __init__(self, kind: FeedKind) -> None:
        self._kind = kind
        self._numbers: dict[Series, int] = {}
        self._low = np.empty(0, dtype=np.int64)
        self._high = np.empty(0, dtype=np.int64)
        self._cells = np.empty(0, dtype=np.int64)
        self._open = np.empty(0, dtype=bool)
        self._slots: list[_Slots] = []

    def add(self, batch: BatchSlots) -> None:
        """Take the next batch, in file order."""
        number = np.array([self._numbers.setdefault(name, len(self._numbers)) for name in batch.series], dtype=np.int64)
        self._grow()
        self._open[number] |= (batch.low <= self._high[number]) & (batch.high >= self._low[number])
        self._low[number] = np.minimum(self._low[number], batch.low)
        self._high[number] = np.maximum(self._high[number], batch.high)
        self._cells[number] += batch.cells
        if len(batch.slots.repeated):
            self._slots.append(_numbered(batch.slots, number))

    def settle(self, again: Callable[[], Iterator[pa.Table]]) -> RepeatedSlots:
        """Return what repeats in the whole delivery.

        Parameters
        ----------
        again : callable
            Yields all raw rows of the delivery once more; called only where series go back and forth between batches.
        """
        settled = [_without(slots, self._open) for slots in self._slots]
        settled += [self._compared(group, again()) for group in self._groups()]
        slots = _Slots(*(np.concatenate(parts) for parts in zip(*map(_parts, [_NONE, *settled]), strict=True)))
        return RepeatedSlots(self._kind, self._numbers, len(slots.repeated), slots)

    def _grow(self) -> None:
        more = len(self._numbers) - len(self._low)
        if more:
            self._low = np.append(self._low, np.full(more, _LATEST))
            self._high = np.append(self._high, np.full(more, _EARLIEST))
            self._cells = np.append(self._cells, np.zeros(more, dtype=np.int64))
            self._open = np.append(self._open, np.zeros(more, dtype=bool))

    def _groups(self) -> Iterator[np.ndarray]:
        """Yield the open series in groups that are not too large to be compared at once; bool, shape (series,)."""
        numbers = np.flatnonzero(self._open)
        group = np.cumsum(self._cells[numbers]) // CELLS_AT_ONCE
        for number in np.unique(group):
            chosen = np.zeros(len(self._open), dtype=bool)
            chosen[numbers[group == number]] = True
            yield chosen

    def _compared(self, chosen: np.ndarray, tables: Iterable[pa.Table]) -> _Slots:
        """Return what repeats among the cells of some series."""
        held = []
        for rows in tables:
            names, cells = _cells(self._kind, rows)
            number = np.array([self._numbers[name] for name in names], dtype=np.int64)
            wanted = cells.take(np.flatnonzero(chosen[number][cells.series]))
            held.append(_Cells(number[wanted.series], wanted.start, wanted.value, wanted.missing))
        fields = ("series", "start", "value", "missing")
        return _repeated(_Cells(*(np.concatenate([getattr(cells, name) for cells in held]) for name in fields)))


def slots_of(kind: FeedKind, rows: pa.Table) -> BatchSlots:
    """Return what ``SlotWatch`` needs to know of the raw rows of a batch."""
    names, series, start = _keys(kind, rows)
    low, high = np.full(len(names), _LATEST), np.full(len(names), _EARLIEST)
    np.minimum.at(low, series, start)
    np.maximum.at(high, series, start)
    slots = _NONE if _in_order(series, start, len(names)) else _repeated(_cells(kind, rows)[1])
    return BatchSlots(names, low, high, np.bincount(series, minlength=len(names)), slots)


def repeated_slots(kind: FeedKind, tables: Iterable[pa.Table]) -> RepeatedSlots:
    """Return the slots that the raw rows of one delivery give more than once; all of them are held in memory."""
    held = list(tables)
    watch = SlotWatch(kind)
    for rows in held:
        watch.add(slots_of(kind, rows))
    return watch.settle(lambda: iter(held))


def series_and_starts(kind: FeedKind, rows: pa.Table) -> tuple[list[Series], np.ndarray, np.ndarray]:
    """Return the distinct series of raw rows; of each row its position among them, and its start."""
    columns = [rows[name] for name in _SERIES[kind]]
    if kind is FeedKind.READINGS:
        columns.append(_quantity(rows["unit"]))
    names, series = _series(columns)
    return names, series, rows[_START[kind]].to_numpy().view(np.int64)


_NONE = _Slots(*(np.empty(0, dtype=np.int64) for _ in range(4)))


def _parts(slots: _Slots) -> tuple[np.ndarray, ...]:
    return slots.repeated, slots.series, slots.start, slots.first


def _numbered(slots: _Slots, number: np.ndarray) -> _Slots:
    return _Slots(number[slots.repeated], number[slots.series], slots.start, slots.first)


def _without(slots: _Slots, series: np.ndarray) -> _Slots:
    """Leave out the slots of some series; bool, shape (series,)."""
    kept = ~series[slots.series]
    repeated = slots.repeated[~series[slots.repeated]]
    return _Slots(repeated, slots.series[kept], slots.start[kept], slots.first[kept])


def _in_order(series: np.ndarray, start: np.ndarray, count: int) -> bool:
    """Return whether a cheap look shows that no slot comes twice: rows by time, or by series and time."""
    if len(start) < 2:
        return True
    later, other = np.diff(start), np.diff(series)
    by_series = np.count_nonzero(other) + 1 == count and bool(((later > 0) | (other != 0)).all())
    return by_series or bool(((later > 0) | ((later == 0) & (other > 0))).all())


def _repeated(cells: _Cells) -> _Slots:
    """Return what repeats among cells in file order."""
    order = np.lexsort((cells.start, cells.series))
    ordered = cells.take(order)
    same = (np.diff(ordered.series) == 0) & (np.diff(ordered.start) == 0)
    if not same.any():
        return _NONE
    several = np.append(same, False) | np.append(False, same)
    ordered = ordered.take(several)
    slot = np.cumsum(np.append(True, ~same)[several]) - 1
    slot = np.unique(slot, return_inverse=True)[1]
    begins = np.flatnonzero(np.append(True, np.diff(slot) != 0))
    # Sorting is stable: the first value of a slot is the first of the file.
    valued = np.flatnonzero(~ordered.missing)
    first = np.full(len(begins), -1)
    first[slot[valued[::-1]]] = valued[::-1]
    differs = ordered.value[valued] != ordered.value[first[slot[valued]]]
    differing = np.zeros(len(begins), dtype=bool)
    differing[slot[valued[differs]]] = True
    chosen = begins[differing]
    return _Slots(
        ordered.series[begins].astype(np.int64),
        ordered.series[chosen].astype(np.int64),
        ordered.start[chosen],
        ordered.value[first[differing]],
    )


def _cells(kind: FeedKind, rows: pa.Table) -> tuple[list[Series], _Cells]:
    """Return the distinct series of raw rows, and their cells, whose series are positions among them."""
    names, series, start = _keys(kind, rows)
    missing = rows["value"].is_null().to_numpy()
    value = decimal_integers(rows["value"])
    if kind is FeedKind.READINGS:
        units, texts = encode(rows["unit"])
        value = to_micro_kwh(value, units, texts.to_pylist(), rows["interval_minutes"].to_numpy())
        status, texts = encode(rows["source_status"])
        missing = missing | np.array([text == "missing" for text in texts.to_pylist()], dtype=bool)[status]
    return names, _Cells(series, start, value, missing)


def _keys(kind: FeedKind, rows: pa.Table) -> tuple[list[Series], np.ndarray, np.ndarray]:
    """Return the distinct series of raw rows; of each row its position among them, and the start of its slot.

    Interval values whose stamps are a few seconds apart are values of one slot: validation snaps them to it.
    """
    names, series, start = series_and_starts(kind, rows)
    if kind is FeedKind.READINGS:
        is_interval = np.array([name[_KIND] == "interval" for name in names], dtype=bool)[series]
        start = np.where(is_interval, _snapped(start, rows["interval_minutes"].to_numpy()), start)
    return names, series, start


def _snapped(start: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Return starts that lie within the tolerance of a slot's boundary as that boundary; int64, UTC microseconds.

    Boundaries are those of every zone: its offset is a multiple of a quarter of an hour.
    """
    if not (start % (QUARTER_HOUR * MICROSECONDS_PER_MINUTE)).any():
        return start
    step = np.gcd(np.maximum(minutes.astype(np.int64), 1), QUARTER_HOUR) * MICROSECONDS_PER_MINUTE
    off = (start + step // 2) % step - step // 2
    tolerance = np.minimum(CLOCK_TOLERANCE_SECONDS * MICROSECONDS_PER_SECOND, (step - 1) // 2)
    return np.where(np.abs(off) <= tolerance, start - off, start)


def _quantity(unit: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return whether each unit measures active or reactive power or energy: those are no values of one slot."""
    codes, units = encode(unit)
    reactive = np.array(["var" in text for text in units.to_pylist()], dtype=np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(reactive[codes]), pa.array(["active", "reactive"]))


def _series(columns: list[pa.ChunkedArray | pa.Array]) -> tuple[list[Series], np.ndarray]:
    """Return the distinct combinations of some columns, and which of them each row has."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    texts: list[list[object]] = []
    for column in columns:
        codes, values = encode(column)
        code = code * max(len(values), 1) + codes
        texts.append(values.to_pylist())
    sizes = [max(len(values), 1) for values in texts]
    combinations = int(np.prod(sizes, dtype=object))
    if combinations <= _MOST_COMBINATIONS:
        used = np.zeros(combinations, dtype=bool)
        used[code] = True
        distinct = np.flatnonzero(used)
        position = np.cumsum(used) - 1
        series = position[code].astype(np.int32)
    else:
        distinct, inverse = np.unique(code, return_inverse=True)
        series = inverse.astype(np.int32)
    places = np.unravel_index(distinct, sizes)
    named = [[values[place] for place in own.tolist()] for values, own in zip(texts, places, strict=True)]
    return list(zip(*named, strict=True)), series
