"""What a rule says that it compared, against plain arithmetic on the same values."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.vee import rules
from metrify_assets.vee.daily_use import high_low
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import RuleSet
from tests.examples import examples

SLOTS = 24
MINUTES = 60
FLOOR = 2_000_000
values = st.lists(
    st.sampled_from([0, 1, 2, 3, 500_000, 510_000, 2_500_000, 9_000_000, -1]), min_size=SLOTS, max_size=SLOTS
)
masks = st.lists(st.sampled_from([True, True, True, False]), min_size=SLOTS, max_size=SLOTS)
few = settings(max_examples=examples(1.5))
TODAY = date(2026, 3, 10)


@few
@given(st.lists(st.tuples(values, masks), min_size=1, max_size=4))
def test_the_maxima_of_spikes_are_those_of_their_rows(rows):
    delivered, valid = np.array([row for row, _ in rows]), np.array([mask for _, mask in rows])
    spikes = rules.spike(delivered, valid, MINUTES, 180, 2.0)
    assert spikes.row.tolist() == np.flatnonzero(spikes.mask.any(axis=1)).tolist()
    assert spikes.floor == FLOOR
    for number, row in enumerate(spikes.row.tolist()):
        ordered = sorted(delivered[row][valid[row]].tolist(), reverse=True)
        assert (spikes.largest[number], spikes.third[number]) == (ordered[0], ordered[2])
        # What is said is what makes a spike.
        assert 100 * (ordered[0] - ordered[2]) > 180 * ordered[2]
        assert ordered[0] - ordered[2] >= FLOOR


@few
@given(values, masks)
def test_the_windows_of_outliers_are_those_around_their_slots(row, valid):
    outliers = rules.robust_outlier(np.array([row]), np.array([valid]), MINUTES, 360, 5.0, 2.0)
    assert sorted(outliers.slot.tolist()) == np.flatnonzero(outliers.mask[0]).tolist()
    for number, slot in enumerate(outliers.slot.tolist()):
        around = [row[other] for other in range(max(slot - 3, 0), min(slot + 4, SLOTS)) if valid[other]]
        middle = median(around)
        mad = median(abs(value - middle) for value in around)
        assert (outliers.median[number], outliers.mad[number], outliers.count[number]) == (middle, mad, len(around))
        assert abs(row[slot] - middle) > 5 * 1.4826 * mad + FLOOR


class Totals:
    """Use of one series by date, micro-kWh, and whether the day is complete."""

    def __init__(self, days: dict[int, tuple[int, bool]]) -> None:
        self.days = {TODAY - timedelta(days=back): day for back, day in days.items()}

    def __call__(self, day: date, rows: np.ndarray) -> DayTotals | None:
        if day not in self.days:
            return None
        energy, complete = self.days[day]
        every = np.ones(len(rows), dtype=bool)
        return DayTotals(np.full(len(rows), energy), every & complete, np.full(len(rows), 24), every)


@few
@given(
    st.integers(0, 40_000_000),
    st.dictionaries(st.integers(1, 28), st.tuples(st.integers(0, 40_000_000), st.booleans()), max_size=28),
    st.sampled_from([0, 1, 7]),
)
def test_unusual_use_follows_from_the_days_that_it_names(use, days, times):
    chosen = RuleSet(high_low_change_times=times)
    unusual = high_low(TODAY, np.array([use]), np.array([0]), Totals(days), LikeDays(), chosen)
    like = [days[back][0] for back in (7, 14, 21, 28) if back in days and days[back][1]]
    assert [int(energy[0]) for _, energy, is_taken in unusual.like_days if is_taken[0]] == like
    expected = False
    if len(like) >= 2:
        mean = sum(like) / len(like)
        expected = (use < mean / 2 or use > 2 * mean) and abs(use - mean) >= 1_000_000
    complete = [days[back][0] for back in sorted(days) if days[back][1]]
    if expected and times and len(complete) > 7:
        usual = median(abs(later - earlier) for later, earlier in pairwise(complete))
        change = unusual.changes[0]
        assert change.twice_median == 2 * usual
        assert abs(change.nearest(use) - use) == min(abs(use - other) for other in (complete[0], *like))
        expected = abs(change.nearest(use) - use) > times * usual
    else:
        assert unusual.changes == {}
    assert bool(unusual.mask[0]) is expected


@pytest.mark.parametrize("row", [[1, 2], [5, -1, -1]])
def test_a_day_without_a_third_maximum_has_no_spike(row):
    spikes = rules.spike(np.array([row]), np.ones((1, len(row)), dtype=bool), MINUTES, 180, 2.0)
    assert len(spikes.row) == 0
