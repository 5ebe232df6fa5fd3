{#-
    Statements that only Snowflake understands. A server that merely speaks its protocol (the tests' one, by its account
    name) is not sent them; their text is tested by itself.
-#}
{% macro is_test_server() -%}
    {{ return(target.get('account') == 'metrifytest') }}
{%- endmacro %}

{#- Tag of the statements of one model: what the platform says of the run (JSON), and the model's name. -#}
{% macro model_query_tag(run_tag, model_name) -%}
    alter session set query_tag = '{{ run_tag[:-1] | replace("\\", "\\\\") | replace("'", "''") }},"model":"{{ model_name }}"}'
{%- endmacro %}

{#- dbt's hook before every model and test. -#}
{% macro snowflake__set_query_tag() -%}
    {%- if not is_test_server() -%}
        {%- do run_query(model_query_tag(env_var('METRIFY_QUERY_TAG', '{"app":"metrify"}'), model.name)) -%}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#- dbt's hook after it: the next one sets its own. -#}
{% macro snowflake__unset_query_tag(original_query_tag) -%}
{%- endmacro %}
