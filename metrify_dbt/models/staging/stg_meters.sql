select
    meter_id,
    point_id,
    manufacturer,
    model,
    firmware,
    installed_on,
    valid_from,
    valid_to,
    received_at
from {{ lake_table(source('lake', 'meters')) }}
