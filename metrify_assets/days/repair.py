"""Damaged files that a day is computed from: found by reading them, and made again from what they were made of.

Belongs here: raw and quarantine files, which their drops are read for again, and registries, which are built again.
Does not belong here: the day itself, whose own files are written whenever it is computed (``day.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from metrify_assets.drops.ledger import Drop, LedgerView, Part
from metrify_assets.drops.parts import read_part
from metrify_assets.errors import DamagedFileError
from metrify_assets.landing.ingest import read_again
from metrify_assets.landing.quarantine.files import read_quarantine
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry
from metrify_assets.schemas.grid_and_weather import RAW_GRID_STATUS, RAW_WEATHER
from metrify_assets.schemas.power_quality import RAW_POWER_QUALITY
from metrify_assets.schemas.readings import RAW_READINGS
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.storage.object_store import ObjectStore

RAW = {table.name: table for table in (RAW_READINGS, RAW_GRID_STATUS, RAW_WEATHER, RAW_POWER_QUALITY)}
REGISTRY = {f"registry_{name}": table for name, table in REGISTRIES.items()}


def repair_inputs(platform: Platform, days: Iterable[date]) -> list[str]:
    """Make damaged files again that some days are computed from; return the keys of those that were damaged.

    Raises
    ------
    DropError
        If the bytes of a drop are nowhere any more.
    """
    view = platform.ledger.view()
    wanted = [str(day) for day in days]
    repaired = []
    for drop in _drops(view, wanted):
        key = _damaged_file(platform.store, drop, [part for day in (*wanted, "") for part in drop.parts.get(day, ())])
        if key:
            read_again(platform, drop)
            repaired.append(key)
    return repaired + [key for name in REGISTRIES if (key := _rebuilt(platform, name))]


def _drops(view: LedgerView, days: list[str]) -> Iterator[Drop]:
    """Yield each drop that counts and holds rows of the days, of a registry, or none at all."""
    for drop in view.active.values():
        if drop.table in REGISTRY or not drop.parts or not drop.parts.keys().isdisjoint(days):
            yield drop


def _damaged_file(store: ObjectStore, drop: Drop, parts: list[Part]) -> str:
    """Return a file of a drop that cannot be read; empty if all can."""
    table = (RAW | REGISTRY)[drop.table]
    try:
        for part in parts:
            read_part(store, drop, part, table.arrow)
        read_quarantine(store, drop)
    except DamagedFileError as error:
        return error.key
    return ""


def _rebuilt(platform: Platform, name: str) -> str:
    """Build a registry again if a file of it is damaged; return the key of that file, empty if none is."""
    lake = platform.lake
    try:
        manifest = lake.manifest(name, None)
    except DamagedFileError as error:
        key = error.key
    else:
        shards = manifest.shards.values() if manifest else ()
        damaged = [shard.file for shard in shards if not lake.is_whole(shard)]
        key = damaged[0] if damaged else ""
    if key:
        build_registry(platform, name)
    return key
