"""``metrify score``: what the platform finds and estimates, of a simulated utility, real series, or the own lake."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import click
from click.core import ParameterSource

from metrify_assets.cli.common import as_json, day_of, print_json
from metrify_assets.errors import MetrifyError

SIMULATED_DAYS = 400
_OF_SIMULATION = ("points", "first_day", "require_goals")
_OF_GAPS = ("gaps",)


@click.command()
@click.option("--points", type=click.IntRange(4, 100_000), default=200, show_default=True)
@click.option(
    "--days",
    default=None,
    metavar="N|FIRST..LAST",
    help="Simulated: number of days (42). Else the days that gaps are cut into, such as 2026-10-01..2026-10-31.",
)
@click.option("--seed", type=click.IntRange(min=0), default=20260301, show_default=True)
@click.option("--first-day", default="2026-10-01", show_default=True, help="First delivery day of a past period.")
@click.option("--require-goals", is_flag=True, help="Exit 1 if a goal is not met.")
@click.option("--lake", is_flag=True, help="Cut gaps into the measured days of this installation. Nothing is written.")
@click.option(
    "--real",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FOLDER]",
    help="Cut gaps into real series in FOLDER, or in the folder that METRIFY_REAL_DATA names.",
)
@click.option(
    "--gaps",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="Gaps of each class, direction, place and length at most.",
)
@as_json
@click.pass_context
def score(
    context: click.Context,
    points: int,
    days: str | None,
    seed: int,
    first_day: str,
    require_goals: bool,
    lake: bool,
    real: str | None,
    gaps: int,
    to_json: bool,
) -> None:
    """Say how good rules and estimates are.

    Without --lake and --real a utility is simulated, and what the platform finds and estimates is compared with what is
    true. With one of them gaps are cut into measured days, and every edition of the rule book estimates them: the
    tables show the errors beside a straight line, and which edition is the best for which class of points.
    """
    if lake and real is not None:
        raise MetrifyError("--lake and --real are two different scores: give one of them")
    if lake or real is not None:
        _refuse(context, _OF_SIMULATION, "is of the simulation: leave it out with --lake and --real")
        _score_gaps(real, days, gaps, seed, to_json)
        return
    _refuse(context, _OF_GAPS, "is of gaps in measured days: give --lake or --real as well")
    _score_simulation(points, _number_of_days(days), seed, day_of(first_day), require_goals, to_json)


def _refuse(context: click.Context, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise MetrifyError(f"--{name.replace('_', '-')} {why}")


def _number_of_days(text: str | None) -> int:
    if text is None:
        return 42
    if not text.isdecimal() or not 1 <= int(text) <= SIMULATED_DAYS:
        raise MetrifyError(
            f"--days {text!r}: of a simulation give a number from 1 to {SIMULATED_DAYS}; of measured days, --lake or "
            "--real as well"
        )
    return int(text)


def _span(text: str) -> tuple[date, date]:
    first_text, separator, last_text = text.partition("..")
    if not separator:
        raise MetrifyError(f"--days {text!r}: give the first and the last day, such as 2026-10-01..2026-10-31")
    first, last = day_of(first_text), day_of(last_text)
    if first > last:
        raise MetrifyError(f"--days {text}: the first day comes after the last one")
    return first, last


def _score_gaps(real: str | None, days: str | None, gaps: int, seed: int, to_json: bool) -> None:
    from rich.console import Console

    from metrify_assets.library.installation import opened_platform
    from metrify_assets.reference.rule_books import rule_book
    from metrify_assets.scoring.gaps import report, run
    from metrify_assets.settings import Settings

    span = None if days is None else _span(days)
    with Console(stderr=True).status("reading") as status:
        if real is None:
            if span is None:
                raise MetrifyError("say which days are scored: --days 2026-10-01..2026-10-31")
            platform = opened_platform()
            scored = run.score_lake(platform, *span, gaps=gaps, seed=seed, progress=status.update)
        else:
            book = rule_book(Settings.from_env())
            scored = run.score_files(_folder(real), book, span, gaps=gaps, seed=seed, progress=status.update)
    if to_json:
        print_json(scored.as_record())
    else:
        report.show(scored, Console())


def _folder(named: str) -> Path:
    """Return the folder of real files that is named, or that of the environment."""
    from metrify_assets.scoring.gaps.real_series import VARIABLE

    text = named or os.environ.get(VARIABLE, "")
    if not text:
        raise MetrifyError(f"{VARIABLE} is not set: set it to the folder of real files, or name it after --real")
    return Path(text)


def _score_simulation(points: int, days: int, seed: int, first_day: date, require_goals: bool, to_json: bool) -> None:
    from rich.console import Console

    from metrify_assets.scoring import report

    plan = report.scored_plan(points, days, seed, first_day)
    with Console(stderr=True).status("simulating") as status:
        scored = report.score(plan, status.update)
    if to_json:
        print_json(scored.as_record())
    else:
        report.show(scored, Console())
    if require_goals and not scored.goals_met:
        missed = ", ".join(goal.name for goal in scored.goals if goal.met is False)
        raise MetrifyError(f"goals not met: {missed}")
