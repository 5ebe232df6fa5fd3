"""How good forecasts were: by lead, month and series.

Belongs here: the measures. Does not belong here: which forecasts are scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.analytics.forecast.intervals import HIGH, LOW
from metrify_assets.vee.arrays import BoolArray, Float64Array

TOO_GOOD = 0.01
"""WAPE of a day-ahead forecast of a control area below which a leak is likely; honest ones lie above."""


@dataclass(frozen=True)
class Score:
    """Measures of some forecasts; None where nothing can be compared.

    Attributes
    ----------
    count : int
        Values that were compared.
    wape : float or None
        Sum of the absolute errors / sum of the values.
    mase : float or None
        Sum of the absolute errors / that of the same local slot a week earlier, on the same slots.
    pinball : float or None
        Mean pinball loss of P10, P50 and P90 / mean value.
    coverage : float or None
        Share of the values from P10 to P90.
    """

    count: int
    wape: float | None
    mase: float | None
    pinball: float | None
    coverage: float | None


def score(
    values: Float64Array, p50: Float64Array, p10: Float64Array, p90: Float64Array, week_before: Float64Array
) -> Score:
    """Return the measures of forecasts, arrays of one shape; NaN where something is missing.

    References
    ----------
    MASE: Hyndman, Koehler: Another look at measures of forecast accuracy, Int. J. Forecasting 22 (2006) 679-688;
    here against the naive forecast of the same slots. Pinball: Koenker, Bassett, Econometrica 46 (1978) 33-50.
    """
    compared = np.isfinite(values) & np.isfinite(p50)
    errors = np.abs(values - p50)
    naive = compared & np.isfinite(week_before)
    ended = compared & np.isfinite(p10) & np.isfinite(p90)
    losses = (pinball(values, p10, LOW) + pinball(values, p50, 0.5) + pinball(values, p90, HIGH)) / 3
    return Score(
        int(compared.sum()),
        _ratio(errors, np.abs(values), compared),
        _ratio(errors, np.abs(values - week_before), naive),
        _ratio(losses, np.abs(values), ended),
        _ratio(((values >= p10) & (values <= p90)).astype(float), np.ones_like(values), ended),
    )


def pinball(values: Float64Array, quantile: Float64Array, level: float) -> Float64Array:
    """Return the pinball loss of a quantile of a level, same shape."""
    over = values - quantile
    loss: Float64Array = np.maximum(level * over, (level - 1.0) * over)
    return loss


def _ratio(above: Float64Array, below: Float64Array, where: BoolArray) -> float | None:
    total = float(below[where].sum())
    return float(above[where].sum()) / total if total > 0 else None
