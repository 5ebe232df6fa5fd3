"""Validation rules that another package brings along.

Belongs here: what such a rule is given, and what it may answer. Does not belong here: finding the packages
(``reference/rule_plugins.py``) and switching rules on (the rule book).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.codes import Severity

FIRST_BIT, LAST_BIT = 24, 29
"""Bits of ``flags`` that no rule of Metrify's has and none will have."""
SEVERITIES = (Severity.OFF, Severity.INFO, Severity.WARN)


@dataclass(frozen=True, eq=False)
class SeriesOfDay:
    """What a rule looks at: R series of one interval on one delivery day of S slots.

    Attributes
    ----------
    day : date
    interval_minutes : int
    starts : int64 array, shape (S,)
        First instants of the slots, UTC microseconds.
    delivered : int64 array, shape (R, S)
        Values, micro-kWh; of no meaning where not ``valid``.
    valid : bool array, shape (R, S)
        A value is there, and Metrify's own rules did not refuse it.
    point_id, obis_code, point_class : object arrays of str, shape (R,)
        ``point_class`` is None where the registry says none.
    limit_kw : float64 array, shape (R,)
        Connection power; NaN where the registry says none.
    """

    day: date
    interval_minutes: int
    starts: Int64Array
    delivered: Int64Array
    valid: BoolArray
    point_id: np.ndarray
    obis_code: np.ndarray
    point_class: np.ndarray
    limit_kw: np.ndarray


@dataclass(frozen=True)
class OwnRule:
    """A rule of another package: off until a rule book gives it a severity.

    Attributes
    ----------
    name : str
        As in rule books, counts and explanations.
    definition : str
        What a finding is.
    bit : int
        Bit of its findings in ``flags``, 24 to 29. It is stored with every value, so it never changes.
    find : callable
        Takes a ``SeriesOfDay``, returns the slots that it finds: bool, shape (R, S). It must be pure: the same values
        give the same findings, in any order of the series.
    version : str
        Changes with what it finds; days that were computed with another one are computed again.
    source : str
        Where the definition comes from.

    Raises
    ------
    ValueError
        If the bit is none for rules of other packages, or the name is no identifier.
    """

    name: str
    definition: str
    bit: int
    find: Callable[[SeriesOfDay], BoolArray]
    version: str
    source: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"rule {self.name!r}: a name has letters, digits and underscores")
        if not FIRST_BIT <= self.bit <= LAST_BIT:
            raise ValueError(f"rule {self.name}: bit={self.bit}, expected {FIRST_BIT} to {LAST_BIT}")

    @property
    def flag(self) -> int:
        """The bit as a number that ``flags`` is compared with."""
        return 1 << self.bit

    def findings(self, series: SeriesOfDay) -> BoolArray:
        """Return what the rule finds among valid values.

        Raises
        ------
        ValueError
            If it returns anything else than a bool array of the shape of the values.
        """
        findings = self.find(series)
        if not isinstance(findings, np.ndarray) or findings.dtype != bool or findings.shape != series.valid.shape:
            kind = f"{findings.dtype} {findings.shape}" if isinstance(findings, np.ndarray) else type(findings).__name__
            raise ValueError(
                f"rule {self.name} returned {kind}, expected bool {series.valid.shape}: correct its package"
            )
        mask: BoolArray = findings & series.valid
        return mask
