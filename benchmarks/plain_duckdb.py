"""The peer of benchmark ``main``: one day from a file to the marts in a plain DuckDB script.

What a careful engineer would write without a platform: the same file, the same registry join, the same rules and
estimates, the same facts. No lake, no versions kept, no audit, no lineage, no dbt, no recomputation of single points.
It imports nothing of Metrify.

Rules and thresholds are those of ``metrify_assets.vee.parameters``, written out: an independent second opinion.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

READ = {
    # Mean power in kW x 15 / 60 h = kWh; exact decimals, then whole micro-kWh.
    "csv": """
        select point_id, obis as obis_code, "timestamp" as interval_start,
               cast(mean_kw * 250000 as bigint) as micro
        from read_csv(?, header = true, columns = {
            'point_id': 'varchar', 'obis': 'varchar', 'timestamp': 'timestamptz', 'mean_kw': 'decimal(18, 6)'})
    """,
    "parquet": """
        select melo as point_id, obis as obis_code, start_utc as interval_start,
               cast(round(kwh * 1e6) as bigint) as micro
        from read_parquet(?)
    """,
}

POINTS = """
create temp table points as
select cast(row_number() over (order by point_id, obis_code) - 1 as integer) as series,
       point_id, obis_code, point_class,
       -- 110 % of the connection power, as energy in a quarter hour.
       cast(floor(connection_kw * 1e6 * 110 * 15 / (100 * 60)) as bigint) as most
from read_csv(?, header = true)
where interval_minutes = 15 and cast(valid_from as date) <= $day
  and (valid_to is null or $day < cast(valid_to as date))
