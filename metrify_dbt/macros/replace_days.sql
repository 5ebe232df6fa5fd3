{#-
    Incremental strategy `replace_days`: the requested days leave the table, what the model now has for them comes in.

    dbt's own `delete+insert` deletes only keys that the new data holds, so a day whose data were withdrawn would stay.
    Delete and insert are one transaction: readers see the old days or the new ones, a crash leaves the old ones, and
    running again changes nothing.
-#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch('replace_days_sql', 'metrify')(arg_dict)) }}
{%- endmacro %}

{#- dbt-duckdb has opened a transaction around this statement and commits it after the hooks. -#}
{% macro default__replace_days_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_requested_days('day') }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}

{#- dbt-snowflake commits each statement by itself unless told otherwise. -#}
{% macro snowflake__replace_days_sql(arg_dict) -%}
    {{ return(snowflake_dml_explicit_transaction(default__replace_days_sql(arg_dict))) }}
{%- endmacro %}
