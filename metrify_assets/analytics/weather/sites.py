"""Where points and stations are, since when, and which station is the nearest.

Belongs here: rows of the registries as arrays, moves, distances. Does not belong here: whether a station is near enough
(``sufficiency.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.analytics.weather.rules import WeatherRules
from metrify_assets.registry.validity import validity
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.delivery_day import day_number

EARTH_RADIUS_KM = 6_371.0
"""Mean radius (IUGG); the nearest station is found on a sphere, as in the mart ``int_nearest_weather_station``."""
_BLOCK = 4_096
"""Points whose distances are worked out together."""


@dataclass(frozen=True)
class Places:
    """Channels that are registered on the last day of a baseline; arrays of shape (N,).

    Attributes
    ----------
    channels : list of (point, OBIS code)
        Sorted.
    latitude, longitude : float64 array
        Degrees; NaN where not registered.
    begin : int64 array
        Day of the baseline from which on the point is there; 0 if it always was.
    moved : bool array
        Whether it was elsewhere just before.
    """

    channels: list[tuple[str, str]]
    latitude: Float64Array
    longitude: Float64Array
    begin: Int64Array
    moved: BoolArray


@dataclass(frozen=True)
class StationPlaces:
    """Stations that are registered on a day, sorted by name; arrays of shape (S,)."""

    names: list[str]
    latitude: Float64Array
    longitude: Float64Array


def places_of_points(points: pa.Table, days: list[date]) -> Places:
    """Return the places of channels from rows of the registry ``points``.

    A row with another latitude, longitude or postcode is another place. A time without a row ends the stay, too.
    """
    start, end = validity(points)
    first, last = day_number(days[0]), day_number(days[-1])
    site = list(zip(*(points[name].to_pylist() for name in ("latitude", "longitude", "postcode")), strict=True))
    rows_of: dict[tuple[str, str], list[int]] = {}
    keys = list(zip(points["point_id"].to_pylist(), points["obis_code"].to_pylist(), strict=True))
    for row in np.argsort(start, kind="stable").tolist():
        if end[row] > start[row]:
            rows_of.setdefault(keys[row], []).append(row)
    channels, present, begin, moved = [], [], [], []
    for channel, rows in sorted(rows_of.items()):
        past = [row for row in rows if start[row] <= last]
        if not past or end[past[-1]] <= last:
            continue
        since, was_elsewhere = int(start[past[-1]]), False
        for row in reversed(past[:-1]):
            if int(end[row]) < since:
                break
            if site[row] != site[past[-1]]:
                was_elsewhere = True
                break
            since = min(since, int(start[row]))
        channels.append(channel)
        present.append(site[past[-1]])
        begin.append(max(since - first, 0))
        moved.append(was_elsewhere and since > first)
    return Places(
        channels,
        _degrees([place[0] for place in present]),
        _degrees([place[1] for place in present]),
        np.array(begin, dtype=np.int64),
        np.array(moved, dtype=bool),
    )


def places_of_stations(stations: pa.Table, day: date) -> StationPlaces:
    """Return the stations valid on a day; of several rows of one the last to start counts."""
    start, end = validity(stations)
    number = day_number(day)
    rows = np.flatnonzero((start <= number) & (number < end))
    names = stations["station_id"].to_pylist()
    row_of = {names[row]: row for row in rows[np.argsort(start[rows], kind="stable")].tolist()}
    ordered = sorted(row_of)
    chosen = np.array([row_of[name] for name in ordered], dtype=np.int64)
    latitude, longitude = (stations[name].to_numpy()[chosen] for name in ("latitude", "longitude"))
    return StationPlaces(ordered, latitude.astype(np.float64), longitude.astype(np.float64))


def nearest_stations(
    places: Places,
    stations: StationPlaces,
    temperature: Float64Array,
    month: Int64Array,
    rules: WeatherRules,
    default_station: str = "",
) -> tuple[Int64Array, Float64Array]:
    """Return the row of each point's station, -1 without one, and the distance, km.

    The nearest of the stations whose weather suffices for a baseline; where none suffices, the nearest of all, so that
    the refusal names the weather. A point without a place has the default station at no distance (NaN), or none.

    Parameters
    ----------
    temperature : float64 array, shape (S, D)
        Of the baseline.
    month : int64 array, shape (D,)
    """
    count = len(places.channels)
    default = stations.names.index(default_station) if default_station else -1
    station, distance = np.full(count, default), np.full(count, np.nan)
    usable = _has_enough_weather(temperature, month, rules)
    chosen = np.flatnonzero(usable) if usable.any() else np.arange(len(stations.names))
    located = np.flatnonzero(np.isfinite(places.latitude) & np.isfinite(places.longitude))
    if not len(chosen):
        return station, distance
    for first in range(0, len(located), _BLOCK):
        rows = located[first : first + _BLOCK]
        km = distance_km(
            places.latitude[rows, None],
            places.longitude[rows, None],
            stations.latitude[chosen],
            stations.longitude[chosen],
        )
        nearest = km.argmin(axis=1)
        station[rows], distance[rows] = chosen[nearest], km[np.arange(len(rows)), nearest]
    return station, distance


def distance_km(
    latitude: Float64Array, longitude: Float64Array, other_latitude: Float64Array, other_longitude: Float64Array
) -> Float64Array:
    """Return distances on a sphere, km, from degrees (haversine formula)."""
    north, other_north = np.radians(latitude), np.radians(other_latitude)
    half_north, half_east = (other_north - north) / 2, np.radians(other_longitude - longitude) / 2
    chord = np.sin(half_north) ** 2 + np.cos(north) * np.cos(other_north) * np.sin(half_east) ** 2
    km: Float64Array = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return km


def _has_enough_weather(temperature: Float64Array, month: Int64Array, rules: WeatherRules) -> BoolArray:
    known = np.isfinite(temperature)
    enough: BoolArray = known.mean(axis=1) >= rules.min_valid_share
    for number in np.unique(month):
        enough &= known[:, month == number].mean(axis=1) >= rules.min_month_share
    return enough


def _degrees(values: list[float | None]) -> Float64Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
