with stations as (
    select
        *,
        {{ effective_valid_to(key='station_id', tie_break='station_name') }} as ends_on
    from {{ ref('stg_weather_stations') }}
)

select
    {{ surrogate_key(['station_id', 'valid_from']) }} as station_key,
    station_id,
    station_name,
    latitude,
    longitude,
    altitude_m,
    valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current
from stations
