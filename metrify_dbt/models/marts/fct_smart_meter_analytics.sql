{{ config(materialized='incremental', incremental_strategy='replace_days', on_schema_change='fail') }}

with readings as (
    select * from {{ ref('int_readings_hourly') }}
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

nearest_station as (
    select * from {{ ref('int_nearest_weather_station') }}
),

weather as (
    select * from {{ ref('int_weather_hourly') }}
),

grid_status as (
    select * from {{ ref('int_grid_status_hourly') }}
),

hours as (
    select * from {{ delivery_hours() }} as delivery_hours
),

-- What holds for a point all day is looked up once a day, not once an hour.
point_days as (
    select
        readings.point_id,
        readings.obis_code,
        readings.day,
        points.point_key,
        points.point_class,
        points.operator_id,
        coalesce(points.control_area, operators.control_area) as control_area,
        meters.meter_id,
        nearest_station.station_id,
        nearest_station.distance_km
    from (select distinct point_id, obis_code, day from readings) as readings
    left join points
        on
            readings.point_id = points.point_id
            and readings.obis_code = points.obis_code
            and {{ valid_on('points', 'readings.day') }}
    left join meters
        on readings.point_id = meters.point_id and {{ valid_on('meters', 'readings.day') }}
    left join operators
        on points.operator_id = operators.operator_id and {{ valid_on('operators', 'readings.day') }}
    left join nearest_station
        on points.point_key = nearest_station.point_key and readings.day = nearest_station.day
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
    readings.peak_kw,
    readings.status,
    point_days.point_key,
    point_days.point_class,
    point_days.meter_id,
    point_days.operator_id,
    point_days.control_area,
    point_days.station_id,
    point_days.distance_km,
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
inner join point_days
    on
        readings.point_id = point_days.point_id
        and readings.obis_code = point_days.obis_code
        and readings.day = point_days.day
left join weather
    on
        point_days.station_id = weather.station_id
        and readings.day = weather.day
        and readings.hour_number = weather.hour_number
left join grid_status
    on
        point_days.control_area = grid_status.control_area
        and readings.day = grid_status.day
        and readings.hour_number = grid_status.hour_number
