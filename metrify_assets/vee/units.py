"""Delivered units to energy: exact conversion to micro-kWh.

Belongs here: the units that a feed may declare and their factors. Does not belong here: deciding whether a unit fits
the registry (a rule), nor parsing of numbers (``feeds/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from metrify_assets.vee.exact import scale_half_even

MICRO_PER_KWH = 1_000_000
LARGEST_MICRO_KWH = 10**18 - 1
"""Largest magnitude that DECIMAL(18,6) kWh holds."""

_PREFIXES = {"k": Fraction(1), "": Fraction(1, 1_000), "M": Fraction(1_000)}

ENERGY_UNITS = {prefix + unit: factor for unit in ("Wh", "varh") for prefix, factor in _PREFIXES.items()}
"""kWh per unit of energy; kvarh per unit of reactive energy, whose channels hold kvarh where others hold kWh."""

POWER_UNITS = {prefix + unit: factor for unit in ("W", "var") for prefix, factor in _PREFIXES.items()}
"""kW (kvar) per unit of mean power; kWh = kW x interval minutes / 60."""


def to_micro_kwh(
    values: np.ndarray, unit_codes: np.ndarray, unit_names: Sequence[str], minutes: np.ndarray
) -> np.ndarray:
    """Convert delivered values to energy in micro-kWh, rounded half to even.

    Parameters
    ----------
    values : int64 array, shape (N,)
        Delivered values in millionths of their unit (DECIMAL(18,6) viewed as integer); 0 where null.
    unit_codes : int array, shape (N,)
        Index into ``unit_names`` (a dictionary-encoded column).
    unit_names : sequence of str
        kWh, Wh, MWh (energy), kW, W, MW (mean power over the interval), and the same of reactive energy (kvarh ...,
        kvar ...). Names that no row uses are not looked at.
    minutes : int array, shape (N,)
        Length of the interval; only power needs it.

    Returns
    -------
    int64 array, shape (N,). ``values`` itself where every row is in kWh or kvarh.

    Raises
    ------
    ValueError
        If a unit is unknown, or power comes without an interval.
    OverflowError
        If a result does not fit DECIMAL(18,6) kWh.
    """
    used: list[int] = np.flatnonzero(np.bincount(unit_codes, minlength=1)).tolist()
    unknown = sorted({unit_names[code] for code in used} - ENERGY_UNITS.keys() - POWER_UNITS.keys())
    if unknown:
        raise ValueError(f"unknown unit {unknown[0]!r}; use one of {', '.join([*ENERGY_UNITS, *POWER_UNITS])}")
    if all(ENERGY_UNITS.get(unit_names[code]) == 1 for code in used):
        return values
    result = np.empty(len(values), dtype=np.int64)
    for code in used:
        unit = unit_names[code]
        # Nearly always one unit and one length hold for all rows: they are not picked one by one then.
        rows = slice(None) if len(used) == 1 else np.flatnonzero(unit_codes == code)
        if unit in ENERGY_UNITS:
            result[rows] = _scaled(values[rows], ENERGY_UNITS[unit], unit)
            continue
        lengths = minutes[rows]
        if lengths.min() < 1:
            raise ValueError(f"power in {unit} needs an interval of at least one minute to become energy")
        present = np.flatnonzero(np.bincount(lengths))
        for length in present:
            part = rows if len(present) == 1 else np.arange(len(values))[rows][lengths == length]
            result[part] = _scaled(values[part], POWER_UNITS[unit] * Fraction(int(length), 60), unit)
    return result


def largest_value(unit: str, minutes: int) -> int:
    """Return the largest magnitude, in millionths of ``unit``, whose energy fits DECIMAL(18,6) kWh."""
    factor = ENERGY_UNITS[unit] if unit in ENERGY_UNITS else POWER_UNITS[unit] * Fraction(minutes, 60)
    return _largest(factor)


def _largest(factor: Fraction) -> int:
    return LARGEST_MICRO_KWH * factor.denominator // factor.numerator


def _scaled(values: np.ndarray, factor: Fraction, unit: str) -> np.ndarray:
    limit = _largest(factor)
    # Where the unit is so small that every int64 fits, the limit itself would not fit the comparison.
    if limit < np.iinfo(np.int64).max:
        beyond = (values > limit) | (values < -limit)
        if beyond.any():
            first = int(values[beyond][0]) / MICRO_PER_KWH
            raise OverflowError(
                f"{np.count_nonzero(beyond)} value(s) do not fit DECIMAL(18,6) kWh, the first is {first:.6g} {unit}: "
                "check the unit of the feed"
            )
    return scale_half_even(values, factor.numerator, factor.denominator)
