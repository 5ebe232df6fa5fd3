"""MSCONS (EDIFACT): messages to chunks with a row per QTY segment.

Belongs here: the grammar of the message, in the forms that the field uses, and which segment spoils what. Does not
belong here: separators and releases (``edifact.py``), and the meaning of codes (``vee.market_codes``, the feed).

Forms that are read: D:04B and the German profile (DTM 163 and 164 after each QTY), D:99A as in Switzerland (DTM 163 and
a period 672 before a run of QTY), register reads (DTM 7 or 9 after QTY). A message is held until its UNT is there: one
that breaks off, or whose count of segments is wrong, is quarantined whole, and the others are read. So memory grows
with the largest message, not with the file.

Split here rather than by a library: ``pydifact`` builds an object per segment and reads the whole file first (see
docs/formats.md for the measurement).

References
----------
EDI@Energy, MSCONS message implementation guide; UN/EDIFACT D.99A and D.04B, MSCONS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import FILE_PAYLOAD_CHARACTERS, Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.edifact import Interchange, ServiceCharacters
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.remarks import REMARK, with_remarks
from metrify_assets.feeds.model import LONGEST_INTERVAL_MINUTES, MsconsReadings
from metrify_assets.feeds.values.numbers import whole

CHUNK_VALUES = 100_000
REGISTER_MINUTES = "1440"
"""Cadence that is noted for register reads, of which MSCONS states the instant alone."""
_COLUMNS = tuple(name for name in MsconsReadings.grammar_columns if name != REMARK)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d))?(?:\d\d)?(Z|UTC|GMT|[+-]\d\d)?")
_PERIOD_MINUTES = {"804": 1_440, "805": 60, "806": 1}
"""DTM 672, format: a number of days, hours, minutes."""
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_LONGEST_RUN = timedelta(days=300_000)
"""A run of quantities that goes on for longer ends in years that no feed accepts."""
_START, _END, _PERIOD, _READ_AT = "163", "164", "672", ("7", "9")
_SERVICE = ("UNB", "UNG", "UNH", "UNT", "UNE", "UNZ")


@dataclass(frozen=True)
class _Time:
    """A DTM segment: qualifier, stamp in ISO format (as it came where it is none), instant or wall-clock time."""

    qualifier: str
    text: str
    moment: datetime | None


@dataclass
class _Series:
    """What holds for the QTY segments that follow: point, channel, start and period of a run."""

    point: str = ""
    channel: str = ""
    start: _Time | None = None
    minutes: int = 0
    run: int = 0


@dataclass
class _Message:
    """A message while it is read; lists hold one entry per QTY segment."""

    reference: str
    number: int
    segments: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)
    broken: list[Reject] = field(default_factory=list)


class MsconsSource:
    """A file of MSCONS messages; see ``chunk.Source``."""

    def __init__(self, feed: MsconsReadings, path: Path) -> None:
        self._feed = feed
        self._path = path
        self._encoding = feed.encoding
        self._zone = ZoneInfo(feed.stamp.timezone)
        self._counts = feed.control_counts

    def chunks(self) -> Iterator[Chunk]:
        """Yield the values of whole messages; raise ``UnreadableFile`` if the file is no EDIFACT interchange."""
        return with_remarks(self._feed, self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        interchange = Interchange(self._path, self._encoding)
        gathered = _Gathered()
        delivered = 0
        for item in _Reader(interchange, self._zone, self._counts).items():
            gathered.add(item)
            if len(gathered.rows) >= CHUNK_VALUES:
                yield gathered.chunk(interchange.quantities - delivered)
                gathered, delivered = _Gathered(), interchange.quantities
        if not interchange.quantities and gathered.holds_nothing:
            raise self._no_interchange(interchange)
        yield gathered.chunk(interchange.quantities - delivered)

    def _no_interchange(self, interchange: Interchange) -> UnreadableFile:
        start = beginning(self._path, self._encoding)
        if not start.strip():
            return UnreadableFile(RejectReason.EMPTY_FILE, "expected an EDIFACT interchange, found an empty file")
        detail = f"expected an EDIFACT interchange with UNB and messages, found {start[:40]!r}"
        return UnreadableFile(RejectReason.NOT_IN_FORMAT, detail, start)


class _Reader:
    """Reads the segments of an interchange into messages and rejects."""

    def __init__(self, interchange: Interchange, zone: ZoneInfo, counts: bool) -> None:
        self._interchange = interchange
        self._characters = interchange.characters
        self._times = _Times(interchange.characters, zone)
        self._counts = counts
        self._message: _Message | None = None
        self._reference: str | None = None
        self._messages = self._groups = 0

    def items(self) -> Iterator[_Message | Reject]:
        """Yield whole messages, and what had to be rejected, in the order of the file."""
        number = 1
        for block in self._interchange.blocks():
            first = 0
            # Nearly all segments are those between: they are looked at message by message.
            for position in [i for i, text in enumerate(block) if text.startswith("UN") and text[:3] in _SERVICE]:
                yield from self._between(number + first, block[first:position])
                yield from self._service(number + position, block[position])
                first = position + 1
            yield from self._between(number + first, block[first:])
            number += len(block)
        yield from self._broken_off("found the end of the file")
        yield from self._end(number)

    def _between(self, number: int, segments: list[str]) -> Iterator[Reject]:
        if self._message is not None:
            self._message.segments += segments
            return
        for place, segment in enumerate(segments, start=number):
            if segment and not self._characters.names_the_same(segment):
                detail = f"expected a message (UNH), found {segment[:40]!r}"
                rows = int(segment.startswith("QTY" + self._characters.element))
                yield Reject(place, RejectReason.BROKEN_RECORD, detail, segment, rows)

    def _service(self, number: int, segment: str) -> Iterator[_Message | Reject]:
        tag, elements = segment[:3], self._characters.elements(segment)
        if tag == "UNT" and self._message is not None:
            message, self._message = self._message, None
            message.segments.append(segment)
            yield from self._ended(message, segment)
            return
        yield from self._broken_off(f"found {tag} in segment {number}")
        if tag == "UNH":
            self._messages += 1
            self._message = _Message(_text(elements, 1), number, [segment])
        elif tag == "UNB":
            yield from self._end(number)
            self._reference, self._messages, self._groups = _text(elements, 5), 0, 0
        elif tag == "UNG":
            self._groups += 1
        elif tag == "UNZ":
            # Where messages stand in groups, these are counted.
            what = "groups" if self._groups else "messages"
            expected = [str(self._groups or self._messages), self._reference or ""]
            trailer = [_text(elements, 1).lstrip("0") or "0", _text(elements, 2)]
            if self._reference is None or trailer != expected:
                detail = f"expected UNZ with {expected[0]} {what} of interchange {expected[1]!r}, found {segment!r}"
                yield Reject(number, RejectReason.WRONG_COUNT, detail, segment, rows=0)
            self._reference = None
        elif tag == "UNT":
            detail = f"expected a message (UNH) before it, found {segment!r}"
            yield Reject(number, RejectReason.BROKEN_RECORD, detail, segment, rows=0)

    def _end(self, number: int) -> Iterator[Reject]:
        """Yield a reject if the interchange before this place has no UNZ, or a segment has no end."""
        if self._reference is not None or self._interchange.rest:
            detail = "expected UNZ, found the end of the interchange: it may break off"
            rest = self._interchange.rest
            self._interchange.rest = ""
            # A quantity that breaks off inside a message is counted with the message.
            yield Reject(number, RejectReason.TRUNCATED_FILE, detail, rest[:FILE_PAYLOAD_CHARACTERS], rows=0)

    def _broken_off(self, ending: str) -> Iterator[Reject]:
        message, self._message = self._message, None
        if message is not None:
            detail = f"message {message.reference!r}: expected UNT, {ending}"
            rest = self._interchange.rest
            lost = int(rest.startswith("QTY" + self._characters.element))
            yield self._whole(message, RejectReason.BROKEN_MESSAGE, detail, lost)
        elif self._interchange.rest.startswith("QTY" + self._characters.element):
            detail = f"expected a message (UNH), found {self._interchange.rest[:40]!r}"
            yield Reject(0, RejectReason.BROKEN_RECORD, detail, self._interchange.rest)

    def _whole(self, message: _Message, reason: RejectReason, detail: str, lost: int = 0) -> Reject:
        quantity = "QTY" + self._characters.element
        rows = sum(segment.startswith(quantity) for segment in message.segments) + lost
        payload = (self._characters.terminator + "\n").join(message.segments)
        return Reject(message.number, reason, detail, payload[:FILE_PAYLOAD_CHARACTERS], rows)

    def _ended(self, message: _Message, segment: str) -> Iterator[_Message | Reject]:
        kind = _text(self._characters.elements(message.segments[0]), 2)
        unt = self._characters.elements(segment)
        count = str(len(message.segments))
        wrong_count = self._counts and (_text(unt, 1).lstrip("0") or "0") != count
        if wrong_count or _text(unt, 2) != message.reference:
            detail = f"message {message.reference!r}: expected UNT to name it and {count} segments, found {segment!r}"
            yield self._whole(message, RejectReason.WRONG_COUNT, detail)
        elif kind != "MSCONS":
            detail = f"message {message.reference!r}: expected MSCONS, found {kind[:20]!r}"
            yield self._whole(message, RejectReason.NOT_IN_FORMAT, detail)
        else:
            _Body(message, self._characters, self._times).read()
            yield message


class _Body:
    """Reads the segments of one whole message into rows."""

    def __init__(self, message: _Message, characters: ServiceCharacters, times: _Times) -> None:
        self._message = message
        self._characters = characters
        self._times = times
        self._series = _Series()

    def read(self) -> None:
        """Fill the message's rows and what is broken in it."""
        segments = self._message.segments
        quantity = "QTY" + self._characters.element
        position, last = 1, len(segments)
        while position < last:
            segment = segments[position]
            if not segment.startswith(quantity):
                self._series_segment(segment)
                position += 1
                continue
            end = position + 1
            while end < last and segments[end][:3] in ("DTM", "STS"):
                end += 1
            self._quantity(position, end)
            position = end

    def _series_segment(self, segment: str) -> None:
        series, tag = self._series, segment[:3]
        if tag == "NAD":
            self._series = _Series()
        elif tag == "LOC":
            elements = self._characters.elements(segment)
            if _text(elements, 1) == "172":
                # The id, or (D:99A) the name of the place.
                self._series = _Series(point=_text(elements, 2) or _text(elements, 2, 3))
        elif tag == "LIN":
            series.channel, series.run = "", 0
        elif tag == "PIA":
            # 255 means that the storage number of an OBIS code is not used.
            series.channel = _text(self._characters.elements(segment), 2).removesuffix("*255")
        elif tag == "DTM":
            time = self._times.read(segment)
            if time.qualifier == _START:
                series.start, series.run = time, 0
            elif time.qualifier == _PERIOD:
                series.minutes = whole(time.text) or 0

    def _quantity(self, position: int, end: int) -> None:
        message, series = self._message, self._series
        segments = message.segments
        number = message.number + position
        said = self._components(segments[position])
        if len(said) < 2:
            detail = "expected QTY with a qualifier and a quantity"
            payload = self._characters.terminator.join(segments[position:end])
            message.broken.append(Reject(number, RejectReason.BROKEN_RECORD, detail, payload))
            return
        qualifier, value, unit = [*said, ""][:3]
        if self._characters.decimal != ".":
            value = value.replace(self._characters.decimal, ".")
        start, minutes, reading, method, reason = self._times.details(tuple(segments[position + 1 : end]))
        if not start and series.start is not None and series.minutes:
            start = self._times.later(series.start, series.run * series.minutes)
        minutes = minutes or str(series.minutes or "")
        series.run += 1
        message.numbers.append(number)
        place = (message.reference, series.point, series.channel, start, minutes, reading)
        message.rows.append((*place, value, unit, qualifier, method, reason))

    def _components(self, segment: str) -> list[str]:
        """Return the components of a QTY segment's one element: most segments of a file are these, and simple."""
        characters = self._characters
        if (characters.release and characters.release in segment) or segment.count(characters.element) > 1:
            return characters.elements(segment)[1]
        return segment[len("QTY+") :].split(characters.component)


