{{ config(meta={'dagster': {'ref': {'name': 'fct_smart_meter_analytics'}}}) }}
-- The energy of an hourly day is that of its slots in complete hours, to the last digit. If this fails, a join in
-- fct_smart_meter_analytics lost or multiplied hours: rebuild the day, then look at the joins.
with slots as (
    select
        point_id,
        obis_code,
        day,
        interval_start,
        interval_minutes,
        value_kwh
    from {{ ref('stg_smart_meter_readings') }}
    where {{ in_requested_days('day') }} and 60 % interval_minutes = 0
),

hours as (
    select
        day,
        sum(value_kwh) as hour_kwh
    from slots
    group by point_id, obis_code, day, {{ hour_number('day', 'interval_start') }}
    having count(value_kwh) * max(interval_minutes) = 60
),

delivered as (
    select
        day,
        sum(hour_kwh) as kwh
    from hours
    group by day
),

mart as (
    select
        day,
        sum(energy_kwh) as kwh
    from {{ ref('fct_smart_meter_analytics') }}
    where {{ in_requested_days('day') }}
    group by day
)

select
    coalesce(delivered.day, mart.day) as day,
    delivered.kwh as slots_kwh,
    mart.kwh as mart_kwh
from delivered
full outer join mart on delivered.day = mart.day
where coalesce(delivered.kwh, 0) <> coalesce(mart.kwh, 0)
