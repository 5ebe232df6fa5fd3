"""Both sides of the benchmark ``weather_dependence``, each for a process of its own.

Belongs here: the made-up points, our side, the plain loop on some of them. Does not belong here: which figures are
taken (``weather_dependence.py``), the loop itself (``weather_peer.py``).

A quarter of the points depends on no weather, a quarter heats, a quarter cools, a quarter does both. Noise resembles
the day before; 2 % of the days are missing; one point in fifty has too short a history.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.weather_peer import SlowFit, by_adjusted_r_squared, slow_fit
from metrify_assets.analytics.weather.adjust import (
    adjusted_use,
    expected_day_of_months,
    month_degree_days,
    month_use,
    ordinary_year,
)
from metrify_assets.analytics.weather.fit import Baseline, Fits, fit_points
from metrify_assets.analytics.weather.rules import DEFAULT_RULES, Model

DAYS = 365
NORMAL_YEARS = 10
STATIONS = 20
LIKENESS = 0.4
"""Autocorrelation of the noise from one day to the next."""
TERMS = {Model.BASE_LOAD: "base", Model.HEATING: "heating", Model.COOLING: "cooling", Model.BOTH: "both"}


@dataclass(frozen=True)
class Sample:
    """Made-up points with the model that they follow, and the temperatures of years before."""

    baseline: Baseline
    truth: np.ndarray
    heating: np.ndarray
    past: np.ndarray
    past_month: np.ndarray


def sample(points: int, seed: int = 11) -> Sample:
    """Return points; the same for the same arguments."""
    random = np.random.default_rng(seed)
    years = NORMAL_YEARS + 1
    season = -10 * np.cos(2 * np.pi * (np.arange(years * DAYS) - 15) / DAYS)
    weather = np.zeros((STATIONS, years * DAYS))
    steps = random.normal(0, 2.2, weather.shape)
    for day in range(1, years * DAYS):
        weather[:, day] = 0.75 * weather[:, day - 1] + steps[:, day]
    temperature = random.uniform(9, 14, (STATIONS, 1)) + season + weather
    month = np.tile(np.repeat(np.arange(12), [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]), years)
    month = month + 12 * np.repeat(np.arange(years), DAYS)
    now = slice(-DAYS, None)
    station = random.integers(0, STATIONS, points)
    truth = np.arange(points) % 4 + Model.BASE_LOAD
    heats, cools = np.isin(truth, (Model.HEATING, Model.BOTH)), np.isin(truth, (Model.COOLING, Model.BOTH))
    heating = np.where(heats, random.uniform(0.2, 2, points), 0.0)
    cooling = np.where(cools, random.uniform(0.5, 2, points), 0.0)
    low, high = random.uniform(10, 16, points), random.uniform(17, 21, points)
    base = random.uniform(4, 20, points)
    energy = np.empty((points, DAYS))
    noise = np.zeros(points)
    for day in range(DAYS):
        noise = LIKENESS * noise + random.normal(0, 1, points)
        now_c = temperature[station, day - DAYS]
        energy[:, day] = base + heating * np.maximum(low - now_c, 0) + cooling * np.maximum(now_c - high, 0) + noise
    np.maximum(energy, 0, out=energy)
    energy[random.random(energy.shape) < 0.02] = np.nan
    begin = np.where(np.arange(points) % 50 == 49, 60, 0)
    baseline = Baseline(
        energy, temperature[:, now], station, np.full(points, 20.0), month[now], begin, np.zeros(points, bool)
    )
    return Sample(baseline, truth, heating, temperature[:, :-DAYS], month[:-DAYS])


def ours(points: int, compared: list[int]) -> dict[str, object]:
    """Return the seconds of fit and adjustment, what was judged rightly, and the models of the points to compare."""
    made = sample(points)
    started = time.perf_counter()
    fits = fit_points(made.baseline)
    fitted = time.perf_counter()
    adjusted = _adjusted_months(made, fits)
    ended = time.perf_counter()
    judged = fits.model != Model.REFUSED
    heats = judged & np.isin(made.truth, (Model.HEATING, Model.BOTH)) & np.isfinite(fits.heating_kwh)
    return {
        "fit_seconds": fitted - started,
        "adjust_seconds": ended - fitted,
        "judged": int(judged.sum()),
        "months": int(np.isfinite(adjusted).sum()),
        "right_model": float((fits.model == made.truth)[judged].mean()),
        "false_dependence": float((fits.model != Model.BASE_LOAD)[judged & (made.truth == Model.BASE_LOAD)].mean()),
        "slope_error": float(np.median(np.abs(fits.heating_kwh / made.heating - 1)[heats])),
        "models": [TERMS.get(Model(int(fits.model[row])), "refused") for row in compared],
        "bases": [float(fits.base_kwh[row]) for row in compared],
    }


def _adjusted_months(made: Sample, fits: Fits) -> np.ndarray:
    """Return the monthly use of all points in an ordinary year's weather."""
    station = made.baseline.station
    past = month_degree_days(made.past, made.past_month)
    ordinary = ordinary_year(past, np.unique(made.past_month))
    now = month_degree_days(made.baseline.temperature, made.baseline.month)
    used = month_use(made.baseline.energy, made.baseline.month)
    expected, reference = (expected_day_of_months(fits, station, degrees) for degrees in (now, ordinary))
    return adjusted_use(used, expected, reference)


def peer(points: int, compared: list[int]) -> dict[str, object]:
    """Return the seconds of the plain loop on some points, its models, and those of the adjusted R^2."""
    made = sample(points).baseline
    started = time.perf_counter()
    fits: list[tuple[SlowFit, list[SlowFit]]] = [
        slow_fit(made.energy[row], made.temperature[made.station[row]], DEFAULT_RULES) for row in compared
    ]
    return {
        "seconds": time.perf_counter() - started,
        "models": [chosen.terms for chosen, _ in fits],
        "bases": [chosen.coefficients[0] for chosen, _ in fits],
        "by_adjusted_r_squared": [by_adjusted_r_squared(candidates).terms for _, candidates in fits],
    }
