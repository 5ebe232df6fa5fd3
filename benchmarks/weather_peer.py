"""Weather dependence the plain way: a loop over points and candidates, one least-squares solution each.

Belongs here: a second, slow and obvious working-out, written from CalTRACK's definitions and never from the fit's code.
Peer of the benchmark ``weather_dependence``, and what its tests compare with. Does not belong here: sufficiency.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, nan, sqrt

import numpy as np

from metrify_assets.analytics.weather.rules import WeatherRules


@dataclass(frozen=True)
class SlowFit:
    """One candidate: which terms, coefficients (base load first), balance points, residuals of the days used."""

    terms: str
    coefficients: tuple[float, ...]
    balance: tuple[float, ...]
    residuals: np.ndarray

    @property
    def squares(self) -> float:
        """Sum of the squares of the residuals."""
        return float(self.residuals @ self.residuals)


def slow_fit(energy: np.ndarray, temperature: np.ndarray, rules: WeatherRules) -> tuple[SlowFit, list[SlowFit]]:
    """Return the chosen model of one point with enough days, and the best candidate of each model.

    Parameters
    ----------
    energy, temperature : float64 arrays, shape (D,)
        NaN where missing.
    """
    used = np.isfinite(energy) & np.isfinite(temperature)
    y, t = energy[used], temperature[used]
    balance = rules.balance_points.tolist()
    best: dict[str, SlowFit] = {"base": SlowFit("base", (float(y.mean()),), (), y - y.mean())}
    designs = [("heating", (b,), [np.maximum(b - t, 0)]) for b in balance]
    designs += [("cooling", (b,), [np.maximum(t - b, 0)]) for b in balance]
    designs += [
        ("both", (low, high), [np.maximum(low - t, 0), np.maximum(t - high, 0)])
        for low in balance
        for high in balance
        if low <= high
    ]
    for terms, points, columns in designs:
        if any(np.count_nonzero(c) < rules.min_degree_day_count or c.sum() < rules.min_degree_day_sum for c in columns):
            continue
        x = np.stack([np.ones(len(y)), *columns], axis=1)
        coefficients, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
        if rank < x.shape[1] or coefficients[0] < 0 or (coefficients[1:] <= 0).any():
            continue
        fit = SlowFit(terms, tuple(coefficients.tolist()), points, y - x @ coefficients)
        if fit.squares < (best[terms].squares if terms in best else inf):
            best[terms] = fit
    candidates = list(best.values())
    independent = _independent(min(candidates, key=lambda fit: fit.squares), used)
    floor = 1e-9 * best["base"].squares + 1e-300
    return min(
        candidates,
        key=lambda fit: (
            independent * log(max(fit.squares, floor)) + (len(fit.coefficients) + len(fit.balance)) * log(independent)
        ),
    ), candidates


def _independent(fit: SlowFit, used: np.ndarray) -> float:
    """Return the number of independent days, from residuals of days that follow each other."""
    by_day = dict(zip(np.flatnonzero(used).tolist(), fit.residuals.tolist(), strict=True))
    pairs = [(by_day[day - 1], value) for day, value in by_day.items() if day - 1 in by_day]
    variance = sum(value * value for value in by_day.values()) / len(by_day)
    if variance == 0:
        return float(len(by_day))
    likeness = sum(a * b for a, b in pairs) / max(len(pairs), 1) / variance
    likeness = min(max(likeness, 0.0), 1.0)
    return max(len(by_day) * (1 - likeness) / (1 + likeness), 2.0)


def by_adjusted_r_squared(candidates: list[SlowFit]) -> SlowFit:
    """Return the candidate that CalTRACK chooses: the highest adjusted R^2, which is 0 for a base load."""
    base = next(fit for fit in candidates if fit.terms == "base")

    def adjusted(fit: SlowFit) -> float:
        days, slopes = len(fit.residuals), len(fit.coefficients) - 1
        return 1 - fit.squares / base.squares * (days - 1) / (days - slopes - 1) if base.squares else 0.0

    return max(candidates, key=adjusted)


def quality(fit: SlowFit, energy: np.ndarray, temperature: np.ndarray) -> tuple[float, float]:
    """Return R^2 and CV(RMSE) of a fit."""
    y = energy[np.isfinite(energy) & np.isfinite(temperature)]
    total = float(((y - y.mean()) ** 2).sum())
    r_squared = 1 - fit.squares / total if total else nan
    return r_squared, sqrt(fit.squares / (len(y) - len(fit.coefficients))) / float(y.mean())
