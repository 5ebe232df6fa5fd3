with operators as (
    {{ registry_versions(ref('stg_grid_operators'), key=['operator_id'], tie_break='operator_name') }}
)

select
    {{ surrogate_key(['operator_id', 'starts_on']) }} as operator_key,
    operator_id,
    operator_name,
    operator_kind,
    control_area,
    starts_on as valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current,
    valid_from as registered_from
from operators
