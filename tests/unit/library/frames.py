"""Tables as analysts have them, and a small installation with the same values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd

from metrify_assets.vee.delivery_day import DeliveryDay

ZONE = "Europe/Berlin"
FIRST = date(2026, 1, 5)


def household(days: int = 42, *, first: date = FIRST, minutes: int = 15, zone: str = ZONE) -> pd.DataFrame:
    """Return the slots of a household: an evening, a weekend, and something of its own in every slot."""
    start = pd.Timestamp(first, tz=zone)
    times = pd.date_range(start, start + pd.DateOffset(days=days), freq=f"{minutes}min", inclusive="left")
    random = np.random.default_rng(0)
    hour = times.hour + times.minute / 60
    shape = 0.03 + 0.15 * np.exp(-(((hour - 19) / 2.5) ** 2)) + 0.06 * np.exp(-(((hour - 8) / 1.5) ** 2))
    shape = shape * np.where(times.day_of_week >= 5, 1.3, 1.0)
    kwh = (shape + random.gamma(2, 0.01, len(times))) * minutes / 15
    return pd.DataFrame({"time": times, "kwh": np.round(kwh, 3)})


def slots(days: Iterable[date], minutes: int = 60) -> list[int]:
    """Return the starts of all slots of some days, UTC microseconds."""
    return [start for day in days for start in DeliveryDay(day).slot_starts(minutes).tolist()]
