"""Batches as files in the inbox: whole, durable, and in their order.

Belongs here: naming and writing a file so that it survives the machine. Does not belong here: what a line says.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from metrify_assets.errors import BridgeError
from metrify_assets.feeds.model import Feed


class InboxFiles:
    """Writes the files of one bridge.

    Parameters
    ----------
    inbox : Path
    feed : Feed
    client_id : str
        The bridge's name at the broker, part of every file's name.

    Raises
    ------
    BridgeError
        If the feed would not accept the files.
    """

    def __init__(self, inbox: Path, feed: Feed, client_id: str):
        self._folder = inbox / feed.name
        self._prefix = f"mqtt_{re.sub(r'[^A-Za-z0-9-]+', '-', client_id)}_"
        self._last = 0
        example = self._name(0)
        if not feed.accepts(example):
            raise BridgeError(f"feed {feed.name} expects names like {feed.files!r}, not {example!r}: change its files")

    def _name(self, stamp: int) -> str:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=stamp)
        return f"{self._prefix}{moment:%Y%m%dT%H%M%S%f}Z.jsonl"

    def exist(self) -> bool:
        """Return whether a bridge of this name has written before, as far as its files are still here."""
        return any(self._folder.glob(f"{self._prefix}*"))

    def remove_leftovers(self) -> None:
        """Remove what a killed bridge of this name was writing: its messages are not acknowledged, they come again."""
        for path in self._folder.glob(f".{self._prefix}*.part"):
            path.unlink(missing_ok=True)

    def next_name(self) -> str:
        """Return the name of the next file: later ones come after earlier ones, also if the clock stands."""
        self._last = max(time.time_ns() // 1_000, self._last + 1)
        return self._name(self._last)

    def write(self, content: bytes) -> Path:
        """Write a file and return its path once it is durable; raise ``OSError`` if it cannot be."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder.parent)
        target = self._folder / self.next_name()
        temporary = self._folder / f".{target.name}.part"
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                # Files are read in the order of their time stamps, so these are as different as the names.
                os.utime(file.fileno(), ns=(self._last * 1_000, self._last * 1_000))
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
