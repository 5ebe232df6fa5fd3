"""Green Button (NAESB ESPI) XML: interval blocks to chunks with a row per reading.

Belongs here: the links between blocks, meter readings, reading types and usage points; powers of ten. Does not belong
here: the meaning of codes (``vee.market_codes``, the feed's mapping).

The file is parsed as a stream (``defusedxml``, which refuses entities): what was read is let go of, so memory does not
grow with the file. A block names its meter reading by links, and this its reading type; where a file states the type
after the blocks, it is gone through once more before.

References
----------
NAESB REQ.21, Energy Services Provider Interface; Green Button Alliance, ``espi.xsd``.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import pyarrow as pa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.model import EspiReadings
from metrify_assets.feeds.values.numbers import whole

CHUNK_VALUES = 100_000
_COLUMNS = EspiReadings.grammar_columns
_READING = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?:[^\s<>/!?:\"'=]+:)?IntervalReading[\s/>]", re.DOTALL
)
_NO_TAGS = (b"<!", b"<?")
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
"""How a file in UTF-16 begins."""
_USAGE_POINT = re.compile(r".*UsagePoint/([^/]+)")
_OF_TYPE = (
    *("accumulationBehaviour", "commodity", "defaultQuality", "flowDirection", "intervalLength"),
    *("powerOfTenMultiplier", "uom"),
)
_COUNTERS = ("1", "2", "3", "9")
"""``AccumulationBehaviour`` of the state of a counter: bulk quantity, continuous, cumulative, summation."""
_REGISTER_MINUTES = "1440"
"""Cadence that is noted for register reads without a duration."""
_LARGEST_SECONDS = 10**11


def delivered_readings(path: Path) -> int:
    """Return the number of readings in a file, counted by its tags, without the parser."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        text = content if content[:2] not in _WIDE else _narrow(content[:])
        return sum(not match.group().startswith(_NO_TAGS) for match in _READING.finditer(text))


def _narrow(content: bytes) -> bytes:
    """Return a file in UTF-16 as UTF-8."""
    big = content.startswith((b"\xfe\xff", b"\0<"))
    return content.decode("utf-16-be" if big else "utf-16-le", "replace").encode()


@dataclass
class _Links:
    """What entries say of each other, by the address of a meter reading or reading type."""

    type_of_reading: dict[str, str] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    contradictory: set[str] = field(default_factory=set)

    def add(self, entry: Element) -> None:
        """Take in an entry that holds a meter reading or a reading type."""
        for element in (child for content in entry if _local(content.tag) == "content" for child in content):
            name = _local(element.tag)
            if name == "MeterReading":
                types = [href for rel, href in _hrefs(entry) if rel == "related" and "ReadingType/" in href]
                for own in _own(entry):
                    self.type_of_reading |= dict.fromkeys([own], types[0]) if types else {}
            elif name == "ReadingType":
                said = {_local(child.tag): (child.text or "").strip() for child in element}
                said = {name: said.get(name, "") for name in _OF_TYPE}
                for own in _own(entry):
                    if self.types.setdefault(own, said) != said:
                        self.contradictory.add(own)

    def of(self, meter_reading: str) -> dict[str, str] | None:
        """Return the reading type of a meter reading; None if it is not known (yet)."""
        return self.types.get(self.type_of_reading.get(meter_reading, ""))


@dataclass
class _Block:
    """An interval block: where it belongs and what holds for its readings."""

    meter_reading: str
    usage_point: str
    usage_point_href: str
    type: dict[str, str]
    problem: str = ""


class _UnknownEncoding(Exception):
    """The file names an encoding that the parser does not know."""


