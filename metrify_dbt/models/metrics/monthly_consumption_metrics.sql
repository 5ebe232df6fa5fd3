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
        sum(variance_kwh2) as days_variance_kwh2,
        cast(sum(uncertain_slots) as integer) as uncertain_slots,
        cast(sum(fixed_kwh) as decimal(18, 6)) as fixed_kwh,
        max_by(peak_kw, peak_order) as peak_kw,
        max_by(peak_at, peak_order) as peak_at,
        max_by(peak_status, peak_order) as peak_status
    from channel_days
    group by 1, 2, 3
),

-- Days that are estimated as a whole err together, the less the farther they lie apart.
estimated_days as (
    select
        point_id,
        obis_code,
        month,
        day,
        sqrt(cast(variance_kwh2 as double)) as deviation_kwh
    from channel_days
    where estimated_slots = expected_slots and variance_kwh2 > 0
),

joint as (
    select
        later.point_id,
        later.obis_code,
        later.month,
        -- Decimals before they are added up: a sum of floats depends on its order.
        sum(cast(
            2 * later.deviation_kwh * earlier.deviation_kwh
            * power({{ var('day_error_correlation') }}, later.day - earlier.day) as decimal(38, 6)
        )) as covariance_kwh2
    from estimated_days as later
    inner join estimated_days as earlier
        on
            later.point_id = earlier.point_id
            and later.obis_code = earlier.obis_code
            and later.month = earlier.month
            and later.day > earlier.day
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
        joint.covariance_kwh2,
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
    left join joint
        on
            summed.point_id = joint.point_id
            and summed.obis_code = joint.obis_code
            and summed.month = joint.month
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
        days_variance_kwh2 + coalesce(covariance_kwh2, 0) as variance_kwh2,
        case when completeness >= {{ var('completeness_threshold') }} then known_kwh end as energy_kwh
    from accounted
)

select
    point_id,
    obis_code,
    month,
    days,
    complete_days,
    energy_kwh,
    {{ end_of_interval(-1) }} as energy_low_kwh,
    {{ end_of_interval(1) }} as energy_high_kwh,
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
        when energy_kwh is not null then cast(known_kwh as double) / nullif(peak_kw * cast(minutes as double) / 60, 0)
    end as load_factor
from judged
