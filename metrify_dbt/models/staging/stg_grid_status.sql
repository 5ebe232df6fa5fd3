select
    source_id,
    control_area,
    metric,
    interval_start,
    resolution_minutes,
    value,
    unit,
    status,
    received_at,
    day
from {{ lake_table(source('lake', 'clean_grid_status')) }}
