"""Versions: which of several deliveries of one cell is current, and what became of the others.

Belongs here: the selection order, the outcome of every delivery and the counts that follow from it. Does not belong
here: which cell a delivery belongs to (``validate.py``, ``registers.py``).

Selection: the higher source status wins (a null counts as MISSING whatever its status, and a value that cannot be
stands below every one that can), then the later reception, then the larger ``order``. ``order`` is unique, so the
choice never depends on the order of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metrify_assets.vee.arrays import AnyArray, BoolArray, Int64Array
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.grid import Deliveries

NOTHING = -1
IMPOSSIBLE = 1
"""Strength of a value that cannot be."""
_MOST_VERSIONS = np.iinfo(np.int16).max


@dataclass(frozen=True, eq=False)
class Contest:
    """The deliveries of all cells that several were delivered for; masks and arrays of shape (K,).

    Attributes
    ----------
    row : int array
        Which rows of the ``Deliveries`` they are.
    deliveries : Deliveries
        Those rows.
    leader : int array
        Which of the K was chosen in the cell of each.
    strength : int array
        What they competed by before their arrival.
    same : bool array
        Those of the value that was chosen.
    """

    row: np.ndarray
    deliveries: Deliveries
    leader: np.ndarray
    strength: np.ndarray
    same: BoolArray

    @cached_property
    def _lost(self) -> BoolArray:
        lost: BoolArray = self.leader != np.arange(len(self.leader))
        return lost

    @property
    def winner(self) -> Int64Array:
        """Row of the ``Deliveries`` that was chosen in the cell of each."""
        winner: Int64Array = self.row[self.leader]
        return winner

    @property
    def identical(self) -> BoolArray:
        """Not chosen, of the value that was."""
        return self.same & self._lost

    @property
    def superseded(self) -> BoolArray:
        """Not chosen, of another value."""
        superseded: BoolArray = ~self.same
        return superseded

    @property
    def refused(self) -> BoolArray:
        """Of another value that cannot be: else it were chosen instead."""
        of, strength, leader = self.deliveries, self.strength, self.leader
        impossible = (strength == IMPOSSIBLE) & (strength[leader] > IMPOSSIBLE)
        ahead = (of.rank > of.rank[leader]) | ((of.rank == of.rank[leader]) & self._later)
        refused: BoolArray = self.superseded & impossible & ahead
        return refused

    @property
    def outranked(self) -> BoolArray:
        """Of another value that came later than the one chosen, with a lower status."""
        rank = self.deliveries.rank
        outranked: BoolArray = self.superseded & ~self.refused & self._later & (rank < rank[self.leader])
        return outranked

    @cached_property
    def _later(self) -> BoolArray:
        received, order, leader = self.deliveries.received_at, self.deliveries.order, self.leader
        same_moment = received == received[leader]
        later: BoolArray = (received > received[leader]) | (same_moment & (order > order[leader]))
        return later


@dataclass(frozen=True, eq=False)
class Chosen:
    """The current delivery of every cell.

    Attributes
    ----------
    row : int32 or int64 array, shape (C,)
        Row of the ``Deliveries``; ``NOTHING`` where nothing was delivered.
    version : int16 array, shape (C,)
        Distinct values delivered, all nulls being one; 0 where nothing was.
    flags : int32 array, shape (C,)
        DUPLICATE where the chosen value came more than once, NEW_VERSION where another value came too.
    contest : Contest or None
        Every delivery whose cell has others; all that are not in it are chosen. None where no cell has any.
    """

    row: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    contest: Contest | None

    @property
    def identical(self) -> int:
        """Deliveries of the chosen value that were not chosen."""
        return 0 if self.contest is None else int(np.count_nonzero(self.contest.identical))

    @property
    def superseded(self) -> int:
        """Deliveries of another value than the chosen one."""
        return 0 if self.contest is None else int(np.count_nonzero(self.contest.superseded))

    def gather(self, values: AnyArray) -> AnyArray:
        """Return ``values`` (shape (N,)) of the chosen deliveries, shape (C,); 0 where nothing was delivered."""
        if len(values) == 0:
            return np.zeros(len(self.row), dtype=values.dtype)
        # Mostly one drop, one status and no blanks: comparing costs a tenth of fetching from all over the array.
        if (values == values[0]).all():
            same: AnyArray = np.where(self._nothing, values.dtype.type(0), values[0])
            return same
        gathered = values.take(self.row, mode="clip")
        gathered[self._nothing] = 0
        return gathered

    @cached_property
    def _nothing(self) -> BoolArray:
        nothing: BoolArray = self.row == NOTHING
        return nothing


Possible = Callable[[Deliveries], np.ndarray]
"""Returns which deliveries hold a value that can be: bool, one per delivery."""


def choose_versions(
    deliveries: Deliveries,
    rows: np.ndarray | None,
    cells: np.ndarray,
    cell_count: int,
    possible: Possible | None = None,
) -> Chosen:
    """Choose the current delivery of every cell.

    Parameters
    ----------
    deliveries : Deliveries
    rows : int array, shape (M,), optional
        The deliveries that have a cell; all of them if omitted.
    cells : int array, shape (M,)
        Their cells, 0 <= cell < ``cell_count``.
    cell_count : int
    possible : callable, optional
        Asked only of deliveries that compete; all values can be if omitted.

    Raises
    ------
    ValueError
        If two competing deliveries have the same ``order``.

    Notes
    -----
    Every delivery is scattered to its cell and then looks whether it is still there: those that are not show which
    cells are contested. Only the deliveries of contested cells, few on an ordinary day, are compared at all, and no
    step sorts all rows.

    References
    ----------
    Own choice, with the ranks of market messages (``market_codes.py``).
    """
    # Scattering and looking again wait for memory: narrow numbers make that shorter.
    number = np.int32 if len(cells) <= np.iinfo(np.int32).max else np.int64
    places = np.arange(len(cells), dtype=number)
    holder: AnyArray = np.full(cell_count, NOTHING, dtype=number)
    holder[cells] = places
    version = (holder != NOTHING).astype(np.int16)
    flags = np.zeros(cell_count, dtype=np.int32)
    overwritten = holder.take(cells, mode="clip") != places
    contest = None
    if overwritten.any():
        contest = _settle(deliveries, rows, cells, cells[overwritten], holder, version, flags, possible)
    if rows is not None and len(rows):
        holder = np.where(holder == NOTHING, NOTHING, rows.take(holder, mode="clip"))
    return Chosen(holder, version, flags, contest)


def _settle(
    deliveries: Deliveries,
    rows: np.ndarray | None,
    cells: np.ndarray,
    contested: np.ndarray,
    holder: np.ndarray,
    version: np.ndarray,
    flags: np.ndarray,
    possible: Possible | None,
) -> Contest:
    """Decide the ``contested`` cells in the planes given; return who competed, and how it ended."""
    is_contested = np.zeros(len(holder), dtype=bool)
    is_contested[contested] = True
    contested_cells = np.flatnonzero(is_contested)
    groups = len(contested_cells)
    places = np.flatnonzero(is_contested[cells])
    # Contested cells are numbered 0, 1, ... so that what follows costs no more than they do.
    group = np.searchsorted(contested_cells, cells[places])
    competing = places if rows is None else rows[places]
    rivals = deliveries.take(competing)

    strength = _strength(rivals, possible)
    leads = _leaders(group, groups, (strength, rivals.received_at, rivals.order))
    leader = np.empty(groups, dtype=np.int64)
    leader[group[leads]] = np.flatnonzero(leads)
    value = np.where(rivals.is_null, 0, rivals.value)
    same = (value == value[leader][group]) & (rivals.is_null == rivals.is_null[leader][group])
    contest = Contest(competing, rivals, leader[group], strength, same)
    repeated, other = contest.identical, contest.superseded

    holder[contested_cells] = places[leader]
    versions = 1 + _distinct(group[other], groups, rivals.is_null[other], value[other])
    version[contested_cells] = np.minimum(versions, _MOST_VERSIONS)
    duplicated = np.bincount(group[repeated], minlength=groups) > 0
    flags[contested_cells] = duplicated * np.int32(Flag.DUPLICATE) | (versions > 1) * np.int32(Flag.NEW_VERSION)
    return contest


def _strength(deliveries: Deliveries, possible: Possible | None) -> np.ndarray:
    """Return what deliveries compete by before their arrival: a blank 0, a value that cannot be 1, else 2 x status."""
    strengths = 2 * deliveries.rank
    if possible is not None:
        strengths[(strengths > 0) & ~possible(deliveries)] = IMPOSSIBLE
    return strengths


def _leaders(group: np.ndarray, groups: int, keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the one row per group that is largest by ``keys``, the first key first: bool, shape of ``group``."""
    leads = np.ones(len(group), dtype=bool)
    for key in keys:
        wide = key.astype(np.int64)
        best = np.full(groups, np.iinfo(np.int64).min)
        np.maximum.at(best, group[leads], wide[leads])
        leads &= wide == best[group]
    if np.count_nonzero(leads) != groups:
        raise ValueError("two deliveries of one cell have the same rank, received_at and order: order must be unique")
    return leads


def _distinct(group: np.ndarray, groups: int, is_null: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Count the distinct values of each group, nulls as one value: int64, shape (groups,)."""
    if len(group) == 0:
        return np.zeros(groups, dtype=np.int64)
    sorting = np.lexsort((value, is_null, group))
    group, is_null, value = group[sorting], is_null[sorting], value[sorting]
    first = np.ones(len(group), dtype=bool)
    first[1:] = (group[1:] != group[:-1]) | (is_null[1:] != is_null[:-1]) | (value[1:] != value[:-1])
    return np.bincount(group[first], minlength=groups)
