{%- set quantities = ['temperature_c', 'humidity_pct', 'global_radiation_wm2'] -%}

with observations as (
    select
        station_id,
        day,
        -- The lake keeps what a broken sensor says; an hour without a plausible value has none.
        {%- for quantity in quantities %}
        {%- set low, high = var('plausible')[quantity] %}
        case when {{ quantity }} between {{ low }} and {{ high }} then {{ quantity }} end as {{ quantity }},
        {%- endfor %}
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
