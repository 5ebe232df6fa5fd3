"""Packed files: gzip and zip, recognised by their bytes and taken out with care; text in UTF-16 as UTF-8.

Belongs here: which files of an archive are read, and refusing what is no honest one (encrypted, damaged, a bomb). The
other members (metadata) stay in the landed archive. Does not belong here: rows.
"""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from metrify_assets.errors import escaped
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.declared import is_utf_16
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.files import BLOCK_BYTES, beginning

MAX_BYTES = 64 << 30
"""Most that is unpacked from one archive; a day of a million meters as text is 6 GiB."""
MAX_RATIO = 200
"""Largest ratio of all that is unpacked to its archive, above ``RATIO_FROM_BYTES``; readings pack 5 to 50 times."""
RATIO_FROM_BYTES = 16 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1
_BYTE_ORDER = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SNIFFED_BYTES = 4_096
_NO_UTF_8 = b"\xff"
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What senders pack with; others bring libraries with faults of their own."""


@dataclass(frozen=True)
class Member:
    """A plain file: the drop itself, or one that was packed in it.

    Attributes
    ----------
    name : str
        Name inside a zip file, as it may be shown; empty for the drop itself.
    path : Path
        Plain; where there is a problem, as much as could be unpacked.
    problem : UnreadableFile or None
        Why it cannot be read: the others of its archive can be.
    """

    name: str
    path: Path
    problem: UnreadableFile | None = None


def members(
    path: Path, pattern: str = "", encoding: str = "utf-8", order: Callable[[Path], Any] | None = None
) -> Iterator[Member]:
    """Yield ``path``, or temporary files with what is packed in it (gzip and zip are recognised by their bytes).

    A packed file is unpacked whole before it is yielded: a truncated one is found before any row of it is used. Files
    of a zip come in the order of its directory unless another is given, and are removed one by one as the next is asked
    for.

    Parameters
    ----------
    path : Path
    pattern : str
        Of the names of the files to take out of a zip; all without it.
    encoding : str
        Of the text in them: files in UTF-16 are yielded in UTF-8, so that lines and cells can be separated.
    order : callable, optional
        Returns what the files of a zip are sorted by, the lowest first; they are unpacked once more for it.

    Raises
    ------
    UnreadableFile
        If the directory of a zip is damaged, or it holds no file that matches ``pattern``.
    """
    if not is_utf_16(encoding):
        yield from _plain_members(path, pattern, order)
        return
    for member in _plain_members(path, pattern, order):
        with _as_utf_8(member, encoding) as narrow:
            yield narrow


def _plain_members(path: Path, pattern: str, order: Callable[[Path], Any] | None) -> Iterator[Member]:
    kind = _kind(path)
    if kind == "zip":
        yield from _zip_members(path, pattern, order)
    elif kind == "gzip":
        with _unpacked("", _gzip_blocks(path), kind, _Budget(path.stat().st_size)) as member:
            yield member
    else:
        yield Member("", path)


def _kind(path: Path) -> str:
    """Return ``gzip``, ``zip`` or a blank, as the first bytes say."""
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic in _ZIP_MAGIC:
        return "zip"
    return "gzip" if magic.startswith(_GZIP_MAGIC) else ""


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, as its first bytes say."""
    return _kind(path) == "zip"


class _DamagedError(Exception):
    """The archive cannot be read to its end."""


