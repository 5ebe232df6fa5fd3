"""Baselines and errors, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from metrify_assets.scoring.estimates import (
    Error,
    carry_forward,
    improvement_over_linear,
    linear_only,
    mean_of_meter,
    run_lengths,
    score_estimates,
)

VALUE = np.array([[4, 0, 0, 0, 12, 8, 0]], dtype=np.int64)
USABLE = np.array([[True, False, False, False, True, True, False]])


def test_a_run_is_as_long_as_its_slots():
    mask = np.array([[True, False, True, True], [False, False, False, True]])
    assert run_lengths(mask).tolist() == [[1, 0, 2, 2], [0, 0, 0, 1]]


def test_carry_forward_repeats_the_last_value():
    values, has_value = carry_forward(VALUE, USABLE)
    assert values.tolist() == [[4, 4, 4, 4, 12, 8, 8]]
    assert has_value.all()


def test_nothing_can_be_carried_to_the_first_slots():
    _, has_value = carry_forward(VALUE[:, 1:], USABLE[:, 1:])
    assert has_value.tolist() == [[False, False, False, True, True, True]]


def test_a_line_joins_the_values_around_a_gap_however_long():
    values, has_value = linear_only(VALUE, USABLE)
    assert values.tolist() == [[4, 6, 8, 10, 12, 8, 8]]
    assert has_value.all()


def test_at_the_beginning_a_line_takes_the_one_value_that_there_is():
    values, _ = linear_only(VALUE[:, 1:], USABLE[:, 1:])
    assert values[0, :3].tolist() == [12, 12, 12]


def test_the_mean_of_the_meter_looks_back_only():
    values, has_value = mean_of_meter(VALUE, USABLE)
    assert has_value.tolist() == [[False, True, True, True, True, True, True]]
    assert values[0, 1:].tolist() == [4, 4, 4, 4, 8, 8]


def test_the_mean_of_the_meter_forgets_after_28_days():
    slots = 28 * 96 + 2
    value = np.zeros((1, slots), dtype=np.int64)
    usable = np.zeros((1, slots), dtype=bool)
    value[0, 0], usable[0, 0] = 7, True
    _, has_value = mean_of_meter(value, usable)
    assert has_value[0, 28 * 96]
    assert not has_value[0, 28 * 96 + 1]


def test_errors_are_means_and_shares_of_the_true_energy():
    error = Error.of(np.array([1_000_000, 3_000_000]), np.array([2_000_000, 2_000_000]))
    assert error == Error(mae_kwh=1.0, wape=0.5)
    assert Error.of(np.array([5]), np.array([0])).wape is None


def test_methods_and_gap_lengths_are_scored_apart_with_the_baselines_on_the_same_slots():
    slots = 40
    truth = np.full((1, slots), 10_000_000, dtype=np.int64)
    value = truth.copy()
    method = np.full((1, slots), None, dtype=object)
    method[0, 5:7] = "linear"
    value[0, 5:7] = 11_000_000
    method[0, 15:35] = "like_day"
    value[0, 15:35] = 12_000_000
    scores, not_compared = score_estimates(value, np.ones((1, slots), dtype=bool), method, truth)
    errors = {(score.method, score.length): (score.slots, score.error.mae_kwh) for score in scores}
    assert errors == {("linear", "<= 2 h"): (2, 1.0), ("like_day", "4-24 h"): (20, 2.0)}
    assert all(score.baselines["linear_only"].mae_kwh == 0 for score in scores)
    assert not_compared == 0


def test_a_missing_slot_lengthens_the_gap_but_is_no_estimate():
    truth = np.full((1, 30), 1_000_000, dtype=np.int64)
    method = np.full((1, 30), None, dtype=object)
    method[0, 5] = "linear"
    has_value = np.ones((1, 30), dtype=bool)
    has_value[0, 6:16] = False
    (score,), _ = score_estimates(truth, has_value, method, truth)
    assert (score.length, score.slots) == ("2-4 h", 1)


def test_an_estimate_before_any_value_is_left_out_and_counted():
    truth = np.full((1, 4), 1_000_000, dtype=np.int64)
    method = np.array([["profile", None, None, None]], dtype=object)
    assert score_estimates(truth, np.ones((1, 4), dtype=bool), method, truth) == ([], 1)


def test_the_improvement_weighs_every_slot_alike():
    truth = np.arange(80, dtype=np.int64).reshape(1, 80) % 2 * 2_000_000
    method = np.full((1, 80), None, dtype=object)
    method[0, 1:31] = "like_day"
    value = truth.copy()
    value[0, 1:31] = truth[0, 1:31] + 250_000
    scores, _ = score_estimates(value, np.ones((1, 80), dtype=bool), method, truth)
    # From slot 0 (0 kWh) to slot 31 (2 kWh), a line is 1 kWh off on average.
    lines = np.abs(np.linspace(0, 2, 32)[1:31] - truth[0, 1:31] / 1e6).mean()
    assert improvement_over_linear(scores, ("like_day",), ("4-24 h",)) == pytest.approx(1 - 0.25 / lines)
    assert improvement_over_linear(scores, ("profile",), ("4-24 h",)) is None
