"""Publishing: from the marts in the warehouse to a new version for consumers.

Belongs here: the order of the steps. Does not belong here: each step (``catalog.py``, ``export.py``, ``compare.py``,
``consumer.py``).

Files are written first, under names that say their content, and compared with the warehouse; then what consumers open
is replaced, in one step; the catalog is written after it, and last the state that it was made from. Whatever step a
crash leaves undone, consumers have a whole version, and the next run does the rest: what the catalog does not say is
done again, and equal files stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from metrify_assets.errors import PublishError
from metrify_assets.platform import Platform
from metrify_assets.published.catalog import (
    CATALOG_KEY,
    FOLDER,
    STATE_KEY,
    UNFINISHED_KEY,
    WHOLE,
    Catalog,
    Part,
    Published,
    periods_of,
    read_catalog,
    retire,
    stale_parts,
    waiting_parts,
    wanted_parts,
)
from metrify_assets.published.compare import Difference, differences
from metrify_assets.published.consumer import consumer_key, write_consumer
from metrify_assets.published.export import PARQUET, export_part
from metrify_assets.published.mart_state import MartState, read_mart_state
from metrify_assets.published.models import Model
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.warehouse.marts import invalidate_if_restored
from metrify_assets.warehouse.warehouse import Ask, Warehouse

NO_MARTS = "there are no marts yet: build a day with `metrify recompute DAY`"


MAX_LISTED = 3
"""So many of the parts that wait, and of the days that each waits for, are listed."""


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
    waiting : int
        Parts that were left as they are, because the marts hold some of their days only.
    differences : tuple of Difference
        If there are any, nothing was published.
    """

    catalog: Catalog | None
    exported: int
    written: int
    waiting: int
    differences: tuple[Difference, ...] = ()


def require_marts(warehouse: Warehouse) -> set[str]:
    """Return the marts that are built, by qualified name; raise ``PublishError`` if there is none."""
    built = set(warehouse.tables_in(MART_SCHEMAS).values()) if warehouse.exists else set()
    if not built:
        raise PublishError(NO_MARTS)
    return built


def stale_publication(platform: Platform) -> str | None:
    """Return the digest of what is to be published if that is not what is published, or consumers lack a file.

    ForceExport at every tick of a sensor: it reads no catalog, which grows with the history.
    """
    held = read_mart_state(platform.lake)
    if not held:
        # A warehouse that was lost takes nothing from consumers until it is built again.
        return None
    store, state = platform.store, held.state(platform)
    current = (
        _published_state(store) == state
        and store.exists(CATALOG_KEY)
        and store.exists(consumer_key(platform.settings))
        and not store.exists(UNFINISHED_KEY)
    )
    return None if current else state


