with points as (
    {{ registry_versions(ref('stg_points'), key=['point_id', 'obis_code'], tie_break='interval_minutes') }}
)

select
    {{ surrogate_key(['point_id', 'obis_code', 'starts_on']) }} as point_key,
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
    starts_on as valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current,
    valid_from as registered_from
from points
