"""The peers of benchmark ``vee``: a bare Parquet copy, DuckDB window SQL, pandas.

What a careful engineer would write instead, over the same raw files: the latest version of every slot, the expected
grid, four rules as columns (gap, negative, spike, stuck), sorted Parquet out. No estimation, no other rules, no status,
no lineage. A value that is negative or beyond the connection is not looked at by the rules on what stands, as with us:
without that no counts could agree. It imports nothing of the platform but the writer options, for the copy.

Rules and thresholds are those of ``metrify_assets.vee.parameters``, written out: an independent second opinion.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

RAW_COLUMNS = [
    "point_id",
    "obis_code",
    "kind",
    "interval_start",
    "interval_minutes",
    "value",
    "unit",
    "source_status",
    "row_number",
]
"""What our side reads of a raw row."""
SLOTS = 96
STUCK_SLOTS = 8
SPIKE_FLOOR_KWH = 0.5
COUNTED = ("gap", "negative", "spike", "stuck")


def parquet_copy(files: list[str], folder: str) -> dict[str, Any]:
    """Read the rows and write them again, unchanged and unsorted, file by file."""
    # The first read would import it, which takes longer than all else.
    import pyarrow.dataset  # noqa: F401
    import pyarrow.parquet as pq

    from metrify_assets.storage.lake import write_parquet

    started = time.perf_counter()
    rows = 0
    for number, file in enumerate(files):
        table = pq.read_table(file, columns=RAW_COLUMNS, partitioning=None)
        write_parquet(table, str(Path(folder) / f"{number}.parquet"))
        rows += table.num_rows
    return {"seconds": time.perf_counter() - started, "rows": rows}


POINTS = """
create temp table points as
select cast(row_number() over (order by point_id, obis_code) - 1 as integer) as series,
       point_id, obis_code,
       -- 110 % of the connection power, as energy in a quarter hour.
       connection_kw * 1.1 * 15 / 60 as most_kwh