class _Budget:
    """How much may be unpacked from an archive: the sizes that its headers state are not relied on."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._limit = self._left = min(MAX_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * packed))

    def take(self, size: int) -> None:
        """Count what was unpacked; raise ``UnreadableFile`` if it is more than an honest archive holds."""
        self._left -= size
        if self._left < 0:
            detail = f"expected at most {self._limit} bytes from an archive of {self._packed}, found more: not unpacked"
            raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)


def _zip_members(path: Path, pattern: str, order: Callable[[Path], Any] | None) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise _truncated("zip", error) from error
    with archive:
        entries = _chosen(archive, pattern)
        if order is not None:
            entries = _sorted(archive, entries, _Budget(path.stat().st_size), order)
        budget = _Budget(path.stat().st_size)
        for entry in entries:
            with _unpacked(escaped(entry.filename), _zip_blocks(archive, entry), "zip", budget) as member:
                yield member


def _sorted(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], budget: _Budget, order: Callable[[Path], Any]
) -> list[zipfile.ZipInfo]:
    """Return the members by what ``order`` says of each; those that are alike stay as they are."""
    keys = []
    for entry in entries:
        with _unpacked(escaped(entry.filename), _zip_blocks(archive, entry), "zip", budget) as member:
            keys.append(order(member.path))
    return [entries[place] for place in sorted(range(len(entries)), key=keys.__getitem__)]


def _chosen(archive: zipfile.ZipFile, pattern: str) -> list[zipfile.ZipInfo]:
    """Return the members to read."""
    # A damaged name may be empty.
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    names = [escaped(entry.filename) for entry in entries]
    matching = [entry for entry in entries if not pattern or fnmatchcase(PurePosixPath(entry.filename).name, pattern)]
    if not matching:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        detail = f"expected a zip file that holds {pattern or 'a file'}, found {shown or 'none'}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail, "\n".join(names))
    return matching


def _zip_blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the content of a member, of a damaged one what comes before the damage."""
    if entry.flag_bits & _ENCRYPTED:
        detail = f"expected {entry.filename} in the open, found it encrypted with a password"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
    if entry.compress_type not in _COMPRESSIONS:
        detail = f"expected {entry.filename} stored or deflated, found compression {entry.compress_type}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
    try:
        with archive.open(entry) as content:
            # The member of a zip has `read1`, which gives what comes before the damage; its declared type has not.
            read: Callable[[int], bytes] = content.read1  # type: ignore[attr-defined]
            while block := read(BLOCK_BYTES):
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # Offsets, names and versions that are damaged show as errors of the file system, the decoder or the library.
        raise _DamagedError(str(error)) from error


def _gzip_blocks(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as content:
            while block := content.read1(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _DamagedError(str(error)) from error


@contextmanager
def _unpacked(name: str, blocks: Iterable[bytes], kind: str, budget: _Budget) -> Iterator[Member]:
    """Yield a temporary file with some content."""
    with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
        path = Path(plain.name)
        problem = None
        try:
            for block in blocks:
                budget.take(len(block))
                plain.write(block)
        except UnreadableFile as refusal:
            problem = refusal
        except _DamagedError as error:
            plain.flush()
            problem = _truncated(kind, error, beginning(path))
        plain.flush()
        if problem is None and (inner := _kind(path)):
            detail = f"expected a plain file in the {kind} file, found a {inner} file: deliver it unpacked once"
            problem = UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
        yield Member(name, path, problem)


@contextmanager
def _as_utf_8(member: Member, encoding: str) -> Iterator[Member]:
    """Yield a temporary file with the text of a member; what is no UTF-16 becomes bytes that are no UTF-8."""
    with member.path.open("rb") as wide, tempfile.NamedTemporaryFile(prefix="metrify-") as narrow:
        start = wide.read(_SNIFFED_BYTES)
        mark = start[:2] if start[:2] in _BYTE_ORDER else b""
        problem = member.problem
        if problem is None and start and not mark and b"\0" not in start:
            detail = f"expected {encoding}, found text of single bytes: correct the encoding of the feed"
            problem = UnreadableFile(RejectReason.BAD_ENCODING, detail, beginning(member.path))
        order = _BYTE_ORDER.get(mark) or ("utf-16-be" if _is_big(encoding, start) else "utf-16-le")
        decoder = codecs.getincrementaldecoder(order)("surrogatepass")
        wide.seek(len(mark))
        while block := wide.read(BLOCK_BYTES):
            narrow.write(decoder.decode(block).encode("utf-8", "surrogatepass"))
        if decoder.getstate()[0]:
            # Half a character at the end.
            narrow.write(_NO_UTF_8)
        narrow.flush()
        yield Member(member.name, Path(narrow.name), problem)


def _is_big(encoding: str, start: bytes) -> bool:
    """Return whether text without a mark has the upper byte first: as its name says, or its first sign shows."""
    return codecs.lookup(encoding).name == "utf-16-be" or (
        codecs.lookup(encoding).name == "utf-16" and start.startswith(b"\0")
    )


def _truncated(kind: str, error: Exception, start: str = "") -> UnreadableFile:
    detail = f"expected a whole {kind} file, found one that breaks off or is damaged: {error}"
    return UnreadableFile(RejectReason.TRUNCATED_FILE, detail, start)
