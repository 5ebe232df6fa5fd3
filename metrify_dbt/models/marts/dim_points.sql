with points as (
    select
        *,
        {{ effective_valid_to(key='point_id, obis_code', tie_break='interval_minutes') }} as ends_on
    from {{ ref('stg_points') }}
)

select
    {{ surrogate_key(['point_id', 'obis_code', 'valid_from']) }} as point_key,
    point_id,
    obis_code,
    interval_minutes,
    connection_kw,
    point_class,
    melo_id,
    malo_id,
    operator_id,
    control_area,
    postcode,
    federal_state,
    latitude,
    longitude,
    annual_kwh,
    load_profile,
    valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current
from points
