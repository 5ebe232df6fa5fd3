{#- Silence looks back into the day before, so the day after a requested one is judged anew as well. -#}
{%- set judged_days = requested_days_around(after=1) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day'],
    meta={'days_after': 1}
) }}

with channel_days as (
    select * from {{ ref('int_channel_days') }}
    where {{ in_days('day', requested_days_around(before=1, after=1)) }}
),

-- A point that delivers by any of its channels is not silent.
point_days as (
    select
        point_id,
        day,
        max(last_delivered_at) as last_delivered_at
    from channel_days
    group by 1, 2
),

-- The channels of a point may be different operators'.
operator_points as (
    select distinct
        operator_id,
        point_id,
        day
    from channel_days
    where operator_id is not null and {{ in_days('day', judged_days) }}
),

-- Of a point that was not there the day before nobody can say that it fell silent.
silent as (
    select
        operator_points.operator_id,
        operator_points.day,
        cast(count(*) as integer) as points,
        cast(count_if(
            today.last_delivered_at is null
            and day_before.point_id is not null
            and coalesce(
                day_before.last_delivered_at
                < {{ add_hours(local_midnight('(operator_points.day + 1)'), -var('silent_after_hours')) }},
                true
            )
        ) as integer) as silent_points
    from operator_points
    inner join point_days as today
        on operator_points.point_id = today.point_id and operator_points.day = today.day
    left join point_days as day_before
        on operator_points.point_id = day_before.point_id and operator_points.day = day_before.day + 1
    group by 1, 2
),

summed as (
    select
        operator_id,
        day,
        cast(count(*) as integer) as channels,
        cast(sum(expected_slots) as integer) as expected_slots,
        cast(sum(valued_slots) as integer) as valued_slots,
        cast(sum(measured_slots) as integer) as measured_slots,
        cast(sum(estimated_slots) as integer) as estimated_slots,
        cast(sum(missing_slots) as integer) as missing_slots,
        cast(sum(delivered_slots) as integer) as delivered_slots,
        cast(sum(failed_slots) as integer) as failed_slots,
        cast(sum(redelivered_slots) as integer) as redelivered_slots,
        cast(sum(revised_slots) as integer) as revised_slots,
        cast(sum(versions) as bigint) as versions,
        cast(sum(on_time_slots) as integer) as on_time_slots,
        cast(sum(timeliness_points) as bigint) as timeliness_points
    from channel_days
    where operator_id is not null and {{ in_days('day', judged_days) }}
    group by 1, 2
),

scored as (
    select
        summed.*,
        silent.points,
        silent.silent_points,
        {{ quality_score() }} as quality_score
    from summed
    inner join silent on summed.operator_id = silent.operator_id and summed.day = silent.day
)

select
    operator_id,
    day,
    points,
    channels,
    expected_slots,
    delivered_slots,
    missing_slots,
    cast(delivered_slots as double) / expected_slots as completeness,
    cast(on_time_slots as double) / expected_slots as on_time_share,
    cast(estimated_slots as double) / expected_slots as estimated_share,
    cast(failed_slots as double) / nullif(delivered_slots, 0) as failure_share,
    cast(versions as double) / nullif(delivered_slots, 0) as versions_per_interval,
    silent_points,
    cast(silent_points as double) / points as silent_share,
    quality_score,
    {{ quality_tier('quality_score') }} as quality_tier
from scored
