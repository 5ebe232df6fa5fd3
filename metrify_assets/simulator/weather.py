"""Simulated weather: temperature, cloud, wind and radiation at the stations, as a pure function of seed and time.

Belongs here: the weather itself, hourly and at the slots of a delivery day. Does not belong here: the file that
delivers it (``status_files.py``).

Sines and powers are evaluated for small tables only and then rounded to what a station reports, so that differences in
the last bit between maths libraries do not reach the data.

References
----------
B. Haurwitz (1945), "Insolation in relation to cloudiness and cloud density", J. Meteorology 2: clear-sky radiation.
F. Kasten, G. Czeplak (1980), "Solar and terrestrial radiation dependent on the amount and type of cloud", Solar
Energy 24: reduction by cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metrify_assets.simulator.draws import Stream, uniform
from metrify_assets.simulator.places import STATIONS
from metrify_assets.simulator.plan import INTERVAL_MINUTES
from metrify_assets.vee.arrays import Float64Array, Int64Array
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay

_HOUR = 60 * MICROSECONDS_PER_MINUTE
_LATITUDE = np.array([station.latitude for station in STATIONS])[:, None]
_LONGITUDE = np.array([station.longitude for station in STATIONS])[:, None]
_ALTITUDE = np.array([station.altitude_m for station in STATIONS])[:, None]
_SMOOTHING = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
"""Weights of five days: weather lasts for some days."""


@dataclass(frozen=True)
class Weather:
    """Weather at instants, all arrays of shape (stations, instants), rounded as stations report it.

    Attributes
    ----------
    instants : int64, UTC microseconds, shape (instants,)
    temperature_c, humidity_pct, wind_speed_ms, global_radiation_wm2, cloud_cover_pct : float64
    """

    instants: Int64Array
    temperature_c: Float64Array
    humidity_pct: Float64Array
    wind_speed_ms: Float64Array
    global_radiation_wm2: Float64Array
    cloud_cover_pct: Float64Array


def sine_of_elevation(instants: Int64Array) -> Float64Array:
    """Return the sine of the sun's elevation at every station, shape (stations, instants).

    From the declination and the equation of time to about half a degree, enough for a load shape.
    """
    days = instants / (24 * _HOUR)
    year_angle = 2 * np.pi * ((days - 20_454.0) % 365.2425) / 365.2425  # 20,454 days: 2026-01-01
    declination = np.radians(-23.44) * np.cos(year_angle + 2 * np.pi * 10 / 365.2425)
    equation_of_time_h = (9.87 * np.sin(2 * year_angle - 2.80) - 7.53 * np.cos(year_angle - 1.40)) / 60
    solar_time_h = (days % 1) * 24 + _LONGITUDE / 15 + equation_of_time_h
    hour_angle = np.radians(15 * (solar_time_h - 12))
    latitude = np.radians(_LATITUDE)
    vertical, across = np.sin(latitude) * np.sin(declination), np.cos(latitude) * np.cos(declination)
    sine: Float64Array = vertical + across * np.cos(hour_angle)
    return sine


def global_radiation(sine: Float64Array, cloud: Float64Array) -> Float64Array:
    """Return global radiation in W/m2, rounded to 0.1; zero while the sun is down.

    Parameters
    ----------
    sine : array
        Sine of the sun's elevation.
    cloud : array of the same shape
        Cloud cover, 0-1.
    """
    up = np.maximum(sine, 1e-3)
    clear = 1_098.0 * up * np.exp(-0.059 / up)
    return np.where(sine > 0, np.round(clear * (1 - 0.75 * cloud**3.4), 1), 0.0)


@lru_cache(maxsize=512)
def _day_draws(seed: int, day_number: int) -> Float64Array:
    """Return a day's draws, shape (temperature, cloud, wind; stations), mostly shared by all stations."""
    shared = uniform((3, 1), seed, Stream.WEATHER_DAY, day_number, 0)
    own = uniform((3, len(STATIONS)), seed, Stream.WEATHER_DAY, day_number, 1)
    return 0.75 * shared + 0.25 * own - 0.5


