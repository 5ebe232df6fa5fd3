"""Gaps cut into an installation's own measured days, or into series of files, and what each edition makes of them.

Belongs here: the order of the steps. Does not belong here: the steps, and showing the result (``report.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from datetime import date
from pathlib import Path

import numpy as np

from metrify_assets.errors import DamagedFileError, MetrifyError
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import rule_book
from metrify_assets.scoring.gaps.cascade import Editions, estimate_gaps
from metrify_assets.scoring.gaps.editions import FEWEST_GAPS, compared_editions, edition_in_force
from metrify_assets.scoring.gaps.errors import GapErrors
from metrify_assets.scoring.gaps.lake import lake_days, state
from metrify_assets.scoring.gaps.measured_days import Group, MeasuredDays, choose_series, measured_series
from metrify_assets.scoring.gaps.places import CELLS, Cell, Gap, Measured, draw_gaps
from metrify_assets.scoring.gaps.real_series import available_sets, read_set
from metrify_assets.scoring.gaps.report import GapReport
from metrify_assets.scoring.gaps.series import MeasuredSeries, SeriesDays
from metrify_assets.vee.rulebook import RuleBook

Progress = Callable[[str], None]
Errors = dict[tuple[Group, Cell], GapErrors]
READ_AGAIN = 5
"""So often days that are replaced while they are read are read again."""


def score_lake(platform: Platform, first: date, last: date, *, gaps: int, seed: int, progress: Progress) -> GapReport:
    """Cut gaps into the measured days of an installation, and compare the editions of its rule book and the shipped.

    Parameters
    ----------
    platform : Platform
        Nothing in it is changed.
    first, last : date
        Days that gaps are cut into.
    gaps : int
        Of each class, direction, place and length at most.
    seed : int
    progress : callable
        Is given a line now and then.

    Raises
    ------
    MetrifyError
        If there are no such days, nothing is measured on them, or too little is to compare.
    """
    book = rule_book(platform.settings)
    editions = compared_editions(book)
    for _ in range(READ_AGAIN):
        before = state(platform)
        try:
            errors = cut_into(lake_days(platform, first, last), editions, gaps=gaps, seed=seed, progress=progress)
        except DamagedFileError:
            # Files of a day that was replaced meanwhile may be gone; those of a damaged day stay damaged.
            if state(platform) == before:
                raise
            progress("days were replaced meanwhile: reading them again")
            continue
        in_force = edition_in_force(book, editions, book.on(last))
        return _report(f"the lake, {first} to {last}", errors, editions, in_force, seed)
    raise MetrifyError("days were replaced again and again while they were read: try again when fewer runs go on")


def score_files(
    folder: Path, book: RuleBook, days: tuple[date, date] | None, *, gaps: int, seed: int, progress: Progress
) -> GapReport:
    """Cut gaps into the series of real files, and compare the editions of a rule book and the shipped.

    Parameters
    ----------
    folder : Path
        Holds folders as ``real_series.SETS`` names them.
    book : RuleBook
        Its newest edition validates the series.
    days : (date, date), optional
        Days that gaps are cut into; all of them if omitted.
    gaps, seed, progress
        As ``score_lake`` takes them.

    Raises
    ------
    MetrifyError
        If there are no files, no such days, or too little is to compare.
    """
    editions = compared_editions(book)
    newest = book.editions[-1][1]
    errors: Errors = {}
    sets = []
    for name in available_sets(folder):
        progress(f"reading {name}")
        series = [each for each in read_set(folder, name) if len(each.starts)]
        if series:
            sets.append((name, _series_days(series, RuleBook(((date.min, newest),)), days)))
    chosen = [(name, source) for name, source in sets if source.first <= source.last]
    if not chosen:
        raise MetrifyError(f"no series in {folder} has a value on the days: leave --days out, or choose others")
    for name, source in chosen:
        errors |= cut_into(source, editions, gaps=gaps, seed=seed, progress=_named(progress, name))
    return _report(str(folder), errors, editions, edition_in_force(book, editions, newest), seed)


def _named(progress: Progress, name: str) -> Progress:
    return lambda text: progress(f"{name}: {text}")


def _series_days(series: list[MeasuredSeries], book: RuleBook, days: tuple[date, date] | None) -> MeasuredDays:
    of_series = SeriesDays(series, book)
    first, last = of_series.days[0], of_series.days[-1]
    if days is not None:
        first, last = max(first, days[0]), min(last, days[1])
    return MeasuredDays(of_series, of_series, 1, first, last, lambda day, shard, keys, grid: grid.measured)


def cut_into(source: MeasuredDays, editions: Editions, *, gaps: int, seed: int, progress: Progress) -> Errors:
    """Return the errors of gaps by group and cell, estimated under every edition.

    Raises
    ------
    MetrifyError
        If no slot of any series is measured.
    """
    chosen = choose_series(source, seed)
    measured: dict[Group, list[Measured]] = defaultdict(list)
    shard_of_key: dict[tuple[str, str], int] = {}
    for number, (shard, groups) in enumerate(chosen.items(), start=1):
        progress(f"{number} of {len(chosen)} shards read")
        series = [each for of_group in groups.values() for each in of_group]
        by_key = {(each.key, each.axis.minutes): each for each in measured_series(source, shard, series)}
        for group, of_group in groups.items():
            measured[group] += [by_key[each] for each in of_group]
        shard_of_key |= {key: shard for key, _ in series}
    inside = frozenset(source.span)
    if not any(_measured_on(each, inside) for of_group in measured.values() for each in of_group):
        raise MetrifyError(f"no slot from {source.first} to {source.last} is measured: choose other days")
    drawn = {
        (group, cell): draw_gaps(of_group, source.span, cell, gaps, seed)
        for group, of_group in sorted(measured.items())
        for cell in CELLS
    }
    return _errors(source, drawn, shard_of_key, editions, progress)


def _measured_on(series: Measured, days: Set[date]) -> bool:
    axis = series.axis
    return any(
        series.measured[axis.first[number] : axis.first[number + 1]].any()
        for number, day in enumerate(axis.days)
        if day in days
    )


def _errors(
    source: MeasuredDays,
    drawn: Mapping[tuple[Group, Cell], list[Gap]],
    shard_of_key: Mapping[tuple[str, str], int],
    editions: Editions,
    progress: Progress,
) -> Errors:
    by_shard: dict[int, dict[Gap, None]] = defaultdict(dict)
    for of_cell in drawn.values():
        for gap in of_cell:
            # A gap that is drawn in two cells is cut once.
            by_shard[shard_of_key[gap.key]][gap] = None
    total = sum(map(len, by_shard.values()))
    row: dict[Gap, int] = {}
    parts = []
    done = 0
    for shard, of_shard in sorted(by_shard.items()):
        for cut in estimate_gaps(source.snapshot, source.days, shard, list(of_shard), editions):
            compared, errors = cut.errors()
            row |= {gap: len(row) + place for place, gap in enumerate(compared)}
            parts.append(errors)
            done += len(cut.gaps)
            progress(f"{done:,} of {total:,} gaps estimated under {len(editions)} editions")
    if not parts:
        return {}
    together = GapErrors.together(parts)
    result = {}
    for cell, of_cell in drawn.items():
        rows = [row[gap] for gap in of_cell if gap in row]
        if of_cell:
            result[cell] = together.take(np.array(rows, dtype=np.int64), left_out=len(of_cell) - len(rows))
    return result


def _report(source: str, errors: Errors, editions: Editions, in_force: str, seed: int) -> GapReport:
    report = GapReport.of(source, errors, editions, in_force, seed)
    most = max((group.gaps for group in report.classes), default=0)
    if most < FEWEST_GAPS:
        raise MetrifyError(
            f"too few series or days: {most} gaps of a class can be compared, {FEWEST_GAPS} are needed; choose more "
            f"days, and such that have four weeks before them"
        )
    return report
