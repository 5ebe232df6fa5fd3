"""When documents were made, by what they say of themselves, and the files of a drop in that order.

Belongs here: which formats say so. Does not belong here: what becomes of it (``landing/ingest.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from metrify_assets.feeds.formats.archives import Member, members
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.feeds.formats.e66_source import E66Source
from metrify_assets.feeds.formats.esl_source import EslSource
from metrify_assets.feeds.model import E66Readings, EslReadings, Feed


def files_of(feed: Feed, path: Path) -> Iterator[Member]:
    """Yield the plain files of a drop as ``archives.members`` does; documents that say when they were made by that."""

    def moment(plain: Path) -> tuple[int, str]:
        # What does not say so comes first: it counts least. Of documents made at one time the content decides, not
        # how they were packed.
        return created_in(feed, plain) or 0, hashlib.sha256(plain.read_bytes()).hexdigest()

    yield from members(path, feed.members, feed.encoding, moment if feed.states_creation else None)


def created_at(feed: Feed, path: Path) -> int | None:
    """Return when the newest document in a file says that it was made, UTC microseconds.

    None for formats whose documents do not say so, and where none could be read: reading the file says why.
    """
    try:
        moments = [created_in(feed, member.path) for member in files_of(feed, path) if member.problem is None]
    except UnreadableFile:
        # The directory of a zip is damaged.
        return None
    return max((moment for moment in moments if moment is not None), default=None)


def created_in(feed: Feed, path: Path) -> int | None:
    """Return when a plain file says that it was made, UTC microseconds; None if its format or the file does not."""
    match feed:
        case E66Readings():
            return E66Source(feed, path).created()
        case EslReadings():
            return EslSource(feed, path).created()
    return None
