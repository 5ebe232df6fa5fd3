"""The interval of a series, told from the distances between its times.

Belongs here: when it can be told, and when it cannot. Does not belong here: what a table says of it itself
(``delivered.py``).
"""

from __future__ import annotations

import numpy as np

from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, to_local

DAY_MINUTES = 1_440
LEAST_DISTANCES = 2
"""Neighbours at the interval that there must be: of two times nobody can tell what lies between them."""
MIXED_RUN = 12
"""So many neighbours in a row at another distance are values of another interval, and no gaps. Our own choice."""


def interval_of(starts: np.ndarray, zone: str) -> int | None:
    """Return the interval of a series in minutes, None if its times do not tell it.

    Parameters
    ----------
    starts : int64 array, shape (N,)
        Instants, UTC microseconds, in any order.
    zone : str
        Zone of the delivery day: values of whole days are 23 or 25 hours apart when clocks change.

    Notes
    -----
    The distance that most neighbours have is the interval if all distances are multiples of it, it divides the day, and
    no other distance comes many times in a row. Where three of four values are absent, and regularly so, the times say
    an hour where quarter hours are meant: only a person knows that.
    """
    times = np.unique(starts)
    interval = _interval(times // MICROSECONDS_PER_MINUTE)
    if interval is None and len(times):
        # Whole days are as long as each other on the clocks of their zone only.
        interval = _interval(to_local(times, zone) // MICROSECONDS_PER_MINUTE)
        return interval if interval == DAY_MINUTES else None
    return interval


def _interval(minutes: np.ndarray) -> int | None:
    distances = np.diff(np.unique(minutes))
    if len(distances) == 0:
        return None
    lengths, counts = np.unique(distances, return_counts=True)
    most = int(np.argmax(counts))
    interval = int(lengths[most])
    if counts[most] < LEAST_DISTANCES or not is_interval(interval) or (lengths % interval).any():
        return None
    changes = np.flatnonzero(np.diff(distances) != 0) + 1
    bounds = np.concatenate([[0], changes, [len(distances)]])
    longest_other = np.diff(bounds)[distances[bounds[:-1]] != interval]
    return None if longest_other.max(initial=0) >= MIXED_RUN else interval


def is_interval(minutes: int) -> bool:
    """Return whether slots of that length divide an ordinary day."""
    return minutes > 0 and DAY_MINUTES % minutes == 0
