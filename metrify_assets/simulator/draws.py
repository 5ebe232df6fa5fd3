"""Random draws that depend on what they are for and on nothing else.

Belongs here: the keys of every random stream. Each stream is seeded by (seed, stream, keys...), so that a value does
not depend on how much was drawn before it: more points, more days or another order change nothing. Only uniform draws
are used: they are integers scaled by a power of two, the same on every platform, while the other distributions of
NumPy may change between its versions.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from metrify_assets.vee.arrays import Float64Array

BLOCK_POINTS = 128
"""Points of one vendor that are drawn and written together; a stream always draws the whole block."""


class Stream(IntEnum):
    """What a draw is for."""

    POINTS = 1
    LOAD = 2
    WEATHER_DAY = 3
    WEATHER_HOUR = 4
    GRID = 5
    FAULTS = 6
    UNKNOWN_POINT = 7
    INCIDENTS = 8
    REGISTERS = 9
    CLOCK_CHANGE = 10
    MIDNIGHT = 11
    POWER_QUALITY = 12


def uniform(shape: tuple[int, ...], seed: int, stream: Stream, *keys: int) -> Float64Array:
    """Return uniform draws in [0, 1), float64 of that shape, that depend on the seed, stream and keys only."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(stream), *keys))).random(shape)
