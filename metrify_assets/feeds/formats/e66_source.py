"""E66 (ebIX, validated metered data, XML): metering data to chunks with a row per observation.

Belongs here: the grammar of the document as the Swiss market uses it (SDAT-CH, ``ValidatedMeteredData_12`` to
``_16``): whose series, from when, in which steps. Does not belong here: the parser (``xml_document.py``), the meaning
of codes (``vee.market_codes``, the feed's mapping).

An observation states its place in the series, not its time: it begins ``(sequence - 1)`` steps after the series. So a
place that is left out is a gap, and observations may come in any order. A series whose interval or step cannot be read
is refused whole, and the others are read. Names of elements count without their prefix.

References
----------
ebIX, business information model for measure, "Validated Data for Settlement" (E66); VSE/AES, Standardisierter
Datenaustausch fuer den Strommarkt Schweiz (SDAT-CH), ``http://www.strom.ch``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, Reject, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.xml_document import (
    DAMAGED,
    XmlDocument,
    child,
    content,
    instant_of,
    is_shown_once,
    local_name,
)
from metrify_assets.feeds.model import LONGEST_INTERVAL_MINUTES, E66Readings
from metrify_assets.feeds.values.numbers import whole
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE

CHUNK_VALUES = 100_000
_STEPS = {"MIN": 1, "HUR": 60}
"""Minutes of the units that a resolution may have."""
_POINT = "MeteringPoint"
_E66, _CANCELLATION = "E66", "1"
_OF_SERIES = ("document", "created", "series", "point", "direction", "in_area", "out_area", "product", "channel")


@dataclass(frozen=True)
class _Header:
    """What a document says of itself."""

    document: str = ""
    created: str = ""
    kind: str = ""
    status: str = ""


@dataclass
class _Series:
    """One metering data element: whose values, from when, in which steps.

    Attributes
    ----------
    texts : dict
        Columns that are the same for all of its observations.
    first, count : int
        Start in UTC microseconds, and how many steps it has.
    problem : str
        Why none of its observations can be read; empty if they can be.
    """

    texts: dict[str, str]
    minutes: int = 0
    first: int = 0
    count: int = 0
    problem: str = ""


class E66Source:
    """A file with one E66 document; see ``chunk.Source``."""

    def __init__(self, feed: E66Readings, path: Path) -> None:
        self._document = XmlDocument(path, "an E66 document", "Observation")
        self._zone = ZoneInfo(feed.stamp.timezone)

    def created(self) -> int | None:
        """Return when the document was made, UTC microseconds; None if it does not say so, or is none."""
        try:
            for name, element in self._document.elements(("Observation",)):
                if name == "InstanceDocument":
                    return instant_of(_header(element).created, self._zone)
        except DAMAGED:
            # Reading it says what is wrong.
            return None
        return None

    def chunks(self) -> Iterator[Chunk]:
        """Yield the observations of whole series; raise ``UnreadableFile`` if the file is no E66, or for its rest."""
        total = self._document.delivered()
        gathered, header, seen = _Gathered(1, 0), _Header(), 0
        try:
            for name, element in self._document.elements(("MeteringData",)):
                if name == "InstanceDocument":
                    header = _header(element)
                    self._check(header, total - gathered.done)
                elif name == "Observation":
                    seen += 1
                elif name == "MeteringData":
                    gathered.add(self._series(element, header), element, seen)
                    seen = 0
                if gathered.rows >= CHUNK_VALUES:
                    yield gathered.chunk(gathered.rows)
                    gathered = _Gathered(gathered.next, gathered.done)
        except DAMAGED as error:
            if not gathered.is_empty:
                yield gathered.chunk(gathered.rows)
            raise self._document.unreadable(error, total - gathered.done) from error
        if gathered.next == 1:
            raise self._refused(RejectReason.EMPTY_FILE, "expected metering data (E66), found none", total)
        if seen:
            gathered.reject(seen, "expected observations inside of MeteringData, found some outside", "")
        yield gathered.chunk(total - gathered.done + gathered.rows)

    def _refused(self, reason: RejectReason, detail: str, rows: int) -> UnreadableFile:
        return UnreadableFile(reason, detail, beginning(self._document.path), rows)

    def _check(self, header: _Header, rows: int) -> None:
        """Raise ``UnreadableFile`` if the document is of another kind, or takes back another one."""
        if header.kind not in ("", _E66):
            detail = f"expected a document of type {_E66}, found {header.kind!r}"
            raise self._refused(RejectReason.NOT_IN_FORMAT, detail, rows)
        if header.status == _CANCELLATION:
            detail = (
                f"expected values, found the cancellation (status {_CANCELLATION}) of an earlier document: take that "
                "one back with `metrify drop withdraw`"
            )
            raise self._refused(RejectReason.NOT_IN_FORMAT, detail, rows)

    def _series(self, element: Element, header: _Header) -> _Series:
        place = next((part for part in element if local_name(part.tag).endswith(_POINT)), None)
        direction = "" if place is None else local_name(place.tag).removesuffix(_POINT).lower()
        product = content(child(element, "Product", "ID"))
        texts = {
            "document": header.document,
            "created": header.created,
            "series": content(child(element, "DocumentID")),
            "point": content(child(place, "VSENationalID")) or content(child(place, "ID")),
            "direction": direction,
            "in_area": content(child(place, "Direction", "InArea")),
            "out_area": content(child(place, "Direction", "OutArea")),
            "product": product,
            "channel": f"{direction} {product}".strip(),
            "unit": content(child(element, "Product", "MeasureUnit")),
        }
        series = _Series(texts)
        series.problem = self._place(series, element)
        return series

    def _place(self, series: _Series, element: Element) -> str:
        """Fill in when a series begins and its steps; return what is wrong with them."""
        begins, ends = (content(child(element, "Interval", name)) for name in ("StartDateTime", "EndDateTime"))
        first, last = (instant_of(text, self._zone) for text in (begins, ends))
        if first is None or last is None or first >= last:
            return f"expected an interval that ends after it begins, found {begins[:40]!r} to {ends[:40]!r}"
        if not (is_shown_once(begins, self._zone) and is_shown_once(ends, self._zone)):
            return f"expected times with an offset where the clocks change, found {begins[:40]!r} to {ends[:40]!r}"
        resolution, unit = (content(child(element, "Resolution", name)) for name in ("Resolution", "Unit"))
        series.minutes = (whole(resolution) or 0) * _STEPS.get(unit, 0)
        if not 1 <= series.minutes <= LONGEST_INTERVAL_MINUTES:
            return f"expected a resolution in {' or '.join(_STEPS)}, found {resolution[:40]!r} {unit[:40]!r}"
        series.first = first
        series.count, rest = divmod(last - first, series.minutes * MICROSECONDS_PER_MINUTE)
        if rest:
            return f"expected an interval of whole {series.minutes} minutes, found {begins[:40]!r} to {ends[:40]!r}"
        return ""


def _header(element: Element) -> _Header:
    """Return what the element InstanceDocument says."""
    names = ("DocumentID", "Creation", "DocumentType", "Status")
    return _Header(*(content(child(element, name)) for name in names))


@dataclass
class _Gathered:
    """Series that become one chunk; lists hold one entry per observation.

    Attributes
    ----------
    next : int
        Number of the next row: observations have one each, and so has a series without any.
    done : int
        Observations up to here, from the beginning of the file.
    """

    next: int
    done: int
    before: int = field(init=False)
    numbers: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    series: list[_Series] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = self.done

    @property
    def rows(self) -> int:
        """Observations, those that were rejected too."""
        return self.done - self.before

    @property
    def is_empty(self) -> bool:
        return not self.rows and not self.rejects

    def add(self, series: _Series, element: Element, seen: int) -> None:
        """Add the observations of a series; ``seen`` is how many the parser met since the one before."""
        observations = [part for part in element if local_name(part.tag) == "Observation"]
        if series.problem:
            self.reject(seen, series.problem, _payload(series))
            return
        if not observations:
            self.reject(0, f"expected {series.count} observations of the series, found none", _payload(series))
        owner = len(self.series)
        self.series.append(series)
        for observation in observations:
            number, self.next, self.done = self.next, self.next + 1, self.done + 1
            position, value, condition, repeated = _stated(observation)
            sequence = whole(position)
            if repeated or sequence is None or not 1 <= sequence <= series.count:
                detail = f"expected a sequence from 1 to {series.count}, found {position[:40]!r}"
                if repeated:
                    detail = f"expected one {repeated}, found several"
                payload = _payload(series, position, value, condition)
                self.rejects.append(Reject(number, RejectReason.BROKEN_RECORD, detail, payload))
                continue
            self.numbers.append(number)
            self.sequences.append(sequence)
            self.texts.append((value, condition))
            self.owners.append(owner)
        if seen > len(observations):
            self.reject(seen - len(observations), "expected an observation of its own, found one inside another", "")

    def reject(self, rows: int, detail: str, payload: str) -> None:
        """Reject some observations, or note what is wrong where there are none."""
        self.rejects.append(Reject(self.next, RejectReason.BROKEN_RECORD, detail, payload, rows))
        self.next += max(rows, 1)
        self.done += rows

    def chunk(self, delivered: int) -> Chunk:
        """Return the observations; ``delivered`` as counted without the parser."""
        owners = np.array(self.owners, dtype=np.int64)
        first = np.array([series.first for series in self.series], dtype=np.int64)[owners]
        minutes = np.array([series.minutes for series in self.series], dtype=np.int64)[owners]
        steps = np.array(self.sequences, dtype=np.int64) - 1
        start = pa.array(first + steps * minutes * MICROSECONDS_PER_MINUTE, pa.int64())
        columns = {name: self._of_series(owners, name) for name in (*_OF_SERIES, "unit")}
        columns["minutes"] = pa.array(minutes).cast(pa.string()).dictionary_encode()
        columns["start"] = start.cast(pa.timestamp("us", "UTC"))
        for place, name in enumerate(("value", "condition")):
            columns[name] = pa.array([texts[place] for texts in self.texts], pa.string())

        def payloads(row_numbers: np.ndarray) -> list[str]:
            places = np.searchsorted(self.numbers, row_numbers).tolist()
            return [
                _payload(self.series[self.owners[place]], str(self.sequences[place]), *self.texts[place])
                for place in places
            ]

        return Chunk(np.array(self.numbers, dtype=np.int64), columns, payloads, delivered, self.rejects)

    def _of_series(self, owners: np.ndarray, name: str) -> pa.DictionaryArray:
        texts = pa.array([series.texts[name] for series in self.series], pa.string()).dictionary_encode()
        codes = texts.indices.to_numpy(zero_copy_only=False)[owners]
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), texts.dictionary)


def _stated(observation: Element) -> tuple[str, str, str, str]:
    """Return sequence, volume and condition of an observation, blanks where it has none, and what it has twice."""
    sequence = volume = condition = repeated = ""
    names = set()
    for part in observation:
        name = local_name(part.tag)
        if name in names:
            repeated = name
        names.add(name)
        if name == "Position":
            sequence = content(child(part, "Sequence"))
            if len(part) > 1 and sum(local_name(inner.tag) == "Sequence" for inner in part) > 1:
                repeated = "Sequence"
        elif name == "Volume":
            volume = content(part)
        elif name == "Condition":
            condition = content(part)
    return sequence, volume, condition, repeated


def _payload(series: _Series, sequence: str = "", volume: str = "", condition: str = "") -> str:
    stated = {"sequence": sequence, "volume": volume, "condition": condition}
    return json.dumps({name: text for name, text in {**series.texts, **stated}.items() if text})
