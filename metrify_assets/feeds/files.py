"""Bytes: decompression, blocks of whole lines, and counting lines without a parser.

Belongs here: everything below the level of a row. Does not belong here: columns.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from metrify_assets.feeds.chunk import FILE_PAYLOAD_CHARACTERS, UnreadableFile
from metrify_assets.feeds.codes import RejectReason

BLOCK_BYTES = 16 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_LINE_FEED = 0x0A
_BLANKS = np.frombuffer(b" \r\n", dtype=np.uint8)


@contextmanager
def uncompressed(path: Path) -> Iterator[Path]:
    """Yield ``path``, or a temporary file with its content if it is a gzip file (by its bytes, not its name).

    The whole file is decompressed first: a truncated one is found before any row of it is used.
    """
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == _GZIP_MAGIC
    if not is_gzip:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
        try:
            with gzip.open(path, "rb") as packed:
                shutil.copyfileobj(packed, plain, BLOCK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            plain.flush()
            raise UnreadableFile(
                RejectReason.TRUNCATED_FILE,
                f"expected a whole gzip file, found one that breaks off or is damaged: {error}",
                beginning(Path(plain.name)),
                count_lines(Path(plain.name)),
            ) from error
        plain.flush()
        yield Path(plain.name)


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


def line_blocks(path: Path, *, skip_header: bool) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines (about 16 MB), without byte order mark and header line."""
    with path.open("rb") as stream:
        if stream.read(len(_BOM)) != _BOM:
            stream.seek(0)
        if skip_header:
            stream.readline()
        while block := stream.read(BLOCK_BYTES):
            if not block.endswith(b"\n"):
                block += stream.readline()
            yield block


def count_lines(path: Path, *, skip_header: bool = True) -> int:
    """Return the number of data lines of a file."""
    return sum(count_block(block) for block in line_blocks(path, skip_header=skip_header))


def first_line(path: Path) -> bytes:
    """Return the first line without byte order mark and line end."""
    with path.open("rb") as stream:
        return stream.readline(1 << 20).removeprefix(_BOM).rstrip(b"\r\n")
