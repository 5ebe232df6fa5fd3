"""A spring of five points and three stations, written into a lake as the platform would have left it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from metrify_assets.analytics.weather.rules import WeatherRules
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_WEATHER
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS, WEATHER_STATIONS
from metrify_assets.schemas.table import Table
from metrify_assets.settings import Settings
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.unit.analytics.weather.points import year_of_temperature

IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
FIRST, LAST = date(2025, 3, 1), date(2025, 5, 31)
DAYS = [FIRST + timedelta(day) for day in range(92)]
SPRING = WeatherRules(baseline_days=92)
"""A year is as well read as a spring; its days would take long to write. At least 83 of them are needed."""
TEMPERATURE = dict(zip(DAYS, np.round(year_of_temperature()[59:151], 2).tolist(), strict=True))
MOVED_ON = date(2025, 5, 1)
PROVENANCE = {"feed": "f", "drop_id": "d", "row_number": 1, "received_at": datetime(2026, 1, 1, tzinfo=UTC)}
FREIBURG, ULM = (48.0, 7.85), (48.4, 10.0)


def used(point: str, day: date) -> float:
    """Return the true use of a day, kWh."""
    if point == "heats":
        return 4.8 + 1.2 * max(14.0 - TEMPERATURE[day], 0.0)
    return 2.4 if point != "moved" or day >= MOVED_ON else 24.0


def publish(platform: Platform, table: Table, day: date | None, rows: list[dict]) -> None:
    full = [dict.fromkeys(table.arrow.names) | row for row in rows]
    content = pa.Table.from_pylist(full, schema=table.arrow)
    platform.lake.publish(table.name, day, {0: platform.lake.write_shard(table.name, day, 0, content)})


def publish_registry(platform: Platform) -> None:
    def point(name: str, place: tuple | None, begin=date(2020, 1, 1), end=None, obis=IMPORT) -> dict:
        where = {"latitude": place[0], "longitude": place[1]} if place else {}
        ids = {"point_id": name, "obis_code": obis, "interval_minutes": 60, "valid_from": begin, "valid_to": end}
        return {**ids, **where, **PROVENANCE}

    rows = [
        point("heats", FREIBURG),
        point("heats", FREIBURG, obis=EXPORT),
        point("flat", ULM),
        # A new row that changes no place is no move.
        point("moved", ULM, end=MOVED_ON),
        point("moved", FREIBURG, begin=MOVED_ON, end=date(2025, 5, 20)),
        point("moved", FREIBURG, begin=date(2025, 5, 20)),
        point("late", ULM, begin=date(2025, 4, 1)),
        point("placeless", None),
        point("ended", ULM, end=date(2025, 5, 31)),
    ]
    publish(platform, POINTS, None, rows)
    stations = {"near_without_weather": (48.01, 7.86), "west": (48.0, 8.0), "east": (48.4, 10.1)}
    publish(
        platform,
        WEATHER_STATIONS,
        None,
        [
            {
                "station_id": name,
                "name": name,
                "latitude": latitude,
                "longitude": longitude,
                "valid_from": date(2000, 1, 1),
                **PROVENANCE,
            }
            for name, (latitude, longitude) in stations.items()
        ],
    )


def slot_rows(point: str, day: date, *, estimated: int = 0, obis: str = IMPORT) -> list[dict]:
    """Return the hours of a day, the first of them estimated with a value that must not count."""
    starts = DeliveryDay(day, "Europe/Berlin").slot_starts(60).tolist()
    each = Decimal(str(used(point, day))) / len(starts)
    return [
        {
            "point_id": point,
            "obis_code": obis,
            "interval_start": start,
            "interval_minutes": 60,
            "value_kwh": Decimal("99") if slot < estimated else each.quantize(Decimal("1e-6")),
            "status": "estimated" if slot < estimated else "measured",
            "flags": 0,
            "version": 1,
            "day": day,
        }
        for slot, start in enumerate(starts)
    ]


def weather_rows(day: date) -> list[dict]:
    hours = DeliveryDay(day, "Europe/Berlin").slot_starts(60).tolist()
    plain = {"source_id": "s", "received_at": PROVENANCE["received_at"], "day": day}
    rows = [
        {"station_id": station, "observed_at": start, "temperature_c": TEMPERATURE[day], **plain}
        for station in ("west", "east")
        for start in hours
    ]
    # Ten-minute values of the first hour: together they are one hour.
    rows += [
        {"station_id": "west", "observed_at": hours[0] + 600_000_000 * n, "temperature_c": TEMPERATURE[day], **plain}
        for n in range(1, 6)
    ]
    return rows


def write_spring(root: Path) -> Platform:
    """Return an installation with the registries, the readings and the weather."""
    platform = Platform(Settings(root=root))
    publish_registry(platform)
    for number, day in enumerate(DAYS):
        points = ["heats", "flat", "moved", "placeless", "ended"] + (["late"] if day >= date(2025, 4, 1) else [])
        rows = [row for point in points for row in slot_rows(point, day, estimated=8 if number % 7 == 3 else 0)]
        rows += slot_rows("heats", day, obis=EXPORT)
        publish(platform, CLEAN_READINGS, day, rows)
        publish(platform, CLEAN_WEATHER, day, weather_rows(day))
    return platform
