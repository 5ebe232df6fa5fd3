"""Counters: roll-over, states that do not fit, and what was counted between two states."""

from __future__ import annotations

import numpy as np
import pytest

from metrify_assets.vee.counters import counted, fitting_states, rolls_over
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.units import LARGEST_MICRO_KWH
from tests.unit.vee import oracle_registers as oracle
from tests.unit.vee.builders import kwh

RANGE = kwh(1_000)
RULES = RuleSet()


def arrays(*values: float) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value], dtype=np.int64) for value in values)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (999, 1, True),
        (900, 100, True),
        (899, 1, False),
        (950, 101, False),
        # A state that the counter cannot show is no roll-over but a fault.
        (1_000, 1, False),
        (1, 999, False),
        (999, 999, False),
    ],
)
def test_a_counter_rolls_over_from_its_uppermost_to_its_lowest_tenth(before, after, expected):
    assert rolls_over(*arrays(kwh(before), kwh(after), RANGE), 10).tolist() == [expected]


def test_a_counter_of_unknown_range_never_rolls_over():
    assert not rolls_over(*arrays(kwh(999), kwh(1), 0), 10)[0]


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ([1, 2, 2, 3], [0, 1, 2, 3]),
        ([10, 5, 11], [0, 2]),
        ([10, 99, 11], [0, 2]),
        ([10, 99, 11, 12], [0, 2, 3]),
        # The first or the last alone can be wrong: nobody can tell which.
        ([99, 10], [0, 1]),
        ([99, 10, 11], [0, 1, 2]),
        # Two wrong ones in a row are more than neighbours can show.
        ([10, 98, 99, 11], [0, 1, 2, 3]),
    ],
)
def test_a_state_that_does_not_fit_its_neighbours_is_left_out(states, kept):
    mask = fitting_states(np.zeros(len(states), int), np.array(states), np.zeros(len(states), np.int64), 10)
    assert np.flatnonzero(mask).tolist() == kept


def test_counters_do_not_judge_each_other():
    assert fitting_states(np.array([0, 0, 1, 1]), np.array([5, 9, 1, 2]), np.zeros(4, np.int64), 10).all()


def test_the_multiplier_counts_half_even():
    energy, rolled = counted(*arrays(0, 5, 0, 500), 10)
    assert (energy.tolist(), rolled.tolist()) == ([2], [False])


def test_absurd_states_do_not_wrap_around():
    huge = LARGEST_MICRO_KWH
    for multiplier in (1, 1_000, 4_000_000):
        up, _ = counted(*arrays(-huge, huge, 0, multiplier), 10)
        down, _ = counted(*arrays(huge, -huge, 0, multiplier), 10)
        assert 0 <= up[0] <= huge
        assert -huge <= down[0] <= 0


def test_random_states_agree_with_the_oracle():
    random = np.random.default_rng(3)
    for _ in range(2_000):
        modulus = int(random.choice([0, RANGE]))
        steps = random.choice([0, 1, kwh(40), -kwh(60), -RANGE, kwh(700)], 8, p=[0.1, 0.1, 0.6, 0.1, 0.05, 0.05])
        states = (int(random.choice([0, kwh(850)])) + np.cumsum(steps)).astype(np.int64)
        mask = fitting_states(np.zeros(8, int), states, np.full(8, modulus), 10)
        assert set(np.flatnonzero(~mask).tolist()) == oracle.misfits(states.tolist(), modulus, RULES)
        multiplier = int(random.choice([1_000, 40_000, 333]))
        energy, rolled = counted(states[:-1], states[1:], np.full(7, modulus), np.full(7, multiplier), 10)
        expected = [
            oracle.energy_between(
                before, after, {"modulus": modulus, "multiplier": oracle.Fraction(multiplier, 1_000)}, RULES
            )
            for before, after in zip(states[:-1].tolist(), states[1:].tolist(), strict=True)
        ]
        assert list(zip(energy.tolist(), rolled.tolist(), strict=True)) == expected
