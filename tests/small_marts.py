"""Marts without dbt: a few tables in a DuckDB file, with the records that a build leaves.

Belongs here: what the tests of publishing and querying share. Does not belong here: what marts mean
(``integration/test_marts_independent.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from metrify_assets.digest import digest_of
from metrify_assets.platform import Platform
from metrify_assets.published.consumer import FILE_KEY
from metrify_assets.published.models import Column, Model
from metrify_assets.published.publish import ForceExport, Publication, publish
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.settings import Settings
from metrify_assets.storage.lake import Shard
from metrify_assets.warehouse.marts import MARTS, WAREHOUSE_KEY
from metrify_assets.warehouse.warehouse import DuckDBWarehouse

NOTHING = ForceExport()
KWH = "decimal(18,6)"
DIMENSION = Model(
    schema="marts",
    name="dim_points",
    description="Points; it's a description with a quote.",
    columns=(Column("point_id", "varchar", "Measuring point.", False), Column("since", "date", "First day.")),
    key=("point_id",),
)
DAILY = Model(
    schema="metrics",
    name="daily",
    description="What a point used in a day.",
    columns=(
        Column("point_id", "varchar", "Measuring point.", False),
        Column("day", "date", "Local date.", False),
        Column("energy_kwh", KWH, "Energy, kWh; null if unknown."),
        Column("peak_at", "timestamp with time zone", "Start of the peak (UTC)."),
        Column("slots", "integer", "Slots.", False),
        Column("share", "double", "A share, 0-1."),
        Column("complete", "boolean", "Whether every slot has a value."),
    ),
    key=("point_id", "day"),
    period="day",
)
SCORE = Model(
    schema="metrics",
    name="score",
    description="Points of a day and of the day before.",
    columns=(Column("day", "date", "Local date.", False), Column("points", "bigint", "Points.")),
    key=("day",),
    period="day",
    days_after=1,
)
MONTHLY = Model(
    schema="metrics",
    name="monthly",
    description="What a point used in a month.",
    columns=(
        Column("point_id", "varchar", "Measuring point.", False),
        Column("month", "date", "First day of the month.", False),
        Column("energy_kwh", KWH, "Energy, kWh."),
    ),
    key=("point_id", "month"),
    period="month",
)
MODELS = (DIMENSION, DAILY, SCORE, MONTHLY)

Readings = Mapping[date, Mapping[str, str | None]]
"""Energy of the points of some days, kWh as text; None is unknown."""


@dataclass
class SmallMarts:
    """An installation whose marts a test builds by hand."""

    platform: Platform
    warehouse: DuckDBWarehouse
    readings: dict[date, dict[str, str | None]] = field(default_factory=dict)

    def build(self, readings: Readings, registry: str = "registry") -> None:
        """Build days, and what follows from them, and record them as a dbt run does."""
        self.readings.update({day: dict(points) for day, points in readings.items()})
        with self.warehouse.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("begin")
            for schema in ("marts", "metrics"):
                connection.execute(f"create schema if not exists {schema}")
            for model in MODELS:
                columns = ", ".join(f"{column.name} {column.type}" for column in model.columns)
                connection.execute(f"create or replace table {model.table} ({columns})")
                for row in rows_of(model, self.readings):
                    connection.execute(f"insert into {model.table} values ({', '.join('?' * len(row))})", row)
            connection.execute("commit")
        for day, points in readings.items():
            self.deliver(day)
            digest = digest_of(sorted(points.items()))
            self.platform.lake.publish(MARTS, day, {0: Shard("", len(points), digest, {"readings": digest})})
        self.platform.lake.publish(MARTS, None, {0: Shard("", 0, registry, {"registries": registry})})
        self.note_mark(None)

    def deliver(self, day: date) -> None:
        """Leave readings of a day in the lake."""
        self.platform.lake.publish(CLEAN_READINGS.name, day, {0: Shard("", 1, day.isoformat())})

    def note_mark(self, mark: str | None, identity: str | None = None) -> None:
        """Note of which warehouse the records speak, and what mark it carries; those of these tests carry none."""
        noted = {"identity": identity or self.warehouse.identity, "marks": [mark]}
        self.platform.store.write(WAREHOUSE_KEY, json.dumps(noted).encode())

    def unrecord(self, day: date) -> None:
        """Remove the record of a day, as a run does before it replaces the day's rows."""
        self.platform.store.delete(f"lake/{MARTS}/day={day}/_manifest.json")

    def publish(self, asked: ForceExport = NOTHING, models: tuple[Model, ...] = MODELS) -> Publication:
        """Publish what changed."""
        return publish(self.platform, self.warehouse, models, asked)

    @property
    def folder(self) -> Path:
        return self.platform.settings.root / "published"

    @property
    def file(self) -> Path:
        return self.platform.settings.root / FILE_KEY

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield what a consumer has open."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def seen(self) -> dict[str, list[tuple]]:
        """Return what a consumer sees of every mart."""
        with self.reader() as connection:
            return {model.table: sorted_rows(connection, model.table) for model in MODELS}

    def expected(self) -> dict[str, list[tuple]]:
        """Return the same as it was worked out here."""
        return {model.table: sorted(rows_of(model, self.readings), key=repr) for model in MODELS}

    def files(self) -> dict[str, tuple[int, int]]:
        """Return every file that is published, with what changes when it is written: inode and time."""
        files = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                stat = path.stat()
                files[str(path.relative_to(self.folder))] = (stat.st_ino, stat.st_mtime_ns)
        return files


def sorted_rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple]:
    return sorted(connection.execute(f"select * from {table}").fetchall(), key=repr)


def rows_of(model: Model, readings: Readings) -> list[tuple]:
    """Return the rows of a mart, worked out in plain Python."""
    from datetime import UTC, datetime

    def peak(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, 17, 30, tzinfo=UTC)

    def kwh(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text).quantize(Decimal("0.000001"))

    cells = [(day, point, kwh(value)) for day, points in readings.items() for point, value in points.items()]
    if model is DIMENSION:
        first: dict[str, date] = {}
        for day, point, _ in cells:
            first[point] = min(day, first.get(point, day))
        return list(first.items())
    if model is DAILY:
        return [(point, day, value, peak(day), 96, 0.5, value is not None) for day, point, value in cells]
    if model is SCORE:
        days = {day: len(points) for day, points in readings.items()}
        return [(day, count + days.get(day - timedelta(days=1), 0)) for day, count in days.items()]
    sums: dict[tuple[str, date], Any] = {}
    for day, point, value in cells:
        sums[point, day.replace(day=1)] = sums.get((point, day.replace(day=1)), Decimal(0)) + (value or 0)
    return [(point, month, total) for (point, month), total in sums.items()]


def small_marts(root: Path, **settings: object) -> SmallMarts:
    """Return an installation in ``root`` without marts."""
    chosen = Settings(root=root, **settings)
    return SmallMarts(Platform(chosen), DuckDBWarehouse(chosen.warehouse))
