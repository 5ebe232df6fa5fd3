{%- set quantities = ['temperature_c', 'humidity_pct', 'global_radiation_wm2'] -%}

with observations as (
    select
        *,
        {{ hour_number('day', 'observed_at') }} as hour_number
    from {{ ref('stg_weather_data') }}
    where {{ in_requested_days('day') }}
)

select
    station_id,
    day,
    -- Averaged as decimals: a sum of floats depends on the order in which threads add them.
    {%- for quantity in quantities %}
    cast(avg(cast({{ quantity }} as decimal(18, 6))) as double) as {{ quantity }},
    {%- endfor %}
    hour_number
from observations
group by station_id, day, hour_number
