"""NEM12 (Australia, AEMO): records 100 to 900 to chunks with a row per interval value.

Belongs here: the grammar of the file, and which record spoils what. Does not belong here: the meaning of a code
(``vee.market_codes``, the feed's mapping), and single values (``numbers.py``).

A 300 record is one day of one channel; its values are rows that share the number of its line. The 400 records after it
carry the quality of ranges of its intervals. A record that is not as the specification says is rejected whole, with its
400 records, and the rest of the file is read. NEM13 (reads of accumulation meters) is another format.

Split here rather than by a library: ``nemreader`` builds an object per value (see docs/formats.md for the measurement)
and raises on the first record that it cannot read; it is the peer in the tests.

References
----------
AEMO, Meter Data File Format Specification NEM12 & NEM13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.remarks import with_remarks
from metrify_assets.feeds.model import Nem12Readings
from metrify_assets.feeds.values.numbers import whole
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, day_number
from metrify_assets.vee.market_codes import Nem12Quality

CHUNK_VALUES = 250_000
MINUTES_PER_DAY = 1_440
_DAY = MINUTES_PER_DAY * MICROSECONDS_PER_MINUTE
_FLAGS = "".join(Nem12Quality)
_FLAG_FIELD = re.compile(rf",[{_FLAGS}]\d{{0,2}}\s*(?:,|$)")
_QUALITY = re.compile(rf"([{_FLAGS}])(\d{{2}})?")
_CHANNEL_FIELDS = ("nmi", "suffix", "register_id", "meter_serial", "unit")


def delivered_values(line: str) -> int:
    """Return how many values a 300 record holds: the fields between date and quality flag, without the parser."""
    values = line.find(",", 4)
    if values < 0:
        return 0
    flag = _FLAG_FIELD.search(line, values)
    return line.count(",", values, flag.start() if flag else len(line))


@dataclass(frozen=True)
class _Channel:
    """A 200 record: the fields of ``_CHANNEL_FIELDS`` and the length of its intervals."""

    fields: tuple[str, ...]
    minutes: int


@dataclass
class _Day:
    """A 300 record with its 400 records."""

    number: int
    lines: list[str]
    channel: _Channel
    values: list[str]
    start: int
    quality: str
    reason: str
    events: list[tuple[int, int, str, str]] = field(default_factory=list)


class _Broken(Exception):
    """A record is not as the specification says; the message says how."""


class Nem12Source:
    """A NEM12 file; see ``chunk.Source``."""

    def __init__(self, feed: Nem12Readings, path: Path) -> None:
        self._feed = feed
        self._path = path
        self._encoding = "utf-8-sig" if feed.encoding == "utf-8" else feed.encoding

    def chunks(self) -> Iterator[Chunk]:
        """Yield the values; raise ``UnreadableFile`` if the file does not begin as NEM12 or holds no day."""
        return with_remarks(self._feed, self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        self._check_beginning()
        gathered = _Gathered()
        anything = False
        for item in self._days():
            gathered.add(item)
            if gathered.is_full:
                anything = True
                yield gathered.chunk()
                gathered = _Gathered()
        if not gathered.is_empty:
            anything = True
            yield gathered.chunk()
        if not anything:
            raise self._unreadable(RejectReason.EMPTY_FILE, "expected days (300 records), found none")

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of the lines that are not blank."""
        with self._path.open(encoding=self._encoding, errors="replace") as stream:
            for number, line in enumerate(stream, start=1):
                if line := line.strip():
                    yield number, line

    def _check_beginning(self) -> None:
        fields = next((line for _, line in self._lines()), "").split(",")
        if fields == [""]:
            raise self._unreadable(RejectReason.EMPTY_FILE, "expected a NEM12 file, found an empty one")
        if fields[0] != "100":
            detail = f"expected a 100 record first, found {','.join(fields)[:100]!r}"
            raise self._unreadable(RejectReason.HEADER_MISMATCH, detail)
        if fields[1:2] != ["NEM12"]:
            raise self._unreadable(RejectReason.NOT_IN_FORMAT, f"expected NEM12, found {''.join(fields[1:2])[:20]!r}")

    def _unreadable(self, reason: RejectReason, detail: str) -> UnreadableFile:
        rows = sum(delivered_values(line) for _, line in self._lines() if line.startswith("300"))
        return UnreadableFile(reason, detail, beginning(self._path), rows)

    def _days(self) -> Iterator[_Day | Reject]:
        """Yield the days that can be read and the records that cannot, in the order of the file."""
        channel: _Channel | str = "expected a 200 record before it"
        day: _Day | Reject | None = None
        number, ended = 0, False
        for number, line in self._lines():
            kind = line[:3] if line[3:4] in ("", ",") else line.split(",", 1)[0]
            if kind == "400" and day is not None:
                day = _with_event(day, line)
                continue
            if day is not None:
                yield _complete(day)
                day = None
            if kind == "300":
                day = _day(number, line, channel, ended)
            elif kind == "200":
                channel = _channel(number, line)
                if isinstance(channel, str):
                    yield _rejected(number, line, channel)
            elif kind == "900":
                ended = True
            elif kind == "100" and line.split(",")[1:2] == ["NEM12"]:
                # Some senders put several files into one.
                channel, ended = "expected a 200 record before it", False
            elif kind != "500":
                yield _rejected(number, line, "expected a record 200, 300, 400 after a day, 500 or 900")
        if day is not None:
            yield _complete(day)
        if not ended:
            detail = "expected a 900 record at the end, found none: the file may break off"
            yield Reject(number + 1, RejectReason.TRUNCATED_FILE, detail, "", rows=0)