class EspiSource:
    """A Green Button file; see ``chunk.Source``."""

    def __init__(self, feed: EspiReadings, path: Path) -> None:
        self._path = path

    def chunks(self) -> Iterator[Chunk]:
        """Yield the readings; raise ``UnreadableFile`` for the rest of a file that is no XML, or holds no reading."""
        total = delivered_readings(self._path)
        gathered = _Gathered(1)
        try:
            for block, reading in self._readings():
                gathered.add(block, reading)
                if gathered.rows >= CHUNK_VALUES:
                    yield gathered.chunk(gathered.rows)
                    gathered = _Gathered(gathered.next)
        except (ParseError, DefusedXmlException, _UnknownEncoding) as error:
            if gathered.rows:
                yield gathered.chunk(gathered.rows)
            raise self._unreadable(error, total - (gathered.next - 1)) from error
        if gathered.next == 1:
            detail = "expected interval readings (ESPI), found none"
            raise UnreadableFile(RejectReason.EMPTY_FILE, detail, beginning(self._path), total)
        yield gathered.chunk(total - (gathered.next - 1) + gathered.rows)

    def _unreadable(self, error: Exception, rows: int) -> UnreadableFile:
        if isinstance(error, _UnknownEncoding):
            detail = f"expected UTF-8, UTF-16 or an encoding of single bytes: {error}"
            return UnreadableFile(RejectReason.BAD_ENCODING, detail, beginning(self._path), rows)
        if isinstance(error, DefusedXmlException):
            detail = f"expected XML without entities of its own: {error}"
            return UnreadableFile(RejectReason.FORBIDDEN_ENTITY, detail, beginning(self._path), rows)
        start = beginning(self._path)
        if not start.strip():
            return UnreadableFile(RejectReason.EMPTY_FILE, "expected an ESPI file, found an empty one")
        if not start.lstrip("\ufeff \r\n\t").startswith("<"):
            return UnreadableFile(RejectReason.NOT_IN_FORMAT, f"expected XML, found {start[:40]!r}", start, rows)
        detail = f"expected XML to its end, found one that breaks off or is damaged: {error}"
        return UnreadableFile(RejectReason.TRUNCATED_FILE, detail, start, rows)

    def _elements(self) -> Iterator[tuple[str, Element]]:
        """Yield every element with its name as it ends; entries and readings are emptied after that."""
        with self._path.open("rb") as stream:
            try:
                for _, element in iterparse(stream, events=("end",)):
                    name = _local(element.tag)
                    yield name, element
                    if name in ("IntervalReading", "entry"):
                        element.clear()
            except DefusedXmlException:
                raise
            except (LookupError, ValueError) as error:
                # What the parser raises for an encoding that is unknown, or of several bytes.
                raise _UnknownEncoding(str(error)) from error

    def _structure(self) -> _Links:
        links = _Links()
        for name, element in self._elements():
            if name == "entry":
                links.add(element)
        return links

    def _readings(self) -> Iterator[tuple[_Block, dict[str, str]]]:
        links, is_complete = _Links(), False
        of_entry: list[Element] = []
        block: _Block | None = None
        for name, element in self._elements():
            if name == "IntervalReading":
                if block is None:
                    meter_reading = _meter_reading(of_entry)
                    if links.of(meter_reading) is None and not is_complete:
                        links, is_complete = self._structure(), True
                    block = _block(meter_reading, links)
                yield block, _said(element)
            elif name == "IntervalBlock":
                block = None
            elif name == "link":
                of_entry.append(element)
            elif name == "entry":
                of_entry = []
                if not is_complete:
                    links.add(element)


@lru_cache(maxsize=1_024)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _hrefs(elements: Iterable[Element]) -> list[tuple[str, str]]:
    """Return relation and address of the links among elements, such as those of an entry."""
    links = [element for element in elements if _local(element.tag) == "link"]
    return [(link.get("rel", ""), link.get("href", "").rstrip("/")) for link in links]


def _own(entry: Element) -> list[str]:
    return list(dict.fromkeys(href for rel, href in _hrefs(entry) if rel == "self"))


def _meter_reading(links: list[Element]) -> str:
    """Return the address of the meter reading that a block belongs to by its links; blank where they say none."""
    addresses = [href for rel, href in _hrefs(links) if rel in ("self", "up") and "/IntervalBlock" in href]
    return addresses[0].rpartition("/IntervalBlock")[0] if addresses else ""


