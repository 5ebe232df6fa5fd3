select
    point_id,
    obis_code,
    interval_start,
    interval_minutes,
    value_kwh,
    value_low_kwh,
    value_high_kwh,
    variance_kwh2,
    status,
    method,
    reason,
    flags,
    delivered_kwh,
    version,
    received_at,
    day
from {{ lake_table(source('lake', 'clean_readings')) }}
