"""The inbox: what senders have put there, and which of it is new.

Belongs here: listing ``inbox/<feed>/...``, separating finished files from half-uploaded ones, and opening them; the
inbox of a local directory. The inbox is only ever read, but for ``put``. Does not belong here: the inbox of a bucket
(``inbox_s3.py``) and what is read from a file (``ingest.py``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from metrify_assets.clock import instant
from metrify_assets.drops.ledger import LedgerView, Source
from metrify_assets.errors import DropError, escaped, forges
from metrify_assets.feeds.catalogue import broken_feeds
from metrify_assets.feeds.model import Feed
from metrify_assets.storage.object_store import replacing

UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".filepart", ".crdownload", ".uploading")
FULL_PASS_EVERY = timedelta(hours=1)
"""How often files under old dates are looked for."""
RecordedSources = Collection[tuple[str, Source]]


@dataclass(frozen=True)
class InboxFile:
    """One file in the inbox: its feed, its name below the feed's folder, and its source identity.

    A local file has no ETag; on S3 it distinguishes versions that were written in the same second.
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

    def refuse(self, problem: str) -> None:
        """Note why a file is not taken in: in one line, whatever its name holds."""
        self.problems.append(escaped(problem))

    def sort(self) -> None:
        """Bring the files into the order in which they were written."""
        self.files.sort(key=lambda file: (file.modified_at, file.feed, file.name))


@dataclass(frozen=True)
class Position:
    """Where the pass through an inbox is.

    Attributes
    ----------
    after : str
        Last key that the pass has seen; empty at its beginning, and always where one look sees everything.
    full : bool
        Whether the pass includes the dated feeds.
    full_began : int
        When the last such pass began, UTC microseconds.
    """

    after: str = ""
    full: bool = True
    full_began: int = 0

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a text says; the beginning if it is empty or of another version."""
        try:
            position = cls(**json.loads(text))
        except (ValueError, TypeError):
            return cls()
        is_sound = isinstance(position.after, str) and isinstance(position.full_began, int)
        return position if is_sound else cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    def begun(self, now: int) -> Position:
        """Return the position; at the beginning of a pass, with the decision whether it is a full one."""
        if self.after:
            return self
        due = not 0 <= now - self.full_began < FULL_PASS_EVERY // timedelta(microseconds=1)
        return Position("", due, now if due else self.full_began)


def recent_names(feeds: Mapping[str, Feed], now: int) -> dict[str, tuple[str, str]]:
    """Return, of each feed with dated names, what they begin with and after which name those of recent days come."""
    today = instant(now).date()
    return {name: feed.dated_names.window(today) for name, feed in feeds.items() if feed.dated_names is not None}


class StillChangingError(Exception):
    """The file is not what it was when it was seen: its sender still writes."""


class Inbox(Protocol):
    """What an inbox must offer.

    Attributes
    ----------
    hashed_bytes : int
        Bytes that one look may read to recognise redeliveries: below a second, whatever lies in the inbox.
    """

    hashed_bytes: int

    def scan(
        self, feeds: Mapping[str, Feed], now: int, recorded: RecordedSources = frozenset(), position: str | None = None
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
    if forges(name):
        state.refuse(f"{name}: the name has control characters; rename the file")
        return None
    if not rest:
        state.refuse(f"{name} lies beside the feeds' folders: move it to inbox/<feed>/")
        return None
    if feed_name in broken_feeds(feeds):
        state.refuse(f"{name} waits: the definition of its feed is wrong: {broken_feeds(feeds)[feed_name]}")
        return None
    feed = feeds.get(feed_name)
    if feed is None:
        state.refuse(f"{name}: there is no feed {feed_name!r}; define it or move the file")
        return None
    if rest.endswith(UNFINISHED_SUFFIXES) or Path(rest).name.startswith((".", "~")):
        state.settling.append(name)
        return None
    if not feed.accepts(rest):
        state.refuse(f"{name}: feed {feed_name} expects names like {feed.files!r}; rename or move it")
        return None
    return feed


def checked_name(feed: Feed, source: Path, name: str | None) -> str:
    """Return the name under which a file is put; raise ``DropError`` if it would not be read."""
    if not source.is_file():
        raise DropError(f"{source} is no file: give the path of the file to land")
    name = name or source.name
    problem = name_problem(feed, name)
    if problem is not None:
        raise DropError(problem)
    return name


def name_problem(feed: Feed, name: str) -> str | None:
    """Say why a file of that name would not be read; None if it would."""
    if forges(name):
        return f"{escaped(name)}: the name has control characters: rename the file"
    if not feed.accepts(name):
        return f"feed {feed.name} expects names like {feed.files!r}, not {name!r}: rename the file"
    return None


def inbox_path(inbox: Path, feed: str, name: str) -> Path:
    """Return the path of an inbox file; raise ``DropError`` if it leaves the feed's folder, by ``..`` or by a link."""
    folder = inbox / feed
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DropError(f"{feed}/{name} leaves the inbox: put the file itself below {feed}/")
    return path


