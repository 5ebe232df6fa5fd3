"""Which days are dirty: the digests that outputs were computed from against those of now.

Belongs here: the state of everything at one moment, and the comparison. Does not belong here: which inputs there are
(``inputs.py``) and what to do about a dirty day (``orchestration/automation/``).

An input is named ``<table>@<day>`` (of the same shard, or of the whole day for tables without shards) or by a single
word for parameters. Every shard of an output stores the digest of each input that it used; it is dirty when one of
them differs now. Of a damaged input nobody can say whether it differs: what was made of it stays until it is computed
again, which it is by itself, because a damaged day is dirty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property

from metrify_assets.days.inputs import DAMAGED, INPUTS, InputDigest
from metrify_assets.days.periods import Periods
from metrify_assets.days.raw import RawRows, read_shard
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.drops.ledger import LedgerView
from metrify_assets.errors import DamagedFileError
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import rule_book
from metrify_assets.registry.points import Registry
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.storage.lake import DayManifests, Lake, Shard
from metrify_assets.vee.grid import SeriesTable
from metrify_assets.vee.rulebook import DayRules, RuleBook

SOURCE_OF = {
    "validated_readings": "raw_readings",
    "clean_grid_status": "raw_grid_status",
    "clean_weather": "raw_weather",
    "clean_power_quality": "raw_power_quality",
}
"""The raw table whose days an output has."""

BESIDE = {"validated_readings": ("register_reads", "series_days")}
"""The tables that come from the computation of another."""

SHARDED = ("validated_readings", "clean_readings", "clean_power_quality")
"""Outputs whose days are cut by point."""

CLEAN_TABLES = ("clean_readings", "clean_grid_status", "clean_weather", "clean_power_quality")


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
        self.view: LedgerView = platform.ledger.view()
        self._registry = registry
        self._days: dict[str, DayManifests] = {}
        self._wanted: dict[str, set[date]] = {}
        self._indexes: dict[int, RegisterIndex] = {}

    @property
    def inputs(self) -> Mapping[str, InputDigest]:
        """The digest of every input, by the name of its table."""
        return INPUTS

    @cached_property
    def registry(self) -> Registry:
        """The registries."""
        return self._registry or platform_registry(self.platform)

    @cached_property
    def periods(self) -> Periods:
        """The closed billing periods."""
        return Periods(self.platform)

    @cached_property
    def rule_book(self) -> RuleBook:
        """The rule book."""
        return rule_book(self.platform.settings)

    def rules_on(self, day: date) -> DayRules:
        """Return the rules that hold on a delivery day."""
        return self.rule_book.on(day)

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the raw rows of a day and shard, from the drops that count."""
        return read_shard(self.platform.store, self.view, day, shard, series)

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between the register reads of a shard.

        Raises
        ------
        DamagedFileError
            If the reads of a day are damaged: a bracket may reach over it.
        """
        if shard not in self._indexes:
            self._indexes[shard] = self._find_index(shard)
        return self._indexes[shard]

    def _find_index(self, shard: int) -> RegisterIndex:
        entries = []
        for day, manifest in sorted(self.days("register_reads").whole().items()):
            part = manifest.shards.get(shard)
            if part is not None and part.rows:
                entries.append((day, part))
        identity = (
            tuple((day, part.digest) for day, part in entries),
            _manifest_digest(self.platform.lake, "registers"),
            _manifest_digest(self.platform.lake, "points"),
            self.rule_book.rollover_percents,
        )
        key = (str(self.platform.settings.root), shard)
        if key not in _register_indexes or _register_indexes[key][0] != identity:
            tables = (self.platform.lake.read_shard(part) for _, part in entries)
            _register_indexes[key] = (identity, RegisterIndex(tables, self.registry, shard, self.rule_book))
        return _register_indexes[key][1]

    def days(self, table: str) -> DayManifests:
        """Return the manifests of a table's days."""
        if table not in self._days:
            self._days[table] = self.platform.lake.days(table)
        return self._days[table]

    def damage(self, tables: Iterable[str]) -> dict[tuple[str, date], DamagedFileError]:
        """Return what is wrong with days of some tables, and of those beside them."""
        every = [member for table in tables for member in (table, *BESIDE.get(table, ()))]
        return {(member, day): error for member in every for day, error in sorted(self.days(member).damaged.items())}

    def is_damaged(self, table: str, day: date) -> bool:
        """Return whether a day of a table, or of those beside it, is damaged."""
        return any(day in self.days(member).damaged for member in (table, *BESIDE.get(table, ())))

    def current(self, name: str, shard: int) -> str:
        """Return the digest that an input has now, for one shard; ``DAMAGED`` if that cannot be told."""
        table, _, day = name.partition("@")
        digest = self.inputs.get(table)
        # An output of before may name an input that is none any more: then it is to be computed anew.
        return digest(self, date.fromisoformat(day) if day else None, shard) if digest else EMPTY

    def stale_shards(self, table: str, day: date, shards: int) -> list[int]:
        """Return the shards of a day that are absent or whose inputs have changed; all of a day that is damaged."""
        manifest = self.days(table).get(day)
        if manifest is None or self.is_damaged(table, day):
            return list(range(shards))
        return [
            number
            for number in range(shards)
            if number not in manifest.shards or not self.is_current(manifest.shards[number], number)
        ]

    def changed_inputs(self, table: str, day: date) -> Iterator[tuple[str, str, str]]:
        """Yield kind, digest before and digest now of every input of a day that differs; an empty kind for no day."""
        manifest = self.days(table).get(day)
        if manifest is None:
            yield "", EMPTY, EMPTY
            return
        for number in range(self.shards_of(table)):
            for name, digest in manifest.shards[number].inputs.items() if number in manifest.shards else ():
                current = self.current(name, number)
                if current != digest:
                    yield name.partition("@")[0], digest, current

    def is_current(self, entry: Shard, number: int) -> bool:
        """Return whether a shard was computed from inputs that are what they were, as far as that can be told."""
        return all(self.current(name, number) in (digest, DAMAGED) for name, digest in entry.inputs.items())

    def wanted_days(self, table: str) -> set[date]:
        """Return the days that a table should have: those delivered, and those computed before; none to come."""
        if table not in self._wanted:
            first, last = self.platform.first_day, self.platform.today
            self._wanted[table] = {day for day in self._find_wanted_days(table) if first <= day <= last}
        return self._wanted[table]

    def _find_wanted_days(self, table: str) -> set[date]:
        if table == "clean_readings":
            return self.days("validated_readings").every_day
        raw = self.view.raw_digests(SOURCE_OF[table])
        return {date.fromisoformat(day) for day in raw} | self.days(table).every_day

    def dirty_days(self, table: str) -> set[date]:
        """Return the days of a table that have to be computed."""
        return {day for day in self.wanted_days(table) if self.stale_shards(table, day, self.shards_of(table))}

    def shards_of(self, table: str) -> int:
        """Return how many shards a day of a table has."""
        return self.platform.settings.shards if table in SHARDED else 1

    def followers(self, days: Iterable[date]) -> set[date]:
        """Return the clean days that used one of these validated days: they may be dirty once it is computed."""
        upstream = {f"{table}@{day}" for day in days for table in ("validated_readings", "series_days")}
        return {
            day
            for day, manifest in self.days("clean_readings").items()
            if any(not upstream.isdisjoint(shard.inputs) for shard in manifest.shards.values())
        }

    def inputs_digest(self, day: date) -> str:
        """Return one digest of all that was delivered and registered for a day: what a parked day waits for."""
        names = [f"{table}@{day}" for table in ("raw_grid_status", "raw_weather")]
        raw = [self.view.day_digest(table, day) for table in ("raw_readings", "raw_power_quality")]
        digests = [self.current(name, 0) for name in names]
        return digest_of(*raw, *digests, self.registry.whole_digest(day), self.rules_on(day).digest)


_registries: dict[tuple[object, ...], Registry] = {}
_register_indexes: dict[tuple[str, int], tuple[tuple[object, ...], RegisterIndex]] = {}


def platform_registry(platform: Platform) -> Registry:
    """Return the registries as of now; they are read again only when one of them was rebuilt."""
    settings = platform.settings
    digests = (_manifest_digest(platform.lake, name) for name in REGISTRIES)
    key = (str(settings.root), settings.shards, settings.timezone, *digests)
    if key not in _registries:
        _registries.clear()
        _registries[key] = Registry.read(platform.lake, settings.shards, settings.timezone)
    return _registries[key]


def _manifest_digest(lake: Lake, table: str) -> str:
    manifest = lake.manifest(table, None)
    return manifest.digest if manifest else EMPTY
