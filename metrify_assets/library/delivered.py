"""From a table as it was given to rows of ``raw_readings``: what a feed definition says of a file, said by parameters.

Belongs here: which column means what, and everything that is wrong with a table, in one line. Does not belong here:
pandas and Arrow (``tables.py``), rules on values (``vee/``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.clock import instant
from metrify_assets.errors import FrameError, UnknownOptionError
from metrify_assets.feeds.model import FeedKind
from metrify_assets.feeds.rows.contradictions import repeated_slots
from metrify_assets.feeds.values import numbers
from metrify_assets.library.resolution import DAY_MINUTES, interval_of, is_interval
from metrify_assets.library.tables import GivenTable
from metrify_assets.registry.points import Key
from metrify_assets.schemas.readings import RAW_READINGS, SOURCE_STATUSES
from metrify_assets.schemas.table import UNITS
from metrify_assets.settings import EARLIEST_DAY
from metrify_assets.storage.arrow import dictionary_codes
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, day_from_number, day_numbers, to_local
from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS
from metrify_assets.vee.placement import meant_offset
from metrify_assets.vee.units import largest_value

IMPORT = "1-0:1.29.0"
"""Channel of a table that names none: active energy taken from the grid."""
IMPORT_REGISTER = "1-0:1.8.0"
"""Channel of the states of a counter in such a table: what counts that energy."""
POINT = "meter"
"""What the point is called where a table names none."""
FEED = "table"
RECEIVED_AT = 1
"""A table says nothing of when its values arrived: all at the same time."""
LATEST_DAY = date(2199, 12, 31)
PLATFORM_ZONE = "Europe/Berlin"
"""Zone of the delivery day where the times name no place: that of the platform's settings."""

HOUR_MINUTES = 60
MOST_EMPTY_DAYS = 366
"""Every day in between is computed: more of them without any value are a wrong year. Our own choice."""

KINDS = ("interval", "register")
ENERGY_UNITS = tuple(unit for unit in UNITS if unit.endswith("h"))
"""Units of counters."""

Stamp = Literal["start", "end"]


@dataclass(frozen=True)
class Meaning:
    """What the columns of a table are.

    Attributes
    ----------
    time : str
        Column of timezone-aware times; of pandas, the index if there is no such column.
    value : str
        Column of values; null and NaN are blanks.
    point, obis, status, kind : str
        Columns that may be absent: then it is one meter, active import, all values are measured, and energy of
        intervals; ``kind`` says ``interval``, or ``register`` for the state of a counter at an instant.
    unit : str
        kWh, Wh, MWh, kW, W, MW (power is the mean over the interval), the same of reactive energy, or a column of them.
    stamp : str
        Whether times are the ``start`` or the ``end`` of the interval.
    minutes : int, str or None
        Length of the intervals, or a column of lengths; None = told from the times of each series.
    timezone : str or None
        IANA zone of the delivery day; None = that of the times if it names a place, else Europe/Berlin.
    """

    time: str = "time"
    value: str = "kwh"
    point: str = "point_id"
    obis: str = "obis_code"
    status: str = "status"
    kind: str = "kind"
    unit: str = "kWh"
    stamp: Stamp = "start"
    minutes: int | str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        for name in ("time", "value", "point", "obis", "status", "kind", "unit"):
            if not isinstance(getattr(self, name), str):
                raise FrameError(f"{name}={getattr(self, name)!r} is no text: give the name of a column")
        if self.stamp not in ("start", "end"):
            raise FrameError(f"stamp={self.stamp!r}: times are the 'start' or the 'end' of their interval")
        if not isinstance(self.timezone, str | None):
            raise FrameError(f"timezone={self.timezone!r} is no text: use a name such as Europe/Berlin")
        if self.timezone is not None:
            _require_zone(self.timezone)
        if not isinstance(self.minutes, str | None) and not _is_length(self.minutes):
            raise FrameError(f"minutes={self.minutes!r}: give whole minutes that divide a day, such as 15, or a column")


