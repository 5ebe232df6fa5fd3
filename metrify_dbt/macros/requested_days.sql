{#-
    The days that this run has to rebuild.

    The platform writes them into `requested_days` before dbt runs. They are put into the SQL as literals, because a
    filter on literals skips the files of all other days, a join does not.
-#}

{#- Name of the table with the requested days. -#}
{% macro requested_days_table() -%}
    {{ return(adapter.dispatch('requested_days_table', 'metrify')()) }}
{%- endmacro %}

{% macro default__requested_days_table() -%}
    {{ return(platform_table('requested_days')) }}
{%- endmacro %}

{% macro snowflake__requested_days_table() -%}
    {{ return("raw.requested_days") }}
{%- endmacro %}

{#- List of ISO dates, ascending. With `--full-refresh` these are all days of clean readings in the lake. -#}
{% macro requested_days() -%}
    {%- if not execute -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set days = lake_days(source('lake', 'clean_readings')) if flags.FULL_REFRESH else requested_days_table() -%}
    {%- set rows = run_query("select distinct cast(day as varchar) as day from " ~ days ~ " as days order by 1") -%}
    {{ return(rows.columns[0].values() | list) }}
{%- endmacro %}

{#- Condition that a date column is one of some ISO dates. -#}
{% macro in_days(column, days) -%}
    {%- if days -%}
        {{ column }} in ({% for day in days %}cast('{{ day }}' as date){{ ", " if not loop.last }}{% endfor %})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#- Condition that a date column is one of the requested days. -#}
{% macro in_requested_days(column) -%}
    {{ in_days(column, requested_days()) }}
{%- endmacro %}

{#-
    List of ISO dates, ascending: the requested days and as many days before and after each.

    A model that looks back at the day before has to be built anew for the day after a requested one.
-#}
{% macro requested_days_around(before=0, after=0) -%}
    {%- set found = [] -%}
    {%- for day in requested_days() -%}
        {%- for offset in range(-before, after + 1) -%}
            {%- set moved = modules.datetime.date.fromisoformat(day) + modules.datetime.timedelta(days=offset) -%}
            {%- do found.append(moved.isoformat()) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found | unique | sort) }}
{%- endmacro %}

{#- List of the first days (ISO dates, ascending) of the months that the requested days lie in. -#}
{% macro requested_months() -%}
    {%- set found = [] -%}
    {%- for day in requested_days() -%}
        {%- do found.append(day[:7] ~ '-01') -%}
    {%- endfor -%}
    {{ return(found | unique | sort) }}
{%- endmacro %}

{#- Condition that a date column lies in one of the requested months. -#}
{% macro in_requested_months(column) -%}
    {%- set months = requested_months() -%}
    {%- if months -%}
        ({%- for month in months -%}
            {{ column }} between cast('{{ month }}' as date) and last_day(cast('{{ month }}' as date))
            {{- " or " if not loop.last }}
        {%- endfor -%})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#- First day of the month of a day. -#}
{% macro month_of(day) -%}
    cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}

{#- Relation of the requested months: month (its first day), next_month (the first day of the next one). -#}
{% macro months() -%}
    (
        {%- for month in requested_months() %}
        select cast('{{ month }}' as date) as month, last_day(cast('{{ month }}' as date)) + 1 as next_month
        {{- " union all" if not loop.last }}
        {%- else %}
        select cast(null as date) as month, cast(null as date) as next_month where false
        {%- endfor %}
    )
{%- endmacro %}

{#-
    Relation of the hours of the requested days: day, hour_number (0 from local midnight), hour_start (UTC),
    local_hour (0-23; the hour repeated in October appears twice, the hour skipped in March not at all).
-#}
{% macro delivery_hours() -%}
    {%- set days = requested_days() -%}
    (
        select
            days.day,
            hours.hour_number,
            {{ add_hours(local_midnight('days.day'), 'hours.hour_number') }} as hour_start,
            {{ local_hour(add_hours(local_midnight('days.day'), 'hours.hour_number')) }} as local_hour
        from (
            {%- for day in days %}
            select cast('{{ day }}' as date) as day {{ "union all" if not loop.last }}
            {%- else %}
            select cast(null as date) as day where false
            {%- endfor %}
        ) as days
        cross join (
            {%- for hour in range(25) %}
            select {{ hour }} as hour_number {{ "union all" if not loop.last }}
            {%- endfor %}
        ) as hours
        where hours.hour_number < {{ hours_in_day('days.day') }}
    )
{%- endmacro %}

{#-
    dbt's hook for the `where` of a data test: `__day_is_requested__` limits the test to the requested days,
    `__month_is_requested__` to their months.
-#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where') -%}
    {%- if not where -%}
        {{ return(relation) }}
    {%- endif -%}
    {%- if '__day_is_requested__' in where -%}
        {%- set where = where | replace('__day_is_requested__', in_requested_days('day')) -%}
    {%- elif '__month_is_requested__' in where -%}
        {%- set where = where | replace('__month_is_requested__', in_days('month', requested_months())) -%}
    {%- endif -%}
    {{ return("(select * from " ~ relation ~ " where " ~ where ~ ") dbt_subquery") }}
{%- endmacro %}
