"""Runs of one value that go on over midnight: each of their days finds its own part of them.

Belongs here: the runs at both ends of a day, and which of them are long enough together with those of the neighbouring
days. Does not belong here: runs within a day (``rules.py``), and where other days come from (``history.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.runs import stuck_length


@dataclass(frozen=True, eq=False)
class EdgeRuns:
    """The runs of one value that a day begins and ends with, for R series; arrays of shape (R,).

    Attributes
    ----------
    first_value, last_value : int64 array
        Micro-kWh.
    first_slots, last_slots : int64 array
        Slots of the run; 0 where no value stands in the first or the last slot.
    """

    first_value: Int64Array
    first_slots: Int64Array
    last_value: Int64Array
    last_slots: Int64Array

    @classmethod
    def of(cls, values: Int64Array, valid: BoolArray) -> EdgeRuns:
        """Return the runs of a grid; ``values`` and ``valid`` have shape (R, S), S > 0."""
        return cls(values[:, 0], _leading(values, valid), values[:, -1], _leading(values[:, ::-1], valid[:, ::-1]))

    def take(self, rows: Int64Array) -> EdgeRuns:
        """Return the runs of some series; one at -1 has none."""
        return EdgeRuns(
            self.first_value[rows],
            np.where(rows >= 0, self.first_slots[rows], 0),
            self.last_value[rows],
            np.where(rows >= 0, self.last_slots[rows], 0),
        )


def _leading(values: Int64Array, valid: BoolArray) -> Int64Array:
    differs = ~valid | (values != values[:, :1])
    length: Int64Array = np.where(differs.any(axis=1), differs.argmax(axis=1), values.shape[1]).astype(np.int64)
    return length


@dataclass(frozen=True, eq=False)
class JoinedRuns:
    """How far the runs at a day's ends go on into its neighbours, in slots; int64 arrays of shape (R,)."""

    before: Int64Array
    after: Int64Array

    @classmethod
    def none(cls, series: int) -> JoinedRuns:
        """Return that no run goes on."""
        return cls(np.zeros(series, dtype=np.int64), np.zeros(series, dtype=np.int64))

    @classmethod
    def of(cls, day: EdgeRuns, before: EdgeRuns | None, after: EdgeRuns | None) -> JoinedRuns:
        """Compare the ends of a day with those of the days beside it; None where such a day is not known."""
        nothing = np.zeros(len(day.first_slots), dtype=np.int64)
        goes_back, goes_on = nothing, nothing
        if before is not None:
            goes_back = np.where((day.first_slots > 0) & (before.last_value == day.first_value), before.last_slots, 0)
        if after is not None:
            goes_on = np.where((day.last_slots > 0) & (after.first_value == day.last_value), after.first_slots, 0)
        return cls(goes_back, goes_on)

    def slots_beside(self, days: int, rows: Int64Array, slots: int) -> BoolArray:
        """Return in which slots of the day before (-1) or after (1) the runs of some series go on; shape (R, slots)."""
        slot = np.arange(slots)
        mask: BoolArray = slot >= slots - self.before[rows, None] if days < 0 else slot < self.after[rows, None]
        return mask


def runs_over_midnight(
    day: EdgeRuns, joined: JoinedRuns, slots: int, interval_minutes: int, rules: RuleSet
) -> tuple[BoolArray, BoolArray]:
    """Find the slots at a day's ends that belong to a long run together with the neighbouring day's.

    Parameters
    ----------
    day : EdgeRuns
    joined : JoinedRuns
    slots, interval_minutes : int
    rules : RuleSet
        The lengths that are a finding are those of ``rules.stuck`` and ``rules.zero_run``. Only the days beside this
        one are looked at: of a run over more days of one or two slots each, parts are not found.

    Returns
    -------
    stuck, zero : bool arrays, shape (R, S)
    """
    whole = day.first_slots == slots
    slot = np.arange(slots)
    stuck, zero = np.zeros((2, len(whole), slots), dtype=bool)
    for value, length, other, beyond, ours in (
        (day.first_value, day.first_slots, joined.before, joined.after, slot < day.first_slots[:, None]),
        (day.last_value, day.last_slots, joined.after, joined.before, slot >= slots - day.last_slots[:, None]),
    ):
        # A day that is one run joins what lies on both sides of it.
        total = length + other + np.where(whole, beyond, 0)
        crosses = (other > 0) | (whole & (beyond > 0))
        is_long = np.where(
            value == 0,
            # In minutes, whatever the length of the days: both days find the same run. A whole day of zeros is the
            # finding of that day alone.
            total >= -(-rules.zero_run_minutes // interval_minutes),
            total >= stuck_length(interval_minutes, rules.stuck_minutes, rules.stuck_slots),
        )
        marked = ours & (crosses & is_long)[:, None]
        zero |= marked & (value == 0)[:, None]
        stuck |= marked & (value != 0)[:, None]
    return stuck, zero
