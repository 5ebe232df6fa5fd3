{#-
    Observations whose air pressure is not plausible at the altitude of their station, by the standard atmosphere
    (ISO 2533): at sea level the pressure lies in a range, and a column of air carries its ends to the altitude, the
    lower end a cold one, the higher a warm one. A source that reduces to sea level is held to the range as it is; one of
    which that is not known passes with either.
-#}
{% test pressure_fits_altitude(model, stations) %}
{%- set air = var('air_pressure') %}
with observations as (
    select * from {{ model }}
),

judged as (
    select
        observations.station_id,
        observations.observed_at,
        observations.pressure_hpa,
        stations.altitude_m,
        case
            {%- for source, level in air['levels'].items() %}
            when observations.source_id = '{{ source }}' then '{{ level }}'
            {%- endfor %}
            else 'unknown'
        end as pressure_level,
        {%- for end, kelvin in [('lowest', air['cold_k']), ('highest', air['warm_k'])] %}
        {{ air['sea_level_hpa'][loop.index0] }} * power(
            1 - {{ air['lapse_k_per_m'] }} * stations.altitude_m / {{ kelvin }}, {{ air['exponent'] }}
        ) as {{ end }}_at_station{{ "," if not loop.last }}
        {%- endfor %}
    from observations
    inner join {{ stations }} as stations
        on
            observations.station_id = stations.station_id
            and observations.day >= stations.valid_from
            and (stations.valid_to is null or observations.day < stations.valid_to)
    where stations.altitude_m is not null and observations.pressure_hpa is not null
)

select *
from judged
where
    pressure_hpa < case when pressure_level = 'sea' then {{ air['sea_level_hpa'][0] }} else lowest_at_station end
    or pressure_hpa > case
        when pressure_level = 'station' then highest_at_station
        when pressure_level = 'sea' then {{ air['sea_level_hpa'][1] }}
        else greatest(highest_at_station, {{ air['sea_level_hpa'][1] }})
    end
{% endtest %}
