"""The platform as one object: settings and the stores that follow from them.

Belongs here: the one mapping from profile to resources, so that assets never ask where they run. Does not belong
here: anything that computes.
"""

from __future__ import annotations

from functools import cached_property

from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.feeds.catalogue import get_feed, load_feeds
from metrify_assets.feeds.model import Feed
from metrify_assets.lake import Lake
from metrify_assets.ledger import Ledger
from metrify_assets.resources.object_store import LocalObjectStore, ObjectStore
from metrify_assets.settings import Profile, Settings


class Platform:
    """Everything an asset, a sensor or the command line works with.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    SettingsError
        If the profile is not one that this version can run.
    """

    def __init__(self, settings: Settings):
        if settings.profile is Profile.PRODUCTION:
            raise SettingsError(
                "this version runs the local profile only (Parquet in a directory, DuckDB): set METRIFY_PROFILE=local"
            )
        self.settings = settings

    @cached_property
    def store(self) -> ObjectStore:
        """Landing zone, lake and ledger."""
        return LocalObjectStore(self.settings.root)

    @cached_property
    def ledger(self) -> Ledger:
        """Record of all drops."""
        self._check_shards()
        return Ledger(self.store)

    @cached_property
    def lake(self) -> Lake:
        """Parquet tables."""
        return Lake(self.store)

    @cached_property
    def feeds(self) -> dict[str, Feed]:
        """Feed definitions by name."""
        return load_feeds(self.settings)

    def feed(self, name: str) -> Feed:
        """Return a feed; raise ``FeedError`` that lists the known ones."""
        return get_feed(self.feeds, name)

    def _check_shards(self) -> None:
        """Raise ``LakeError`` if the lake was written with another number of shards."""
        key = "lake/_shards"
        wanted = str(self.settings.shards)
        if not self.store.exists(key):
            self.store.write(key, wanted.encode())
        found = self.store.read(key).decode()
        if found != wanted:
            raise LakeError(f"this lake has {found} shards, not {wanted}: set METRIFY_SHARDS={found}")
