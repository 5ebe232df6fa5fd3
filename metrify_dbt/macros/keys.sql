{#- Surrogate key: a hash of the columns that identify a row. -#}
{% macro surrogate_key(columns) -%}
    md5({% for column in columns %}cast({{ column }} as varchar){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{#-
    Rows of a registry as versions: with the day from which one holds (`starts_on`) and the day on which it no longer
    does (`ends_on`; 9999-12-31 is open). No day has two versions of a key, whatever a registry delivers.

    Of rows that are valid on one day the one that starts last counts, as in validation. So a version ends where its row
    says so or where the next row starts, and a row that outlives the rows that stood before it resumes: it has a
    further version. Rows with the same start are ordered by reception: the later one holds, the earlier one gets an empty
    version.
-#}
{% macro registry_versions(rows, key, tie_break) -%}
    {%- set keys = key | join(', ') -%}
    with ranked as (
        select
            *,
            row_number() over (partition by {{ keys }} order by valid_from, received_at, {{ tie_break }}) as priority
        from {{ rows }}
    ),

    resumed as (
        select
            resuming.*,
            ended.valid_to as starts_on
        from ranked as ended
        inner join ranked as resuming
            on
                {% for column in key -%}
                ended.{{ column }} = resuming.{{ column }} and {% endfor %}resuming.valid_from <= ended.valid_to
                and (resuming.valid_to is null or resuming.valid_to > ended.valid_to)
        qualify
            row_number() over (
                partition by ended.{{ key | join(', ended.') }}, ended.valid_to
                order by resuming.priority desc
            ) = 1
            and max(ended.priority) over (partition by ended.{{ key | join(', ended.') }}, ended.valid_to)
            > resuming.priority
    ),

    starting as (
        select
            *,
            valid_from as starts_on
        from ranked
        union all
        select * from resumed
    )

    select
        *,
        least(
            coalesce(valid_to, cast('9999-12-31' as date)),
            coalesce(
                lead(starts_on) over (partition by {{ keys }} order by starts_on, priority),
                cast('9999-12-31' as date)
            )
        ) as ends_on
    from starting
{%- endmacro %}

{#- Condition that a row of a dimension holds on a day. -#}
{% macro valid_on(relation, day) -%}
    {{ day }} >= {{ relation }}.valid_from
        and ({{ relation }}.valid_to is null or {{ day }} < {{ relation }}.valid_to)
{%- endmacro %}
