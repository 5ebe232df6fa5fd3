"""The inbox of a bucket: ``<prefix>/inbox/<feed>/...``, looked at in bounded steps.

Belongs here: which part of the keys one look lists. S3 lists keys by name, not by time, 1,000 to a request, so what is
new can only be found cheaply if the names tell: a feed that declares ``dated_names`` is listed from some days ago on,
at every look. All other keys are passed through in slices, one slice a look, from where the last one ended; dated
feeds take part in that at most once in ``FULL_PASS_EVERY``, which finds what was put under an old date. What was seen
before is told by the ledger alone: a position that is lost or old costs requests, never a file. Does not belong here:
what S3 is (``resources/s3.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from metrify_assets.feeds.model import Feed
from metrify_assets.inbox import (
    InboxFile,
    InboxState,
    Known,
    StillChangingError,
    checked_name,
    feed_of,
)
from metrify_assets.ledger import Source
from metrify_assets.resources.object_store import StoredObject
from metrify_assets.resources.s3 import Bucket, ObjectChangedError

FOLDER = "inbox/"
SLICE_REQUESTS = 5
"""Listings of 1,000 keys that one look spends on passing through: about half a second."""
FULL_PASS_EVERY = timedelta(hours=1)
_AFTER_SLASH = chr(ord("/") + 1)
"""A folder's name with this at its end comes after all that the folder holds."""


@dataclass(frozen=True)
class Position:
    """Where the pass through the keys is.

    Attributes
    ----------
    after : str
        Last key that the pass has seen; empty at its beginning.
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
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class S3Inbox:
    """The folder ``inbox/`` of a bucket."""

    def __init__(self, bucket: Bucket):
        self.bucket = bucket

    def scan(
        self, feeds: Mapping[str, Feed], now: int, known: Known = frozenset(), position: str | None = None
    ) -> InboxState:
        """List the inbox as of ``now`` (UTC microseconds), without what is known; see ``Inbox.scan``."""
        state = InboxState()
        seen: set[str] = set()
        if position is None:
            for page in self.bucket.pages(FOLDER):
                _judge(page, feeds, known, seen, state)
        else:
            for page in self._recent(feeds, now):
                _judge(page, feeds, known, seen, state)
            after = self._slice(feeds, _begun(Position.parse(position), now), known, seen, state)
            state.position = str(after)
        state.sort()
        return state

    def _recent(self, feeds: Mapping[str, Feed], now: int) -> Iterator[list[StoredObject]]:
        """Yield the keys of dated feeds whose date is recent, or that come after all dates."""
        today = datetime.fromtimestamp(now / 1_000_000, UTC).date()
        for feed in feeds.values():
            if feed.dated_names is not None:
                folder = f"{FOLDER}{feed.name}/"
                yield from self.bucket.pages(*(folder + text for text in feed.dated_names.window(today)))

    def _slice(
        self, feeds: Mapping[str, Feed], position: Position, known: Known, seen: set[str], state: InboxState
    ) -> Position:
        """Judge the next keys of the pass; return where it is then."""
        after = position.after or FOLDER
        for _ in range(SLICE_REQUESTS):
            page, more = self.bucket.page(FOLDER, after)
            skipped = None if position.full else _first_dated(page, feeds)
            if skipped is not None:
                page = [item for item in page if item.key < f"{FOLDER}{skipped}/"]
                after, more = FOLDER + skipped + _AFTER_SLASH, True
            elif page:
                after = page[-1].key
            _judge(page, feeds, known, seen, state)
            if not more:
                return Position("", False, position.full_began)
        return Position(after, position.full, position.full_began)

    @contextmanager
    def reading(self, file: InboxFile) -> Iterator[BinaryIO]:
        """Yield the bytes of the version that was seen; raise ``StillChangingError`` if there is another by now."""
        try:
            with self.bucket.opened(f"{FOLDER}{file.feed}/{file.name}", file.etag) as stream:
                yield stream
        except ObjectChangedError as error:
            raise StillChangingError from error

    def put(self, feed: Feed, source: Path, name: str | None = None) -> str:
        """Upload a file into a feed's folder; return where it is."""
        key = f"{FOLDER}{feed.name}/{checked_name(feed, source, name)}"
        self.bucket.upload(source, key)
        return self.bucket.uri(key)


def _begun(position: Position, now: int) -> Position:
    """Return the position; at the beginning of a pass, with the decision whether it is a full one."""
    if position.after:
        return position
    due = now - position.full_began >= FULL_PASS_EVERY // timedelta(microseconds=1)
    return Position("", due, now if due else position.full_began)


def _first_dated(page: list[StoredObject], feeds: Mapping[str, Feed]) -> str | None:
    """Return the first dated feed that a page holds keys of."""
    for item in page:
        name = item.key.removeprefix(FOLDER).partition("/")[0]
        if name in feeds and feeds[name].dated_names is not None:
            return name
    return None


def _judge(
    page: list[StoredObject], feeds: Mapping[str, Feed], known: Known, seen: set[str], state: InboxState
) -> None:
    """Add to the state what is new among some objects. An object is whole when it is listed: none has to settle."""
    for item in page:
        name = item.key.removeprefix(FOLDER)
        feed_name, _, rest = name.partition("/")
        source = Source(rest, item.size, item.modified_at, item.etag)
        if (feed_name, source) in known or item.key in seen or name.endswith("/") or not name:
            continue
        seen.add(item.key)
        if feed_of(name, feeds, state) is not None:
            state.files.append(InboxFile(feed_name, *source))
