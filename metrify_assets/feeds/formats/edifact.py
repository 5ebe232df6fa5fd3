"""EDIFACT: the characters of an interchange to segments.

Belongs here: service characters (UNA), release characters, segments with their place, counting by pattern. Does not
belong here: what a segment means (``mscons_source.py``).

References
----------
ISO 9735, application level syntax rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

BLOCK_CHARACTERS = 1 << 20
_UNA_LENGTH = 9
_BEGINNING_CHARACTERS = 1_000
_BEFORE_UNA = "\ufeff\xef\xbb\xbf \t\r\n"
"""What may stand before an interchange: line ends, and the byte order mark, also as Latin-1 shows it."""


@dataclass(frozen=True)
class ServiceCharacters:
    """The characters that separate; an interchange may name its own in UNA."""

    component: str = ":"
    element: str = "+"
    decimal: str = "."
    release: str = "?"
    terminator: str = "'"

    @classmethod
    def of(cls, una: str) -> ServiceCharacters:
        """Return what the nine characters of UNA say; a blank release character is none."""
        return cls(una[3], una[4], una[5], una[6].strip(), una[8])

    def names_the_same(self, segment: str) -> bool:
        """Return whether a segment is a UNA with these characters, such as each interchange of a file may have."""
        return segment.startswith(f"UNA{self.component}{self.element}{self.decimal}{self.release or ' '}")

    @cached_property
    def _quantity(self) -> re.Pattern[str]:
        return re.compile(rf"{re.escape(self.terminator)}\s*QTY{re.escape(self.element)}")

    def quantities(self, text: str) -> int:
        """Return how many QTY segments follow a terminator in a text: by pattern, without splitting it."""
        matches = self._quantity.finditer(text)
        if not self.release or self.release + self.terminator not in text:
            return sum(1 for _ in matches)
        return sum(_trailing(text[: match.start()], self.release) % 2 == 0 for match in matches)

    def split(self, text: str, separator: str) -> list[str]:
        """Split at separators that are not released; releases stay for ``plain``."""
        if not self.release or self.release not in text:
            return text.split(separator)
        parts, last, position = [], 0, 0
        while position < len(text):
            if text[position] == self.release:
                position += 1
            elif text[position] == separator:
                parts.append(text[last:position])
                last = position + 1
            position += 1
        return [*parts, text[last:]]

    def plain(self, text: str) -> str:
        """Return a text without its release characters."""
        if not self.release or self.release not in text:
            return text
        return re.sub(re.escape(self.release) + "(.)", r"\1", text, flags=re.DOTALL)

    def elements(self, segment: str) -> list[list[str]]:
        """Return the elements of a segment, each as its components, without releases."""
        if not self.release or self.release not in segment:
            return [element.split(self.component) for element in segment.split(self.element)]
        return [
            [self.plain(text) for text in self.split(element, self.component)]
            for element in self.split(segment, self.element)
        ]


class Interchange:
    """A file of EDIFACT segments, read from its start to its end once.

    Attributes
    ----------
    characters : ServiceCharacters
    quantities : int
        QTY segments in what was read so far, counted by pattern in the text as it came, not by splitting it.
    rest : str
        What stood after the last terminator, once all segments were read: a segment that breaks off.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._encoding = encoding
        with path.open(encoding=encoding, errors="replace", newline="") as stream:
            start = stream.read(_BEGINNING_CHARACTERS)
        una = start.lstrip(_BEFORE_UNA)[:_UNA_LENGTH]
        has_una = una.startswith("UNA") and len(una) == _UNA_LENGTH
        self._before = len(start) - len(start.lstrip(_BEFORE_UNA)) + (_UNA_LENGTH if has_una else 0)
        self.characters = ServiceCharacters.of(una) if has_una else ServiceCharacters()
        self.quantities = 0
        self.rest = ""

    def blocks(self) -> Iterator[list[str]]:
        """Yield the segments (UNA is none) without terminators and line ends around them; releases are kept."""
        terminator, release = self.characters.terminator, self.characters.release
        released = release + terminator if release else None
        rest = ""
        with self._path.open(encoding=self._encoding, errors="replace", newline="") as stream:
            stream.read(self._before)
            while block := stream.read(BLOCK_CHARACTERS):
                text = rest + block
                parts = text.split(terminator)
                if released is not None and released in text:
                    parts = _rejoined(parts, terminator, release)
                rest = parts.pop()
                self.quantities += self._count(text[: len(text) - len(rest)])
                yield [part.strip() for part in parts] if self._has_blanks(text) else parts
        self.rest = rest.strip()
        self.quantities += self._count(rest)

    def _has_blanks(self, text: str) -> bool:
        """Return whether there may be blanks or line ends around segments."""
        terminator = self.characters.terminator
        return any(mark in text for mark in ("\n", "\r", "\t", f"{terminator} ", f" {terminator}"))

    def _count(self, text: str) -> int:
        """Return the QTY segments in a text that begins after a terminator."""
        return self.characters.quantities(self.characters.terminator + text)


def _rejoined(parts: list[str], terminator: str, release: str) -> list[str]:
    """Put together what was split at released terminators."""
    joined: list[str] = []
    open_part = ""
    for position, part in enumerate(parts):
        open_part += part
        if _trailing(open_part, release) % 2 and position < len(parts) - 1:
            open_part += terminator
            continue
        joined.append(open_part)
        open_part = ""
    return joined


def _trailing(text: str, character: str) -> int:
    """Return how often a text ends in a character."""
    # Releases stand in the last few characters, if at all.
    end = text[-64:]
    return len(end) - len(end.rstrip(character))
