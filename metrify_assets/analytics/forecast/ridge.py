"""The model: one ridge regression per local slot, in which old days count less and less.

Belongs here: fitting, predicting, and the model as plain data. Does not belong here: what the features are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.digest import digest_of
from metrify_assets.vee.arrays import Float64Array

LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class RidgeParameters:
    """How a model is fitted.

    Attributes
    ----------
    penalty : float
        Of squared coefficients of features of spread 1, in units of the mean squared error. Chosen on 2018.
    half_life_days : float
        Age at which a day counts half.
    least_days : int
        Days below which nothing is fitted.
    """

    penalty: float = 0.15
    half_life_days: float = 400.0
    least_days: int = 40


@dataclass(frozen=True, eq=False)
class RidgeModel:
    """A fitted model.

    Attributes
    ----------
    names : tuple of str
        Features, in order.
    intercept : float array, shape (slots,)
    coefficients : float array, shape (slots, features)
        Of the features as they are, in units of the series per unit of the feature.
    first_day, last_day : str
        Training window, both included.
    days : int
        Days that the model was fitted to.
    """

    names: tuple[str, ...]
    intercept: Float64Array
    coefficients: Float64Array
    first_day: str
    last_day: str
    days: int

    def predict(self, features: Float64Array) -> Float64Array:
        """Return forecasts, shape (..., slots), of features of shape (..., slots, features); NaN where one is NaN."""
        forecast: Float64Array = self.intercept + (features * self.coefficients).sum(axis=-1)
        return forecast

    @property
    def digest(self) -> str:
        """Digest of everything that a forecast follows from."""
        return digest_of(self.names, self.intercept.tobytes(), self.coefficients.tobytes())


def fit(
    features: Float64Array,
    values: Float64Array,
    ages: Float64Array,
    parameters: RidgeParameters,
    names: tuple[str, ...],
    window: tuple[str, str],
) -> RidgeModel | None:
    """Return the model of some days, None if there are too few.

    Parameters
    ----------
    features : float array, shape (days, slots, features)
    values : float array, shape (days, slots)
        A slot of a day counts where its value and all of its features are there.
    ages : float array, shape (days,)
        Days before the day of fitting.
    parameters : RidgeParameters
    names : tuple of str
    window : (str, str)
        First and last day.

    Notes
    -----
    Minimises sum_d w_d (y_d - a - x_d b)^2 / sum_d w_d + penalty * sum_j (s_j b_j)^2 per slot, where s_j is the
    weighted spread of feature j and w_d = 2^(-age / half life).

    References
    ----------
    Hoerl, Kennard: Ridge Regression, Technometrics 12 (1970) 55-67.
    """
    counts = np.isfinite(values) & np.isfinite(features).all(axis=2)
    days = int(counts.any(axis=1).sum())
    if days < parameters.least_days or counts.sum(axis=0).min() < parameters.least_days:
        return None
    weight = np.where(counts, 0.5 ** (ages / parameters.half_life_days)[:, None], 0.0).T
    weight /= weight.sum(axis=1, keepdims=True)
    x = np.where(counts[..., None], features, 0.0).transpose(1, 0, 2)
    y = np.where(counts, values, 0.0).T
    centre = np.einsum("sd,sdf->sf", weight, x)
    mean = (weight * y).sum(axis=1)
    root = np.sqrt(weight)[..., None]
    scaled = (x - centre[:, None, :]) * root
    spread = np.sqrt((scaled**2).sum(axis=1))
    spread[spread < LEAST_SPREAD * np.maximum(np.abs(centre), 1.0)] = np.inf
    scaled /= spread[:, None, :]
    target = ((y - mean[:, None]) * root[..., 0])[..., None]
    gram = scaled.transpose(0, 2, 1) @ scaled
    moment = scaled.transpose(0, 2, 1) @ target
    solution = np.linalg.solve(gram + parameters.penalty * np.eye(features.shape[2]), moment)[..., 0]
    coefficients = solution / spread
    intercept = mean - (centre * coefficients).sum(axis=1)
    return RidgeModel(names, intercept, coefficients, *window, days)
