"""Emissions of energy used, by the hourly generation mix of the control area.

Belongs here: factors, the intensity of an hour, and the emissions of a point. The mix is that of generation in the
area: imports and exports are not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from metrify_assets.analytics.tariffs.charges import PriceSeries, Readings, slot_prices
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.units import MICRO_PER_KWH

FACTORS = Path(__file__).with_name("factors.yaml")
HOUR = 3_600_000_000
MICROGRAMS = 1_000_000
_MICROGRAMS_PER_KG = 10**9


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Factor(_Declared):
    """Grams per kWh of a kind of generation, and what its source calls it."""

    grams: int = Field(ge=0)
    technology: str


class Factors(_Declared):
    """Factors by grid metric, with their source."""

    source: str
    year: int
    unit: str
    factors: dict[str, Factor]
    without_factor: tuple[str, ...]
    storage: tuple[str, ...]
    least_covered_percent: int = Field(ge=1, le=100)

    @property
    def generation(self) -> tuple[str, ...]:
        """Metrics that make up the mix."""
        return (*self.factors, *self.without_factor)


@cache
def shipped_factors() -> Factors:
    """Return the factors of the package."""
    return Factors.model_validate(yaml.safe_load(FACTORS.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Mix:
    """Generation of a control area.

    Attributes
    ----------
    metric : list of str, length M
    start : int64 array, shape (N,)
        UTC microseconds, of quarter hours or hours.
    minutes : int64 array, shape (N,)
    micro_mw : int64 array, shape (M, N)
        Mean power in millionths of a MW.
    present : bool array, shape (M, N)
    """

    metric: list[str]
    start: Int64Array
    minutes: Int64Array
    micro_mw: Int64Array
    present: np.ndarray


def intensities(mix: Mix, factors: Factors) -> PriceSeries:
    """Return the emissions of each hour, whole micrograms per kWh, rounded half to even.

    An hour has none where a metric that the area reports lacks a part of it, where nothing was generated, or where
    less of it has a factor than ``least_covered_percent``.
    """
    rows = [
        number for number, name in enumerate(mix.metric) if name in factors.generation and mix.present[number].any()
    ]
    hours = np.unique(mix.start // HOUR)
    kept, grams = [], []
    for hour in hours.tolist():
        inside = mix.start // HOUR == hour
        minutes = mix.minutes[inside]
        if int(minutes.sum()) != 60 or not rows or not mix.present[np.ix_(rows, inside)].all():
            continue
        generated = {mix.metric[row]: int((mix.micro_mw[row, inside] * minutes).sum()) for row in rows}
        total = sum(generated.values())
        covered = sum(amount for name, amount in generated.items() if name in factors.factors)
        if covered <= 0 or covered * 100 < total * factors.least_covered_percent:
            continue
        emitted = sum(factors.factors[name].grams * generated[name] for name in generated if name in factors.factors)
        kept.append(hour * HOUR)
        grams.append(round(Fraction(emitted * MICROGRAMS, covered)))
    return PriceSeries(
        np.array(kept, dtype=np.int64), np.full(len(kept), 60, dtype=np.int64), np.array(grams, dtype=np.int64)
    )


@dataclass(frozen=True)
class Emissions:
    """Emissions of a point and month.

    Attributes
    ----------
    kg : Fraction or None
        None if refused.
    estimated_kg : Fraction
        The part that rests on estimated energy.
    refusal : str or None
        ``readings_missing``, ``mix_missing`` or ``interval_too_long``.
    refused_minutes, refused_micro_kwh : int
        Length and energy of the slots concerned.
    """

    kg: Fraction | None
    estimated_kg: Fraction = Fraction(0)
    refusal: str | None = None
    refused_minutes: int = 0
    refused_micro_kwh: int = 0


def emissions(readings: Readings, missing_minutes: int, intensity: PriceSeries) -> Emissions:
    """Return the emissions of all slots, exact; refused where readings or the mix of an hour are missing.

    ``missing_minutes`` are those of the span without a value.
    """
    if missing_minutes:
        return Emissions(None, refusal="readings_missing", refused_minutes=missing_minutes)
    slots = readings.where(readings.present)
    of_slot = slot_prices(slots, intensity.plus(0))
    for refusal, wrong in (("mix_missing", ~of_slot.present), ("interval_too_long", ~of_slot.uniform)):
        if wrong.any():
            minutes, energy = int(slots.minutes[wrong].sum()), int(slots.micro_kwh[wrong].sum())
            return Emissions(None, Fraction(0), refusal, minutes, energy)
    estimated = slots.estimated
    return Emissions(
        _kilograms(slots.micro_kwh, of_slot.price), _kilograms(slots.micro_kwh[estimated], of_slot.price[estimated])
    )


def _kilograms(micro_kwh: Int64Array, micrograms: Int64Array) -> Fraction:
    total = sum(energy * of for energy, of in zip(micro_kwh.tolist(), micrograms.tolist(), strict=True))
    return Fraction(total, MICRO_PER_KWH * _MICROGRAMS_PER_KG)
