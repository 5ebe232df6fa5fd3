"""The platform as one object: settings and the stores that follow from them.

Belongs here: the one mapping from profile to resources, so that assets never ask where they run. Does not belong
here: anything that computes.
"""

from __future__ import annotations

import json
from functools import cached_property

from metrify_assets.errors import LakeError, SettingsError
from metrify_assets.feeds.catalogue import get_feed, load_feeds
from metrify_assets.feeds.model import Feed
from metrify_assets.lake import Lake
from metrify_assets.ledger import Ledger
from metrify_assets.resources.object_store import LocalObjectStore, ObjectStore
from metrify_assets.settings import Profile, Settings

FORMAT_KEY = "lake/_format.json"


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
                "this version runs the local profile only (Parquet in a directory): set METRIFY_PROFILE=local; with "
                "METRIFY_WAREHOUSE_ENGINE=snowflake the marts are built in Snowflake"
            )
        self.settings = settings

    @cached_property
    def store(self) -> ObjectStore:
        """Landing zone, lake and ledger."""
        return LocalObjectStore(self.settings.root)

    @cached_property
    def ledger(self) -> Ledger:
        """Record of all drops."""
        self._check_format()
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

    def _check_format(self) -> None:
        """Raise ``LakeError`` if the lake was written with other settings that decide where a value lies."""
        wanted = {"METRIFY_SHARDS": str(self.settings.shards), "METRIFY_TIMEZONE": self.settings.timezone}
        try:
            found = json.loads(self.store.read(FORMAT_KEY))
        except FileNotFoundError:
            return
        for name, value in wanted.items():
            if found.get(name, value) != value:
                raise LakeError(
                    f"this lake was written with {name}={found[name]}, not {value}: set {name}={found[name]}"
                )

    def keep_format(self) -> None:
        """Note the settings that decide where a value lies, before the first value is written."""
        if not self.store.exists(FORMAT_KEY):
            record = {"METRIFY_SHARDS": str(self.settings.shards), "METRIFY_TIMEZONE": self.settings.timezone}
            self.store.write(FORMAT_KEY, json.dumps(record).encode())
