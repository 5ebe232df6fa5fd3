"""What became of gaps: errors and energies by method, their ratios and intervals.

Belongs here: pure functions of arrays, one row a gap. Does not belong here: where gaps are cut (``places.py``) and who
estimates them (``cascade.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metrify_assets.scoring.estimates import carry_forward, linear_only
from metrify_assets.vee.arrays import BoolArray, Float64Array, Int64Array
from metrify_assets.vee.uncertainty import IntervalPlanes, half_width

LINE, CARRY = "line", "carry"
"""Straight line between the values beside a gap, and the value before it carried on."""
RESAMPLES = 400
INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often the truth lies within the interval, 10 to 90 %, of the estimates of G gaps; arrays of shape (G,).

    Attributes
    ----------
    slots, within : int64 arrays
        Slots of each gap that have an interval, and those of them whose measured value lies in it, ends included.
    has_sum, sum_within : bool arrays
        Whether all slots have an interval, and whether the gap's measured energy lies in that of the sum.
    """

    slots: Int64Array
    within: Int64Array
    has_sum: BoolArray
    sum_within: BoolArray

    def take(self, rows: Int64Array) -> Coverage:
        """Return some of the gaps."""
        return Coverage(self.slots[rows], self.within[rows], self.has_sum[rows], self.sum_within[rows])

    @classmethod
    def together(cls, parts: Sequence[Coverage]) -> Coverage:
        """Return the gaps of several."""
        names = ("slots", "within", "has_sum", "sum_within")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def of_slots(self) -> float | None:
        """Share of the slots whose truth lies within; None where none has an interval."""
        slots = int(self.slots.sum())
        return int(self.within.sum()) / slots if slots else None

    @property
    def of_sums(self) -> float | None:
        """Share of the gaps whose energy lies within; None where none has an interval."""
        gaps = int(np.count_nonzero(self.has_sum))
        return int(np.count_nonzero(self.sum_within)) / gaps if gaps else None


@dataclass(frozen=True, eq=False)
class GapErrors:
    """Errors and energies of G gaps, micro-kWh.

    Attributes
    ----------
    energy : float64 array, shape (G,)
        What was measured in each gap.
    error : dict of str to float64 array, shape (G,)
        Sum of the absolute errors of each gap's slots, by method; ``LINE`` is always among them.
    estimated : dict of str to float64 array, shape (G,)
        What each method says was used in the gap.
    left_out : int
        Gaps that a method has no estimate for, in one slot at least. They are in no array, so that all methods are
        compared on the same gaps.
    coverage : dict of str to Coverage
        By method, of those whose estimates have intervals.
    """

    energy: Float64Array
    error: dict[str, Float64Array]
    estimated: dict[str, Float64Array]
    left_out: int = 0
    coverage: dict[str, Coverage] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.energy)

    @classmethod
    def together(cls, parts: Sequence[GapErrors]) -> GapErrors:
        """Return the gaps of several, which were estimated by the same methods; at least one."""
        methods = parts[0].error
        return cls(
            np.concatenate([part.energy for part in parts]),
            {method: np.concatenate([part.error[method] for part in parts]) for method in methods},
            {method: np.concatenate([part.estimated[method] for part in parts]) for method in methods},
            sum(part.left_out for part in parts),
            {method: Coverage.together([part.coverage[method] for part in parts]) for method in parts[0].coverage},
        )

    def take(self, rows: Int64Array, left_out: int = 0) -> GapErrors:
        """Return some of the gaps, in that order, and how many of them have no errors."""
        error, estimated = (
            {method: each[rows] for method, each in columns.items()} for columns in (self.error, self.estimated)
        )
        coverage = {method: each.take(rows) for method, each in self.coverage.items()}
        return GapErrors(self.energy[rows], error, estimated, left_out, coverage)

    def line_wape(self) -> float | None:
        """Return the error of the line / energy; None where no energy was measured."""
        energy = float(self.energy.sum())
        return float(self.error[LINE].sum()) / energy if energy else None

    def ratio(self, method: str) -> float | None:
        """Return the error of a method / that of the line; None where the line makes no error."""
        line = float(self.error[LINE].sum())
        return float(self.error[method].sum()) / line if line else None

    def energy_ratio(self, method: str) -> float | None:
        """Return energy estimated / energy measured; None where none was measured."""
        energy = float(self.energy.sum())
        return float(self.estimated[method].sum()) / energy if energy else None

    def interval(self, method: str, seed: int) -> tuple[float, float] | None:
        """Return the 95 % interval of the ratio: gaps drawn again with replacement.

        None where the line makes no error in one of the draws: such a draw has no ratio.
        """
        drawn = self._draws(seed)
        line = self.error[LINE][drawn].sum(axis=1)
        if not len(self) or not line.all():
            return None
        return _percentiles(self.error[method][drawn].sum(axis=1) / line)

    def difference(self, method: str, other: str, seed: int) -> tuple[float, float] | None:
        """Return the 95 % interval of the error of a method less that of another, as a share of the latter.

        None where the other makes no error in one of the draws.
        """
        drawn = self._draws(seed)
        base = self.error[other][drawn].sum(axis=1)
        if not len(self) or not base.all():
            return None
        return _percentiles(self.error[method][drawn].sum(axis=1) / base - 1)

    def _draws(self, seed: int) -> Int64Array:
        drawn: Int64Array = np.random.default_rng(seed).integers(0, max(len(self), 1), (RESAMPLES, len(self)))
        return drawn


