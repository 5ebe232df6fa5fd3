{{ config(materialized='incremental', incremental_strategy='replace_days', on_schema_change='fail') }}

with readings as (
    select
        *,
        -- Orders a day's slots by value and, among equal values, puts the earliest last: the maximum is the first peak.
        -- 10^10 lifts the six decimals of the value above the minute of the day.
        cast(value_kwh as decimal(38, 6)) * 10000000000
        - {{ minutes_between(local_midnight('day'), 'interval_start') }} as peak_order
    from {{ ref('stg_smart_meter_readings') }}
    where {{ in_requested_days('day') }}
),

daily as (
    select
        point_id,
        obis_code,
        day,
        max(interval_minutes) as interval_minutes,
        sum(value_kwh) as known_kwh,
        max(value_kwh) as peak_kwh,
        max_by(interval_start, peak_order) as peak_at,
        max_by(status, peak_order) as peak_status,
        percentile_cont(0.05) within group (order by {{ mean_kw('value_kwh', 'interval_minutes') }}) as p5_kw,
        {{ slot_counts() }}
    from readings
    group by 1, 2, 3
),

expected as (
    select
        *,
        {{ hours_in_day('day') }} as hours_in_day,
        cast({{ hours_in_day('day') }} * 60 / interval_minutes as integer) as expected_slots
    from daily
),

accounted as (
    select
        *,
        greatest(expected_slots - valued_slots, 0) as missing_slots,
        cast(valued_slots as double) / expected_slots as completeness,
        cast(estimated_slots as double) / expected_slots as estimated_share,
        {{ mean_kw('peak_kwh', 'interval_minutes') }} as peak_kw
    from expected
),

judged as (
    select *, completeness >= {{ var('completeness_threshold') }} as is_complete
    from accounted
)

select
    point_id,
    obis_code,
    day,
    interval_minutes,
    case when is_complete then cast(known_kwh as decimal(18, 6)) end as energy_kwh,
    expected_slots,
    measured_slots,
    estimated_slots,
    provisional_slots,
    missing_slots,
    completeness,
    estimated_share,
    {{ worst_status() }} as status,
    peak_kw,
    peak_at,
    peak_status,
    case when is_complete then cast(known_kwh as double) / nullif(peak_kw * hours_in_day, 0) end as load_factor,
    case when is_complete then p5_kw end as base_load_kw
from judged
