"""Candidate models of all points of a station: their normal equations, the best balance points, the choice.

Belongs here: sums, slopes and criteria over blocks of points. Does not belong here: who is judged (``fit.py``).

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

from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.analytics.weather.rules import PARAMETERS, Model, WeatherRules
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array

NEGLIGIBLE = 1e-9
"""Share of a sum of squares below which it is rounding."""


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


def moments_of(
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
            & (square > NEGLIGIBLE * squares)
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


def best_single(sums: Moments, side: Side, is_heating: bool) -> Candidate:
    """Return the best candidate with one kind of degree days."""
    slope = side.product / np.where(side.enough, side.square, 1.0)
    base = sums.mean - slope * side.mean
    allowed = side.enough & (slope > 0) & (base >= -NEGLIGIBLE * sums.mean)
    squares = np.where(allowed, sums.total - slope * side.product, np.inf)
    place = squares.argmin(axis=1)
    rows = np.arange(len(place))
    best, none, nowhere = slope[rows, place], np.zeros(len(place)), np.zeros(len(place), np.int64)
    if is_heating:
        return Candidate(squares[rows, place], best, none, place, nowhere)
    return Candidate(squares[rows, place], none, best, nowhere, place)


def best_double(sums: Moments) -> Candidate:
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
        allowed &= determinant > NEGLIGIBLE * h_square * c_square
        if not allowed.any():
            continue
        determinant = np.where(allowed, determinant, 1.0)
        h_slope = (h_product * c_square - c_product * mixed) / determinant
        c_slope = (c_product * h_square - h_product * mixed) / determinant
        base = sums.mean - h_slope * h_mean - c_slope * c_mean
        allowed &= (h_slope > 0) & (c_slope > 0) & (base >= -NEGLIGIBLE * sums.mean)
        squares = np.where(allowed, sums.total - h_slope * h_product - c_slope * c_product, np.inf)
        high = squares.argmin(axis=1)
        least = squares[rows, high]
        better = least < best.squares
        best.squares[better] = least[better]
        best.heating[better], best.cooling[better] = h_slope[rows, high][better], c_slope[rows, high][better]
        best.heating_place[better], best.cooling_place[better] = low, low + high[better]
    return best


def chosen_candidate(candidates: dict[Model, Candidate], number: Int64Array) -> Candidate:
    """Return of each point the candidate of the model with a number, counted from 0."""
    rows = np.arange(len(number))
    parts = [np.stack([getattr(one, field.name) for one in candidates.values()]) for field in fields(Candidate)]
    return Candidate(*(part[number, rows] for part in parts))


def residuals_of(
    chosen: Candidate, centred: Float64Array, mask: Float64Array, heating: Float64Array, cooling: Float64Array
) -> Float64Array:
    """Return use less model on valid days, 0 on others; shape (N, D)."""
    fitted = chosen.heating[:, None] * heating.T[chosen.heating_place]
    fitted += chosen.cooling[:, None] * cooling.T[chosen.cooling_place]
    residuals = (centred - fitted) * mask
    # Degree days are not about their mean; the base load takes up the difference.
    residuals -= residuals.sum(axis=1, keepdims=True) / mask.sum(axis=1, keepdims=True) * mask
    return residuals


def independent_days(residuals: Float64Array, mask: Float64Array, days: Float64Array) -> Float64Array:
    """Return the number of independent days: fewer than the days where residuals resemble those of the day before."""
    pairs = (mask[:, 1:] * mask[:, :-1]).sum(axis=1)
    product = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1) / np.maximum(pairs, 1)
    variance = (residuals * residuals).sum(axis=1) / days
    likeness = np.where(variance > 0, product / np.where(variance > 0, variance, 1.0), 0.0)
    likeness = np.clip(likeness, 0.0, 1.0)
    # No fewer than two: one day alone decides nothing.
    independent: Float64Array = np.maximum(days * (1 - likeness) / (1 + likeness), 2.0)
    return independent


def choose_model(squares: Float64Array, total: Float64Array, independent: Float64Array) -> Int64Array:
    """Return the model with the least information criterion; of equal ones the simplest."""
    floor = np.maximum(NEGLIGIBLE * total, np.finfo(np.float64).tiny)
    count = np.array([PARAMETERS[model] for model in PARAMETERS], dtype=np.float64)[:, None]
    criterion = independent * np.log(np.maximum(squares, floor)) + count * np.log(independent)
    model: Int64Array = criterion.argmin(axis=0).astype(np.int64) + Model.BASE_LOAD
    return model
