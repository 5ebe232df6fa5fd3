"""Channels by what they carry: energy, which is added up, or a quantity of the moment, which never is.

Belongs here: what an OBIS code says of quantity, phase and statistic. Does not belong here: which values are valid
(``schemas/power_quality.py``) and how energy is counted (``units.py``).

References
----------
IEC 62056-6-1, value groups C and D of electricity (A = 1): C = 11 current, 12 voltage, 13 power factor, 14 frequency,
with 20, 40 and 60 more for the phases L1, L2 and L3, and 91 the current of the neutral; D = 7 the value of the moment,
and in each of three averaging schemes a minimum, a current and a last average, and a maximum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class ChannelKind(StrEnum):
    """What becomes of the values of a channel."""

    ENERGY = "energy"
    """Energy or mean power, active or reactive: values of intervals add up, registers count them."""
    INSTANTANEOUS = "instantaneous"
    """A state of the grid at the point: nothing adds up."""


class Quantity(StrEnum):
    """What an instantaneous channel measures."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    POWER_FACTOR = "power_factor"
    FREQUENCY = "frequency"


class Phase(StrEnum):
    """Where it is measured."""

    ALL = "all"
    """No phase of its own: all three, or the only one."""
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    NEUTRAL = "N"


class Statistic(StrEnum):
    """What a value says of its interval."""

    MOMENT = "moment"
    MEAN = "mean"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class Channel:
    """An instantaneous channel."""

    quantity: Quantity
    phase: Phase
    statistic: Statistic


_QUANTITIES = {11: Quantity.CURRENT, 12: Quantity.VOLTAGE, 13: Quantity.POWER_FACTOR, 14: Quantity.FREQUENCY}
_PHASES = {0: Phase.ALL, 20: Phase.L1, 40: Phase.L2, 60: Phase.L3}
QUANTITY_CODES: dict[int, tuple[Quantity, Phase]] = {
    **{code + shift: (quantity, phase) for shift, phase in _PHASES.items() for code, quantity in _QUANTITIES.items()},
    91: (Quantity.CURRENT, Phase.NEUTRAL),
}
"""Value group C: quantity and phase. The voltage of the neutral (92) has no range that is known, so it is left out."""

STATISTIC_CODES: dict[int, Statistic] = {
    7: Statistic.MOMENT,
    **dict.fromkeys((3, 13, 23), Statistic.MINIMUM),
    **dict.fromkeys((6, 16, 26), Statistic.MAXIMUM),
    **dict.fromkeys((4, 14, 24, 5, 15, 25, 27, 28), Statistic.MEAN),
}
"""Value group D. An average that was running when it was read (4, 14, 24, 27, 28) counts like the last one."""

_OBIS = re.compile(r"1-\d+:(\d+)\.(\d+)\.(\d+)(?:[*&.]\d+)?", re.ASCII)
_TOTAL = 0
"""Value group E: 0 is the whole; other numbers are harmonics or rates."""


@lru_cache(maxsize=4_096)
def channel_of(obis_code: str) -> Channel | None:
    """Return what an OBIS code measures; None if it is no instantaneous channel, or a harmonic or a rate of one."""
    match = _OBIS.fullmatch(obis_code)
    if match is None:
        return None
    quantity, statistic, part = (int(group) for group in match.groups())
    if quantity not in QUANTITY_CODES or statistic not in STATISTIC_CODES or part != _TOTAL:
        return None
    return Channel(*QUANTITY_CODES[quantity], STATISTIC_CODES[statistic])


@lru_cache(maxsize=4_096)
def kind_of(obis_code: str) -> ChannelKind:
    """Return the kind of a channel; a code that names no quantity of the moment is energy's.

    It goes by value group C alone: the minimum of a harmonic of the voltage is no energy either.
    """
    match = _OBIS.fullmatch(obis_code)
    is_quantity = match is not None and int(match.group(1)) in QUANTITY_CODES
    return ChannelKind.INSTANTANEOUS if is_quantity else ChannelKind.ENERGY
