"""Packed files: gzip and zip, told by their bytes and taken out with care.

Belongs here: which files of an archive are read, and refusing what is no honest one (encrypted, damaged, a bomb). The
other members (metadata) stay in the landed archive. Does not belong here: rows.
"""

from __future__ import annotations

import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from metrify_assets.feeds.chunk import UnreadableFile
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.files import BLOCK_BYTES, beginning, count_lines

MAX_MEMBER_BYTES = 2 << 30
"""Largest member of a zip file that is unpacked; a station's ten-minute values of 30 years are 100 MB."""
MAX_RATIO = 200
"""Largest ratio of a member to its archive, above ``RATIO_FROM_BYTES``; text of readings packs 5 to 20 times."""
RATIO_FROM_BYTES = 16 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What senders pack with; others bring libraries with faults of their own."""


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

    Parameters
    ----------
    path : Path
    pattern : str
        Of the names of the files to take out of a zip; all without it.

    Raises
    ------
    UnreadableFile
        If the file is damaged, encrypted or too large unpacked, or a zip holds no file that matches ``pattern``.
    """
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic in _ZIP_MAGIC:
        yield from _zip_members(path, pattern)
    elif magic.startswith(_GZIP_MAGIC):
        with _unpacked(_gzip_blocks(path), "gzip") as plain:
            yield Member("", plain)
    else:
        yield Member("", path)


class _DamagedError(Exception):
    """The archive cannot be read to its end."""


def _zip_members(path: Path, pattern: str) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise _truncated("zip", error) from error
    with archive:
        for member in _chosen(archive, pattern):
            with _unpacked(_zip_blocks(archive, member, path.stat().st_size), "zip") as plain:
                yield Member(member.filename, plain)


def _chosen(archive: zipfile.ZipFile, pattern: str) -> list[zipfile.ZipInfo]:
    """Return the members to read."""
    # A damaged name may be empty.
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    names = [entry.filename for entry in entries]
    found = [entry for entry in entries if not pattern or fnmatchcase(PurePosixPath(entry.filename).name, pattern)]
    if not found:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        detail = f"expected a zip file that holds {pattern or 'a file'}, found {shown or 'none'}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail, "\n".join(names))
    return found


def _zip_blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, packed: int) -> Iterator[bytes]:
    """Yield the content of a member, as far as it is no bomb: the size that its header tells is not relied on."""
    if member.flag_bits & _ENCRYPTED:
        detail = f"expected {member.filename} in the open, found it encrypted with a password"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
    if member.compress_type not in _COMPRESSIONS:
        detail = f"expected {member.filename} stored or deflated, found compression {member.compress_type}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
    limit = min(MAX_MEMBER_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * packed))
    left = limit
    try:
        with archive.open(member) as content:
            while block := content.read(min(BLOCK_BYTES, limit + 1)):
                left -= len(block)
                if left < 0:
                    detail = f"expected at most {limit} bytes from an archive of {packed}, found more: not unpacked"
                    raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # Offsets, names and versions that are damaged show as errors of the file system, the decoder or the library.
        raise _DamagedError(str(error)) from error


def _gzip_blocks(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as content:
            while block := content.read(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _DamagedError(str(error)) from error


@contextmanager
def _unpacked(blocks: Iterable[bytes], kind: str) -> Iterator[Path]:
    """Yield a temporary file with some content; raise ``UnreadableFile`` if it is damaged."""
    with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
        path = Path(plain.name)
        try:
            for block in blocks:
                plain.write(block)
        except _DamagedError as error:
            plain.flush()
            raise _truncated(kind, error, beginning(path), count_lines(path)) from error
        plain.flush()
        yield path


def _truncated(kind: str, error: Exception, start: str = "", rows: int = 0) -> UnreadableFile:
    detail = f"expected a whole {kind} file, found one that breaks off or is damaged: {error}"
    return UnreadableFile(RejectReason.TRUNCATED_FILE, detail, start, rows)
