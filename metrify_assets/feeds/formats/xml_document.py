"""XML documents, read as a stream: what the readers of ESPI, E66 and ESL have in common.

Belongs here: elements as they end, counting them without the parser, and saying why a file cannot be read. Does not
belong here: what an element means.

``defusedxml`` refuses entities, which is also the parser. What was read is let go of, so memory does not grow with the
file.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError
from zoneinfo import ZoneInfo

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.vee.delivery_day import to_microseconds

_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
"""How a file in UTF-16 begins."""
_NO_TAGS = (b"<!", b"<?")
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


class UnknownEncodingError(Exception):
    """The file names an encoding that the parser does not know."""


DAMAGED = (ParseError, DefusedXmlException, UnknownEncodingError)
"""What ``XmlDocument.elements`` raises where a file cannot be read on."""


@dataclass(frozen=True)
class XmlDocument:
    """A file of one format.

    Attributes
    ----------
    path : Path
    standard : str
        What messages call the format, such as ``an ESPI file``.
    counted : str
        Name of the elements that hold the values, without its prefix.
    """

    path: Path
    standard: str
    counted: str

    def delivered(self) -> int:
        """Return the number of elements that hold values, counted by their tags, without the parser."""
        if not self.path.stat().st_size:
            return 0
        with self.path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            text = content if content[:2] not in _WIDE else _narrow(content[:])
            return sum(not match.group().startswith(_NO_TAGS) for match in _tags(self.counted).finditer(text))

    def elements(self, emptied: Collection[str]) -> Iterator[tuple[str, Element]]:
        """Yield every element with its name as it ends; those with the names in ``emptied`` are emptied after that.

        Raises
        ------
        ParseError, DefusedXmlException, UnknownEncodingError
            Where the file cannot be read on.
        """
        with self.path.open("rb") as stream:
            try:
                for _, element in iterparse(stream, events=("end",)):
                    name = local_name(element.tag)
                    yield name, element
                    if name in emptied:
                        element.clear()
            except DefusedXmlException:
                raise
            except (LookupError, ValueError) as error:
                # What the parser raises for an encoding that is unknown, or of several bytes.
                raise UnknownEncodingError(str(error)) from error

    def unreadable(self, error: Exception, rows: int) -> UnreadableFile:
        """Return why a file cannot be read on, and the values that are lost with its rest."""
        start = beginning(self.path)
        if isinstance(error, UnknownEncodingError):
            detail = f"expected UTF-8, UTF-16 or an encoding of single bytes: {error}"
            return UnreadableFile(RejectReason.BAD_ENCODING, detail, start, rows)
        if isinstance(error, DefusedXmlException):
            detail = f"expected XML without entities of its own: {error}"
            return UnreadableFile(RejectReason.FORBIDDEN_ENTITY, detail, start, rows)
        if not start.strip():
            return UnreadableFile(RejectReason.EMPTY_FILE, f"expected {self.standard}, found an empty one")
        if not start.lstrip("\ufeff \r\n\t").startswith("<"):
            return UnreadableFile(RejectReason.NOT_IN_FORMAT, f"expected XML, found {start[:40]!r}", start, rows)
        detail = f"expected XML to its end, found one that breaks off or is damaged: {error}"
        return UnreadableFile(RejectReason.TRUNCATED_FILE, detail, start, rows)


@lru_cache(maxsize=1_024)
def local_name(tag: str) -> str:
    """Return the name of an element without its namespace."""
    return tag.rpartition("}")[2]


def child(element: Element | None, *names: str) -> Element | None:
    """Return the element at the end of a path of names; None if there is none."""
    for name in names:
        if element is None:
            return None
        for part in element:
            if local_name(part.tag) == name:
                element = part
                break
        else:
            return None
    return element


def content(element: Element | None) -> str:
    """Return the text of an element, or of the first element in it that has one: a code may name its list."""
    if element is None:
        return ""
    if text := (element.text or "").strip():
        return text
    return next((text for part in element.iter() if (text := (part.text or "").strip())), "")


def instant_of(text: str, zone: ZoneInfo) -> int | None:
    """Return an instant in UTC microseconds; a text without an offset is wall-clock time. None if it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        # Beyond the calendar of some zones, and of any meter.
        return None
    return to_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def is_shown_once(text: str, zone: ZoneInfo) -> bool:
    """Return whether a text has an offset, or is wall-clock time that a clock of the zone shows once."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return moment.tzinfo is not None or zone.utcoffset(moment) == zone.utcoffset(moment.replace(fold=1))


@lru_cache(maxsize=16)
def _tags(name: str) -> re.Pattern[bytes]:
    """Return what finds the tags that begin elements, beside what holds no tags (comments and the like)."""
    # One without an end goes on to the end of the file: it is looked for once, not from each opener on.
    no_tags = rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)"
    return re.compile(no_tags + rb"|<(?:[^\s<>/!?:\"'=]+:)?" + name.encode() + rb"[\s/>]", re.DOTALL)


def _narrow(text: bytes) -> bytes:
    """Return a file in UTF-16 as UTF-8."""
    big = text.startswith((b"\xfe\xff", b"\0<"))
    return text.decode("utf-16-be" if big else "utf-16-le", "replace").encode()
