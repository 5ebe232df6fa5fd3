"""Validation against a slow second implementation, slot by slot, on random days of 23, 24 and 25 hours."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import NO_STATE, UNKNOWN_STATE, SeriesTable
from metrify_assets.vee.validate import Outages, validate_shard
from tests.examples import examples
from tests.unit.vee import oracle
from tests.unit.vee.builders import AUTUMN_DAY, IMPORT, PLAIN_DAY, SPRING_DAY, UNKNOWN_CODE, deliveries
from tests.unit.vee.oracle_rows import Series
from tests.unit.vee.random_rows import FEEDS, random_day_rules, random_rows, random_series

pytestmark = pytest.mark.slow

SERIES = 6
EVERY_FAULT = {
    Flag.BLANK,
    Flag.DUPLICATE,
    Flag.NEW_VERSION,
    Flag.NEGATIVE,
    Flag.PHYSICAL_LIMIT,
    Flag.SPIKE,
    Flag.STUCK,
    Flag.ZERO_RUN,
    Flag.ROBUST_OUTLIER,
    Flag.INTERVAL_SIZE,
    Flag.AGGREGATED,
    Flag.CLOCK_DRIFT,
    Flag.COLLAPSED_DST,
    Flag.OUTAGE,
    Flag.UNIT_MISMATCH,
    Flag.FROM_REGISTER,
    Flag.REGISTER_DECREASE,
    Flag.REGISTER_ROLLOVER,
    Flag.METER_EXCHANGE,
    Flag.GAP,
    Flag.REFUSED,
}


def registered(series: list[Series]) -> SeriesTable:
    def states(name: str) -> np.ndarray:
        return np.array([UNKNOWN_STATE if member.counter[name] is None else member.counter[name] for member in series])

    closing = states("closing")
    closing[[member.counter["ended"] and member.counter["closing"] is None for member in series]] = NO_STATE
    return SeriesTable(
        point_id=np.array([f"P{member.number}" for member in series], dtype=object),
        obis_code=np.array([IMPORT if member.unsigned else UNKNOWN_CODE for member in series], dtype=object),
        interval_minutes=np.array([member.minutes for member in series], dtype=np.int16),
        limit_kw=np.array([np.nan if member.limit_kw is None else member.limit_kw for member in series]),
        point_class=np.array([member.point_class for member in series], dtype=object),
        multiplier=np.array([int(member.counter["multiplier"] * 1_000) for member in series], dtype=np.int64),
        modulus=np.array([member.counter["modulus"] for member in series], dtype=np.int64),
        opening=states("opening"),
        closing=closing,
    )


def declared(series: list[Series]) -> Outages:
    outages = [(member.number, begin, end) for member in series for begin, end in member.outages]
    columns = np.array(outages, dtype=np.int64).reshape(-1, 3)
    return Outages(columns[:, 0], columns[:, 1], columns[:, 2])


def compare(seed: int, day: DeliveryDay) -> Flag:
    """Compare a random day with the oracle; return the flags that occurred."""
    random = np.random.default_rng(seed)
    series = [random_series(random, number, day) for number in range(SERIES)]
    rules = random_day_rules(random)
    rows = random_rows(random, day, series)
    following = [row for row in rows if row["is_register"] and row["start"] >= day.end - 180_000_000]
    rows = [row for row in rows if row not in following]
    grids, tally = validate_shard(
        day,
        registered(series),
        deliveries(rows),
        deliveries(following),
        rules,
        outages=declared(series),
        feeds=FEEDS,
    )
    assert tally.balances
    seen = Flag(0)
    measured = refused = 0
    for grid in grids:
        for row, number in enumerate(grid.series.tolist()):
            slots = oracle.validate_series(day.day, day.zone, series[number], rows, following, rules, FEEDS)
            for slot, expected in enumerate(slots):
                computed = {
                    "value": int(grid.delivered[row, slot]) if grid.has_value[row, slot] else None,
                    "status": int(grid.source_status[row, slot]),
                    "version": int(grid.version[row, slot]),
                    "flags": Flag(int(grid.flags[row, slot])),
                    "received_at": int(grid.received_at[row, slot]),
                }
                assert computed == {name: expected[name] for name in computed}, (seed, number, slot)
                seen |= expected["flags"]
                measured += expected["parts"] * oracle.stands(expected)
                refused += expected["parts"] * (not oracle.stands(expected))
    assert (tally.measured, tally.refused) == (measured, refused)
    return seen


# Shrinking a seed says nothing.
@settings(max_examples=examples(0.2), suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(st.integers(0, 2**32 - 1), st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_validation_agrees_with_the_oracle(seed, day):
    compare(seed, DeliveryDay(day))


@pytest.mark.parametrize("day", [SPRING_DAY, PLAIN_DAY, AUTUMN_DAY], ids=["spring", "plain", "autumn"])
def test_validation_agrees_with_the_oracle_on_the_days_that_clocks_change(day):
    seen = Flag(0)
    for seed in range(examples(0.3, least=30)):
        seen |= compare(seed, day)
    # A generator that stopped making a fault would go unnoticed otherwise.
    missed = {flag for flag in EVERY_FAULT if not flag & seen}
    assert missed == (set() if day is AUTUMN_DAY else {Flag.COLLAPSED_DST})
