"""The platform as one object: settings and the stores that follow from them.

Belongs here: the one mapping from profile to resources, so that assets never ask where they run. Does not belong
here: anything that computes.
"""

from __future__ import annotations

import json
from datetime import date
from functools import cache, cached_property

from metrify_assets.clock import SYSTEM_CLOCK, Clock
from metrify_assets.drops.first_day import FirstDay, read_first_day
from metrify_assets.drops.inbox import Inbox, LocalInbox
from metrify_assets.drops.inbox_s3 import S3Inbox
from metrify_assets.drops.ledger import Ledger
from metrify_assets.errors import LakeError
from metrify_assets.feeds.catalogue import Feeds, definitions_state, get_feed, load_feeds
from metrify_assets.feeds.model import Feed
from metrify_assets.settings import Settings, StoreKind
from metrify_assets.storage.lake import Lake
from metrify_assets.storage.object_store import LocalObjectStore, ObjectStore
from metrify_assets.storage.s3 import Bucket, S3ObjectStore

FORMAT_KEY = "lake/_format.json"


class Platform:
    """Everything an asset, a sensor or the command line works with.

    Parameters
    ----------
    settings : Settings
    clock : Clock
    """

    def __init__(self, settings: Settings, clock: Clock = SYSTEM_CLOCK):
        self.settings, self.clock = settings, clock
        self._definitions: tuple[tuple[str, int, int], ...] = ()

    @cached_property
    def store(self) -> ObjectStore:
        """Landing zone, lake and ledger."""
        return object_store(self.settings)

    @cached_property
    def inbox(self) -> Inbox:
        """Where senders put files."""
        return inbox(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """Record of all drops."""
        self._check_format()
        return Ledger(self.store, self.clock)

    @cached_property
    def lake(self) -> Lake:
        """Parquet tables."""
        return Lake(self.store, self.clock)

    @property
    def first_day(self) -> date:
        """First delivery day; older values are quarantined.

        The environment rules, then what the installation keeps. It is looked up once, so that it stays the one that
        the partitions of this process begin with.
        """
        return self._first_day.day

    @property
    def former_first_days(self) -> tuple[date, ...]:
        """Those that the installation had before; none if the environment says the first day."""
        return self._first_day.former

    @cached_property
    def _first_day(self) -> FirstDay:
        said = FirstDay(self.settings.first_day)
        return said if self.settings.says_first_day else read_first_day(self.store) or said

    def reload_first_day(self) -> None:
        """Look the first day up anew, after it was moved."""
        self.__dict__.pop("_first_day", None)

    @cached_property
    def feeds(self) -> Feeds:
        """Feed definitions by name, and those that cannot be read."""
        return load_feeds(self.settings)

    def look_at_feeds(self) -> None:
        """Read the definitions anew if one was added, removed or written since the last look."""
        state = definitions_state(self.settings)
        if state != self._definitions:
            self._definitions = state
            self.__dict__.pop("feeds", None)

    @property
    def today(self) -> date:
        """The delivery day that runs now: the last one that is computed."""
        return self.clock.today(self.settings.timezone)

    def feed(self, name: str) -> Feed:
        """Return a feed; raise ``FeedError`` that lists the known ones, or says what is wrong with its definition."""
        return get_feed(self.feeds, name)

    @property
    def has_format(self) -> bool:
        """Whether values were written before."""
        return self.store.exists(FORMAT_KEY)

    def _check_format(self) -> bool:
        """Return whether the lake says the settings that decide where a value lies.

        Raises ``LakeError`` if they are not those of this installation.
        """
        try:
            stored = json.loads(self.store.read(FORMAT_KEY))
        except FileNotFoundError:
            return False
        for name, value in self._format.items():
            if stored.get(name, value) != value:
                raise LakeError(
                    f"this lake was written with {name}={stored[name]}, not {value}: set {name}={stored[name]}"
                )
        return True

    def keep_format(self) -> None:
        """Note the settings that decide where a value lies, before the first value is written."""
        # Of two installations that begin at once, one decides.
        if not self._check_format() and not self.store.create(FORMAT_KEY, json.dumps(self._format).encode()):
            self._check_format()

    @property
    def _format(self) -> dict[str, str]:
        return {"METRIFY_SHARDS": str(self.settings.shards), "METRIFY_TIMEZONE": self.settings.timezone}


@cache
def platform_of(settings: Settings) -> Platform:
    """Return the platform of an installation; that of a process stays, with what it has read of the ledger."""
    return Platform(settings)


def object_store(settings: Settings) -> ObjectStore:
    """Return the store of landing zone, lake and ledger."""
    if settings.store is StoreKind.S3:
        return S3ObjectStore(bucket_of(settings), settings.s3_cache)
    return LocalObjectStore(settings.root)


def inbox(settings: Settings) -> Inbox:
    """Return where senders put files."""
    return S3Inbox(bucket_of(settings)) if settings.store is StoreKind.S3 else LocalInbox(settings.inbox)


def bucket_of(settings: Settings) -> Bucket:
    """Return the bucket of an installation on S3."""
    return _bucket(settings.s3_bucket or "", settings.s3_prefix, settings.s3_endpoint, settings.s3_timeout_seconds)


@cache
def _bucket(name: str, prefix: str, endpoint: str | None, timeout_seconds: float) -> Bucket:
    """Return the bucket; store and inbox share its client, which takes long to make."""
    return Bucket(name, prefix, endpoint, timeout_seconds)
