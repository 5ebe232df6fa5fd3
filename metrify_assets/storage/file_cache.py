"""Local copies of objects that never change, for readers that need a file.

Belongs here: keeping files by key and removing those that nobody used for long. Does not belong here: where the bytes
come from (``s3.py``). The whole folder may be deleted at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from metrify_assets.storage.object_store import temporary_file

KEPT_UNUSED = timedelta(days=1)
"""A copy that was not used for so long is removed."""
SWEEP_EVERY = timedelta(hours=1)


class FileCache:
    """Files by key in a local folder.

    Parameters
    ----------
    folder : Path
        Holds ``copies/`` (read through, removed when unused) and ``shared/`` (what other programs were given to read).
    fetch : callable
        Writes the bytes of a key to a path; raises ``FileNotFoundError`` if there is no such object.
    """

    def __init__(self, folder: Path, fetch: Callable[[str, Path], None]):
        self.folder, self._fetch = folder, fetch
        self._swept_at = time.time()

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """Yield the copy of an object, fetched if it is not there; a copy that its reader fails on is not kept."""
        path = self._copy(key)
        try:
            yield path
        except BaseException:
            # The copy may be what is damaged: the next reader fetches it anew.
            path.unlink(missing_ok=True)
            raise

    def _copy(self, key: str) -> Path:
        path = self.folder / "copies" / key
        try:
            os.utime(path)
        except FileNotFoundError:
            with self.scratch() as temporary:
                self._fetch(key, temporary)
                self.adopt(temporary, key)
            self._sweep_now_and_then()
        return path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a temporary file that ``adopt`` can take; it is removed in the end."""
        folder = self.folder / "copies"
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_file(folder) as temporary:
            yield temporary

    def adopt(self, temporary: Path, key: str) -> None:
        """Make a temporary file the copy of an object; another program gets it at the next ``share``."""
        (self.folder / "shared" / key).unlink(missing_ok=True)
        path = self.folder / "copies" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, path)

    def discard(self, key: str) -> None:
        """Remove the copies of an object that was written anew."""
        for kept in ("copies", "shared"):
            (self.folder / kept / key).unlink(missing_ok=True)

    def share(self, key: str) -> Path:
        """Return a copy that stays until ``unshare``."""
        path = self.folder / "shared" / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = self._copy(key)
            with temporary_file(path.parent) as temporary:
                temporary.unlink()
                os.link(copy, temporary)
                os.replace(temporary, path)
        os.utime(path)
        return path

    def unshare(self, others_than: Iterable[str]) -> None:
        """Remove shared copies of other keys, once nobody can be reading them any more."""
        kept = {self.folder / "shared" / key for key in others_than}
        self._remove_unused(self.folder / "shared", kept)

    def _sweep_now_and_then(self) -> None:
        if time.time() - self._swept_at > SWEEP_EVERY.total_seconds():
            self._swept_at = time.time()
            self._remove_unused(self.folder / "copies", set())

    @staticmethod
    def _remove_unused(folder: Path, kept: set[Path]) -> None:
        oldest = time.time() - KEPT_UNUSED.total_seconds()
        for path in folder.rglob("*"):
            try:
                if path not in kept and path.is_file() and path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                # Another process removed it, or a temporary file became a copy.
                continue
