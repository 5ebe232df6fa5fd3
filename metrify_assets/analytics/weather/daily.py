"""Days as the fit needs them: energy from what was measured, temperature from its hours, degree days.

Belongs here: one number per day from its parts. Does not belong here: whether there are enough days
(``sufficiency.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.analytics.weather.rules import WeatherRules
from metrify_assets.vee.arrays import BoolArray, Float64Array

ROUNDING = 1e-6
"""Relative difference of equal days: slots are stored to the millionth of a kWh, and parts of days are scaled."""


def daily_energy(measured_kwh: Float64Array, measured_share: Float64Array, rules: WeatherRules) -> Float64Array:
    """Return the energy of each day, kWh: what was measured, scaled to the whole day.

    Parameters
    ----------
    measured_kwh : float64 array, shape (N, D)
        Sum of the measured slots; NaN where the day has none.
    measured_share : float64 array, shape (N, D)
        Share of the day's time that they cover, 0 to 1.

    Returns
    -------
    float64 array, shape (N, D)
        NaN where less than ``min_slot_share`` was measured.
    """
    enough = measured_share >= rules.min_slot_share
    return np.where(enough, measured_kwh / np.where(enough, measured_share, 1.0), np.nan)


def daily_temperature(
    mean_c: Float64Array, hours: Float64Array, hours_of_day: Float64Array, rules: WeatherRules
) -> Float64Array:
    """Return the mean temperature of each day, degC; NaN where fewer than ``min_hour_share`` of its hours have one.

    Parameters
    ----------
    mean_c : float64 array, shape (S, D)
        Mean of the hours that have a temperature.
    hours : array, shape (S, D)
        Number of these hours.
    hours_of_day : array, shape (D,)
        23, 24 or 25.
    """
    return np.where(hours >= rules.min_hour_share * hours_of_day, mean_c, np.nan)


def extreme_days(energy: Float64Array, valid: BoolArray, rules: WeatherRules) -> BoolArray:
    """Return the valid days whose energy lies above the point's median by more than ``extreme_iqr`` quartile ranges.

    Median and quartiles are those of the valid days, interpolated linearly; bool, shape (N, D).
    """
    ordered = np.sort(np.where(valid, energy, np.inf), axis=1)
    # A row without a valid day has a fence as well, which nothing is compared with.
    ordered[:, 0] = np.where(valid.any(axis=1), ordered[:, 0], 0.0)
    last = np.maximum(valid.sum(axis=1) - 1, 0)
    lower, median, upper = (_quantile(ordered, last, share) for share in (0.25, 0.5, 0.75))
    fence = median + rules.extreme_iqr * (upper - lower)
    extreme: BoolArray = valid & (energy > fence[:, None] * (1 + ROUNDING))
    return extreme


def _quantile(ordered: Float64Array, last: np.ndarray, share: float) -> Float64Array:
    """Return a quantile of the values up to the place ``last`` of each row."""
    place = last * share
    below = np.floor(place).astype(np.int64)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    quantile: Float64Array = low + (place - below) * (high - low)
    return quantile


def station_degree_days(temperature: Float64Array, rules: WeatherRules) -> tuple[Float64Array, Float64Array]:
    """Return heating and cooling degree days of stations, K d, by Eurostat's limits; NaN where the day has no mean."""
    cold, warm = temperature <= rules.heating_limit_c, temperature >= rules.cooling_limit_c
    heating = np.where(cold, rules.heating_base_c - temperature, 0.0)
    cooling = np.where(warm, temperature - rules.cooling_base_c, 0.0)
    missing = np.isnan(temperature)
    return np.where(missing, np.nan, heating), np.where(missing, np.nan, cooling)
