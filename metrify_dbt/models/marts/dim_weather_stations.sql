with stations as (
    {{ registry_versions(ref('stg_weather_stations'), key=['station_id'], tie_break='station_name') }}
)

select
    {{ surrogate_key(['station_id', 'starts_on']) }} as station_key,
    station_id,
    station_name,
    latitude,
    longitude,
    altitude_m,
    starts_on as valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current,
    valid_from as registered_from
from stations
