"""A platform in a temporary folder, without Dagster: land files, compute days, look at the outcome.

Belongs here: what the tests between the readers and dbt share. Does not belong here: sensors and jobs
(``harness.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from metrify_assets.days.clean import compute_clean
from metrify_assets.days.day import DayResult
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import clean_shards
from metrify_assets.days.validated import compute_validated
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.drops.ledger import Drop
from metrify_assets.landing.ingest import Ingested, ingest
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry
from metrify_assets.schemas.readings import CLEAN_READINGS, QUARANTINE
from metrify_assets.settings import Settings
from metrify_assets.vee.delivery_day import DeliveryDay

IMPORT = "1-0:1.29.0"
ARRIVED = datetime(2026, 6, 1, 6, tzinfo=UTC)
"""When files arrive unless a test says otherwise."""

FEEDS: dict[str, dict[str, object]] = {
    "plain": {"same_name": "replace", "point": "{column: point}", "header": "[point, start, kwh]"},
    "adding": {"same_name": "add", "point": "{column: point}", "header": "[point, start, kwh]"},
    "named": {"same_name": "replace", "point": "{file_name: '^(\\w+)\\.csv'}", "header": "[start, kwh]"},
    "half_hours": {
        "same_name": "add",
        "point": "{column: point}",
        "header": "[point, start, kwh]",
        "interval_minutes": 30,
    },
    "two_hours": {
        "same_name": "add",
        "point": "{column: point}",
        "header": "[point, start, kwh]",
        "interval_minutes": 120,
    },
    "with_status": {
        "same_name": "add",
        "point": "{column: point}",
        "header": "[point, start, kwh, status]",
        "status": "{column: status, mapping: {W: measured, E: substitute, V: provisional}}",
    },
}
"""Feeds of the tests: hourly kWh in UTC unless they say otherwise; ``named`` has its point in the file's name."""


def write_feeds(folder: Path) -> Path:
    """Write the definitions of the tests' feeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, own in FEEDS.items():
        lines = [
            f"name: {name}",
            "description: A feed of the tests.",
            "kind: readings",
            "format: delimited",
            "settle_seconds: 2",
            "stamp: {columns: [start], format: iso}",
            f"interval_minutes: {own.get('interval_minutes', 60)}",
            f'obis: "{IMPORT}"',
            "unit: kWh",
            "values: [{column: kwh}]",
            *(f"{field}: {value}" for field, value in own.items() if field != "interval_minutes"),
        ]
        (folder / f"{name}.yaml").write_text("\n".join(lines))
    return folder


Values = Callable[[str, date, int], float | None]


def flat(value: float) -> Values:
    """Return values that differ a little from slot to slot, so that nothing looks stuck."""
    return lambda point, day, slot: round(value + 0.001 * (slot % 2), 6)


def reads(
    points: Iterable[str], days: Iterable[date], value: Values | None = None, *, zone: str = "Europe/Berlin"
) -> bytes:
    """Return a ``plain`` file with every hour of some points and days; None leaves the row out."""
    value = value or flat(0.5)
    lines = ["point,start,kwh"]
    for point in points:
        for day in days:
            for slot, start in enumerate(DeliveryDay(day, zone).slot_starts(60).tolist()):
                kwh = value(point, day, slot)
                if kwh is not None:
                    lines.append(f"{point},{instant(start)},{kwh}")
    return ("\n".join(lines) + "\n").encode()


def points_file(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return a registry of hourly points; each row needs its ``point_id`` only."""
    header = ["point_id", "obis_code", "interval_minutes", "connection_kw", "valid_from", "valid_to"]
    lines = [",".join(header)]
    for row in rows:
        full = {"obis_code": IMPORT, "interval_minutes": 60, "connection_kw": 30, "valid_from": "2020-01-01"} | dict(
            row
        )
        lines.append(",".join(str(full.get(name, "")) for name in header))
    return ("\n".join(lines) + "\n").encode()


def instant(microseconds: int) -> str:
    """Return UTC microseconds as ISO text."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def micros(moment: datetime) -> int:
    """Return a moment as UTC microseconds."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


@dataclass
class Workbench:
    """One installation and what a test does with it."""

    platform: Platform

    @property
    def inbox(self) -> Path:
        return self.platform.settings.inbox

    def put(self, feed: str, name: str, content: bytes, arrived: datetime = ARRIVED) -> InboxFile:
        """Put a file into the inbox."""
        path = self.inbox / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(micros(arrived) * 1_000, micros(arrived) * 1_000))
        return InboxFile(feed, name, len(content), micros(arrived))

    def land(self, feed: str, name: str, content: bytes, arrived: datetime = ARRIVED) -> Ingested:
        """Put a file into the inbox and take it in."""
        outcome = ingest(self.platform, self.put(feed, name, content, arrived))
        if self.platform.feed(feed).kind == "registry":
            build_registry(self.platform, self.platform.feed(feed).registry)
        return outcome

    def register(self, *points: str | Mapping[str, object], arrived: datetime = ARRIVED) -> Ingested:
        """Make these the registered points."""
        rows = [{"point_id": point} if isinstance(point, str) else point for point in points]
        return self.land("registry_points", "points.csv", points_file(rows), arrived)

    def compute(self, *days: date) -> dict[date, tuple[DayResult, DayResult]]:
        """Compute what is stale of some days, validated then clean, as one run does."""
        digests = Digests(self.platform)
        validated = {day: compute_validated(self.platform, day, digests) for day in sorted(days)}
        digests = Digests(self.platform)
        shards = clean_shards(digests)
        return {day: (validated[day], compute_clean(self.platform, day, digests, shards)) for day in sorted(days)}

    def dirty(self) -> set[date]:
        """Return the days that are dirty in validated or clean."""
        digests = Digests(self.platform)
        return digests.dirty_days("validated_readings") | digests.dirty_days("clean_readings")

    def settle(self) -> list[date]:
        """Compute dirty days until none is left; return them in order."""
        done: list[date] = []
        while days := sorted(self.dirty()):
            self.compute(*days)
            done += days
            assert len(done) < 1_000, "never settles"
        return done

    def clean(self, day: date) -> pa.Table:
        """Return the clean rows of a day."""
        return self.platform.lake.read(self.platform.lake.manifest("clean_readings", day), CLEAN_READINGS.arrow)

    def energy(self, day: date, point: str | None = None) -> Decimal:
        """Return the clean energy of a day, kWh."""
        return sum(
            (
                row["value_kwh"]
                for row in self.clean(day).to_pylist()
                if row["value_kwh"] is not None and point in (None, row["point_id"])
            ),
            Decimal(0),
        )

    def digests(self, table: str = "clean_readings") -> dict[date, dict[int, str]]:
        """Return the content digests of every day and shard of a table."""
        return {
            day: {number: shard.digest for number, shard in manifest.shards.items()}
            for day, manifest in self.platform.lake.days(table).items()
        }

    def quarantine(self, drop: Drop) -> list[dict]:
        """Return the rejected rows of a drop."""
        import pyarrow.parquet as pq

        if not drop.quarantine:
            return []
        return (
            pq.read_table(self.platform.store.uri(drop.quarantine), partitioning=None)
            .cast(QUARANTINE.arrow)
            .to_pylist()
        )


def workbench(root: Path, **settings: object) -> Workbench:
    """Return a platform in ``root`` with the feeds of the tests."""
    chosen = {"shards": 2, "feeds_dir": write_feeds(root / "feeds")} | settings
    return Workbench(Platform(Settings(root=root / "metrify", **chosen)))
