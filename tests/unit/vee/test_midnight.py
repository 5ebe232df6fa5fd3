"""Runs of one value over midnight: what each day finds, against looking at three days as one series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.vee import rules as rule
from metrify_assets.vee.midnight import EdgeRuns, JoinedRuns, runs_over_midnight
from metrify_assets.vee.parameters import RuleSet

MINUTES = 60
RULES = RuleSet(stuck_minutes=180, stuck_slots=3, zero_run_minutes=300, runs_over_midnight=True)
NOTHING = None


def edges(values: list[int | None]) -> EdgeRuns:
    return EdgeRuns.of(*planes(values))


def planes(values: list[int | None]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[value or 0 for value in values]]), np.array([[value is not None for value in values]])


def slots_over_midnight(before, day, after) -> tuple[list[int], list[int]]:
    beside = [edges(values) if values is not None else None for values in (before, after)]
    joined = JoinedRuns.of(edges(day), *beside)
    stuck, zero = runs_over_midnight(edges(day), joined, len(day), MINUTES, RULES)
    return np.flatnonzero(stuck[0]).tolist(), np.flatnonzero(zero[0]).tolist()


def test_edge_runs_end_at_another_value_and_where_no_value_stands():
    ends = edges([5, 5, None, 0, 7, 7, 7])
    assert (ends.first_value[0], ends.first_slots[0], ends.last_value[0], ends.last_slots[0]) == (5, 2, 7, 3)
    missing = edges([None, 5, 5, None])
    assert (missing.first_slots[0], missing.last_slots[0]) == (0, 0)
    whole = edges([4, 4, 4])
    assert (whole.first_slots[0], whole.last_slots[0]) == (3, 3)


def test_a_run_that_is_long_enough_with_the_day_before_is_found_in_its_own_part():
    assert slots_over_midnight([1, 2, 9, 9], [9, 3, 4, 5], NOTHING) == ([0], [])
    assert slots_over_midnight([1, 2, 3, 9], [9, 3, 4, 5], NOTHING) == ([], [])
    assert slots_over_midnight([1, 2, 9, 9], [8, 8, 4, 5], NOTHING) == ([], [])


def test_a_day_that_is_one_run_joins_both_of_its_neighbours():
    assert slots_over_midnight([7, 7, 1, 0], [0, 0, 0], [0, 6, 6]) == ([], [0, 1, 2])
    assert slots_over_midnight([7, 7, 1, 0], [0, 0, 0], [6, 6, 6]) == ([], [])


def test_zeros_over_the_change_of_the_clock_are_found_by_both_days_or_by_neither():
    # Five hours make a finding, whether the day that looks has four slots or six.
    short, long = [1, 0, 0, 0], [0, 0, 2, 3, 4, 5]
    assert slots_over_midnight(NOTHING, short, long)[1] == [1, 2, 3]
    assert slots_over_midnight(short, long, NOTHING)[1] == [0, 1]
    shorter = [1, 1, 0, 0]
    assert slots_over_midnight(NOTHING, shorter, long)[1] == []
    assert slots_over_midnight(shorter, long, NOTHING)[1] == []


@pytest.mark.parametrize("other", [NOTHING, [None, None, None]])
def test_a_neighbour_that_is_not_known_adds_nothing(other):
    assert slots_over_midnight(other, [9, 9, 3], other) == ([], [])


DAY = st.lists(st.sampled_from([0, 0, 0, 1, 1, None]), min_size=6, max_size=9)


def in_one_series(days: list[list[int | None]], position: int, length: int, is_zero: bool) -> bool:
    """Return whether a slot lies in a run of one value of at least so many slots; looks at one slot after the other."""
    series = [value for day in days for value in day]
    value = series[position]
    if value is None or (value == 0) is not is_zero:
        return False
    first = last = position
    while first > 0 and series[first - 1] == value:
        first -= 1
    while last + 1 < len(series) and series[last + 1] == value:
        last += 1
    return last - first + 1 >= length


@given(DAY, DAY, DAY)
def test_each_day_finds_what_a_look_at_three_days_as_one_series_finds(before, day, after):
    stuck, zero = slots_over_midnight(before, day, after)
    values, stands = planes(day)
    stuck_within = rule.stuck(values, stands, MINUTES, RULES.stuck_minutes, RULES.stuck_slots)[0]
    zero_within = rule.zero_run(values, stands, MINUTES, RULES.zero_run_minutes)[0]
    for slot in range(len(day)):
        position = len(before) + slot
        expected = in_one_series([before, day, after], position, 3, is_zero=False)
        assert (slot in stuck or bool(stuck_within[slot])) is expected
        assert (slot in zero or bool(zero_within[slot])) is in_one_series(
            [before, day, after], position, 5, is_zero=True
        )
