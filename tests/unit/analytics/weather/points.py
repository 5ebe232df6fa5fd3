"""Made-up points whose weather dependence is fixed beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from metrify_assets.analytics.weather.fit import Baseline

FIRST_DAY = date(2025, 1, 1)


def year_of_temperature(seed: int = 1, days: int = 365, mean: float = 11.0) -> np.ndarray:
    """Return daily means of a middle European year: a season, and weather that lasts some days."""
    random = np.random.default_rng(seed)
    weather = np.zeros(days)
    for day in range(1, days):
        weather[day] = 0.75 * weather[day - 1] + random.normal(0, 2.2)
    return mean - 10 * np.cos(2 * np.pi * (np.arange(days) - 15) / 365) + weather


def use(temperature: np.ndarray, base: float, heating=(0.0, 15.0), cooling=(0.0, 22.0)) -> np.ndarray:
    """Return the use of each day of a point with slopes and balance points."""
    return (
        base
        + heating[0] * np.maximum(heating[1] - temperature, 0)
        + cooling[0] * np.maximum(temperature - cooling[1], 0)
    )


def months(first: date, days: int) -> np.ndarray:
    """Return the number of the month of each day."""
    each = [first + timedelta(day) for day in range(days)]
    return np.array([12 * day.year + day.month - 1 for day in each])


def baseline(energy: np.ndarray, temperature: np.ndarray, **changes) -> Baseline:
    """Return points of the first station that always were where they are, unless ``changes`` says otherwise."""
    energy, temperature = np.atleast_2d(energy).astype(float), np.atleast_2d(temperature).astype(float)
    points, days = energy.shape
    plain = Baseline(
        energy,
        temperature,
        np.zeros(points, np.int64),
        np.full(points, 10.0),
        months(FIRST_DAY, days),
        np.zeros(points, np.int64),
        np.zeros(points, bool),
    )
    return replace(plain, **changes)
