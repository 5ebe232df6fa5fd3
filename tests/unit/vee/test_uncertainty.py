"""Intervals from past errors: ranks by hand, shares that add up, and what a register adds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.vee.uncertainty import (
    FEWEST_ERRORS,
    NORMAL_90,
    BracketSpread,
    IntervalPlanes,
    Offsets,
    half_width,
    offsets_from_errors,
    scale_intervals,
)
from tests.examples import examples


def offsets(errors: list[list[int]], slots: list[int], present: list[bool] | None = None) -> Offsets:
    """Return the offsets of one series; ``errors`` by slot, then by case."""
    matrix = np.array(errors, dtype=np.int64)
    counts = np.tile(present or [True] * matrix.shape[1], (len(slots), 1))
    return offsets_from_errors(np.zeros(len(slots), dtype=np.int64), np.array(slots), matrix, counts)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Rank (n + 1) / 10 from below and from above: 1; 1.1, a tenth of the way to the next; 2.
    [(9, 10, 90), (10, 11, 99), (19, 20, 180)],
)
def test_the_ends_are_the_errors_of_rank_one_and_nine_tenths_of_n_plus_one(count, low, high):
    errors = np.random.default_rng(1).permutation(np.arange(1, count + 1) * 10)
    found = offsets([errors.tolist()], [5])
    assert (found.low.tolist(), found.high.tolist()) == ([low], [high])


def test_with_fewer_than_nine_past_errors_nothing_is_said():
    errors = [list(range(FEWEST_ERRORS))]
    present = [True] * (FEWEST_ERRORS - 1) + [False]
    assert offsets(errors, [0]).known.tolist() == [True]
    found = offsets(errors, [0], present)
    assert not found.known.any()
    assert [found.low.any(), found.high.any(), found.variance.any()] == [False] * 3


def test_the_variance_of_a_gap_comes_from_the_errors_of_its_sum():
    # Two slots whose errors go against each other: the sums are 1, 2, ... 9 Wh, of which the eighth counts.
    sums = np.arange(1, 10) * 1_000
    first = np.array([5_000, -4_000, 3_000, -2_000, 1_000, 0, -1_000, 2_000, -3_000])
    found = offsets([first.tolist(), (sums - first).tolist()], [3, 4])
    assert found.variance.sum() == round((8 / NORMAL_90) ** 2)
    assert half_width(found.variance.sum()) == pytest.approx(8_000, rel=0.05)


def test_slots_apart_are_gaps_of_their_own():
    errors = [list(range(0, 90_000, 10_000))] * 2
    together, apart = offsets(errors, [3, 4]).variance.sum(), offsets(errors, [3, 5]).variance.sum()
    # The same errors in both slots: the deviation doubles within a gap, the variance between two.
    assert together == pytest.approx(2 * apart, abs=4)


@settings(max_examples=examples(0.3), deadline=None)
@given(st.integers(1, 30), st.integers(9, 30), st.integers(0, 10**10), st.integers(0, 2**32 - 1))
def test_shares_are_at_least_zero_and_those_of_a_gap_add_up_whatever_the_order_of_the_cases(slots, cases, size, seed):
    random = np.random.default_rng(seed)
    errors = random.integers(-size, size + 1, (slots, cases))
    row, place, present = np.zeros(slots, dtype=np.int64), np.arange(slots), np.ones(errors.shape, dtype=bool)
    found = offsets_from_errors(row, place, errors, present)
    within = np.sort(np.abs(errors.sum(axis=0)))
    rank, rest = divmod((cases + 1) * 8, 10)
    width = within[rank - 1] + (within[min(rank, cases - 1)] - within[rank - 1]) * rest // 10
    assert (found.variance >= 0).all()
    assert found.variance.sum() == np.rint((width / (1_000 * NORMAL_90)) ** 2)
    assert (found.low <= found.high).all()
    again = offsets_from_errors(row, place, errors[:, random.permutation(cases)], present)
    assert np.array_equal(found.variance, again.variance)


@pytest.mark.parametrize("cases", [9, 14, 28])
def test_four_fifths_of_new_errors_lie_within_whatever_their_distribution(cases):
    random = np.random.default_rng(cases)
    slots = 4_000
    errors = np.rint(random.lognormal(10, 1.5, (slots, cases + 1))).astype(np.int64)
    past, new = errors[:, :-1], errors[:, -1]
    found = offsets_from_errors(np.arange(slots), np.zeros(slots, np.int64), past, np.ones(past.shape, dtype=bool))
    assert np.mean((found.low <= new) & (new <= found.high)) == pytest.approx(0.8, abs=0.02)
    assert np.mean(np.abs(new) <= half_width(found.variance) + 1) == pytest.approx(0.8, abs=0.02)


def test_an_interval_holds_the_estimate_and_is_cut_at_zero_in_one_direction():
    planes = IntervalPlanes.empty((1, 4))
    low, high = np.array([-30, 5, -30, -30]), np.array([40, 9, -2, 40])
    known = np.array([True, True, True, False])
    cell = np.zeros(4, dtype=np.int64), np.arange(4)
    planes.write(cell, np.full(4, 20), Offsets(low, high, np.ones(4, np.int64), known), np.full(4, True))
    assert planes.low.tolist() == [[0, 20, 0, 0]]
    assert planes.high.tolist() == [[60, 29, 20, 0]]
    assert planes.known.tolist() == [known.tolist()]
    planes.write(cell, np.full(4, 20), Offsets(low, high, np.ones(4, np.int64), known), np.full(4, False))
    assert planes.low.tolist() == [[-10, 20, -10, 0]]


def scaled(variance: list[int], spread: BracketSpread, scale: float = 2.0) -> IntervalPlanes:
    """Scale estimates of 100 that lie between 60 and 160."""
    slots = len(variance)
    planes = IntervalPlanes.empty((1, slots))
    planes.low[:], planes.high[:], planes.variance[:], planes.known[:] = 60, 160, variance, True
    value = np.full(slots, 100)
    scale_intervals(planes, (0, np.arange(slots)), value, (value * scale).astype(np.int64), scale, spread)
    return planes


def test_the_sum_of_a_day_that_holds_the_whole_bracket_is_certain_and_its_shape_is_not():
    planes = scaled([48, 16], BracketSpread(estimates=2, of_day=64, of_bracket=64, within_day=True))
    assert planes.variance.tolist() == [[0, 0]]
    # 200 less 40 x 2 x sqrt(1 - 48 / 64) and x sqrt(1 - 16 / 64).
    assert planes.low.tolist() == [[160, 131]]
    assert planes.high.tolist() == [[260, 304]]


def test_a_day_within_a_longer_bracket_stays_uncertain_by_what_the_others_leave_open():
    # Half of the bracket's variance is on this day: 2^2 x 32 x (1 - 32 / 64) of the day's sum.
    planes = scaled([16, 16], BracketSpread(estimates=4, of_day=32, of_bracket=64, within_day=False))
    assert planes.variance.sum() == 64


def test_the_only_estimate_of_a_bracket_is_exact():
    planes = scaled([48], BracketSpread(estimates=1, of_day=48, of_bracket=48, within_day=True))
    assert (planes.low.tolist(), planes.high.tolist(), planes.variance.tolist()) == ([[200]], [[200]], [[0]])


def test_where_an_estimate_of_the_bracket_has_no_interval_the_others_are_scaled_alone():
    planes = scaled([16, 16], BracketSpread(estimates=3, of_day=32, of_bracket=None, within_day=False))
    assert (planes.low.tolist(), planes.variance.tolist()) == ([[120, 120]], [[64, 64]])


def test_a_slot_without_an_interval_gets_none_by_scaling():
    planes = IntervalPlanes.empty((1, 1))
    spread = BracketSpread(estimates=1, of_day=0, of_bracket=None, within_day=True)
    scale_intervals(planes, (0, np.array([0])), np.array([100]), np.array([200]), 2.0, spread)
    assert not planes.known.any()
