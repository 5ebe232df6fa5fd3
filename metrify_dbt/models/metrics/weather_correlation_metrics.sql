{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['month'],
    meta={'replaces': 'month'}
) }}

with months as (
    select
        month,
        next_month - month as days_in_month
    from {{ months() }} as months
),

channel_days as (
    select
        point_id,
        obis_code,
        operator_id,
        point_class,
        {{ month_of('day') }} as month,
        day,
        mean_temperature_c,
        case when energy_kwh is not null then mean_temperature_c end as temperature,
        -- Wider than 18 digits: DuckDB multiplies narrower decimals in 64 bits, which squares of energy exceed.
        cast(case when mean_temperature_c is not null then energy_kwh end as decimal(19, 6)) as energy,
        estimated_slots + provisional_slots > 0 as is_estimated
    from {{ ref('int_channel_days') }}
    where {{ in_requested_months('day') }}
),

-- Sums of decimals and their products: exact, so that they do not depend on the order in which days are added.
summed as (
    select
        point_id,
        obis_code,
        month,
        -- Engines differ in whether a null can be the value of the latest day; an empty text can on all of them.
        nullif(max_by(coalesce(operator_id, ''), day), '') as operator_id,
        nullif(max_by(coalesce(point_class, ''), day), '') as point_class,
        cast(count(mean_temperature_c) as integer) as temperature_days,
        cast(count(energy) as integer) as valid_days,
        cast(count_if(energy is not null and is_estimated) as integer) as estimated_days,
        sum(case
            when mean_temperature_c < {{ var('heating_limit_c') }}
                then {{ var('room_temperature_c') }} - mean_temperature_c
            when mean_temperature_c is not null then 0
        end) as g20_15,
        sum(greatest({{ var('heating_limit_c') }} - mean_temperature_c, 0)) as hdd15,
        sum(greatest(mean_temperature_c - {{ var('cooling_limit_c') }}, 0)) as cdd22,
        cast(count(energy) as decimal(3, 0)) as n,
        cast(sum(temperature) as decimal(10, 4)) as sum_t,
        cast(sum(energy) as decimal(19, 6)) as sum_e,
        cast(sum(temperature * temperature) as decimal(20, 8)) as sum_tt,
        cast(sum(temperature * energy) as decimal(32, 10)) as sum_te,
        cast(sum(energy * energy) as decimal(34, 12)) as sum_ee
    from channel_days
    group by 1, 2, 3
),

of_months as (
    select
        summed.*,
        months.days_in_month
    from summed
    inner join months on summed.month = months.month
),

judged as (
    select
        *,
        temperature_days >= {{ var('weather_min_valid_days') }} * days_in_month as has_weather,
        valid_days >= {{ var('weather_min_valid_days') }} * days_in_month as is_valid,
        -- n times the sums of squares about the means: zero for a constant, to the last digit.
        cast(n * sum_tt - sum_t * sum_t as double) as spread_t,
        cast(n * sum_ee - sum_e * sum_e as double) as spread_e,
        cast(n * sum_te - sum_t * sum_e as double) as spread_te
    from of_months
)

select
    point_id,
    obis_code,
    month,
    point_class,
    operator_id,
    temperature_days,
    valid_days,
    estimated_days,
    case when has_weather then cast(g20_15 as decimal(10, 4)) end as g20_15,
    case when has_weather then cast(hdd15 as decimal(10, 4)) end as hdd15,
    case when has_weather then cast(cdd22 as decimal(10, 4)) end as cdd22,
    case when is_valid then cast(sum_t as double) / cast(n as double) end as mean_temperature_c,
    case when is_valid then cast(sum_e as double) / cast(n as double) end as mean_daily_kwh,
    case when is_valid then spread_te / nullif(sqrt(spread_t) * sqrt(spread_e), 0) end as correlation,
    case when is_valid then spread_te / nullif(spread_t, 0) end as slope_kwh_per_k,
    case
        when is_valid
            then (cast(sum_e as double) - spread_te / nullif(spread_t, 0) * cast(sum_t as double)) / cast(n as double)
    end as intercept_kwh,
    case when is_valid then spread_te * spread_te / nullif(spread_t * spread_e, 0) end as r_squared
from judged