_Details = tuple[str, str, str, str, str]
"""What DTM and STS segments state of a quantity: start, minutes, kind of reading, method, reason."""


class _Times:
    """DTM and STS segments read, each distinct group once: all points of a file have the same stamps."""

    _MOST = 100_000

    def __init__(self, characters: ServiceCharacters, zone: ZoneInfo) -> None:
        self._characters = characters
        self._zone = zone
        self._details_of: dict[tuple[str, ...], _Details] = {}

    def details(self, segments: tuple[str, ...]) -> _Details:
        """Return what the segments after a QTY state of it; blanks where they do not."""
        details = self._details_of.get(segments)
        if details is None:
            if len(self._details_of) >= self._MOST:
                self._details_of.clear()
            details = self._details_of[segments] = self._parsed(segments)
        return details

    def _parsed(self, segments: tuple[str, ...]) -> _Details:
        times: dict[str, _Time] = {}
        method = reason = ""
        for segment in segments:
            if segment.startswith("DTM"):
                time = self.read(segment)
                times[time.qualifier] = time
                continue
            status = self._characters.elements(segment)
            if _text(status, 1) == "Z32":
                method = _text(status, 3)
            else:
                reason = _text(status, 3) or _text(status, 2)
        return (*self._when(times), method, reason)

    def _when(self, times: dict[str, _Time]) -> tuple[str, str, str]:
        if _START in times:
            start, end = times[_START], times.get(_END)
            return start.text, "" if end is None else self._between(start.moment, end.moment), "interval"
        for qualifier in _READ_AT:
            if qualifier in times:
                return times[qualifier].text, REGISTER_MINUTES, "register"
        return "", "", "interval"

    def read(self, segment: str) -> _Time:
        """Return what a DTM segment says."""
        said = self._characters.elements(segment)[1:2] or [[]]
        qualifier, text, form = [*said[0], "", "", ""][:3]
        if qualifier == _PERIOD:
            factor = _PERIOD_MINUTES.get(form, 0)
            minutes = (whole(text) or 0) * factor
            return _Time(qualifier, str(minutes) if 0 < minutes <= LONGEST_INTERVAL_MINUTES else "", None)
        match = _STAMP.fullmatch(text)
        if match is None:
            return _Time(qualifier, text, None)
        year, month, day, hour, minute, offset = match.groups()
        offset = "" if offset is None else "+00:00" if offset in ("Z", "UTC", "GMT") else f"{offset}:00"
        iso = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}{offset}"
        try:
            moment = datetime.fromisoformat(iso)
        except ValueError:
            return _Time(qualifier, text, None)
        # Beyond these years the calendar ends where a zone or a length is added.
        return _Time(qualifier, iso, moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None)

    def _between(self, start: datetime | None, end: datetime | None) -> str:
        if start is None or end is None:
            return ""
        lengths = [
            (late - early) // timedelta(minutes=1) for early in self._instants(start) for late in self._instants(end)
        ]
        # In the repeated hour of a local time, the shortest of what the stamps can mean.
        return str(min((length for length in lengths if length > 0), default=""))

    def _instants(self, moment: datetime) -> list[datetime]:
        if moment.tzinfo is not None:
            return [moment]
        return [moment.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1)]

    def later(self, start: _Time, minutes: int) -> str:
        """Return the stamp that many minutes of real time after another, with an offset."""
        if start.moment is None:
            return start.text
        first = self._instants(start.moment)[0].astimezone(UTC)
        later = first + min(timedelta(minutes=minutes), _LONGEST_RUN)
        return later.isoformat()


