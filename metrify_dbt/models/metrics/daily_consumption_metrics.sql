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
    interval_minutes,
    energy_kwh,
    {{ end_of_interval(-1) }} as energy_low_kwh,
    {{ end_of_interval(1) }} as energy_high_kwh,
    expected_slots,
    measured_slots,
    estimated_slots,
    provisional_slots,
    missing_slots,
    completeness,
    cast(estimated_slots as double) / expected_slots as estimated_share,
    status,
    peak_kw,
    peak_at,
    peak_status,
    load_factor,
    base_load_kw
from {{ ref('int_channel_days') }}
where {{ in_requested_days('day') }}
