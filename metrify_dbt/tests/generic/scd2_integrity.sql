{#-
    Versions of a key that overlap, end before they begin, or are open beside another one; with `contiguous` also gaps.

    A row holds on the days `valid_from <= day < valid_to`; null is open. A version that another one with the same start
    took the place of is empty (it ends where it begins): it holds on no day and is no fault.
-#}
{% test scd2_integrity(model, key, contiguous=false) %}
with versions as (
    select
        {{ key | join(", ") }},
        valid_from,
        valid_to,
        is_current,
        lead(valid_from) over (
            partition by {{ key | join(", ") }}
            order by valid_from, coalesce(valid_to, cast('9999-12-31' as date))
        ) as next_from
    from {{ model }}
)

select *
from versions
where
    valid_to < valid_from
    or is_current <> (valid_to is null)
    or (valid_to is null and next_from is not null)
    or next_from < valid_to
    {% if contiguous %}or next_from > valid_to{% endif %}
{% endtest %}
