"""What the fit needs, from the lake: the channels and their stations, daily energy, daily temperatures.

Belongs here: reading, and the digests of what was read. Does not belong here: what is computed from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from metrify_assets.analytics.weather.daily import daily_energy, daily_temperature
from metrify_assets.analytics.weather.fit import Baseline
from metrify_assets.analytics.weather.rules import WeatherRules
from metrify_assets.analytics.weather.sites import nearest_stations, places_of_points, places_of_stations
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import WeatherError
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_WEATHER
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS, WEATHER_STATIONS
from metrify_assets.storage.arrow import codes_of, decimal_integers
from metrify_assets.storage.lake import DayManifests
from metrify_assets.storage.parallel import map_in_order
from metrify_assets.vee.arrays import Float64Array, Int64Array
from metrify_assets.vee.codes import Status
from metrify_assets.vee.delivery_day import DeliveryDay, days_between
from metrify_assets.vee.units import MICRO_PER_KWH

MEASURED = (Status.MEASURED, Status.VALIDATED)
"""Statuses whose energy counts; the rest of a day is scaled from it, never taken from an estimate."""
_IMPORT = re.compile(r"1-\d+:1\.\d+\.0(?:[*&.]\d+)?", re.ASCII)
"""Imported active energy as a whole (IEC 62056-6-1: C = 1, E = 0)."""
READERS = 2
"""Days that are read side by side."""
MICROSECONDS_PER_HOUR = 3_600_000_000
_WEATHER_COLUMNS = ["station_id", "observed_at", "temperature_c"]
_COLUMNS = ["point_id", "obis_code", "interval_minutes", "status", "value_kwh"]


@dataclass(frozen=True)
class StationDays:
    """Temperatures of S stations on D days.

    Attributes
    ----------
    stations : list of str
    days : list of date
        All days with weather up to the last of the baseline, without gaps.
    temperature : float64 array, shape (S, D)
        degC; NaN where fewer hours than needed have one.
    hours : int64 array, shape (S, D)
        Hours with a temperature.
    month : int64 array, shape (D,)
        Twelve times the year, and the month from 0.
    """

    stations: list[str]
    days: list[date]
    temperature: Float64Array
    hours: Int64Array
    month: Int64Array


@dataclass(frozen=True)
class Inputs:
    """Everything that a result follows from.

    Attributes
    ----------
    channels : list of (point, OBIS code)
        Sorted; those that are registered on the last day.
    days : list of date
        Of the baseline.
    baseline : Baseline
        Its stations are those of ``weather``.
    weather : StationDays
    digests : dict of str to str
        What was read, by name.
    """

    channels: list[tuple[str, str]]
    days: list[date]
    baseline: Baseline
    weather: StationDays
    digests: dict[str, str]


def last_whole_month(platform: Platform) -> date:
    """Return the last day of the last month whose last day has clean readings.

    Raises
    ------
    WeatherError
        If there is none.
    """
    for day in sorted(platform.lake.days(CLEAN_READINGS.name), reverse=True):
        if day < platform.today and (day + timedelta(days=1)).day == 1:
            return day
    raise WeatherError("no month has ended with clean readings: compute its last day, or name the last day (through)")


def read_inputs(platform: Platform, through: date, rules: WeatherRules, default_station: str = "") -> Inputs:
    """Read a baseline that ends with a day.

    Parameters
    ----------
    default_station : str
        Station of points whose place is not registered; without one they are refused.

    Raises
    ------
    WeatherError
        If ``default_station`` is not registered.
    DamagedFileError
        If a day cannot be read.
    """
    days = days_between(through - timedelta(days=rules.baseline_days - 1), through)
    points, stations = (
        platform.lake.read(platform.lake.manifest(table.name, None), table.arrow)
        for table in (POINTS, WEATHER_STATIONS)
    )
    places = places_of_points(points.filter(pa.array(_is_import(points))), days)
    at_stations = places_of_stations(stations, through)
    if default_station and default_station not in at_stations.names:
        raise WeatherError(f"{default_station!r} is no station of the registry on {through}: name another, or none")
    readings, weather_days = platform.lake.days(CLEAN_READINGS.name), platform.lake.days(CLEAN_WEATHER.name)
    weather = _read_weather(platform, weather_days, at_stations.names, days, rules)
    station, distance = nearest_stations(
        places, at_stations, weather.temperature[:, -len(days) :], month_numbers(days), rules, default_station
    )
    energy = _read_energy(platform, readings, places.channels, days, rules)
    baseline = Baseline(
        energy,
        weather.temperature[:, -len(days) :],
        station,
        distance,
        month_numbers(days),
        places.begin,
        places.moved,
    )
    digests = {
        "points": _digest_of_table(platform, POINTS.name),
        "weather_stations": _digest_of_table(platform, WEATHER_STATIONS.name),
        "clean_readings": _digest_of_days(readings, days),
        "clean_weather": _digest_of_days(weather_days, weather.days),
        "rules": digest_of(repr(rules), default_station, through),
    }
    return Inputs(places.channels, days, baseline, weather, digests)


def month_numbers(days: list[date]) -> Int64Array:
    """Return twelve times the year, and the month from 0, of each day."""
    return np.array([12 * day.year + day.month - 1 for day in days], dtype=np.int64)


def _is_import(points: pa.Table) -> np.ndarray:
    texts, codes = codes_of(points["obis_code"])
    matches = np.array([_IMPORT.fullmatch(text) is not None for text in texts], dtype=bool)
    chosen: np.ndarray = matches[codes] if len(texts) else np.zeros(0, dtype=bool)
    return chosen


def _digest_of_table(platform: Platform, table: str) -> str:
    manifest = platform.lake.manifest(table, None)
    return manifest.digest if manifest is not None else EMPTY


def _digest_of_days(manifests: DayManifests, days: list[date]) -> str:
    return digest_of(*((day, manifests[day].digest) for day in days if day in manifests))


def _read_energy(
    platform: Platform, manifests: DayManifests, channels: list[tuple[str, str]], days: list[date], rules: WeatherRules
) -> Float64Array:
    """Return the energy of each channel and day, kWh; NaN where too little was measured. Reads shard by shard."""
    points: dict[str, int] = {}
    codes: dict[str, int] = {}
    for point, obis in channels:
        points.setdefault(point, len(points))
        codes.setdefault(obis, len(codes))
    # The row of each pair of point and code; the last of both is what nobody asks for.
    row_of = np.full((len(points) + 1, len(codes) + 1), -1)
    for row, (point, obis) in enumerate(channels):
        row_of[points[point], codes[obis]] = row
    energy = np.full((len(channels), len(days)), np.nan)

    def sums_of(day: date) -> Float64Array:
        manifest = manifests.of(day)
        sums = np.zeros((3, len(channels)))
        for shard in manifest.shards.values() if manifest is not None else ():
            if shard.file:
                rows = platform.lake.read_shard(shard, _COLUMNS)
                place = row_of[_numbers(rows["point_id"], points), _numbers(rows["obis_code"], codes)]
                sums += _sums(rows, place, len(channels))
        return sums

    for number, (micro, measured, whole) in enumerate(map_in_order(sums_of, days, READERS)):
        share = np.where(whole > 0, measured / np.maximum(whole, 1), 0.0)
        energy[:, number] = daily_energy(micro / MICRO_PER_KWH, share, rules)
    return energy


def _numbers(column: pa.ChunkedArray, number_of: dict[str, int]) -> Int64Array:
    """Return the number of each row's text; -1 where it has none."""
    texts, codes = codes_of(column)
    numbers: Int64Array = np.array([*(number_of.get(text, -1) for text in texts), -1], dtype=np.int64)[codes]
    return numbers


