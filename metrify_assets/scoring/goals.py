"""What is aimed at, and whether it is reached.

Belongs here: the goals. Does not belong here: measuring (``rules.py``, ``estimates.py``, ``drift.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

from metrify_assets.scoring.drift import Drift
from metrify_assets.scoring.estimates import EstimateScore, improvement_over_linear
from metrify_assets.scoring.measures import Score

PERFECT_RULES = (
    *("gap", "duplicate", "negative", "collapsed_dst"),
    *("register_decrease", "register_rollover", "meter_exchange", "sum_check"),
)
NEARLY_PERFECT_RULES = ("spike", "stuck")
NEARLY_PERFECT = 0.95
OTHER_DAYS = ("similar_day", "like_day")
"""Methods that look at other days."""
OTHER_DAYS_IMPROVEMENT = 0.30
LONG_GAPS = ("4-24 h", "> 24 h")


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes
    ----------
    name, target, value : str
        Value as measured; ``not scored`` where the simulation holds nothing of it.
    met : bool or None
        None where it was not scored.
    """

    name: str
    target: str
    value: str
    met: bool | None


def judge(scores: Iterable[Score], estimates: list[EstimateScore], drift: Drift) -> list[Goal]:
    """Return every goal and whether it is met."""
    by_rule = {score.rule: score for score in scores}
    goals = [_of_rule(by_rule[rule], 1.0) for rule in PERFECT_RULES]
    goals += [_of_rule(by_rule[rule], NEARLY_PERFECT) for rule in NEARLY_PERFECT_RULES]
    gain = improvement_over_linear(estimates, OTHER_DAYS, LONG_GAPS)
    target = f"at least {OTHER_DAYS_IMPROVEMENT:.0%} lower"
    name = "other days against linear over 4 h: error"
    if gain is None:
        goals.append(Goal(name, target, "not scored", None))
    else:
        goals.append(Goal(name, target, f"{gain:.1%} lower", gain >= OTHER_DAYS_IMPROVEMENT))
    value = f"{drift.largest_micro_kwh / 1_000_000:.6f} kWh in {drift.scaled} periods"
    met = None if drift.scaled == 0 else drift.drifting == 0
    goals.append(Goal("register scaling: energy drift", "0", value if drift.scaled else "not scored", met))
    return goals


def _of_rule(score: Score, target: float) -> Goal:
    name, aim = f"{score.rule}: precision, recall", f"{target:.0%}"
    if score.injected == 0:
        return Goal(name, aim, "not scored", None)
    # What finds nothing makes no mistake: precision counts from the first finding on.
    reached = (
        score.recall is not None and score.recall >= target and (score.precision is None or score.precision >= target)
    )
    return Goal(name, aim, f"{_share(score.precision)}, {_share(score.recall)}", reached)


def _share(value: float | None) -> str:
    """Return a share as text, rounded down: what is not complete never shows as 100 %."""
    return "-" if value is None else f"{floor(value * 10_000) / 100:.2f}%"
