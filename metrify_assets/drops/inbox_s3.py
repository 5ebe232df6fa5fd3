"""The inbox of a bucket: ``<prefix>/inbox/<feed>/...``, looked at in bounded steps.

Belongs here: which part of the keys one look lists. S3 lists keys by name, not by time, 1,000 to a request, so what is
new can only be found cheaply if names have dates: a feed that declares ``dated_names`` is listed from some days ago on,
at every look. All other keys are passed through in slices, one slice a look, from where the last one ended; dated
feeds take part in that once in a while (``inbox.FULL_PASS_EVERY``), which finds what was put under an old date. What
was seen before is told by the ledger alone: a position that is lost or old costs requests, never a file. Does not
belong here: what S3 is (``storage/s3.py``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from metrify_assets.drops.inbox import (
    InboxFile,
    InboxState,
    Position,
    RecordedSources,
    StillChangingError,
    checked_name,
    feed_of,
    recent_names,
)
from metrify_assets.drops.ledger import Source
from metrify_assets.feeds.model import Feed
from metrify_assets.storage.object_store import StoredObject
from metrify_assets.storage.s3 import Bucket, ObjectChangedError

FOLDER = "inbox/"
SLICE_REQUESTS = 5
"""Listings of 1,000 keys that one look spends on passing through, at most."""
SLICE_SECONDS = 0.25
"""Time after which no further listing is begun."""


class S3Inbox:
    """The folder ``inbox/`` of a bucket."""

    hashed_bytes = 16 * 2**20

    def __init__(self, bucket: Bucket):
        self.bucket = bucket

    def scan(
        self, feeds: Mapping[str, Feed], now: int, recorded: RecordedSources = frozenset(), position: str | None = None
    ) -> InboxState:
        """List the inbox as of ``now`` (UTC microseconds), without what is known; see ``Inbox.scan``."""
        state = InboxState()
        seen: set[str] = set()
        if position is None:
            for page in self.bucket.pages(FOLDER):
                _judge(page, feeds, recorded, seen, state)
        else:
            for page in self._recent(feeds, now):
                _judge(page, feeds, recorded, seen, state)
            after = self._slice(feeds, Position.parse(position).begun(now), recorded, seen, state)
            state.position = str(after)
        state.sort()
        return state

    def _recent(self, feeds: Mapping[str, Feed], now: int) -> Iterator[list[StoredObject]]:
        """Yield the keys of dated feeds whose date is recent, or that come after all dates."""
        for name, (beginning, after) in recent_names(feeds, now).items():
            yield from self.bucket.pages(f"{FOLDER}{name}/{beginning}", f"{FOLDER}{name}/{after}")

    def _slice(
        self,
        feeds: Mapping[str, Feed],
        position: Position,
        recorded: RecordedSources,
        seen: set[str],
        state: InboxState,
    ) -> Position:
        """Judge the next keys of the pass, a bounded number of them; return where it is then."""
        after, requests, began = position.after, 0, time.monotonic()
        for folder in self._folders(feeds, position):
            more = True
            while more:
                if requests == SLICE_REQUESTS or (requests and time.monotonic() - began > SLICE_SECONDS):
                    return Position(after, position.full, position.full_began)
                page, more = self.bucket.page(folder, after)
                requests += 1
                _judge(page, feeds, recorded, seen, state)
                after = page[-1].key if more else _end(folder)
        return Position("", False, position.full_began)

    def _folders(self, feeds: Mapping[str, Feed], position: Position) -> list[str]:
        """Return the folders that the pass has before it: the inbox itself, or those of feeds without dates."""
        dated = {f"{FOLDER}{name}/" for name, feed in feeds.items() if feed.dated_names is not None}
        folders = [FOLDER] if position.full or not dated else self.bucket.folders(FOLDER)
        return [folder for folder in folders if folder not in dated and position.after < _end(folder)]

    @contextmanager
    def reading(self, file: InboxFile) -> Iterator[BinaryIO]:
        """Yield the bytes of the version that was seen; raise ``StillChangingError`` if there is another by now."""
        try:
            with self.bucket.opened(f"{FOLDER}{file.feed}/{file.name}", file.etag) as stream:
                yield stream
        except ObjectChangedError as error:
            raise StillChangingError from error

    def put_bytes(self, feed: Feed, name: str, content: bytes) -> str:
        """Make some bytes an object of a feed's folder, in one request; return where it is."""
        key = f"{FOLDER}{feed.name}/{name}"
        self.bucket.put(key, content)
        return self.bucket.uri(key)

    def holds(self, feed: Feed, beginning: str) -> bool:
        """Return whether there is an object in a feed's folder whose name begins so."""
        objects, _ = self.bucket.page(f"{FOLDER}{feed.name}/{beginning}")
        return bool(objects)

    def put(self, feed: Feed, source: Path, name: str | None = None) -> str:
        """Upload a file into a feed's folder; return where it is."""
        key = f"{FOLDER}{feed.name}/{checked_name(feed, source, name)}"
        self.bucket.upload(source, key)
        return self.bucket.uri(key)


def _end(folder: str) -> str:
    """Return the text that comes after all keys of a folder."""
    return folder[:-1] + chr(ord("/") + 1)


def _judge(
    page: list[StoredObject], feeds: Mapping[str, Feed], recorded: RecordedSources, seen: set[str], state: InboxState
) -> None:
    """Add to the state what is new among some objects. An object is whole when it is listed: none has to settle."""
    for item in page:
        name = item.key.removeprefix(FOLDER)
        feed_name, _, rest = name.partition("/")
        source = Source(rest, item.size, item.modified_at, item.etag)
        if (feed_name, source) in recorded or item.key in seen or name.endswith("/") or not name:
            continue
        seen.add(item.key)
        if feed_of(name, feeds, state) is not None:
            state.files.append(InboxFile(feed_name, *source))
