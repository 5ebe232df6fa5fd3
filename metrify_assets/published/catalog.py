"""The catalog: which files are the published marts. Written last and in one step, it is what makes a version.

Belongs here: the record and its form, and pure decisions on it: what is stale, what has to wait, what a version is,
which old files may go. Does not belong here: reading the warehouse and writing files (``export.py``, ``publish.py``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import PublishError
from metrify_assets.published.models import MONTH, Column, Model
from metrify_assets.storage.object_store import ObjectStore

FOLDER = "published"
CATALOG_KEY = f"{FOLDER}/catalog.json"
STATE_KEY = f"{FOLDER}/_state"
"""Holds the digest of what was last published from; written after all else, so it never says too much."""
UNFINISHED_KEY = f"{FOLDER}/_unfinished"
"""Lies there while a version is made; if a run finds it, the one before died."""
FORMAT = 2
"""Of the catalog, the files and the consumers' file: another number publishes everything anew."""
KEPT_REPLACED = timedelta(days=7)
"""How long a replaced file stays: so long a reader may work with the version that it opened."""
WHOLE = ""
"""Period of a model that is published whole."""


@dataclass(frozen=True)
class Part:
    """One file of a model: a day, a month, or all of it.

    Attributes
    ----------
    file : str
        Key in the object store; empty if there are no rows.
    rows, bytes : int
    digest : str
        Digest of the file's bytes.
    sources : str
        Digest of what the rows were built from.
    """

    file: str
    rows: int
    bytes: int
    digest: str
    sources: str


@dataclass(frozen=True)
class Published:
    """A model and its parts, by period as text (``2026-03-29``; of a month its first day)."""

    model: Model
    parts: Mapping[str, Part]

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts.values())

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(part.bytes for part in self.parts.values())

    @property
    def digest(self) -> str:
        """Digest of all that a consumer can see of the model."""
        parts = ((period, part.digest) for period, part in sorted(self.parts.items()))
        return digest_of(self.model.layout, self.model.description, self.model.columns, *parts)


