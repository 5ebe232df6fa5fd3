"""The daily files of grid status and weather.

Belongs here: what the control areas report, made from the simulated weather, and how both feeds are written down.
Does not belong here: the weather itself (``weather.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.simulator.draws import Stream, uniform
from metrify_assets.simulator.load import day_type, winter_share
from metrify_assets.simulator.places import STATIONS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.vendor_files import utc_times
from metrify_assets.simulator.weather import hourly_weather, slot_weather
from metrify_assets.vee.arrays import Float64Array
from metrify_assets.vee.delivery_day import DeliveryDay, day_number

GRID_FEED = "grid_status"
GRID_HEADER = "timestamp_utc,control_area,metric,value"
WEATHER_FEED = "weather_stations_hourly"
WEATHER_HEADER = "station_id,observed_at,temperature_c,humidity_pct,wind_speed_ms,global_radiation_wm2,cloud_cover_pct"

CAPACITIES_MW = {
    "50Hertz": (9_000.0, 20_000.0, 21_000.0),
    "Amprion": (19_000.0, 18_000.0, 13_000.0),
    "TenneT": (17_000.0, 30_000.0, 28_000.0),
    "TransnetBW": (6_500.0, 9_000.0, 2_000.0),
}
"""Control area to mean load, installed PV and installed wind onshore, MW."""

_LOAD_PERCENT = "82 79 77 77 79 85 97 108 113 115 116 117 115 113 111 109 109 113 116 115 108 102 96 88"
"""Of the mean load, at 0:00, 1:00 ... 23:00 local time."""
_DAY_TYPE_FACTOR = (1.0, 0.86, 0.78)
_RATED_WIND_MS = 10.0
"""Station wind speed at which turbines, which stand higher, reach their rated power."""


def grid_values(plan: SimulationPlan, day: DeliveryDay) -> dict[tuple[str, str], Float64Array]:
    """Return MW by (control area, metric), each of shape (slots,), rounded to 0.1."""
    weather = slot_weather(plan.seed, day)
    local_hours = day.local_minutes(INTERVAL_MINUTES) / 60
    percent = [float(value) for value in _LOAD_PERCENT.split()]
    shape = np.round(np.interp(local_hours, np.arange(25), [*percent, percent[0]]) / 100, 6)
    noise = uniform((len(CAPACITIES_MW), 3, len(local_hours)), plan.seed, Stream.GRID, day_number(day.day)) - 0.5
    values: dict[tuple[str, str], Float64Array] = {}
    for index, (area, (load, solar, wind)) in enumerate(CAPACITIES_MW.items()):
        stations = [number for number, station in enumerate(STATIONS) if station.control_area == area]
        radiation = sum(weather.global_radiation_wm2[number] for number in stations) / len(stations)
        speed = sum(weather.wind_speed_ms[number] for number in stations) / len(stations) / _RATED_WIND_MS
        season = _DAY_TYPE_FACTOR[day_type(day)] * (1 + 0.08 * winter_share(day))
        series = {
            "load_mw": load * shape * season * (1 + 0.02 * noise[index, 0]),
            "solar_mw": solar * radiation / 1_000 * 0.75 * (1 + 0.04 * noise[index, 1]),
            "wind_onshore_mw": wind * np.minimum(speed * speed * speed, 0.92) * (1 + 0.06 * noise[index, 2]),
        }
        values |= {(area, metric): np.round(series[metric], 1) for metric in series}
    return values


def grid_file(plan: SimulationPlan, day: DeliveryDay) -> bytes:
    """Return the grid status of a delivery day, ordered by time."""
    times = utc_times(day.slot_starts(INTERVAL_MINUTES))
    values = grid_values(plan, day)
    lines = [
        f"{time},{area},{metric},{series[slot]:.1f}"
        for slot, time in enumerate(times)
        for (area, metric), series in values.items()
    ]
    return ("\n".join([GRID_HEADER, *lines]) + "\n").encode()


def weather_file(plan: SimulationPlan, day: DeliveryDay) -> bytes:
    """Return the hourly observations of a delivery day (23, 24 or 25 hours), ordered by station and time."""
    weather = hourly_weather(plan.seed, day.start, day.end)
    times = utc_times(weather.instants)
    lines = [
        f"{station.station_id},{time},{weather.temperature_c[row, hour]:.1f},{weather.humidity_pct[row, hour]:.0f},"
        f"{weather.wind_speed_ms[row, hour]:.1f},{weather.global_radiation_wm2[row, hour]:.1f},"
        f"{weather.cloud_cover_pct[row, hour]:.0f}"
        for row, station in enumerate(STATIONS)
        for hour, time in enumerate(times)
    ]
    return ("\n".join([WEATHER_HEADER, *lines]) + "\n").encode()
