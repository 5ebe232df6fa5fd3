{#-
    Incremental strategy `replace_days`: the requested days leave the table, what the model now has for them comes in.

    dbt's own `delete+insert` deletes only keys that the new data holds, so a day whose data were withdrawn would stay.
    Delete and insert are one transaction: readers see the old days or the new ones, a crash leaves the old ones, and
    running again changes nothing.

    A model whose rows depend on the day before as well is also replaced for the day after a requested one: its meta says
    `days_after: 1`. A model by month has the meta `replaces: month`, and the months of the requested days are replaced.
-#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch('replace_days_sql', 'metrify')(arg_dict)) }}
{%- endmacro %}

{#- dbt-duckdb has opened a transaction around this statement and commits it after the hooks. -#}
{% macro default__replace_days_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ replaced_rows() }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
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