def _published_state(store: ObjectStore) -> str | None:
    try:
        return store.read(STATE_KEY).decode()
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class ForceExport:
    """What is exported again although its inputs did not change.

    Attributes
    ----------
    days : tuple of date
        Days that were built just now.
    dimensions : bool
        The models without days.
    everything : bool
        All parts; those that the marts hold no more are no longer published, unless they wait to be built again.
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
    asked: ForceExport = ForceExport(),
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
    platform: Platform, warehouse: Warehouse, models: Sequence[Model], asked: ForceExport, log: Callable[[str], None]
) -> Publication:
    store = platform.store
    before = read_catalog(store)
    built = require_marts(warehouse)
    # Records that speak of another warehouse say nothing of the rows in this one.
    invalidate_if_restored(platform.store, warehouse)
    held = read_mart_state(platform.lake)
    state, missing = held.state(platform), held.missing(platform)
    wanted = {model: _wanted(model, held, missing) if model.table in built else {} for model in models}
    recorded = {model: _known(before, model) for model in models}
    stale = {
        model: stale_parts(wanted[model], recorded[model], asked.periods(model, wanted[model])) for model in models
    }
    waiting = _waiting(models, held, missing)
    if waiting:
        log(_waiting_text(waiting))
    died = store.exists(UNFINISHED_KEY)
    if died:
        store.remove_temporary(FOLDER)
    if any(stale.values()) or _published_state(store) != state:
        store.write(UNFINISHED_KEY, b"")
    exported: dict[Model, dict[str, Part]] = {}
    differing: list[Difference] = []
    with warehouse.reading() as ask:
        for model in models:
            sources = {period: wanted[model][period] for period in stale[model]}
            exported[model], model_differences = _export(store, ask, model, sources, log)
            differing += model_differences
    count = sum(map(len, exported.values()))
    if differing:
        return Publication(before, count, 0, len(waiting), tuple(differing))
    staying = {model: _staying(recorded[model], asked, waiting_parts(model, missing)) for model in models}
    now = platform.clock.read()
    after = _next_catalog(store, before, {model: staying[model] | exported[model] for model in models}, now)
    written = len(after.files - (before.files if before else set()))
    # What another run may have written over meanwhile is not published.
    warehouse.check_exclusive()
    catalog = _switch(platform, before, after, now, died=died)
    if _published_state(store) != state:
        store.write(STATE_KEY, state.encode())
    store.delete(UNFINISHED_KEY)
    return Publication(catalog, count, written, len(waiting))


def _staying(recorded: dict[str, Part], asked: ForceExport, waiting: Collection[str]) -> dict[str, Part]:
    """Return the parts that stay published unless they were exported anew."""
    return {
        period: part
        for period, part in recorded.items()
        if not asked.everything or period == WHOLE or period in waiting
    }


def _wanted(model: Model, held: MartState, missing: set[date]) -> dict[str, str]:
    return wanted_parts(model, held.days, held.dimensions, missing)


def _waiting(models: Sequence[Model], held: MartState, missing: set[date]) -> dict[str, list[date]]:
    """Return the parts of which the marts hold some days only, each with those that it waits for."""
    reasons: dict[str, list[date]] = {}
    for model in models:
        some = wanted_parts(model, held.days, held.dimensions)
        waiting = waiting_parts(model, missing)
        reasons |= {f"{model.table} {period}": waiting[period] for period in sorted(some.keys() & waiting.keys())}
    return reasons


def _waiting_text(waiting: dict[str, list[date]]) -> str:
    """Return which parts wait for which days, the first of them, as one line."""
    parts = [f"{part} waits for {_first_of([str(day) for day in days])}" for part, days in waiting.items()]
    return f"{len(parts)} parts stay as they are, the marts hold some of their days only: {_first_of(parts, '; ')}"


def _first_of(items: Sequence[str], between: str = ", ") -> str:
    more = [f"{len(items) - MAX_LISTED} more"] if len(items) > MAX_LISTED else []
    return between.join([*items[:MAX_LISTED], *more])


def _export(
    store: ObjectStore, ask: Ask, model: Model, stale: dict[str, str], log: Callable[[str], None]
) -> tuple[dict[str, Part], list[Difference]]:
    """Export some parts of a model, given with their sources, and compare them with the warehouse."""
    parts, contents = {}, {}
    for period, sources in stale.items():
        done = export_part(store, ask, model, period, sources)
        parts[period], contents[period] = done.part, done.content
        log(f"{model.table} {period}: {done.part.rows} rows")
    return parts, list(differences(store, ask, model, parts, contents))


def _known(before: Catalog | None, model: Model) -> dict[str, Part]:
    """Return the parts that are published of a model; of one whose columns have changed none is of use."""
    published = before.models.get(model.table) if before else None
    return dict(published.parts) if published and published.model.layout == model.layout else {}


def _next_catalog(
    store: ObjectStore, before: Catalog | None, parts: dict[Model, dict[str, Part]], now: datetime
) -> Catalog:
    return Catalog(
        version=before.version + 1 if before else 1,
        published_at=now.isoformat(timespec="seconds"),
        location=store.uri(FOLDER),
        models={
            model.table: Published(model, dict(sorted(model_parts.items()))) for model, model_parts in parts.items()
        },
    )


def _switch(platform: Platform, before: Catalog | None, after: Catalog, now: datetime, *, died: bool) -> Catalog:
    """Make a catalog the published one.

    If consumers would see no difference, the version stays what it is. After a run that died nobody knows what they
    open, and there may be files that no version names.
    """
    store, settings = platform.store, platform.settings
    leftover = [item.key for item in store.list(FOLDER) if item.key.endswith(PARQUET)] if died else []
    retired, gone = retire(before, after.files, leftover, now)
    unchanged = before if before is not None and before.digest == after.digest else None
    if unchanged is not None:
        after = replace(after, version=unchanged.version, published_at=unchanged.published_at)
    after = replace(after, retired=retired)
    if died or unchanged is None or not store.exists(consumer_key(settings)):
        write_consumer(settings, store, after)
    # Replaced long ago, no version names them. Before the catalog drops them.
    for key in gone:
        store.delete(key)
    if after != before:
        store.write(CATALOG_KEY, after.as_bytes())
    return after
