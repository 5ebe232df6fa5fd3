"""Bytes: decompression, blocks of whole lines, and counting lines without a parser.

Belongs here: everything below the level of a row. Does not belong here: columns.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from metrify_assets.feeds.chunk import FILE_PAYLOAD_CHARACTERS, UnreadableFile
from metrify_assets.feeds.codes import RejectReason

BLOCK_BYTES = 16 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_BOM = b"\xef\xbb\xbf"
_LINE_FEED = 0x0A
_QUOTE = b'"'
_LINE_ENDS = np.frombuffer(b"\r\n", dtype=np.uint8)
_BLANKS = np.frombuffer(b" \r\n", dtype=np.uint8)


@dataclass(frozen=True)
class Member:
    """A plain file: the drop itself, or one that was packed in it.

    Attributes
    ----------
    name : str
        Name inside a zip file; empty for the drop itself.
    path : Path
    """

    name: str
    path: Path


def members(path: Path, pattern: str = "") -> Iterator[Member]:
    """Yield ``path``, or temporary files with what is packed in it (gzip and zip are told by their bytes).

    A packed file is unpacked whole before it is yielded: a truncated one is found before any row of it is used. Files
    of a zip come in the order of its directory, and are removed one by one as the next is asked for.

    Raises
    ------
    UnreadableFile
        If the file is damaged, or a zip holds no file that matches ``pattern``.
    """
    with path.open("rb") as stream:
        magic = stream.read(len(_ZIP_MAGIC))
    if magic == _ZIP_MAGIC:
        yield from _zip_members(path, pattern)
    elif magic.startswith(_GZIP_MAGIC):
        with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
            with gzip.open(path, "rb") as packed:
                _unpack(packed, plain, "gzip")
            yield Member("", Path(plain.name))
    else:
        yield Member("", path)


def _zip_members(path: Path, pattern: str) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        detail = f"expected a whole zip file, found one that breaks off or is damaged: {error}"
        raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail) from error
    with archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        chosen = [name for name in names if not pattern or fnmatchcase(PurePosixPath(name).name, pattern)]
        if not chosen:
            detail = f"expected a zip file that holds {pattern or 'a file'}, found {', '.join(names)[:500] or 'none'}"
            raise UnreadableFile(RejectReason.EMPTY_FILE, detail)
        for name in chosen:
            with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
                try:
                    with archive.open(name) as packed:
                        _unpack(packed, plain, "zip")
                except (RuntimeError, NotImplementedError) as error:
                    # The library says so of a password, and of a compression that it lacks.
                    detail = f"{name}: expected a file that can be unpacked: {error}"
                    raise UnreadableFile(RejectReason.TRUNCATED_FILE, detail) from error
                yield Member(name, Path(plain.name))


def _unpack(packed: IO[bytes], plain: IO[bytes], kind: str) -> None:
    try:
        shutil.copyfileobj(packed, plain, BLOCK_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        plain.flush()
        raise UnreadableFile(
            RejectReason.TRUNCATED_FILE,
            f"expected a whole {kind} file, found one that breaks off or is damaged: {error}",
            beginning(Path(plain.name)),
            count_lines(Path(plain.name)),
        ) from error
    plain.flush()


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
    ends = np.flatnonzero(characters == _LINE_FEED)
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    starts = starts[starts < len(block)]
    suspects = starts[np.isin(characters[starts], _BLANKS)]
    # A line ends at the next line feed, or at the end of the block.
    return len(starts) - sum(
        is_blank(block[start : block.find(b"\n", start) + 1 or None]) for start in suspects.tolist()
    )


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


def first_line(path: Path, before: int = 0) -> bytes:
    """Return the first line after those ``before``, without byte order mark and line end."""
    with path.open("rb") as stream:
        if stream.read(len(_BOM)) != _BOM:
            stream.seek(0)
        for _ in range(before):
            stream.readline()
        return stream.readline(1 << 20).rstrip(b"\r\n")
