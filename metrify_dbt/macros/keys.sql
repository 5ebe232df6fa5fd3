{#- Surrogate key: a hash of the columns that identify a row. -#}
{% macro surrogate_key(columns) -%}
    md5({% for column in columns %}cast({{ column }} as varchar){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{#-
    End of a registry row's validity as the warehouse uses it: the delivered end, or the start of the next row of the
    same key if that comes first. So no day has two valid rows, whatever a registry delivers. Rows with the same start
    are ordered by reception: the later one holds, the earlier one gets an empty interval.
-#}
{% macro effective_valid_to(key, tie_break) -%}
    least(
        coalesce(valid_to, cast('9999-12-31' as date)),
        coalesce(
            lead(valid_from) over (partition by {{ key }} order by valid_from, received_at, {{ tie_break }}),
            cast('9999-12-31' as date)
        )
    )
{%- endmacro %}

{#- Condition that a row of a dimension holds on a day. -#}
{% macro valid_on(relation, day) -%}
    {{ day }} >= {{ relation }}.valid_from
        and ({{ relation }}.valid_to is null or {{ day }} < {{ relation }}.valid_to)
{%- endmacro %}
