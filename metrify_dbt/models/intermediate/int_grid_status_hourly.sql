{%- set metrics = ['load_mw', 'solar_mw', 'wind_onshore_mw', 'wind_offshore_mw'] -%}

with grid_status as (
    select
        *,
        {{ hour_number('day', 'interval_start') }} as hour_number
    from {{ ref('stg_grid_status') }}
    where
        {{ in_requested_days('day') }}
        and status <> 'implausible'
        and metric in ('{{ metrics | join("', '") }}')
),

-- Per source first: a source with finer intervals weighs no more than another.
per_source as (
    select
        source_id,
        control_area,
        metric,
        day,
        hour_number,
        cast(avg(value) as decimal(18, 6)) as value
    from grid_status
    group by source_id, control_area, metric, day, hour_number
)

select
    control_area,
    day,
    {%- for metric in metrics %}
    cast(avg(case when metric = '{{ metric }}' then value end) as double) as {{ metric }},
    {%- endfor %}
    hour_number
from per_source
group by control_area, day, hour_number