def _rejected(number: int, line: str, detail: str) -> Reject:
    values = delivered_values(line) if line.startswith("300") else 0
    return Reject(number, RejectReason.BROKEN_RECORD, detail, line, values)


def _channel(number: int, line: str) -> _Channel | str:
    """Return what a 200 record says; as a text, why its days cannot be read."""
    fields = [text.strip() for text in line.split(",")]
    if len(fields) < 9:
        return f"expected at least 9 fields in the 200 record of line {number}, found {len(fields)}"
    _, nmi, _, register, suffix, _, serial, unit, minutes = fields[:9]
    if not nmi:
        return f"expected a NMI in the 200 record of line {number}"
    length = whole(minutes)
    if not length or MINUTES_PER_DAY % length:
        return f"expected an interval length that divides the day in the 200 record of line {number}, found {minutes!r}"
    return _Channel((nmi, suffix, register, serial, unit.upper()), length)


def _day(number: int, line: str, channel: _Channel | str, ended: bool) -> _Day | Reject:
    if ended:
        return _rejected(number, line, "expected nothing after the 900 record but a file with a 100 record of its own")
    if isinstance(channel, str):
        return _rejected(number, line, channel)
    slots = MINUTES_PER_DAY // channel.minutes
    count = delivered_values(line)
    fields = line.split(",")
    if count != slots or len(fields) <= slots + 2:
        detail = f"expected {slots} values of {channel.minutes} minutes and a quality flag, found {count}"
        return _rejected(number, line, detail)
    start = _midnight(fields[1].strip())
    if start is None:
        return _rejected(number, line, f"expected a date such as 20260301, found {fields[1][:20]!r}")
    reason = fields[slots + 3].strip() if len(fields) > slots + 3 else ""
    return _Day(number, [line], channel, fields[2 : slots + 2], start, fields[slots + 2].strip(), reason)


@lru_cache(maxsize=4_096)
def _midnight(text: str) -> int | None:
    try:
        return day_number(date.fromisoformat(text)) * _DAY if len(text) == 8 else None
    except ValueError:
        return None


def _with_event(day: _Day | Reject, line: str) -> _Day | Reject:
    """Add a 400 record to its day, to the payload of one that is rejected already."""
    if isinstance(day, Reject):
        return Reject(day.row_number, day.reason, day.detail, f"{day.payload}\n{line}", day.rows)
    day.lines.append(line)
    fields = [text.strip() for text in line.split(",")]
    first, last = (whole(text) for text in [*fields, "", ""][1:3])
    if len(fields) >= 4 and first is not None and last is not None:
        day.events.append((first, last, fields[3], fields[4] if len(fields) > 4 else ""))
    else:
        # No interval 0 exists: the check of the ranges says what is wrong.
        day.events.append((0, 0, line, ""))
    return day


