with readings as (
    select * from {{ ref('stg_smart_meter_readings') }}
    -- Slots longer than an hour are kept at their own resolution: an hour of a daily value would be invented.
    where {{ in_requested_days('day') }} and 60 % interval_minutes = 0
),

hourly as (
    select
        point_id,
        obis_code,
        day,
        {{ hour_number('day', 'interval_start') }} as hour_number,
        max(interval_minutes) as interval_minutes,
        sum(value_kwh) as known_kwh,
        min(value_kwh) as least_kwh,
        max(value_kwh) as peak_kwh,
        cast(count(delivered_kwh) as integer) as delivered_slots,
        {{ slot_counts() }}
    from readings
    group by 1, 2, 3, 4
),

expected as (
    select
        *,
        cast(60 / interval_minutes as integer) as expected_slots
    from hourly
),

accounted as (
    select
        *,
        greatest(expected_slots - valued_slots, 0) as missing_slots
    from expected
)

select
    point_id,
    obis_code,
    day,
    hour_number,
    interval_minutes,
    case when missing_slots = 0 then cast(known_kwh as decimal(18, 6)) end as energy_kwh,
    expected_slots,
    delivered_slots,
    measured_slots,
    estimated_slots,
    provisional_slots,
    missing_slots,
    {{ mean_kw('least_kwh', 'interval_minutes') }} as min_kw,
    {{ mean_kw('known_kwh', '(nullif(valued_slots, 0) * interval_minutes)') }} as mean_kw,
    {{ mean_kw('peak_kwh', 'interval_minutes') }} as peak_kw,
    {{ worst_status() }} as status
from accounted
