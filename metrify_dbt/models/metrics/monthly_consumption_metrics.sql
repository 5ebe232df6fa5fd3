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
        next_month,
        {{ minutes_between(local_midnight('month'), local_midnight('next_month')) }} as minutes
    from {{ months() }} as months
),

channel_days as (
    select
        *,
        {{ month_of('day') }} as month,
        {{ first_highest('peak_kw', minutes_between(local_midnight(month_of('day')), 'peak_at')) }} as peak_order
    from {{ ref('int_channel_days') }}
    where {{ in_requested_months('day') }}
),

summed as (
    select
        point_id,
        obis_code,
        month,
        max(interval_minutes) as interval_minutes,
        cast(count(*) as integer) as days,
        cast(count(energy_kwh) as integer) as complete_days,
        cast(sum(known_kwh) as decimal(18, 6)) as known_kwh,
        cast(sum(valued_slots) as integer) as valued_slots,
        cast(sum(measured_slots) as integer) as measured_slots,
        cast(sum(validated_slots) as integer) as validated_slots,
        cast(sum(estimated_slots) as integer) as estimated_slots,
        cast(sum(provisional_slots) as integer) as provisional_slots,
        max_by(peak_kw, peak_order) as peak_kw,
        max_by(peak_at, peak_order) as peak_at,
        max_by(peak_status, peak_order) as peak_status
    from channel_days
    group by 1, 2, 3
),

-- What a month should hold is what the registry says, also for days that have not come yet.
versions as (
    select
        points.point_id,
        points.obis_code,
        points.interval_minutes,
        months.month,
        {{ minutes_between(
            local_midnight('greatest(points.valid_from, months.month)'),
            local_midnight('least(coalesce(points.valid_to, months.next_month), months.next_month)')
        ) }} as minutes
    from {{ ref('dim_points') }} as points
    inner join months
        on
            points.valid_from < months.next_month
            and coalesce(points.valid_to, months.next_month) > months.month
            and coalesce(points.valid_to, months.next_month) > points.valid_from
),

registered as (
    select
        point_id,
        obis_code,
        month,
        sum(minutes) as minutes,
        sum(minutes / interval_minutes) as slots
    from versions
    group by 1, 2, 3
),

expected as (
    select
        summed.*,
        months.minutes as month_minutes,
        coalesce(registered.minutes, months.minutes) as minutes,
        cast(coalesce(registered.slots, months.minutes / summed.interval_minutes) as integer) as expected_slots
    from summed
    inner join months on summed.month = months.month
    left join registered
        on
            summed.point_id = registered.point_id
            and summed.obis_code = registered.obis_code
            and summed.month = registered.month
),

accounted as (
    select
        *,
        greatest(expected_slots - valued_slots, 0) as missing_slots,
        least(cast(valued_slots as double) / expected_slots, 1.0) as completeness
    from expected
),

judged as (
    select
        *,
        completeness >= {{ var('completeness_threshold') }} as is_complete
    from accounted
)

select
    point_id,
    obis_code,
    month,
    days,
    complete_days,
    case when is_complete then known_kwh end as energy_kwh,
    known_kwh,
    expected_slots,
    measured_slots,
    estimated_slots,
    provisional_slots,
    missing_slots,
    completeness,
    cast(estimated_slots as double) / expected_slots as estimated_share,
    {{ worst_status() }} as status,
    peak_kw,
    peak_at,
    peak_status,
    case
        when is_complete then cast(known_kwh as double) / nullif(peak_kw * cast(minutes as double) / 60, 0)
    end as load_factor
from judged
