select
    station_id,
    source_id,
    observed_at,
    temperature_c,
    humidity_pct,
    pressure_hpa,
    wind_speed_ms,
    wind_direction_deg,
    global_radiation_wm2,
    precipitation_mm,
    cloud_cover_pct,
    quality,
    received_at,
    day
from {{ lake_table(source('lake', 'clean_weather')) }}
