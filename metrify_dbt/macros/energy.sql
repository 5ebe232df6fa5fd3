{#- Formulas on interval values, the same on every engine. -#}

{#- Mean power of an interval, kW = kWh x 60 / minutes. -#}
{% macro mean_kw(kwh, minutes) -%}
    (cast({{ kwh }} as double) * 60 / {{ minutes }})
{%- endmacro %}

{#-
    Counts of slots by what their value is: aggregates over slots with `value_kwh` and `status`.
    Together with missing_slots they add up to the expected slots. `validated` is measured and checked by hand.
-#}
{% macro slot_counts() -%}
    cast(count(value_kwh) as integer) as valued_slots,
        cast(count_if(value_kwh is not null and status in ('measured', 'validated')) as integer) as measured_slots,
        cast(count_if(value_kwh is not null and status = 'validated') as integer) as validated_slots,
        cast(count_if(value_kwh is not null and status = 'estimated') as integer) as estimated_slots,
        cast(count_if(value_kwh is not null and status = 'provisional') as integer) as provisional_slots
{%- endmacro %}

{#-
    How certain a sum of slots is: aggregates over slots with `value_kwh`, `status`, `method` and `variance_kwh2`.
    The variance adds up because gaps are independent of each other. `uncertain_slots` are estimates of which nothing can
    be said, `fixed_kwh` what is not estimated. An outage that was declared is no estimate.
-#}
{% macro sum_certainty() -%}
    coalesce(sum(variance_kwh2), 0) as variance_kwh2,
        cast(count_if(
            variance_kwh2 is null and status = 'estimated' and coalesce(method, '') <> 'documented_zero'
        ) as integer) as uncertain_slots,
        coalesce(sum(case when variance_kwh2 is null then value_kwh end), 0) as fixed_kwh
{%- endmacro %}

{#-
    Lower or upper end (sign -1 or 1) of the interval, 10 to 90 %, of an energy, kWh: var interval_deviations standard
    deviations away. In one direction it is never below what is not estimated. Null where `sum_certainty` is not enough.
-#}
{% macro end_of_interval(sign) -%}
    {%- set moved -%}
        cast(cast(energy_kwh as double)
            + ({{ sign }}) * {{ var('interval_deviations') }} * sqrt(cast(variance_kwh2 as double)) as decimal(18, 6))
    {%- endset -%}
    case
        when uncertain_slots > 0 or energy_kwh is null then null
        {%- if sign < 0 %}
        when {{ obis_direction('obis_code') }} in ('1', '2') then greatest({{ moved }}, cast(fixed_kwh as decimal(18, 6)))
        {%- endif %}
        else {{ moved }}
    end
{%- endmacro %}

{#- The worst status among slots that were counted by `slot_counts`, ranked as in German market rules. -#}
{% macro worst_status() -%}
    case
        when missing_slots > 0 then 'missing'
        when provisional_slots > 0 then 'provisional'
        when estimated_slots > 0 then 'estimated'
        when validated_slots > 0 then 'validated'
        else 'measured'
    end
{%- endmacro %}

{#-
    How well slots were delivered: aggregates over slots with `delivered_kwh`, `version`, `flags` and `received_at`.
    `timeliness_points` are hundredths: the grade of each delivered value by its lateness, added up. Whole numbers all,
    so that no sum depends on the order in which it is taken.
-#}
{% macro delivery_counts(deadline) -%}
    {%- set delivered = 'delivered_kwh is not null' -%}
    cast(count(delivered_kwh) as integer) as delivered_slots,
        cast(count_if({{ delivered }} and coalesce({{ has_flag('flags', var('failure_flags')) }}, false)) as integer) as failed_slots,
        cast(count_if({{ delivered }} and coalesce({{ has_flag('flags', var('duplicate_flag')) }}, false)) as integer)
            as redelivered_slots,
        cast(count_if({{ delivered }} and coalesce(version > 1, false)) as integer) as revised_slots,
        cast(coalesce(sum(case when {{ delivered }} then version end), 0) as integer) as versions,
        cast(count_if({{ delivered }} and coalesce(received_at <= {{ deadline }}, false)) as integer) as on_time_slots,
        cast(coalesce(sum(
            case
                when delivered_kwh is null or received_at is null then 0
                {%- for hours, grade in var('lateness_grades') %}
                when received_at <= {{ add_hours(deadline, hours) }} then {{ grade }}
                {%- endfor %}
                else {{ var('lateness_last_grade') }}
            end
        ), 0) as integer) as timeliness_points
{%- endmacro %}

{#- Condition that a bit set has at least one of some bits. -#}
{% macro has_flag(flags, bits) -%}
    {{ return(adapter.dispatch('has_flag', 'metrify')(flags, bits)) }}
{%- endmacro %}

{% macro default__has_flag(flags, bits) -%}
    ({{ flags }} & {{ bits }}) <> 0
{%- endmacro %}

{% macro snowflake__has_flag(flags, bits) -%}
    bitand({{ flags }}, {{ bits }}) <> 0
{%- endmacro %}

{#-
    Quality score, 0-1, from counts of slots: the weighted sum of completeness (delivered of expected), accuracy (measured
    of valued), consistency (delivered not revised), validity (delivered without failure), uniqueness (delivered not
    delivered again) and timeliness. Nothing delivered scores 0.
-#}
{% macro quality_score() -%}
    {%- set weights = var('quality_weights') -%}
    case
        when delivered_slots = 0 then 0.0
        else
            {{ weights['completeness'] }} * least(cast(delivered_slots as double) / expected_slots, 1.0)
            + {{ weights['accuracy'] }} * coalesce(cast(measured_slots as double) / nullif(valued_slots, 0), 0.0)
            + {{ weights['consistency'] }} * (1 - cast(revised_slots as double) / delivered_slots)
            + {{ weights['validity'] }} * (1 - cast(failed_slots as double) / delivered_slots)
            + {{ weights['uniqueness'] }} * (1 - cast(redelivered_slots as double) / delivered_slots)
            + {{ weights['timeliness'] }} * cast(timeliness_points as double) / (100 * delivered_slots)
    end
{%- endmacro %}

{#- Tier of a quality score. A score that a sum of weights misses by its last digit is in the tier it stands for. -#}
{% macro quality_tier(score) -%}
    case
        {%- for tier, least_score in var('quality_tiers') %}
        when {{ score }} >= {{ least_score }} - 0.0000001 then '{{ tier }}'
        {%- endfor %}
        else '{{ var("quality_last_tier") }}'
    end
{%- endmacro %}

{#-
    Orders values so that their maximum is the earliest of the highest: 10^10 lifts the six decimals of the value above
    the minute of the period, which is subtracted.
-#}
{% macro first_highest(value, minute) -%}
    cast({{ value }} as decimal(38, 6)) * 10000000000 - {{ minute }}
{%- endmacro %}

{#- Direction of an OBIS code's channel: 1 import, 2 export. -#}
{% macro obis_direction(obis_code) -%}
    {{ obis_part(obis_code, 1) }}
{%- endmacro %}
