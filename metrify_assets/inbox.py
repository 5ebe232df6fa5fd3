"""The inbox: what senders have put there, and which of it is new.

Belongs here: listing ``inbox/<feed>/...``, telling finished files from half-uploaded ones, and opening them; the inbox
of a local directory. The inbox is only ever read, but for ``put``. Does not belong here: the inbox of a bucket
(``inbox_s3.py``) and what is read from a file (``ingest.py``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from metrify_assets.errors import DropError
from metrify_assets.feeds.model import Feed
from metrify_assets.ledger import LedgerView, Source

UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".filepart", ".crdownload", ".uploading")
Known = Collection[tuple[str, Source]]


@dataclass(frozen=True)
class InboxFile:
    """One file in the inbox: its feed, its name below the feed's folder, and its source identity.

    A local file has no ETag; on S3 it tells versions apart that were written in the same second.
    """

    feed: str
    name: str
    size: int
    modified_at: int
    etag: str = ""

    @property
    def source(self) -> Source:
        """What the ledger remembers of a delivery."""
        return Source(self.name, self.size, self.modified_at, self.etag)


@dataclass
class InboxState:
    """What the inbox holds at one moment.

    Attributes
    ----------
    files : list of InboxFile
        Finished files that are not known, oldest first.
    settling : list of str
        Files that may still be growing.
    problems : list of str
        What cannot be taken in, one line each that says what to do.
    position : str
        Where the next look goes on, once these files are dealt with; see ``Inbox.scan``.
    """

    files: list[InboxFile] = field(default_factory=list)
    settling: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    position: str = ""

    def pending(self, view: LedgerView) -> list[InboxFile]:
        """Return the files that the ledger has not seen in this form, oldest first."""
        return [file for file in self.files if (file.feed, file.source) not in view.sources]

    def sort(self) -> None:
        """Bring the files into the order in which they were written."""
        self.files.sort(key=lambda file: (file.modified_at, file.feed, file.name))


class StillChangingError(Exception):
    """The file is not what it was when it was seen: its sender still writes."""


class Inbox(Protocol):
    """What an inbox must offer."""

    def scan(
        self, feeds: Mapping[str, Feed], now: int, known: Known = frozenset(), position: str | None = None
    ) -> InboxState:
        """List the inbox as of ``now`` (UTC microseconds), without what is known.

        Without a ``position`` everything is listed. With one (empty at first) an inbox may list what is recent and a
        part of the rest, a bounded number of requests: calls that each take up the position that the last one returned
        come round to everything.
        """
        ...

    def reading(self, file: InboxFile) -> AbstractContextManager[BinaryIO]:
        """Yield the bytes of a file, exactly the version that was seen.

        Raises
        ------
        StillChangingError
            If it is another version by now; at the latest when the block ends.
        FileNotFoundError
            If it is gone.
        DropError
            If the path leaves the inbox, or the file may not be read.
        """
        ...

    def put(self, feed: Feed, source: Path, name: str | None = None) -> str:
        """Put a copy of a file into a feed's folder, where it appears whole; return where it is.

        Raises
        ------
        DropError
            If there is no such file, or its name is not one that the feed accepts.
        """
        ...


def feed_of(name: str, feeds: Mapping[str, Feed], state: InboxState) -> Feed | None:
    """Return the feed of a file by its path below the inbox, or None after noting why it is not taken in."""
    feed_name, _, rest = name.partition("/")
    if not rest:
        state.problems.append(f"{name} lies beside the feeds' folders: move it to inbox/<feed>/")
        return None
    feed = feeds.get(feed_name)
    if feed is None:
        state.problems.append(f"{name}: there is no feed {feed_name!r}; define it or move the file")
        return None
    if rest.endswith(UNFINISHED_SUFFIXES) or Path(rest).name.startswith((".", "~")):
        state.settling.append(name)
        return None
    if not feed.accepts(rest):
        state.problems.append(f"{name}: feed {feed_name} expects names like {feed.files!r}; rename or move it")
        return None
    return feed


def checked_name(feed: Feed, source: Path, name: str | None) -> str:
    """Return the name under which a file is put; raise ``DropError`` if it would not be read."""
    if not source.is_file():
        raise DropError(f"{source} is no file: give the path of the file to land")
    name = name or source.name
    if not feed.accepts(name):
        raise DropError(f"feed {feed.name} expects names like {feed.files!r}, not {name!r}: rename the file")
    return name


def inbox_path(inbox: Path, feed: str, name: str) -> Path:
    """Return the path of an inbox file; raise ``DropError`` if it leaves the feed's folder, by ``..`` or by a link."""
    folder = inbox / feed
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DropError(f"{feed}/{name} leaves the inbox: put the file itself below {feed}/")
    return path


