"""Stamps: from what the sender wrote to the interval's start in UTC and its delivery day.

Belongs here: formats, offsets, local wall-clock time with its repeated and skipped hour, start or end of interval.
Does not belong here: the calendar itself (``vee.delivery_day``).

All arithmetic is done on distinct stamps: a file of 100,000 points has 96 of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from metrify_assets.clock import EPOCH
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, encode
from metrify_assets.feeds.model import (
    ISO,
    LONGEST_INTERVAL_MINUTES,
    UNIX_FACTORS,
    MeasuredFeed,
    ObservedFeed,
    ReadingsFeed,
)
from metrify_assets.feeds.values.numbers import whole
from metrify_assets.feeds.values.spans import SpanReader, Spans
from metrify_assets.vee.delivery_day import (
    MICROSECONDS_PER_MINUTE,
    DeliveryDay,
    day_number,
    day_numbers,
    local_candidates,
)
from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS

_CLOCK_TOLERANCE = CLOCK_TOLERANCE_SECONDS * 1_000_000
_DAY = 86_400_000_000
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_TABLE_LIMIT = 4_000_000
_SHORTEST_ISO = len("2026-03-01T00")
_LOCAL_EPOCH = EPOCH.replace(tzinfo=None)
_UNIX = re.compile(r"-?[0-9]{1,14}")
_ZONE_MARK = re.compile(r"(.*\S)\s*\(([A-Z]{3,5})\)", re.DOTALL)
"""A wall-clock time, and the name of the time that held then: ``26.10.2025 02:00 (CEST)``."""

OK, BAD, OUT_OF_RANGE, NONEXISTENT, AMBIGUOUS, FUTURE, BAD_LENGTH = range(7)
REASONS = {
    BAD: RejectReason.BAD_TIMESTAMP,
    BAD_LENGTH: RejectReason.BAD_INTERVAL_LENGTH,
    OUT_OF_RANGE: RejectReason.DAY_OUT_OF_RANGE,
    NONEXISTENT: RejectReason.NONEXISTENT_LOCAL_TIME,
    AMBIGUOUS: RejectReason.AMBIGUOUS_DST_HOUR,
    FUTURE: RejectReason.FUTURE_STAMP,
}


@dataclass(frozen=True)
class Stamps:
    """Stamps of a chunk: one code per row, arrays over the u distinct stamps (and lengths, where they differ).

    Attributes
    ----------
    codes : int32 array, shape (n,)
    start : int64 array, shape (2, u)
        Start of the interval (or instant), UTC microseconds: first and second pass of the repeated hour; both equal
        for every other stamp.
    day : int32 array, shape (2, u)
        Delivery day, days since 1970.
    state : uint8 array, shape (2, u)
        ``OK`` or one of ``REASONS``.
    repeated : bool array, shape (u,)
        Whether the stamp names two instants.
    minutes : int64 array, shape (u,)
        Length of the interval; of a register read, the cadence.
    """

    codes: np.ndarray
    start: np.ndarray
    day: np.ndarray
    state: np.ndarray
    repeated: np.ndarray
    minutes: np.ndarray


@dataclass(frozen=True)
class _Read:
    """Distinct stamps as they are written; arrays of shape (u,).

    Attributes
    ----------
    micros : int64 array
        Microseconds since 1970, of the wall clock where ``local``.
    local, readable : bool arrays
    end : _Read, optional
        The ends of ranges.
    position : int64 array, optional
        Number of the interval in the day that ``micros`` begins.
    """

    micros: np.ndarray
    local: np.ndarray
    readable: np.ndarray
    end: _Read | None = None
    position: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> _Read:
        """Return some of the stamps."""
        end = None if self.end is None else self.end.take(chosen)
        position = None if self.position is None else self.position[chosen]
        return _Read(self.micros[chosen], self.local[chosen], self.readable[chosen], end, position)


class StampReader:
    """Reads the stamps of one feed.

    Parameters
    ----------
    feed : MeasuredFeed
    zone : str
        Zone of the delivery day.
    first_day, last_day : date
        Days that are accepted, both included.
    received_at : int
        UTC microseconds; readings whose interval ends later, beyond the clock's tolerance, are refused.
    file_name : str
        Name of the drop's file, which may state the kind of reading.
    """

    def __init__(
        self, feed: MeasuredFeed, zone: str, first_day: date, last_day: date, received_at: int, file_name: str
    ) -> None:
        self._declared = feed.stamp
        self._lengths = _range_lengths(feed)
        self._zone = zone
        self._days = (day_number(first_day), day_number(last_day))
        self._window = (DeliveryDay(first_day, zone).start, DeliveryDay(last_day, zone).end)
        self._spans = SpanReader(feed)
        self._file_name = file_name
        self._latest_end = received_at + _CLOCK_TOLERANCE if isinstance(feed, ReadingsFeed) else None
        self._parsed: dict[str, tuple[int, bool]] = {}

    def read(self, chunk: Chunk) -> Stamps:
        """Return the stamps of every row of a chunk."""
        spans = self._spans.read(chunk, self._file_name)
        parts = [encode(chunk.columns[name]) for name in self._declared.read_columns]
        if len(parts) == 1:
            codes, values = parts[0]
            if pa.types.is_timestamp(values.type) and not self._declared.range:
                return self._stamps(spans, codes, _Read(*self._of_timestamps(values)))
            texts = values.cast(pa.string()).to_pylist()
            read = self._of_ranges(texts) if self._declared.range else _Read(*self._of_texts(texts))
            return self._stamps(spans, codes, read)
        codes, rows = _distinct_rows(parts)
        if self._declared.position is None:
            return self._stamps(spans, codes, _Read(*self._of_texts(_joined(rows))))
        read = _Read(*self._of_texts(_joined([row[:-1] for row in rows])))
        positions = [whole((row[-1] or "").strip()) or 0 for row in rows]
        return self._stamps(spans, codes, replace(read, position=np.array(positions, dtype=np.int64)))

    def _of_timestamps(self, values: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        readable = values.is_valid().to_numpy(zero_copy_only=False)
        local = np.full(len(values), values.type.tz is None)
        ticks = values.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if values.type.unit == "ns":
            # Meters do not count nanoseconds.
            return ticks // 1_000, local, readable
        factor = _MICROSECONDS[values.type.unit]
        # Beyond what can be held lies no day that is accepted: the largest stamp says so as well.
        largest = np.iinfo(np.int64).max // factor
        return np.clip(ticks, -largest, largest) * factor, local, readable

    def _of_texts(self, texts: list[str | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for text in texts:
            if text is not None and text not in self._parsed:
                parsed = _parse(text.strip(), self._declared.format)
                if parsed is None and self._declared.range:
                    parsed = _parse_marked(text.strip(), self._declared.format, self._declared.timezone)
                if parsed is not None:
                    self._parsed[text] = parsed
        missing = (0, True)
        pairs = [missing if text is None else self._parsed.get(text, missing) for text in texts]
        readable = np.array([text in self._parsed for text in texts], dtype=bool)
        micros = np.array([pair[0] for pair in pairs], dtype=np.int64)
        return micros, np.array([pair[1] for pair in pairs], dtype=bool), readable

    def _of_ranges(self, texts: list[str | None]) -> _Read:
        """Return the starts of ranges, with their ends."""
        parts = [("" if text is None else text).split(self._declared.range) for text in texts]
        starts, ends = ([part[side] if len(part) == 2 else None for part in parts] for side in (0, 1))
        start, end = _Read(*self._of_texts(starts)), _Read(*self._of_texts(ends))
        return replace(start, readable=start.readable & end.readable, end=end)

    def _stamps(self, spans: Spans, codes: np.ndarray, read: _Read) -> Stamps:
        """Localise distinct stamps, shift them to the interval's start and judge them."""
        span = np.zeros(len(read.micros), dtype=np.intp)
        if spans.codes is not None:
            lengths = len(spans.minutes)
            combined, codes = _distinct(codes.astype(np.int64) * lengths + spans.codes, len(read.micros) * lengths)
            stamp, span = np.divmod(combined, lengths)
            read = read.take(stamp)
        micros, local, readable = read.micros, read.local, read.readable
        minutes = spans.minutes[span] if read.end is None else self._range_minutes(read, read.end)
        length = np.where(spans.is_register[span], 0, minutes) * MICROSECONDS_PER_MINUTE
        shift = length if self._declared.marks == "end" else np.zeros_like(length)
        micros = micros - shift
        low, high = self._window
        # Far-away years are sorted out before any calendar sees them.
        near = readable & (micros >= low - 3 * _DAY) & (micros < high + 3 * _DAY)
        safe = np.where(near, micros, low)
        if read.position is not None:
            safe, is_inside = self._at_position(safe, read.position, minutes)
            readable, local = readable & (is_inside | ~near), np.zeros_like(local)
        earliest, latest = self._candidates(safe, shift)
        start = np.where(local, np.stack([earliest, latest]), safe)
        day = day_numbers(_snapped(start, minutes), self._zone)
        state = np.zeros(start.shape, dtype=np.uint8)
        if self._latest_end is not None:
            state[start + length > self._latest_end] = FUTURE
        state[:, local & (earliest > latest)] = NONEXISTENT
        first_day, last_day = self._days
        # Of what lies ahead of its arrival, that is said.
        state[(day < first_day) | ((day > last_day) & (state != FUTURE)) | ~near] = OUT_OF_RANGE
        # The length of a range is known within the calendar of these days alone.
        state[:, (minutes == 0) & (near | (read.end is None))] = BAD_LENGTH
        state[:, ~readable] = BAD
        return Stamps(codes, start, day, state, repeated=local & near & (earliest < latest), minutes=minutes)

    def _at_position(
        self, midnight: np.ndarray, position: np.ndarray, minutes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the starts of intervals by their number in a local day, and whether they lie in it.

        Parameters
        ----------
        midnight : int64 array, shape (u,)
            Wall-clock time at which the day begins.
        position : int64 array, shape (u,)
            From 1: days of a change of the clock have fewer or more of them.
        minutes : int64 array, shape (u,)
            Length of the intervals.
        """
        first, end = (self._candidates(moment, np.zeros_like(moment))[0] for moment in (midnight, midnight + _DAY))
        most = (end - first) // (np.maximum(minutes, 1) * MICROSECONDS_PER_MINUTE)
        is_inside = (position >= 1) & (position <= most)
        return first + np.where(is_inside, position - 1, 0) * minutes * MICROSECONDS_PER_MINUTE, is_inside

    def _range_minutes(self, begin: _Read, end: _Read) -> np.ndarray:
        """Return the lengths of ranges, int64; 0 for one that ends before it begins or has none of the lengths.

        Where the clock shows a time twice, the shortest range that is one is meant: 02:45 to 03:00, or to 02:00, is a
        quarter of an hour.
        """
        low, high = self._window
        sides = []
        for side in (begin, end):
            near = side.readable & (side.micros >= low - 3 * _DAY) & (side.micros < high + 3 * _DAY)
            safe = np.where(near, side.micros, low)
            sides.append(np.where(side.local, np.stack(self._candidates(safe, np.zeros_like(safe))), safe))
        lengths = (sides[1][None, :, :] - sides[0][:, None, :]).reshape(4, -1)
        shortest = np.where(lengths > 0, lengths, _DAY * 3).min(axis=0)
        minutes, rest = np.divmod(shortest, MICROSECONDS_PER_MINUTE)
        has_length = (rest == 0) & (minutes <= LONGEST_INTERVAL_MINUTES)
        if self._lengths:
            has_length &= np.isin(minutes, self._lengths)
        return np.where(has_length, minutes, 0)

    def _candidates(self, wall_clock: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the instants that wall-clock times name, in the zone that held then.

        Parameters
        ----------
        wall_clock : int64 array, shape (u,)
            Starts of intervals.
        shift : int64 array, shape (u,)
            From there to the stamps.
        """
        current = self._in_zone(wall_clock, shift, self._declared.timezone)
        earlier = self._declared.earlier
        if earlier is None:
            return current
        before = wall_clock + shift < (earlier.before - _LOCAL_EPOCH) // timedelta(microseconds=1)
        former = self._in_zone(wall_clock, shift, earlier.timezone)
        return np.where(before, former[0], current[0]), np.where(before, former[1], current[1])

    def _in_zone(self, wall_clock: np.ndarray, shift: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
        if self._declared.ends == "clock":
            return local_candidates(wall_clock, zone)
        earliest, latest = local_candidates(wall_clock + shift, zone)
        return earliest - shift, latest - shift


def _snapped(start: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Return the boundary of the interval grid that a drifting clock means: it decides the day, and nothing else.

    A stamp a little before midnight belongs to the day that it means; validation snaps and flags it there.
    """
    # Boundaries of intervals up to an hour are multiples of it in UTC; longer ones begin on a full hour.
    grid = np.where(60 % np.maximum(minutes, 1) == 0, np.maximum(minutes, 1), 60) * MICROSECONDS_PER_MINUTE
    tolerance = np.minimum(_CLOCK_TOLERANCE, grid // 2 - 1)
    nearest = (start + grid // 2) // grid * grid
    return np.where(np.abs(start - nearest) <= tolerance, nearest, start)


def _range_lengths(feed: MeasuredFeed) -> list[int]:
    """Return the lengths that ranges of a feed may have, in minutes; empty where each states its own."""
    if not isinstance(feed.interval_minutes, int):
        return []
    return [feed.interval_minutes, *(feed.also_intervals if isinstance(feed, ObservedFeed) else ())]


Row = tuple[str | None, ...]
"""The texts of some columns."""


def _joined(rows: list[Row]) -> list[str | None]:
    """Join the texts of each row by a blank; None where one is missing."""
    return [None if None in row else " ".join((text or "").strip() for text in row) for row in rows]


def _distinct_rows(parts: list[tuple[np.ndarray, pa.Array]]) -> tuple[np.ndarray, list[Row]]:
    """Return the distinct combinations of several columns, and which of them each row has."""
    codes = np.zeros(len(parts[0][0]), dtype=np.int64)
    combinations = 1
    for part, values in parts:
        codes = codes * max(1, len(values)) + part
        combinations *= max(1, len(values))
    distinct, codes = _distinct(codes, combinations)
    texts: list[list[str | None]] = []
    for _, values in reversed(parts):
        distinct, position = np.divmod(distinct, max(1, len(values)))
        texts.append(values.cast(pa.string()).take(pa.array(position)).to_pylist())
    return codes.astype(np.int32), list(zip(*reversed(texts), strict=True))


def _distinct(codes: np.ndarray, combinations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct codes and each row's position among them; ``codes`` are below ``combinations``."""
    if combinations > _TABLE_LIMIT:
        return np.unique(codes, return_inverse=True)
    # Marking a table is several times faster than sorting.
    seen = np.zeros(combinations, dtype=bool)
    seen[codes] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[codes]


def _parse(text: str, form: str) -> tuple[int, bool] | None:
    """Return microseconds and whether they are wall-clock time; None if the text is no stamp of that format."""
    if form in UNIX_FACTORS:
        return (int(text) * UNIX_FACTORS[form], False) if _UNIX.fullmatch(text) else None
    try:
        if form == ISO:
            moment = datetime.fromisoformat(text) if len(text) >= _SHORTEST_ISO else None
        else:
            moment = datetime.strptime(text, form)
    except ValueError:
        return _end_of_day(text, form)
    if moment is None:
        return None
    local = moment.tzinfo is None
    delta = (moment.replace(tzinfo=UTC) if local else moment) - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds, local


def _parse_marked(text: str, form: str, zone: str) -> tuple[int, bool] | None:
    """Return the instant of a wall-clock time that names the time of its zone, as ``_parse`` does."""
    marked = _ZONE_MARK.fullmatch(text)
    parsed = None if marked is None else _parse(marked.group(1), form)
    if marked is None or parsed is None or not parsed[1]:
        return None
    wall_clock = _LOCAL_EPOCH + timedelta(microseconds=parsed[0])
    for fold in (0, 1):
        moment = wall_clock.replace(tzinfo=ZoneInfo(zone), fold=fold)
        instant = moment.astimezone(UTC)
        # A time that the clock skips comes back as another one.
        if moment.tzname() == marked.group(2) and instant.astimezone(moment.tzinfo).replace(tzinfo=None) == wall_clock:
            return (instant - EPOCH) // timedelta(microseconds=1), False
    return None


def _end_of_day(text: str, form: str) -> tuple[int, bool] | None:
    """Return 24:00 as midnight of the next day; None if the text is no such stamp."""
    if text.count("24:00") != 1 or "24:00" not in text[-len("24:00:00+00:00") :]:
        return None
    midnight = _parse(text.replace("24:00", "00:00"), form)
    return None if midnight is None else (midnight[0] + _DAY, midnight[1])
