{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day']
) }}
{%- set energies = ['load', 'solar', 'wind_onshore', 'wind_offshore'] -%}
{%- set bands = [('normal', var('frequency_normal_hz')), ('alert', var('frequency_alert_hz'))] -%}

with grid_status as (
    select
        control_area,
        day,
        metric,
        source_id,
        interval_start,
        resolution_minutes,
        value,
        {{ minutes_between(local_midnight('day'), 'interval_start') }} as minute
    from {{ ref('stg_grid_status') }}
    where {{ in_requested_days('day') }} and status <> 'implausible' and value is not null
),

sources as (
    select
        control_area,
        day,
        metric,
        source_id,
        sum(resolution_minutes) as covered_minutes
    from grid_status
    group by control_area, day, metric, source_id
),

-- A peak has a stamp, so it is one source's: that which covers most of the day, the first by name among equals.
chosen as (
    select * from sources
    qualify row_number() over (
        partition by control_area, day, metric
        order by covered_minutes desc, source_id asc
    ) = 1
),

intervals as (
    select
        grid_status.*,
        {{ first_highest('grid_status.value', 'grid_status.minute') }} as peak_order,
        abs(grid_status.value - {{ var('frequency_nominal_hz') }}) as deviation_hz
    from grid_status
    inner join chosen
        on
            grid_status.control_area = chosen.control_area
            and grid_status.day = chosen.day
            and grid_status.metric = chosen.metric
            and grid_status.source_id = chosen.source_id
),

metric_days as (
    select
        control_area,
        day,
        metric,
        cast(sum(resolution_minutes) as integer) as covered_minutes,
        cast(sum(value * resolution_minutes) as double) as value_minutes,
        min(value) as least_value,
        max(value) as highest_value,
        max_by(interval_start, peak_order) as highest_at,
        max(abs(value)) as highest_absolute,
        {%- for band, hz in bands %}
        cast(sum(case when deviation_hz > {{ hz }} then resolution_minutes else 0 end) as integer)
            as beyond_{{ band }}_minutes,
        {%- endfor %}
        max(deviation_hz) as highest_deviation_hz
    from intervals
    group by control_area, day, metric
),

