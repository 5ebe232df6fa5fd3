select
    station_id,
    name as station_name,
    latitude,
    longitude,
    altitude_m,
    valid_from,
    valid_to,
    received_at
from {{ lake_table(source('lake', 'weather_stations')) }}
