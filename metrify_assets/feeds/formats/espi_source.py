"""Green Button (NAESB ESPI) XML: interval blocks to chunks with a row per reading.

Belongs here: the links between blocks, meter readings, reading types and usage points; powers of ten. Does not belong
here: the meaning of codes (``vee.market_codes``, the feed's mapping).

The file is parsed as a stream (``xml_document.py``). A block names its meter reading by links, and this its reading
type; where a file states the type after the blocks, it is gone through once more before.

References
----------
NAESB REQ.21, Energy Services Provider Interface; Green Button Alliance, ``espi.xsd``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.xml_document import DAMAGED, XmlDocument, local_name
from metrify_assets.feeds.model import EspiReadings
from metrify_assets.feeds.values.numbers import whole

CHUNK_VALUES = 100_000
_COLUMNS = EspiReadings.grammar_columns
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


@dataclass
class _Links:
    """What entries say of each other, by the address of a meter reading or reading type."""

    type_of_reading: dict[str, str] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    contradictory: set[str] = field(default_factory=set)

    def add(self, entry: Element) -> None:
        """Take in an entry that holds a meter reading or a reading type."""
        for element in (child for content in entry if local_name(content.tag) == "content" for child in content):
            name = local_name(element.tag)
            if name == "MeterReading":
                types = [href for rel, href in _hrefs(entry) if rel == "related" and "ReadingType/" in href]
                for own in _own(entry):
                    self.type_of_reading |= dict.fromkeys([own], types[0]) if types else {}
            elif name == "ReadingType":
                said = {local_name(child.tag): (child.text or "").strip() for child in element}
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


class EspiSource:
    """A Green Button file; see ``chunk.Source``."""

    def __init__(self, feed: EspiReadings, path: Path) -> None:
        self._document = XmlDocument(path, "an ESPI file", "IntervalReading")

    def chunks(self) -> Iterator[Chunk]:
        """Yield the readings; raise ``UnreadableFile`` for the rest of a file that is no XML, or holds no reading."""
        total = self._document.delivered()
        gathered = _Gathered(1)
        try:
            for block, reading in self._readings():
                gathered.add(block, reading)
                if gathered.rows >= CHUNK_VALUES:
                    yield gathered.chunk(gathered.rows)
                    gathered = _Gathered(gathered.next)
        except DAMAGED as error:
            if gathered.rows:
                yield gathered.chunk(gathered.rows)
            raise self._document.unreadable(error, total - (gathered.next - 1)) from error
        if gathered.next == 1:
            detail = "expected interval readings (ESPI), found none"
            raise UnreadableFile(RejectReason.EMPTY_FILE, detail, beginning(self._document.path), total)
        yield gathered.chunk(total - (gathered.next - 1) + gathered.rows)

    def _elements(self) -> Iterator[tuple[str, Element]]:
        return self._document.elements(("IntervalReading", "entry"))

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


def _hrefs(elements: Iterable[Element]) -> list[tuple[str, str]]:
    """Return relation and address of the links among elements, such as those of an entry."""
    links = [element for element in elements if local_name(element.tag) == "link"]
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
    texts = ((local_name(element.tag), (element.text or "").strip()) for element in reading.iter())
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
