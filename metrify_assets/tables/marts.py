"""The marts of a day: what dbt is told to read, and the record of what it read.

Belongs here: the digests that the marts were built from. Does not belong here: running dbt (``assets/marts.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from metrify_assets.lake import EMPTY, Manifest, Shard, digest_of
from metrify_assets.platform import Platform
from metrify_assets.resources.warehouse import DUCKDB_IDENTITY, LakePart, Warehouse
from metrify_assets.schemas.registries import WAREHOUSE_REGISTRIES
from metrify_assets.tables.digests import CLEAN_TABLES, Digests

MARTS = "marts"
WAREHOUSE_KEY = f"lake/{MARTS}/_warehouse"
"""Object that names the warehouse which the records speak of."""


@dataclass(frozen=True)
class MartInputs:
    """What a dbt run is about to read: inputs by day, and the digest of the registries."""

    days: dict[date, dict[str, str]]
    registries: str


def registries_digest(platform: Platform) -> str:
    """Return the digest of the registry tables as they are now."""
    manifests = [platform.lake.manifest(name, None) for name in sorted(WAREHOUSE_REGISTRIES)]
    return digest_of(*(manifest.digest if manifest else EMPTY for manifest in manifests))


def prepare(platform: Platform, warehouse: Warehouse, days: Iterable[date], *, only_stale: bool = False) -> MartInputs:
    """Tell the warehouse which files are current and which days to rebuild; return the digests of that moment.

    A warehouse that is new or another one holds no day, whatever the records say: they are removed first. With
    ``only_stale`` days whose inputs are those that they were built from are left alone.
    """
    forget_others(platform, warehouse)
    registries = registries_digest(platform)
    digests = Digests(platform)
    days = sorted(day for day in days if not only_stale or digests.stale_shards(MARTS, day, 1))
    found = [manifest for table in CLEAN_TABLES for _, manifest in sorted(digests.days(table).items())]
    found += [manifest for name in WAREHOUSE_REGISTRIES if (manifest := platform.lake.manifest(name, None))]
    beside = ("registries", "holidays", "mart_vars")
    names = {day: [f"{table}@{day}" for table in (*CLEAN_TABLES, *beside)] for day in days}
    inputs = {day: {name: digests.current(name, 0) for name in listed} for day, listed in names.items()}
    if registries_digest(platform) != registries:
        # A registry was published meanwhile: files and digests must be of one moment.
        return prepare(platform, warehouse, days, only_stale=only_stale)
    warehouse.announce([_part(manifest) for manifest in found], days, platform.store.local_copies)
    platform.store.write(WAREHOUSE_KEY, warehouse.identity.encode())
    return MartInputs(inputs, registries)


def _part(manifest: Manifest) -> LakePart:
    return LakePart(manifest.table, manifest.day, manifest.digest, tuple(manifest.files), manifest.rows)


def record_days(platform: Platform, inputs: MartInputs, rows: dict[date, int]) -> None:
    """Note that the daily marts hold these days as of ``inputs``."""
    for day, names in inputs.days.items():
        shard = Shard("", rows.get(day, 0), digest_of(*sorted(names.items())), names)
        platform.lake.publish(MARTS, day, {0: shard})


def record_dimensions(platform: Platform, inputs: MartInputs) -> None:
    """Note that the dimensions hold the registries as of ``inputs``."""
    shard = Shard("", 0, inputs.registries, {"registries": inputs.registries})
    platform.lake.publish(MARTS, None, {0: shard})


def dimensions_stale(platform: Platform) -> bool:
    """Return whether a registry changed since the dimensions were built."""
    manifest = platform.lake.manifest(MARTS, None)
    known = manifest.shards[0].digest if manifest else digest_of(*([EMPTY] * len(WAREHOUSE_REGISTRIES)))
    return known != registries_digest(platform)


def forget_others(platform: Platform, warehouse: Warehouse) -> None:
    """Remove the records if they do not speak of this warehouse as it is: it is new, or another one was used before."""
    try:
        recorded = platform.store.read(WAREHOUSE_KEY).decode()
    except FileNotFoundError:
        recorded = DUCKDB_IDENTITY
    if recorded != warehouse.identity or not warehouse.exists:
        forget(platform)


def forget(platform: Platform) -> None:
    """Remove the records of what the marts hold."""
    for item in platform.store.list(f"lake/{MARTS}"):
        platform.store.delete(item.key)
