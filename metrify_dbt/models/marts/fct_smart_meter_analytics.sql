{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day'],
    meta={'reads_slots': true}
) }}

with readings as (
    select * from {{ ref('int_readings_hourly') }}
),

channel_days as (
    select * from {{ ref('int_channel_days') }}
    where {{ in_requested_days('day') }}
),

weather as (
    select * from {{ ref('int_weather_hourly') }}
),

grid_status as (
    select * from {{ ref('int_grid_status_hourly') }}
),

hours as (
    select * from {{ delivery_hours() }} as delivery_hours
)

select
    readings.point_id,
    readings.obis_code,
    hours.hour_start,
    hours.local_hour,
    readings.day,
    readings.interval_minutes,
    readings.energy_kwh,
    readings.expected_slots,
    readings.delivered_slots,
    readings.measured_slots,
    readings.estimated_slots,
    readings.provisional_slots,
    readings.missing_slots,
    cast(readings.measured_slots as double) / readings.expected_slots as measured_share,
    cast(readings.estimated_slots as double) / readings.expected_slots as estimated_share,
    readings.min_kw,
    readings.mean_kw,
    readings.peak_kw,
    readings.status,
    channel_days.quality_score,
    channel_days.quality_tier,
    case
        when
            channel_days.is_working_day
            and hours.local_hour >= {{ var('tariff_high_from_hour') }}
            and hours.local_hour < {{ var('tariff_high_to_hour') }}
            then 'high'
        else 'low'
    end as tariff_period,
    channel_days.season,
    channel_days.point_key,
    channel_days.point_class,
    channel_days.meter_id,
    channel_days.operator_id,
    channel_days.control_area,
    channel_days.station_id,
    channel_days.distance_km,
    weather.temperature_c,
    weather.humidity_pct,
    weather.global_radiation_wm2,
    grid_status.load_mw as control_area_load_mw,
    grid_status.solar_mw as control_area_solar_mw,
    grid_status.wind_onshore_mw as control_area_wind_onshore_mw,
    grid_status.wind_offshore_mw as control_area_wind_offshore_mw
from readings
inner join hours
    on readings.day = hours.day and readings.hour_number = hours.hour_number
inner join channel_days
    on
        readings.point_id = channel_days.point_id
        and readings.obis_code = channel_days.obis_code
        and readings.day = channel_days.day
left join weather
    on
        channel_days.station_id = weather.station_id
        and readings.day = weather.day
        and readings.hour_number = weather.hour_number
left join grid_status
    on
        channel_days.control_area = grid_status.control_area
        and readings.day = grid_status.day
        and readings.hour_number = grid_status.hour_number
