"""Units of grid status, weather and power quality: from the unit that a feed declares to the one that the table stores.

Belongs here: the factors, each a ratio of integers, and exact arithmetic on millionths. Does not belong here: energy of
meters (``vee/units.py``) and any guess of a unit: what a feed does not declare is not converted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from metrify_assets.feeds.values.numbers import LIMIT, MICRO

_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Conversion:
    """``stored = (delivered + before) * factor``.

    Attributes
    ----------
    factor : Fraction
    before : int
        Millionths of the delivered unit, such as -273.15 for kelvin.
    """

    factor: Fraction = Fraction(1)
    before: int = 0

    def apply(self, micro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert millionths, rounded half away from zero.

        Parameters
        ----------
        micro : int64 array
            Millionths, below 10^18 in size.

        Returns
        -------
        converted : int64 array
            Millionths; 0 where the value is too large to be stored.
        too_large : bool array
        """
        shifted = micro + self.before
        numerator, denominator = self.factor.numerator, self.factor.denominator
        fits = np.abs(shifted) <= (_LARGEST - denominator) // (2 * numerator)
        size = np.abs(np.where(fits, shifted, 0))
        rounded = (2 * size * numerator + denominator) // (2 * denominator)
        fits &= rounded < LIMIT * MICRO
        return np.where(fits, np.copysign(1, shifted).astype(np.int64) * rounded, 0), ~fits


Conversions = Callable[[int | None], Conversion]
"""From the minutes of an interval, or None where rows differ."""


def _times(factor: Fraction | int) -> Conversions:
    return lambda _: Conversion(Fraction(factor))


def _per_interval(factor: Fraction | int) -> Conversions:
    """An amount of an interval, as the mean rate per hour: times 60 by its minutes."""

    def of(minutes: int | None) -> Conversion:
        if minutes is None:
            raise ValueError("an amount of an interval needs interval_minutes as a number: give it, or deliver a rate")
        return Conversion(Fraction(factor) * Fraction(60, minutes))

    return of


def _shifted(before: int, factor: Fraction | int) -> Conversions:
    return lambda _: Conversion(Fraction(factor), before)


_CONVERSIONS: dict[str, dict[str, Conversions]] = {
    "MW": {
        "MW": _times(1),
        "kW": _times(Fraction(1, 1000)),
        "GW": _times(1000),
        "MWh": _per_interval(1),
        "kWh": _per_interval(Fraction(1, 1000)),
        "GWh": _per_interval(1000),
    },
    "Hz": {"Hz": _times(1), "mHz": _times(Fraction(1, 1000))},
    "EUR/MWh": {"EUR/MWh": _times(1), "EUR/kWh": _times(1000), "ct/kWh": _times(10)},
    "V": {"V": _times(1), "kV": _times(1000), "mV": _times(Fraction(1, 1000))},
    "A": {"A": _times(1), "kA": _times(1000), "mA": _times(Fraction(1, 1000))},
    "1": {"1": _times(1), "%": _times(Fraction(1, 100))},
    "degC": {
        "degC": _times(1),
        "K": _shifted(-273_150_000, 1),
        "degF": _shifted(-32_000_000, Fraction(5, 9)),
    },
    "%": {"%": _times(1), "okta": _times(Fraction(25, 2))},
    "hPa": {"hPa": _times(1), "Pa": _times(Fraction(1, 100))},
    "m/s": {"m/s": _times(1), "km/h": _times(Fraction(5, 18)), "mph": _times(Fraction(1397, 3125))},
    "deg": {"deg": _times(1)},
    # 1 J/cm2 is 10,000 J/m2, and 3,600 J are 1 Wh: J/cm2 / 0.36 = Wh/m2, which is the mean W/m2 of an hour.
    "W/m2": {"W/m2": _times(1), "Wh/m2": _per_interval(1), "J/cm2": _per_interval(Fraction(100, 36))},
    "mm": {"mm": _times(1)},
}
"""Stored unit to delivered unit to conversion, given the length of the interval in minutes."""


def units_of(stored: str) -> tuple[str, ...]:
    """Return the units that can be converted to a stored one."""
    return tuple(_CONVERSIONS[stored])


def conversion(delivered: str, stored: str, interval_minutes: int | None) -> Conversion:
    """Return how values of a unit become those of the stored unit; both must be known.

    Parameters
    ----------
    interval_minutes : int, optional
        None where rows differ in it.

    Raises
    ------
    ValueError
        If the conversion depends on a length that differs between rows.
    """
    return _CONVERSIONS[stored][delivered](interval_minutes)
