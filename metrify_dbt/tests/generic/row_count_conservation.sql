{#-
    Whether a model holds as many rows as the relation `to`, day by day if `by_day` is true.

    `counted`: expression that says how many rows of `to` a row of the model stands for; 1 unless the model adds up.
    `to_where`: which rows of `to` count.
-#}
{% test row_count_conservation(model, to, counted='1', to_where='true', by_day=false) %}
{%- set day = 'day' if by_day else '1' %}
with ours as (
    select {{ day }} as part, sum({{ counted }}) as rows_found
    from {{ model }}
    group by {{ day if by_day else 'part' }}
),

theirs as (
    select {{ day }} as part, count(*) as rows_expected
    from {{ to }}
    where {{ to_where }} {% if by_day %}and {{ in_requested_days('day') }}{% endif %}
    group by {{ day if by_day else 'part' }}
)

select coalesce(ours.part, theirs.part) as part, ours.rows_found, theirs.rows_expected
from ours
full outer join theirs on ours.part = theirs.part
where coalesce(ours.rows_found, 0) <> coalesce(theirs.rows_expected, 0)
{% endtest %}
