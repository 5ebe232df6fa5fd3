with meters as (
    -- A point is served by one meter at a time: the next meter's first day ends the one before it.
    {{ registry_versions(ref('stg_meters'), key=['point_id'], tie_break='meter_id') }}
)

select
    {{ surrogate_key(['meter_id', 'point_id', 'starts_on']) }} as meter_key,
    meter_id,
    point_id,
    manufacturer,
    model,
    firmware,
    installed_on,
    starts_on as valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current,
    valid_from as registered_from
from meters
