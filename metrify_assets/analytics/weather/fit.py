"""The fit of all points at once.

Belongs here: candidates, their normal equations, the choice of the model. Does not belong here: reading and writing,
and what follows from a fit (``adjust.py``).

Points that share a station share every design. The sums of the normal equations are therefore products of two matrices:
the mask of valid days, or the energies, of all points, times the degree days of all balance points. A heating balance
point is never above the cooling one (CalTRACK 3.2.2.1), so no day has degree days of both kinds and the mixed sum is
zero: the model with both needs no product of its own.

CalTRACK (3.4.3.3) chooses by the adjusted R^2. The best of many balance points often has a positive one by chance: of
made-up points that depend on no weather, 59 to 90 % got a slope. Here the least sum of squares chooses among the
balance points of one model, as the adjusted R^2 does; among models the Bayesian information criterion (as in OpenDSM).
Balance points count as parameters, because they are fitted. Days of a household resemble their neighbours; the number
of independent days is n (1 - r) / (1 + r), with r the autocorrelation of the residuals from one day to the next. Of the
same points 0.2 to 1.7 % get a slope; 0.1 to 34 % if all days count as independent.

References
----------
CalTRACK Methods 2.0, sections 2.2 and 3. G. Schwarz (1978), Estimating the dimension of a model. ASHRAE Guideline 14,
annex D: independent observations of an autocorrelated series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.analytics.weather.daily import extreme_days
from metrify_assets.analytics.weather.rules import COEFFICIENTS, DEFAULT_RULES, PARAMETERS, Model, WeatherRules
from metrify_assets.analytics.weather.sufficiency import Verdicts, judge_days, judge_stations
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

BLOCK_POINTS = 2_048
"""Points that are worked on together: bounds the memory, and is no part of any result."""
_NEGLIGIBLE = 1e-9
"""Share of a sum of squares below which it is rounding."""


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
    whole = fits.verdicts
    verdicts = Verdicts(whole.refusal[rows], whole.value[rows], whole.limit[rows], whole.month[rows])
    judge_days(verdicts, valid, temperature, baseline.month, begin, baseline.moved[rows], rules)
    for name in ("refusal", "value", "limit", "month"):
        getattr(whole, name)[rows] = getattr(verdicts, name)
    judged = verdicts.refusal == 0
    if judged.any():
        _fit_judged(energy[judged], valid[judged], temperature, rows[judged], fits, rules)


@dataclass(frozen=True)
class Moments:
    """Sums over the valid days of points that share a station.

    Attributes
    ----------
    days, mean, total : float64 array, shape (N, 1)
        Valid days, mean use, sum of squares about it.
    heating, cooling : Side
    """

    days: Float64Array
    mean: Float64Array
    total: Float64Array
    heating: Side
    cooling: Side


@dataclass(frozen=True)
class Side:
    """Sums of the heating or the cooling degree days of B balance points; float64 arrays, shape (N, B).

    Attributes
    ----------
    mean : degree days of a day
    square : sum of squares about the mean
    product : sum of products with the use, both about their means
    enough : bool, whether there are days and degree days enough to try the balance point
    """

    mean: Float64Array
    square: Float64Array
    product: Float64Array
    enough: BoolArray


def _moments(
    centred: Float64Array, mean: Float64Array, mask: Float64Array, sides: list[Float64Array], rules: WeatherRules
) -> Moments:
    """Return the sums of the normal equations: products of the points' rows with the station's degree days."""
    days = mask.sum(axis=1, keepdims=True)
    designs = np.concatenate([part for side in sides for part in (side, side * side, side > 0)], axis=1)
    sums = np.split(mask @ designs, 6, axis=1)
    products = np.split(centred @ np.concatenate(sides, axis=1), 2, axis=1)
    both = []
    for (total, squares, count), product in zip((sums[:3], sums[3:]), products, strict=True):
        square = squares - total * total / days
        enough = (
            (np.rint(count) >= rules.min_degree_day_count)
            & (total >= rules.min_degree_day_sum)
            & (square > _NEGLIGIBLE * squares)
        )
        both.append(Side(total / days, square, product, enough))
    return Moments(days, mean[:, None], (centred * centred).sum(axis=1, keepdims=True), *both)


@dataclass(frozen=True)
class Candidate:
    """The best balance points of one model for each point; arrays of shape (N,), ``squares`` infinite without any."""

    squares: Float64Array
    heating: Float64Array
    cooling: Float64Array
    heating_place: Int64Array
    cooling_place: Int64Array


def _single(sums: Moments, side: Side, is_heating: bool) -> Candidate:
    """Return the best candidate with one kind of degree days."""
    slope = side.product / np.where(side.enough, side.square, 1.0)
    base = sums.mean - slope * side.mean
    allowed = side.enough & (slope > 0) & (base >= -_NEGLIGIBLE * sums.mean)
    squares = np.where(allowed, sums.total - slope * side.product, np.inf)
    place = squares.argmin(axis=1)
    rows = np.arange(len(place))
    best, none, nowhere = slope[rows, place], np.zeros(len(place)), np.zeros(len(place), np.int64)
    if is_heating:
        return Candidate(squares[rows, place], best, none, place, nowhere)
    return Candidate(squares[rows, place], none, best, nowhere, place)


def _double(sums: Moments) -> Candidate:
    """Return the best candidate with both kinds: two equations per pair of balance points, solved in closed form."""
    heating, cooling = sums.heating, sums.cooling
    points, places = heating.mean.shape
    rows = np.arange(points)
    best = Candidate(np.full(points, np.inf), np.zeros(points), np.zeros(points), *np.zeros((2, points), np.int64))
    for low in range(places):
        h_mean, h_square, h_product = (part[:, low, None] for part in (heating.mean, heating.square, heating.product))
        # Cooling begins at the heating balance point or above it.
        c_mean, c_square, c_product = (part[:, low:] for part in (cooling.mean, cooling.square, cooling.product))
        mixed = -sums.days * h_mean * c_mean
        determinant = h_square * c_square - mixed * mixed
        allowed = heating.enough[:, low, None] & cooling.enough[:, low:]
        allowed &= determinant > _NEGLIGIBLE * h_square * c_square
        if not allowed.any():
            continue
        determinant = np.where(allowed, determinant, 1.0)
        h_slope = (h_product * c_square - c_product * mixed) / determinant
        c_slope = (c_product * h_square - h_product * mixed) / determinant
        base = sums.mean - h_slope * h_mean - c_slope * c_mean
        allowed &= (h_slope > 0) & (c_slope > 0) & (base >= -_NEGLIGIBLE * sums.mean)
        squares = np.where(allowed, sums.total - h_slope * h_product - c_slope * c_product, np.inf)
        high = squares.argmin(axis=1)
        least = squares[rows, high]
        better = least < best.squares
        best.squares[better] = least[better]
        best.heating[better], best.cooling[better] = h_slope[rows, high][better], c_slope[rows, high][better]
        best.heating_place[better], best.cooling_place[better] = low, low + high[better]
    return best


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
    sums = _moments(centred, mean, mask, [heating, cooling], rules)
    total = sums.total[:, 0]
    base_only = Candidate(total, *np.zeros((2, len(rows))), *np.zeros((2, len(rows)), np.int64))
    candidates = {
        Model.BASE_LOAD: base_only,
        Model.HEATING: _single(sums, sums.heating, is_heating=True),
        Model.COOLING: _single(sums, sums.cooling, is_heating=False),
        Model.BOTH: _double(sums),
    }
    squares = np.stack([candidate.squares for candidate in candidates.values()])
    richest = _chosen(candidates, squares.argmin(axis=0))
    residuals = _residuals(richest, centred, mask, heating, cooling)
    model = _choose_model(squares, total, _independent_days(residuals, mask, days))
    chosen = _chosen(candidates, model - 1)
    residuals = _residuals(chosen, centred, mask, heating, cooling)
    left = (residuals * residuals).sum(axis=1)
    _write(fits, rows, model, chosen, sums, left, balance)


def _chosen(candidates: dict[Model, Candidate], number: Int64Array) -> Candidate:
    """Return of each point the candidate of the model with a number, counted from 0."""
    rows = np.arange(len(number))
    parts = [np.stack([getattr(one, field.name) for one in candidates.values()]) for field in fields(Candidate)]
    return Candidate(*(part[number, rows] for part in parts))


def _residuals(
    chosen: Candidate, centred: Float64Array, mask: Float64Array, heating: Float64Array, cooling: Float64Array
) -> Float64Array:
    """Return use less model on valid days, 0 on others; shape (N, D)."""
    fitted = chosen.heating[:, None] * heating.T[chosen.heating_place]
    fitted += chosen.cooling[:, None] * cooling.T[chosen.cooling_place]
    residuals = (centred - fitted) * mask
    # Degree days are not about their mean; the base load takes up the difference.
    residuals -= residuals.sum(axis=1, keepdims=True) / mask.sum(axis=1, keepdims=True) * mask
    return residuals


def _independent_days(residuals: Float64Array, mask: Float64Array, days: Float64Array) -> Float64Array:
    """Return the number of independent days: fewer than the days where residuals resemble those of the day before."""
    pairs = (mask[:, 1:] * mask[:, :-1]).sum(axis=1)
    product = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1) / np.maximum(pairs, 1)
    variance = (residuals * residuals).sum(axis=1) / days
    likeness = np.where(variance > 0, product / np.where(variance > 0, variance, 1.0), 0.0)
    likeness = np.clip(likeness, 0.0, 1.0)
    # No fewer than two: one day alone decides nothing.
    independent: Float64Array = np.maximum(days * (1 - likeness) / (1 + likeness), 2.0)
    return independent


def _choose_model(squares: Float64Array, total: Float64Array, independent: Float64Array) -> Int64Array:
    """Return the model with the least information criterion; of equal ones the simplest."""
    floor = np.maximum(_NEGLIGIBLE * total, np.finfo(np.float64).tiny)
    count = np.array([PARAMETERS[model] for model in PARAMETERS], dtype=np.float64)[:, None]
    criterion = independent * np.log(np.maximum(squares, floor)) + count * np.log(independent)
    model: Int64Array = criterion.argmin(axis=0).astype(np.int64) + Model.BASE_LOAD
    return model


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
    varies = total > _NEGLIGIBLE * days * mean * mean
    fits.r_squared[rows] = np.where(varies, 1 - left / np.where(varies, total, 1.0), np.nan)
    coefficients = np.array([0, *COEFFICIENTS.values()])[model]
    used = mean > 0
    fits.cv_rmse[rows] = np.where(used, np.sqrt(left / (days - coefficients)) / np.where(used, mean, 1.0), np.nan)
