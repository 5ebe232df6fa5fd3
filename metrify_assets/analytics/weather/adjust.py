"""What follows from a fit: the use that a temperature makes expected, and the use in the weather of another time.

Belongs here: expected and adjusted use of days and months, degree days of an ordinary year. Does not belong here: the
fit (``fit.py``).

A model is linear in degree days. The mean of its expectations over several years is therefore its expectation for the
mean degree days. The mean temperature of several years would not do: it hides the cold and the warm days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.weather.fit import Fits
from metrify_assets.analytics.weather.rules import DEFAULT_RULES, WeatherRules
from metrify_assets.vee.arrays import Float64Array, Int64Array

MONTHS = 12


@dataclass(frozen=True)
class MeanDegreeDays:
    """Degree days of a mean day of some periods, at every balance point.

    Attributes
    ----------
    heating, cooling : float64 array, shape (S, M, B)
        K; NaN where a period has no weather.
    periods : int64 array, shape (S, M)
        How many months went into each: the years behind a calendar month.
    """

    heating: Float64Array
    cooling: Float64Array
    periods: Int64Array


def month_lengths(months: Int64Array) -> Int64Array:
    """Return the number of days of months, which are twelve times the year, and the month from 0."""
    first = (np.asarray(months) - 12 * 1970).astype("datetime64[M]")
    lengths: Int64Array = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return lengths


def month_degree_days(
    temperature: Float64Array, month: Int64Array, rules: WeatherRules = DEFAULT_RULES
) -> MeanDegreeDays:
    """Return the degree days of a mean day of each month.

    Parameters
    ----------
    temperature : float64 array, shape (S, D)
        Mean of each day, degC; NaN where missing.
    month : int64 array, shape (D,)
        Number of the month of each day: twelve times the year, and the month from 0; never descending.

    Returns
    -------
    MeanDegreeDays
        One period for each distinct month, ascending. A month in which less than ``min_month_share`` of all its days
        has a temperature has none.
    """
    months, starts = np.unique(month, return_index=True)
    known = np.isfinite(temperature)
    days = np.add.reduceat(known.astype(np.int64), starts, axis=1)
    enough = days >= rules.min_month_share * month_lengths(months)
    balance = rules.balance_points
    sides = np.full((2, len(temperature), len(months), len(balance)), np.nan)
    # Station by station: years of many stations at every balance point would not fit into the memory.
    for station, (celsius, measured, whole) in enumerate(zip(temperature, known, enough, strict=True)):
        above = np.where(measured, celsius, 0.0)[:, None] - balance
        for side, degrees in zip(sides, (-above, above), strict=True):
            sums = np.add.reduceat(np.where(measured[:, None], np.maximum(degrees, 0.0), 0.0), starts, axis=0)
            side[station, whole] = sums[whole] / days[station, whole, None]
    return MeanDegreeDays(sides[0], sides[1], enough.astype(np.int64))


def ordinary_year(degree_days: MeanDegreeDays, months: Int64Array) -> MeanDegreeDays:
    """Return the mean of each calendar month, January to December, over the years that have it.

    Parameters
    ----------
    degree_days : MeanDegreeDays
        Of M months.
    months : int64 array, shape (M,)
        Their numbers.
    """
    of_year = months % MONTHS
    stations, _, balances = degree_days.heating.shape
    sides = [np.full((stations, MONTHS, balances), np.nan) for _ in range(2)]
    years = np.zeros((stations, MONTHS), np.int64)
    for calendar_month in range(MONTHS):
        chosen = of_year == calendar_month
        years[:, calendar_month] = count = degree_days.periods[:, chosen].sum(axis=1)
        for mean, side in zip(sides, (degree_days.heating, degree_days.cooling), strict=True):
            total = np.nansum(side[:, chosen], axis=1)
            mean[:, calendar_month] = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan)
    return MeanDegreeDays(sides[0], sides[1], years)


def expected_day_of_months(
    fits: Fits, station: Int64Array, degree_days: MeanDegreeDays, rules: WeatherRules = DEFAULT_RULES
) -> Float64Array:
    """Return the use of a mean day of each period that the model expects, kWh; shape (N, M).

    NaN where the point is refused, and where the model depends on weather that the period does not have.
    """
    expected = np.repeat(fits.base_kwh[:, None], degree_days.heating.shape[1], axis=1)
    sides = (
        (fits.heating_kwh, fits.heating_balance_c, degree_days.heating),
        (fits.cooling_kwh, fits.cooling_balance_c, degree_days.cooling),
    )
    for slope, balance, degrees in sides:
        rows = np.flatnonzero(np.isfinite(slope))
        place = np.rint((balance[rows] - rules.balance_first_c) / rules.balance_step_k).astype(np.int64)
        expected[rows] += slope[rows, None] * degrees[station[rows], :, place]
    return expected


def expected_days(fits: Fits, station: Int64Array, temperature: Float64Array) -> Float64Array:
    """Return the use of each day that the model expects, kWh; shape (N, D).

    Parameters
    ----------
    station : int64 array, shape (N,)
        Row of each point's station; of no meaning where the point is refused.
    temperature : float64 array, shape (S, D)
        Of the days in question: those of the baseline, or of any other period.

    Returns
    -------
    float64 array
        NaN where the point is refused, or the model depends on a temperature that is missing.
    """
    expected = np.repeat(fits.base_kwh[:, None], temperature.shape[1], axis=1)
    for slope, balance, sign in (
        (fits.heating_kwh, fits.heating_balance_c, -1.0),
        (fits.cooling_kwh, fits.cooling_balance_c, 1.0),
    ):
        rows = np.flatnonzero(np.isfinite(slope))
        degrees = sign * (temperature[station[rows]] - balance[rows, None])
        expected[rows] += slope[rows, None] * np.maximum(degrees, 0.0)
    return expected


def adjusted_use(used: Float64Array, expected: Float64Array, reference: Float64Array) -> Float64Array:
    """Return what would have been used in other weather: the use, less what its weather made expected, plus reference.

    All three in kWh, of the same points and periods (days or months). A point without dependence keeps its use. NaN
    where one of them is missing.
    """
    return used - expected + reference


def month_use(energy: Float64Array, month: Int64Array, rules: WeatherRules = DEFAULT_RULES) -> Float64Array:
    """Return the mean use of a day in each month, kWh/d; NaN where less than ``min_valid_share`` of its days has one.

    Parameters
    ----------
    energy : float64 array, shape (N, D)
    month : int64 array, shape (D,)

    Returns
    -------
    float64 array, shape (N, M)
        One column for each distinct month, ascending.
    """
    months, place = np.unique(month, return_inverse=True)
    in_month = (place[:, None] == np.arange(len(months))).astype(np.float64)
    known = np.isfinite(energy)
    days = known.astype(np.float64) @ in_month
    enough = days >= rules.min_valid_share * month_lengths(months)
    total = np.where(known, energy, 0.0) @ in_month
    return np.where(enough, total / np.maximum(days, 1), np.nan)
