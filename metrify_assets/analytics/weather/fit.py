"""The fit of all points at once: who is judged, which model each gets, how good it is.

Belongs here: blocks of points, results. Does not belong here: candidates and their choice (``candidates.py``), reading
and writing, and what follows from a fit (``adjust.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.analytics.weather.candidates import (
    NEGLIGIBLE,
    Candidate,
    Moments,
    best_double,
    best_single,
    choose_model,
    chosen_candidate,
    independent_days,
    moments_of,
    residuals_of,
)
from metrify_assets.analytics.weather.daily import extreme_days
from metrify_assets.analytics.weather.rules import COEFFICIENTS, DEFAULT_RULES, Model, WeatherRules
from metrify_assets.analytics.weather.sufficiency import Verdicts, judge_days, judge_stations
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

BLOCK_POINTS = 2_048
"""Points that are worked on together: bounds the memory, and is no part of any result."""


@dataclass(frozen=True)
class Baseline:
    """What the points are judged on: D days up to the last of the baseline.

    Attributes
    ----------
    energy : float64 array, shape (N, D)
        Use of each day, kWh; NaN where missing (``daily.daily_energy``).
    temperature : float64 array, shape (S, D)
        Mean of each day at each station, degC; NaN where missing (``daily.daily_temperature``).
    station : int64 array, shape (N,)
        Row of the point's station in ``temperature``; -1 without one.
    distance_km : float64 array, shape (N,)
        To the station; NaN where the place is not registered.
    month : int64 array, shape (D,)
        Number of the month of each day, never descending.
    begin : int64 array, shape (N,)
        First day on which the point is registered where it is now; 0 if it always was.
    moved : bool array, shape (N,)
        Whether it was elsewhere before ``begin``.
    """

    energy: Float64Array
    temperature: Float64Array
    station: Int64Array
    distance_km: Float64Array
    month: Int64Array
    begin: Int64Array
    moved: BoolArray

    def __post_init__(self) -> None:
        """Raise ``ValueError`` if the shapes do not fit together."""
        points, days = self.energy.shape
        of_points = (self.station, self.distance_km, self.begin, self.moved)
        if any(array.shape != (points,) for array in of_points):
            raise ValueError(f"station, distance_km, begin and moved need one value for each of {points} points")
        if self.temperature.shape[1:] != (days,) or self.month.shape != (days,):
            raise ValueError(f"temperature and month need one value for each of {days} days")
        if points and int(self.station.max()) >= len(self.temperature):
            raise ValueError(f"station {int(self.station.max())} has no row among {len(self.temperature)} temperatures")


@dataclass(frozen=True)
class Fits:
    """The result of each point; all arrays have shape (N,).

    Attributes
    ----------
    model : int64 array
        ``Model``.
    base_kwh : float64 array
        Use of a day without degree days, kWh/d; NaN if refused, as are the numbers below.
    heating_kwh, cooling_kwh : float64 array
        Use per degree day, kWh/(K d); NaN where the model has none.
    heating_balance_c, cooling_balance_c : float64 array
        Balance points, degC; NaN where the model has none.
    r_squared : float64 array
        0 for a base load; NaN also if all days are equal.
    cv_rmse : float64 array
        Root of the residuals' mean square (days less coefficients) over the mean use; NaN also if that is zero.
    days, extreme : int64 array
        Valid days of the baseline; those of them that are flagged.
    verdicts : Verdicts
    """

    model: Int64Array
    base_kwh: Float64Array
    heating_kwh: Float64Array
    cooling_kwh: Float64Array
    heating_balance_c: Float64Array
    cooling_balance_c: Float64Array
    r_squared: Float64Array
    cv_rmse: Float64Array
    days: Int64Array
    extreme: Int64Array
    verdicts: Verdicts

    @classmethod
    def of_refused(cls, verdicts: Verdicts) -> Fits:
        """Return the fits of points of which none is judged yet."""
        points = len(verdicts.refusal)
        numbers = {field.name: np.full(points, np.nan) for field in fields(cls)}
        counts = {name: np.zeros(points, np.int64) for name in ("model", "days", "extreme")}
        return cls(**{**numbers, **counts, "verdicts": verdicts})  # type: ignore[arg-type]

    def take(self, rows: Int64Array) -> Fits:
        """Return the results of some points."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "verdicts"}
        return Fits(**{name: part[rows] for name, part in parts.items()}, verdicts=self.verdicts.take(rows))


def fit_points(baseline: Baseline, rules: WeatherRules = DEFAULT_RULES) -> Fits:
    """Return the weather dependence of every point, or the rule that refuses it."""
    fits = Fits.of_refused(judge_stations(baseline.station, baseline.distance_km, rules))
    for station, rows in _blocks(baseline.station):
        _fit_block(baseline, station, rows, fits, rules)
    return fits