def meaning_of(options: Mapping[str, Any]) -> Meaning:
    """Return the meaning that options give; raise ``UnknownOptionError`` for one that there is not."""
    names = [option.name for option in fields(Meaning)]
    for name in options:
        if name not in names:
            raise UnknownOptionError(f"there is no option {name!r}: use {', '.join(names)}")
    return Meaning(**options)


@dataclass(frozen=True, eq=False)
class DeliveredTable:
    """The values of a table; arrays of shape (N,), one entry per row of the table in its order.

    Attributes
    ----------
    given : GivenTable
    meaning : Meaning
    registered_minutes : callable
        Returns the registry's interval of a point and channel, for a series whose times do not tell it; None if it has
        none.
    """

    given: GivenTable
    meaning: Meaning
    registered_minutes: Callable[[Key], int | None] = lambda key: None

    def __post_init__(self) -> None:
        if self.given.rows == 0:
            raise FrameError("the table has no rows: give at least the values of one day")

    @cached_property
    def _times(self) -> tuple[np.ndarray, str]:
        """Times in UTC microseconds, and the zone that they are written in."""
        name = self.meaning.time
        column = self.given.column(name, "times: name it with time=, or make the times the index")
        if not pa.types.is_timestamp(column.type):
            raise FrameError(
                f"column {name!r} holds {column.type}, no times: in pandas, make them by pd.to_datetime(..., utc=True)"
            )
        if column.type.tz is None:
            raise FrameError(
                f"the times in {name!r} have no time zone, so that nobody knows which instants they are: give them "
                f"one, in pandas by .dt.tz_localize('Europe/Berlin', ambiguous='infer')"
            )
        if column.null_count:
            raise FrameError(f"{column.null_count} rows of {name!r} have no time, the first is {_first_null(column)}")
        times = column.cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.int64()).to_numpy()
        for moment in (times.min(), times.max()):
            day = np.datetime64(int(moment), "us").astype("datetime64[D]")
            if not np.datetime64(EARLIEST_DAY) <= day <= np.datetime64(LATEST_DAY):
                raise FrameError(f"a time is {day}: give days from {EARLIEST_DAY} to {LATEST_DAY}")
        return times, column.type.tz

    @property
    def time_zone(self) -> str:
        """The zone that times are written in, and results are given in."""
        return self._times[1]

    @cached_property
    def zone(self) -> str:
        """The zone of the delivery day."""
        if self.meaning.timezone is not None:
            return self.meaning.timezone
        return self.time_zone if "/" in self.time_zone and not self.time_zone.startswith("Etc/") else PLATFORM_ZONE

    @cached_property
    def has_points(self) -> bool:
        """Whether the table names its points."""
        return self.meaning.point in self.given.columns or self.meaning.point != Meaning.point

    @cached_property
    def has_channels(self) -> bool:
        """Whether the table names its channels."""
        return self.meaning.obis in self.given.columns or self.meaning.obis != Meaning.obis

    @cached_property
    def points(self) -> tuple[pa.Array, np.ndarray]:
        """The distinct points as they were given, ascending, and which of them each row is of."""
        return self._labels(self.meaning.point, "points", self.has_points, POINT)

    @cached_property
    def channels(self) -> tuple[pa.Array, np.ndarray]:
        """The distinct channels, ascending, and which of them each row is of."""
        if self.has_channels or not self.is_register.any():
            return self._labels(self.meaning.obis, "channels", self.has_channels, IMPORT)
        distinct, codes = np.unique(self.is_register, return_inverse=True)
        return pa.array([IMPORT_REGISTER if each else IMPORT for each in distinct.tolist()]), codes

    def _labels(self, name: str, what: str, is_given: bool, otherwise: str) -> tuple[pa.Array, np.ndarray]:
        if not is_given:
            return pa.array([otherwise]), np.zeros(self.given.rows, dtype=np.int64)
        column = self.given.column(name, what)
        if column.null_count:
            raise FrameError(f"{column.null_count} rows name no {name!r}, the first is {_first_null(column)}: fill it")
        distinct, codes = dictionary_codes(column)
        # In their own order, whatever the order of rows.
        order = pc.sort_indices(distinct).to_numpy()
        return distinct.take(pa.array(order)), np.argsort(order)[codes]

    @cached_property
    def _series(self) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Number of each row's series, and the point and channel of each number."""
        channels = len(self.channels[0])
        code = self.points[1].astype(np.int64) * channels + self.channels[1]
        distinct, series = np.unique(code, return_inverse=True)
        return series, [divmod(int(each), channels) for each in distinct]

    @property
    def series(self) -> np.ndarray:
        """Number of each row's series."""
        return self._series[0]

    @cached_property
    def keys(self) -> list[Key]:
        """Point and OBIS code of each series, by its number, as texts."""
        points = self.points[0].cast(pa.string()).to_pylist()
        channels = self.channels[0].cast(pa.string()).to_pylist()
        return [(points[point], channels[channel]) for point, channel in self._series[1]]

    def label(self, number: int) -> str:
        """Return what a series is called in a message."""
        point, channel = self.keys[number]
        return " ".join([f"point {point!r}" if self.has_points else "the table", *([channel] * self.has_channels)])

    @cached_property
    def _kinds(self) -> pa.Array:
        name = self.meaning.kind
        if name not in self.given.columns and name == Meaning.kind:
            return _constant("interval", self.given.rows)
        return self._of_vocabulary(name, KINDS, "kind", otherwise="interval")

    @cached_property
    def is_register(self) -> np.ndarray:
        """Which rows are states of a counter; bool, shape (N,)."""
        is_register: np.ndarray = pc.equal(self._kinds.cast(pa.string()), "register").to_numpy(zero_copy_only=False)
        return is_register

    @cached_property
    def reads(self) -> np.ndarray:
        """Which series have states of a counter; bool, shape (series,)."""
        return np.bincount(self.series, self.is_register, len(self.keys)) > 0

    @cached_property
    def has_slots(self) -> np.ndarray:
        """Which series have slots; bool, shape (series,).

        States of a counter have none where their point has intervals: they check and scale these.
        """
        has_intervals = np.bincount(self.series, ~self.is_register, len(self.keys)) > 0
        points = {key[0] for key, given in zip(self.keys, has_intervals.tolist(), strict=True) if given}
        has_slots: np.ndarray = has_intervals | np.array([point not in points for point, _ in self.keys], dtype=bool)
        return has_slots

    @cached_property
    def minutes(self) -> np.ndarray:
        """Length of each row's interval, minutes."""
        given = self.meaning.minutes
        if given is not None and not isinstance(given, str):
            return np.full(self.given.rows, int(given))
        if given is not None:
            column = self.given.column(given, "lengths of intervals")
            if not pa.types.is_integer(column.type) or column.null_count:
                raise FrameError(f"column {given!r} holds {column.type}: lengths are whole minutes, in every row")
            lengths: np.ndarray = column.cast(pa.int64()).to_numpy()
            wrong = [length for length in np.unique(lengths).tolist() if not is_interval(length)]
            if wrong:
                raise FrameError(f"column {given!r} holds {wrong[0]} minutes, which do not divide a day")
            return lengths
        lengths_by_row: np.ndarray = self._intervals[self.series]
        return lengths_by_row

    @cached_property
    def _intervals(self) -> np.ndarray:
        """Interval of each series as its times tell it."""
        times = self._times[0]
        order = np.argsort(self.series, kind="stable")
        bounds = np.searchsorted(self.series[order], np.arange(len(self.keys) + 1))
        intervals = np.empty(len(self.keys), dtype=np.int64)
        for number in range(len(self.keys)):
            if not self.has_slots[number]:
                intervals[number] = DAY_MINUTES
                continue
            rows = order[bounds[number] : bounds[number + 1]]
            of_intervals = rows[~self.is_register[rows]]
            own = times[of_intervals if len(of_intervals) else rows]
            interval = interval_of(own, self.zone) or self.registered_minutes(self.keys[number])
            if interval is None:
                why = _why_unknown(own)
                raise FrameError(f"the interval of {self.label(number)} {why}: say minutes=15, or what it is")
            intervals[number] = interval
        return intervals

    @cached_property
    def starts(self) -> np.ndarray:
        """Start of each row's interval, UTC microseconds."""
        times = self._times[0]
        starts: np.ndarray = self._begun(times) if self.meaning.stamp == "end" else times
        return starts

    def _begun(self, ends: np.ndarray) -> np.ndarray:
        """Return the starts of intervals from their ends: those longer than an hour go by the clocks of the zone."""
        starts = ends - self.minutes * MICROSECONDS_PER_MINUTE
        shift = (to_local(ends, self.zone) - ends) - (to_local(starts, self.zone) - starts)
        starts = np.where(self.minutes > HOUR_MINUTES, starts + shift, starts)
        begun: np.ndarray = np.where(self.is_register, ends, starts)
        return begun

    @cached_property
    def _meant_starts(self) -> np.ndarray:
        """Starts that a clock means which is a little off the boundary of its slot."""
        # Boundaries of intervals up to an hour are multiples of it in UTC; longer ones begin on a full hour.
        return meant_offset(self.starts, np.gcd(self.minutes, 60), CLOCK_TOLERANCE_SECONDS)

    @cached_property
    def days(self) -> np.ndarray:
        """Delivery day of each row, days since 1970."""
        days = day_numbers(self._meant_starts, self.zone)
        distinct = np.unique(days)
        apart = np.flatnonzero(np.diff(distinct) > MOST_EMPTY_DAYS)
        if len(apart):
            before, after = (day_from_number(int(distinct[apart[0] + place])) for place in (0, 1))
            raise FrameError(
                f"no value lies between {before} and {after}: correct the year of the stray times, or give the parts "
                "one by one"
            )
        return days

    @property
    def first_day(self) -> date:
        """The first delivery day."""
        return day_from_number(int(self.days.min()))

    @property
    def last_day(self) -> date:
        """The last delivery day."""
        return day_from_number(int(self.days.max()))

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last start of each series, UTC microseconds; int64 arrays, shape (series,)."""
        limits = np.iinfo(np.int64)
        first, last = np.full(len(self.keys), limits.max), np.full(len(self.keys), limits.min)
        np.minimum.at(first, self.series, self._meant_starts)
        # A slot that begins with the last state of a counter has no end.
        np.maximum.at(last, self.series, self._meant_starts - self.is_register)
        return first, last

    @cached_property
    def raw(self) -> pa.Table:
        """Rows of ``raw_readings`` in the order of the table; ``row_number`` counts its rows from 0."""
        rows = self.given.rows
        units, statuses = self._units, self._statuses
        columns = {
            "point_id": _texts(*self.points),
            "obis_code": _texts(*self.channels),
            "kind": self._kinds,
            "interval_start": pa.array(self.starts).cast(pa.timestamp("us", tz="UTC")),
            "interval_minutes": pa.array(self.minutes.astype(np.int16)),
            "value": self._values(units),
            "unit": units,
            "source_status": statuses,
            "author": pa.nulls(rows, pa.string()),
            "remark": pa.nulls(rows, pa.string()),
            "feed": _constant(FEED, rows),
            "drop_id": _constant(FEED, rows),
            "row_number": pa.array(np.arange(rows)),
            "received_at": pa.array(np.full(rows, RECEIVED_AT)).cast(pa.timestamp("us", tz="UTC")),
            "day": pa.array(self.days.astype("datetime64[D]")),
        }
        raw = pa.table(columns).select(RAW_READINGS.arrow.names).cast(RAW_READINGS.arrow)
        self._require_consistent(raw)
        return raw

    def _values(self, units: pa.Array) -> pa.Array:
        name = self.meaning.value
        column = self.given.column(name, "values: name it with value=")
        if pa.types.is_null(column.type):
            column = column.cast(pa.float64())
        if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
            raise FrameError(f"column {name!r} holds {column.type}, no numbers")
        read = numbers.NumberReader(sentinels=("", "nan", "NaN")).read(column)
        wrong = np.flatnonzero(read.state > numbers.NULL)
        if not len(wrong):
            limits = _limits(units, self.minutes)
            wrong = np.flatnonzero(np.abs(read.micro) > limits)
        if len(wrong):
            first = int(wrong[0])
            raise FrameError(
                f"{len(wrong)} values of {name!r} are no numbers that energy can have, the first is "
                f"{column[first].as_py()!r} in row {first}"
            )
        return numbers.decimals(read.micro, read.state == numbers.NULL)

    @cached_property
    def _units(self) -> pa.Array:
        unit = self.meaning.unit
        if unit in UNITS:
            units = _constant(unit, self.given.rows)
        elif unit in self.given.columns:
            units = self._of_vocabulary(unit, UNITS, "unit")
        else:
            raise FrameError(f"unknown unit {unit!r}: use one of {', '.join(UNITS)}, or name a column of units")
        of_reads = set(pc.unique(units.filter(pa.array(self.is_register))).to_pylist())
        wrong = sorted(of_reads - set(ENERGY_UNITS))
        if wrong:
            raise FrameError(f"counters do not count {wrong[0]}: give the unit of their states")
        return units

    @cached_property
    def _statuses(self) -> pa.Array:
        name = self.meaning.status
        if name not in self.given.columns and name == Meaning.status:
            return _constant("measured", self.given.rows)
        return self._of_vocabulary(name, SOURCE_STATUSES, "status", otherwise="measured")

    def _of_vocabulary(
        self, name: str, vocabulary: tuple[str, ...], what: str, otherwise: str | None = None
    ) -> pa.Array:
        column = self.given.column(name, f"each row's {what}")
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        column = column.cast(pa.string())
        if otherwise is not None:
            column = column.fill_null(otherwise)
        unknown = sorted({repr(text) for text in pc.unique(column).to_pylist() if text not in vocabulary})
        if unknown:
            raise FrameError(f"unknown {what} {unknown[0]} in {name!r}: use one of {', '.join(vocabulary)}")
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def _require_consistent(self, raw: pa.Table) -> None:
        """Raise ``FrameError`` if a slot has several values: which of them is right cannot be known from the table."""
        contradicting = np.flatnonzero(repeated_slots(FeedKind.READINGS, [raw]).contradictions(raw))
        if len(contradicting):
            first = int(contradicting[0])
            slot = f"{instant(int(self.starts[first])):%Y-%m-%dT%H:%MZ} of {self.label(int(self.series[first]))}"
            raise FrameError(
                f"{len(contradicting)} rows give a slot that has another value in another row, the first is row "
                f"{first}, {slot}: keep the value that counts"
            )


def _why_unknown(times: np.ndarray) -> str:
    distinct = np.unique(times)
    if len(distinct) < 4:
        return f"cannot be told from {len(distinct)} times"
    lengths, counts = np.unique(np.diff(distinct), return_counts=True)
    common = np.argsort(-counts, kind="stable")[:2]
    words = " and ".join(f"{counts[each]} times {lengths[each] / MICROSECONDS_PER_MINUTE:g}" for each in common)
    return f"cannot be told from its times, whose neighbours are {words} minutes apart"


def _is_length(minutes: object) -> bool:
    return isinstance(minutes, int | np.integer) and not isinstance(minutes, bool) and is_interval(int(minutes))


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise FrameError(f"timezone={name!r} is no IANA time zone: use a name such as Europe/Berlin") from error


def _limits(units: pa.Array, minutes: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each row's value, in millionths of its unit; int64, shape (N,)."""
    names, codes = dictionary_codes(pa.chunked_array([units]))
    largest = np.iinfo(np.int64).max
    limits = np.zeros((len(names), DAY_MINUTES + 1), dtype=np.int64)
    for length in np.unique(minutes).tolist():
        limits[:, length] = [min(largest_value(unit, length), largest) for unit in names.to_pylist()]
    of_row: np.ndarray = limits[codes, minutes]
    return of_row


def _first_null(column: pa.ChunkedArray) -> str:
    return f"row {int(np.flatnonzero(column.is_null().to_numpy())[0])}"


def _constant(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([text]))


def _texts(distinct: pa.Array, codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), distinct.cast(pa.string()))
