with operators as (
    select
        *,
        {{ effective_valid_to(key='operator_id', tie_break='operator_name') }} as ends_on
    from {{ ref('stg_grid_operators') }}
)

select
    {{ surrogate_key(['operator_id', 'valid_from']) }} as operator_key,
    operator_id,
    operator_name,
    operator_kind,
    control_area,
    valid_from,
    nullif(ends_on, cast('9999-12-31' as date)) as valid_to,
    ends_on = cast('9999-12-31' as date) as is_current
from operators
