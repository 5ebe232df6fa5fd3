{#- Formulas on interval values, the same on every engine. -#}

{#- Mean power of an interval, kW = kWh x 60 / minutes. -#}
{% macro mean_kw(kwh, minutes) -%}
    (cast({{ kwh }} as double) * 60 / {{ minutes }})
{%- endmacro %}

{#-
    Counts of slots by what their value is: aggregates over slots with `value_kwh` and `status`.
    Together with missing_slots they add up to the expected slots. `validated` is measured and checked by hand.
-#}
{% macro slot_counts() -%}
    cast(count(value_kwh) as integer) as valued_slots,
        cast(count_if(value_kwh is not null and status in ('measured', 'validated')) as integer) as measured_slots,
        cast(count_if(value_kwh is not null and status = 'validated') as integer) as validated_slots,
        cast(count_if(value_kwh is not null and status = 'estimated') as integer) as estimated_slots,
        cast(count_if(value_kwh is not null and status = 'provisional') as integer) as provisional_slots
{%- endmacro %}

{#- The worst status among slots that were counted by `slot_counts`, ranked as in German market rules. -#}
{% macro worst_status() -%}
    case
        when missing_slots > 0 then 'missing'
        when provisional_slots > 0 then 'provisional'
        when estimated_slots > 0 then 'estimated'
        when validated_slots > 0 then 'validated'
        else 'measured'
    end
{%- endmacro %}
