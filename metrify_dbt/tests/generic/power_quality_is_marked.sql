{#- Values whose status or mark is not what the ranges of their quantity say. -#}
{% test power_quality_is_marked(model) %}
select *
from {{ model }}
where
    value is not null
    and (
        false
        {% for quantity, limits in var('power_quality').items() %}
        or (
            quantity = '{{ quantity }}'
            and (
                (status = 'valid') <> (value between {{ limits['valid'][0] }} and {{ limits['valid'][1] }})
                or is_anomalous = (value between {{ limits['normal'][0] }} and {{ limits['normal'][1] }})
            )
        )
        {%- endfor %}
    )
{% endtest %}
