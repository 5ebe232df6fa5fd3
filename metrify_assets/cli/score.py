"""``metrify score``: a simulated utility against what the platform finds and estimates of it."""

from __future__ import annotations

import click

from metrify_assets.cli.common import as_json, day_of, print_json
from metrify_assets.errors import MetrifyError


@click.command()
@click.option("--points", type=click.IntRange(4, 100_000), default=200, show_default=True)
@click.option("--days", type=click.IntRange(1, 400), default=42, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=20260301, show_default=True)
@click.option("--first-day", default="2026-10-01", show_default=True, help="First delivery day of a past period.")
@click.option("--require-goals", is_flag=True, help="Exit 1 if a goal is not met.")
@as_json
def score(points: int, days: int, seed: int, first_day: str, require_goals: bool, to_json: bool) -> None:
    """Simulate a utility and compare what the platform finds and estimates with what is true.

    The default period holds 2026-10-25, the day with 25 hours.
    """
    from rich.console import Console

    from metrify_assets.scoring import report

    plan = report.scored_plan(points, days, seed, day_of(first_day))
    with Console(stderr=True).status("simulating") as status:
        scored = report.score(plan, status.update)
    if to_json:
        print_json(scored.as_record())
    else:
        report.show(scored, Console())
    if require_goals and not scored.goals_met:
        missed = ", ".join(goal.name for goal in scored.goals if goal.met is False)
        raise MetrifyError(f"goals not met: {missed}")
