"""Thresholds of validation and estimation, with their units in their names.

Belongs here: every number that a rule or an estimator compares with, its default and where it comes from. Does not
belong here: the rules (``rules.py``) and the estimators (``interpolate.py``, ``like_days.py``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


def _digest(parameters: object) -> str:
    text = json.dumps([type(parameters).__name__, asdict(parameters)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RuleSet:
    """Parameters of the validation rules.

    Attributes
    ----------
    version : str
        Changes when the *code* of a rule changes; stored with every result through ``digest``.
    physical_limit_percent : int
        Share of the connection power above which a value is refused.
    unknown_connection_kw : float
        Connection power that stands in where the registry has none: 1 GW, more than any connection of a distribution
        grid. Our own choice; it keeps absurd values, such as 10^11 kWh, out of every sum.
    spike_excess_percent : int
        Excess of the day's maximum over its third maximum, as a share of the latter (Oracle MDM, CPUC: 180 %).
    spike_floor_kw : float
        The excess must also be at least this large, or every quiet meter with one kettle would spike. The default is
        0.5 kWh in a quarter hour: our own choice.
    stuck_minutes : int
        Shortest run of one non-zero value that is a finding.
    stuck_slots : int
        The run must also hold that many slots: two equal hourly values are a coincidence, not a stuck meter. Our own
        choice; without effect up to 30-minute intervals.
    zero_run_minutes : int
        Shortest run of zeros that is a finding. The rule sees one day, so a whole day of zeros always counts, also
        where the day has 23 hours.
    """

    version: str = "1"
    physical_limit_percent: int = 110
    unknown_connection_kw: float = 1_000_000.0
    spike_excess_percent: int = 180
    spike_floor_kw: float = 2.0
    stuck_minutes: int = 120
    stuck_slots: int = 4
    zero_run_minutes: int = 1_440

    @property
    def digest(self) -> str:
        """Stable digest of every parameter and the version: 16 hexadecimal digits."""
        return _digest(self)


@dataclass(frozen=True)
class EstimationParameters:
    """Parameters of the estimation cascade.

    Attributes
    ----------
    version : str
        Changes when the *code* of an estimator changes.
    max_linear_gap_minutes : int
        Longest gap that is interpolated, across midnight included (Austria ElWG par. 55: 2 h; IESO: 1 h).
    like_days : int
        Number of nearest eligible like days in the mean.
    min_like_days : int
        With fewer eligible days the slot stays missing.
    like_day_lookback_days : int
        How far back like days are looked for.
    """

    version: str = "1"
    max_linear_gap_minutes: int = 120
    like_days: int = 3
    min_like_days: int = 2
    like_day_lookback_days: int = 28

    def __post_init__(self) -> None:
        if not 1 <= self.min_like_days <= self.like_days:
            raise ValueError(f"min_like_days={self.min_like_days} must lie between 1 and like_days={self.like_days}")

    @property
    def digest(self) -> str:
        """Stable digest of every parameter and the version: 16 hexadecimal digits."""
        return _digest(self)