def _blocks(station: Int64Array) -> Iterator[tuple[int, Int64Array]]:
    """Yield each station with some of its points at a time."""
    for number in np.unique(station[station >= 0]).tolist():
        rows = np.flatnonzero(station == number)
        for first in range(0, len(rows), BLOCK_POINTS):
            yield number, rows[first : first + BLOCK_POINTS]


def _fit_block(baseline: Baseline, station: int, rows: Int64Array, fits: Fits, rules: WeatherRules) -> None:
    """Judge and fit some points of one station; their results are written into ``fits``."""
    energy, temperature, begin = baseline.energy[rows], baseline.temperature[station], baseline.begin[rows]
    valid = np.isfinite(energy) & np.isfinite(temperature) & (np.arange(energy.shape[1]) >= begin[:, None])
    fits.days[rows] = valid.sum(axis=1)
    fits.extreme[rows] = extreme_days(energy, valid, rules).sum(axis=1)
    verdicts = fits.verdicts.take(rows)
    judge_days(verdicts, valid, temperature, baseline.month, begin, baseline.moved[rows], rules)
    fits.verdicts.put(rows, verdicts)
    judged = verdicts.refusal == 0
    if judged.any():
        _fit_judged(energy[judged], valid[judged], temperature, rows[judged], fits, rules)


def _fit_judged(
    energy: Float64Array, valid: BoolArray, temperature: Float64Array, rows: Int64Array, fits: Fits, rules: WeatherRules
) -> None:
    """Fit points with enough days and write what comes out."""
    balance = rules.balance_points
    known = np.where(np.isfinite(temperature), temperature, 0.0)[:, None]
    # Days without a temperature are valid for no point, so what is worked out for them counts nowhere.
    heating, cooling = np.maximum(balance - known, 0.0), np.maximum(known - balance, 0.0)
    mask = valid.astype(np.float64)
    days = mask.sum(axis=1)
    mean = np.where(valid, energy, 0.0).sum(axis=1) / days
    centred = np.where(valid, energy - mean[:, None], 0.0)
    sums = moments_of(centred, mean, mask, [heating, cooling], rules)
    total = sums.total[:, 0]
    base_only = Candidate(total, *np.zeros((2, len(rows))), *np.zeros((2, len(rows)), np.int64))
    candidates = {
        Model.BASE_LOAD: base_only,
        Model.HEATING: best_single(sums, sums.heating, is_heating=True),
        Model.COOLING: best_single(sums, sums.cooling, is_heating=False),
        Model.BOTH: best_double(sums),
    }
    squares = np.stack([candidate.squares for candidate in candidates.values()])
    richest = chosen_candidate(candidates, squares.argmin(axis=0))
    residuals = residuals_of(richest, centred, mask, heating, cooling)
    model = choose_model(squares, total, independent_days(residuals, mask, days))
    chosen = chosen_candidate(candidates, model - 1)
    residuals = residuals_of(chosen, centred, mask, heating, cooling)
    left = (residuals * residuals).sum(axis=1)
    _write(fits, rows, model, chosen, sums, left, balance)


def _write(
    fits: Fits,
    rows: Int64Array,
    model: Int64Array,
    chosen: Candidate,
    sums: Moments,
    left: Float64Array,
    balance: Float64Array,
) -> None:
    """Write the chosen models into the results of all points."""
    heats, cools = np.isin(model, (Model.HEATING, Model.BOTH)), np.isin(model, (Model.COOLING, Model.BOTH))
    each = np.arange(len(rows))
    mean, days, total = sums.mean[:, 0], sums.days[:, 0], sums.total[:, 0]
    base = mean - chosen.heating * sums.heating.mean[each, chosen.heating_place]
    base -= chosen.cooling * sums.cooling.mean[each, chosen.cooling_place]
    fits.model[rows] = model
    # A candidate below zero was refused; what is left below it is rounding.
    fits.base_kwh[rows] = np.maximum(base, 0.0)
    fits.heating_kwh[rows] = np.where(heats, chosen.heating, np.nan)
    fits.cooling_kwh[rows] = np.where(cools, chosen.cooling, np.nan)
    fits.heating_balance_c[rows] = np.where(heats, balance[chosen.heating_place], np.nan)
    fits.cooling_balance_c[rows] = np.where(cools, balance[chosen.cooling_place], np.nan)
    varies = total > NEGLIGIBLE * days * mean * mean
    fits.r_squared[rows] = np.where(varies, 1 - left / np.where(varies, total, 1.0), np.nan)
    coefficients = np.array([0, *COEFFICIENTS.values()])[model]
    used = mean > 0
    fits.cv_rmse[rows] = np.where(used, np.sqrt(left / (days - coefficients)) / np.where(used, mean, 1.0), np.nan)
