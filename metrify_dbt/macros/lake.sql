{#-
    The lake as relations.

    On DuckDB the tables of the lake are Parquet files. Which files are current is in `metrify.lake_files`, which the
    platform writes before dbt runs. On Snowflake the same tables are loaded into the schema `RAW`.
-#}

{#-
    Name of a table in which the platform says what to build and from what: `lake_files`, `requested_days` (DuckDB).

    A run of the platform writes them; the next one by hand builds the same again.
-#}
{% macro platform_table(name) -%}
    {%- if execute and adapter.get_relation(target.database, 'metrify', name) is none -%}
        {%- do exceptions.raise_compiler_error(
            "the platform has not prepared this warehouse (no table metrify." ~ name ~ "): run `metrify demo` or "
            ~ "`metrify recompute DAY` first, or name another file in METRIFY_WAREHOUSE"
        ) -%}
    {%- endif -%}
    {{ return("metrify." ~ name) }}
{%- endmacro %}

{#-
    Relation to select a lake table from.

    relation: `source('lake', ...)`; passing it keeps the lineage even where files are read instead.
-#}
{% macro lake_table(relation) -%}
    {{ return(adapter.dispatch('lake_table', 'metrify')(relation)) }}
{%- endmacro %}

{% macro default__lake_table(relation) -%}
    {{ return(relation) }}
{%- endmacro %}

{% macro duckdb__lake_table(relation) -%}
    {%- if not execute -%}
        {{ return(relation) }}
    {%- endif -%}
    {%- set known = adapter.get_relation(target.database, 'metrify', 'stored_columns') is not none -%}
    {%- set lacks = "path in (select path from metrify.stored_columns where lacks_columns)" if known else "false" -%}
    {%- set files = run_query(
        "select path, day is not null as by_day, " ~ lacks ~ " as lacks_columns from " ~ platform_table('lake_files')
        ~ " where table_name = '" ~ relation.identifier ~ "' order by day, path"
    ) -%}
    {%- if files | length == 0 -%}
        {{ return(empty_lake_table(relation)) }}
    {%- endif -%}
    {%- set whole, older = [], [] -%}
    {%- for file in files -%}
        {%- do (older if file['lacks_columns'] else whole).append("'" ~ (file['path'] | replace("'", "''")) ~ "'") -%}
    {%- endfor -%}
    {#- The day in the path lets a filter on `day` skip files unopened; DATE is stated, not guessed from the text. -#}
    {%- set by_day = "true, hive_types = {'day': DATE}" if files[0]['by_day'] else "false" -%}
    {%- set options = "], hive_partitioning = " ~ by_day -%}
    {%- if not older -%}
        {{ return("read_parquet([" ~ whole | join(", ") ~ options ~ ")") }}
    {%- endif -%}
    {#- Files that are older than a column of their table: it is null. The empty relation names all columns. -#}
    {%- set parts = ["select * from " ~ empty_lake_table(relation)] -%}
    {%- if whole -%}
        {%- do parts.append("select * from read_parquet([" ~ whole | join(", ") ~ options ~ ")") -%}
    {%- endif -%}
    {%- do parts.append("select * from read_parquet([" ~ older | join(", ") ~ options ~ ", union_by_name = true)") -%}
    {{ return("(" ~ parts | join(" union all by name ") ~ ")") }}
{%- endmacro %}

{#- Rows of some days of a lake table, by the footers of their files. -#}
{% macro lake_rows(relation, days) -%}
    {%- set files = run_query(
        "select path from " ~ platform_table('lake_files') ~ " where table_name = '" ~ relation.identifier ~ "' and "
        ~ in_days('day', days)
    ).columns[0].values() -%}
    {%- if files | length == 0 -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set paths = [] -%}
    {%- for path in files -%}
        {%- do paths.append("'" ~ (path | replace("'", "''")) ~ "'") -%}
    {%- endfor -%}
    {%- set counted = run_query("select sum(num_rows) from parquet_file_metadata([" ~ paths | join(", ") ~ "])") -%}
    {{ return(counted.columns[0].values()[0] | int) }}
{%- endmacro %}

{#- A relation without rows that has the columns and types which the source's YAML states. -#}
{% macro empty_lake_table(relation) -%}
    {%- set columns = [] -%}
    {%- for source in graph.sources.values() if source.source_name == 'lake' and source.name == relation.identifier -%}
        {%- for column in source.columns.values() -%}
            {%- do columns.append("cast(null as " ~ column.data_type ~ ") as " ~ column.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return("(select " ~ columns | join(", ") ~ " where false)") }}
{%- endmacro %}

{#- Relation of the distinct days that a lake table holds, without reading its rows where that can be avoided. -#}
{% macro lake_days(relation) -%}
    {{ return(adapter.dispatch('lake_days', 'metrify')(relation)) }}
{%- endmacro %}

{% macro default__lake_days(relation) -%}
    {{ return("(select distinct day from " ~ relation ~ ")") }}
{%- endmacro %}

{#- The loads know the days; to find them in the rows would read the table. -#}
{% macro snowflake__lake_days(relation) -%}
    {{ return(
        "(select distinct day from raw.loads where row_count > 0 and table_name = '" ~ relation.identifier ~ "')"
    ) }}
{%- endmacro %}

{% macro duckdb__lake_days(relation) -%}
    {{ return(
        "(select distinct day from " ~ platform_table('lake_files') ~ " where table_name = '" ~ relation.identifier ~ "')"
    ) }}
{%- endmacro %}

{#- dbt's hook for `dbt source freshness`: the sources are files, not tables of the warehouse. -#}
{% macro duckdb__collect_freshness(source, loaded_at_field, filter) -%}
    {{ return(default__collect_freshness(lake_table(source), loaded_at_field, filter)) }}
{%- endmacro %}
