{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day'],
    meta={'reads_slots': true},
    contract={'enforced': true}
) }}

with readings as (
    select
        *,
        {{ first_highest('value_kwh', minutes_between(local_midnight('day'), 'interval_start')) }} as peak_order
    from {{ ref('stg_smart_meter_readings') }}
    where {{ in_requested_days('day') }}
),

points as (
    select * from {{ ref('dim_points') }}
),

meters as (
    select * from {{ ref('dim_meters') }}
),

operators as (
    select * from {{ ref('dim_grid_operators') }}
),

dates as (
    select * from {{ ref('dim_date') }}
),

nearest_station as (
    select * from {{ ref('int_nearest_weather_station') }}
),

station_days as (
    select
        station_id,
        day,
        count(temperature_c) as hours,
        -- Averaged as decimals, then rounded: sums of squares in weather_correlation_metrics stay exact.
        cast(avg(cast(temperature_c as decimal(18, 6))) as decimal(8, 4)) as mean_temperature_c
    from {{ ref('int_weather_hourly') }}
    group by 1, 2
),

-- The one pass over the slots of a day that all metrics share.
summed as (
    select
        point_id,
        obis_code,
        day,
        max(interval_minutes) as interval_minutes,
        cast(count(*) as integer) as slots,
        sum(value_kwh) as known_kwh,
        max(value_kwh) as peak_kwh,
        max_by(interval_start, peak_order) as peak_at,
        max_by(status, peak_order) as peak_status,
        percentile_cont(0.05) within group (order by {{ mean_kw('value_kwh', 'interval_minutes') }}) as p5_kw,
        max(case when delivered_kwh is not null then interval_start end) as last_delivered_at,
        {{ slot_counts() }},
        {{ sum_certainty() }},
        {{ delivery_counts(local_time('(day + 1)', var('delivery_deadline_hour'))) }}
    from readings
    group by 1, 2, 3
),

expected as (
    select
        *,
        {{ hours_in_day('day') }} as hours_in_day,
        cast({{ hours_in_day('day') }} * 60 / interval_minutes as integer) as expected_slots
    from summed
),

accounted as (
    select
        *,
        greatest(expected_slots - valued_slots, 0) as missing_slots,
        cast(valued_slots as double) / expected_slots as completeness,
        {{ mean_kw('peak_kwh', 'interval_minutes') }} as peak_kw
    from expected
),

judged as (
    select
        *,
        completeness >= {{ var('completeness_threshold') }} as is_complete,
        {{ worst_status() }} as status,
        {{ quality_score() }} as quality_score
    from accounted
)

select
    judged.point_id,
    judged.obis_code,
    judged.day,
    judged.interval_minutes,
    judged.hours_in_day,
    judged.slots,
    judged.expected_slots,
    judged.valued_slots,
    judged.measured_slots,
    judged.validated_slots,
    judged.estimated_slots,
    judged.provisional_slots,
    judged.missing_slots,
    judged.completeness,
    judged.status,
    cast(judged.known_kwh as decimal(18, 6)) as known_kwh,
    case when judged.is_complete then cast(judged.known_kwh as decimal(18, 6)) end as energy_kwh,
    cast(judged.variance_kwh2 as decimal(38, 6)) as variance_kwh2,
    judged.uncertain_slots,
    cast(judged.fixed_kwh as decimal(18, 6)) as fixed_kwh,
    judged.peak_kw,
    judged.peak_at,
    judged.peak_status,
    case
        when judged.is_complete
            then cast(judged.known_kwh as double) / nullif(judged.peak_kw * judged.hours_in_day, 0)
    end as load_factor,
    case when judged.is_complete then judged.p5_kw end as base_load_kw,
    judged.delivered_slots,
    judged.failed_slots,
    judged.redelivered_slots,
    judged.revised_slots,
    judged.versions,
    judged.on_time_slots,
    judged.timeliness_points,
    judged.last_delivered_at,
    judged.quality_score,
    {{ quality_tier('judged.quality_score') }} as quality_tier,
    points.point_key,
    points.point_class,
    points.connection_kw,
    points.operator_id,
    coalesce(points.control_area, operators.control_area) as control_area,
    meters.meter_id,
    nearest_station.station_id,
    nearest_station.distance_km,
    case
        when station_days.hours >= {{ var('weather_min_coverage') }} * judged.hours_in_day
            then station_days.mean_temperature_c
    end as mean_temperature_c,
    dates.season,
    dates.weekday < 6 and not {{ is_holiday('dates', 'points.federal_state') }} as is_working_day
from judged
inner join dates on judged.day = dates.day
left join points
    on
        judged.point_id = points.point_id
        and judged.obis_code = points.obis_code
        and {{ valid_on('points', 'judged.day') }}
left join meters
    on judged.point_id = meters.point_id and {{ valid_on('meters', 'judged.day') }}
left join operators
    on points.operator_id = operators.operator_id and {{ valid_on('operators', 'judged.day') }}
left join nearest_station
    on points.point_key = nearest_station.point_key and judged.day = nearest_station.day
left join station_days
    on nearest_station.station_id = station_days.station_id and judged.day = station_days.day
