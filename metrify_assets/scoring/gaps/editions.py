"""The editions that are compared, in words, and which of them would have been the best for a class of points.

Belongs here: choice among editions by the errors of the same gaps. Does not belong here: the errors (``errors.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrify_assets.reference.rule_books import shipped_rule_book
from metrify_assets.scoring.gaps.errors import CARRY, LINE, GapErrors
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.rulebook import DayRules, RuleBook

SHIPPED = "shipped"
FEWEST_GAPS = 30
"""With fewer gaps nothing is said of a class."""


def compared_editions(book: RuleBook) -> dict[str, DayRules]:
    """Return every edition of a rule book, and every shipped one, by name.

    Editions that estimate alike are one: its name is that of the first, and ``2020-1 = winter`` says which they are.
    A shipped edition whose name the book uses for something else is called ``2020-1 (shipped)``.
    """
    own = [(edition.version, edition) for _, edition in book.editions]
    taken = {version for version, _ in own}
    shipped = [
        (f"{edition.version} ({SHIPPED})" if edition.version in taken else edition.version, edition)
        for _, edition in shipped_rule_book().editions
    ]
    names: dict[object, list[str]] = {}
    rules: dict[object, DayRules] = {}
    for name, edition in [*own, *shipped]:
        alike = _estimation(edition)
        rules.setdefault(alike, edition)
        same = names.setdefault(alike, [])
        if name.removesuffix(f" ({SHIPPED})") not in same:
            same.append(name)
    return {" = ".join(same): rules[alike] for alike, same in names.items()}


def edition_in_force(book: RuleBook, editions: Mapping[str, DayRules], rules: DayRules) -> str:
    """Return the name among the compared editions of one of the book's."""
    return next(name for name, edition in editions.items() if _estimation(edition) == _estimation(rules))


def _estimation(edition: DayRules) -> object:
    """Return what an edition says of estimation: its parameters, and those of classes."""
    classes = sorted({exception.point_class for exception in edition.exceptions if exception.point_class is not None})
    return edition.estimation, tuple(
        (name, edition.estimation_of(name)) for name in classes if edition.estimation_of(name) != edition.estimation
    )


def in_words(edition: DayRules) -> str:
    """Return what an edition does to a gap, in the order of the cascade, and for which classes it differs."""
    classes = sorted({exception.point_class or "" for exception in edition.exceptions if exception.estimation})
    but = "".join(f"; {name}: {_cascade(edition.estimation_of(name))}" for name in classes)
    return _cascade(edition.estimation) + but


def _cascade(estimation: EstimationParameters) -> str:
    steps = [f"line up to {estimation.max_linear_gap_minutes} min"] if estimation.max_linear_gap_minutes else []
    if estimation.similar_days:
        over = " bridged over midnight" if estimation.similar_day_over_midnight else ""
        steps.append(f"{estimation.similar_days} similar days of {estimation.similar_day_lookback_days}{over}")
    steps.append(f"{estimation.like_days} like days of {estimation.like_day_lookback_days}")
    if estimation.use_profile:
        steps.append("profile")
    return ", ".join(steps)


@dataclass(frozen=True)
class Choice:
    """Which edition makes the smallest error on all gaps of a class.

    Attributes
    ----------
    best : str or None
        Its name; None if there are too few gaps, or several are equally good.
    other : str or None
        What it is compared with: the edition in force, or, where that is the best, the next.
    low, high : float or None
        95 % interval of the best one's error less the other's, as a share of the latter.
    """

    best: str | None = None
    other: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the whole interval says that it is better."""
        return self.high is not None and self.high < 0


def choose(errors: GapErrors, in_force: str, seed: int) -> Choice:
    """Return which of the editions that estimated some gaps is the best.

    Notes
    -----
    The sum of the absolute errors decides: kWh that would have been billed in the wrong slot. Long gaps weigh more.
    """
    if len(errors) < FEWEST_GAPS:
        return Choice()
    totals = {name: float(error.sum()) for name, error in errors.error.items() if name not in (LINE, CARRY)}
    order = sorted(totals, key=lambda name: (totals[name], name != in_force))
    if len(order) < 2:
        return Choice(best=order[0])
    best = order[0]
    other = in_force if best != in_force else order[1]
    if totals[best] == totals[other]:
        return Choice(other=other)
    low, high = errors.difference(best, other, seed) or (None, None)
    return Choice(best, other, low, high)
