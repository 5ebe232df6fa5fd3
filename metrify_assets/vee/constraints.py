"""Register reads against intervals: the sum check, and estimates scaled so that the sum is exact.

Belongs here: what brackets do to the clean grid of a day. Does not belong here: brackets themselves (``brackets.py``),
estimation (``clean.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.vee.codes import Flag, Method, Reason, Severity, Status
from metrify_assets.vee.grid import METHOD_CODE, REASON_CODE, STATUS_CODE, CleanGrid
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import severity_of
from metrify_assets.vee.units import MICRO_PER_KWH

_OWN_METHODS = [METHOD_CODE[method] for method in (Method.LINEAR, Method.LIKE_DAY, Method.PROFILE)]


@dataclass(frozen=True, eq=False)
class Span:
    """What one day holds of B brackets; arrays of shape (B,).

    Attributes
    ----------
    actual, estimated : int64 arrays
        Sum of the values that are not own estimates, and of those that are, before scaling; micro-kWh.
    estimates, missing : int64 arrays
        Slots with an own estimate, and slots without any value.
    """

    actual: np.ndarray
    estimated: np.ndarray
    estimates: np.ndarray
    missing: np.ndarray

    def __add__(self, other: Span) -> Span:
        return Span(
            self.actual + other.actual,
            self.estimated + other.estimated,
            self.estimates + other.estimates,
            self.missing + other.missing,
        )

    def take(self, rows: np.ndarray) -> Span:
        """Return some entries."""
        return Span(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    def unscaled(self) -> Span:
        """Return the span of a day whose estimates are not scaled: they count as they are, but they are estimates."""
        return Span(self.actual + self.estimated, np.zeros_like(self.estimated), self.estimates, self.missing)

    @classmethod
    def nothing(cls, brackets: int) -> Span:
        """Return the span of no day."""
        return cls(*(np.zeros(brackets, dtype=np.int64) for _ in range(4)))

    @classmethod
    def unknown(cls, brackets: int) -> Span:
        """Return the span of a day that is not there: its slots are missing."""
        zeros = [np.zeros(brackets, dtype=np.int64) for _ in range(3)]
        return cls(*zeros, np.ones(brackets, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class DayBrackets:
    """The brackets that overlap a day, for rows of its grid; arrays of shape (B,).

    Attributes
    ----------
    row : int array
        Grid row.
    first, end : int arrays
        Slots of the day within the bracket: ``first`` to ``end - 1``.
    energy, unit : int64 arrays
        As in ``brackets.Brackets``.
    flags : int32 array
    """

    row: np.ndarray
    first: np.ndarray
    end: np.ndarray
    energy: np.ndarray
    unit: np.ndarray
    flags: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: np.ndarray) -> DayBrackets:
        """Return the brackets of a mask or an index array."""
        return DayBrackets(*(getattr(self, entry.name)[rows] for entry in fields(self)))


def own_estimates(grid: CleanGrid) -> np.ndarray:
    """Return which slots hold an estimate of ours that scaling may change: bool, shape (P, S)."""
    return np.isin(grid.method, _OWN_METHODS)


def span_of(grid: CleanGrid, row: np.ndarray, first: np.ndarray, end: np.ndarray) -> Span:
    """Return what some slots of some rows add up to: slots ``first`` to ``end - 1`` of ``row``; shapes (B,)."""
    rows, place = np.unique(row, return_inverse=True)
    estimate = own_estimates(grid)[rows]
    has_value = grid.has_value[rows]
    value = np.where(has_value, grid.value[rows], 0)

    def between(plane: np.ndarray) -> np.ndarray:
        sums = np.zeros((plane.shape[0], plane.shape[1] + 1), dtype=np.int64)
        np.cumsum(plane, axis=1, out=sums[:, 1:])
        return sums[place, end] - sums[place, first]

    return Span(
        between(np.where(estimate, 0, value)),
        between(np.where(estimate, value, 0)),
        between(estimate),
        between(~has_value),
    )


def constrain(
    grid: CleanGrid,
    brackets: DayBrackets,
    before: Span,
    after: Span,
    rules: RuleSet,
    *,
    scale: bool = True,
    most: np.ndarray | None = None,
) -> None:
    """Check the sums of a day's brackets and scale its estimates to them, in place.

    Parameters
    ----------
    grid : CleanGrid
        Before scaling.
    brackets : DayBrackets
    before, after : Span
        What the bracket holds on earlier and on later days.
    rules : RuleSet
    scale : bool
        Whether the day's estimates are scaled; sums are checked in any case.
    most : int64 array, shape (B,), optional
        Largest energy that the connection can carry in the time of each bracket, micro-kWh.

    Notes
    -----
    With R the register difference, A the sum of the values that are not own estimates and E that of those that are, an
    estimate e becomes e x (R - A) / E. Rounding is done on running sums over the whole bracket: the estimates up to a
    slot become round(k x their sum), and a slot the difference of two of these. So the sum over the bracket is R - A
    exactly, whichever days are computed, and each value is within one micro-kWh of e x k.

    A bracket without estimates is checked: if |A - R| exceeds the tolerance its values are provisional; so are those of
    a bracket with estimates if A alone exceeds R by more. A bracket with missing slots can be neither checked nor
    scaled. A negative scale, nothing to scale, or more than the connection can carry is refused and flagged.
    """
    if len(brackets) == 0:
        return
    today = span_of(grid, brackets.row, brackets.first, brackets.end)
    whole = before + today + after
    usable = (brackets.energy >= 0) & (whole.missing == 0)
    for number in np.flatnonzero(brackets.flags != 0).tolist():
        _mark(grid, brackets, number, brackets.flags[number])

    rest = brackets.energy - whole.actual
    scaling = usable & (whole.estimates > 0) & scale
    # Estimates that are negative in sum have no share of anything either.
    refused = scaling & ((rest < 0) | (whole.estimated < 0) | ((whole.estimated == 0) & (rest > 0)))
    if most is not None:
        refused |= scaling & (brackets.energy > most)
    if severity_of("scale_refused", rules) is not Severity.OFF:
        for number in np.flatnonzero(refused & (today.estimates > 0)).tolist():
            _mark(grid, brackets, number, np.int32(Flag.SCALE_REFUSED))
    for number in np.flatnonzero(scaling & ~refused & (today.estimates > 0)).tolist():
        _scale(grid, brackets, number, int(rest[number]), int(whole.estimated[number]), int(before.estimated[number]))

    severity = severity_of("sum_check", rules)
    if severity is not Severity.OFF:
        tolerated = tolerance(brackets, rules)
        deviates = np.where(whole.estimates == 0, np.abs(rest), -rest) > tolerated
        for number in np.flatnonzero(usable & deviates).tolist():
            _fail_sum_check(grid, brackets, number, severity)


def tolerance(brackets: DayBrackets, rules: RuleSet) -> np.ndarray:
    """Return the deviation of a sum that is tolerated, micro-kWh; int64, shape (B,)."""
    unknown = round(rules.register_unit_kwh * MICRO_PER_KWH)
    unit = np.where(brackets.unit > 0, brackets.unit, unknown)
    share = np.floor(np.maximum(brackets.energy, 0) * (rules.sum_check_percent / 100)).astype(np.int64)
    return np.maximum(share, rules.sum_check_register_units * unit)


def _mark(grid: CleanGrid, brackets: DayBrackets, number: int, flag: np.int32) -> None:
    grid.flags[brackets.row[number], brackets.first[number] : brackets.end[number]] |= flag


def _scale(grid: CleanGrid, brackets: DayBrackets, number: int, rest: int, total: int, before: int) -> None:
    """Scale the estimates of one bracket on this day; whole numbers of any size."""
    row = int(brackets.row[number])
    span = slice(int(brackets.first[number]), int(brackets.end[number]))
    slots = np.flatnonzero(np.isin(grid.method[row, span], _OWN_METHODS)) + span.start
    running = before
    scaled_before = _rounded(before * rest, total)
    for slot in slots.tolist():
        running += int(grid.value[row, slot])
        scaled = _rounded(running * rest, total)
        grid.value[row, slot] = scaled - scaled_before
        scaled_before = scaled
    grid.method[row, slots] = METHOD_CODE[Method.REGISTER_SCALED]


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest whole number, half to even; 0 where there is nothing to scale."""
    if denominator == 0:
        return 0
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))


def _fail_sum_check(grid: CleanGrid, brackets: DayBrackets, number: int, severity: Severity) -> None:
    _mark(grid, brackets, number, np.int32(Flag.SUM_CHECK))
    if severity is not Severity.BLOCK:
        return
    row = brackets.row[number]
    span = slice(int(brackets.first[number]), int(brackets.end[number]))
    demoted = grid.has_value[row, span] & (grid.status[row, span] == STATUS_CODE[Status.MEASURED])
    grid.status[row, span][demoted] = STATUS_CODE[Status.PROVISIONAL]
    grid.reason[row, span][demoted] = REASON_CODE[Reason.SUM_CHECK]
