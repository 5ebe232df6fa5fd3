"""ESL billing data (XML): the registers of meters to chunks with a row per value.

Belongs here: the grammar of the export that Swiss grid operators send beside E66: meters, the ends of their billing
periods, and what each register showed then. Does not belong here: the parser (``xml_document.py``) and the meaning of a
status (the feed's mapping).

A register (OBIS group D is 8) shows its state at the end of the period; a maximum (D is 6) was reached at the instant
that its row states. Times without an offset are wall-clock time of the feed.
"""

from __future__ import annotations

import json
import re
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
from metrify_assets.feeds.formats.xml_document import DAMAGED, XmlDocument, instant_of, local_name
from metrify_assets.feeds.model import EslReadings

CHUNK_VALUES = 100_000
_ROOT = "ESLBillingData"
_COLUMNS = EslReadings.grammar_columns
_OBIS = re.compile(r"(?:\d+-\d+:)?(\d+)\.(\d+)\.\d+(?:[*&]\d+)?", re.ASCII)
_READINGS = {"6": "maximum", "8": "register", "29": "interval"}
"""OBIS group D."""
_QUANTITIES = {"1": "active", "2": "active"} | dict.fromkeys("345678", "reactive")
"""OBIS group C."""


class EslSource:
    """A file of ESL billing data; see ``chunk.Source``."""

    def __init__(self, feed: EslReadings, path: Path) -> None:
        self._document = XmlDocument(path, "an ESL file", "ValueRow")
        self._zone = ZoneInfo(feed.stamp.timezone)

    def created(self) -> int | None:
        """Return when the export was made, UTC microseconds; None if it does not say so, or is none."""
        try:
            for name, element in self._document.elements(("Meter",)):
                if name == "Header":
                    return instant_of(element.get("created", ""), self._zone)
        except DAMAGED:
            # Reading it says what is wrong.
            return None
        return None

    def chunks(self) -> Iterator[Chunk]:
        """Yield the values of whole meters; raise ``UnreadableFile`` if the file is no ESL, or for its rest."""
        total = self._document.delivered()
        gathered, seen, root = _Gathered(1), 0, ""
        try:
            for name, element in self._document.elements(("Meter",)):
                root = name
                if name == "ValueRow":
                    seen += 1
                elif name == "Meter":
                    gathered.add(element, seen)
                    seen = 0
                if gathered.rows >= CHUNK_VALUES:
                    yield gathered.chunk(gathered.rows)
                    gathered = _Gathered(gathered.next)
        except DAMAGED as error:
            if gathered.rows:
                yield gathered.chunk(gathered.rows)
            raise self._document.unreadable(error, total - gathered.done) from error
        if gathered.next == 1:
            reason = RejectReason.EMPTY_FILE if root == _ROOT else RejectReason.NOT_IN_FORMAT
            detail = f"expected meters with value rows ({_ROOT}), found none in {root[:40]!r}"
            raise UnreadableFile(reason, detail, beginning(self._document.path), total)
        if seen:
            gathered.reject(seen, "expected value rows inside of a meter, found some outside")
        yield gathered.chunk(total - gathered.done + gathered.rows)


@dataclass
class _Gathered:
    """Meters that become one chunk."""

    next: int
    first: int = field(init=False)
    numbers: list[int] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first = self.next

    @property
    def rows(self) -> int:
        """Values, those that were rejected too."""
        return self.next - self.first

    @property
    def done(self) -> int:
        """Values up to here, from the beginning of the file."""
        return self.next - 1

    def add(self, meter: Element, seen: int) -> None:
        """Add the values of a meter; ``seen`` is how many the parser met since the one before."""
        numbers = (meter.get("factoryNo", ""), meter.get("internalNo", ""))
        before = self.next
        for period in (part for part in meter if local_name(part.tag) == "TimePeriod"):
            for row in (part for part in period if local_name(part.tag) == "ValueRow"):
                obis = row.get("obis", "").strip()
                code = _OBIS.fullmatch(obis)
                quantity, kind = ("", "") if code is None else code.groups()
                self.numbers.append(self.next)
                self.next += 1
                self.texts.append(
                    (
                        *(*numbers, obis, row.get("valueTimeStamp", "") or period.get("end", "")),
                        *(_READINGS.get(kind, kind), _QUANTITIES.get(quantity, quantity)),
                        *(row.get("value", ""), row.get("status", "")),
                    )
                )
        if stray := seen - (self.next - before):
            self.reject(stray, "expected value rows inside of a time period, found some outside")

    def reject(self, rows: int, detail: str) -> None:
        """Reject some values."""
        self.rejects.append(Reject(self.next, RejectReason.BROKEN_RECORD, detail, "", rows))
        self.next += rows

    def chunk(self, delivered: int) -> Chunk:
        """Return the values; ``delivered`` as counted without the parser."""
        texts = zip(*self.texts, strict=True) if self.texts else [()] * len(_COLUMNS)
        columns = {
            name: pa.array(column, pa.string()).dictionary_encode()
            for name, column in zip(_COLUMNS, texts, strict=True)
        }

        def payloads(row_numbers: np.ndarray) -> list[str]:
            places = np.searchsorted(self.numbers, row_numbers).tolist()
            stated = [dict(zip(_COLUMNS, self.texts[place], strict=True)) for place in places]
            return [json.dumps({name: text for name, text in row.items() if text}) for row in stated]

        return Chunk(np.array(self.numbers, dtype=np.int64), columns, payloads, delivered, self.rejects)