class LocalInbox:
    """The inbox of a local directory: ``<folder>/<feed>/...``."""

    hashed_bytes = 256 * 2**20

    def __init__(self, folder: Path):
        self.folder = folder

    def scan(
        self, feeds: Mapping[str, Feed], now: int, recorded: RecordedSources = frozenset(), position: str | None = None
    ) -> InboxState:
        """List the inbox as of ``now`` (UTC microseconds), without what is known; see ``Inbox.scan``.

        With a position, old dates of dated feeds are passed over, but for once in ``FULL_PASS_EVERY``.
        """
        state = InboxState()
        skipped: dict[str, str] = {}
        if position is not None:
            begun = Position.parse(position).begun(now)
            state.position = str(Position("", False, begun.full_began))
            if not begun.full:
                skipped = {name: after for name, (_, after) in recent_names(feeds, now).items()}
        for feed_name, rest, entry in _walk(self.folder, skipped, state):
            try:
                stat = entry.stat()
            except OSError as error:
                name = f"{feed_name}/{rest}" if rest else feed_name
                # A file that was removed since the folder was listed is no problem.
                if entry.is_symlink() or not isinstance(error, FileNotFoundError):
                    state.refuse(f"{name!a} cannot be looked at ({error.strerror}): put the file itself there")
                continue
            # Nearly all files are known: a plain tuple is as good as a ``Source`` to recognise them, and made faster.
            source = (rest, stat.st_size, stat.st_mtime_ns // 1_000, "")
            if (feed_name, source) in recorded:
                continue
            name = f"{feed_name}/{rest}" if rest else feed_name
            if not _is_text(name):
                state.refuse(f"{name!a}: the name is not UTF-8; rename the file")
                continue
            if entry.is_symlink() and entry.is_dir():
                state.refuse(f"{name} is a link to a folder, which is not followed: put the files themselves there")
                continue
            feed = feed_of(name, feeds, state)
            if feed is None:
                continue
            try:
                inbox_path(self.folder, feed_name, rest)
            except DropError as error:
                state.refuse(str(error))
                continue
            if not S_ISREG(stat.st_mode):
                state.refuse(f"{name} is no file: put files into the inbox")
            elif 0 <= now - Source(*source).modified_at < feed.settle_seconds * 1_000_000:
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
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
        return str(target)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except PermissionError as error:
        raise DropError(f"{path} may not be read: give the user that runs Metrify the right to") from error


def _walk(inbox: Path, skipped: Mapping[str, str], state: InboxState) -> Iterator[tuple[str, str, os.DirEntry[str]]]:
    """Yield every file, and every link to a folder: the feed's folder and the name below it; note closed folders.

    Names of a feed that come before the one that ``skipped`` says are passed over, and whole folders of them.
    """
    pending = [("", "", str(inbox))]
    while pending:
        feed, below, folder = pending.pop()
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            continue
        except PermissionError:
            state.refuse(f"{feed}/{below} may not be read: give the user that runs Metrify the right to")
            continue
        first = skipped.get(feed, "")
        with entries:
            for entry in entries:
                name = below + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not feed:
                        pending.append((entry.name, "", entry.path))
                    elif f"{name}/" > first or first.startswith(f"{name}/"):
                        pending.append((feed, f"{name}/", entry.path))
                elif not feed:
                    yield name, "", entry
                elif name > first:
                    yield feed, name, entry


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 are kept as surrogates, which no record can hold.
        return False
    return True
