"""Counters: which of their states can be, and how much they counted between two of them.

Belongs here: roll-over and states that do not fit their neighbours; pure arithmetic on states in order of time. Does
not belong here: slots (``registers.py``) and brackets around days (``brackets.py``).

States are int64 micro-kWh before the multiplier.
"""

from __future__ import annotations

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.grid import MULTIPLIER_ONE
from metrify_assets.vee.units import LARGEST_MICRO_KWH


def rolls_over(before: Int64Array, after: Int64Array, modulus: Int64Array, percent: int | np.ndarray) -> BoolArray:
    """Return where a counter passed its highest state between two reads; bool, shapes broadcast.

    Parameters
    ----------
    before, after : int64 arrays
        States, ``after`` the later one.
    modulus : int64 array
        Range of the counter, 0 = unknown: nothing is taken for a roll-over then.
    percent : int or int array
        The read before must lie in the uppermost, the read after in the lowest so many percent of the range.

    References
    ----------
    Own choice of shares; a counter of n digits counts modulo 10^n.
    """
    share = modulus // 100 * percent
    return (modulus > 0) & (after < before) & (before >= modulus - share) & (before < modulus) & (after <= share)


def fitting_states(
    counter: np.ndarray, state: np.ndarray, modulus: np.ndarray, percent: int | np.ndarray
) -> np.ndarray:
    """Return which states fit their neighbours; bool, shape (n,).

    Parameters
    ----------
    counter : int array, shape (n,)
        Whose state it is; equal numbers stand together.
    state : int64 array, shape (n,)
        In order of time within each counter.
    modulus : int64 array, shape (n,)
    percent : int or int array, shape (n,)
        As in ``rolls_over``; that of the later state counts.

    Notes
    -----
    A counter does not go down. Where it does, without a roll-over, the later state is left out if the next one is not
    below the earlier; else the earlier is, if the later is not below the one before that. Where neither explains
    it, both stay, and the difference between them is negative: nobody knows which is wrong.

    References
    ----------
    Own choice; a counter only grows.
    """
    keep = np.ones(len(state), dtype=bool)
    percent = np.broadcast_to(percent, len(state))
    same = counter[1:] == counter[:-1]
    falls = same & (state[1:] < state[:-1]) & ~rolls_over(state[:-1], state[1:], modulus[1:], percent[1:])
    for later in (np.flatnonzero(falls) + 1).tolist():
        earlier = later - 1
        if not keep[earlier]:
            continue
        following, previous = later + 1, earlier - 1
        later_is_wrong = (
            following < len(state) and counter[following] == counter[later] and state[following] >= state[earlier]
        )
        earlier_is_wrong = previous >= 0 and counter[previous] == counter[later] and state[later] >= state[previous]
        if later_is_wrong:
            keep[later] = False
        elif earlier_is_wrong:
            keep[earlier] = False
    return keep


def counted(
    before: np.ndarray, after: np.ndarray, modulus: np.ndarray, multiplier: np.ndarray, percent: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the energy between two states and whether the counter rolled over in between.

    Parameters
    ----------
    before, after, modulus : int64 arrays
    multiplier : int64 array
        Thousandths.
    percent : int or int array
        As in ``rolls_over``.

    Returns
    -------
    energy : int64 array, micro-kWh; negative where the counter goes down for no known reason. Absurd states make no
        more than about what a stored number can hold, which no connection carries.
    rolled : bool array
    """
    rolled = rolls_over(before, after, modulus, percent)
    difference = after - before + np.where(rolled, modulus, 0)
    if not np.all(multiplier == MULTIPLIER_ONE):
        most = LARGEST_MICRO_KWH // np.maximum(multiplier, MULTIPLIER_ONE) * MULTIPLIER_ONE
        difference = scale_half_even(np.clip(difference, -most, most), multiplier, MULTIPLIER_ONE)
    return np.clip(difference, -LARGEST_MICRO_KWH, LARGEST_MICRO_KWH), rolled
