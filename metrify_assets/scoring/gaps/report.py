"""The figures of gaps as a record for machines and as tables for people.

Belongs here: putting errors into figures, and showing them. Does not belong here: the errors (``errors.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from metrify_assets.scoring.gaps.cascade import Editions
from metrify_assets.scoring.gaps.editions import FEWEST_GAPS, Choice, choose, in_words
from metrify_assets.scoring.gaps.errors import LINE, GapErrors
from metrify_assets.scoring.gaps.measured_days import Group
from metrify_assets.scoring.gaps.places import Cell

NO_CLASS = "(no class)"
FEWEST_OF_AN_INTERVAL = 10
"""Fewer gaps drawn again say nothing of how far off their ratio is."""


@dataclass(frozen=True)
class MethodFigures:
    """How a method does on some gaps; None where no ratio can be said.

    Attributes
    ----------
    error_to_line : float or None
        Sum of the absolute errors / that of a straight line.
    low, high : float or None
        Its 95 % interval; None with fewer than ``FEWEST_OF_AN_INTERVAL`` gaps.
    energy : float or None
        Energy estimated / energy measured.
    slots_within, sums_within : float or None
        Share of the slots, and of the gaps' energies, whose measured value lies in the interval, 10 to 90 %; None
        where the method has no intervals.
    """

    error_to_line: float | None
    low: float | None
    high: float | None
    energy: float | None
    slots_within: float | None = None
    sums_within: float | None = None

    @classmethod
    def of(cls, errors: GapErrors, method: str, seed: int) -> MethodFigures:
        """Return the figures of a method."""
        interval = errors.interval(method, seed) if len(errors) >= FEWEST_OF_AN_INTERVAL else None
        low, high = interval or (None, None)
        covered = errors.coverage.get(method)
        shares = (covered.of_slots, covered.of_sums) if covered else (None, None)
        return cls(*map(_rounded, (errors.ratio(method), low, high, errors.energy_ratio(method), *shares)))


@dataclass(frozen=True)
class CellFigures:
    """Gaps of one class, direction, place and length.

    Attributes
    ----------
    point_class, direction, place : str
    hours : int
    gaps : int
        That are compared.
    left_out : int
        That a method has no estimate for: missing stays missing.
    line_wape : float or None
        Error of a straight line / energy.
    methods : dict of str to MethodFigures
        By edition, and ``line`` and ``carry``.
    """

    point_class: str
    direction: str
    place: str
    hours: int
    gaps: int
    left_out: int
    line_wape: float | None
    methods: dict[str, MethodFigures]


@dataclass(frozen=True)
class ClassFigures:
    """All gaps of a class.

    Attributes
    ----------
    point_class : str
    gaps, left_out : int
    choice : Choice
    methods : dict of str to MethodFigures
    """

    point_class: str
    gaps: int
    left_out: int
    choice: Choice
    methods: dict[str, MethodFigures]

    @property
    def worse_than_a_line(self) -> bool:
        """Whether a straight line, however long, would have made less error than the best edition."""
        ratio = self.methods[self.choice.best].error_to_line if self.choice.best else None
        return ratio is not None and ratio > 1


@dataclass(frozen=True)
class GapReport:
    """What editions make of gaps.

    Attributes
    ----------
    source : str
    seed : int
    editions : dict of str to str
        What each does, in words.
    in_force : str
        The edition that holds on the last day.
    cells : list of CellFigures
    classes : list of ClassFigures
    """

    source: str
    seed: int
    editions: dict[str, str]
    in_force: str
    cells: list[CellFigures]
    classes: list[ClassFigures]

    @classmethod
    def of(
        cls,
        source: str,
        errors: Mapping[tuple[Group, Cell], GapErrors],
        editions: Editions,
        in_force: str,
        seed: int,
    ) -> GapReport:
        """Return the figures of gaps by group and cell."""
        cells = [
            CellFigures(
                group.point_class,
                group.direction,
                str(cell.place),
                cell.hours,
                len(of_cell),
                of_cell.left_out,
                _rounded(of_cell.line_wape(), 4),
                _methods(of_cell, seed),
            )
            for (group, cell), of_cell in errors.items()
        ]
        classes = []
        for name in dict.fromkeys(group.point_class for group, _ in errors):
            together = GapErrors.together([each for (group, _), each in errors.items() if group.point_class == name])
            choice = choose(together, in_force, seed)
            methods = _methods(together, seed)
            classes.append(ClassFigures(name, len(together), together.left_out, choice, methods))
        words = {name: in_words(edition) for name, edition in editions.items()}
        return cls(source, seed, words, in_force, cells, classes)

    def as_record(self) -> dict[str, Any]:
        """Return plain data."""
        record = asdict(self)
        for each, figures in zip(record["classes"], self.classes, strict=True):
            each["choice"]["certain"] = figures.choice.certain
            each["worse_than_a_line"] = figures.worse_than_a_line
        return record


def _methods(errors: GapErrors, seed: int) -> dict[str, MethodFigures]:
    return {method: MethodFigures.of(errors, method, seed) for method in errors.error}


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def show(report: GapReport, console: Console) -> None:
    """Print all tables."""
    console.print(f"Gaps cut into {report.source}, seed {report.seed}")
    for name, words in report.editions.items():
        console.print(f"{name}: {words}{', in force' if name == report.in_force else ''}")
    console.print(_cells_table(report))
    console.print(_classes_table(report))
    worse = [each.point_class or NO_CLASS for each in report.classes if each.worse_than_a_line]
    if worse:
        console.print(f"Even the best edition is worse than a straight line on the whole: {', '.join(worse)}")


def _cells_table(report: GapReport) -> Table:
    table = Table(
        title="Error / that of a straight line (95 % interval), energy estimated / measured, and the share of slots / "
        "energies that lie in the interval, 10 to 90 %, of their estimate",
        title_justify="left",
    )
    for name in ("class", "direction", "gap"):
        table.add_column(name)
    names = [name for name in (report.cells[0].methods if report.cells else ()) if name != LINE]
    for name in ("gaps", "left out", "line", *names):
        table.add_column(name, justify="right")
    for cell in report.cells:
        hours = "" if cell.hours == 24 else f", {cell.hours} h"
        table.add_row(
            *(cell.point_class or NO_CLASS, cell.direction, f"{cell.place}{hours}"),
            *(f"{cell.gaps:,}", f"{cell.left_out:,}", _percent(cell.line_wape)),
            *(_figures(cell.methods[name]) for name in names),
        )
    return table


def _classes_table(report: GapReport) -> Table:
    table = Table(title="The best edition of each class, on all of its gaps", title_justify="left")
    for name in ("class", "gaps", "best", "error / line", "energy", "beside", "error less than there"):
        table.add_column(name)
    for each in report.classes:
        choice = each.choice
        best = each.methods[choice.best] if choice.best else None
        table.add_row(
            *(each.point_class or NO_CLASS, f"{each.gaps:,}", _best(each)),
            *((_ratio(best), _percent(best.energy)) if best else ("-", "-")),
            *(choice.other or "-", _difference(choice)),
        )
    return table


def _best(figures: ClassFigures) -> str:
    if figures.choice.best:
        return figures.choice.best
    return "equally good" if figures.choice.other else f"fewer than {FEWEST_GAPS} gaps"


def _difference(choice: Choice) -> str:
    if choice.low is None or choice.high is None:
        return "-"
    text = f"{-choice.high:.0%} to {-choice.low:.0%}"
    return text if choice.certain else f"{text}, not certain"


def _figures(figures: MethodFigures) -> str:
    within = (
        "" if figures.slots_within is None else f" {_percent(figures.slots_within)}/{_percent(figures.sums_within)}"
    )
    return f"{_ratio(figures)} {_percent(figures.energy)}{within}"


def _ratio(figures: MethodFigures) -> str:
    if figures.error_to_line is None:
        return "-"
    interval = "" if figures.low is None else f" ({figures.low:.2f}-{figures.high:.2f})"
    return f"{figures.error_to_line:.2f}{interval}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
