{#- Condition that an OBIS code names a quantity of power quality, as a whole (value group E = 0). -#}
{% macro is_power_quality(obis_code) -%}
    {%- set codes = var('power_quality_codes') -%}
    {{ obis_code }} like '1-%:%'
    and {{ obis_part(obis_code, 1) }} in ('{{ codes['quantities'] | join("', '") }}')
    and {{ obis_part(obis_code, 2) }} in ('{{ codes['statistics'] | join("', '") }}')
    and split_part(replace({{ obis_part(obis_code, 3) }}, '&', '*'), '*', 1) = '0'
{%- endmacro %}

{#- A part of an OBIS code after the colon: 1 is value group C, 2 is D, 3 is E and may carry F. -#}
{% macro obis_part(obis_code, number) -%}
    split_part(split_part({{ obis_code }}, ':', 2), '.', {{ number }})
{%- endmacro %}
