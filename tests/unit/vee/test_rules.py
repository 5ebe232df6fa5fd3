import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrify_assets.vee import rules
from metrify_assets.vee.runs import find_runs, in_long_run
from tests.unit.vee.builders import kwh


def grid(*values: float | None) -> tuple[np.ndarray, np.ndarray]:
    """One row in kWh; None is not valid."""
    delivered = np.array([[kwh(value or 0) for value in values]], dtype=np.int64)
    return delivered, np.array([[value is not None for value in values]])


def slots(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask[0]).tolist()


def test_a_negative_value_is_found_on_one_direction_channels_only():
    delivered, has_value = grid(0.1, -0.1, None, 0.0)
    assert slots(rules.negative(delivered, has_value, np.array([[True]]))) == [1]
    assert slots(rules.negative(delivered, has_value, np.array([[False]]))) == []


def test_the_physical_limit_is_110_percent_of_the_connection():
    # 30 kW x 110 % = 33 kW = 8.25 kWh in a quarter hour; the limit itself may still stand.
    delivered, has_value = grid(8.25, 8.250001, None, 1.0)
    assert slots(rules.physical_limit(delivered, has_value, np.array([30.0]), 15, 110)) == [1]


def test_the_physical_limit_depends_on_the_interval():
    delivered, has_value = grid(33.0, 33.000001)
    assert slots(rules.physical_limit(delivered, has_value, np.array([30.0]), 60, 110)) == [1]


def test_an_unknown_connection_power_is_not_checked():
    delivered, has_value = grid(999_999_999_999.0)
    assert slots(rules.physical_limit(delivered, has_value, np.array([np.nan]), 15, 110)) == []
    assert slots(rules.physical_limit(delivered, has_value, np.array([np.inf]), 15, 110)) == []


def test_the_physical_limit_holds_in_both_directions_of_a_channel_with_a_sign():
    delivered, has_value = grid(-8.25, -8.250001)
    assert slots(rules.physical_limit(delivered, has_value, np.array([30.0]), 15, 110)) == [1]


def spikes(*values: float | None, floor_kw: float = 2.0) -> list[int]:
    return slots(rules.spike(*grid(*values), 15, 180, floor_kw).mask)


def test_a_spike_exceeds_the_third_maximum_by_more_than_180_percent():
    # Third maximum 1.0: 2.8 is 180 % above it, a micro-kWh more is too much.
    assert spikes(1.0, 2.8, 0.5, 1.0, 1.0) == []
    assert spikes(1.0, 2.800001, 0.5, 1.0, 1.0) == [1]


def test_a_spike_below_the_floor_is_none():
    # 2 kW are 0.5 kWh in a quarter hour.
    assert spikes(0.1, 0.599999, 0.1, 0.1) == []
    assert spikes(0.1, 0.6, 0.1, 0.1) == [1]
    assert spikes(0.1, 0.6, 0.1, 0.1, floor_kw=2.5) == []


def test_two_equal_maxima_are_both_spikes_and_three_are_none():
    assert spikes(5.0, 0.1, 5.0, 0.1) == [0, 2]
    assert spikes(5.0, 5.0, 5.0, 0.1) == []


def test_a_spike_over_zeros_is_found():
    assert spikes(0.0, 0.0, 3.0, 0.0) == [2]


def test_a_spike_needs_three_valid_slots():
    assert spikes(9.0, 0.1, None, None) == []
    assert spikes(9.0, 0.1) == []
    assert spikes(9.0, 0.1, 0.1, None) == [0]


def test_a_row_whose_third_maximum_is_negative_has_no_spike():
    assert spikes(9.0, -1.0, -1.0, -1.0) == []


def test_spikes_next_to_the_largest_storable_energy_do_not_overflow():
    assert spikes(999_999_999_999.0, 300_000_000_000.0, 300_000_000_000.0) == [0]


def stuck(*values: float | None, minutes: int = 15, least_slots: int = 4) -> list[int]:
    return slots(rules.stuck(*grid(*values), minutes, 120, least_slots))


def test_two_hours_of_one_value_are_stuck_and_less_is_not():
    assert stuck(0.1, *[0.2] * 8, 0.1) == list(range(1, 9))
    assert stuck(0.1, *[0.2] * 7, 0.1) == []


def test_zeros_are_not_stuck():
    assert stuck(*[0.0] * 12) == []


def test_a_gap_ends_a_stuck_run():
    assert stuck(*[0.2] * 5, None, *[0.2] * 5) == []


def test_a_stuck_run_may_reach_both_ends_of_the_day():
    assert stuck(*[0.2] * 9) == list(range(9))


def test_two_equal_hours_are_a_coincidence_and_four_are_stuck():
    assert stuck(0.2, 0.2, 0.1, 0.3, 0.3, 0.3, 0.3, minutes=60) == [3, 4, 5, 6]
    assert stuck(0.2, minutes=1_440, least_slots=1) == []


def test_a_day_of_zeros_is_a_zero_run_and_a_day_less_a_slot_is_not():
    assert slots(rules.zero_run(*grid(*[0.0] * 24), 60, 1_440)) == list(range(24))
    assert slots(rules.zero_run(*grid(0.1, *[0.0] * 23), 60, 1_440)) == []
    assert slots(rules.zero_run(*grid(None, *[0.0] * 23), 60, 1_440)) == []


def test_a_zero_run_is_found_within_the_day_of_25_hours_and_on_the_whole_day_of_23():
    assert slots(rules.zero_run(*grid(0.1, *[0.0] * 24), 60, 1_440)) == list(range(1, 25))
    assert slots(rules.zero_run(*grid(*[0.0] * 23), 60, 1_440)) == list(range(23))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
@given(mask=hnp.arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 20))))
def test_long_runs_are_the_runs_that_are_long(mask, length):
    expected = np.zeros_like(mask)
    for row, first, end in zip(*find_runs(mask), strict=True):
        assert mask[row, first:end].all()
        expected[row, first:end] = end - first >= length
    assert (in_long_run(mask, length) == expected).all()


def test_runs_are_found_at_both_ends_of_a_row():
    runs = find_runs(np.array([[True, False, True, True], [True, True, True, True]]))
    assert [part.tolist() for part in runs] == [[0, 0, 1], [0, 2, 0], [1, 4, 4]]
