{#- Rows that share the values of `columns`, which must be unique together. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(", ") }}, count(*) as rows_with_this_key
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endtest %}