-- Intervals beyond a band that follow one another without a gap have the same start less the minutes before it.
beyond as (
    {%- for band, hz in bands %}
    select
        control_area,
        day,
        '{{ band }}' as band,
        resolution_minutes,
        minute - sum(resolution_minutes) over (
            partition by control_area, day
            order by minute
            rows between unbounded preceding and current row
        ) + resolution_minutes as run
    from intervals
    where metric = 'frequency_hz' and deviation_hz > {{ hz }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

runs as (
    select
        control_area,
        day,
        band,
        run,
        sum(resolution_minutes) as minutes
    from beyond
    group by control_area, day, band, run
),

longest_runs as (
    select
        control_area,
        {%- for band, hz in bands %}
        cast(max(case when band = '{{ band }}' then minutes end) as integer) as longest_beyond_{{ band }}_minutes,
        {%- endfor %}
        day
    from runs
    group by control_area, day
),

areas as (
    select
        control_area,
        day,
        {{ hours_in_day('day') }} * 60 as minutes,
        {%- for name in energies %}
        max(case when metric = '{{ name }}_mw' then value_minutes end) / 60 as {{ name }}_mwh,
        coalesce(max(case when metric = '{{ name }}_mw' then covered_minutes end), 0) as {{ name }}_minutes,
        {%- endfor %}
        max(case when metric = 'load_mw' then cast(least_value as double) end) as min_load_mw,
        max(case when metric = 'load_mw' then cast(highest_value as double) end) as peak_load_mw,
        max(case when metric = 'load_mw' then highest_at end) as peak_load_at,
        max(case when metric = 'balance_mw' then value_minutes / covered_minutes end) as mean_balance_mw,
        max(case when metric = 'balance_mw' then cast(highest_absolute as double) end) as highest_balance_mw,
        max(case when metric = 'frequency_hz' then covered_minutes end) as frequency_minutes,
        max(case when metric = 'frequency_hz' then value_minutes / covered_minutes end) as mean_frequency_hz,
        max(case when metric = 'frequency_hz' then cast(least_value as double) end) as min_frequency_hz,
        max(case when metric = 'frequency_hz' then cast(highest_value as double) end) as max_frequency_hz,
        {%- for band, hz in bands %}
        max(case when metric = 'frequency_hz' then beyond_{{ band }}_minutes end) as beyond_{{ band }}_minutes,
        {%- endfor %}
        max(case when metric = 'frequency_hz' then highest_deviation_hz end) as highest_deviation_hz
    from metric_days
    group by control_area, day
),

judged as (
    select
        areas.*,
        cast(areas.load_minutes as double) / areas.minutes as load_completeness,
        -- Energy of a day needs the whole day; 0 minutes of a metric means that the area does not report it.
        {%- for name in energies %}
        case
            when areas.{{ name }}_minutes >= {{ var('completeness_threshold') }} * areas.minutes
                then areas.{{ name }}_mwh
        end as whole_{{ name }}_mwh,
        {%- endfor %}
        1 - cast(areas.beyond_normal_minutes as double) / nullif(areas.frequency_minutes, 0) as stability,
        coalesce(longest_runs.longest_beyond_normal_minutes, 0) as longest_beyond_normal_minutes,
        coalesce(longest_runs.longest_beyond_alert_minutes, 0) as longest_beyond_alert_minutes
    from areas
    left join longest_runs
        on areas.control_area = longest_runs.control_area and areas.day = longest_runs.day
)

select
    operators.operator_id,
    judged.day,
    operators.operator_kind,
    judged.control_area,
    judged.load_completeness,
    judged.whole_load_mwh as load_mwh,
    judged.min_load_mw,
    judged.peak_load_mw,
    judged.peak_load_at,
    judged.whole_load_mwh / nullif(judged.peak_load_mw * judged.minutes / 60, 0) as load_factor,
    judged.whole_solar_mwh as solar_mwh,
    judged.whole_wind_onshore_mwh as wind_onshore_mwh,
    judged.whole_wind_offshore_mwh as wind_offshore_mwh,
    case
        -- What an area does not report at all (no coast, no wind offshore) adds nothing; a part of a day is not a day.
        when
            judged.solar_minutes + judged.wind_onshore_minutes + judged.wind_offshore_minutes > 0
            {%- for name in energies[1:] %}
            and (judged.{{ name }}_minutes = 0 or judged.whole_{{ name }}_mwh is not null)
            {%- endfor %}
            then (
                coalesce(judged.solar_mwh, 0) + coalesce(judged.wind_onshore_mwh, 0)
                + coalesce(judged.wind_offshore_mwh, 0)
            ) / nullif(judged.whole_load_mwh, 0)
    end as renewable_share,
    judged.mean_balance_mw,
    judged.highest_balance_mw,
    judged.frequency_minutes,
    judged.mean_frequency_hz,
    judged.min_frequency_hz,
    judged.max_frequency_hz,
    judged.beyond_normal_minutes,
    judged.beyond_alert_minutes,
    case when judged.frequency_minutes > 0 then judged.longest_beyond_normal_minutes end
        as longest_beyond_normal_minutes,
    case when judged.frequency_minutes > 0 then judged.longest_beyond_alert_minutes end
        as longest_beyond_alert_minutes,
    case
        when judged.frequency_minutes is null then null
        when judged.highest_deviation_hz > {{ var('frequency_emergency_hz') }} then 'emergency'
        when judged.longest_beyond_alert_minutes >= {{ var('frequency_alert_minutes') }} then 'alert'
        when judged.longest_beyond_normal_minutes >= {{ var('frequency_normal_minutes') }} then 'alert'
        else 'normal'
    end as frequency_status,
    judged.stability,
    judged.stability < {{ var('stability_low') }} as is_stability_low
from judged
inner join {{ ref('dim_grid_operators') }} as operators
    on judged.control_area = operators.control_area and {{ valid_on('operators', 'judged.day') }}
