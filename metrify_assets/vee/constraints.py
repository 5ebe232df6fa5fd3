"""Register reads against intervals: the sum check, and estimates scaled so that the sum is exact.

Belongs here: what brackets do to the clean grid of a day. Does not belong here: brackets themselves (``brackets.py``),
estimation (``clean.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from metrify_assets.vee.arrays import AnyArray, Int64Array
from metrify_assets.vee.codes import OWN_ESTIMATES, Flag, Method, Reason, Severity, Status
from metrify_assets.vee.grid import METHOD_CODE, REASON_CODE, STATUS_CODE, CleanGrid
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import severity_of
from metrify_assets.vee.uncertainty import BracketSpread, scale_intervals
from metrify_assets.vee.units import MICRO_PER_KWH

_OWN_METHODS = [METHOD_CODE[method] for method in OWN_ESTIMATES]


@dataclass(frozen=True, eq=False)
class Span:
    """What one day holds of B brackets; arrays of shape (B,).

    Attributes
    ----------
    actual, estimated : int64 arrays
        Sum of the values that are not own estimates, and of those that are, before scaling; micro-kWh.
    estimates, missing : int64 arrays
        Slots with an own estimate, and slots without any value.
    largest : int64 array
        The largest own estimate before scaling, micro-kWh; 0 without any above zero.
    variance : int64 array
        Sum of the variance of the own estimates, millionths of kWh^2.
    uncertain : int64 array
        Slots with an own estimate that has no interval.
    """

    actual: np.ndarray
    estimated: np.ndarray
    estimates: np.ndarray
    missing: np.ndarray
    largest: np.ndarray
    variance: np.ndarray
    uncertain: np.ndarray

    def __add__(self, other: Span) -> Span:
        return Span(
            self.actual + other.actual,
            self.estimated + other.estimated,
            self.estimates + other.estimates,
            self.missing + other.missing,
            np.maximum(self.largest, other.largest),
            self.variance + other.variance,
            self.uncertain + other.uncertain,
        )

    def take(self, rows: np.ndarray) -> Span:
        """Return some entries."""
        return Span(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    def unscaled(self) -> Span:
        """Return the span of a day whose estimates are not scaled: they count as they are, but they are estimates."""
        nothing = np.zeros_like(self.estimated)
        return replace(self, actual=self.actual + self.estimated, estimated=nothing, largest=nothing)

    @classmethod
    def nothing(cls, brackets: int) -> Span:
        """Return the span of no day."""
        return cls(*(np.zeros(brackets, dtype=np.int64) for _ in fields(cls)))

    @classmethod
    def unknown(cls, brackets: int) -> Span:
        """Return the span of a day that is not there: its slots are missing."""
        return replace(cls.nothing(brackets), missing=np.ones(brackets, dtype=np.int64))


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

    def between(plane: AnyArray) -> Int64Array:
        sums = np.zeros((plane.shape[0], plane.shape[1] + 1), dtype=np.int64)
        np.cumsum(plane, axis=1, out=sums[:, 1:])
        counts: Int64Array = sums[place, end] - sums[place, first]
        return counts

    own = np.where(estimate, value, 0)
    has_interval = estimate & grid.interval.known[rows]
    return Span(
        between(value - own),
        between(own),
        between(estimate),
        between(~has_value),
        _largest(own, place, first, end),
        between(np.where(has_interval, grid.interval.variance[rows], 0)),
        between(estimate & ~has_interval),
    )


def _largest(plane: np.ndarray, row: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the largest value above zero among slots ``first`` to ``end - 1`` of each row; int64, shape (B,)."""
    if len(row) == 0:
        return np.zeros(0, dtype=np.int64)
    # One more slot of zero after each row: a bracket may end with it.
    padded = np.pad(np.maximum(plane, 0), ((0, 0), (0, 1)))
    ends = np.stack([first, end], axis=1) + (row * padded.shape[1])[:, None]
    return np.maximum.reduceat(padded.ravel(), ends.ravel())[::2]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What follows for B brackets; arrays of shape (B,).

    Attributes
    ----------
    rest : int64 array
        What the register leaves for own estimates, micro-kWh.
    tolerated : int64 array
        Deviation of a sum that is tolerated, micro-kWh.
    usable : bool array
        The register did not go down, and no slot is missing.
    scaled, refused : bool arrays
        Own estimates are scaled; they are not, although there are some.
    differs : bool array
        The sum check fails.
    """

    rest: np.ndarray
    tolerated: np.ndarray
    usable: np.ndarray
    scaled: np.ndarray
    refused: np.ndarray
    differs: np.ndarray


def judge(brackets: DayBrackets, whole: Span, rules: RuleSet, most: np.ndarray, *, scale: bool = True) -> Verdict:
    """Decide what follows from brackets; it is the same on each of their days.

    Parameters
    ----------
    brackets : DayBrackets
    whole : Span
        What the brackets hold on all of their days.
    rules : RuleSet
    most : int64 array, shape (B,)
        Largest energy that the connection can carry in a slot, micro-kWh.
    scale : bool
        Whether estimates may be scaled.

    Notes
    -----
    Scaling is refused where less than nothing is left for the estimates, where there is nothing to scale, where an
    estimate would become more than the connection can carry, and where the scale exceeds ``scale_most_percent``: then
    it is more likely that a read or a measured value is wrong than that the estimates are.

    The sum of a bracket without estimates must be that of the register within the tolerance; so must it where scaling
    was refused. Where nothing is scaled by the rules, the measured values alone must not exceed the register by more.

    References
    ----------
    Sum check of California DASMMD (1999), section A. The limits of scaling are our own choice.
    """
    usable = (brackets.energy >= 0) & (whole.missing == 0)
    rest = brackets.energy - whole.actual
    own = usable & (whole.estimates > 0)
    # Estimates that are negative in sum have no share of anything either.
    refused = (rest < 0) | (whole.estimated < 0) | ((whole.estimated == 0) & (rest > 0))
    refused |= whole.largest.astype(np.float64) * rest > most.astype(np.float64) * whole.estimated
    refused |= rest > whole.estimated * (rules.scale_most_percent / 100)
    refused &= own & scale
    tolerated = tolerance(brackets, rules)
    off = np.where(own & ~refused, -rest, np.where(refused, np.maximum(-rest, rest - whole.estimated), np.abs(rest)))
    differs = usable & (off > tolerated) & (severity_of("sum_check", rules) is not Severity.OFF)
    return Verdict(rest, tolerated, usable, own & scale & ~refused, refused, differs)


def constrain(
    grid: CleanGrid,
    brackets: DayBrackets,
    before: Span,
    after: Span,
    rules: RuleSet,
    most: np.ndarray,
    *,
    scale: bool = True,
) -> None:
    """Check the sums of a day's brackets and scale its estimates to them, in place.

    Parameters
    ----------
    grid : CleanGrid
        Before scaling.
    brackets : DayBrackets
    before, after : Span
        What the bracket holds on earlier and on later days.
    rules, most, scale
        As in ``judge``; sums are checked whether there is scaling or not.

    Notes
    -----
    With R the register difference, A the sum of the values that are not own estimates and E that of those that are, an
    estimate e becomes e x (R - A) / E. Rounding is done on running sums over the whole bracket: the estimates up to a
    slot become round(k x their sum), and a slot the difference of two of these. So the sum over the bracket is R - A
    exactly, whichever days are computed, and each value is within one micro-kWh of e x k.

    Intervals are scaled with their values, and narrowed by what the register says (``scale_intervals``).

    Where a sum differs, the measured values of the bracket are provisional. A bracket with missing slots can be neither
    checked nor scaled.

    References
    ----------
    Pro rata distribution: Dagum, E. B. and Cholette, P. A. (2006), Benchmarking, Temporal Distribution, and
    Reconciliation Methods for Time Series, Springer. Rounding on running sums is our own choice.
    """
    if len(brackets) == 0:
        return
    today = span_of(grid, brackets.row, brackets.first, brackets.end)
    whole = before + today + after
    for number in np.flatnonzero(brackets.flags != 0).tolist():
        _mark(grid, brackets, number, brackets.flags[number])
    verdict = judge(brackets, whole, rules, most, scale=scale)
    if severity_of("scale_refused", rules) is not Severity.OFF:
        for number in np.flatnonzero(verdict.refused & (today.estimates > 0)).tolist():
            _mark(grid, brackets, number, np.int32(Flag.SCALE_REFUSED))
    for number in np.flatnonzero(verdict.scaled & (today.estimates > 0)).tolist():
        total, earlier = int(whole.estimated[number]), int(before.estimated[number])
        spread = BracketSpread(
            estimates=int(whole.estimates[number]),
            of_day=int(today.variance[number]),
            of_bracket=int(whole.variance[number]) if not whole.uncertain[number] else None,
            within_day=bool(today.estimates[number] == whole.estimates[number]),
        )
        _scale(grid, brackets, number, int(verdict.rest[number]), total, earlier, spread)
    for number in np.flatnonzero(verdict.differs).tolist():
        _fail_sum_check(grid, brackets, number, severity_of("sum_check", rules))


def tolerance(brackets: DayBrackets, rules: RuleSet) -> Int64Array:
    """Return the deviation of a sum that is tolerated, micro-kWh; int64, shape (B,)."""
    unknown = round(rules.register_unit_kwh * MICRO_PER_KWH)
    unit = np.where(brackets.unit > 0, brackets.unit, unknown)
    share = np.floor(np.maximum(brackets.energy, 0) * (rules.sum_check_percent / 100)).astype(np.int64)
    deviation: Int64Array = np.maximum(share, rules.sum_check_register_units * unit)
    return deviation


def _mark(grid: CleanGrid, brackets: DayBrackets, number: int, flag: np.int32) -> None:
    grid.flags[brackets.row[number], brackets.first[number] : brackets.end[number]] |= flag


def _scale(
    grid: CleanGrid, brackets: DayBrackets, number: int, rest: int, total: int, before: int, spread: BracketSpread
) -> None:
    """Scale the estimates of one bracket on this day; whole numbers of any size."""
    row = int(brackets.row[number])
    span = slice(int(brackets.first[number]), int(brackets.end[number]))
    slots = np.flatnonzero(np.isin(grid.method[row, span], _OWN_METHODS)) + span.start
    unscaled = grid.value[row, slots]
    running = before
    scaled_before = _rounded(before * rest, total)
    for slot in slots.tolist():
        running += int(grid.value[row, slot])
        scaled = _rounded(running * rest, total)
        grid.value[row, slot] = scaled - scaled_before
        scaled_before = scaled
    grid.scaled_method[row, slots] = grid.method[row, slots]
    grid.method[row, slots] = METHOD_CODE[Method.REGISTER_SCALED]
    scale_intervals(
        grid.interval, (row, slots), unscaled, grid.value[row, slots], rest / total if total else 0.0, spread
    )


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