def _text(elements: list[list[str]], element: int, component: int = 0) -> str:
    """Return a component of an element; blank where there is none."""
    if len(elements) <= element or len(elements[element]) <= component:
        return ""
    return elements[element][component].strip()


class _Gathered:
    """Messages and rejects that become one chunk."""

    def __init__(self) -> None:
        self._messages: list[_Message] = []
        self._rejects: list[Reject] = []
        self.rows: list[tuple[str, ...]] = []
        self._numbers: list[int] = []

    @property
    def holds_nothing(self) -> bool:
        """Whether there is neither a message nor a reject that names more than stray text."""
        stray = (RejectReason.BROKEN_RECORD, RejectReason.TRUNCATED_FILE)
        return not self._messages and all(reject.reason in stray for reject in self._rejects)

    def add(self, item: _Message | Reject) -> None:
        if isinstance(item, Reject):
            self._rejects.append(item)
        else:
            self._messages.append(item)
            self.rows += item.rows
            self._numbers += item.numbers
            self._rejects += item.broken

    def chunk(self, delivered: int) -> Chunk:
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(_COLUMNS)
        arrays = {
            name: pa.array(column, pa.string())
            if name == "value"
            else pa.array(column, pa.string()).dictionary_encode()
            for name, column in zip(_COLUMNS, columns, strict=True)
        }
        return Chunk(np.array(self._numbers, dtype=np.int64), arrays, self._payloads, delivered, self._rejects)

    def _payloads(self, row_numbers: np.ndarray) -> list[str]:
        """Return QTY segments with the DTM and STS that belong to them."""
        firsts = np.array([message.number for message in self._messages], dtype=np.int64)
        payloads = []
        for number in row_numbers.tolist():
            message = self._messages[int(np.searchsorted(firsts, number, side="right")) - 1]
            segments = message.segments[number - message.number :]
            end = next((i for i, text in enumerate(segments[1:], 1) if text[:3] not in ("DTM", "STS")), len(segments))
            payloads.append("'".join(segments[:end]))
        return payloads