def _block(meter_reading: str, links: _Links) -> _Block:
    match = _USAGE_POINT.match(meter_reading)
    point, href = (match.group(1), match.group()) if match else ("", "")
    name = links.type_of_reading.get(meter_reading, "")
    problem = f"expected one reading type {name}, found two that differ" if name in links.contradictory else ""
    return _Block(meter_reading, point, href, links.of(meter_reading) or dict.fromkeys(_OF_TYPE, ""), problem)


def _said(reading: Element) -> dict[str, str]:
    """Return the texts of a reading by the names of their elements (start, duration, value, quality, ...)."""
    texts = ((_local(element.tag), (element.text or "").strip()) for element in reading.iter())
    return {name: text for name, text in texts if text}


def _whole_minutes(seconds: str) -> str:
    length = whole(seconds)
    return str(length // 60) if length is not None and length % 60 == 0 else ""


def _scaled(value: str, multiplier: str) -> str:
    """Return a value times a power of ten, in the notation that keeps its digits."""
    return value if multiplier in ("", "0") or not value else f"{value}e{multiplier}"


def _seconds(text: str) -> int | None:
    number = whole(text.removeprefix("-"))
    if number is None or number > _LARGEST_SECONDS:
        return None
    return -number if text.startswith("-") else number


class _Gathered:
    """Readings that become one chunk."""

    def __init__(self, first: int) -> None:
        self.next = first
        self._first = first
        self._numbers: list[int] = []
        self._starts: list[int | None] = []
        self._texts: list[tuple[str, ...]] = []
        self._said: dict[int, tuple[str, dict[str, str]]] = {}
        self._rejects: list[Reject] = []

    @property
    def rows(self) -> int:
        return self.next - self._first

    def add(self, block: _Block, said: dict[str, str]) -> None:
        """Add a reading."""
        number, self.next = self.next, self.next + 1
        if block.problem:
            payload = _payload(block.meter_reading, said)
            self._rejects.append(Reject(number, RejectReason.BROKEN_RECORD, block.problem, payload))
            return
        kind = block.type
        start, duration = _seconds(said.get("start", "")), said.get("duration", "")
        minutes = _whole_minutes(duration or kind["intervalLength"])
        reading = "register" if kind["accumulationBehaviour"] in _COUNTERS else "interval"
        if reading == "register":
            # The state that the counter has reached when the time is over.
            lasting = _seconds(duration)
            start = None if start is None or lasting is None else start + lasting
            minutes = minutes if minutes not in ("", "0") else _REGISTER_MINUTES
        flow = kind["flowDirection"]
        self._numbers.append(number)
        self._starts.append(start)
        self._texts.append(
            (
                *(block.usage_point, block.usage_point_href, block.meter_reading, minutes, reading),
                *(_scaled(said.get("value", ""), kind["powerOfTenMultiplier"]), kind["uom"], flow, kind["commodity"]),
                *(f"{reading} {flow}".strip(), said.get("quality") or kind["defaultQuality"]),
            )
        )
        self._said[number] = (block.meter_reading, said)

    def chunk(self, delivered: int) -> Chunk:
        """Return the readings; ``delivered`` as counted without the parser."""
        seconds = pa.array(self._starts, pa.int64())
        names = [name for name in _COLUMNS if name != "start"]
        texts = zip(*self._texts, strict=True) if self._texts else [()] * len(names)
        columns = {name: pa.array(column, pa.string()) for name, column in zip(names, texts, strict=True)}
        columns["start"] = seconds.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC"))

        def payloads(row_numbers: np.ndarray) -> list[str]:
            return [_payload(*self._said[number]) for number in row_numbers.tolist()]

        return Chunk(np.array(self._numbers, dtype=np.int64), columns, payloads, delivered, self._rejects)


def _payload(meter_reading: str, said: dict[str, str]) -> str:
    return json.dumps({"meter_reading": meter_reading, **said})
