"""Linear interpolation of short gaps, across midnight where the neighbouring day allows it.

Belongs here: the first method of the estimation cascade. Does not belong here: what is done with longer gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.history import HistoryDay
from metrify_assets.vee.runs import Runs, find_runs


@dataclass(frozen=True, eq=False)
class Interpolated:
    """Interpolated slots, one entry each: grid row, slot and micro-kWh; sorted by row and slot.

    ``position`` is the place in the gap, from 1, and ``spacing`` the slots from edge to edge.
    """

    row: np.ndarray
    slot: np.ndarray
    value: np.ndarray
    position: np.ndarray
    spacing: np.ndarray


@dataclass(frozen=True, eq=False)
class _Edge:
    """What bounds each gap on one side: the value, its distance from the gap in slots, and whether there is one."""

    value: np.ndarray
    distance: np.ndarray
    exists: np.ndarray


def interpolate_short_gaps(
    values: np.ndarray,
    valid: np.ndarray,
    max_slots: int,
    previous_day: Callable[[np.ndarray], HistoryDay | None],
    next_day: Callable[[np.ndarray], HistoryDay | None],
    needed: np.ndarray | None = None,
) -> Interpolated:
    """Interpolate the gaps of at most ``max_slots``: interior point i of n at i / (n + 1) between the valid edges.

    Parameters
    ----------
    values, valid : arrays, shape (P, S)
        Micro-kWh and whether they may be an edge; a gap is a run of slots that may not.
    max_slots : int
        Longest gap, counted with its continuation into the neighbouring day.
    previous_day, next_day : callable
        Called with the rows (ascending) whose gap touches the start or the end of the day, and only if there are
        any; return that day aligned to them.
    needed : bool array, shape (P, S), optional
        Slots to be estimated, none of which is valid; all of the gaps if omitted. The other slots of a gap count for
        its length, and a gap without any that is needed is left alone.

    Returns
    -------
    Interpolated
        Values rounded half to even.

    References
    ----------
    Austria, ElWG par. 55(2) no. 1: linear interpolation below two hours; California DASMMD (1999), section A: point to
    point up to two hours; Canada, IESO: one hour.
    """
    slots = values.shape[1]
    gaps = find_runs(~valid)
    short = gaps.end - gaps.first <= max_slots
    if needed is not None:
        short &= _count(needed, gaps) > 0
    gaps = Runs(gaps.row[short], gaps.first[short], gaps.end[short])
    if len(gaps.row) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return Interpolated(nothing, nothing, nothing, nothing, nothing)

    at_head, at_tail = gaps.first == 0, gaps.end == slots
    left = _inside(values, gaps.row, gaps.first - 1, ~at_head)
    right = _inside(values, gaps.row, gaps.end, ~at_tail)
    if at_head.any():
        _look_across(left, gaps.row, at_head, previous_day, backwards=True)
    if at_tail.any():
        _look_across(right, gaps.row, at_tail, next_day, backwards=False)

    spacing = (gaps.end - gaps.first) + left.distance + right.distance - 1
    usable = left.exists & right.exists & (spacing - 1 <= max_slots)
    points = _points(gaps, left, right, spacing, np.flatnonzero(usable))
    if needed is None:
        return points
    wanted = needed[points.row, points.slot]
    return Interpolated(*(getattr(points, entry.name)[wanted] for entry in fields(points)))


def _count(mask: BoolArray, gaps: Runs) -> Int64Array:
    """Return the slots of a mask in each gap."""
    before = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.int64)
    np.cumsum(mask, axis=1, out=before[:, 1:])
    counts: Int64Array = before[gaps.row, gaps.end] - before[gaps.row, gaps.first]
    return counts


def _inside(values: np.ndarray, row: np.ndarray, slot: np.ndarray, exists: np.ndarray) -> _Edge:
    value = np.where(exists, values[row, np.where(exists, slot, 0)], 0)
    return _Edge(value, np.ones(len(row), dtype=np.int64), exists.copy())


def _look_across(
    edge: _Edge,
    row: np.ndarray,
    at_boundary: np.ndarray,
    neighbour: Callable[[np.ndarray], HistoryDay | None],
    *,
    backwards: bool,
) -> None:
    """Fill the edges of the gaps at one boundary of the day from the valid slot nearest to it."""
    gap = np.flatnonzero(at_boundary)
    # A row has at most one gap at each boundary and gaps are ordered by row: the rows are unique and ascending.
    other = neighbour(row[gap])
    if other is None:
        return
    valid, values = other.valid, other.values
    if backwards:
        valid, values = valid[:, ::-1], values[:, ::-1]
    has_edge = valid.any(axis=1)
    nearest = valid.argmax(axis=1)
    gap, nearest = gap[has_edge], nearest[has_edge]
    edge.value[gap] = values[np.flatnonzero(has_edge), nearest]
    edge.distance[gap] = 1 + nearest
    edge.exists[gap] = True


def _points(gaps: Runs, left: _Edge, right: _Edge, spacing: np.ndarray, usable: np.ndarray) -> Interpolated:
    length = (gaps.end - gaps.first)[usable]
    gap = np.repeat(usable, length)
    within = np.arange(len(gap)) - np.repeat(np.cumsum(length) - length, length)
    position = left.distance[gap] + within
    value = scale_half_even(right.value[gap] - left.value[gap], position, spacing[gap], offset=left.value[gap])
    return Interpolated(gaps.row[gap], gaps.first[gap] + within, value, position, spacing[gap])
