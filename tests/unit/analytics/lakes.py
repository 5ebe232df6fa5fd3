"""A lake with the load of a control area, that arrives day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from metrify_assets.clock import Clock, instant
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS
from metrify_assets.settings import Settings
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.unit.analytics.loads import AREA, ZONE, load_values

HOUR = 3_600_000_000
FIRST, DAYS = date(2026, 3, 2), 150


def platform_at(folder: Path, now: datetime) -> Platform:
    """Return an installation whose clock shows a moment."""
    return Platform(Settings(root=folder, first_day=FIRST), Clock(lambda: now))


def deliver_load(
    platform: Platform, *, received_after: timedelta | None = timedelta(0), scramble_after: int | None = None
):
    """Write 150 days of load into the lake: each value received that long after its hour, or all of it much later."""
    values = load_values(FIRST, DAYS)
    done = 0
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        starts = DeliveryDay(day, ZONE).slot_starts(60)
        of_day = values[done : done + len(starts)].copy()
        done += len(starts)
        if scramble_after is not None:
            of_day[starts + HOUR > scramble_after] = np.random.default_rng(number).uniform(1, 9e4)
        late = datetime(2027, 1, 1, tzinfo=UTC)
        rows = [
            {
                "source_id": "opsd",
                "control_area": AREA,
                "metric": "load_mw",
                "interval_start": instant(int(start)),
                "resolution_minutes": 60,
                "value": Decimal(f"{value:.6f}"),
                "unit": "MW",
                "status": "measured",
                "received_at": late if received_after is None else instant(int(start) + HOUR) + received_after,
                "day": day,
            }
            for start, value in zip(starts, of_day, strict=True)
        ]
        # The operator's own forecast is 100 MW above what came.
        rows += [{**row, "metric": "load_forecast_mw", "value": row["value"] + 100} for row in rows]
        table = _table(rows)
        shard = platform.lake.write_shard(CLEAN_GRID_STATUS.name, day, 0, table)
        platform.lake.publish(CLEAN_GRID_STATUS.name, day, {0: shard})


def _table(rows: list[dict[str, object]]) -> pa.Table:
    arrays = []
    for field in CLEAN_GRID_STATUS.arrow:
        plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
        column = pa.array([row[field.name] for row in rows], plain)
        arrays.append(column.dictionary_encode() if pa.types.is_dictionary(field.type) else column)
    return pa.table(arrays, schema=CLEAN_GRID_STATUS.arrow)
