"""What became of every delivery of one series, for people who ask: its slot, its role, and what counts instead of it.

Belongs here: the selection's outcome per delivery. Does not belong here: the selection (``selection.py``), sentences
(``explain/``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay
from metrify_assets.vee.grid import Deliveries, SeriesTable
from metrify_assets.vee.placement import snap
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.selection import Selected, Selector, Sums, feed_of_series, with_checked_units
from metrify_assets.vee.versions import IMPOSSIBLE, strength


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
    other_minutes : dict of int to frozenset of int
        By slot, the other lengths that it was delivered for.
    """

    roles: tuple[DeliveryRole, ...]
    other_minutes: dict[int, frozenset[int]]


def roles_of_series(
    day: DeliveryDay,
    series: SeriesTable,
    row: int,
    deliveries: Deliveries,
    rules: DayRules,
    feeds: tuple[str, ...] = (),
) -> SeriesRoles:
    """Return what became of every interval delivery of a series; arguments as in ``validate.validate_shard``.

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
    ours = (checked.series == row) & ~checked.is_register
    fitting, wrong_unit = np.flatnonzero(ours & ~checked.wrong_unit), np.flatnonzero(ours & checked.wrong_unit)
    accepted = checked.take(fitting)
    selected = selector.select(accepted)
    outcome = _Outcome(selector, accepted, selected)
    roles = [
        DeliveryRole(
            int(fitting[outcome_role.number]),
            outcome_role.slot,
            outcome_role.role,
            outcome_role.because,
            None if outcome_role.rival is None else int(fitting[outcome_role.rival]),
        )
        for outcome_role in outcome.roles()
    ]
    for number in wrong_unit.tolist():
        slot = slot_of(day, minutes, int(checked.start[number]), selector.tolerance_seconds)
        roles.append(DeliveryRole(number, slot, Role.WRONG_UNIT))
    return SeriesRoles(tuple(roles), outcome.other_minutes())


def slot_of(day: DeliveryDay, minutes: int, start: int, tolerance_seconds: int) -> int | None:
    """Return the slot that a stamp lies in, snapped within the clock's tolerance; None outside of the day."""
    step = minutes * MICROSECONDS_PER_MINUTE
    offset = start - day.start
    slot = int(snap(np.array([offset]), step, tolerance_seconds)[0])
    slot = slot if slot >= 0 else offset // step
    return slot if 0 <= slot < day.slots(minutes) else None


class _Outcome:
    """The selection of one series, delivery by delivery."""

    def __init__(self, selector: Selector, deliveries: Deliveries, selected: Selected) -> None:
        self.selector, self.deliveries, self.selected = selector, deliveries, selected
        self.slots = selector.shape[1]
        self.strength = strength(deliveries, selector.possible)

    def roles(self) -> Iterator[DeliveryRole]:
        placement, chosen = self.selected.placement, self.selected.chosen
        rows = np.arange(len(self.deliveries)) if placement.rows is None else placement.rows
        for number, cell in zip(rows.tolist(), placement.cells.tolist(), strict=True):
            winner = int(chosen.row[cell])
            slot = cell % self.slots
            if number == winner:
                yield DeliveryRole(number, slot, Role.CHOSEN)
            else:
                yield self._not_chosen(number, slot, winner)
        filled = dict.fromkeys((placement.cells % self.slots).tolist(), Because.SLOT_DELIVERED)
        for sums in self.selected.sums:
            yield from self._finer(sums, filled)
            used = (sums.values.cell[sums.used] % self.slots).tolist()
            filled |= dict.fromkeys(used, Because.LONGER_PARTS)
        for number in placement.off_grid.tolist():
            yield self._off_grid(number)

    def other_minutes(self) -> dict[int, frozenset[int]]:
        placement = self.selected.placement
        lengths_of_slot: dict[int, frozenset[int]] = {}
        lengths = self.deliveries.minutes[placement.mismatching]
        for cell, length in zip(placement.mismatched.tolist(), lengths.tolist(), strict=True):
            slot = cell % self.slots
            lengths_of_slot[slot] = lengths_of_slot.get(slot, frozenset()) | {length}
        return lengths_of_slot

    def _finer(self, sums: Sums, filled: dict[int, Because]) -> Iterator[DeliveryRole]:
        values = sums.values
        per_slot = self.selector.minutes // int(self.deliveries.minutes[sums.rows[0]])
        used = set((values.cell[sums.used] % self.slots).tolist())
        for place, part in zip(values.fits.tolist(), values.part.tolist(), strict=True):
            number, winner = int(sums.rows[place]), int(sums.rows[values.chosen[part]])
            slot = part // per_slot
            if number != winner:
                yield self._not_chosen(number, slot, winner)
            elif slot in used:
                yield DeliveryRole(number, slot, Role.PART)
            else:
                yield DeliveryRole(number, slot, Role.UNUSED, filled.get(slot, Because.PARTS_ABSENT))
        fits = np.zeros(len(sums.rows), dtype=bool)
        fits[values.fits] = True
        for number in sums.rows[~fits].tolist():
            yield self._off_grid(number)

    def _off_grid(self, number: int) -> DeliveryRole:
        offset = int(self.deliveries.start[number]) - self.selector.day.start
        slot = offset // (self.selector.minutes * MICROSECONDS_PER_MINUTE)
        return DeliveryRole(number, slot if 0 <= slot < self.slots else None, Role.OFF_GRID)

    def _not_chosen(self, number: int, slot: int, winner: int) -> DeliveryRole:
        """Return the role of a delivery that another one of its place was preferred to."""
        of = self.deliveries
        blank = bool(of.is_null[number]), bool(of.is_null[winner])
        if all(blank) or (not any(blank) and bool(of.value[number] == of.value[winner])):
            return DeliveryRole(number, slot, Role.IDENTICAL, None, winner)
        first, second = ((int(of.received_at[delivery]), int(of.order[delivery])) for delivery in (number, winner))
        ranks = int(of.rank[number]), int(of.rank[winner])
        refused = self.strength[number] == IMPOSSIBLE < self.strength[winner]
        if refused and (ranks[0], *first) > (ranks[1], *second):
            return DeliveryRole(number, slot, Role.IMPOSSIBLE, Because.REFUSED, winner)
        outranked = first > second and ranks[0] < ranks[1]
        return DeliveryRole(number, slot, Role.SUPERSEDED, Because.OUTRANKED if outranked else None, winner)