"""

# The last row of a file is the latest version: row ids follow the file.
LATEST = """
create temp table latest as
select points.series,
       cast((epoch_us(raw.interval_start) - $start) // 900000000 as smallint) as slot,
       arg_max(raw.micro, raw.rowid) as micro,
       cast(count(*) as integer) as deliveries
from raw join points using (point_id, obis_code)
where cast(raw.interval_start at time zone 'Europe/Berlin' as date) = $day and raw.micro is not null
group by all
"""

# The expected grid; what was refused keeps its value as `delivered`, what stands is `value`.
GRID = """
create temp table grid as
select points.series, slots.slot, latest.micro as delivered,
       coalesce(latest.micro < 0, false) as negative,
       coalesce(abs(latest.micro) > points.most, false) as over_limit,
       case when latest.micro between 0 and points.most then latest.micro end as value
from points
cross join (select cast(range as smallint) as slot from range($slots)) as slots
left join latest on points.series = latest.series and slots.slot = latest.slot
"""

# (max - third max) / third max > 180 %, and at least 0.5 kWh in a quarter hour.
SPIKES = """
create temp table spikes as
select series, top[1] as peak
from (select series, max(value, 3) as top from grid group by series)
where len(top) = 3 and top[1] - top[3] >= 500000 and (top[1] - top[3]) * 100 > top[3] * 180
"""

# |value - median| > 5 x 1.4826 x MAD + 0.5 kWh, in a window of six hours around the slot with five values at least. No
# value of a series that stays below the floor can be so far off.
OUTLIERS = """
create temp table outliers as
with busy as (select series from grid group by series having max(value) > 500000),
windows as (
    select series, slot, value, median(value) over w as middle, mad(value) over w as mad, count(value) over w as present
    from grid semi join busy using (series)
    window w as (partition by series order by slot rows between 12 preceding and 12 following)
)
select series, slot from windows
where value is not null and present >= 5 and abs(value - middle) > 5 * 1.4826 * mad + 500000
"""

_RUNS = """
create temp table {table} as
with cells as ({cells}),
changes as (
    select series, slot, value, value is distinct from lag(value) over w or slot = 0 as begins
    from cells window w as (partition by series order by slot)
),
starts as (
    select series, slot as first, value,
           lead(slot, 1, $slots) over w - slot as length,
           lag(value) over w as before,
           lead(value) over w as after
    from changes where begins
    window w as (partition by series order by slot)
)
select series, cast(first + unnest(range(length)) as smallint) as slot, unnest(range(length)) + 1 as position, length,
       before, after
from starts where {chosen}
"""

# A gap of 2 h at most; what stands out at its ends belongs to it.
GAPS = _RUNS.format(
    table="gaps",
    cells="""
    select grid.series, grid.slot,
           case when outliers.series is null and grid.value is distinct from spikes.peak then grid.value end as value
    from grid
    semi join (select series from grid where value is null) as incomplete on grid.series = incomplete.series
    left join outliers on grid.series = outliers.series and grid.slot = outliers.slot
    left join spikes on grid.series = spikes.series
    """,
    chosen="value is null and length <= 8 and before is not null and after is not null",
)

# One non-zero value for 2 h and longer.
STUCK = _RUNS.format(table="stuck", cells="select series, slot, value from grid", chosen="value <> 0 and length >= 8")

CLEAN = """
create temp table clean as
with estimated as (
    select grid.series, grid.slot, grid.delivered, grid.negative, grid.over_limit, grid.value,
           stuck.series is not null as stuck,
           outliers.series is not null as outlier,
           coalesce(grid.value = spikes.peak, false) as spike,
           -- Interior point i of n at i / (n + 1), half to even.
           case when grid.value is null
                then cast(round_even(
                    gaps.before + (gaps.after - gaps.before) * gaps.position / (gaps.length + 1), 0
                ) as bigint)
           end as linear
    from grid
    left join gaps on grid.series = gaps.series and grid.slot = gaps.slot
    left join stuck on grid.series = stuck.series and grid.slot = stuck.slot
    left join outliers on grid.series = outliers.series and grid.slot = outliers.slot
    left join spikes on grid.series = spikes.series
)
select series, slot, coalesce(value, linear) as micro, delivered,
       case when value is not null then 'measured' when linear is not null then 'estimated' else 'missing'
       end as status,
       case when value is null and linear is not null then 'linear' end as method,
       case when delivered is null then 'gap' when negative then 'negative' when over_limit then 'physical_limit'
       end as reason,
       cast(negative as integer) * 16 + cast(over_limit as integer) * 32 + cast(spike as integer) * 64
       + cast(stuck as integer) * 128 + cast(outlier as integer) * 256 + cast(delivered is null as integer) as flags
from estimated
"""

READINGS = """
select points.point_id, points.obis_code,
       make_timestamptz($start + cast(clean.slot as bigint) * 900000000) as interval_start,
       cast(15 as smallint) as interval_minutes,
       cast(clean.micro / 1e6 as decimal(18, 6)) as value_kwh, clean.status, clean.method, clean.reason, clean.flags,
       cast(clean.delivered / 1e6 as decimal(18, 6)) as delivered_kwh, $day as day
from clean join points using (series)
"""

HOURLY = """
create table fct_smart_meter_analytics as
with hourly as (
    select series, slot // 4 as hour_number, sum(micro) as micro, max(micro) as peak,
           count(delivered) as delivered_slots, count_if(status = 'measured') as measured_slots,
           count_if(status = 'estimated') as estimated_slots, count_if(status = 'missing') as missing_slots
    from clean group by all
)
select points.point_id, points.obis_code, points.point_class,
       make_timestamptz($start + cast(hour_number as bigint) * 3600000000) as hour_start,
       hour(make_timestamptz($start + cast(hour_number as bigint) * 3600000000) at time zone 'Europe/Berlin')
       as local_hour,
       $day as day, 15 as interval_minutes, 4 as expected_slots,
       case when missing_slots = 0 then cast(micro / 1e6 as decimal(18, 6)) end as energy_kwh,
       delivered_slots, measured_slots, estimated_slots, missing_slots, peak * 4 / 1e6 as peak_kw,
       case when missing_slots > 0 then 'missing' when estimated_slots > 0 then 'estimated' else 'measured'
       end as status
from hourly join points using (series)
"""

DAILY = """
create table daily_consumption_metrics as
with daily as (
    select series, sum(micro) as micro, max(micro) as peak, arg_max(slot, micro * 1000 - slot) as peak_slot,
           arg_max(status, micro * 1000 - slot) as peak_status, quantile_cont(micro, 0.05) as p5,
           count_if(status = 'measured') as measured_slots, count_if(status = 'estimated') as estimated_slots,
           count_if(status = 'missing') as missing_slots
    from clean group by series
)
select points.point_id, points.obis_code, $day as day, 15 as interval_minutes, $slots as expected_slots,
       case when missing_slots = 0 then cast(micro / 1e6 as decimal(18, 6)) end as energy_kwh,
       measured_slots, estimated_slots, missing_slots, 1 - missing_slots / $slots as completeness,
       estimated_slots / $slots as estimated_share, peak * 4 / 1e6 as peak_kw,
       make_timestamptz($start + cast(peak_slot as bigint) * 900000000) as peak_at, peak_status,
       case when missing_slots = 0 then micro / nullif(peak * $slots, 0) end as load_factor,
       case when missing_slots = 0 then p5 * 4 / 1e6 end as base_load_kw,
       case when missing_slots > 0 then 'missing' when estimated_slots > 0 then 'estimated' else 'measured'
       end as status
from daily join points using (series)
"""

TOTALS = """
select cast(sum(micro) as bigint) as micro_kwh,
       count_if(status = 'measured') as measured, count_if(status = 'estimated') as estimated,
       count_if(status = 'missing') as missing,
       count_if(flags & 1 > 0) as gap, count_if(flags & 16 > 0) as negative, count_if(flags & 32 > 0) as physical_limit,
       count_if(flags & 64 > 0) as spike, count_if(flags & 128 > 0) as stuck,
       count_if(flags & 256 > 0) as robust_outlier
from clean
"""


def run(source: str, kind: str, registry: str, folder: str, day: str) -> dict[str, Any]:
    """Compute one day of quarter-hourly reads; write ``clean.parquet`` and ``plain.duckdb`` into ``folder``.

    Parameters
    ----------
    source : str
        The reads, ``kind`` csv (feed meters_east) or parquet (feed meters_west).
    registry : str
        The points, CSV.
    folder : str
    day : str
        Delivery day, ISO.

    Returns
    -------
    dict
        ``seconds``, and ``totals`` by name.
    """
    started = time.perf_counter()
    with duckdb.connect(str(Path(folder) / "plain.duckdb")) as connection:
        connection.execute("set timezone = 'UTC'")
        named = _day_parameters(connection, day)
        _execute(connection, POINTS, named, registry)
        connection.execute(f"create temp table raw as {READ[kind]}", [source])
        for statement in (LATEST, GRID, SPIKES, OUTLIERS, GAPS, STUCK, CLEAN):
            _execute(connection, statement, named)
        target = str(Path(folder) / "clean.parquet")
        _execute(connection, f"copy ({READINGS}) to '{target}' (format parquet, compression snappy)", named)
        for statement in (HOURLY, DAILY):
            _execute(connection, statement, named)
        seconds = time.perf_counter() - started
        counted = connection.execute(TOTALS)
        totals = dict(zip((column[0] for column in counted.description), counted.fetchall()[0], strict=True))
        for name, table in (("hourly", "fct_smart_meter_analytics"), ("daily", "daily_consumption_metrics")):
            rows, energy = connection.execute(f"select count(*), sum(energy_kwh) from {table}").fetchall()[0]
            totals |= {f"{name}_rows": rows, f"{name}_kwh": str(energy)}
    return {"seconds": seconds, "totals": totals}


def _day_parameters(connection: duckdb.DuckDBPyConnection, day: str) -> dict[str, Any]:
    """Return the day, its first instant (UTC microseconds) and its number of quarter hours."""
    start, end = connection.execute(
        "select epoch_us(cast(d as timestamp) at time zone 'Europe/Berlin'),"
        " epoch_us(cast(d + 1 as timestamp) at time zone 'Europe/Berlin') from (select cast(? as date) as d)",
        [day],
    ).fetchall()[0]
    return {"day": date.fromisoformat(day), "start": start, "slots": (end - start) // 900_000_000}


def _execute(connection: duckdb.DuckDBPyConnection, sql: str, named: dict[str, Any], path: str | None = None) -> None:
    """Run a statement with those of the named parameters that it uses; ``?`` stands for the path."""
    used = {name: value for name, value in named.items() if f"${name}" in sql}
    if path is not None:
        sql, used = sql.replace("?", "$path"), {**used, "path": path}
    connection.execute(sql, used)
