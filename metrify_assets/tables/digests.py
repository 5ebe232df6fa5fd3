"""Which days are dirty: the digests that outputs were computed from against those of now.

Belongs here: the names of inputs, their current digests, and the comparison. Does not belong here: what to do about
a dirty day (``automation/``).

An input is named ``<table>@<day>`` (of the same shard, or of the whole day for tables without shards) or by a single
word for parameters. Every shard of an output stores the digest of each input that it used; it is dirty when one of
them differs now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property

from metrify_assets.lake import EMPTY, Manifest, digest_of
from metrify_assets.platform import Platform
from metrify_assets.tables.calendar import holiday_digest
from metrify_assets.tables.points import Registry
from metrify_assets.vee.parameters import EstimationParameters, RuleSet

RULES = RuleSet()
ESTIMATION = EstimationParameters()

SOURCE_OF = {
    "validated_readings": "raw_readings",
    "clean_grid_status": "raw_grid_status",
    "clean_weather": "raw_weather",
}
"""The raw table whose days an output has."""

CLEAN_TABLES = ("clean_readings", "clean_grid_status", "clean_weather")


class Digests:
    """The state of everything at one moment, asked for by name.

    Parameters
    ----------
    platform : Platform
    registry : Registry, optional
        Given by callers that hold one already.
    """

    def __init__(self, platform: Platform, registry: Registry | None = None):
        self.platform = platform
        self.view = platform.ledger.view()
        self._registry = registry
        self._days: dict[str, Mapping[date, Manifest]] = {}
        self._wanted: dict[str, set[date]] = {}

    @cached_property
    def registry(self) -> Registry:
        """The registries."""
        return self._registry or platform_registry(self.platform)

    def days(self, table: str) -> Mapping[date, Manifest]:
        """Return the manifests of a table's days."""
        if table not in self._days:
            self._days[table] = self.platform.lake.days(table)
        return self._days[table]

    def current(self, name: str, shard: int) -> str:
        """Return the digest that an input has now, for one shard."""
        table, _, text = name.partition("@")
        if table == "rules":
            return RULES.digest
        if table == "estimation":
            return ESTIMATION.digest
        day = date.fromisoformat(text)
        if table == "raw_readings":
            return self.view.raw_digests(table).get(text, {}).get(str(shard), EMPTY)
        if table in ("raw_grid_status", "raw_weather"):
            return self.view.day_digest(table, text)
        if table == "points":
            return self.registry.shard_digest(day, shard)
        if table == "registries":
            return self.registry.day_digest(day)
        if table == "holidays":
            return holiday_digest(day)
        manifest = self.days(table).get(day)
        if table == "validated_readings":
            found = manifest.shards.get(shard) if manifest else None
            return found.digest if found else EMPTY
        return manifest.digest if manifest else EMPTY

    def stale_shards(self, table: str, day: date, shards: int) -> list[int]:
        """Return the shards of a day that are absent or whose inputs have changed."""
        manifest = self.days(table).get(day)
        if manifest is None:
            return list(range(shards))
        return [
            number
            for number in range(shards)
            if number not in manifest.shards
            or any(self.current(name, number) != digest for name, digest in manifest.shards[number].inputs.items())
        ]

    def wanted_days(self, table: str) -> set[date]:
        """Return the days that a table should have: those delivered, and those computed before."""
        if table not in self._wanted:
            first = self.platform.settings.first_day
            self._wanted[table] = {day for day in self._find_wanted_days(table) if day >= first}
        return self._wanted[table]

    def _find_wanted_days(self, table: str) -> set[date]:
        if table == "marts":
            return {day for clean in CLEAN_TABLES for day in self.days(clean)}
        if table == "clean_readings":
            return set(self.days("validated_readings"))
        raw = self.view.raw_digests(SOURCE_OF[table])
        return {date.fromisoformat(day) for day in raw} | set(self.days(table))

    def dirty_days(self, table: str) -> set[date]:
        """Return the days of a table that have to be computed."""
        shards = self.platform.settings.shards if table in ("validated_readings", "clean_readings") else 1
        return {day for day in self.wanted_days(table) if self.stale_shards(table, day, shards)}

    def followers(self, days: Iterable[date]) -> set[date]:
        """Return the clean days that used one of these validated days: they may be dirty once it is computed."""
        upstream = {f"validated_readings@{day}" for day in days}
        return {
            day
            for day, manifest in self.days("clean_readings").items()
            if any(not upstream.isdisjoint(shard.inputs) for shard in manifest.shards.values())
        }

    def inputs_digest(self, day: date) -> str:
        """Return one digest of all that was delivered and registered for a day: what a parked day waits for."""
        names = [f"{table}@{day}" for table in ("raw_grid_status", "raw_weather")]
        raw = self.view.day_digest("raw_readings", day)
        found = [self.current(name, 0) for name in names]
        return digest_of(raw, *found, self.registry.day_digest(day), RULES.digest, ESTIMATION.digest)


_registries: dict[tuple, Registry] = {}


def platform_registry(platform: Platform) -> Registry:
    """Return the registries as of now; they are read again only when one of them was rebuilt."""
    manifests = [platform.lake.manifest(name, None) for name in ("points", "meters", "operators", "weather_stations")]
    key = (
        str(platform.settings.root),
        platform.settings.shards,
        *(manifest.digest if manifest else EMPTY for manifest in manifests),
    )
    if key not in _registries:
        _registries.clear()
        _registries[key] = Registry(platform.lake, platform.settings.shards)
    return _registries[key]
