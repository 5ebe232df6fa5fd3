"""Errors of gaps, ratios and intervals, against numbers worked out by hand and a slow working-out."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from rich.console import Console

from metrify_assets.scoring.gaps.editions import FEWEST_GAPS, Choice, choose
from metrify_assets.scoring.gaps.errors import CARRY, LINE, RESAMPLES, GapErrors, gap_errors
from metrify_assets.scoring.gaps.measured_days import Group
from metrify_assets.scoring.gaps.places import Cell, Place
from metrify_assets.scoring.gaps.report import GapReport, show
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.uncertainty import IntervalPlanes

TRUTH = np.array([[10, 20, 60, 20, 50, 30]])
CUT = np.array([[False, True, True, True, False, False]])
EVERYWHERE = np.ones((1, 6), dtype=bool)


def estimate(*values: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[0, *values, 0, 0]]), CUT.copy()


def errors_of(line: list[float], **methods: list[float]) -> GapErrors:
    """Return gaps with these errors, each of energy 100 and estimated rightly."""
    error = {LINE: np.array(line, dtype=float)} | {name: np.array(each, float) for name, each in methods.items()}
    energy = np.full(len(line), 100.0)
    return GapErrors(energy, error, dict.fromkeys(error, energy))


def test_errors_and_energies_are_those_worked_out_by_hand():
    # The line from 10 to 50 is 20, 30, 40: errors 0 + 30 + 20. Carried on, 10 errs by 10 + 50 + 10.
    errors, compared = gap_errors(TRUTH, EVERYWHERE, CUT, {"ours": estimate(15, 45, 30)})
    assert compared.tolist() == [True]
    assert errors.energy.tolist() == [100]
    assert {name: error.tolist() for name, error in errors.error.items()} == {LINE: [50], CARRY: [70], "ours": [30]}
    assert errors.line_wape() == 0.5
    assert (errors.ratio("ours"), errors.ratio(CARRY), errors.ratio(LINE)) == (0.6, 1.4, 1.0)
    assert (errors.energy_ratio("ours"), errors.energy_ratio(CARRY), errors.energy_ratio(LINE)) == (0.9, 0.3, 0.9)


def test_a_line_begins_at_the_nearest_value_that_is_usable_and_a_gap_at_the_beginning_has_one_end():
    usable = EVERYWHERE.copy()
    usable[0, 4] = False
    # From 10 in slot 0 to 30 in slot 5: 14, 18, 22.
    errors, _ = gap_errors(TRUTH, usable, CUT, {})
    assert errors.error[LINE].tolist() == [6 + 42 + 2]
    usable[0, 0] = False
    errors, _ = gap_errors(TRUTH, usable, CUT, {})
    assert errors.error[LINE].tolist() == errors.error[CARRY].tolist() == [10 + 30 + 10]


def test_a_gap_that_one_method_cannot_estimate_is_left_out_for_all():
    values, has_value = estimate(15, 45, 30)
    has_value[0, 2] = False
    errors, compared = gap_errors(TRUTH, EVERYWHERE, CUT, {"ours": estimate(1, 2, 3), "theirs": (values, has_value)})
    assert (len(errors), errors.left_out, compared.tolist()) == (0, 1, [False])
    assert errors.ratio("ours") is None
    assert errors.interval("ours", 1) is None


def test_coverage_counts_slots_and_sums_within_the_interval_ends_included():
    planes = IntervalPlanes.empty((1, 6))
    # Truth 20, 60, 20 against 15, 45, 30: within, at the upper end, beyond; the energy is 10 too low.
    planes.low[:], planes.high[:] = [[0, 10, 40, 25, 0, 0]], [[0, 20, 60, 35, 0, 0]]
    planes.known[:] = CUT
    errors, _ = gap_errors(TRUTH, EVERYWHERE, CUT, {"ours": estimate(15, 45, 30)}, {"ours": planes})
    covered = errors.coverage["ours"]
    assert (covered.of_slots, covered.of_sums) == (2 / 3, 0.0)
    # 1.28 deviations of a root of a millionth of kWh^2 are 1,282 micro-kWh: 10 are within.
    planes.variance[0, 2] = 1
    errors, _ = gap_errors(TRUTH, EVERYWHERE, CUT, {"ours": estimate(15, 45, 30)}, {"ours": planes})
    assert errors.coverage["ours"].of_sums == 1.0
    planes.known[0, 3] = False
    errors, _ = gap_errors(TRUTH, EVERYWHERE, CUT, {"ours": estimate(15, 45, 30)}, {"ours": planes})
    covered = GapErrors.together([errors, errors]).take(np.array([1])).coverage["ours"]
    assert (covered.of_slots, covered.of_sums) == (1.0, None)


@pytest.mark.parametrize("value", [0, 7])
def test_of_a_constant_series_no_ratio_is_said_and_nothing_warns(value):
    truth = np.full((1, 6), value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        errors, _ = gap_errors(truth, EVERYWHERE, CUT, {"ours": estimate(value, value, value + 1)})
        assert errors.ratio("ours") is None
        assert errors.interval("ours", 1) is None
        assert errors.difference("ours", LINE, 1) is None
    assert errors.line_wape() == (0 if value else None)
    assert errors.energy_ratio("ours") == (pytest.approx(22 / 21) if value else None)


def test_the_interval_is_that_of_gaps_drawn_again():
    random = np.random.default_rng(3)
    line, ours = random.uniform(1, 5, 40), random.uniform(0, 4, 40)
    errors = errors_of(line.tolist(), ours=ours.tolist())
    drawn = np.random.default_rng(11).integers(0, 40, (RESAMPLES, 40))
    ratios = sorted(sum(ours[g] for g in gaps) / sum(line[g] for g in gaps) for gaps in drawn.tolist())
    low, high = errors.interval("ours", 11)
    assert low == pytest.approx(np.interp(0.025 * (RESAMPLES - 1), range(RESAMPLES), ratios))
    assert high == pytest.approx(np.interp(0.975 * (RESAMPLES - 1), range(RESAMPLES), ratios))
    assert low < errors.ratio("ours") < high


def test_a_draw_in_which_the_line_makes_no_error_has_no_ratio():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert errors_of([0, 0, 0, 5], ours=[0, 0, 0, 1]).interval("ours", 3) is None
    assert errors_of([0, 0, 0, 5], ours=[0, 0, 0, 1]).ratio("ours") == 0.2


def test_the_best_edition_is_the_one_with_the_least_error_and_certain_if_the_whole_interval_says_so():
    same = [4.0] * FEWEST_GAPS
    errors = errors_of(same, now=same, new=[3.0] * FEWEST_GAPS)
    assert choose(errors, "now", 1) == Choice("new", "now", -0.25, -0.25)
    assert choose(errors, "now", 1).certain
    # The one in force is the best: it is compared with the next.
    assert choose(errors, "new", 1) == Choice("new", "now", -0.25, -0.25)
    halves = FEWEST_GAPS // 2
    doubtful = choose(errors_of(same, now=same, new=[0.1] * halves + [7.8] * halves), "now", 1)
    assert doubtful.best == "new"
    assert not doubtful.certain


def test_equally_good_editions_and_too_few_gaps_have_no_best():
    same = [4.0] * FEWEST_GAPS
    assert choose(errors_of(same, now=same, new=same), "now", 1) == Choice(None, "new")
    few = same[1:]
    assert choose(errors_of(few, now=few, new=[0.0] * len(few)), "now", 1) == Choice()


def test_a_class_whose_best_edition_is_worse_than_a_line_is_named():
    cell, same = Cell(Place.INSIDE, 8), [4.0] * FEWEST_GAPS
    errors = {
        (Group("ev", "import"), cell): errors_of(same, now=[6.0] * FEWEST_GAPS, new=[5.0] * FEWEST_GAPS),
        (Group("", "import"), cell): errors_of(same, now=same, new=[1.0] * FEWEST_GAPS),
    }
    report = GapReport.of("a test", errors, {"now": DayRules(), "new": DayRules()}, "now", 1)
    assert [each["worse_than_a_line"] for each in report.as_record()["classes"]] == [True, False]
    assert report.classes[0].methods["new"].error_to_line == 1.25
    text = io.StringIO()
    show(report, Console(file=text, width=200))
    assert text.getvalue().splitlines()[-1] == "Even the best edition is worse than a straight line on the whole: ev"
    assert "(no class)" in text.getvalue()
