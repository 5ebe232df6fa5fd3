{#-
    Groups in which dates or instants are not evenly spaced: between the first and the last of `column` there are more or
    fewer rows than steps. `step_minutes` is the distance of instants; without it the column is a date and the step a day.
-#}
{% test no_gap_in_sequence(model, column, group_by=[], step_minutes=none) %}
{%- set steps -%}
    {%- if step_minutes is none -%}
        max({{ column }}) - min({{ column }})
    {%- else -%}
        {{ minutes_between("min(" ~ column ~ ")", "max(" ~ column ~ ")") }} / {{ step_minutes }}
    {%- endif -%}
{%- endset %}
select
    {% for name in group_by %}{{ name }}, {% endfor %}
    count(*) as rows_found,
    {{ steps }} + 1 as rows_expected
from {{ model }}
{% if group_by %}group by {{ group_by | join(", ") }}{% endif %}
having count(*) <> {{ steps }} + 1
{% endtest %}
