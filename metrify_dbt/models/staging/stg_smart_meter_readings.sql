select
    point_id,
    obis_code,
    interval_start,
    interval_minutes,
    value_kwh,
    status,
    method,
    reason,
    flags,
    delivered_kwh,
    version,
    received_at,
    day
from {{ lake_table(source('lake', 'clean_readings')) }}