from read_parquet($registry)
"""

# The numbers of the points are far shorter than their names: what is grouped, joined and sorted is numbers.
LATEST = """
create temp table latest as
select points.series,
       cast((epoch_us(raw.interval_start) - $start) // 900000000 as smallint) as slot,
       arg_max(raw.value, raw.row_number) as kwh
from read_parquet($files) as raw join points using (point_id, obis_code)
where raw.value is not null
group by all
"""

FLAGGED = """
copy (
with grid as (
    select points.series, slots.slot, points.most_kwh, latest.kwh as delivered_kwh,
           case when latest.kwh between 0 and points.most_kwh then latest.kwh end as kwh
    from points
    cross join (select cast(range as smallint) as slot from range(96)) as slots
    left join latest on latest.series = points.series and latest.slot = slots.slot
),
-- (max - third max) / third max > 180 %, and at least 0.5 kWh in a quarter hour.
spikes as (
    select series, top[1] as peak
    from (select series, max(kwh, 3) as top from grid group by series)
    where len(top) = 3 and top[1] - top[3] >= 0.5 and (top[1] - top[3]) * 100 > top[3] * 180
),
changes as (
    select *, kwh is distinct from lag(kwh) over (partition by series order by slot) as begins
    from grid
),
runs as (
    select *, count_if(begins) over (partition by series order by slot rows unbounded preceding) as run
    from changes
),
sized as (
    select *, count(*) over (partition by series, run) as run_slots
    from runs
)
select points.point_id, points.obis_code,
       make_timestamptz($start + cast(sized.slot as bigint) * 900000000) as interval_start,
       sized.delivered_kwh, sized.kwh,
       sized.delivered_kwh is null as is_gap,
       coalesce(sized.delivered_kwh < 0, false) as is_negative,
       coalesce(sized.kwh = spikes.peak, false) as is_spike,
       coalesce(sized.kwh <> 0 and sized.run_slots >= 8, false) as is_stuck
from sized
join points using (series)
left join spikes using (series)
order by sized.series, sized.slot
) to '{target}' (format parquet, compression snappy)
"""


def duckdb_sql(files: list[str], registry: str, start: int, folder: str) -> dict[str, Any]:
    """Do it in SQL, with the threads and the memory that DuckDB takes by default."""
    import duckdb

    target = Path(folder) / "flagged.parquet"
    with duckdb.connect(config={"temp_directory": folder}) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(POINTS, {"registry": registry})
        started = time.perf_counter()
        connection.execute(LATEST, {"files": files, "start": start})
        connection.execute(FLAGGED.format(target=target), {"start": start})
        seconds = time.perf_counter() - started
        counted = ", ".join(f"count_if(is_{name})" for name in COUNTED)
        found = connection.execute(f"select {counted} from read_parquet('{target}')").fetchall()[0]
    return {"seconds": seconds, "findings": dict(zip(COUNTED, found, strict=True))}


def pandas_frames(files: list[str], registry: str, start: int, folder: str) -> dict[str, Any]:
    """Do it in pandas: vectorised, texts as categories, no loop over points or rows."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = pd.read_parquet(registry, columns=["point_id", "obis_code", "connection_kw"])
    points = points.sort_values(["point_id", "obis_code"], ignore_index=True)
    started = time.perf_counter()
    wanted = ["point_id", "obis_code", "interval_start", "value", "row_number"]
    table = pq.read_table(files, columns=wanted, partitioning=None)
    # Decimals would become Python objects.
    table = table.set_column(3, "kwh", table["value"].cast(pa.float64()))
    raw = table.to_pandas()
    del table
    names = pd.Index(points["point_id"])
    raw["series"] = names.get_indexer(raw["point_id"].cat.categories)[raw["point_id"].cat.codes]
    raw["slot"] = (raw["interval_start"].astype("int64") - start) // 900_000_000
    raw = raw.loc[raw["kwh"].notna() & (raw["series"] >= 0), ["series", "slot", "kwh", "row_number"]]
    latest = raw.sort_values("row_number").drop_duplicates(["series", "slot"], keep="last")
    del raw
    expected = pd.MultiIndex.from_product([range(len(points)), range(SLOTS)], names=["series", "slot"])
    grid = latest.set_index(["series", "slot"])["kwh"].reindex(expected).rename("delivered_kwh").reset_index()
    del latest
    delivered = grid["delivered_kwh"]
    most = np.repeat(points["connection_kw"].to_numpy() * 1.1 * 15 / 60, SLOTS)
    grid["kwh"] = delivered.where((delivered >= 0) & (delivered <= most))
    grid["is_gap"] = delivered.isna()
    grid["is_negative"] = delivered < 0
    grid["is_spike"] = _spikes(grid)
    grid["is_stuck"] = _stuck(grid)
    for name in ("point_id", "obis_code"):
        column = points[name].astype("category")
        codes = np.repeat(column.cat.codes.to_numpy(), SLOTS)
        grid[name] = pd.Categorical.from_codes(codes, dtype=column.dtype)
    grid["interval_start"] = pd.to_datetime(start + grid["slot"] * 900_000_000, unit="us", utc=True)
    grid.drop(columns=["series", "slot"]).to_parquet(Path(folder) / "flagged.parquet", index=False)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "findings": {name: int(grid[f"is_{name}"].sum()) for name in COUNTED}}


def _spikes(grid: Any) -> Any:
    """Return where (max - third max) / third max > 180 % and the excess is at least the floor."""
    by_series = grid.groupby("series", sort=False)["kwh"]
    largest = by_series.transform("max")
    # Only where the maximum reaches the floor can the excess: few points have to be ranked.
    candidates = grid.loc[largest >= SPIKE_FLOOR_KWH, ["series", "kwh"]].dropna()
    ranked = candidates.sort_values(["series", "kwh"], ascending=[True, False])
    third = ranked.groupby("series", sort=False)["kwh"].nth(2)
    third_of = third.set_axis(ranked.loc[third.index, "series"].to_numpy())
    third_max = grid["series"].map(third_of)
    excess = largest - third_max
    # Values are whole Wh, held as the nearest float: half a Wh is below any difference that decides.
    spiking = (excess >= SPIKE_FLOOR_KWH - 5e-7) & (excess > 1.8 * third_max + 5e-7)
    return spiking & (grid["kwh"] == largest)


def _stuck(grid: Any) -> Any:
    """Return the runs of one non-zero value of 2 h and longer."""
    value, series = grid["kwh"], grid["series"]
    begins = (value != value.shift()) | (series != series.shift())
    run_slots = value.groupby(begins.cumsum(), sort=False).transform("size")
    return (run_slots >= STUCK_SLOTS) & (value != 0) & value.notna()
