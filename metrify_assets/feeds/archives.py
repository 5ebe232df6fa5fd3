"""Zip archives: the one member that a feed reads, taken out with care.

Belongs here: choosing the member, and refusing what is no honest archive (encrypted, damaged, a bomb, two candidates).
The other members (metadata) stay in the landed archive. Does not belong here: gzip (``files.py``) and rows.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from metrify_assets.feeds.chunk import UnreadableFile
from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.files import BLOCK_BYTES, beginning, count_lines

MAX_MEMBER_BYTES = 2 << 30
"""Largest member that is unpacked; a station's ten-minute values of 30 years are 100 MB."""
MAX_RATIO = 200
"""Largest ratio of a member to its archive, above ``RATIO_FROM_BYTES``; text of readings packs 5 to 20 times."""
RATIO_FROM_BYTES = 16 << 20
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What archives of stations are packed with; others bring libraries with faults of their own."""


@contextmanager
def member_of(path: Path, pattern: str) -> Iterator[Path]:
    """Yield ``path``, or a temporary file with the archive's only member whose name matches ``pattern``.

    A zip file is recognised by its bytes. Without a pattern a feed does not take archives, and the file is left as it
    is.

    Raises
    ------
    UnreadableFile
        If the archive is damaged, encrypted or too large unpacked, or if not exactly one member matches.
    """
    with path.open("rb") as stream:
        packed = stream.read(4) in _MAGIC
    if not pattern or not packed:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="metrify-") as plain:
        try:
            for block in _blocks(path, pattern):
                plain.write(block)
        except _DamagedError as error:
            plain.flush()
            raise UnreadableFile(
                RejectReason.TRUNCATED_FILE,
                f"expected a whole zip file, found one that breaks off or is damaged: {error}",
                beginning(Path(plain.name)),
                count_lines(Path(plain.name)),
            ) from error
        plain.flush()
        yield Path(plain.name)


class _DamagedError(Exception):
    """The archive cannot be read to its end."""


def _blocks(path: Path, pattern: str) -> Iterator[bytes]:
    """Yield the content of the member, as far as it is no bomb: the size that its header tells is not relied on."""
    packed = path.stat().st_size
    limit = min(MAX_MEMBER_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * packed))
    left = limit
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_chosen(archive, pattern)) as member:
            while block := member.read(min(BLOCK_BYTES, limit + 1)):
                left -= len(block)
                if left < 0:
                    detail = f"expected at most {limit} bytes from an archive of {packed}, found more: not unpacked"
                    raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # Offsets, names and versions that are damaged show as errors of the file system, the decoder or the library.
        raise _DamagedError(str(error)) from error


def _chosen(archive: zipfile.ZipFile, pattern: str) -> zipfile.ZipInfo:
    """Return the member to read."""
    names = [info.filename for info in archive.infolist()]
    found = [info for info in archive.infolist() if fnmatchcase(info.filename, pattern)]
    if len(found) != 1:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        detail = f"expected exactly one member {pattern}, found {len(found)} in: {shown or 'nothing'}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail, "\n".join(names))
    member = found[0]
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, f"expected {member.filename} in the open, found it encrypted")
    if member.compress_type not in _COMPRESSIONS:
        detail = f"expected {member.filename} stored or deflated, found compression {member.compress_type}"
        raise UnreadableFile(RejectReason.BAD_ARCHIVE, detail)
    return member