def _percentiles(ratios: Float64Array) -> tuple[float, float]:
    low, high = np.percentile(ratios, INTERVAL_PERCENT)
    return float(low), float(high)


def gap_errors(
    truth: Int64Array,
    usable: BoolArray,
    cut: BoolArray,
    estimates: Mapping[str, tuple[Int64Array, BoolArray]],
    intervals: Mapping[str, IntervalPlanes] | None = None,
) -> tuple[GapErrors, BoolArray]:
    """Return the errors of gaps, one a row, and of which rows they are.

    Parameters
    ----------
    truth : int64 array, shape (R, T)
        What was measured, micro-kWh; of no meaning where neither ``usable`` nor ``cut``.
    usable : bool array, shape (R, T)
        Values that a line may begin or end at. A line with one end carries its value on; without a value before the gap
        the line stands for the carried value, too.
    cut : bool array, shape (R, T)
        The slots of the gap.
    estimates : mapping of str to (values, whether there is one), shapes (R, T)
    intervals : mapping of str to IntervalPlanes, shape (R, T), optional
        Intervals of the estimates.

    Returns
    -------
    GapErrors, and a bool array of shape (R,): rows that every method has all slots of.
    """
    usable = usable & ~cut
    line, has_line = linear_only(truth, usable)
    carried, has_carried = carry_forward(truth, usable)
    methods: dict[str, tuple[np.ndarray, np.ndarray]] = {
        LINE: (line, has_line),
        CARRY: (np.where(has_carried, carried, line), has_line),
        **estimates,
    }
    compared: BoolArray = np.logical_and.reduce([(has_value | ~cut).all(axis=1) for _, has_value in methods.values()])
    true, ours = truth[compared], cut[compared]

    def sums(plane: np.ndarray) -> Float64Array:
        total: Float64Array = np.where(ours, plane, 0).sum(axis=1).astype(np.float64)
        return total

    values = {method: value[compared] for method, (value, _) in methods.items()}
    result = GapErrors(
        sums(true),
        {method: sums(np.abs(value - true)) for method, value in values.items()},
        {method: sums(value) for method, value in values.items()},
        int(np.count_nonzero(~compared)),
        {
            method: _coverage(true, ours, estimates[method][0][compared], interval.take(compared))
            for method, interval in (intervals or {}).items()
        },
    )
    return result, compared


def _coverage(truth: Int64Array, cut: BoolArray, estimate: Int64Array, interval: IntervalPlanes) -> Coverage:
    known = cut & interval.known
    within = known & (truth >= interval.low) & (truth <= interval.high)
    has_sum: BoolArray = np.all(interval.known | ~cut, axis=1)
    off = np.abs(np.where(cut, truth - estimate, 0).sum(axis=1))
    within_sum = off <= half_width(np.where(cut, interval.variance, 0).sum(axis=1))
    return Coverage(known.sum(axis=1), within.sum(axis=1), has_sum, has_sum & within_sum)
