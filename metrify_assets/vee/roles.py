"""What became of every delivery of one series, for people who ask: its slot, its role, and what counts instead of it.

Belongs here: names for what the choice returns, delivery by delivery. Does not belong here: the choice
(``selection.py``, ``versions.py``, ``aggregation.py``), sentences (``explain/``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import Deliveries, SeriesTable
from metrify_assets.vee.placement import slots_of
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.selection import Selector, feed_of_series, with_checked_units
from metrify_assets.vee.versions import NOTHING, Chosen


class Role(StrEnum):
    """What became of an interval delivery."""

    CHOSEN = "chosen"
    PART = "part"
    IDENTICAL = "identical"
    SUPERSEDED = "superseded"
    IMPOSSIBLE = "impossible"
    UNUSED = "unused"
    OFF_GRID = "off_grid"
    WRONG_UNIT = "wrong_unit"


class Because(StrEnum):
    """Why a delivery is not used, where its arrival alone does not say it."""

    OUTRANKED = "outranked"
    """It came later, but the status of the one that counts is higher."""
    REFUSED = "refused"
    """It would count, but its value cannot be, and that of another one can."""
    PARTS_ABSENT = "parts_absent"
    SLOT_DELIVERED = "slot_delivered"
    LONGER_PARTS = "longer_parts"


@dataclass(frozen=True)
class DeliveryRole:
    """The outcome of one delivery.

    Attributes
    ----------
    number : int
        Row of the ``Deliveries`` given.
    slot : int or None
        Slot of the day that it lies in; None outside of the grid.
    role : Role
    because : Because or None
    rival : int or None
        The delivery that counts in its place.
    """

    number: int
    slot: int | None
    role: Role
    because: Because | None = None
    rival: int | None = None


@dataclass(frozen=True)
class SeriesRoles:
    """The outcome of all interval deliveries of a series.

    Attributes
    ----------
    roles : tuple of DeliveryRole
        By ``number``.
    other_minutes : dict of int to frozenset of int
        By slot, the other lengths that it was delivered for.
    lowest, highest : int
        Micro-kWh in a slot beyond which a value cannot be.
    """

    roles: tuple[DeliveryRole, ...]
    other_minutes: dict[int, frozenset[int]]
    lowest: int
    highest: int


def roles_of_series(
    day: DeliveryDay,
    series: SeriesTable,
    row: int,
    deliveries: Deliveries,
    rules: DayRules,
    feeds: tuple[str, ...] = (),
) -> SeriesRoles:
    """Choose among the deliveries of a series, and return what became of each; as in ``validate.validate_shard``.

    Parameters
    ----------
    day : DeliveryDay
    series : SeriesTable
    row : int
        The series; its interval divides the day.
    deliveries : Deliveries
        Of any series.
    rules : DayRules
    feeds : tuple of str

    Raises
    ------
    ValueError
        If two competing deliveries have the same ``order``.
    """
    minutes = int(series.interval_minutes[row])
    checked = with_checked_units(deliveries, rules)
    selector = Selector(day, series, minutes, rules, feed_of_series(series, checked, rules, feeds))
    ours = np.flatnonzero((checked.series == row) & ~checked.is_register)
    intervals = checked.take(ours)
    roles = _Roles(selector, intervals)
    lowest, highest = (int(bound[selector.row_of_series[row]]) for bound in selector.bounds)
    return SeriesRoles(roles.of_deliveries(ours), roles.other_minutes(), lowest, highest)


class _Roles:
    """What became of the deliveries of one series, read off the choice among them; arrays of shape (N,)."""

    def __init__(self, selector: Selector, intervals: Deliveries) -> None:
        rows = len(intervals)
        self._slots = selector.shape[1]
        self._role = np.full(rows, Role.OFF_GRID, dtype=object)
        self._because = np.full(rows, None, dtype=object)
        self._rival = np.full(rows, NOTHING)
        self._slot = slots_of(
            selector.day, selector.minutes, intervals.start, intervals.minutes, selector.tolerance_seconds
        )
        self._role[intervals.wrong_unit] = Role.WRONG_UNIT
        self._accepted = np.flatnonzero(~intervals.wrong_unit)
        self._deliveries = intervals.take(self._accepted)
        self._selected = selector.select(self._deliveries)
        self._read_slots()
        self._read_sums(selector.minutes)

    def of_deliveries(self, numbers: Int64Array) -> tuple[DeliveryRole, ...]:
        """Return the roles, with ``numbers`` as names of the deliveries."""
        return tuple(
            DeliveryRole(
                number,
                None if slot == NOTHING else slot,
                role,
                because,
                None if rival == NOTHING else int(numbers[rival]),
            )
            for number, slot, role, because, rival in zip(
                numbers.tolist(), self._slot.tolist(), self._role, self._because, self._rival.tolist(), strict=True
            )
        )

    def other_minutes(self) -> dict[int, frozenset[int]]:
        """Return the lengths other than its own that each slot was delivered for."""
        placement = self._selected.placement
        lengths_of_slot: dict[int, frozenset[int]] = {}
        lengths = self._deliveries.minutes[placement.mismatching]
        for cell, length in zip(placement.mismatched.tolist(), lengths.tolist(), strict=True):
            slot = cell % self._slots
            lengths_of_slot[slot] = lengths_of_slot.get(slot, frozenset()) | {length}
        return lengths_of_slot

    def _read_slots(self) -> None:
        placement, chosen = self._selected.placement, self._selected.chosen
        rows = self._accepted if placement.rows is None else self._accepted[placement.rows]
        self._slot[rows] = placement.cells % self._slots
        self._role[rows] = Role.CHOSEN
        self._read_contest(chosen, self._accepted)

    def _read_sums(self, minutes: int) -> None:
        instead = np.full(self._slots, Because.PARTS_ABSENT, dtype=object)
        instead[self._selected.placement.cells % self._slots] = Because.SLOT_DELIVERED
        for sums in self._selected.sums:
            values, rows = sums.values, self._accepted[sums.rows]
            parts = rows[values.fits]
            slot = values.part // (minutes // int(self._deliveries.minutes[sums.rows[0]]))
            used = np.zeros(self._slots, dtype=bool)
            used[values.cell[sums.used] % self._slots] = True
            self._slot[parts] = slot
            self._role[parts] = np.where(used[slot], Role.PART, Role.UNUSED)
            self._because[parts] = np.where(used[slot], None, instead[slot])
            self._read_contest(values.chosen, rows)
            instead[used] = Because.LONGER_PARTS

    def _read_contest(self, chosen: Chosen, rows: Int64Array) -> None:
        """Write what became of those not chosen; ``rows`` are the deliveries that were given to the choice."""
        contest = chosen.contest
        if contest is None:
            return
        lost = contest.identical | contest.superseded
        self._rival[rows[contest.row[lost]]] = rows[contest.winner[lost]]
        for mask, role, because in (
            (contest.identical, Role.IDENTICAL, None),
            (contest.superseded, Role.SUPERSEDED, None),
            (contest.outranked, Role.SUPERSEDED, Because.OUTRANKED),
            (contest.refused, Role.IMPOSSIBLE, Because.REFUSED),
        ):
            self._role[rows[contest.row[mask]]] = role
            self._because[rows[contest.row[mask]]] = because
