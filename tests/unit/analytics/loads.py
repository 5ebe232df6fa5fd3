"""A small load with week, season, weather and holidays, for the tests of forecasts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from metrify_assets.analytics.forecast.day_calendar import DayCalendar
from metrify_assets.analytics.forecast.series import LoadSeries
from metrify_assets.reference.control_areas import AREAS, holiday_share
from metrify_assets.vee.delivery_day import DeliveryDay

ZONE = "Europe/Berlin"
AREA = "TransnetBW"


def instants(first: date, days: int, minutes: int = 60) -> np.ndarray:
    """Return the UTC starts of all intervals of some days."""
    return np.concatenate([DeliveryDay(first + timedelta(days=n), ZONE).slot_starts(minutes) for n in range(days)])


def load_values(first: date, days: int, minutes: int = 60, seed: int = 1) -> np.ndarray:
    """Return a load in MW of all intervals of some days."""
    random = np.random.default_rng(seed)
    parts, weather = [], 0.0
    for number in range(days):
        day = DeliveryDay(first + timedelta(days=number), ZONE)
        hour = day.local_minutes(minutes) / 60
        weather = 0.8 * weather + random.normal(0, 150)
        rest = day.day.weekday() >= 5 or holiday_share(AREA, day.day) > 0.5
        shape = 6_000 + 1_500 * np.sin(np.pi * (hour - 6) / 14) * (0.5 if rest else 1.0)
        season = 500 * np.cos(2 * np.pi * day.day.timetuple().tm_yday / 365)
        parts.append(shape + season + weather - 800 * rest + random.normal(0, 60, len(hour)))
    return np.concatenate(parts)


def load_series(first: date, days: int, minutes: int = 60) -> LoadSeries:
    """Return that load as a series."""
    return LoadSeries.of("load", instants(first, days, minutes), load_values(first, days, minutes), minutes=minutes)


def calendar_of(first: date, days: int, minutes: int = 60) -> DayCalendar:
    """Return the calendar of some days in Baden-Wuerttemberg."""
    area = AREAS[AREA]
    return DayCalendar.of(
        [first + timedelta(days=number) for number in range(days)],
        lambda day: holiday_share(AREA, day),
        latitude=area.latitude,
        longitude=area.longitude,
        minutes=minutes,
    )