def _sums(rows: pa.Table, place: Int64Array, channels: int) -> Float64Array:
    """Return measured energy (micro-kWh), measured minutes and all minutes of each channel; shape (3, N)."""
    texts, codes = codes_of(rows["status"])
    is_measured = np.array([*(text in MEASURED for text in texts), False], dtype=bool)[codes]
    minutes = rows["interval_minutes"].to_numpy().astype(np.float64)
    energy = decimal_integers(rows["value_kwh"]) * is_measured
    # Rows of no channel are counted behind the last one.
    target = np.where(place >= 0, place, channels)
    parts = (energy, minutes * is_measured, minutes)
    return np.stack([np.bincount(target, weights=part, minlength=channels + 1)[:channels] for part in parts])


def _read_weather(
    platform: Platform, manifests: DayManifests, stations: list[str], baseline: list[date], rules: WeatherRules
) -> StationDays:
    """Return the temperatures of stations on all days with weather, and on those of the baseline."""
    first = min([day for day in manifests.every_day if day <= baseline[-1]] + baseline[:1])
    days = days_between(first, baseline[-1])
    number_of = {station: number for number, station in enumerate(stations)}
    mean, hours = np.full((len(stations), len(days)), np.nan), np.zeros((len(stations), len(days)))

    def means_of(day: date) -> tuple[Float64Array, Float64Array]:
        return _hourly_means(platform.lake.read(manifests.of(day), CLEAN_WEATHER.arrow, _WEATHER_COLUMNS), number_of)

    for number, (of_day, count) in enumerate(map_in_order(means_of, days, READERS)):
        mean[:, number], hours[:, number] = of_day, count
    hours_of_day = np.array([DeliveryDay(day, platform.settings.timezone).slots(60) for day in days])
    temperature = daily_temperature(mean, hours, hours_of_day, rules)
    return StationDays(stations, days, temperature, hours.astype(np.int64), month_numbers(days))


def _hourly_means(rows: pa.Table, number_of: dict[str, int]) -> tuple[Float64Array, Float64Array]:
    """Return the mean over the hours of a day, and their number, of each station: an hour counts once."""
    stations = len(number_of)
    station = _numbers(rows["station_id"], number_of)
    celsius = rows["temperature_c"].to_numpy()
    counted = (station >= 0) & np.isfinite(celsius)
    hour = rows["observed_at"].cast(pa.int64()).to_numpy() // MICROSECONDS_PER_HOUR
    hours, place = np.unique(hour, return_inverse=True)
    cell = (station * len(hours) + place)[counted]
    count = np.bincount(cell, minlength=stations * len(hours)).reshape(stations, len(hours))
    total = np.bincount(cell, celsius[counted], stations * len(hours)).reshape(stations, len(hours))
    by_hour = total / np.maximum(count, 1)
    covered = (count > 0).sum(axis=1).astype(np.float64)
    mean = np.where(covered > 0, by_hour.sum(axis=1) / np.maximum(covered, 1), np.nan)
    return mean, covered