def _days_mood(seed: int, day_number: int) -> Float64Array:
    """Return a day's smoothed departure from the season, about -0.3 to 0.3, same shape as the draws."""
    days = (weight * _day_draws(seed, day_number + k - 2) for k, weight in enumerate(_SMOOTHING))
    return sum(days, start=np.zeros((3, len(STATIONS))))


@lru_cache(maxsize=512)
def _utc_day(seed: int, day_number: int) -> Weather:
    """Return the 24 hours of one UTC day (days since 1970)."""
    instants = (day_number * 24 + np.arange(24, dtype=np.int64)) * _HOUR
    noise = uniform((2, len(STATIONS), 24), seed, Stream.WEATHER_HOUR, day_number) - 0.5
    # The mood holds at noon; in between it drifts in a straight line.
    before, today, after = (_days_mood(seed, day_number + k)[:, :, None] for k in (-1, 0, 1))
    share = (np.arange(24) - 12) / 24
    mood = today + np.where(share < 0, (today - before) * share, (after - today) * share)
    cloud = np.round(np.clip(0.68 + 2.6 * mood[1] + 0.3 * noise[0], 0.0, 1.0), 2)
    wind = np.round(np.maximum(4.2 + 12.0 * mood[2] + 2.0 * noise[1], 0.3), 1)
    days = instants / (24 * _HOUR)
    season = 9.8 - 9.3 * np.cos(2 * np.pi * (days - 20_454.0 - 18.0) / 365.2425)
    swing = (1.5 + 4.5 * (1 - cloud)) * np.cos(2 * np.pi * (np.arange(24) + _LONGITUDE / 15 - 15.0) / 24)
    height = -0.0055 * (_ALTITUDE - 50.0) - 0.25 * (_LATITUDE - 51.0)
    temperature = np.round(season + 24.0 * mood[0] + swing + height, 1)
    humidity = np.clip(np.round(78.0 + 25.0 * (cloud - 0.6) - 2.5 * swing), 20.0, 100.0)
    radiation = global_radiation(sine_of_elevation(instants), cloud)
    return Weather(instants, temperature, humidity, wind, radiation, np.round(100 * cloud))


def hourly_weather(seed: int, start: int, end: int) -> Weather:
    """Return the hours with ``start <= instant < end`` (UTC microseconds)."""
    day = 24 * _HOUR
    days = [_utc_day(seed, number) for number in range(start // day, (end - 1) // day + 1)]
    instants = np.concatenate([weather.instants for weather in days])
    inside = (instants >= start) & (instants < end)

    def joined(name: str) -> Float64Array:
        return np.concatenate([getattr(weather, name) for weather in days], axis=1)[:, inside]

    names = ("temperature_c", "humidity_pct", "wind_speed_ms", "global_radiation_wm2", "cloud_cover_pct")
    return Weather(instants[inside], *(joined(name) for name in names))


@lru_cache(maxsize=64)
def slot_weather(seed: int, day: DeliveryDay) -> Weather:
    """Return the weather in the middle of every slot of a delivery day: between the hours, radiation from the sun."""
    middles = day.slot_starts(INTERVAL_MINUTES) + INTERVAL_MINUTES * MICROSECONDS_PER_MINUTE // 2
    hours = hourly_weather(seed, day.start, day.end + _HOUR)

    def between(values: Float64Array, decimals: int) -> Float64Array:
        return np.round(np.array([np.interp(middles, hours.instants, row) for row in values]), decimals)

    cloud = between(hours.cloud_cover_pct / 100, 4)
    return Weather(
        instants=middles,
        temperature_c=between(hours.temperature_c, 3),
        humidity_pct=between(hours.humidity_pct, 1),
        wind_speed_ms=between(hours.wind_speed_ms, 3),
        global_radiation_wm2=global_radiation(sine_of_elevation(middles), cloud),
        cloud_cover_pct=100 * cloud,
    )
