"""The tables of an installation as DataFrames: read-only, also while the platform runs.

Belongs here: finding an installation, and which rows of a table are asked for. Does not belong here: SQL on the marts
(``published/query.py``), and what rows mean (``schemas/``).

Nothing is locked: files are named by their content, and a manifest or the catalog says which of them count. Who reads
while a day is replaced gets the day before or after, never a mixture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.drops.parts import read_part
from metrify_assets.errors import DamagedFileError, InstallationError
from metrify_assets.landing.quarantine.files import quarantine_rows
from metrify_assets.library.tables import as_pandas
from metrify_assets.platform import FORMAT_KEY, Platform
from metrify_assets.published.catalog import WHOLE, Catalog, Published, read_catalog
from metrify_assets.published.models import MONTH
from metrify_assets.registry.validity import validity
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER, RAW_GRID_STATUS, RAW_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY, RAW_POWER_QUALITY
from metrify_assets.schemas.readings import (
    CLEAN_READINGS,
    CORRECTIONS,
    QUARANTINE,
    RAW_READINGS,
    REGISTER_READS,
    SERIES_DAYS,
    VALIDATED_READINGS,
)
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.settings import Settings
from metrify_assets.storage.lake import Manifest, damage_named
from metrify_assets.vee.delivery_day import day_number

Days = str | date | Sequence[str | date] | None
"""A day, or the first and the last of several; None = all."""
DataFrame = Any

_RAW = {table.name: table for table in (RAW_READINGS, RAW_GRID_STATUS, RAW_WEATHER, RAW_POWER_QUALITY)}
_LAKE = {
    table.name: table
    for table in (
        VALIDATED_READINGS,
        REGISTER_READS,
        SERIES_DAYS,
        CLEAN_READINGS,
        CORRECTIONS,
        CLEAN_GRID_STATUS,
        CLEAN_WEATHER,
        CLEAN_POWER_QUALITY,
    )
}
_TABLES = {**_RAW, QUARANTINE.name: QUARANTINE, **_LAKE, **REGISTRIES}
_S3 = "s3://"


class Installation:
    """What lies in an installation; nothing can be changed through it.

    Parameters
    ----------
    platform : Platform

    Notes
    -----
    Energy is float64 in pandas and exact in Arrow. Texts that repeat are categories. Instants are UTC.
    """

    def __init__(self, platform: Platform):
        self._platform = platform

    def __repr__(self) -> str:
        return f"<Metrify installation in {self._platform.store.uri('')}: {len(self.tables)} tables>"

    @property
    def tables(self) -> list[str]:
        """Names of all tables: those of the lake, the registries, and the marts that are published."""
        catalog = self._catalog()
        return [*_TABLES, *(sorted(catalog.models) if catalog else ())]

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table, each with what it means and its unit.

        Raises
        ------
        InstallationError
            If there is no such table.
        """
        name = self._name(table)
        columns = _TABLES[name].columns if name in _TABLES else self._mart(name).model.columns
        return {column.name: column.description for column in columns}

    def days(self, table: str = CLEAN_READINGS.name) -> list[date]:
        """Return the days that a table has rows of, of a mart by month the first days of its months; ascending.

        A table without days has none.
        """
        name = self._name(table)
        if name in _RAW:
            days = self._platform.ledger.view().raw_digests(name)
            return sorted(date.fromisoformat(day) for day in days)
        if name in _LAKE:
            return sorted(day for day, manifest in self._platform.lake.days(name).items() if manifest.rows)
        if name in _TABLES:
            return []
        parts = self._mart(name).parts.items()
        return sorted(date.fromisoformat(period) for period, part in parts if period != WHOLE and part.rows)

    def read(self, table: str, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return rows of a table as a DataFrame.

        Parameters
        ----------
        table : str
            As ``tables`` names it; a mart also without its schema.
        days : str, date, pair or None
            A delivery day such as ``2026-03-10``, or the first and the last of several. Of a registry, rows that hold
            on one of them; of a mart by month, months that they touch.
        columns : sequence of str, optional
            All of them if omitted; only these are read.

        Raises
        ------
        InstallationError
            If there is no such table or column, or days are none.
        DamagedFileError
            If a file is missing or damaged.
        """
        return as_pandas(self.arrow(table, days, columns))

    def arrow(self, table: str, days: Days = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the same as a PyArrow table."""
        pieces = [piece for _, piece in self._pieces(table, days, columns)]
        schema = self._schema(self._name(table), columns)
        return (
            pa.concat_tables([piece.cast(schema) for piece in pieces]).unify_dictionaries()
            if pieces
            else (schema.empty_table())
        )

    def by_day(
        self, table: str, days: Days = None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[date | None, DataFrame]]:
        """Yield the same day by day, each read when it is asked for: for tables that do not fit into memory.

        Of a mart by month it is the month's first day, of a table without days None.
        """
        for day, piece in self._pieces(table, days, columns):
            yield day, as_pandas(piece)

    def clean_readings(self, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return value, status, method and reason of every expected slot."""
        return self.read(CLEAN_READINGS.name, days, columns)

    def validated_readings(self, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return the chosen version of every expected slot, and the rules that found something."""
        return self.read(VALIDATED_READINGS.name, days, columns)

    def raw_readings(self, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return every delivered value of the drops that count."""
        return self.read(RAW_READINGS.name, days, columns)

    def quarantine(self, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return what could not be read; of some days, only rows whose day could be."""
        return self.read(QUARANTINE.name, days, columns)

    def registry(self, name: str = "points", days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return a registry: points, meters, operators, weather_stations, registers or outages."""
        if name not in REGISTRIES:
            raise InstallationError(f"there is no registry {name!r}: use one of {', '.join(REGISTRIES)}")
        return self.read(name, days, columns)

    def mart(self, name: str, days: Days = None, columns: Sequence[str] | None = None) -> DataFrame:
        """Return a published mart, such as ``daily_consumption_metrics``."""
        self._mart(self._name(name))
        return self.read(name, days, columns)

    def _catalog(self) -> Catalog | None:
        return read_catalog(self._platform.store)

    def _name(self, table: str) -> str:
        """Return the full name of a table."""
        marts = self._catalog()
        names: list[str] = [*_TABLES, *(marts.models if marts else ())]
        matches = [name for name in names if table in (name, name.rpartition(".")[2])]
        if len(matches) == 1:
            return matches[0]
        hint = "" if marts else "; no mart is published yet: run `metrify publish`"
        raise InstallationError(f"there is no table {table!r}: use one of {', '.join(matches or names)}{hint}")

    def _mart(self, name: str) -> Published:
        catalog = self._catalog()
        if catalog is None or name not in catalog.models:
            raise InstallationError(f"{name} is no mart that is published: `tables` lists them")
        return catalog.models[name]

    def _schema(self, name: str, columns: Sequence[str] | None) -> pa.Schema:
        schema = _TABLES[name].arrow if name in _TABLES else self._mart(name).model.arrow
        unknown = [column for column in columns or () if column not in schema.names]
        if unknown:
            raise InstallationError(f"{name} has no column {unknown[0]!r}: use {', '.join(schema.names)}")
        return schema if columns is None else pa.schema([schema.field(column) for column in columns])

    def _pieces(self, table: str, days: Days, columns: Sequence[str] | None) -> Iterator[tuple[date | None, pa.Table]]:
        """Yield the rows by day or part; what is wrong with the question is said before anything is read."""
        name, span = self._name(table), _span(days)
        schema = self._schema(name, columns)
        if name in _RAW:
            return self._raw(_RAW[name], span, schema)
        if name in _LAKE:
            return self._of_lake(_LAKE[name], span, schema)
        if name in _TABLES:
            rows = self._undated(_TABLES[name], span)
            return iter([(None, rows.select(schema.names))])
        return self._of_mart(self._mart(name), span, schema)

    def _raw(self, table: Table, span: tuple[date, date], schema: pa.Schema) -> Iterator[tuple[date, pa.Table]]:
        view, store = self._platform.ledger.view(), self._platform.store
        for day in self._within(table.name, span):
            parts = [(drop, part) for drop in view.drops_of(table.name, day) for part in drop.parts[day.isoformat()]]
            pieces = [read_part(store, drop, part, table.arrow).select(schema.names) for drop, part in parts]
            yield day, pa.concat_tables(pieces).unify_dictionaries() if pieces else schema.empty_table()

    def _of_lake(self, table: Table, span: tuple[date, date], schema: pa.Schema) -> Iterator[tuple[date, pa.Table]]:
        for day in self._within(table.name, span):
            yield day, self._latest(table, day, schema)

    def _latest(self, table: Table, day: date | None, schema: pa.Schema) -> pa.Table:
        """Return the rows of a day as it is now, also if it is replaced meanwhile."""
        lake = self._platform.lake
        manifest = lake.manifest(table.name, day)
        while True:
            try:
                return lake.read(manifest, table.arrow, schema.names)
            except DamagedFileError:
                # Files of a day that was replaced twice since are gone; those of a damaged day stay damaged.
                latest = lake.manifest(table.name, day)
                if _same(latest, manifest):
                    raise
                manifest = latest

    def _within(self, table: str, span: tuple[date, date]) -> list[date]:
        return [day for day in self.days(table) if span[0] <= day <= span[1]]

    def _undated(self, table: Table, span: tuple[date, date]) -> pa.Table:
        first, last = span
        if table is QUARANTINE:
            view = self._platform.ledger.view()
            rows = quarantine_rows(self._platform.store, view.active.values())
            if span == _ALL:
                return rows
            inside = pc.and_(pc.greater_equal(rows["day"], first), pc.less_equal(rows["day"], last))
            return rows.filter(inside.fill_null(False))
        rows = self._latest(table, None, table.arrow)
        if span == _ALL:
            return rows
        start, end = validity(rows)
        return rows.filter(pa.array((start <= day_number(last)) & (end > day_number(first))))

    def _of_mart(
        self, mart: Published, span: tuple[date, date], schema: pa.Schema
    ) -> Iterator[tuple[date | None, pa.Table]]:
        first = span[0].replace(day=1) if mart.model.period == MONTH else span[0]
        for period, part in sorted(mart.parts.items()):
            day = date.fromisoformat(period) if period != WHOLE else None
            if not part.file or (day is not None and not first <= day <= span[1]):
                continue
            yield day, self._part(part.file, schema)

    def _part(self, key: str, schema: pa.Schema) -> pa.Table:
        def damaged() -> DamagedFileError:
            return DamagedFileError(f"{key} is missing or damaged: run `metrify publish --all`", key)

        with ExitStack() as stack:
            stack.enter_context(damage_named(damaged))
            path = stack.enter_context(self._platform.store.reading(key))
            return pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)


_ALL = (date.min, date.max)


def _same(latest: Manifest | None, manifest: Manifest | None) -> bool:
    return (latest.shards if latest else None) == (manifest.shards if manifest else None)


def _span(days: Days) -> tuple[date, date]:
    """Return the first and the last of the days that are asked for."""
    if days is None:
        return _ALL
    if isinstance(days, str | date | np.datetime64):
        days = (days, days)
    given = list(days)
    if len(given) != 2:
        raise InstallationError(f"days={days!r}: give one day, or a pair of the first and the last")
    first, last = (_day(day) for day in given)
    if first > last:
        raise InstallationError(f"days={days!r}: the first day comes after the last one")
    return first, last


def _day(day: object) -> date:
    try:
        return date.fromisoformat(str(day)[: len("2026-03-10")])
    except ValueError as error:
        raise InstallationError(f"{day!r} is no day: write it as 2026-03-10") from error


def open_installation(root: str | os.PathLike[str] | None = None) -> Installation:
    """Open an installation to read its tables.

    Parameters
    ----------
    root : path or str, optional
        Folder of the installation (``METRIFY_ROOT``), the folder that holds its ``.metrify``, or ``s3://bucket/prefix``,
        whose endpoint and credentials come from the environment. Without it, that of the environment, as for the
        command line.

    Raises
    ------
    InstallationError
        If there is none.
    SettingsError
        If a variable of the environment is wrong.

    Examples
    --------
    >>> import metrify_assets as metrify
    >>> lake = metrify.open(".metrify")
    >>> lake.clean_readings(days=("2026-03-01", "2026-03-31"), columns=["point_id", "interval_start", "value_kwh"])
    """
    return Installation(opened_platform(root))


def opened_platform(root: str | os.PathLike[str] | None = None) -> Platform:
    """Return the platform of an installation that there is, with the settings that its lake was written with.

    Raises
    ------
    InstallationError, SettingsError
        As ``open_installation`` says.
    """
    tried = []
    for settings in _candidates(root):
        platform = Platform(settings)
        tried.append(platform.store.uri(""))
        try:
            layout = json.loads(platform.store.read(FORMAT_KEY))
            shards, timezone = int(layout["METRIFY_SHARDS"]), layout["METRIFY_TIMEZONE"]
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as error:
            key = platform.store.uri(FORMAT_KEY)
            raise InstallationError(f"{key} is damaged ({error}): put it back from a backup") from error
        return Platform(settings.model_copy(update={"shards": shards, "timezone": timezone}))
    raise InstallationError(
        f"there is no installation in {tried[0].rstrip('/')}, or nothing was landed in it yet: give the folder that "
        "METRIFY_ROOT names, such as .metrify"
    )


def _candidates(root: str | os.PathLike[str] | None) -> list[Settings]:
    if root is None:
        return [Settings.from_env()]
    text = os.fspath(root)
    if text.startswith(_S3):
        bucket, _, prefix = text.removeprefix(_S3).partition("/")
        environ: Mapping[str, str] = {
            **os.environ,
            "METRIFY_STORE": "s3",
            "METRIFY_S3_BUCKET": bucket,
            "METRIFY_S3_PREFIX": prefix,
        }
        return [Settings.from_env(environ)]
    return [Settings(root=folder.absolute()) for folder in (Path(text), Path(text) / ".metrify")]
