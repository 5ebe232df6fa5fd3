"""The marts of a day: what dbt is to read, and the record of what it read.

Belongs here: the digests that the marts were built from: inputs, code, columns; and which warehouse they speak of. Does
not belong here: running dbt (``orchestration/assets/marts.py``).

A record says that the rows of a day were built from certain inputs and passed their tests. So it is removed before
other rows come in, and written again after the tests: of a run that fails or dies nothing is recorded, and the day is
dirty whatever its inputs are by then.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypedDict

from metrify_assets.days.digests import CLEAN_TABLES
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.platform import Platform
from metrify_assets.schemas.registries import WAREHOUSE_REGISTRIES
from metrify_assets.storage.lake import Lake, Manifest, Shard
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.warehouse.digests import MARTS, MartDigests
from metrify_assets.warehouse.mart_vars import vars_digest
from metrify_assets.warehouse.warehouse import LakePart, Warehouse

WAREHOUSE_KEY = f"lake/{MARTS}/_warehouse"
"""Object that says which warehouse the records speak of: its name, and the marks that it may carry."""
COLUMNS_KEY = f"lake/{MARTS}/_columns"
"""Object that names the columns which the tables were built with."""


@dataclass(frozen=True)
class MartInputs:
    """What a dbt run is about to read: inputs by day, and the digest of what the dimensions are made from.

    ``damaged`` says what is wrong with days that are left out: those whose clean tables cannot be read.
    """

    days: dict[date, dict[str, str]]
    dimensions: str
    damaged: tuple[str, ...] = ()

    def digest(self, day: date) -> str:
        """Return the digest of the inputs of a day."""
        return digest_of(*sorted(self.days[day].items()))


def registries_digest(lake: Lake) -> str:
    """Return the digest of the registry tables as they are now."""
    manifests = [lake.manifest(name, None) for name in sorted(WAREHOUSE_REGISTRIES)]
    return digest_of(*(manifest.digest if manifest else EMPTY for manifest in manifests))


def dimensions_digest(lake: Lake, digests: MartDigests, days: Iterable[date] = ()) -> str:
    """Return the digest of what the dimensions are made from: registries, seeds, models, variables, calendar years.

    ``days`` are days that are about to get values: the calendar has to have them, too.
    """
    years = _years(digests, days)
    ends = (min(years), max(years)) if years else ()
    return digest_of(registries_digest(lake), digests.seeds, digests.models, vars_digest(), ends)


def _years(digests: MartDigests, days: Iterable[date]) -> set[int]:
    """Return the years of some days, and of those that have values."""
    filled = (day for table in CLEAN_TABLES for day, manifest in digests.days(table).items() if manifest.rows)
    return {day.year for day in (*filled, *days)}


def prepare(platform: Platform, warehouse: Warehouse, days: Iterable[date], *, only_stale: bool = False) -> MartInputs:
    """Register in the warehouse which files are current and which days to rebuild; return the digests of that moment.

    A warehouse that is new or another one holds no day, whatever the records say: they are removed first. With
    ``only_stale`` days whose inputs are those that they were built from are left alone. Days whose clean tables are
    damaged are left out: their rows stay as they are.
    """
    found_mark = invalidate_if_restored(platform.store, warehouse)
    registries = registries_digest(platform.lake)
    digests = MartDigests(platform)
    asked, damaged = set(days), digests.damage(CLEAN_TABLES)
    days = sorted(
        day
        for day in asked.difference(day for _, day in damaged)
        if not only_stale or digests.stale_shards(MARTS, day, 1)
    )
    manifests = [manifest for table in CLEAN_TABLES for _, manifest in sorted(digests.days(table).items())]
    manifests += [manifest for name in WAREHOUSE_REGISTRIES if (manifest := platform.lake.manifest(name, None))]
    beside = ("registries", "mart_seeds", "mart_vars", "mart_models")
    names = {day: [f"{table}@{day}" for table in (*CLEAN_TABLES, *beside)] for day in days}
    inputs = {day: {name: digests.current(name, 0) for name in listed} for day, listed in names.items()}
    if registries_digest(platform.lake) != registries:
        # A registry was published meanwhile: files and digests must be of one moment.
        return prepare(platform, warehouse, asked, only_stale=only_stale)
    mark = uuid.uuid4().hex
    # Killed in between, it carries the one or the other.
    _note_warehouse(platform.store, warehouse, [found_mark, mark])
    warehouse.prepare_build([_part(manifest) for manifest in manifests], days, platform.store.local_copies, mark)
    _note_warehouse(platform.store, warehouse, [mark])
    left_out = tuple(str(error) for (_, day), error in damaged.items() if day in asked)
    return MartInputs(inputs, dimensions_digest(platform.lake, digests), left_out)


_LAKE_FILE = re.compile(r"""lake/[^'"\s]+\.parquet""")


def damaged_files(platform: Platform, inputs: MartInputs, message: str) -> list[str]:
    """Return the files that made dbt fail: those of its days that are damaged, and those that it named itself.

    This reads the files of the days, which DuckDB does not always name; it is done after a failure only.
    """
    lake, digests = platform.lake, MartDigests(platform)
    manifests = [digests.days(table).get(day) for table in CLEAN_TABLES for day in inputs.days]
    manifests += lake.undated(sorted(WAREHOUSE_REGISTRIES)).values()
    shards = [shard for manifest in manifests if manifest is not None for shard in manifest.shards.values()]
    damaged = {error.key for error in digests.damage(CLEAN_TABLES).values()}
    damaged |= {shard.file for shard in shards if not lake.is_whole(shard)}
    return sorted(damaged.union(_LAKE_FILE.findall(message)))


def _part(manifest: Manifest) -> LakePart:
    return LakePart(manifest.table, manifest.day, manifest.digest, tuple(manifest.files), manifest.rows)


def invalidate_days(lake: Lake, inputs: MartInputs, *, only_changed: bool = False) -> None:
    """Remove the records of days whose rows are about to be replaced.

    With ``only_changed`` days are kept that were built from the same inputs: the same rows come in again.
    """
    for day in inputs.days:
        recorded = lake.replaceable(MARTS, day)
        if recorded and not (only_changed and recorded.shards[0].digest == inputs.digest(day)):
            lake.unpublish(MARTS, day)


def invalidate_dimensions(lake: Lake, inputs: MartInputs, *, only_changed: bool = False) -> None:
    """Remove the record of the dimensions, which are about to be replaced."""
    recorded = _recorded_dimensions(lake)
    if recorded is not None and not (only_changed and recorded == inputs.dimensions):
        lake.unpublish(MARTS, None)


def record_days(lake: Lake, inputs: MartInputs, rows: dict[date, int]) -> None:
    """Note that the daily marts hold these days as of ``inputs``."""
    for day, names in inputs.days.items():
        shard = Shard("", rows.get(day, 0), inputs.digest(day), names)
        lake.publish(MARTS, day, {0: shard})


def record_dimensions(lake: Lake, inputs: MartInputs) -> None:
    """Note that the dimensions are made from what ``inputs`` say."""
    shard = Shard("", 0, inputs.dimensions, {"dimensions": inputs.dimensions})
    lake.publish(MARTS, None, {0: shard})


def dimensions_hold(lake: Lake, inputs: MartInputs) -> bool:
    """Return whether the dimensions are made from what ``inputs`` say."""
    return _recorded_dimensions(lake) == inputs.dimensions


def dimensions_stale(lake: Lake, digests: MartDigests, days: Iterable[date] = ()) -> bool:
    """Return whether the dimensions are not made from what is there now, for which ``days`` may count as well."""
    recorded = _recorded_dimensions(lake)
    if recorded is None:
        return bool(_years(digests, days)) or any(lake.manifest(name, None) for name in WAREHOUSE_REGISTRIES)
    return recorded != dimensions_digest(lake, digests, days)


def _recorded_dimensions(lake: Lake) -> str | None:
    manifest = lake.replaceable(MARTS, None)
    return manifest.shards[0].digest if manifest else None


def drop_tables_with_changed_columns(
    store: ObjectStore, warehouse: Warehouse, declared: Mapping[str, str]
) -> list[str]:
    """Drop the tables that were built with other columns than those declared now; return their names.

    Nothing is held of a table that has to be built anew, so the records of all days are removed first. The dimensions
    are not concerned: they are built whole each time.

    Parameters
    ----------
    store : ObjectStore
    warehouse : Warehouse
    declared : mapping of str to str
        Digest of the columns of each table, by qualified name.
    """
    invalidate_if_restored(store, warehouse)
    try:
        recorded = json.loads(store.read(COLUMNS_KEY))
    except FileNotFoundError:
        recorded = {}
    changed = [table for table, digest in declared.items() if recorded.get(table) != digest]
    if changed:
        _remove(store, "/day=")
        warehouse.drop(changed)
    if recorded != declared:
        store.write(COLUMNS_KEY, json.dumps(declared).encode())
    return [table for table in changed if table in recorded]


def invalidate_if_warehouse_changed(store: ObjectStore, warehouse: Warehouse) -> None:
    """Remove the records if they do not speak of this warehouse as it is: it is new, or another one was used before."""
    noted = _noted_warehouse(store)
    # One that no run has left anything in need not be there.
    if noted is None or noted["identity"] != warehouse.identity or not (noted["marks"] == [None] or warehouse.exists):
        invalidate_all(store)


def invalidate_if_restored(store: ObjectStore, warehouse: Warehouse) -> str | None:
    """Remove the records if the warehouse is not as the last run left it: another, a copy from before, an empty one.

    Return its mark. This opens the warehouse, so it is for runs, who hold it.
    """
    invalidate_if_warehouse_changed(store, warehouse)
    mark, noted = warehouse.mark(), _noted_warehouse(store)
    if noted is not None and mark not in noted["marks"]:
        invalidate_all(store)
        noted = None
    if noted is None:
        # What is recorded from here on speaks of this one.
        _note_warehouse(store, warehouse, [mark])
    return mark


class _NotedWarehouse(TypedDict):
    """The warehouse that the records speak of."""

    identity: str
    marks: list[str | None]


def _noted_warehouse(store: ObjectStore) -> _NotedWarehouse | None:
    try:
        noted: _NotedWarehouse = json.loads(store.read(WAREHOUSE_KEY))
    except FileNotFoundError:
        return None
    return noted


def _note_warehouse(store: ObjectStore, warehouse: Warehouse, marks: list[str | None]) -> None:
    noted: _NotedWarehouse = {"identity": warehouse.identity, "marks": marks}
    store.write(WAREHOUSE_KEY, json.dumps(noted).encode())


def invalidate_all(store: ObjectStore) -> None:
    """Remove the records of what the marts hold."""
    _remove(store)


def _remove(store: ObjectStore, part: str = "") -> None:
    keys = [item.key for item in store.list(f"lake/{MARTS}") if part in item.key]
    # Killed in between, what is left still speaks of the warehouse that it spoke of.
    for key in sorted(keys, key=lambda key: key == WAREHOUSE_KEY):
        store.delete(key)
