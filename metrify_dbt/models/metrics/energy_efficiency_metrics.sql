{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day']
) }}

select
    point_id,
    obis_code,
    day,
    point_class,
    operator_id,
    energy_kwh,
    status,
    load_factor,
    load_factor * hours_in_day as full_load_hours,
    base_load_kw,
    base_load_kw * hours_in_day / nullif(cast(energy_kwh as double), 0) as base_load_share,
    peak_kw,
    peak_at,
    {{ local_hour('peak_at') }} as peak_local_hour,
    peak_status,
    peak_status in ('measured', 'validated') as is_peak_measured,
    peak_kw / nullif(connection_kw, 0) as connection_utilisation
from {{ ref('int_channel_days') }}
where {{ in_requested_days('day') }}
