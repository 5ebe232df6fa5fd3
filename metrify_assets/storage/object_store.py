"""The object store: named bytes under one root.

Belongs here: the few operations that the lake, the ledger and the landing zone need, so that no other module opens,
renames or lists a file of theirs. A write is atomic: a reader sees the old bytes or the new ones. Does not belong
here: what the bytes mean, and S3 (``s3.py``).
"""

from __future__ import annotations

import builtins
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from metrify_assets.errors import LakeError

TEMPORARY_PREFIX = ".tmp-"


@dataclass(frozen=True)
class StoredObject:
    """One object: its key, size in bytes, modification time in UTC microseconds and, where there is one, its ETag.

    S3 has whole seconds: there the ETag separates two versions of the same second.
    """

    key: str
    size: int
    modified_at: int
    etag: str = ""


class ObjectStore(Protocol):
    """What a store must offer. Keys are relative POSIX paths."""

    def list(self, prefix: str, after: str = "") -> list[StoredObject]:
        """Return the objects below the folder ``prefix`` whose key comes after ``after``, ordered by key."""
        ...

    def read(self, key: str) -> bytes: ...

    def read_all(self, keys: Sequence[str]) -> builtins.list[bytes | None]:
        """Return the bytes of several small objects, None where there is no such object."""
        ...

    def write(self, key: str, content: bytes) -> None: ...

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one, in one step; return whether it was written."""
        ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int | None:
        """Return the bytes of an object; None if there is none of that key."""
        ...

    def delete(self, key: str) -> None: ...

    def uri(self, key: str) -> str:
        """Return where an object lies, as people write it."""
        ...

    def reading(self, key: str) -> AbstractContextManager[Path]:
        """Yield a local file with the bytes of an object whose key says its content, for as long as the block runs."""
        ...

    def reading_anew(self, key: str) -> AbstractContextManager[Path]:
        """Yield a local file with the bytes that an object has now, whatever copies of it there are."""
        ...

    def local_copies(self, keys: Sequence[str]) -> builtins.list[Path]:
        """Return local files for other programs to read, until the next call names other keys."""
        ...

    def writing(self, key: str) -> AbstractContextManager[Path]: ...

    def scratch(self, folder: str) -> AbstractContextManager[Path]:
        """Yield a temporary file that ``keep`` can make an object of ``folder``; it is removed in the end."""
        ...

    def keep(self, temporary: Path, key: str) -> None:
        """Make a file of ``scratch`` an object, in one step."""
        ...

    def remove_temporary(self, folder: str) -> None:
        """Remove what writers that were killed left below a folder; nobody may be writing there."""
        ...


def checked(key: str, root: object) -> str:
    """Return a key; raise ``LakeError`` if it leaves the root."""
    if ".." in PurePosixPath(key).parts or key.startswith("/"):
        raise LakeError(f"{key!r} leaves {root}: use a path below it")
    return key


class LocalObjectStore:
    """A store in a local directory."""

    def __init__(self, root: Path):
        self.root = root

    def _path(self, key: str) -> Path:
        return self.root / checked(key, self.root)

    def uri(self, key: str) -> str:
        """Return the path of an object."""
        return str(self._path(key))

    def list(self, prefix: str, after: str = "") -> list[StoredObject]:
        """Return the objects below the folder ``prefix`` whose key comes after ``after``, ordered by key.

        Temporary files are left out; what comes before ``after`` is passed over without being looked at.
        """
        objects: list[StoredObject] = []
        pending = [checked(prefix, self.root)]
        while pending:
            folder = pending.pop()
            try:
                entries = list(os.scandir(self.root / folder))
            except FileNotFoundError:
                continue
            for entry in entries:
                key = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    # Every key below is greater than the folder's own, unless it begins with it.
                    if f"{key}/" > after or after.startswith(f"{key}/"):
                        pending.append(key)
                elif key > after and not entry.name.startswith(TEMPORARY_PREFIX):
                    try:
                        stat = entry.stat()
                    except FileNotFoundError:
                        # Removed since the folder was listed.
                        continue
                    objects.append(StoredObject(key, stat.st_size, stat.st_mtime_ns // 1_000))
        return sorted(objects, key=lambda item: item.key)

    def read(self, key: str) -> bytes:
        """Return the bytes of an object; raise ``FileNotFoundError`` if there is none."""
        return self._path(key).read_bytes()

    def read_all(self, keys: Sequence[str]) -> builtins.list[bytes | None]:
        """Return the bytes of several objects, None where there is no such object."""
        return [self._read_if_there(key) for key in keys]

    def _read_if_there(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Return whether there is an object of that key."""
        return self._path(key).exists()

    def size(self, key: str) -> int | None:
        """Return the bytes of an object; None if there is none of that key."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        self._path(key).unlink(missing_ok=True)

    def write(self, key: str, content: bytes) -> None:
        """Store bytes under a key, atomically."""
        with self.writing(key) as temporary:
            temporary.write_bytes(content)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one, in one step; return whether it was written."""
        path = self._path(key)
        with self._temporary(path.parent) as temporary:
            temporary.write_bytes(content)
            _finish(temporary)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
        return True

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Yield the file itself; raise ``FileNotFoundError`` if there is none."""
        path = self._path(key)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        yield path

    def reading_anew(self, key: str) -> AbstractContextManager[Path]:
        """Yield the file itself; raise ``FileNotFoundError`` if there is none."""
        return self.reading(key)

    def local_copies(self, keys: Sequence[str]) -> builtins.list[Path]:
        """Return the files themselves."""
        return [self._path(key) for key in keys]

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a temporary path to fill; it becomes the object when the block ends without an error."""
        with self._temporary(self._path(key).parent) as temporary:
            yield temporary
            self.keep(temporary, key)

    @contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        """Yield a temporary file in ``folder``; it is removed in the end unless it was kept."""
        with self._temporary(self._path(folder)) as temporary:
            yield temporary

    def keep(self, temporary: Path, key: str) -> None:
        """Make a file of ``scratch`` an object, in one step."""
        _finish(temporary)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, path)

    def remove_temporary(self, folder: str) -> None:
        """Remove what writers that were killed left below a folder; nobody may be writing there."""
        for path in self._path(folder).rglob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def _temporary(self, folder: Path) -> Iterator[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_file(folder) as temporary:
            yield temporary


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Yield a new empty file in ``folder``; it is removed in the end if it is still there."""
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=folder)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary file to fill; it becomes ``target`` in one step when the block ends without an error.

    Its name is its own, so that several processes may write the same target at once.
    """
    with temporary_file(target.parent) as temporary:
        yield temporary
        _finish(temporary)
        os.replace(temporary, target)


def _finish(temporary: Path) -> None:
    """Bring a file to the disk and let others read it; one that its owner may not write stays so."""
    with open(temporary, "rb") as written:
        os.fsync(written.fileno())
        mode = os.fstat(written.fileno()).st_mode
    os.chmod(temporary, mode & 0o200 | 0o444)
