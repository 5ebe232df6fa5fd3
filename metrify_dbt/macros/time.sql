{#-
    Calendar arithmetic. Instants are time stamps with time zone; the local zone is the environment variable METRIFY_TIMEZONE,
    which the platform sets from its own setting.
    Local time is always asked for by name, so the session's time zone plays no part.
-#}

{#- First instant of a local day. -#}
{% macro local_midnight(day) -%}
    {{ return(local_time(day, 0)) }}
{%- endmacro %}

{#- Instant at which the clocks of a local day show a full hour (not one of those that they skip or repeat). -#}
{% macro local_time(day, hour) -%}
    {{ return(adapter.dispatch('local_time', 'metrify')(day, hour)) }}
{%- endmacro %}

{% macro default__local_time(day, hour) -%}
    ((cast({{ day }} as timestamp){% if hour %} + to_hours({{ hour }}){% endif %}) at time zone '{{ local_zone() }}')
{%- endmacro %}

{% macro snowflake__local_time(day, hour) -%}
    convert_timezone('UTC', timestamp_tz_from_parts(
        year({{ day }}), month({{ day }}), day({{ day }}), {{ hour }}, 0, 0, 0, '{{ local_zone() }}'
    ))::timestamp_tz
{%- endmacro %}

{#- IANA name of the zone of the delivery days. -#}
{% macro local_zone() -%}
    {{ return(env_var('METRIFY_TIMEZONE', 'Europe/Berlin')) }}
{%- endmacro %}

{#- Wall-clock hour (0-23) of an instant. -#}
{% macro local_hour(instant) -%}
    {{ return(adapter.dispatch('local_hour', 'metrify')(instant)) }}
{%- endmacro %}

{% macro default__local_hour(instant) -%}
    hour({{ instant }} at time zone '{{ local_zone() }}')
{%- endmacro %}

{% macro snowflake__local_hour(instant) -%}
    hour(convert_timezone('{{ local_zone() }}', ({{ instant }})))
{%- endmacro %}

{#- Whole minutes from one instant to a later one. -#}
{% macro minutes_between(earlier, later) -%}
    {{ return(adapter.dispatch('minutes_between', 'metrify')(earlier, later)) }}
{%- endmacro %}

{#- Not date_diff: on time stamps with time zone it goes through the calendar, which is slow on millions of rows. -#}
{% macro default__minutes_between(earlier, later) -%}
    ((epoch_us({{ later }}) - epoch_us({{ earlier }})) // 60000000)
{%- endmacro %}

{% macro snowflake__minutes_between(earlier, later) -%}
    floor(datediff(second, {{ earlier }}, {{ later }}) / 60)
{%- endmacro %}

{#- Instant that many hours after another. -#}
{% macro add_hours(instant, hours) -%}
    {{ return(adapter.dispatch('add_hours', 'metrify')(instant, hours)) }}
{%- endmacro %}

{% macro default__add_hours(instant, hours) -%}
    ({{ instant }} + to_hours({{ hours }}))
{%- endmacro %}

{% macro snowflake__add_hours(instant, hours) -%}
    dateadd(hour, {{ hours }}, {{ instant }})
{%- endmacro %}

{#- Length of a local day in hours: 24, or 23 and 25 where the clocks change. -#}
{% macro hours_in_day(day) -%}
    (cast({{ minutes_between(local_midnight(day), local_midnight('(' ~ day ~ ' + 1)')) }} as double) / 60)
{%- endmacro %}

{#- Hour of the delivery day, counted from 0 at local midnight, in which an instant lies. -#}
{% macro hour_number(day, instant) -%}
    cast(floor({{ minutes_between(local_midnight(day), instant) }} / 60) as integer)
{%- endmacro %}

{#- ISO 8601 week calendar: part is weekday (1 Monday - 7 Sunday), week (1-53) or year (of the week). -#}
{% macro iso_calendar(part, day) -%}
    {{ return(adapter.dispatch('iso_calendar', 'metrify')(part, day)) }}
{%- endmacro %}

{% macro default__iso_calendar(part, day) -%}
    {{ {'weekday': 'isodow', 'week': 'weekofyear', 'year': 'isoyear'}[part] }}({{ day }})
{%- endmacro %}

{% macro snowflake__iso_calendar(part, day) -%}
    {{ {'weekday': 'dayofweekiso', 'week': 'weekiso', 'year': 'yearofweekiso'}[part] }}({{ day }})
{%- endmacro %}
