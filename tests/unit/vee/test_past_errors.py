"""Errors of methods on measured days and stretches, against the estimators themselves and slow loops."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from metrify_assets.vee.bridge import CORRELATION_ONE, Ends, bridge
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.interpolate import Interpolated, interpolate_short_gaps
from metrify_assets.vee.like_days import LikeDays, like_day_estimate
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.past_errors import (
    MOST_LINES,
    Cases,
    DayErrors,
    bridged_errors,
    like_day_errors,
    line_offsets,
    similar_day_errors,
    with_like_day_offsets,
)
from metrify_assets.vee.similar_days import similar_day_origin
from metrify_assets.vee.uncertainty import offsets_from_errors
from tests.unit.vee.test_similar_days import DAY, ZONE, Past, estimate, gap, past_of

ON = EstimationParameters(similar_days=10, intervals=True)
DAYS, SLOTS = 28, 24


def cases(seed: int, size: int = 10**6) -> Cases:
    random = np.random.default_rng(seed)
    curve = 1 + np.sin(np.arange(SLOTS) / 4) ** 2
    values = np.rint(random.gamma(4, size / 4, (2, DAYS, SLOTS)) * curve).astype(np.int64)
    complete = random.random((2, DAYS)) > 0.15
    kinds = np.tile((np.arange(DAYS) + 3) % 7, (2, 1))
    compared = ~np.repeat(gap(8, 14, slots=SLOTS), 2, axis=0)
    return Cases(np.where(complete[:, :, None], values, 0), complete, kinds, compared, 60)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_a_past_day_is_that_of_similar_days_applied_to_it_with_the_others_as_history(seed):
    past = cases(seed)
    errors = similar_day_errors(past, ON)
    for row, target in [(0, 0), (0, 9), (1, 20), (1, 27)]:
        if not past.complete[row, target]:
            assert not errors.present[row, target]
            continue
        others = [place for place in range(DAYS) if place != target]
        dates = [DAY - timedelta(days=back) for back in range(1, DAYS)]
        kind = dict(zip([DAY, *dates], past.kinds[row, [target, *others]].tolist(), strict=True))
        kind[DAY - timedelta(days=DAYS)] = 0
        history = Past(
            {day: past.values[row, [place]] for day, place in zip(dates, others, strict=True)},
            frozenset((day, 0) for day, place in zip(dates, others, strict=True) if not past.complete[row, place]),
        )
        measured = past.compared[[row]]
        day = DayWithGaps(DeliveryDay(DAY, ZONE), 60, np.array([0]), ~measured, measured, past.values[row, [target]])
        origin = similar_day_origin(day, history, lambda day, kind=kind: np.array([kind[day]]), ON)
        slow = past.values[row, target] - np.array(origin.expected)
        # Means are rounded in another place.
        assert np.abs(errors.values[row, target] - slow).max() <= 2


def test_very_large_values_are_scaled_down_and_lose_no_more_than_a_few_bits():
    small, large = cases(5, 10**6), cases(5, 10**12)
    errors = similar_day_errors(large, ON).values
    expected = similar_day_errors(small, ON).values * 10**6
    assert np.abs(errors - expected)[large.complete].max() <= 10**9


def test_a_bridge_takes_from_each_error_what_it_adds_to_an_estimate():
    random = np.random.default_rng(2)
    errors = DayErrors(random.integers(-(10**6), 10**6, (1, 5, SLOTS)), np.ones((1, 5), dtype=bool))
    slot = np.array([4, 5, 6, 22, 23])
    has_right = np.array([True, True, True, False, False])
    before, after = np.array([1, 2, 3, 1, 2]), np.array([3, 2, 1, 9, 9])
    row, nothing = np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64)
    correlation = np.array([CORRELATION_ONE * 7 // 10])
    ends = Ends(row, before, after, nothing, nothing, np.ones(5, dtype=bool), has_right)
    found, present = bridged_errors(errors, slot, ends, correlation)
    assert present.all()
    for day in range(5):
        values = errors.values[0, day]
        right = values[np.minimum(slot + after, SLOTS - 1)]
        own = Ends(row, before, after, values[slot - before], right, ends.has_left, has_right)
        assert np.abs(found[:, day] - (values[slot] - bridge(own, correlation))).max() <= 1


def test_an_edge_beyond_midnight_has_the_error_of_the_day_beside_a_past_day():
    random = np.random.default_rng(3)
    errors = DayErrors(random.integers(-(10**6), 10**6, (1, 5, SLOTS)), np.array([[True, True, False, True, True]]))
    # Slots 0 and 1 from slot 22 of the day before to slot 3; slots 22 and 23 from slot 21 to slot 1 of the day after.
    slot, before, after = np.array([0, 1, 22, 23]), np.array([2, 3, 1, 2]), np.array([3, 2, 3, 2])
    row, nothing, exist = np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64), np.ones(4, dtype=bool)
    correlation = np.array([CORRELATION_ONE * 7 // 10])
    bridged, present = bridged_errors(
        errors, slot, Ends(row, before, after, nothing, nothing, exist, exist), correlation
    )
    # The nearest day is the first: the day before the last is not among them, nor the day after the first.
    heads, tails = [True, False, False, True, False], [False, True, False, False, True]
    assert present.tolist() == [heads, heads, tails, tails]
    values = errors.values[0]
    for day, m in [(0, 0), (3, 1), (1, 2), (4, 3)]:
        left = values[day + 1, 22] if m < 2 else values[day, 21]
        right = values[day, 3] if m < 2 else values[day - 1, 1]
        one = slice(m, m + 1)
        own = Ends(row[one], before[one], after[one], np.array([left]), np.array([right]), exist[one], exist[one])
        assert abs(bridged[m, day] - (values[day, slot[m]] - bridge(own, correlation)[0])) <= 1


def test_an_estimate_by_similar_days_has_an_interval_in_every_slot_and_is_the_same_value_as_without():
    past = past_of(DAY, lambda r, b, s: 1_000_000 + (b * 7_919 + s * 104_729 + r) % 500_000, series=3)
    value = np.full((3, SLOTS), 1_200_000)
    needed = gap(8, 14, series=3, slots=SLOTS)
    with_intervals = estimate(past, value, needed, parameters=ON)
    without = estimate(past, value, needed, parameters=EstimationParameters(similar_days=10))
    assert np.array_equal(with_intervals.value, without.value)
    assert without.offsets is None
    assert with_intervals.offsets is not None
    assert with_intervals.offsets.known.tolist() == [True] * 18
    assert (with_intervals.offsets.low < with_intervals.offsets.high).all()
    assert (with_intervals.sum_days, with_intervals.slot_days) == (without.sum_days, without.slot_days)


def test_blocks_of_series_give_the_same_offsets(monkeypatch):
    past = past_of(DAY, lambda r, b, s: 1_000_000 + (b * 7_919 + s * 104_729 + r * 31) % 500_000, series=5)
    value, needed = np.full((5, SLOTS), 1_200_000), gap(8, 14, series=5, slots=SLOTS)
    whole = estimate(past, value, needed, parameters=ON).offsets
    monkeypatch.setattr("metrify_assets.vee.similar_days.BLOCK_CELLS", 28 * SLOTS * 2)
    parts = estimate(past, value, needed, parameters=ON).offsets
    assert all(np.array_equal(getattr(whole, name), getattr(parts, name)) for name in ("low", "high", "variance"))


def test_the_error_of_a_like_day_is_that_of_the_mean_of_the_nearest_others_of_its_kind():
    past = cases(7)
    errors = like_day_errors(past, ON)
    row = 0
    for target in range(DAYS):
        alike = [
            place
            for place in sorted(range(DAYS), key=lambda place: (abs(place - target), -place))
            if place != target and past.complete[row, place] and past.kinds[row, place] == past.kinds[row, target]
        ][: ON.like_days]
        assert errors.present[row, target] == (past.complete[row, target] and len(alike) >= ON.min_like_days)
        if not errors.present[row, target]:
            continue
        mean = past.values[row, alike].mean(axis=0)
        compared = past.compared[row]
        level = np.clip(past.values[row, target][compared].sum() / mean[compared].sum(), 0.5, 2)
        slow = past.values[row, target] - mean * round(level, 3)
        assert np.abs(errors.values[row, target] - slow).max() <= 2


def test_whole_missing_days_have_an_interval_from_all_days_of_the_look_back_and_name_them():
    past = past_of(DAY, lambda r, b, s: 1_000_000 + (b * 7_919 + s * 104_729) % 500_000)
    needed = np.ones((1, SLOTS), dtype=bool)
    gaps = DayWithGaps(DeliveryDay(DAY, ZONE), 60, np.array([0]), needed, ~needed, np.zeros((1, SLOTS), dtype=np.int64))
    plain = like_day_estimate(gaps, past, LikeDays(), ON)
    found = with_like_day_offsets(gaps, plain, past, LikeDays(), ON)
    assert found.offsets is not None
    assert found.offsets.known.all()
    assert np.array_equal(found.value, plain.value)
    assert found.sum_days == {DAY - timedelta(days=back) for back in range(1, 29)}


def test_a_history_of_eight_days_gives_an_estimate_without_an_interval():
    past = past_of(DAY, lambda r, b, s: 1_000_000 + (b * 7_919 + s * 104_729) % 500_000, back=8)
    found = estimate(past, np.full((1, SLOTS), 1_200_000), gap(8, 14, slots=SLOTS), parameters=ON)
    assert found.has_value.sum() == 6
    assert found.offsets is not None
    assert not found.offsets.known.any()


def lines(values: np.ndarray, usable: np.ndarray) -> Interpolated:
    return interpolate_short_gaps(values, usable, 8, lambda rows: None, lambda rows: None)


def test_the_errors_of_a_line_are_those_of_lines_of_its_length_over_the_measured_day():
    random = np.random.default_rng(3)
    slots = 40
    values = random.integers(0, 10**6, (2, slots))
    usable = np.ones((2, slots), dtype=bool)
    usable[0, 10:12] = usable[0, 20:21] = usable[1, 5:7] = False
    points = lines(values, usable)
    found = line_offsets(values, usable, points)
    for number, (row, slot) in enumerate(zip(points.row.tolist(), points.slot.tolist(), strict=True)):
        length = int(points.spacing[number])
        starts = [s for s in range(slots - length) if usable[row, s : s + length + 1].all()]
        errors = [
            [
                int(
                    values[row, s + at]
                    - np.rint(values[row, s] + (values[row, s + length] - values[row, s]) * at / length)
                )
                for s in starts
            ]
            for at in range(1, length)
        ]
        cells = np.zeros(length - 1, dtype=np.int64), np.arange(length - 1)
        slow = offsets_from_errors(*cells, np.array(errors), np.ones((length - 1, len(starts)), dtype=bool))
        place = int(points.position[number]) - 1
        assert slot - place in (10, 20, 5)
        for name in ("low", "high", "variance", "known"):
            assert getattr(found, name)[number] == pytest.approx(getattr(slow, name)[place], abs=2)


def test_a_day_of_minutes_draws_a_bounded_number_of_lines():
    values = np.random.default_rng(4).integers(0, 10**6, (1, 1_440))
    usable = np.ones((1, 1_440), dtype=bool)
    usable[0, 700:703] = False
    found = line_offsets(values, usable, lines(values, usable))
    assert found.known.all()
    assert MOST_LINES >= 9


def test_a_line_on_a_day_that_is_hardly_measured_has_no_interval():
    values, usable = np.full((1, 24), 1_000_000), np.zeros((1, 24), dtype=bool)
    usable[0, [3, 5, 6, 7]] = True
    found = line_offsets(values, usable, lines(values, usable))
    assert len(found.known) > 0
    assert not found.known.any()


def test_a_day_with_a_clock_change_before_it_has_intervals_too():
    day = date(2026, 3, 31)
    past = past_of(day, lambda r, b, s: 1_000_000 + (b * 7_919 + s * 104_729) % 500_000)
    found = estimate(past, np.full((1, SLOTS), 1_200_000), gap(1, 6, slots=SLOTS), day=day, parameters=ON)
    assert found.offsets is not None
    assert found.offsets.known.all()


def test_a_line_as_long_as_the_day_has_no_past_errors_and_no_interval():
    row, slot = np.zeros(3, dtype=np.int64), np.arange(3)
    offsets = offsets_from_errors(row, slot, np.empty((3, 0), dtype=np.int64), np.empty((3, 0), dtype=bool))
    assert offsets.known.tolist() == [False] * 3
