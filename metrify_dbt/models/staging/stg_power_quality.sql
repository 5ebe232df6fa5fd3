select
    point_id,
    obis_code,
    interval_start,
    interval_minutes,
    quantity,
    phase,
    statistic,
    value,
    unit,
    status,
    is_anomalous,
    version,
    received_at,
    day
from {{ lake_table(source('lake', 'clean_power_quality')) }}
