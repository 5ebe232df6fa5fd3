{#- The share of nulls in a column, where it exceeds `at_most`. -#}
{% test null_rate(model, column_name, at_most) %}
select
    count(*) as rows_found,
    count(*) - count({{ column_name }}) as nulls_found
from {{ model }}
having count(*) - count({{ column_name }}) > {{ at_most }} * count(*)
{% endtest %}
