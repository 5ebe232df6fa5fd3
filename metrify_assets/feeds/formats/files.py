"""Bytes: blocks of whole lines, and counting lines without a parser.

Belongs here: everything below the level of a row. Does not belong here: columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from metrify_assets.feeds.formats.chunk import FILE_PAYLOAD_CHARACTERS

BLOCK_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
_PIECE_BYTES = 1 << 17
_LINE_FEED = 0x0A
_CARRIAGE_RETURN = 0x0D
_BLANK = ord(" ")
_QUOTE = b'"'
_LINE_ENDS = np.frombuffer(b"\r\n", dtype=np.uint8)
_BLANKS = np.frombuffer(b" \r\n", dtype=np.uint8)


def beginning(path: Path, encoding: str = "utf-8") -> str:
    """Return the first 2,000 characters, with a replacement sign for what cannot be decoded."""
    with path.open("rb") as stream:
        return stream.read(4 * FILE_PAYLOAD_CHARACTERS).decode(encoding, "replace")[:FILE_PAYLOAD_CHARACTERS]


def is_blank(line: bytes) -> bool:
    """Return whether a line holds nothing but blanks."""
    return not line.strip(b" \r\n")


def data_lines(block: bytes, count: int) -> list[bytes]:
    """Return the ``count`` lines of a block that are not blank, without their line ends."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in block:
        lines = [line.removesuffix(b"\r") for line in lines]
    return lines if count == len(lines) else [line for line in lines if not is_blank(line)]


def count_block(block: bytes) -> int:
    """Return the number of lines of a block that are not blank: all lines, less those that turn out to be blank."""
    characters = np.frombuffer(block, dtype=np.uint8)
    plain = _count_unindented(characters)
    if plain is not None:
        return plain
    ends = np.flatnonzero(characters == _LINE_FEED)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    starts = starts[starts < len(block)]
    suspects = starts[np.isin(characters[starts], _BLANKS)]
    # A line ends at the next line feed, or at the end of the block.
    return len(starts) - sum(
        is_blank(block[start : block.find(b"\n", start) + 1 or None]) for start in suspects.tolist()
    )


def _count_unindented(characters: np.ndarray) -> int | None:
    """Return the number of lines; None if one begins with a blank or a control character, or there are none."""
    if not len(characters) or characters[0] <= _BLANK:
        return None
    count = 0
    # In pieces that the processor's cache holds.
    for start in range(0, len(characters), _PIECE_BYTES):
        piece = characters[start : start + _PIECE_BYTES + 1]
        is_end = piece[:_PIECE_BYTES] == _LINE_FEED
        if (is_end[: len(piece) - 1] & (piece[1:] <= _BLANK)).any():
            return None
        count += int(np.count_nonzero(is_end))
    return count + int(characters[-1] != _LINE_FEED)


def with_missing_cells(block: bytes, delimiter: bytes, columns: int) -> bytes:
    """Return a block of lines of which none has fewer cells than ``columns``: those that lack some end with blank ones.

    A block with a line whose quotes do not match is returned as it is.
    """
    characters = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(characters == _LINE_FEED)
    if len(characters) and characters[-1] != _LINE_FEED:
        ends = np.append(ends, len(characters))
    starts = np.append(0, ends[:-1] + 1)
    between = np.flatnonzero(characters == delimiter[0])
    if _QUOTE in block:
        quotes = np.flatnonzero(characters == _QUOTE[0])
        if (_counted(quotes, starts, ends) % 2).any():
            return block
        between = between[np.searchsorted(quotes, between) % 2 == 0]
    holds_text = _counted(np.flatnonzero(~np.isin(characters, _BLANKS)), starts, ends) > 0
    missing = np.maximum(columns - 1 - _counted(between, starts, ends), 0) * holds_text
    # Before the carriage return of a line that ends with one.
    returns = (ends > starts) & (characters[np.maximum(ends - 1, 0)] == _CARRIAGE_RETURN)
    return np.insert(characters, np.repeat(ends - returns, missing), delimiter[0]).tobytes()


def _counted(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return how many of some places, ascending, lie in each line; int64, shape of ``starts``."""
    return np.searchsorted(places, ends) - np.searchsorted(places, starts)


@dataclass(frozen=True)
class LineLayout:
    """Which lines of a text file are data.

    Attributes
    ----------
    before : int
        Lines before the data: a preamble, the header.
    footer : tuple of bytes
        Beginnings of lines that hold no data, such as totals.
    quoted_line_ends : bool
        Whether a line may go on in the next one inside quotes; the line end becomes a blank.
    """

    before: int = 0
    footer: tuple[bytes, ...] = ()
    quoted_line_ends: bool = False


HEADER = LineLayout(before=1)
ALL_LINES = LineLayout()


def line_blocks(path: Path, layout: LineLayout) -> Iterator[bytes]:
    """Yield the data lines of a file in blocks of whole lines (about 16 MB), without byte order mark."""
    footer = re.compile(rb"(?m)^(?:" + b"|".join(map(re.escape, layout.footer)) + rb")[^\n]*\n?")
    with path.open("rb") as stream:
        if stream.read(len(_BOM)) != _BOM:
            stream.seek(0)
        for _ in range(layout.before):
            stream.readline()
        while block := stream.read(BLOCK_BYTES):
            if not block.endswith(b"\n"):
                block += stream.readline()
            if layout.quoted_line_ends:
                block = _joined_lines(_whole_quotes(block, stream))
            yield footer.sub(b"", block) if layout.footer else block


def _whole_quotes(block: bytes, stream: IO[bytes]) -> bytes:
    """Return the block with the lines that it takes to close its last quote; at most as many bytes again."""
    limit = 2 * len(block)
    while block.count(_QUOTE) % 2 and len(block) < limit and (line := stream.readline()):
        block += line
    return block


def _joined_lines(block: bytes) -> bytes:
    """Return the block with blanks for line ends inside quotes; as it is where a quote stays open."""
    if block.count(_QUOTE) % 2:
        return block
    characters = np.frombuffer(block, dtype=np.uint8).copy()
    inside = np.cumsum(characters == ord(_QUOTE)) % 2 == 1
    characters[inside & np.isin(characters, _LINE_ENDS)] = ord(" ")
    return characters.tobytes()


def count_lines(path: Path, layout: LineLayout = HEADER) -> int:
    """Return the number of data lines of a file."""
    return sum(count_block(block) for block in line_blocks(path, layout))


def last_lines(path: Path) -> list[bytes]:
    """Return the lines at the end of a file that fit ``_PIECE_BYTES``, with their line ends; the first may be cut."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _PIECE_BYTES))
        return stream.read().splitlines(keepends=True)


def first_line(path: Path, before: int = 0) -> bytes:
    """Return the first line after those ``before``, without byte order mark and line end."""
    with path.open("rb") as stream:
        if stream.read(len(_BOM)) != _BOM:
            stream.seek(0)
        for _ in range(before):
            stream.readline()
        return stream.readline(1 << 20).rstrip(b"\r\n")
