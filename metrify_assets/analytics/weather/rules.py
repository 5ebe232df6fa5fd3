"""Every limit of weather dependence, once.

Belongs here: numbers that decide, each with its source. Does not belong here: what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import ceil

import numpy as np

from metrify_assets.vee.arrays import Float64Array


class Model(IntEnum):
    """What the daily use of a point depends on."""

    REFUSED = 0
    """Not judged: a rule of sufficiency refused the point."""
    BASE_LOAD = 1
    """No dependence on temperature: a result, not a failure."""
    HEATING = 2
    COOLING = 3
    BOTH = 4


COEFFICIENTS = {Model.BASE_LOAD: 1, Model.HEATING: 2, Model.COOLING: 2, Model.BOTH: 3}
"""Coefficients of each model's regression."""

PARAMETERS = {Model.BASE_LOAD: 1, Model.HEATING: 3, Model.COOLING: 3, Model.BOTH: 5}
"""What each model fits to the days: its coefficients and its balance points, which are searched for."""


class Refusal(IntEnum):
    """Why a point is not judged; the first that applies, in this order."""

    NONE = 0
    NO_STATION = 1
    """No weather station near enough. Numbers: distance and limit, km."""
    POINT_MOVED = 2
    """The point has been at its present place for too short a time. Numbers: days there, days needed."""
    SHORT_HISTORY = 3
    """The point was registered too late. Numbers: days since then, days needed."""
    MONTH_WITHOUT_WEATHER = 4
    """A month of the baseline lacks temperatures. Numbers: share of its days with one, share needed; the month."""
    TOO_FEW_DAYS = 5
    """Too few days have both use and temperature. Numbers: their share of the baseline, share needed."""


@dataclass(frozen=True)
class WeatherRules:
    """Limits of the baseline, the search and the reference.

    Attributes
    ----------
    baseline_days : int
        Longest baseline (CalTRACK 2.2.1.1).
    min_valid_share : float
        Least share of the baseline's days with use and temperature (CalTRACK 2.2.1.2). The shortest baseline is this
        share of the longest: 329 days.
    min_hour_share : float
        Least share of a day's hours with a temperature. CalTRACK 2.2.2.3 asks for 0.5, OpenDSM for 0.9.
    min_month_share : float
        Least share of a month's days with a temperature, in every month of the baseline (OpenDSM).
    min_slot_share : float
        Least share of a day's time that is measured; the sum is then scaled to the whole day (OpenDSM).
    extreme_iqr : float
        A day above the median by more than this many interquartile ranges is flagged (CalTRACK 2.3.6). It is kept.
    max_station_km : float
        Farthest weather station (CalTRACK 2.4.2).
    balance_first_c, balance_last_c, balance_step_k : float
        Balance points tried. CalTRACK 3.2.1: 30 to 90 degF (-1.1 to 32.2 degC), at most 3 degF (1.7 K) apart.
    min_degree_day_count : int
        Fewest days with degree days that a candidate needs (CalTRACK 3.2.2.2).
    min_degree_day_sum : float
        Smallest sum of degree days that a candidate needs, K d (CalTRACK 3.2.2.2: 20 degF d).
    heating_limit_c, heating_base_c, cooling_limit_c, cooling_base_c : float
        Degree days of a station are (18 - T) on days of at most 15 degC and (T - 21) on days of at least 24 degC
        (Eurostat, nrg_chdd). Points have balance points of their own.
    """

    baseline_days: int = 365
    min_valid_share: float = 0.9
    min_hour_share: float = 0.9
    min_month_share: float = 0.9
    min_slot_share: float = 0.5
    extreme_iqr: float = 3.0
    max_station_km: float = 200.0
    balance_first_c: float = -1.0
    balance_last_c: float = 32.0
    balance_step_k: float = 1.0
    min_degree_day_count: int = 10
    min_degree_day_sum: float = 20 * 5 / 9
    heating_limit_c: float = 15.0
    heating_base_c: float = 18.0
    cooling_limit_c: float = 24.0
    cooling_base_c: float = 21.0

    @property
    def min_baseline_days(self) -> int:
        """Days of the shortest baseline."""
        return ceil(self.min_valid_share * self.baseline_days)

    @property
    def balance_points(self) -> Float64Array:
        """Balance points tried, ascending, degC; shape (B,)."""
        steps = round((self.balance_last_c - self.balance_first_c) / self.balance_step_k)
        return self.balance_first_c + self.balance_step_k * np.arange(steps + 1, dtype=np.float64)


DEFAULT_RULES = WeatherRules()
