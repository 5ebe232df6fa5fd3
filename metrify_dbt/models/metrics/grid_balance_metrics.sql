{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    on_schema_change='fail',
    cluster_by=['day']
) }}

with channel_days as (
    select
        operator_id,
        day,
        point_id,
        energy_kwh,
        estimated_slots + provisional_slots > 0 as is_estimated,
        {{ obis_direction('obis_code') }} as direction,
        -- One quantity is often counted twice at a point: as intervals, as a total, and by tariff. The first of them is
        -- taken, so that nothing is added to its own parts.
        case
            when obis_code like '%.29.%' then 1
            when obis_code like '%.8.0' then 2
            else 3
        end as rank,
        case
            when point_class in ('{{ var("transfer_classes") | join("', '") }}') then 'transfer'
            when point_class in ('{{ var("generation_classes") | join("', '") }}') then 'generation'
            else 'customer'
        end as role
    from {{ ref('int_channel_days') }}
    where {{ in_requested_days('day') }} and operator_id is not null and obis_code like '1-%'
),

counted as (
    select * from channel_days
    where direction in ('1', '2')
    qualify rank = min(rank) over (partition by operator_id, day, point_id, direction)
),

components as (
    select
        *,
        case
            when role = 'transfer' and direction = '1' then 'imports'
            when role = 'transfer' then 'exports'
            when direction = '1' then 'offtake'
            when role = 'generation' then 'generation'
            else 'feed_in'
        end as component
    from counted
),

summed as (
    select
        operator_id,
        day,
        cast(count(*) as integer) as channels,
        cast(count(energy_kwh) as integer) as complete_channels,
        cast(count_if(energy_kwh is not null and is_estimated) as integer) as estimated_channels,
        -- A component without any channel is zero: nothing flows where nothing is connected.
        {%- for component in ['feed_in', 'imports', 'generation', 'offtake', 'exports'] %}
        case
            when count_if(component = '{{ component }}' and energy_kwh is null) = 0
                then cast(
                    coalesce(sum(case when component = '{{ component }}' then energy_kwh end), 0) as decimal(18, 6)
                )
        end as {{ component }}_kwh,
        {%- endfor %}
        cast(count_if(role = 'transfer') as integer) as transfer_channels
    from components
    group by 1, 2
),

balanced as (
    select
        *,
        channels = complete_channels as is_complete,
        -- Without meters at the borders of the grid nobody knows what came in. A null term makes the sum null.
        case
            when transfer_channels > 0
                then cast(feed_in_kwh + imports_kwh + generation_kwh - offtake_kwh - exports_kwh as decimal(18, 6))
        end as loss_kwh
    from summed
)

select
    operator_id,
    day,
    channels,
    complete_channels,
    estimated_channels,
    transfer_channels,
    is_complete,
    feed_in_kwh,
    imports_kwh,
    generation_kwh,
    offtake_kwh,
    exports_kwh,
    loss_kwh,
    cast(loss_kwh as double) / nullif(cast(feed_in_kwh + imports_kwh + generation_kwh as double), 0) as loss_share,
    loss_kwh < 0 as is_loss_negative
from balanced
