with points as (
    select
        point_key,
        valid_from,
        valid_to,
        latitude,
        longitude
    from {{ ref('dim_points') }}
    where latitude is not null and longitude is not null
),

stations as (
    select
        *,
        -- Stable number per station version, to break ties between stations at the same distance.
        row_number() over (order by station_id, valid_from) as station_number
    from {{ ref('dim_weather_stations') }}
),

days as (
    select
        day,
        count(*) as hours
    from {{ delivery_hours() }} as delivery_hours
    group by 1
),

covered_hours as (
    select
        station_id,
        day,
        count(temperature_c) as hours
    from {{ ref('int_weather_hourly') }}
    group by 1, 2
),

candidates as (
    select
        days.day,
        stations.station_number,
        coalesce(covered_hours.hours, 0) >= {{ var('weather_min_coverage') }} * days.hours as is_covered
    from days
    inner join stations on {{ valid_on('stations', 'days.day') }}
    left join covered_hours
        on stations.station_id = covered_hours.station_id and days.day = covered_hours.day
),

-- Where no station covers the day, the nearest of all valid ones serves with what it has.
eligible as (
    select
        *,
        max(case when is_covered then 1 else 0 end) over (partition by day) as any_covered
    from candidates
    qualify is_covered or any_covered = 0
),

-- Days mostly have the same stations: distances are computed once per distinct set of stations, under its first day.
station_lists as (
    select
        day,
        {{ dbt.listagg('station_number', "','", 'order by station_number') }} as station_list
    from eligible
    group by 1
),

station_sets as (
    select
        day,
        min(day) over (partition by station_list) as set_day
    from station_lists
),

set_members as (
    select
        station_sets.set_day,
        stations.station_number,
        stations.latitude,
        stations.longitude
    from station_sets
    inner join eligible on station_sets.day = eligible.day
    inner join stations on eligible.station_number = stations.station_number
    where station_sets.day = station_sets.set_day
),

-- Places in cells of a quarter of a degree; a place is at most an eighth of a degree of latitude and of longitude away
-- from the centre of its cell.
places as (
    select distinct
        latitude,
        longitude,
        (floor(latitude * 4) + 0.5) / 4 as cell_latitude,
        (floor(longitude * 4) + 0.5) / 4 as cell_longitude
    from points
),

cells as (
    select distinct
        cell_latitude,
        cell_longitude
    from places
),

cell_distances as (
    select
        set_members.*,
        cells.cell_latitude,
        cells.cell_longitude,
        {{ great_circle_km('cell_latitude', 'cell_longitude', 'set_members.latitude', 'set_members.longitude') }}
            as distance_km
    from cells
    cross join set_members
),

-- By the triangle inequality no other station can be the nearest to any place in the cell: most pairs of place and
-- station need no distance.
cell_candidates as (
    select *
    from cell_distances
    qualify
        distance_km <= min(distance_km) over (partition by set_day, cell_latitude, cell_longitude)
        + 2 * {{ degrees_km(2 * 0.125) }}
),

distances as (
    select
        cell_candidates.set_day,
        cell_candidates.station_number,
        places.latitude,
        places.longitude,
        {{ great_circle_km(
            'places.latitude', 'places.longitude', 'cell_candidates.latitude', 'cell_candidates.longitude'
        ) }} as distance_km
    from places
    inner join cell_candidates
        on
            places.cell_latitude = cell_candidates.cell_latitude
            and places.cell_longitude = cell_candidates.cell_longitude
),

nearest as (
    select *
    from distances
    qualify row_number() over (
        partition by set_day, latitude, longitude
        order by distance_km, station_number
    ) = 1
)

select
    points.point_key,
    station_sets.day,
    stations.station_id,
    nearest.distance_km
from station_sets
inner join points on {{ valid_on('points', 'station_sets.day') }}
inner join nearest
    on
        station_sets.set_day = nearest.set_day
        and points.latitude = nearest.latitude
        and points.longitude = nearest.longitude
inner join stations on nearest.station_number = stations.station_number
