{#-
    Incremental strategy `replace_days`: the requested days leave the table, what the model now has for them comes in.

    dbt's own `delete+insert` deletes only keys that the new data holds, so a day whose data were withdrawn would stay.
    Delete and insert are one transaction: readers see the old days or the new ones, a crash leaves the old ones, and
    running again changes nothing.

    A model whose rows depend on the day before as well is also replaced for the day after a requested one: its meta says
    `days_after: 1`. A model by month has the meta `replaces: month`, and the months of the requested days are replaced.
    A model that reads the slots of its days says `reads_slots: true`: on DuckDB it takes a long range some days at a time.
-#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch('replace_days_sql', 'metrify')(arg_dict)) }}
{%- endmacro %}

{#- dbt-duckdb has opened a transaction around this statement and commits it after the hooks. -#}
{% macro default__replace_days_sql(arg_dict, parts=['true']) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ replaced_rows() }};
    {%- for part in parts %}
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }} where {{ part }}{{ ";" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro duckdb__replace_days_sql(arg_dict) -%}
    {{ return(default__replace_days_sql(arg_dict, parts_of_days())) }}
{%- endmacro %}

{#-
    Conditions under which the rows of a model come in, one after the other: of a model that reads slots some days at a
    time, so that a range of days takes no more memory than a day of many points; of any other model all at once.
-#}
{% macro parts_of_days() -%}
    {%- set parts = [] -%}
    {%- if config.meta_get('reads_slots', false) -%}
        {%- for days in requested_days() | batch(days_at_once()) -%}
            {%- do parts.append(in_days('day', days)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(parts or ['true']) }}
{%- endmacro %}

{#- How many of the requested days are computed in one statement: small days together, a day of millions of slots alone. -#}
{% macro days_at_once() -%}
    {%- set days = requested_days() -%}
    {%- set slots_at_once = 25000000 -%}
    {%- set slots = lake_rows(source('lake', 'clean_readings'), days) -%}
    {{ return([1, (slots_at_once * (days | length)) // ([slots, 1] | max)] | max) }}
{%- endmacro %}

{#- Condition on the rows that a model builds anew in this run. -#}
{% macro replaced_rows() -%}
    {%- if config.meta_get('replaces', 'day') == 'month' -%}
        {{ in_days('month', requested_months()) }}
    {%- else -%}
        {{ in_days('day', requested_days_around(after=config.meta_get('days_after', 0))) }}
    {%- endif -%}
{%- endmacro %}

{#- dbt-snowflake commits each statement by itself unless told otherwise. -#}
{% macro snowflake__replace_days_sql(arg_dict) -%}
    {{ return(snowflake_dml_explicit_transaction(default__replace_days_sql(arg_dict))) }}
{%- endmacro %}

{#-
    dbt-duckdb writes what an incremental model selects to a temporary table and copies it from there. Rows that replace
    days are computed where they are inserted instead, and a view stands for them: half of the writing, and no range of
    days has to lie in memory or in a temporary file first.
-#}
{% macro duckdb__create_table_as(
    temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none
) -%}
    {%- if config.get('incremental_strategy') != 'replace_days' -%}
        {{ dbt.duckdb__create_table_as(
            temporary, relation, compiled_code, language, partitioned_by, sorted_by
        ) }}
    {%- else -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
        {%- if temporary %}
            create or replace temporary view {{ relation.include(database=false, schema=false) }} as (
                {{ compiled_code }}
            )
        {%- else %}
            create table {{ relation }} {{ get_table_columns_and_constraints() }};
            {%- for part in parts_of_days() %}
            insert into {{ relation }} {{ get_column_names() }}
            select * from ({{ get_select_subquery(compiled_code) }}) where {{ part }}{{ ";" if not loop.last }}
            {%- endfor %}
        {%- endif %}
    {%- endif -%}
{%- endmacro %}
