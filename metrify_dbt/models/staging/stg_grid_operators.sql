select
    operator_id,
    name as operator_name,
    kind as operator_kind,
    control_area,
    valid_from,
    valid_to,
    received_at
from {{ lake_table(source('lake', 'operators')) }}
