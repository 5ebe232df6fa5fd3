"""Correction of a model by the errors of its own latest forecasts.

Belongs here: which past errors count how much. Does not belong here: the model (``ridge.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Float64Array


@dataclass(frozen=True)
class CorrectionParameters:
    """How errors are carried on. Chosen on 2018.

    Attributes
    ----------
    memory_days : float
        Errors count e times less after so many days.
    share : float
        Share of the mean error of a slot that is added.
    morning_share : float
        Share of the mean error of this morning, beyond that mean, that is added to all slots.
    lookback_days : int
        Days that are looked at.
    """

    memory_days: float = 3.0
    share: float = 0.5
    morning_share: float = 0.15
    lookback_days: int = 28


def correction(
    errors: Float64Array, morning_errors: Float64Array, ordinary: BoolArray, parameters: CorrectionParameters
) -> Float64Array:
    """Return what is added to a raw forecast, shape (slots,); 0 where no error is there.

    Parameters
    ----------
    errors : float array, shape (days, slots)
        Actual less raw forecast of the days before the issue day, the latest last; NaN where one is missing.
    morning_errors : float array, shape (morning slots,)
        The same of the issue day up to the time of issue.
    ordinary : bool array, shape (days + 1,)
        Days that count, the issue day last: an error on a holiday says little about days that follow.
    parameters : CorrectionParameters
    """
    recent = errors[-parameters.lookback_days :]
    ages = np.arange(len(recent))[::-1]
    counts = np.isfinite(recent) & ordinary[len(errors) - len(recent) : len(errors), None]
    weight = np.where(counts, np.exp(-ages / parameters.memory_days)[:, None], 0.0)
    sums, total = weight.sum(axis=0), (weight * np.where(counts, recent, 0.0)).sum(axis=0)
    mean = np.divide(total, sums, out=np.zeros(errors.shape[1]), where=sums > 0)
    beyond = (morning_errors - mean[: len(morning_errors)])[np.isfinite(morning_errors)]
    shift = float(beyond.mean()) if len(beyond) and ordinary[-1] else 0.0
    added: Float64Array = parameters.share * mean + parameters.morning_share * shift
    return added
