{#- Distances on a sphere with the mean radius of the earth (6,371 km). -#}

{#- Great-circle distance in km by the haversine formula; all arguments in degrees. -#}
{% macro great_circle_km(latitude_a, longitude_a, latitude_b, longitude_b) -%}
    2 * 6371.0 * asin(sqrt(least(1.0,
        power(sin(radians({{ latitude_b }} - {{ latitude_a }}) / 2), 2)
        + cos(radians({{ latitude_a }})) * cos(radians({{ latitude_b }}))
        * power(sin(radians({{ longitude_b }} - {{ longitude_a }}) / 2), 2)
    )))
{%- endmacro %}

{#- Length of an arc in km. -#}
{% macro degrees_km(degrees) -%}
    radians({{ degrees }}) * 6371.0
{%- endmacro %}
