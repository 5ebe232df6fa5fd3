"""The numbers that are shown against the rules and estimators themselves, on random days: they never drift apart."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.vee import findings, rules
from metrify_assets.vee.daily_use import high_low
from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.interpolate import interpolate_short_gaps
from metrify_assets.vee.like_days import LikeDays, like_day_estimate
from metrify_assets.vee.origins import like_day_origin, linear_origin
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from tests.examples import examples
from tests.unit.vee.builders import AUTUMN_DAY, PLAIN_DAY, SPRING_DAY

SLOTS = 24
MINUTES = 60
values = st.lists(
    st.sampled_from([0, 1, 2, 3, 500_000, 510_000, 2_500_000, 9_000_000, -1]), min_size=SLOTS, max_size=SLOTS
)
masks = st.lists(st.sampled_from([True, True, True, False]), min_size=SLOTS, max_size=SLOTS)
few = settings(max_examples=examples(1.5))


def grid(row: list) -> np.ndarray:
    return np.array([row])


def fires(numbers) -> bool:
    return numbers is not None and numbers.fires


@few
@given(values, masks)
def test_a_spike_fires_where_the_rule_finds_it(row, valid):
    mask = rules.spike(grid(row), grid(valid), MINUTES, 180, 2.0)[0]
    numbers = findings.spike_numbers(row, valid, MINUTES, 180, 2.0)
    hit = [fires(numbers) and valid[slot] and row[slot] == numbers.largest for slot in range(SLOTS)]
    assert mask.tolist() == hit


@few
@given(values, masks)
def test_an_outlier_fires_where_the_rule_finds_it(row, valid):
    mask = rules.robust_outlier(grid(row), grid(valid), MINUTES, 360, 5.0, 2.0)[0]
    hit = [fires(findings.outlier_numbers(row, valid, slot, MINUTES, 360, 5.0, 2.0)) for slot in range(SLOTS)]
    assert mask.tolist() == hit


@few
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=SLOTS, max_size=SLOTS), masks)
def test_runs_fire_where_the_rules_find_them(row, valid):
    stuck = rules.stuck(grid(row), grid(valid), MINUTES, 120, 4)[0]
    zeros = rules.zero_run(grid(row), grid(valid), MINUTES, 180)[0]
    assert stuck.tolist() == [fires(findings.stuck_numbers(row, valid, slot, MINUTES, 120, 4)) for slot in range(SLOTS)]
    assert zeros.tolist() == [fires(findings.zero_run_numbers(row, valid, slot, MINUTES, 180)) for slot in range(SLOTS)]


@few
@given(st.integers(-60_000_000, 60_000_000), st.sampled_from([0.0, 3.3, 30.0, 33.333]), st.sampled_from([5, 15, 60]))
def test_a_physical_limit_fires_where_the_rule_finds_it(value, connection_kw, minutes):
    mask = rules.physical_limit(grid([value]), grid([True]), np.array([connection_kw]), minutes, 110)
    assert findings.physical_limit_numbers(value, minutes, connection_kw, 110).fires == mask[0, 0]


@few
@given(
    st.integers(0, 40_000_000),
    st.dictionaries(st.integers(1, 28), st.tuples(st.integers(0, 40_000_000), st.booleans()), max_size=28),
    st.sampled_from([0, 1, 7]),
)
def test_high_and_low_use_fires_where_the_rule_finds_it(use, days, times):
    day = date(2026, 3, 10)
    past = {day - timedelta(days=number): daily_use for number, daily_use in days.items()}
    rules = RuleSet(high_low_change_times=times)

    def totals(other: date, rows: np.ndarray) -> DayTotals | None:
        if other not in past:
            return None
        energy, complete = past[other]
        every = np.ones(len(rows), dtype=bool)
        return DayTotals(np.full(len(rows), energy), every & complete, np.full(len(rows), 24), every)

    mask, _ = high_low(day, np.array([use]), np.array([0]), totals, LikeDays(), rules)
    assert findings.high_low_numbers(day, use, 0, totals, LikeDays(), rules).fires == mask[0]


def random_day(rng: np.random.Generator, day, holes: float) -> HistoryDay:
    slots = day.slots(MINUTES)
    measured = np.ones((1, slots), dtype=bool) if rng.random() > holes else rng.random((1, slots)) > 0.3
    return HistoryDay(day.local_minutes(MINUTES), rng.integers(0, 10**6, (1, slots)), measured, measured)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([PLAIN_DAY, SPRING_DAY, AUTUMN_DAY]))
def test_like_days_named_are_those_of_the_estimate(seed, day):
    rng = np.random.default_rng(seed)
    past = {
        day.plus(-back).day: random_day(rng, day.plus(-back), 0.4) for back in range(7, 35, 7) if rng.random() < 0.8
    }
    needed = rng.random(day.slots(MINUTES)) < 0.4
    measured = ~needed & (rng.random(len(needed)) < 0.8)
    today = rng.integers(0, 3 * 10**6, len(needed))
    parameters = EstimationParameters()

    class Past:
        def totals(self, other: date, rows: np.ndarray) -> DayTotals | None:
            if other not in past:
                return None
            measured = past[other].measured
            return DayTotals(
                energy=past[other].values.sum(axis=1),
                complete=measured.all(axis=1),
                measured_slots=measured.sum(axis=1),
                registered=np.ones(1, dtype=bool),
            )

        def complete_day(self, other: date, rows: np.ndarray) -> CompleteDay:
            return CompleteDay(past[other].local_minutes, past[other].values)

    planes = (needed[None, :], measured[None, :], today[None, :])
    gaps = DayWithGaps(day, MINUTES, np.array([0]), *planes)
    expected = like_day_estimate(gaps, Past(), LikeDays(), parameters)
    values = {slot: int(today[slot]) for slot in np.flatnonzero(measured).tolist()}
    origin = like_day_origin(day, MINUTES, np.flatnonzero(needed).tolist(), values, past.get, LikeDays(), parameters)
    assert sorted(origin.used) == np.flatnonzero(expected.has_value[0]).tolist()
    assert [origin.value(slot) for slot in sorted(origin.used)] == [
        int(expected.value[0, slot]) for slot in sorted(origin.used)
    ]


@few
@given(st.integers(0, 2**32 - 1))
def test_the_edges_named_are_those_of_the_line(seed):
    rng = np.random.default_rng(seed)
    stands = rng.random((1, SLOTS)) > 0.4
    row = np.where(stands, rng.integers(0, 10**6, (1, SLOTS)), 0)
    before, after = (random_day(rng, PLAIN_DAY.plus(days), 1.0) for days in (-1, 1))
    expected = interpolate_short_gaps(row, stands, 3, lambda rows: before, lambda rows: after)
    for slot, value in zip(expected.slot.tolist(), expected.value.tolist(), strict=True):
        origin = linear_origin(row[0].tolist(), stands[0].tolist(), slot, lambda: before, lambda: after)
        assert origin.value == value


def test_the_run_of_days_without_a_measured_value_ends_at_the_first_one_with_one():
    day = date(2026, 3, 10)
    measured = {date(2026, 3, 9): 0, date(2026, 3, 8): 0, date(2026, 3, 7): 5}
    before = [day - timedelta(days=back) for back in range(1, 14)]
    assert findings.silent_days(day, measured.get, before) == [day, date(2026, 3, 9), date(2026, 3, 8)]


@pytest.mark.parametrize("row", [[1, 2], [5, -1, -1]])
def test_a_day_without_a_third_maximum_has_no_spike_numbers(row):
    assert findings.spike_numbers(row, [True] * len(row), MINUTES, 180, 2.0) is None
