"""When a goal is met, and when it was not scored."""

from __future__ import annotations

import pytest

from metrify_assets.scoring.drift import Drift
from metrify_assets.scoring.estimates import Error, EstimateScore
from metrify_assets.scoring.goals import NEARLY_PERFECT_RULES, PERFECT_RULES, judge
from metrify_assets.scoring.measures import Score

NO_DRIFT = Drift(scaled=3, refused=0, unscaled=0, drifting=0, largest_micro_kwh=0)


def of_rules(**changed: tuple[int, int, int]) -> list[Score]:
    counts = {rule: changed.get(rule, (100, 100, 100)) for rule in (*PERFECT_RULES, *NEARLY_PERFECT_RULES)}
    return [Score(rule, "", "slots", *numbers, {}, {}) for rule, numbers in counts.items()]


def like_day(error: float, line: float) -> list[EstimateScore]:
    return [EstimateScore("like_day", "4-24 h", 10, Error(error, 0.1), {"linear_only": Error(line, 0.2)})]


def met(goals) -> dict[str, bool | None]:
    return {goal.name.removesuffix(": precision, recall"): goal.met for goal in goals}


def test_all_goals_can_be_met():
    assert set(met(judge(of_rules(), like_day(0.7, 1.0), NO_DRIFT)).values()) == {True}


@pytest.mark.parametrize(
    ("rule", "counts", "expected"),
    [
        ("gap", (100, 101, 100), False),
        ("gap", (100, 99, 99), False),
        ("stuck", (100, 105, 100), True),
        ("stuck", (100, 106, 100), False),
        ("spike", (100, 95, 95), True),
        ("spike", (100, 94, 94), False),
        ("spike", (100, 0, 0), False),
        ("sum_check", (0, 0, 0), None),
    ],
)
def test_precision_and_recall_must_both_reach_the_target(rule, counts, expected):
    assert met(judge(of_rules(**{rule: counts}), like_day(0.7, 1.0), NO_DRIFT))[rule] is expected


def test_other_days_must_be_thirty_percent_better_than_lines():
    name = "other days against linear over 4 h: error"
    assert met(judge(of_rules(), like_day(0.71, 1.0), NO_DRIFT))[name] is False
    assert met(judge(of_rules(), [], NO_DRIFT))[name] is None


def test_a_single_micro_kilowatt_hour_of_drift_fails():
    drift = Drift(scaled=3, refused=0, unscaled=0, drifting=1, largest_micro_kwh=1)
    assert met(judge(of_rules(), like_day(0.7, 1.0), drift))["register scaling: energy drift"] is False


def test_what_is_not_complete_never_shows_as_complete():
    (goal,) = [goal for goal in judge(of_rules(gap=(23_275, 23_276, 23_275)), [], NO_DRIFT) if "gap" in goal.name]
    assert goal.value == "99.99%, 100.00%"
    assert goal.met is False
