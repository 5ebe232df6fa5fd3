"""Emissions by the hourly mix, by hand; and what refuses them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from metrify_assets.analytics.tariffs.carbon import Mix, emissions, intensities, shipped_factors
from metrify_assets.analytics.tariffs.charges import Readings
from metrify_assets.analytics.tariffs.self_use import self_use
from metrify_assets.schemas.grid_and_weather import GRID_METRICS

HOUR = 3_600_000_000


def mix_of(hours: int, minutes: int = 60, **mw: float) -> Mix:
    start = np.arange(hours * 60 // minutes, dtype=np.int64) * minutes * 60_000_000
    values = np.array([np.resize(value, len(start)) * 1e6 for value in mw.values()]).astype(np.int64)
    return Mix(list(mw), start, np.full(len(start), minutes), values, np.ones(values.shape, dtype=bool))


def readings_of(values: list[int], minutes: int = 15) -> Readings:
    start = np.arange(len(values), dtype=np.int64) * minutes * 60_000_000
    yes = np.ones(len(values), dtype=bool)
    return Readings(start, np.full(len(values), minutes), np.array(values, dtype=np.int64), yes, ~yes)


def test_every_factor_belongs_to_a_metric_of_generation_once() -> None:
    factors = shipped_factors()
    named = [*factors.factors, *factors.without_factor, *factors.storage]
    assert len(named) == len(set(named))
    assert set(named) <= set(GRID_METRICS)


def test_the_intensity_of_an_hour_is_the_mean_weighted_by_generation() -> None:
    # 600 MW of gas and 400 MW of wind: (600 x 490 + 400 x 11) / 1000 = 298.4 g/kWh; storage does not count.
    series = intensities(
        mix_of(1, 15, gas_mw=600, wind_onshore_mw=400, pumped_storage_generation_mw=500), shipped_factors()
    )
    assert series.price.tolist() == [298_400_000]


def test_energy_takes_the_intensity_of_its_hour() -> None:
    mix = mix_of(2, gas_mw=[100, 0], wind_onshore_mw=[0, 100])
    slots = readings_of([1_000_000] * 8)
    slots.estimated[0] = True
    result = emissions(slots, 0, intensities(mix, shipped_factors()))
    assert result.kg == Fraction(4 * 490 + 4 * 11, 1000)
    assert result.estimated_kg == Fraction(490, 1000)


def test_an_hour_that_lacks_a_metric_has_no_intensity_and_refuses_its_energy() -> None:
    mix = mix_of(2, 15, gas_mw=100, solar_mw=10)
    mix.present[1, 5] = False
    result = emissions(readings_of([1_000_000] * 8), 0, intensities(mix, shipped_factors()))
    assert (result.kg, result.refusal, result.refused_minutes) == (None, "mix_missing", 60)
    assert result.refused_micro_kwh == 4_000_000


def test_an_hour_of_generation_without_factors_is_no_clean_hour() -> None:
    mix = mix_of(2, gas_mw=[80, 79], other_conventional_mw=[20, 21])
    assert intensities(mix, shipped_factors()).start.tolist() == [0]
    assert not len(intensities(mix_of(1, gas_mw=0), shipped_factors()).start)


def test_missing_readings_refuse_emissions() -> None:
    result = emissions(readings_of([1]), 30, intensities(mix_of(1, gas_mw=1), shipped_factors()))
    assert (result.kg, result.refusal, result.refused_minutes) == (None, "readings_missing", 30)


def test_generation_less_feed_in_is_what_was_used_on_the_spot() -> None:
    generated, fed_in = readings_of([0, 4_000_000, 6_000_000]), readings_of([0, 1_000_000, 5_000_000])
    balance = self_use(generated, fed_in, readings_of([2_000_000, 0, 0]), 45)
    assert (balance.self_consumed, balance.drawn, balance.missing_minutes) == (4_000_000, 2_000_000, 0)
    assert balance.self_consumption_share == 0.4
    assert balance.self_sufficiency_share == 4 / 6


def test_feed_in_beyond_generation_and_missing_slots_are_counted_not_repaired() -> None:
    generated, fed_in = readings_of([1_000_000, 4_000_000, 6]), readings_of([3_000_000, 1_000_000, 5])
    fed_in.present[2] = False
    balance = self_use(generated, fed_in, readings_of([0, 0, 0]), 45)
    assert (balance.contradicting_slots, balance.contradicting_micro_kwh) == (1, 2_000_000)
    assert (balance.self_consumed, balance.missing_minutes) == (3_000_000, 15)
    assert balance.self_consumption_share is None
