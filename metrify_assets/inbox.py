"""The inbox: what senders have put there, and which of it is new.

Belongs here: listing ``inbox/<feed>/...``, telling finished files from half-uploaded ones, and comparing with the
ledger. The inbox is only ever read. Does not belong here: reading a file's content (``ingest.py``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from metrify_assets.errors import DropError
from metrify_assets.feeds.model import Feed
from metrify_assets.ledger import LedgerView, Source

UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".filepart", ".crdownload", ".uploading")


@dataclass(frozen=True)
class InboxFile:
    """One file in the inbox: its feed, its name below the feed's folder, and its source identity."""

    feed: str
    name: str
    size: int
    modified_at: int

    @property
    def source(self) -> Source:
        """What the ledger remembers of a delivery."""
        return Source(self.name, self.size, self.modified_at)


@dataclass
class InboxState:
    """What the inbox holds at one moment.

    Attributes
    ----------
    files : list of InboxFile
        Finished files, oldest first.
    settling : list of str
        Files that may still be growing.
    problems : list of str
        What cannot be taken in, one line each that says what to do.
    """

    files: list[InboxFile] = field(default_factory=list)
    settling: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def pending(self, view: LedgerView) -> list[InboxFile]:
        """Return the files that the ledger has not seen in this form, oldest first."""
        return [file for file in self.files if (file.feed, file.source) not in view.sources]


def inbox_path(inbox: Path, feed: str, name: str) -> Path:
    """Return the path of an inbox file; raise ``DropError`` if it leaves the feed's folder, by ``..`` or by a link."""
    folder = inbox / feed
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DropError(f"{feed}/{name} leaves the inbox: put the file itself below {feed}/")
    return path


def scan(inbox: Path, feeds: Mapping[str, Feed], now: int) -> InboxState:
    """List the inbox as of ``now`` (UTC microseconds)."""
    state = InboxState()
    for name, path in _walk(inbox):
        feed_name, _, rest = name.partition("/")
        if not _is_text(name):
            state.problems.append(f"{name!a}: the name is not UTF-8; rename the file")
            continue
        if path.is_symlink() and path.is_dir():
            state.problems.append(
                f"{name} is a link to a folder, which is not followed: put the files themselves there"
            )
            continue
        if not rest:
            state.problems.append(f"{name} lies beside the feeds' folders: move it to inbox/<feed>/")
            continue
        feed = feeds.get(feed_name)
        if feed is None:
            state.problems.append(f"{name}: there is no feed {feed_name!r}; define it or move the file")
            continue
        if rest.endswith(UNFINISHED_SUFFIXES) or Path(rest).name.startswith((".", "~")):
            state.settling.append(name)
            continue
        if not feed.accepts(rest):
            state.problems.append(f"{name}: feed {feed_name} expects names like {feed.files!r}; rename or move it")
            continue
        try:
            inbox_path(inbox, feed_name, rest)
            stat = path.stat()
        except DropError as error:
            state.problems.append(str(error))
            continue
        except FileNotFoundError:
            continue
        if not S_ISREG(stat.st_mode):
            state.problems.append(f"{name} is no file: put files into the inbox")
            continue
        modified_at = stat.st_mtime_ns // 1_000
        age = now - modified_at
        if 0 <= age < feed.settle_seconds * 1_000_000:
            state.settling.append(name)
            continue
        state.files.append(InboxFile(feed_name, rest, stat.st_size, modified_at))
    state.files.sort(key=lambda file: (file.modified_at, file.feed, file.name))
    return state


def _walk(inbox: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file, and every link to a folder, with its path below the inbox."""
    for folder, folders, names in os.walk(inbox):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            path = Path(folder) / name
            yield path.relative_to(inbox).as_posix(), path


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        # Bytes that are not UTF-8 are kept as surrogates, which no record can hold.
        return False
    return True


def put(inbox: Path, feed: Feed, source: Path, name: str | None = None) -> Path:
    """Copy a file into a feed's inbox under a temporary name, then rename it; return where it is.

    Raises
    ------
    DropError
        If there is no such file, or its name is not one that the feed accepts.
    """
    if not source.is_file():
        raise DropError(f"{source} is no file: give the path of the file to land")
    name = name or source.name
    if not feed.accepts(name):
        raise DropError(f"feed {feed.name} expects names like {feed.files!r}, not {name!r}: rename the file")
    target = inbox_path(inbox, feed.name, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    return target
