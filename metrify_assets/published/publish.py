"""Publishing: from the marts in the warehouse to a new version for consumers.

Belongs here: the order of the steps. Does not belong here: each step (``catalog.py``, ``export.py``, ``consumer.py``).

Files are written first, under names that say their content, and compared with the warehouse; then what consumers open
is replaced, in one step; the catalog is written last. Whatever step a crash leaves undone, consumers have a whole
version, and the next run does the rest: what the catalog does not say is done again, and equal files stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from metrify_assets.errors import PublishError
from metrify_assets.lake import EMPTY
from metrify_assets.overview import MART_SCHEMAS
from metrify_assets.platform import Platform
from metrify_assets.published.catalog import (
    CATALOG_KEY,
    FOLDER,
    UNFINISHED_KEY,
    Catalog,
    Part,
    Published,
    periods_of,
    read_catalog,
    retire,
    stale_parts,
    state_of,
    wanted_parts,
)
from metrify_assets.published.consumer import consumer_key, write_consumer
from metrify_assets.published.export import PARQUET, Sums, export_part, part_sums, warehouse_sums
from metrify_assets.published.models import Model
from metrify_assets.resources.object_store import ObjectStore
from metrify_assets.resources.warehouse import Ask, Warehouse
from metrify_assets.tables.marts import MARTS

NO_MARTS = "there are no marts yet: build a day with `metrify recompute DAY`"


@dataclass(frozen=True)
class Difference:
    """A part whose file does not say what the warehouse says."""

    table: str
    period: str
    published: Sums
    warehouse: Sums

    def __str__(self) -> str:
        return f"{self.table} {self.period}: {_told(self.published)} in the file, {_told(self.warehouse)} in the marts"


def _told(sums: Sums) -> str:
    energies = "".join(f", {energy} kWh" for energy in sums[1])
    return f"{sums[0]} rows{energies}"


@dataclass(frozen=True)
class Publication:
    """What a run of publishing did.

    Attributes
    ----------
    catalog : Catalog
        What is published now.
    exported : int
        Parts that were exported and compared with the warehouse.
    written : int
        Files that the version before did not have.
    differences : tuple of Difference
        If there are any, nothing was published.
    """

    catalog: Catalog | None
    exported: int
    written: int
    differences: tuple[Difference, ...] = ()


def current_state(platform: Platform) -> tuple[dict[date, str], str]:
    """Return what the marts hold: the days with the digests of their inputs, and that of the dimensions."""
    days = {day: manifest.digest for day, manifest in platform.lake.days(MARTS).items()}
    dimensions = platform.lake.manifest(MARTS, None)
    return days, dimensions.digest if dimensions else EMPTY


def require_marts(warehouse: Warehouse) -> set[str]:
    """Return the marts that are built, by qualified name; raise ``PublishError`` if there is none."""
    built = set(warehouse.tables_in(MART_SCHEMAS).values()) if warehouse.exists else set()
    if not built:
        raise PublishError(NO_MARTS)
    return built


def stale_publication(platform: Platform) -> str | None:
    """Return the digest of what the marts hold if that is not what is published, or consumers have nothing to open."""
    days, dimensions = current_state(platform)
    if not days and dimensions == EMPTY:
        # A warehouse that was lost takes nothing from consumers until it is built again.
        return None
    store, state = platform.store, state_of(days, dimensions)
    catalog = read_catalog(store)
    current = (
        catalog is not None
        and catalog.state == state
        and catalog.location == store.uri(FOLDER)
        and store.exists(consumer_key(platform.settings))
        and not store.exists(UNFINISHED_KEY)
    )
    return None if current else state


@dataclass(frozen=True)
class Asked:
    """What is exported again although its inputs did not change.

    Attributes
    ----------
    days : tuple of date
        Days that were built just now.
    dimensions : bool
        The models without days.
    everything : bool
        All parts; those that the marts hold no more are no longer published.
    """

    days: tuple[date, ...] = ()
    dimensions: bool = False
    everything: bool = False

    def periods(self, model: Model, wanted: Iterable[str]) -> set[str]:
        """Return which of the wanted periods of a model are asked for."""
        if self.everything or (self.dimensions and model.period is None):
            return set(wanted)
        return periods_of(model, self.days) if model.period else set()


def publish(
    platform: Platform,
    warehouse: Warehouse,
    models: Sequence[Model],
    asked: Asked = Asked(),
    log: Callable[[str], None] = lambda text: None,
) -> Publication:
    """Publish what changed in the marts, and what is asked for.

    Raises
    ------
    PublishError
        If the marts are not built yet.
    """
    # Nobody builds a mart while it is read.
    with warehouse.exclusive():
        return _publish(platform, warehouse, models, asked, log)


def _publish(
    platform: Platform, warehouse: Warehouse, models: Sequence[Model], asked: Asked, log: Callable[[str], None]
) -> Publication:
    store = platform.store
    before = read_catalog(store)
    days, dimensions = current_state(platform)
    built = require_marts(warehouse)
    wanted = {model: wanted_parts(model, days, dimensions) if model.table in built else {} for model in models}
    known = {model: _known(before, model) for model in models}
    stale = {model: stale_parts(wanted[model], known[model], asked.periods(model, wanted[model])) for model in models}
    died = store.exists(UNFINISHED_KEY)
    if any(stale.values()):
        store.write(UNFINISHED_KEY, b"")
    exported: dict[Model, dict[str, Part]] = {}
    differences: list[Difference] = []
    with warehouse.reading() as ask:
        for model in models:
            exported[model] = {}
            for period in stale[model]:
                part = export_part(store, ask, model, period, wanted[model][period])
                exported[model][period] = part
                log(f"{model.table} {period}: {part.rows} rows")
            differences += _compare(store, ask, model, exported[model])
    count = sum(map(len, exported.values()))
    if differences:
        return Publication(before, count, 0, tuple(differences))
    published = {}
    for model in models:
        parts = ({} if asked.everything else known[model]) | exported[model]
        published[model.table] = Published(model, {period: parts[period] for period in sorted(parts)})
    now = datetime.now(UTC)
    after = Catalog(
        version=before.version + 1 if before else 1,
        published_at=now.isoformat(timespec="seconds"),
        state=state_of(days, dimensions),
        location=store.uri(FOLDER),
        models=published,
    )
    written = len(after.files - (before.files if before else set()))
    return Publication(_switch(platform, before, after, now, died=died), count, written)


def _known(before: Catalog | None, model: Model) -> dict[str, Part]:
    """Return the parts that are published of a model; of one whose columns have changed none is of use."""
    found = before.models.get(model.table) if before else None
    return dict(found.parts) if found and found.model.layout == model.layout else {}


def _compare(store: ObjectStore, ask: Ask, model: Model, parts: dict[str, Part]) -> list[Difference]:
    """Return the parts whose files, read back, do not say what the warehouse says."""
    if not parts:
        return []
    expected = warehouse_sums(ask, model, list(parts))
    found = {period: part_sums(store, model, part) for period, part in parts.items()}
    return [
        Difference(model.table, period, found[period], expected[period])
        for period in parts
        if found[period] != expected[period]
    ]


def _switch(platform: Platform, before: Catalog | None, after: Catalog, now: datetime, *, died: bool) -> Catalog:
    """Make a catalog the published one.

    If consumers would see no difference, the version stays what it is. After a run that died nobody knows what they
    open, and there may be files that no version names.
    """
    store, settings = platform.store, platform.settings
    leftover = [found.key for found in store.list(FOLDER) if found.key.endswith(PARQUET)] if died else []
    retired, gone = retire(before, after.files, leftover, now)
    same = before is not None and before.digest == after.digest
    if same:
        after = replace(after, version=before.version, published_at=before.published_at)
    after = replace(after, retired=retired)
    if died or not same or not store.exists(consumer_key(settings)):
        write_consumer(settings, store, after)
    # Replaced long ago, no version names them. Before the catalog forgets them.
    for key in gone:
        store.delete(key)
    if after != before:
        store.write(CATALOG_KEY, after.as_bytes())
    store.delete(UNFINISHED_KEY)
    return after
