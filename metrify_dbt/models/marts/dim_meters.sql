with meters as (
    select
        *,
        -- A point is served by one meter at a time: the next meter's first day ends the one before it.
        {{ effective_valid_to(key='point_id', tie_break='meter_id') }} as ends_on
    from {{ ref('stg_meters') }}
)

select
    {{ surrogate_key(['meter_id', 'point_id', 'valid_from']) }} as meter_key,
    meter_id,
    point_id,
    manufacturer,
    model,
    firmware,
    installed_on,
    valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current
from meters
