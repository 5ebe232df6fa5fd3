"""Whether a point has enough days to be judged, and if not, which rule refuses it, with its numbers.

Belongs here: the rules of sufficiency over whole blocks of points. Does not belong here: their limits (``rules.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.weather.rules import Refusal, WeatherRules
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

NO_MONTH = -1


@dataclass(frozen=True)
class Verdicts:
    """The refusal of each point; all arrays have shape (N,).

    Attributes
    ----------
    refusal : int64 array
        ``Refusal``; 0 if the point is judged.
    value, limit : float64 array
        The number that was looked at, and what it had to be; NaN if the point is judged.
    month : int64 array
        The month in question, as in ``month`` of the input; -1 where the rule has none.
    """

    refusal: Int64Array
    value: Float64Array
    limit: Float64Array
    month: Int64Array

    @classmethod
    def none(cls, points: int) -> Verdicts:
        """Return the verdicts of points that nothing refuses yet."""
        nothing = np.full(points, np.nan)
        return cls(np.zeros(points, np.int64), nothing, nothing.copy(), np.full(points, NO_MONTH))

    def take(self, rows: Int64Array) -> Verdicts:
        """Return the verdicts of some points, a copy."""
        return Verdicts(self.refusal[rows], self.value[rows], self.limit[rows], self.month[rows])

    def put(self, rows: Int64Array, verdicts: Verdicts) -> None:
        """Replace the verdicts of some points."""
        for name in ("refusal", "value", "limit", "month"):
            getattr(self, name)[rows] = getattr(verdicts, name)

    def refuse(self, rows: BoolArray, refusal: Refusal, value: Float64Array, limit: float, month: Int64Array) -> None:
        """Note a refusal of those rows that no rule before refused."""
        new = rows & (self.refusal == Refusal.NONE)
        self.refusal[new] = refusal
        self.value[new] = value[new]
        self.limit[new] = limit
        self.month[new] = month[new]


def judge_stations(station: Int64Array, distance_km: Float64Array, rules: WeatherRules) -> Verdicts:
    """Refuse points whose station is absent (-1) or too far away; a NaN distance says that no place is registered."""
    verdicts = Verdicts.none(len(station))
    no_month = np.full(len(station), NO_MONTH)
    far = (station < 0) | (distance_km > rules.max_station_km)
    verdicts.refuse(far, Refusal.NO_STATION, distance_km, rules.max_station_km, no_month)
    return verdicts


def judge_days(
    verdicts: Verdicts,
    valid: BoolArray,
    temperature: Float64Array,
    month: Int64Array,
    begin: Int64Array,
    moved: BoolArray,
    rules: WeatherRules,
) -> None:
    """Apply the rules that count days to points that share a station.

    Parameters
    ----------
    verdicts : Verdicts
        Of these points; completed in place.
    valid : bool array, shape (N, D)
        Days with use and temperature, from ``begin`` on.
    temperature : float64 array, shape (D,)
        Of the station; NaN where missing.
    month : int64 array, shape (D,)
        Number of the month of each day, never descending.
    begin : int64 array, shape (N,)
        First day of the window on which the point is where it is now.
    moved : bool array, shape (N,)
        Whether it was elsewhere before.
    """
    points, days = valid.shape
    no_month = np.full(points, NO_MONTH)
    length = days - begin
    short = length < rules.min_baseline_days
    for rows, refusal in ((short & moved, Refusal.POINT_MOVED), (short, Refusal.SHORT_HISTORY)):
        verdicts.refuse(rows, refusal, length.astype(np.float64), rules.min_baseline_days, no_month)
    share, worst = _worst_month(temperature, month, begin)
    poor = share < rules.min_month_share
    verdicts.refuse(poor, Refusal.MONTH_WITHOUT_WEATHER, share, rules.min_month_share, worst)
    valid_share = valid.sum(axis=1) / np.maximum(length, 1)
    few = valid_share < rules.min_valid_share
    verdicts.refuse(few, Refusal.TOO_FEW_DAYS, valid_share, rules.min_valid_share, no_month)


def _worst_month(temperature: Float64Array, month: Int64Array, begin: Int64Array) -> tuple[Float64Array, Int64Array]:
    """Return the least share of a month's days with a temperature, and that month, for each begin of a baseline."""
    months = np.unique(month)
    in_month = (month[:, None] == months).astype(np.float64)
    counted = np.arange(len(month)) >= begin[:, None]
    days = counted.astype(np.float64) @ in_month
    known = (counted & np.isfinite(temperature)).astype(np.float64) @ in_month
    share = np.where(days > 0, known / np.maximum(days, 1), np.inf)
    worst = share.argmin(axis=1)
    return share[np.arange(len(begin)), worst], months[worst]
