{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day']
) }}
{%- set quantities = var('power_quality') -%}

with readings as (
    select
        point_id,
        obis_code,
        day,
        interval_start,
        interval_minutes,
        quantity,
        phase,
        statistic,
        value,
        status,
        is_anomalous
    from {{ ref('stg_power_quality') }}
    where {{ in_requested_days('day') }} and value is not null
),

-- What the registry expects of a point: a point that delivers nothing has a row, too.
expected as (
    select
        points.point_id,
        dates.day,
        cast(count(*) as integer) as channels,
        cast(sum(floor({{ hours_in_day('dates.day') }} * 60 / points.interval_minutes)) as integer) as expected_values
    from {{ ref('dim_points') }} as points
    inner join {{ ref('dim_date') }} as dates
        on {{ valid_on('points', 'dates.day') }}
    where {{ in_requested_days('dates.day') }} and {{ is_power_quality('points.obis_code') }}
    group by points.point_id, dates.day
),

delivered as (
    select
        point_id,
        day,
        cast(count(*) as integer) as delivered_values
    from readings
    group by point_id, day
),

-- A minimum or a maximum does not say how long it lasted: minutes are those of a mean, else of a value of the moment.
lasting as (
    select * from readings
    where statistic in ('mean', 'moment')
    qualify row_number() over (
        partition by point_id, day, quantity, phase, interval_start
        order by statistic asc, obis_code asc
    ) = 1
),

slots as (
    select
        point_id,
        day,
        quantity,
        interval_start,
        max(interval_minutes) as minutes,
        max(case when status = 'out_of_range' then 1 else 0 end) as is_out_of_range,
        max(case when is_anomalous then 1 else 0 end) as is_anomalous
    from lasting
    group by point_id, day, quantity, interval_start
),

durations as (
    select
        point_id,
        {%- for quantity in quantities %}
        cast(sum(case when quantity = '{{ quantity }}' then minutes end) as integer) as {{ quantity }}_minutes,
        cast(sum(case when quantity = '{{ quantity }}' then minutes * is_out_of_range end) as integer)
            as {{ quantity }}_out_of_range_minutes,
        cast(sum(case when quantity = '{{ quantity }}' then minutes * is_anomalous end) as integer)
            as {{ quantity }}_anomalous_minutes,
        {%- endfor %}
        day
    from slots
    group by point_id, day
),

extremes as (
    select
        point_id,
        {%- for quantity in quantities %}
        min(case when quantity = '{{ quantity }}' then value end) as least_{{ quantity }},
        max(case when quantity = '{{ quantity }}' then value end) as highest_{{ quantity }},
        {%- endfor %}
        day
    from readings
    group by point_id, day
),

three_phases as (
    select
        point_id,
        day,
        cast(sum(value) as double) / 3 as mean_v,
        cast(min(value) as double) as least_v,
        cast(max(value) as double) as highest_v
    from lasting
    where quantity = 'voltage' and phase in ('L1', 'L2', 'L3')
    group by point_id, day, interval_start
    having count(*) = 3
),

imbalances as (
    select
        point_id,
        day,
        max(greatest(highest_v - mean_v, mean_v - least_v) / nullif(mean_v, 0)) as highest_voltage_imbalance
    from three_phases
    group by point_id, day
)

select
    expected.point_id,
    expected.day,
    expected.channels,
    expected.expected_values,
    coalesce(delivered.delivered_values, 0) as delivered_values,
    cast(coalesce(delivered.delivered_values, 0) as double) / expected.expected_values as delivered_share,
    {%- for quantity, limits in quantities.items() %}
    durations.{{ quantity }}_minutes,
    durations.{{ quantity }}_out_of_range_minutes,
    durations.{{ quantity }}_anomalous_minutes,
    -- Of two that are equally far from the nominal value it is the lower one.
    case
        when
            {{ limits['nominal'] }} - extremes.least_{{ quantity }}
            >= extremes.highest_{{ quantity }} - {{ limits['nominal'] }}
            then extremes.least_{{ quantity }}
        else extremes.highest_{{ quantity }}
    end as worst_{{ quantity }},
    {%- endfor %}
    imbalances.highest_voltage_imbalance
from expected
left join delivered on expected.point_id = delivered.point_id and expected.day = delivered.day
left join durations on expected.point_id = durations.point_id and expected.day = durations.day
left join extremes on expected.point_id = extremes.point_id and expected.day = extremes.day
left join imbalances on expected.point_id = imbalances.point_id and expected.day = imbalances.day