class LocalInbox:
    """The inbox of a local directory: ``<folder>/<feed>/...``."""

    def __init__(self, folder: Path):
        self.folder = folder

    def scan(
        self, feeds: Mapping[str, Feed], now: int, known: Known = frozenset(), position: str | None = None
    ) -> InboxState:
        """List the inbox as of ``now`` (UTC microseconds), without what is known: always all of it."""
        state = InboxState()
        for name, entry in _walk(self.folder, state):
            feed_name, _, rest = name.partition("/")
            try:
                stat = entry.stat()
            except OSError as error:
                # A file that was removed since the folder was listed is no problem.
                if entry.is_symlink() or not isinstance(error, FileNotFoundError):
                    state.problems.append(f"{name!a} cannot be looked at ({error.strerror}): put the file itself there")
                continue
            source = Source(rest, stat.st_size, stat.st_mtime_ns // 1_000)
            if (feed_name, source) in known:
                continue
            if not _is_text(name):
                state.problems.append(f"{name!a}: the name is not UTF-8; rename the file")
                continue
            if entry.is_symlink() and entry.is_dir():
                state.problems.append(
                    f"{name} is a link to a folder, which is not followed: put the files themselves there"
                )
                continue
            feed = feed_of(name, feeds, state)
            if feed is None:
                continue
            try:
                inbox_path(self.folder, feed_name, rest)
            except DropError as error:
                state.problems.append(str(error))
                continue
            if not S_ISREG(stat.st_mode):
                state.problems.append(f"{name} is no file: put files into the inbox")
            elif 0 <= now - source.modified_at < feed.settle_seconds * 1_000_000:
                state.settling.append(name)
            else:
                state.files.append(InboxFile(feed_name, *source))
        state.sort()
        return state

    @contextmanager
    def reading(self, file: InboxFile) -> Iterator[BinaryIO]:
        """Yield the bytes of a file; raise ``StillChangingError`` if it is another version before or after."""
        path = inbox_path(self.folder, file.feed, file.name)
        with _opened(path) as stream:
            yield stream
            stat = os.stat(path)
        if (stat.st_size, stat.st_mtime_ns // 1_000) != (file.size, file.modified_at):
            raise StillChangingError

    def put(self, feed: Feed, source: Path, name: str | None = None) -> str:
        """Copy a file into a feed's folder under a temporary name, then rename it; return its path."""
        target = inbox_path(self.folder, feed.name, checked_name(feed, source, name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
        return str(target)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except PermissionError as error:
        raise DropError(f"{path} may not be read: give the user that runs Metrify the right to") from error


def _walk(inbox: Path, state: InboxState) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file, and every link to a folder, with its path below the inbox; note folders that are closed."""
    pending = [("", str(inbox))]
    while pending:
        below, folder = pending.pop()
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            continue
        except PermissionError:
            state.problems.append(f"{below!a} may not be read: give the user that runs Metrify the right to")
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{below}{entry.name}/", entry.path))
                else:
                    yield below + entry.name, entry


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 are kept as surrogates, which no record can hold.
        return False
    return True
