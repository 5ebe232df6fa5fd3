"""``clean_grid_status`` and ``clean_weather`` of a day: the latest version of every value, with a verdict."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from metrify_assets.days.day import DayResult, ShardResult, compute_day
from metrify_assets.days.digests import Digests
from metrify_assets.drops.parts import read_part
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import (
    CLEAN_GRID_STATUS,
    CLEAN_WEATHER,
    RAW_GRID_STATUS,
    RAW_WEATHER,
    WEATHER_METRICS,
    grid_range,
)
from metrify_assets.schemas.table import Table
from metrify_assets.storage.object_store import ObjectStore

if TYPE_CHECKING:
    import pandas as pd


def compute_grid_status(platform: Platform, day: date, digests: Digests, *, force: bool = False) -> DayResult:
    """Compute and publish the grid status of one day."""

    import pandas as pd

    def compute_shard(number: int) -> ShardResult:
        rows, inputs = _raw(platform.store, RAW_GRID_STATUS, day, digests)
        frame = _latest(rows, ["source_id", "control_area", "metric", "interval_start"])
        value = pd.to_numeric(frame["value"])
        ranges = [grid_range(*pair) for pair in zip(frame["metric"], frame["control_area"], strict=True)]
        low, high = np.array(ranges, dtype=float).reshape(-1, 2).T
        frame["status"] = "measured"
        frame.loc[(value < low) | (value > high), "status"] = "implausible"
        frame.loc[value.isna(), "status"] = "missing"
        numbers = {"raw": rows.num_rows, "status": frame["status"].value_counts().to_dict()}
        return ShardResult(_table(CLEAN_GRID_STATUS, frame), inputs, numbers)

    return compute_day(platform, CLEAN_GRID_STATUS, day, digests, compute_shard, force=force)


def compute_weather(platform: Platform, day: date, digests: Digests, *, force: bool = False) -> DayResult:
    """Compute and publish the weather of one day."""

    import pandas as pd

    def compute_shard(number: int) -> ShardResult:
        rows, inputs = _raw(platform.store, RAW_WEATHER, day, digests)
        latest = _latest(rows, ["station_id", "observed_at", "metric"])
        latest["value"] = pd.to_numeric(latest["value"])
        key = ["station_id", "observed_at"]
        wide = latest.pivot(index=key, columns="metric", values="value").reset_index()
        newest = latest.sort_values("received_at", kind="stable").groupby(key, as_index=False).last()
        frame = wide.merge(newest[[*key, "source_id", "quality", "received_at", "day"]], on=key)
        for metric in WEATHER_METRICS:
            frame[metric] = frame[metric].astype(float) if metric in frame else float("nan")
        numbers = {"raw": rows.num_rows, "stations": int(frame["station_id"].nunique())}
        return ShardResult(_table(CLEAN_WEATHER, frame), inputs, numbers)

    return compute_day(platform, CLEAN_WEATHER, day, digests, compute_shard, force=force)


def _raw(store: ObjectStore, table: Table, day: date, digests: Digests) -> tuple[pa.Table, dict[str, str]]:
    name = f"{table.name}@{day}"
    pieces = [
        read_part(store, drop, part, table.arrow)
        for drop in digests.view.drops_of(table.name, day)
        for part in drop.parts[day.isoformat()]
    ]
    rows = pa.concat_tables(pieces) if pieces else table.empty()
    return rows, {name: digests.current(name, 0)}


def _latest(rows: pa.Table, key: list[str]) -> pd.DataFrame:
    """Return the version received last of every key; a null does not displace a value."""
    frame = rows.to_pandas()
    for name in frame.columns[frame.dtypes == "category"]:
        frame[name] = frame[name].astype("str").where(frame[name].notna(), None)
    frame["has_value"] = frame["value"].notna()
    order = ["has_value", "received_at", "drop_id", "row_number"]
    frame = frame.sort_values(order, kind="stable").drop_duplicates(key, keep="last")
    return frame.sort_values(key, kind="stable").reset_index(drop=True)


def _table(table: Table, frame: pd.DataFrame) -> pa.Table:
    columns = []
    for field in table.arrow:
        kind = pa.decimal128(18, 6) if pa.types.is_decimal(field.type) else field.type
        plain = pa.string() if pa.types.is_dictionary(field.type) else kind
        column = pa.array(frame[field.name], plain, from_pandas=True)
        columns.append(column.dictionary_encode() if pa.types.is_dictionary(field.type) else column.cast(field.type))
    return pa.table(columns, schema=table.arrow)