def _complete(day: _Day | Reject) -> _Day | Reject:
    if isinstance(day, Reject):
        return day
    try:
        _check_events(day)
    except _Broken as problem:
        return Reject(day.number, RejectReason.BROKEN_RECORD, str(problem), "\n".join(day.lines), rows=len(day.values))
    return day


def _check_events(day: _Day) -> None:
    """Raise ``_Broken`` unless the 400 records say the quality of every interval once, where the day's varies."""
    slots, following = len(day.values), 1
    varies = day.quality.startswith(Nem12Quality.VARIABLE)
    for first, last, quality, _ in day.events:
        if not following <= first <= last <= slots:
            raise _Broken(f"expected 400 records with rising ranges from 1 to {slots}, found {first} to {last}")
        if not _QUALITY.fullmatch(quality) or quality.startswith(Nem12Quality.VARIABLE):
            raise _Broken(f"expected a quality such as A or S14 in a 400 record, found {quality!r}")
        if varies and first != following:
            raise _Broken(f"expected the quality of interval {following} in a 400 record")
        following = last + 1
    if varies and following <= slots:
        raise _Broken(f"expected the quality of intervals {following} to {slots} in 400 records")


class _Texts:
    """Distinct texts of a column, as codes."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))

    def column(self, codes: np.ndarray) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(list(self._codes), pa.string()))


class _Gathered:
    """Days and rejects that become one chunk."""

    def __init__(self) -> None:
        self._days: list[_Day] = []
        self._rejects: list[Reject] = []
        self._values: list[str] = []

    @property
    def is_full(self) -> bool:
        return len(self._values) >= CHUNK_VALUES

    @property
    def is_empty(self) -> bool:
        return not self._days and not self._rejects

    def add(self, item: _Day | Reject) -> None:
        if isinstance(item, Reject):
            self._rejects.append(item)
        else:
            self._days.append(item)
            self._values += item.values

    def chunk(self) -> Chunk:
        days = self._days
        counts = np.array([len(day.values) for day in days], dtype=np.int64)
        numbers = np.array([day.number for day in days], dtype=np.int64)
        minutes = np.array([day.channel.minutes for day in days], dtype=np.int64)
        first = np.cumsum(counts) - counts
        slot = np.arange(len(self._values)) - np.repeat(first, counts)
        starts = np.array([day.start for day in days], dtype=np.int64)
        columns: dict[str, pa.Array] = {
            "start": pa.array(
                np.repeat(starts, counts) + slot * np.repeat(minutes, counts) * MICROSECONDS_PER_MINUTE
            ).cast(pa.timestamp("us")),
            "minutes": pa.array(np.repeat(minutes, counts)),
            "value": pa.array(self._values, pa.string()),
        }
        for position, name in enumerate(_CHANNEL_FIELDS):
            texts = _Texts()
            codes = np.array([texts.code(day.channel.fields[position]) for day in days], dtype=np.int32)
            columns[name] = texts.column(np.repeat(codes, counts))
        columns |= self._said_of_values(counts, first)

        def payloads(row_numbers: np.ndarray) -> list[str]:
            return ["\n".join(days[i].lines) for i in np.searchsorted(numbers, row_numbers).tolist()]

        delivered = sum(delivered_values(day.lines[0]) for day in days) + sum(reject.rows for reject in self._rejects)
        return Chunk(np.repeat(numbers, counts), columns, payloads, delivered, self._rejects)

    def _said_of_values(self, counts: np.ndarray, first: np.ndarray) -> dict[str, pa.Array]:
        """Return flag, method and reason of every value: those of its day, or of its range."""
        said = _Texts()
        codes = np.repeat(np.array([said.code(f"{day.quality},{day.reason}") for day in self._days], np.int32), counts)
        for day, begin in zip(self._days, first.tolist(), strict=True):
            for start, end, quality, reason in day.events:
                codes[begin + start - 1 : begin + end] = said.code(f"{quality},{reason}")
        parts = [text.split(",") for text in said.column(codes).dictionary.to_pylist()]
        columns = {"quality": [text[:1] for text, _ in parts], "method": [text[1:] for text, _ in parts]}
        columns["reason"] = [reason for _, reason in parts]
        indices = pa.array(codes, pa.int32())
        return {name: pa.DictionaryArray.from_arrays(indices, pa.array(texts)) for name, texts in columns.items()}
