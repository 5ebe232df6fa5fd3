{#- Holidays and seasons. -#}

{#-
    Whether a day of dim_date is a public holiday in a federal state, or nationwide if the state is not known.
    `holiday_states` lists two-letter codes separated by blanks.
-#}
{% macro is_holiday(dates, federal_state) -%}
    ({{ dates }}.is_holiday or coalesce({{ dates }}.holiday_states like '%' || {{ federal_state }} || '%', false))
{%- endmacro %}

{#- Season of a day by the load profiles of 1999. The year begins in the season in which it ends. -#}
{% macro season(day) -%}
    {%- set starts = var('season_starts') -%}
    case
        {%- for start in starts | sort(attribute='from', reverse=true) %}
        when month({{ day }}) * 100 + day({{ day }}) >= {{ start['from'] }} then '{{ start["season"] }}'
        {%- endfor %}
        else '{{ starts[-1]["season"] }}'
    end
{%- endmacro %}
