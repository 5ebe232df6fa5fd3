"""Brackets: what a register counted between two of its reads, and so what the intervals in between must add up to.

Belongs here: from register reads of many days to brackets. Does not belong here: what is done with the intervals
(``constraints.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.counters import counted, fitting_states
from metrify_assets.vee.exact import scale_half_even
from metrify_assets.vee.grid import MULTIPLIER_ONE, UNKNOWN_STATE


@dataclass(frozen=True, eq=False)
class CounterTable:
    """Counters in service, one entry per register and period of validity, sorted by both; arrays of shape (C,).

    Attributes
    ----------
    register : int64 array
        Number of the register (point and OBIS code).
    start, end : int64 arrays
        First instant of service and first instant after it; ``end`` is the largest int64 while it is in service.
    modulus, multiplier, resolution : int64 arrays
        Range and step in micro-kWh before the multiplier (0 = unknown); multiplier in thousandths.
    initial, final : int64 arrays
        State at ``start`` and ``end``, micro-kWh before the multiplier; ``UNKNOWN_STATE``.
    """

    register: np.ndarray
    start: np.ndarray
    end: np.ndarray
    modulus: np.ndarray
    multiplier: np.ndarray
    resolution: np.ndarray
    initial: np.ndarray
    final: np.ndarray

    def counter_at(self, register: np.ndarray, instant: np.ndarray) -> np.ndarray:
        """Return the counter that serves each register at each instant, -1 if none does."""
        if len(self.register) == 0:
            return np.full(len(register), -1, dtype=np.int64)
        # Sorted by register and start: one search for both, by structured comparison of ranks.
        starts, rank = np.unique(self.start, return_inverse=True)
        width = np.int64(len(starts) + 1)
        keys = self.register * width + rank
        wanted = register * width + np.searchsorted(starts, instant, side="right") - 1
        position = np.searchsorted(keys, wanted, side="right") - 1
        safe = np.maximum(position, 0)
        serves = (position >= 0) & (self.register[safe] == register) & (instant >= self.start[safe])
        return np.where(serves & (instant < self.end[safe]), safe, -1)


@dataclass(frozen=True, eq=False)
class Brackets:
    """Periods between two reads of a register, sorted by register and start; arrays of shape (B,).

    Attributes
    ----------
    register : int64 array
    start, end : int64 arrays
        Instants of the two reads.
    energy : int64 array
        Counted in between, micro-kWh; negative where the register goes down for no known reason.
    unit : int64 array
        One step of the register, micro-kWh with the multiplier; 0 = unknown.
    flags : int32 array
        REGISTER_ROLLOVER, METER_EXCHANGE; REGISTER_DECREASE where the energy is negative, and where a read in between
        was left out because it does not fit.
    """

    register: np.ndarray
    start: np.ndarray
    end: np.ndarray
    energy: np.ndarray
    unit: np.ndarray
    flags: np.ndarray

    def __len__(self) -> int:
        return len(self.register)

    def take(self, rows: np.ndarray) -> Brackets:
        """Return the brackets of a mask or an index array."""
        return Brackets(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    def joined(self, at: np.ndarray) -> tuple[Brackets, np.ndarray, np.ndarray]:
        """Join each bracket with the next of its register where they meet at a read that is to be left out.

        Parameters
        ----------
        at : bool array, shape (B,)
            Whether the read that ends the bracket is to be left out.

        Returns
        -------
        brackets : Brackets
            Energies and flags added up; negative where any of the parts is.
        first, last : int arrays
            The first and the last of the brackets that each is made of.
        """
        continues = np.zeros(len(self), dtype=bool)
        continues[1:] = at[:-1] & (self.register[1:] == self.register[:-1]) & (self.start[1:] == self.end[:-1])
        first = np.flatnonzero(~continues)
        last = np.append(first, len(self))[1:] - 1
        if len(first) == len(self):
            return self, first, last
        least = np.minimum.reduceat(self.energy, first)
        energy = np.where(least < 0, least, np.add.reduceat(self.energy, first))
        flags = np.bitwise_or.reduceat(self.flags, first)
        brackets = Brackets(self.register[first], self.start[first], self.end[last], energy, self.unit[first], flags)
        return brackets, first, last


def find_brackets(
    register: np.ndarray,
    read_at: np.ndarray,
    state: np.ndarray,
    counters: CounterTable,
    rollover_percent: Callable[[np.ndarray], np.ndarray],
) -> Brackets:
    """Return the periods between successive reads of each register.

    Parameters
    ----------
    register, read_at, state : int64 arrays, shape (N,)
        Chosen reads of any days in any order: register, instant, micro-kWh before the multiplier. Of several at one
        instant (a drifting stamp before midnight, and one after) the first counts.
    counters : CounterTable
    rollover_percent : callable
        Returns for instants of reads, int64, shape (N,), by which share of its range a counter may roll over there
        (``counters.rolls_over``).

    Notes
    -----
    Reads of a time without a counter are left out. At the instants at which a counter begins or ends its service the
    registry's state counts as a read of that counter, and stands above a delivered one: so an exchange is two brackets
    that meet. A read that does not fit its neighbours is left out (``counters.fitting_states``).
    """
    counter = counters.counter_at(register, read_at)
    # A read at the very end of service belongs to the next counter; the old one has its final state instead.
    begins = counters.initial != UNKNOWN_STATE
    # A final state says nothing while the end of service is not known.
    ends = (counters.final != UNKNOWN_STATE) & (counters.end < np.iinfo(np.int64).max)
    every = np.arange(len(counters.register))
    counter = np.concatenate([counter, every[begins], every[ends]])
    instant = np.concatenate([read_at, counters.start[begins], counters.end[ends]])
    states = np.concatenate([state, counters.initial[begins], counters.final[ends]])
    declared = np.concatenate([np.zeros(len(read_at), dtype=bool), np.ones(len(counter) - len(read_at), dtype=bool)])
    order = np.lexsort((~declared, instant, counter))
    order = order[counter[order] >= 0]
    counter, instant, states, declared = counter[order], instant[order], states[order], declared[order]
    first = np.ones(len(counter), dtype=bool)
    first[1:] = (counter[1:] != counter[:-1]) | (instant[1:] != instant[:-1])
    percent = rollover_percent(instant)
    fits = fitting_states(counter[first], states[first], counters.modulus[counter[first]], percent[first])
    rows = np.flatnonzero(first)[fits]
    # What was left out lies between two reads that are now neighbours.
    left_out = np.diff(np.flatnonzero(fits)) > 1
    counter, instant, states, declared = counter[rows], instant[rows], states[rows], declared[rows]
    percent = percent[rows]

    pairs = np.flatnonzero(counter[1:] == counter[:-1])
    of = counter[pairs]
    energy, rolled = counted(
        states[pairs], states[pairs + 1], counters.modulus[of], counters.multiplier[of], percent[pairs + 1]
    )
    exchanged = (declared[pairs] & (instant[pairs] == counters.start[of])) | declared[pairs + 1]
    flags = (
        rolled * np.int32(Flag.REGISTER_ROLLOVER)
        | exchanged * np.int32(Flag.METER_EXCHANGE)
        | ((energy < 0) | left_out[pairs]) * np.int32(Flag.REGISTER_DECREASE)
    )
    unit = scale_half_even(counters.resolution[of], counters.multiplier[of], MULTIPLIER_ONE)
    brackets = Brackets(counters.register[of], instant[pairs], instant[pairs + 1], energy, unit, flags.astype(np.int32))
    return brackets.take(np.lexsort((brackets.start, brackets.register)))
