"""The object store: named bytes under one root.

Belongs here: the few operations that the lake, the ledger and the landing zone need, so that no other module opens,
renames or lists a file of theirs. A write is atomic: a reader sees the old bytes or the new ones. Does not belong
here: what the bytes mean.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metrify_assets.errors import LakeError


@dataclass(frozen=True)
class StoredObject:
    """One object: its key, size in bytes and modification time in UTC microseconds."""

    key: str
    size: int
    modified_at: int


class ObjectStore(Protocol):
    """What a store must offer. Keys are relative POSIX paths."""

    def list(self, prefix: str) -> list[StoredObject]: ...

    def read(self, key: str) -> bytes: ...

    def write(self, key: str, content: bytes) -> None: ...

    def exists(self, key: str) -> bool: ...

    def delete(self, key: str) -> None: ...

    def uri(self, key: str) -> str: ...

    def reading(self, key: str) -> AbstractContextManager[Path]:
        """Yield a local file with the bytes of an object whose key says its content, for as long as the block runs."""
        ...

    def writing(self, key: str): ...


class LocalObjectStore:
    """A store in a local directory."""

    def __init__(self, root: Path):
        self.root = root

    def _path(self, key: str) -> Path:
        path = self.root / key
        if ".." in Path(key).parts or Path(key).is_absolute():
            raise LakeError(f"{key!r} leaves {self.root}: use a path below it")
        return path

    def uri(self, key: str) -> str:
        """Return the path that other readers (PyArrow, DuckDB) open."""
        return str(self._path(key))

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Yield the file of an object."""
        yield self._path(key)

    def list(self, prefix: str) -> list[StoredObject]:
        """Return every object below the folder ``prefix``, ordered by key; temporary files are left out."""
        found: list[StoredObject] = []
        pending = [self._path(prefix)]
        while pending:
            try:
                entries = list(os.scandir(pending.pop()))
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif not entry.name.startswith(".tmp-"):
                    try:
                        stat = entry.stat()
                    except FileNotFoundError:
                        # Removed since the folder was listed.
                        continue
                    key = Path(entry.path).relative_to(self.root).as_posix()
                    found.append(StoredObject(key, stat.st_size, stat.st_mtime_ns // 1_000))
        return sorted(found, key=lambda item: item.key)

    def read(self, key: str) -> bytes:
        """Return the bytes of an object; raise ``FileNotFoundError`` if there is none."""
        return self._path(key).read_bytes()

    def exists(self, key: str) -> bool:
        """Return whether there is an object of that key."""
        return self._path(key).exists()

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        self._path(key).unlink(missing_ok=True)

    def write(self, key: str, content: bytes) -> None:
        """Store bytes under a key, atomically."""
        with self.writing(key) as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Yield a temporary path to fill; it becomes the object when the block ends without an error."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
