"""Thresholds of validation and estimation, with their units in their names.

Belongs here: every number that a rule or an estimator compares with, its default and where it comes from. Does not
belong here: the rules (``rules.py``), the estimators, and which parameters hold when and for whom (``rulebook.py``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from metrify_assets.vee.codes import Severity


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
    severities : tuple of (rule name, Severity)
        Severities that differ from the rules' own (``rulebook.RULES``), sorted by name.
    clock_tolerance_seconds : int
        A stamp that is at most so far off the boundary of its slot is snapped to it and flagged. Half a slot at most
        ever counts.
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
    outlier_window_minutes : int
        Width of the window around a slot whose median and median absolute deviation (MAD) it is compared with; cut at
        the ends of the day.
    outlier_k : float
        A value is an outlier if it is more than k x 1.4826 x MAD plus the floor off the median. 1.4826 x MAD estimates
        the standard deviation of normal data (Hampel 1974).
    outlier_floor_kw : float
        Least deviation from the median: the MAD is zero on flat data. Our own choice.
    stuck_minutes : int
        Shortest run of one non-zero value that is a finding.
    stuck_slots : int
        The run must also hold that many slots: two equal hourly values are a coincidence, not a stuck meter. Our own
        choice; without effect up to 30-minute intervals.
    zero_run_minutes : int
        Shortest run of zeros that is a finding. The rule sees one day, so a whole day of zeros always counts, also
        where the day has 23 hours.
    register_rollover_percent : int
        A counter has rolled over if the read before lies in the uppermost and the read after in the lowest so many
        percent of its range. Our own choice.
    sum_check_percent : float
        Deviation of the intervals' sum from the register difference that is tolerated, as a share of the latter.
    sum_check_register_units : int
        The deviation tolerated is never less than so many steps of the register.
    register_unit_kwh : float
        Step of a register whose resolution the registry does not say. Our own choice.
    high_low_low_percent, high_low_high_percent : int
        Daily use outside of this share of the mean of recent days of the same kind is a finding.
    high_low_days, high_low_min_days : int
        Number of nearest complete days of the same kind in the mean, and the least number of them.
    high_low_floor_kwh : float
        The use must also differ from the mean by at least this much. Our own choice.
    prolonged_estimation_days : int
        A series without any measured value for so many days in a row, this one included, is a finding.
    """

    version: str = "2"
    severities: tuple[tuple[str, Severity], ...] = ()
    clock_tolerance_seconds: int = 180
    physical_limit_percent: int = 110
    unknown_connection_kw: float = 1_000_000.0
    spike_excess_percent: int = 180
    spike_floor_kw: float = 2.0
    outlier_window_minutes: int = 360
    outlier_k: float = 5.0
    outlier_floor_kw: float = 2.0
    stuck_minutes: int = 120
    stuck_slots: int = 4
    zero_run_minutes: int = 1_440
    register_rollover_percent: int = 10
    sum_check_percent: float = 1.0
    sum_check_register_units: int = 2
    register_unit_kwh: float = 0.01
    high_low_low_percent: int = 50
    high_low_high_percent: int = 200
    high_low_days: int = 4
    high_low_min_days: int = 2
    high_low_floor_kwh: float = 5.0
    prolonged_estimation_days: int = 14

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
        With fewer eligible days the next method is tried.
    like_day_lookback_days : int
        How far back like days are looked for.
    like_day_level_low_percent, like_day_level_high_percent : int
        The mean is multiplied by how the measured rest of the day compares with the same slots of the like days, within
        these limits; 100 and 100 leave it as it is. Our own choice, from trials on real meters (docs/vee.md).
    like_day_level_minutes : int
        With less than so much of the day measured the mean is left as it is. Our own choice.
    use_profile : bool
        Whether the standard load profile of the point, scaled to its annual forecast, comes after like days.
    replace_provisional : bool
        Whether an own estimate takes the place of a provisional value: in the order of selection it stands above it.
    scale_to_registers : bool
        Whether estimates between two register reads are scaled to their difference.
    """

    version: str = "3"
    max_linear_gap_minutes: int = 120
    like_days: int = 3
    min_like_days: int = 2
    like_day_lookback_days: int = 28
    like_day_level_low_percent: int = 50
    like_day_level_high_percent: int = 200
    like_day_level_minutes: int = 360
    use_profile: bool = True
    replace_provisional: bool = True
    scale_to_registers: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.min_like_days <= self.like_days:
            raise ValueError(f"min_like_days={self.min_like_days} must lie between 1 and like_days={self.like_days}")
        low, high = self.like_day_level_low_percent, self.like_day_level_high_percent
        if not 0 <= low <= 100 <= high:
            raise ValueError(f"100 must lie between like_day_level_low_percent={low} and _high_percent={high}")

    @property
    def digest(self) -> str:
        """Stable digest of every parameter and the version: 16 hexadecimal digits."""
        return _digest(self)
