{#- Whole calendar years around the days in the data; without any data there is no calendar. -#}
{%- set days_query -%}
    select cast(min(year(day)) as integer) as first_year, cast(max(year(day)) as integer) as last_year
    from (
{%- for table in ['clean_readings', 'clean_grid_status', 'clean_weather'] %}
        select day from {{ lake_days(source('lake', table)) }} as {{ table }} union all
{%- endfor %}
        select day from {{ requested_days_table() }}
    ) as days
{%- endset -%}
{%- set years = run_query(days_query)[0] if execute else [none, none] -%}

with days as (
    {%- if years[0] is none %}
    select cast(null as date) as day where false
    {%- else %}
    select cast(date_day as date) as day
    from (
        {{ dbt.date_spine(
            'day', "cast('" ~ years[0] ~ "-01-01' as date)", "cast('" ~ (years[1] + 1) ~ "-01-01' as date)"
        ) }}
    ) as spine
    {%- endif %}
),

holidays as (
    select * from {{ ref('german_holidays') }}
)

select
    days.day,
    cast(year(days.day) as integer) as year,
    cast(quarter(days.day) as integer) as quarter,
    cast(month(days.day) as integer) as month,
    cast(day(days.day) as integer) as day_of_month,
    cast({{ iso_calendar('year', 'days.day') }} as integer) as iso_year,
    cast({{ iso_calendar('week', 'days.day') }} as integer) as iso_week,
    cast({{ iso_calendar('weekday', 'days.day') }} as integer) as weekday,
    {{ iso_calendar('weekday', 'days.day') }} >= 6 as is_weekend,
    coalesce(holidays.is_nationwide, false) as is_holiday,
    holidays.holiday_name,
    holidays.states as holiday_states,
    {{ season('days.day') }} as season,
    {{ local_midnight('days.day') }} as day_start,
    cast({{ hours_in_day('days.day') }} as decimal(4, 2)) as hours_in_day
from days
left join holidays on days.day = holidays.day
