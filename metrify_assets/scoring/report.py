"""A score as tables for people and as a record for machines, and the plan that is scored.

Belongs here: putting the measures together and showing them. Does not belong here: the measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from metrify_assets.scoring.drift import Drift, energy_drift
from metrify_assets.scoring.estimates import EstimateScore, score_estimates
from metrify_assets.scoring.goals import Goal, judge
from metrify_assets.scoring.measures import Score
from metrify_assets.scoring.rules import score_rules
from metrify_assets.scoring.run import run_simulation
from metrify_assets.simulator.plan import EVENT_RATES, SimulationPlan
from metrify_assets.simulator.utility import simulate

_SHOWN_KINDS = 3
POWER_QUALITY_POINTS = 8
"""Points of a scored plan that deliver power quality: enough to have every fault of it."""


@dataclass(frozen=True)
class Report:
    """A simulation and how the platform did on it.

    Attributes
    ----------
    plan : SimulationPlan
    rules : list of Score
    estimates : list of EstimateScore
    not_compared : int
        Estimated slots that no baseline could be compared with.
    drift : Drift
    goals : list of Goal
    """

    plan: SimulationPlan
    rules: list[Score]
    estimates: list[EstimateScore]
    not_compared: int
    drift: Drift
    goals: list[Goal]

    @property
    def goals_met(self) -> bool:
        """Whether every goal that was scored is met."""
        return all(goal.met is not False for goal in self.goals)

    def as_record(self) -> dict[str, Any]:
        """Return plain data: per rule precision and recall, errors per method and gap length, drift, goals."""
        return {
            "plan": asdict(self.plan),
            "rules": [{**asdict(score), "precision": score.precision, "recall": score.recall} for score in self.rules],
            "estimates": [asdict(estimate) for estimate in self.estimates],
            "not_compared": self.not_compared,
            "drift": asdict(self.drift),
            "goals": [asdict(goal) for goal in self.goals],
            "goals_met": self.goals_met,
        }


def scored_plan(points: int, days: int, seed: int, first_day: date) -> SimulationPlan:
    """Return the simulator's own mix of loads with rare faults twice as often, so that there is something to count."""
    plan = SimulationPlan(points=points, days=days, seed=seed, first_day=first_day)
    rare = {
        name: 2 * getattr(plan, name)
        for name in (*EVENT_RATES, "stuck_across_midnight_rate")
        if getattr(plan, name) < 0.01
    }
    plan = replace(plan, **rare, silence_rate=0.02, unit_mismatch_rate=0.03, register_share=0.5)
    return replace(plan, power_quality_points=min(points, POWER_QUALITY_POINTS))


def score(plan: SimulationPlan, progress: Callable[[str], None]) -> Report:
    """Run a simulation through the platform in a temporary folder and score it."""
    with TemporaryDirectory(prefix="metrify-score-") as root:
        evidence = run_simulation(simulate(plan), Path(root), progress)
    progress("comparing")
    rules = score_rules(evidence)
    observed = evidence.final.observed
    estimates, not_compared = score_estimates(observed.value, observed.has_value, observed.method, evidence.truth)
    drift = energy_drift(evidence)
    return Report(plan, rules, estimates, not_compared, drift, judge(rules, estimates, drift))


def show(report: Report, console: Console) -> None:
    """Print all tables."""
    plan = report.plan
    console.print(f"{plan.points} points, {plan.days} days from {plan.first_day}, seed {plan.seed}")
    console.print(_meanings_table(report.rules))
    console.print(_rules_table(report.rules))
    console.print(_estimates_table(report))
    drift = report.drift
    console.print(
        f"Register scaling: {drift.scaled} periods scaled, {drift.drifting} of them drift, "
        f"{drift.refused} refused, {drift.unscaled} with estimates or missing slots not scaled"
    )
    console.print(_goals_table(report.goals))


def _rules_table(scores: list[Score]) -> Table:
    table = Table(title="Rules: injected against found", title_justify="left")
    table.add_column("rule", no_wrap=True)
    for name in ("injected", "found", "precision", "recall"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("without label or missed, by load")
    for score in scores:
        loads = [_kinds(score.false_in), "missed " + _kinds(score.missed_in) if score.missed_in else ""]
        table.add_row(
            *(score.rule, f"{score.injected:,} {score.unit}", f"{score.found:,}"),
            *(_share(score.precision), _share(score.recall), "; ".join(filter(None, loads))),
        )
    return table


def _meanings_table(scores: list[Score]) -> Table:
    table = Table(title="What counts as found", title_justify="left", show_header=False)
    for score in scores:
        table.add_row(score.rule, score.found_by)
    return table


def _estimates_table(report: Report) -> Table:
    table = Table(
        title=f"Estimates: MAE in Wh (WAPE); {report.not_compared:,} slots without a baseline left out",
        title_justify="left",
    )
    table.add_column("method")
    table.add_column("gap")
    for name in ("slots", "ours", "carry forward", "linear only", "mean of meter"):
        table.add_column(name, justify="right")
    for estimate in report.estimates:
        errors = (estimate.error, *estimate.baselines.values())
        table.add_row(
            estimate.method,
            estimate.length,
            f"{estimate.slots:,}",
            *(f"{error.mae_kwh * 1_000:.0f} ({_share(error.wape)})" for error in errors),
        )
    return table


def _goals_table(goals: list[Goal]) -> Table:
    table = Table(title="Goals", title_justify="left")
    for name in ("goal", "target", "measured", "met"):
        table.add_column(name)
    for goal in goals:
        table.add_row(goal.name, goal.target, goal.value, {True: "yes", False: "NO", None: "-"}[goal.met])
    return table


def _share(value: float | None) -> str:
    # Rounded down: what is not complete never shows as 100 %.
    return "-" if value is None else f"{floor(value * 1_000) / 10:.1f}%"


def _kinds(counts: dict[str, int]) -> str:
    shown = [f"{kind} {count:,}" for kind, count in list(counts.items())[:_SHOWN_KINDS]]
    return ", ".join(shown) + (" ..." if len(counts) > _SHOWN_KINDS else "")
