"""Versions: which of several deliveries of one cell is current.

Belongs here: the selection order and the counts that follow from it. Does not belong here: which cell a delivery
belongs to (``validate.py``, ``registers.py``).

Selection: the higher source status wins (a null counts as MISSING whatever its status, and a value that cannot be
stands below every one that can), then the later reception, then the larger ``order``. ``order`` is unique, so the
choice never depends on the order of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from metrify_assets.vee.arrays import AnyArray, BoolArray
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.grid import Deliveries

NOTHING = -1
IMPOSSIBLE = 1
"""Strength of a value that cannot be."""
_MOST_VERSIONS = np.iinfo(np.int16).max


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
    identical, superseded : int
        Deliveries that were not chosen: of the chosen value, of another one.
    """

    row: np.ndarray
    version: np.ndarray
    flags: np.ndarray
    identical: int
    superseded: int

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
    identical = superseded = 0
    if overwritten.any():
        identical, superseded = _settle(deliveries, rows, cells, cells[overwritten], holder, version, flags, possible)
    if rows is not None and len(rows):
        holder = np.where(holder == NOTHING, NOTHING, rows.take(holder, mode="clip"))
    return Chosen(holder, version, flags, identical, superseded)


def _settle(
    deliveries: Deliveries,
    rows: np.ndarray | None,
    cells: np.ndarray,
    contested: np.ndarray,
    holder: np.ndarray,
    version: np.ndarray,
    flags: np.ndarray,
    possible: Possible | None,
) -> tuple[int, int]:
    """Decide the ``contested`` cells in the planes given; return the counts of identical and superseded deliveries."""
    is_contested = np.zeros(len(holder), dtype=bool)
    is_contested[contested] = True
    contested_cells = np.flatnonzero(is_contested)
    groups = len(contested_cells)
    places = np.flatnonzero(is_contested[cells])
    # Contested cells are numbered 0, 1, ... so that what follows costs no more than they do.
    group = np.searchsorted(contested_cells, cells[places])
    rivals = deliveries.take(places if rows is None else rows[places])

    leads = _leaders(group, groups, (strength(rivals, possible), rivals.received_at, rivals.order))
    leader = np.empty(groups, dtype=np.int64)
    leader[group[leads]] = np.flatnonzero(leads)
    value = np.where(rivals.is_null, 0, rivals.value)
    same = (value == value[leader][group]) & (rivals.is_null == rivals.is_null[leader][group])
    repeated = same & ~leads
    other = ~same

    holder[contested_cells] = places[leader]
    versions = 1 + _distinct(group[other], groups, rivals.is_null[other], value[other])
    version[contested_cells] = np.minimum(versions, _MOST_VERSIONS)
    duplicated = np.bincount(group[repeated], minlength=groups) > 0
    flags[contested_cells] = duplicated * np.int32(Flag.DUPLICATE) | (versions > 1) * np.int32(Flag.NEW_VERSION)
    return int(np.count_nonzero(repeated)), int(np.count_nonzero(other))


def strength(deliveries: Deliveries, possible: Possible | None) -> np.ndarray:
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
