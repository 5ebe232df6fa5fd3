{#- Measured values beyond the range of their metric in their control area. -#}
{% test implausible_is_marked(model) %}
select *
from {{ model }}
where
    status = 'measured'
    and (
        false
        {% for area, metrics in var('plausible_grid').items() -%}
        {%- for metric, limits in metrics.items() %}
        or (control_area = '{{ area }}' and metric = '{{ metric }}' and value not between {{ limits[0] }} and {{ limits[1] }})
        {%- endfor %}
        {%- endfor %}
    )
{% endtest %}
