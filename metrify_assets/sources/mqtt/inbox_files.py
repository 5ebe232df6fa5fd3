"""Batches as files in the inbox: whole, durable, and in their order.

Belongs here: naming and writing a file so that it survives the machine, in a local folder or in a bucket. Does not
belong here: what a line says.
"""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from metrify_assets.clock import instant
from metrify_assets.errors import BridgeError, LakeError
from metrify_assets.feeds.model import Feed

if TYPE_CHECKING:
    from metrify_assets.drops.inbox_s3 import S3Inbox


class FileNames:
    """Names of the files of one bridge, each greater than those before it.

    Parameters
    ----------
    feed : Feed
    client_id : str
        The bridge's name at the broker, part of every file's name.

    Attributes
    ----------
    beginning : str
        What all names begin with.
    stamp : int
        The moment that the last name states, UTC microseconds.

    Raises
    ------
    BridgeError
        If the feed would not accept the files.
    """

    def __init__(self, feed: Feed, client_id: str):
        self.beginning = f"mqtt_{re.sub(r'[^A-Za-z0-9-]+', '-', client_id)}_"
        self.stamp = 0
        example = self._name()
        if not feed.accepts(example):
            raise BridgeError(f"feed {feed.name} expects names like {feed.files!r}, not {example!r}: change its files")

    def _name(self) -> str:
        return f"{self.beginning}{instant(self.stamp):%Y%m%dT%H%M%S%f}Z.jsonl"

    def next(self) -> str:
        """Return the name of the next file: later ones come after earlier ones, also if the clock stands."""
        self.stamp = max(time.time_ns() // 1_000, self.stamp + 1)
        return self._name()


class InboxObjects:
    """Writes the files of one bridge into the inbox of a bucket; see ``FileNames`` for what is refused."""

    def __init__(self, inbox: S3Inbox, feed: Feed, client_id: str):
        self._inbox, self._feed = inbox, feed
        self._names = FileNames(feed, client_id)

    def exist(self) -> bool:
        """Return whether a bridge of this name has written before, as far as its objects are still here."""
        return self._inbox.holds(self._feed, self._names.beginning)

    def remove_leftovers(self) -> None:
        """Remove nothing: an object appears when it is whole."""

    def write(self, content: bytes) -> str:
        """Write an object and return where it is: it is durable then; raise ``OSError`` if it cannot be."""
        try:
            return self._inbox.put_bytes(self._feed, self._names.next(), content)
        except LakeError as error:
            raise OSError(errno.EIO, str(error)) from error


class InboxFiles:
    """Writes the files of one bridge into a local inbox; see ``FileNames`` for what is refused."""

    def __init__(self, inbox: Path, feed: Feed, client_id: str):
        self._folder = inbox / feed.name
        self._names = FileNames(feed, client_id)

    def exist(self) -> bool:
        """Return whether a bridge of this name has written before, as far as its files are still here."""
        return any(self._folder.glob(f"{self._names.beginning}*"))

    def remove_leftovers(self) -> None:
        """Remove what a killed bridge of this name was writing: its messages are not acknowledged, they come again."""
        for path in self._folder.glob(f".{self._names.beginning}*.part"):
            path.unlink(missing_ok=True)

    def write(self, content: bytes) -> Path:
        """Write a file and return its path once it is durable; raise ``OSError`` if it cannot be."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder.parent)
        target = self._folder / self._names.next()
        temporary = self._folder / f".{target.name}.part"
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                # Files are read in the order of their time stamps, so these are as different as the names.
                os.utime(file.fileno(), ns=(self._names.stamp * 1_000, self._names.stamp * 1_000))
                os.fsync(file.fileno())
            os.rename(temporary, target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(self._folder)
        return target


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
