"""Readings, power quality, grid status and weather: from a chunk of text to raw rows and quarantine rows.

Belongs here: which row or cell is refused and why, and the layout of the raw tables. Does not belong here: formats
(``*_source.py``), single values (``numbers.py``, ``stamps.py``, ``labels.py``), plausibility (``vee/``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, encode
from metrify_assets.feeds.model import (
    EDITED,
    LONGEST_INTERVAL_MINUTES,
    READINGS,
    DelimitedValues,
    FeedKind,
    MeasuredFeed,
    MetricColumn,
    MinutesColumn,
    ObservedFeed,
    PowerQualityFeed,
    ReadingsFeed,
    SubstitutedColumns,
    TextField,
    ValueColumn,
)
from metrify_assets.feeds.rows.batch import Batch, Provenance, QuarantineRows, constant, days, instants
from metrify_assets.feeds.values import numbers, stamps
from metrify_assets.feeds.values.conversions import Conversion, conversion
from metrify_assets.feeds.values.labels import LabelReader, Labels
from metrify_assets.feeds.values.repeated_hour import SECOND, UNRESOLVED, RepeatedHour
from metrify_assets.schemas.grid_and_weather import (
    CONTROL_AREAS,
    GRID_METRICS,
    RAW_GRID_STATUS,
    RAW_WEATHER,
    WEATHER_UNITS,
)
from metrify_assets.schemas.power_quality import POWER_QUALITY_UNITS, RANGES, RAW_POWER_QUALITY
from metrify_assets.schemas.readings import RAW_READINGS, SOURCE_STATUSES
from metrify_assets.schemas.table import UNITS, Table
from metrify_assets.vee.channels import channel_of
from metrify_assets.vee.units import largest_value

TABLES: dict[FeedKind, Table] = {
    FeedKind.READINGS: RAW_READINGS,
    FeedKind.GRID_STATUS: RAW_GRID_STATUS,
    FeedKind.WEATHER: RAW_WEATHER,
    FeedKind.POWER_QUALITY: RAW_POWER_QUALITY,
}

_LABELS = {
    FeedKind.READINGS: ("point", "obis", "unit", "status", "reading", "author", "remark"),
    FeedKind.GRID_STATUS: ("source_id", "control_area", "metric"),
    FeedKind.WEATHER: ("station", "source_id", "metric", "quality"),
    FeedKind.POWER_QUALITY: ("point", "obis", "unit"),
}
_SERIES = {
    FeedKind.READINGS: ("point", "obis"),
    FeedKind.GRID_STATUS: ("source_id", "control_area", "metric"),
    FeedKind.WEATHER: ("station", "source_id", "metric"),
    FeedKind.POWER_QUALITY: ("point", "obis"),
}
_REFUSED = {
    "point": RejectReason.MISSING_POINT,
    "obis": RejectReason.MISSING_OBIS,
    "station": RejectReason.MISSING_STATION,
    "source_id": RejectReason.MISSING_SOURCE,
    "unit": RejectReason.UNKNOWN_UNIT,
    "status": RejectReason.UNKNOWN_STATUS,
    "reading": RejectReason.UNKNOWN_READING,
    "control_area": RejectReason.UNKNOWN_CONTROL_AREA,
    "metric": RejectReason.UNKNOWN_METRIC,
    "author": RejectReason.MISSING_AUTHOR,
    "remark": RejectReason.MISSING_REMARK,
}
_MEASURED = TextField(constant="measured")
_CELLS_IN_DETAIL = 3
_ONE_VALUE = {
    "refuse": "expected one value per slot, or the same one again",
    "first": "expected the first value of the slot again",
}
_CELSIUS = WEATHER_UNITS["temperature_c"]
_COLDEST, _HOTTEST = -95 * numbers.MICRO, 65 * numbers.MICRO
"""No air on Earth was ever measured as cold or as hot (World Meteorological Organization: -89.2 and 56.7 degC). A row
beyond is in another unit than its feed declares."""
MAX_INT64 = np.iinfo(np.int64).max


def _vocabulary(feed: MeasuredFeed, label: str) -> tuple[str, ...] | None:
    """Return the texts that a label may have; None if it may have any."""
    if label == "metric":
        return tuple(feed.stored_units) if isinstance(feed, ObservedFeed) else None
    return {
        "unit": POWER_QUALITY_UNITS if isinstance(feed, PowerQualityFeed) else UNITS,
        "status": SOURCE_STATUSES,
        "reading": READINGS,
        "control_area": CONTROL_AREAS,
    }.get(label)


def _temperature_units(feed: MeasuredFeed) -> dict[int, str]:
    """Return the delivered units of temperatures that are converted, by the position of their value column."""
    if not isinstance(feed, ObservedFeed):
        return {}
    return {
        position: value.unit
        for position, value in enumerate(feed.values)
        if value.unit and feed.stored_unit(value) == _CELSIUS
    }


@dataclass(frozen=True)
class _Moments:
    """Start, delivery day, length and state of every row, the repeated hour resolved; arrays of shape (n,)."""

    start: np.ndarray
    day: np.ndarray
    minutes: np.ndarray
    state: np.ndarray


class MeasuredReader:
    """Turns chunks of one drop into batches.

    Parameters
    ----------
    feed : MeasuredFeed
    provenance : Provenance
    zone : str
        Zone of the delivery day.
    first_day, last_day : date
        Days that are accepted, both included.
    repeated_hour : callable
        Returns the file's ``RepeatedHour``; called only if a stamp names two instants.
    """

    def __init__(
        self,
        feed: MeasuredFeed,
        provenance: Provenance,
        *,
        zone: str,
        first_day: date,
        last_day: date,
        repeated_hour: Callable[[], RepeatedHour],
    ) -> None:
        self._feed = feed
        self._provenance = provenance
        self._days = (first_day, last_day)
        self._repeated_hour = repeated_hour
        self._columns = [value.column for value in feed.values]
        self.stamps = stamps.StampReader(feed, zone, first_day, last_day, provenance.latest_at, provenance.file_name)
        self._numbers = [
            numbers.NumberReader(feed.decimal, feed.thousands, feed.sentinels + value.sentinels)
            for value in feed.values
        ]
        self._conversions = [self._conversion(value) for value in feed.values]
        self._temperature_units = _temperature_units(feed)
        self._temperatures = list(self._temperature_units)
        declared = dict(feed.texts)
        if isinstance(feed, ReadingsFeed):
            declared.setdefault("status", _MEASURED)
        self._labels = {
            label: LabelReader(declared[label], _vocabulary(feed, label))
            for label in _LABELS[feed.kind]
            if label in declared
        }

    @property
    def series(self) -> list[LabelReader]:
        """Labels that together name the series of a row, where they differ between rows."""
        readers = [self._labels[label] for label in _SERIES[self._feed.kind] if label in self._labels]
        return [reader for reader in readers if reader.field.column is not None]

    def _conversion(self, value: ValueColumn) -> Conversion | None:
        feed = self._feed
        if not isinstance(feed, ObservedFeed) or not isinstance(value, MetricColumn) or value.unit is None:
            return None
        return conversion(value.unit, feed.stored_unit(value), feed.constant_minutes)

    def read(self, chunk: Chunk, contradicting: Callable[[pa.Table], np.ndarray] | None = None) -> Batch:
        """Return raw rows in file order, and the quarantine rows of what was refused.

        Parameters
        ----------
        chunk : Chunk
        contradicting : callable, optional
            Returns which raw rows are to be refused because they contradict others of the delivery; bool, shape (n,).
        """
        moments = self._moments(chunk)
        labels = {name: reader.read(chunk, self._provenance.file_name) for name, reader in self._labels.items()}
        values = [self._values(chunk, position) for position in range(len(self._columns))]
        micro = np.stack([value.micro for value in values], axis=1)
        state = np.stack([value.state for value in values], axis=1)
        if isinstance(self._feed, ReadingsFeed):
            state[np.abs(micro) > self._largest(labels["unit"], moments)] = numbers.OUT_OF_RANGE
        refused = self._refused_rows(moments, labels)
        if self._temperatures:
            self._refuse(refused, self._impossible(micro, state), RejectReason.WRONG_UNIT)
        if isinstance(self._feed, PowerQualityFeed):
            self._refuse_channels(refused, labels)
        good = (state <= numbers.NULL) & (refused == 0)[:, None]
        rows = self._table(chunk, _Cells.of(micro, state, good), moments, labels)
        if contradicting is not None and (cells := contradicting(rows)).any():
            state.ravel()[np.flatnonzero(good)[cells]] = numbers.CONTRADICTING
            good &= state <= numbers.NULL
            rows = self._table(chunk, _Cells.of(micro, state, good), moments, labels)
        return Batch(rows, self._quarantine(chunk, refused, state, good, moments))

    def _values(self, chunk: Chunk, position: int) -> numbers.Numbers:
        """Return the values of a value column in the unit of the table, with those of the columns added to it."""
        reader, value = self._numbers[position], self._feed.values[position]
        delivered = reader.read(chunk.columns[value.column])
        for name in value.columns[1:]:
            delivered = numbers.added(delivered, reader.read(chunk.columns[name]))
        converted = self._conversions[position]
        if converted is None:
            return delivered
        micro, too_large = converted.apply(delivered.micro)
        overflows = too_large & (delivered.state == numbers.OK)
        state = np.where(overflows, numbers.OUT_OF_RANGE, delivered.state).astype(np.uint8)
        return numbers.Numbers(np.where(state == numbers.OK, micro, 0), state)

    def _moments(self, chunk: Chunk) -> _Moments:
        read = self.stamps.read(chunk)
        if not read.repeated.any():
            start, day, state = (per_code[0][read.codes] for per_code in (read.start, read.day, read.state))
            return _Moments(start, day, read.minutes[read.codes], state)
        repeated = read.repeated[read.codes]
        second = np.zeros(len(read.codes), dtype=np.intp)
        unresolved = None
        if repeated.any():
            passes = self._repeated_hour().of(chunk.row_numbers[repeated])
            second[repeated] = passes == SECOND
            unresolved = np.zeros(len(read.codes), dtype=bool)
            unresolved[repeated] = passes == UNRESOLVED
        state = read.state[second, read.codes]
        if unresolved is not None:
            state[unresolved & (state == stamps.OK)] = stamps.AMBIGUOUS
        return _Moments(read.start[second, read.codes], read.day[second, read.codes], read.minutes[read.codes], state)

    def _largest(self, units: Labels, moments: _Moments) -> np.ndarray:
        """Return the largest value of each row, in millionths of its unit, whose energy can be stored.

        Returns
        -------
        int64 array, shape (n, 1); shape (1, 1) where one limit holds for all rows.
        """
        given = self._feed.interval_minutes
        if isinstance(given, int) and len(units.texts) == 1:
            return np.array([[min(largest_value(units.texts[0], given), MAX_INT64)]])
        lengths = [given] if isinstance(given, int) else np.flatnonzero(np.bincount(moments.minutes)).tolist()
        # One more row for the refused rows, whose code is -1: any limit will do. The length 0 is refused as well.
        limits = np.zeros((len(units.texts) + 1, max(lengths, default=0) + 1), dtype=np.int64)
        for code, unit in enumerate(units.texts):
            for minutes in lengths:
                limits[code, minutes] = min(largest_value(unit, max(minutes, 1)), MAX_INT64)
        of_row: np.ndarray = limits[units.codes, given if isinstance(given, int) else moments.minutes]
        return of_row[:, None]

    @cached_property
    def _reasons(self) -> list[tuple[RejectReason, tuple[str, ...]]]:
        """Reasons to refuse a whole row, the first that applies is given, with the columns to look at."""
        labelled = [
            (_REFUSED[name], (reader.field.column,))
            for name, reader in self._labels.items()
            if name in _REFUSED and reader.field.column is not None and not self._may_lack(name)
        ]
        length = self._feed.interval_minutes
        of_length = (length.column,) if isinstance(length, MinutesColumn) else self._feed.stamp.columns
        judged = [
            (reason, of_length if reason is RejectReason.BAD_INTERVAL_LENGTH else self._feed.stamp.read_columns)
            for reason in stamps.REASONS.values()
        ]
        if self._temperatures:
            columns = tuple(self._columns[position] for position in self._temperatures)
            judged.append((RejectReason.WRONG_UNIT, columns))
        if isinstance(self._feed, PowerQualityFeed):
            judged += self._channel_reasons()
        return labelled + judged

    def _may_lack(self, label: str) -> bool:
        """Return whether rows may be without a label: only edited values need an author and a remark."""
        status = self._feed.texts.get("status")
        return label in ("author", "remark") and (status is None or EDITED not in status.outcomes())

    def _refused_rows(self, moments: _Moments, labels: dict[str, Labels]) -> np.ndarray:
        """Return 0 for a readable row, else 1 + the position in ``_reasons``; uint8, shape (n,)."""
        order = [reason for reason, _ in self._reasons]
        refused = np.zeros(len(moments.state), dtype=np.uint8)
        for state, reason in stamps.REASONS.items():
            refused[moments.state == state] = 1 + order.index(reason)
        for name, reason in reversed(_REFUSED.items()):
            if name in labels and reason in order:
                refused[labels[name].codes < 0] = 1 + order.index(reason)
        return refused

    def _refuse(self, refused: np.ndarray, rows: np.ndarray, reason: RejectReason) -> None:
        """Refuse those of some rows that are not refused for another reason already."""
        refused[rows & (refused == 0)] = 1 + [other for other, _ in self._reasons].index(reason)

    def _channel_reasons(self) -> list[tuple[RejectReason, tuple[str, ...]]]:
        """Reasons to refuse a row for its channel, or for a unit that does not measure it."""
        columns = {
            name: (column,)
            for name, reader in self._labels.items()
            if name in ("obis", "unit") and (column := reader.field.column) is not None
        }
        code, unit = columns.get("obis", ()), columns.get("unit", ())
        return [(RejectReason.UNKNOWN_CHANNEL, code), (RejectReason.WRONG_UNIT, (*code, *unit))]

    def _refuse_channels(self, refused: np.ndarray, labels: dict[str, Labels]) -> None:
        """Refuse rows whose code is no instantaneous channel, and those in a unit that does not measure it.

        What columns and constants declare was looked at when the definition was read; here it is texts of rows.
        """
        shape = (len(refused), len(self._columns))
        code, codes = self._label_of_cells("obis", labels, shape)
        unit, units = self._label_of_cells("unit", labels, shape)
        channels = [channel_of(text) for text in codes]
        unknown = np.array([channel is None for channel in channels], dtype=bool)
        measures = np.array(
            [[c is None or text in RANGES[c.quantity].delivered_units for text in units] for c in channels], dtype=bool
        ).reshape(len(codes), len(units))
        readable = (code >= 0).all(axis=1) & (unit >= 0).all(axis=1)
        if not readable.any():
            return
        rows = np.flatnonzero(readable)
        no_channel, wrong = np.zeros(len(refused), dtype=bool), np.zeros(len(refused), dtype=bool)
        no_channel[rows] = unknown[code[rows]].any(axis=1)
        wrong[rows] = ~measures[code[rows], unit[rows]].all(axis=1)
        self._refuse(refused, no_channel, RejectReason.UNKNOWN_CHANNEL)
        self._refuse(refused, wrong, RejectReason.WRONG_UNIT)

    def _label_of_cells(
        self, name: str, labels: dict[str, Labels], shape: tuple[int, int]
    ) -> tuple[np.ndarray, list[str]]:
        """Return the code of a label for every value cell, -1 where its text is not known, and the texts."""
        if name in labels:
            return np.broadcast_to(labels[name].codes[:, None], shape), list(labels[name].texts)
        own = [getattr(value, name) for value in self._feed.values]
        texts = list(dict.fromkeys(own))
        return np.broadcast_to(np.array([texts.index(text) for text in own], dtype=np.int32), shape), texts

    def _impossible(self, micro: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return which rows hold a temperature that no air has; bool, shape (n,)."""
        celsius, is_read = micro[:, self._temperatures], state[:, self._temperatures] == numbers.OK
        impossible: np.ndarray = np.any(is_read & ((celsius < _COLDEST) | (celsius > _HOTTEST)), axis=1)
        return impossible

    def _table(self, chunk: Chunk, cells: _Cells, moments: _Moments, labels: dict[str, Labels]) -> pa.Table:
        feed, row = self._feed, cells.row
        given = feed.interval_minutes
        same = np.full(len(cells.micro), given, dtype=np.int16) if isinstance(given, int) else None
        minutes = pa.array(moments.minutes[row].astype(np.int16) if same is None else same)
        start = instants(moments.start[row])
        columns = {
            **self._provenance.columns(chunk.row_numbers[row]),
            "value": numbers.decimals(cells.micro, cells.missing),
            "day": days(moments.day[row]),
        }
        if isinstance(feed, ReadingsFeed):
            columns |= {
                "point_id": self._label("point", labels, cells).array(),
                "obis_code": self._label("obis", labels, cells).array(),
                "kind": constant(feed.reading, len(cells.micro))
                if isinstance(feed.reading, str)
                else self._label("reading", labels, cells).array(),
                "interval_start": start,
                "interval_minutes": minutes,
                "unit": self._label("unit", labels, cells).array(),
                "source_status": self._status(chunk, labels["status"], cells),
                "author": self._optional("author", labels, cells),
                "remark": self._optional("remark", labels, cells),
            }
        elif isinstance(feed, PowerQualityFeed):
            columns |= {
                "point_id": self._label("point", labels, cells).array(),
                "obis_code": self._label("obis", labels, cells).array(),
                "interval_start": start,
                "interval_minutes": minutes,
                "unit": self._label("unit", labels, cells).array(),
            }
        elif feed.kind is FeedKind.GRID_STATUS:
            metric = self._label("metric", labels, cells)
            units = Labels.of(metric.codes, [GRID_METRICS[text][0] for text in metric.texts])
            columns |= {
                "source_id": self._label("source_id", labels, cells).array(),
                "control_area": self._label("control_area", labels, cells).array(),
                "metric": metric.array(),
                "interval_start": start,
                "resolution_minutes": minutes,
                "unit": units.distinct().array(),
            }
        else:
            columns |= {
                "station_id": self._label("station", labels, cells).array(),
                "source_id": self._label("source_id", labels, cells).array(),
                "observed_at": start,
                "metric": self._label("metric", labels, cells).array(),
                "quality": self._optional("quality", labels, cells),
            }
        schema = TABLES[feed.kind].arrow
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _label(self, name: str, labels: dict[str, Labels], cells: _Cells) -> Labels:
        """Return a label per cell: that of its row, or that of its value column."""
        if name in labels:
            return Labels(labels[name].codes[cells.row], labels[name].dictionary)
        own = [getattr(value, name) for value in self._feed.values]
        texts = list(dict.fromkeys(own))
        of_column = np.array([texts.index(text) for text in own], dtype=np.int32)
        return Labels.of(of_column[cells.cell], texts)

    def _optional(self, name: str, labels: dict[str, Labels], cells: _Cells) -> pa.DictionaryArray:
        """Return a label per cell that may be absent: null where the feed or the cell has none."""
        if name not in labels:
            nulls = pa.nulls(len(cells.micro), pa.int32())
            return pa.DictionaryArray.from_arrays(nulls, pa.array([], pa.string()))
        return self._label(name, labels, cells).array()

    def _status(self, chunk: Chunk, status: Labels, cells: _Cells) -> pa.DictionaryArray:
        """Return what the sender said of each value; a blank is missing, whatever was said of it."""
        ours = np.array([SOURCE_STATUSES.index(text) for text in status.texts], dtype=np.int32)
        # Where no status is known, no cell is readable.
        codes = ours[status.codes[cells.row]] if len(ours) else np.empty(len(cells.micro), dtype=np.int32)
        substituted = self._feed.substituted if isinstance(self._feed, ReadingsFeed) else None
        if substituted is not None:
            codes[cells.pick(self._substituted(chunk, substituted))] = SOURCE_STATUSES.index("substitute")
        codes[cells.missing] = SOURCE_STATUSES.index("missing")
        return Labels.of(codes, list(SOURCE_STATUSES)).array()

    def _substituted(self, chunk: Chunk, declared: SubstitutedColumns) -> np.ndarray:
        """Return which cells the sender says to have filled in; bool, shape (n, columns)."""
        codes, values = encode(chunk.columns[declared.column])
        named = [set((text or "").split(declared.separator)) for text in values.cast(pa.string()).to_pylist()]
        listed = np.array([[name in names for name in self._columns] for names in named], dtype=bool)
        cells: np.ndarray = listed.reshape(-1, len(self._columns))[codes]
        return cells

    def _quarantine(
        self, chunk: Chunk, refused: np.ndarray, state: np.ndarray, good: np.ndarray, moments: _Moments
    ) -> pa.Table:
        rows = QuarantineRows()
        for reject in chunk.rejects:
            rows.add(reject, reject.rows * self._feed.values_per_row)
        if not good.all():
            self._add_refused(rows, chunk, refused, state, moments)
        return rows.table(self._provenance)

    def _add_refused(
        self, rows: QuarantineRows, chunk: Chunk, refused: np.ndarray, state: np.ndarray, moments: _Moments
    ) -> None:
        bad = np.flatnonzero((refused > 0) | (state > numbers.NULL).any(axis=1))
        taken = pa.array(bad)
        texts = {name: chunk.columns[name].take(taken).cast(pa.string()).to_pylist() for name in self._looked_at(state)}
        payloads = chunk.payloads(chunk.row_numbers[bad])
        day_known = ~np.isin(moments.state, (stamps.BAD, stamps.OUT_OF_RANGE, stamps.NONEXISTENT))
        for i, position in enumerate(bad.tolist()):
            if refused[position]:
                reason, columns = self._reasons[refused[position] - 1]
                cells_text = " ".join(str(texts[name][i]) for name in columns)
                detail = f"{', '.join(columns)}: {self._expectation(reason)}, found {cells_text[:200]!r}"
                count = self._feed.values_per_row
            else:
                cells = np.flatnonzero(state[position] > numbers.NULL).tolist()
                reason = numbers.REASONS[int(state[position, cells[0]])]
                alike = [cell for cell in cells if state[position, cell] == state[position, cells[0]]]
                detail = self._cell_details(alike, reason, {name: column[i] for name, column in texts.items()})
                count = len(cells)
            day = int(moments.day[position]) if day_known[position] else None
            rows.add(Reject(int(chunk.row_numbers[position]), reason, detail, payloads[i]), count, day)

    def _looked_at(self, state: np.ndarray) -> list[str]:
        """Return the columns whose text a detail may need."""
        pairs = zip(self._feed.values, np.any(state > numbers.NULL, axis=0), strict=True)
        bad_columns = [name for value, is_bad in pairs if is_bad for name in value.columns]
        return list(dict.fromkeys([*(name for _, names in self._reasons for name in names), *bad_columns]))

    def _cell_details(self, cells: list[int], reason: RejectReason, texts: dict[str, str | None]) -> str:
        names = [name for cell in cells for name in self._feed.values[cell].columns]
        shown = "; ".join(f"{name}: {str(texts[name])[:80]!r}" for name in names[:_CELLS_IN_DETAIL])
        more = f" and {len(names) - _CELLS_IN_DETAIL} more" if len(names) > _CELLS_IN_DETAIL else ""
        if reason is RejectReason.CONTRADICTING_ROWS:
            stamp = " ".join(str(texts[name]) for name in self._feed.stamp.read_columns)
            return f"{_ONE_VALUE[self._feed.counting_rows]}, found another for {stamp[:80]!r} than {shown}{more}"
        sign = f"with decimal sign {self._feed.decimal!r}"
        limit = "10^12, also in kWh," if isinstance(self._feed, ReadingsFeed) else "10^12"
        return f"expected a number below {limit} {sign}, found {shown}{more}"

    def _expectation(self, reason: RejectReason) -> str:
        zone = self._feed.stamp.timezone
        temperature_units = " or ".join(dict.fromkeys(self._temperature_units.values()))
        label = next((name for name, refused in _REFUSED.items() if refused is reason), None)
        if label is not None:
            texts = tuple(self._labels[label].field.mapping) or _vocabulary(self._feed, label)
            return f"expected one of {', '.join(texts)}" if texts else "expected a text"
        return {
            RejectReason.BAD_INTERVAL_LENGTH: self._expected_length(),
            RejectReason.BAD_TIMESTAMP: self._expected_stamp(),
            RejectReason.DAY_OUT_OF_RANGE: self._expected_day(),
            RejectReason.NONEXISTENT_LOCAL_TIME: f"expected a time that the clocks of {zone} show",
            RejectReason.AMBIGUOUS_DST_HOUR: f"expected the repeated hour of {zone} exactly twice per series",
            RejectReason.FUTURE_STAMP: "expected an interval that has ended when it is received",
            RejectReason.UNKNOWN_CHANNEL: "expected a voltage, current, power factor or frequency such as 1-0:32.7.0",
            RejectReason.WRONG_UNIT: "expected a unit that measures the channel"
            if isinstance(self._feed, PowerQualityFeed)
            else f"expected an air temperature in {temperature_units}",
        }[reason]

    def _expected_day(self) -> str:
        first, last = self._days
        return f"expected a day from {first} to {last}; for older ones move the first day with `metrify first-day`"

    def _expected_stamp(self) -> str:
        stamp = self._feed.stamp
        filled = self._feed.fill_down if isinstance(self._feed, DelimitedValues) else ()
        above = ", in this row or above it," if set(filled) & set(stamp.columns) else ""
        if stamp.range:
            return f"expected two stamps of format {stamp.format} with {stamp.range!r} between them"
        if stamp.position is not None:
            return f"expected a date of format {stamp.format}{above} and the number of an interval of that day"
        return f"expected a stamp of format {stamp.format}{above.removesuffix(',')}"

    def _expected_length(self) -> str:
        length = self._feed.interval_minutes
        if self._feed.stamp.range:
            lengths = [] if isinstance(length, MinutesColumn) else [length, *getattr(self._feed, "also_intervals", ())]
            minutes = " or ".join(map(str, lengths)) or f"1 to {LONGEST_INTERVAL_MINUTES}"
            return f"expected a range that ends {minutes} minutes after it begins"
        if isinstance(length, MinutesColumn) and length.mapping:
            return f"expected one of {', '.join(length.mapping)}"
        return f"expected whole minutes from 1 to {LONGEST_INTERVAL_MINUTES}"


@dataclass(frozen=True)
class _Cells:
    """Readable value cells in file order.

    Attributes
    ----------
    row : int array, shape (m,), or slice
        Row of each cell; a slice of all rows where each has its one cell.
    cell, micro, missing : arrays, shape (m,)
        Value column of each, its millionths, whether it is blank.
    """

    row: np.ndarray | slice
    cell: np.ndarray
    micro: np.ndarray
    missing: np.ndarray

    @classmethod
    def of(cls, micro: np.ndarray, state: np.ndarray, good: np.ndarray) -> _Cells:
        """Pick the good ones of all cells, shape (n, columns)."""
        if micro.shape[1] == 1 and good.all():
            return cls(slice(None), np.zeros(len(micro), dtype=np.intp), micro[:, 0], state[:, 0] == numbers.NULL)
        chosen = good.ravel()
        row, cell = np.divmod(np.flatnonzero(chosen), micro.shape[1])
        return cls(row, cell, micro.ravel()[chosen], state.ravel()[chosen] == numbers.NULL)

    def pick(self, cells: np.ndarray) -> np.ndarray:
        """Return these of all cells, shape (n, columns)."""
        return cells[:, 0] if isinstance(self.row, slice) else cells[self.row, self.cell]