@dataclass(frozen=True)
class Catalog:
    """Everything that is published.

    Attributes
    ----------
    version : int
        Counts the versions, from 1.
    published_at : str
        When the version was made (UTC, ISO).
    location : str
        Where the files lie, as readers name it.
    models : mapping of str to Published
        By qualified name.
    retired : mapping of str to str
        Files that no version since names, and from when on.
    """

    version: int
    published_at: str
    location: str
    models: Mapping[str, Published]
    retired: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of all that a consumer can see."""
        return digest_of(FORMAT, self.location, *((name, model.digest) for name, model in sorted(self.models.items())))

    @property
    def files(self) -> set[str]:
        """Keys of all files."""
        return {part.file for model in self.models.values() for part in model.parts.values() if part.file}

    def as_bytes(self) -> bytes:
        """Return the catalog as it is stored."""
        record = {"format": FORMAT, **asdict(self)}
        return json.dumps(record, separators=(",", ":"), sort_keys=True).encode()


def read_catalog(store: ObjectStore) -> Catalog | None:
    """Return what is published, or None if nothing is.

    Raises
    ------
    PublishError
        If the catalog is damaged.
    """
    try:
        content = store.read(CATALOG_KEY)
    except FileNotFoundError:
        return None
    try:
        return parsed(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(
            f"{store.uri(CATALOG_KEY)} is damaged ({type(error).__name__}): delete it and run `metrify publish`"
        ) from error


def parsed(record: dict[str, Any]) -> Catalog | None:
    """Return the catalog that a record says; None if it is of another format, which publishes everything anew."""
    if record.pop("format") != FORMAT:
        return None
    models = {name: _published(model) for name, model in record.pop("models").items()}
    return Catalog(models=models, **record)


def _published(record: dict[str, Any]) -> Published:
    known_model = dict(record["model"])
    columns = tuple(Column(**column) for column in known_model.pop("columns"))
    model = Model(columns=columns, key=tuple(known_model.pop("key")), **known_model)
    return Published(model, {period: Part(**part) for period, part in record["parts"].items()})


def state_of(days: Mapping[date, str], dimensions: str, contracts: str, location: str) -> str:
    """Return the digest of all that a publication follows from: if it is the same, there is nothing to publish.

    Parameters
    ----------
    days : mapping of date to str
        The days that the marts hold, each with the digest of its inputs.
    dimensions : str
        Digest of the registries that the dimensions hold.
    contracts : str
        Digest of what is said of columns, types and keys.
    location : str
        Where the files lie.
    """
    return digest_of(FORMAT, location, contracts, dimensions, *sorted(days.items()))


def wanted_parts(
    model: Model, days: Mapping[date, str], dimensions: str, missing: Collection[date] = ()
) -> dict[str, str]:
    """Return the parts that a model should have, each with the digest of what its rows are built from.

    A part that draws on a missing day is none of them: its rows are those of some of its days, or of a day that was not
    found good. It is wanted when the marts hold all its days.

    Parameters
    ----------
    model : Model
    days : mapping of date to str
        The days that the marts hold, each with the digest of its inputs.
    dimensions : str
        Digest of the registries that the dimensions hold; ``EMPTY`` if they are not built, or were not found good.
    missing : collection of date
        Days with readings that the marts do not hold.
    """
    if model.period is None:
        if dimensions == EMPTY:
            return {}
        # The calendar covers the years of the data.
        years = sorted({day.year for day in days})
        return {WHOLE: digest_of(model.layout, dimensions, years)}
    sources: dict[str, list[tuple[date, str]]] = {}
    for day in sorted(days):
        for period in periods_of(model, [day]):
            if model.period == MONTH or date.fromisoformat(period) in days:
                sources.setdefault(period, []).append((day, days[day]))
    waiting = waiting_parts(model, missing)
    return {period: digest_of(model.layout, *digests) for period, digests in sources.items() if period not in waiting}


def waiting_parts(model: Model, missing: Collection[date]) -> dict[str, list[date]]:
    """Return the parts of a model that draw on missing days, each with these days."""
    waiting: dict[str, list[date]] = {}
    for day in sorted(missing) if model.period else ():
        for period in periods_of(model, [day]):
            waiting.setdefault(period, []).append(day)
    return waiting


def periods_of(model: Model, days: Iterable[date]) -> set[str]:
    """Return the periods of a model whose rows a rebuild of some days replaces."""
    if model.period is None:
        return {WHOLE}
    if model.period == MONTH:
        return {day.replace(day=1).isoformat() for day in days}
    return {(day + timedelta(days=offset)).isoformat() for day in days for offset in range(model.days_after + 1)}


def stale_parts(wanted: Mapping[str, str], parts: Mapping[str, Part], asked: set[str]) -> list[str]:
    """Return the periods to export, in order: new, built from something else since, or asked for."""
    return sorted(
        period
        for period, sources in wanted.items()
        if period in asked or period not in parts or parts[period].sources != sources
    )


def retire(
    before: Catalog | None, files: set[str], leftover: Iterable[str], now: datetime
) -> tuple[dict[str, str], list[str]]:
    """Return the replaced files that stay, with the moment since when, and those that go now.

    Parameters
    ----------
    before : Catalog or None
        The version that is replaced.
    files : set of str
        The files of the new version: they stay, whatever was said of them before.
    leftover : iterable of str
        Files that a run which died has left.
    now : datetime
    """
    retired = dict(before.retired) if before else {}
    candidates = {*retired, *(before.files if before else ()), *leftover} - files
    since = {key: retired.get(key, now.isoformat(timespec="seconds")) for key in sorted(candidates)}
    gone = [key for key, moment in since.items() if datetime.fromisoformat(moment) <= now - KEPT_REPLACED]
    return {key: moment for key, moment in since.items() if key not in gone}, gone
