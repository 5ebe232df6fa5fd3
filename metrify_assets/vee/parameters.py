"""Thresholds of validation and estimation, with their units in their names.

Belongs here: every number that a rule or an estimator compares with, its default, its range and where it comes from.
Does not belong here: the rules (``rules.py``), the estimators, and which parameters hold when and for whom
(``rulebook.py``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from metrify_assets.vee.codes import Severity

CLOCK_TOLERANCE_SECONDS = 180
"""A sender's clock may be that much ahead of ours, and a meter's that much off the boundary that it means.

Reading a file decides with it which delivery day a stamp belongs to, and which stamps lie in the future. Raw rows keep
that decision whatever the rules say later, so no rule set tolerates more.
"""

_KIND = {bool: "true or false", int: "a whole number", float: "a number"}
_DAY_MINUTES = 1_440


def _within(default: float, low: float, high: float, *, later: bool = False) -> Any:
    """Return a field whose values have the type of its default and lie from ``low`` to ``high``.

    ``later`` marks a parameter that came after days had been computed: at its default it is as if it did not exist.
    """
    return field(default=default, metadata={"range": (low, high), "later": later})


def _require_sound(parameters: Any) -> None:
    """Raise ``ValueError``, in one line, unless every parameter has its type and lies in its range."""
    for entry in fields(parameters):
        value, kind = getattr(parameters, entry.name), type(entry.default)
        if kind not in _KIND:
            continue
        expected = _KIND[kind]
        # To Python True is a whole number; here it is none. 5 is as good as 5.0.
        sound = type(value) is kind or (kind is float and type(value) is int)
        if "range" in entry.metadata:
            low, high = entry.metadata["range"]
            expected += f" from {low} to {high}"
            sound = sound and low <= value <= high
        if not sound:
            raise ValueError(f"{entry.name}={value!r}: expected {expected}")


def decided(parameters: Any) -> dict[str, Any]:
    """Return parameters as a record, without those that came later and are at their default: digests are made of it."""
    record = asdict(parameters)
    return {
        entry.name: record[entry.name]
        for entry in fields(parameters)
        if not (entry.metadata.get("later") and record[entry.name] == entry.default)
    }


def _digest(parameters: Any) -> str:
    text = json.dumps([type(parameters).__name__, decided(parameters)], sort_keys=True, separators=(",", ":"))
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
        ever counts, and at most ``CLOCK_TOLERANCE_SECONDS``, with which files are read.
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
        Shortest run of zeros that is a finding. A whole day of zeros always counts, also where the day has 23 hours.
    runs_over_midnight : bool
        Whether ``stuck`` and ``zero_run`` follow a run into the days beside it. Without, each day sees its own part of
        it, and neither finds it where both are too short.
    register_rollover_percent : int
        A counter has rolled over if the read before lies in the uppermost and the read after in the lowest so many
        percent of its range. Our own choice.
    sum_check_percent : float
        Deviation of the intervals' sum from the register difference that is tolerated, as a share of the latter.
    sum_check_register_units : int
        The deviation tolerated is never less than so many steps of the register.
    register_unit_kwh : float
        Step of a register whose resolution the registry does not say. Our own choice.
    scale_most_percent : int
        Estimates are scaled to a register by at most so much; beyond, a wrong read is more likely. Our own choice.
    high_low_low_percent, high_low_high_percent : int
        Daily use outside of this share of the mean of recent days of the same kind is a finding.
    high_low_days, high_low_min_days : int
        Number of nearest complete days of the same kind in the mean, and the least number of them.
    high_low_floor_kwh : float
        The use must also differ from the mean by at least this much, or every empty flat would be a finding. Our own
        choice: with 1 kWh any home of 2 kWh a day or more is judged when its use halves, with 5 kWh only one of 10 kWh
        a day. On 60 simulated points (``metrify score --points 60 --first-day 2025-10-01``: 42 days, ten days with the
        fault) 5 kWh gave precision 0.383 and recall 0.802, 1 kWh 0.366 and 0.802: one household's day more.
    high_low_change_times : int
        The use must also differ from that of the last complete day, and of each complete day of the same kind, by more
        than so many times the median change from one complete day to the next, over 28 days; 0: this is not looked at.
        A heat pump changes with the weather from day to day, and is not wrong. Own choice, from trials (docs/vee.md).
    prolonged_estimation_days : int
        A series without any measured value for so many days in a row, this one included, is a finding.
    """

    version: str = "3"
    severities: tuple[tuple[str, Severity], ...] = ()
    clock_tolerance_seconds: int = _within(CLOCK_TOLERANCE_SECONDS, 0, CLOCK_TOLERANCE_SECONDS)
    physical_limit_percent: int = _within(110, 1, 10_000)
    unknown_connection_kw: float = _within(1_000_000.0, 0.001, 100_000_000)
    spike_excess_percent: int = _within(180, 0, 10_000)
    spike_floor_kw: float = _within(2.0, 0, 1_000_000)
    outlier_window_minutes: int = _within(360, 1, _DAY_MINUTES)
    outlier_k: float = _within(5.0, 0, 1_000)
    outlier_floor_kw: float = _within(2.0, 0, 1_000_000)
    stuck_minutes: int = _within(120, 1, _DAY_MINUTES)
    stuck_slots: int = _within(4, 2, _DAY_MINUTES)
    zero_run_minutes: int = _within(1_440, 1, _DAY_MINUTES)
    runs_over_midnight: bool = field(default=False, metadata={"later": True})
    register_rollover_percent: int = _within(10, 0, 100)
    sum_check_percent: float = _within(1.0, 0, 100)
    sum_check_register_units: int = _within(2, 0, 1_000_000)
    register_unit_kwh: float = _within(0.01, 0, 1_000_000)
    scale_most_percent: int = _within(1_000, 100, 1_000_000)
    high_low_low_percent: int = _within(50, 0, 100)
    high_low_high_percent: int = _within(200, 100, 10_000)
    high_low_days: int = _within(4, 1, 28)
    high_low_min_days: int = _within(2, 1, 28)
    high_low_floor_kwh: float = _within(1.0, 0, 1_000_000)
    high_low_change_times: int = _within(0, 0, 100, later=True)
    prolonged_estimation_days: int = _within(14, 1, 366)

    def __post_init__(self) -> None:
        _require_sound(self)
        least, most = self.high_low_min_days, self.high_low_days
        if least > most:
            raise ValueError(f"high_low_min_days={least} must not be more than high_low_days={most}")

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
        Longest gap that is interpolated, across midnight included (Austria ElWG par. 55: 2 h; IESO: 1 h). Outliers at
        its ends belong to it: the line goes from one ordinary value to another.
    similar_days : int
        Number of nearest days in the weighted mean that comes after the line; 0: the method is not used. Ten instead of
        six: own trials (docs/vee.md).
    min_similar_days : int
        With fewer complete days the next method is tried.
    similar_day_lookback_days : int
        How far back similar days are looked for.
    similar_day_least_minutes : int
        With less of the day measured it cannot be compared, and the next method is tried.
    similar_day_exponent : int
        Weight of a day: 1 / (distance + floor)^exponent.
    similar_day_floor_percent : int
        Floor of the distance in the weights, so that one day that is alike does not stand alone.
    similar_day_other_kind_percent, similar_day_other_free_percent : int
        By how much the distance grows between a working day and a free one, and between a Saturday and a Sunday.
    similar_day_level_percent : int
        How far the weighted mean is moved to the level of the measured rest of the day: 0 not at all, 100 all the way.
        At 0 the energy of households is 2 to 4 % too low, at 60 1 to 2 % too high (docs/vee.md).
    similar_day_over_midnight : bool
        Whether a gap that reaches the end of its day is bridged to the nearest measured slot of the day beside it, and
        a slot that all similar days have zero in stays zero. Without, such a gap is bridged from one edge or none.
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
    intervals : bool
        Whether each estimate has an interval, from 10 to 90 %, from the method's own past errors (``uncertainty.py``).
    replace_provisional : bool
        Whether an own estimate takes the place of a provisional value: in the order of selection it stands above it.
    scale_to_registers : bool
        Whether estimates between two register reads are scaled to their difference.
    """

    version: str = "4"
    max_linear_gap_minutes: int = _within(120, 0, _DAY_MINUTES)
    similar_days: int = _within(0, 0, 28, later=True)
    min_similar_days: int = _within(3, 1, 28, later=True)
    similar_day_lookback_days: int = _within(28, 1, 366, later=True)
    similar_day_least_minutes: int = _within(240, 1, _DAY_MINUTES, later=True)
    similar_day_exponent: int = _within(2, 1, 4, later=True)
    similar_day_floor_percent: int = _within(5, 1, 100, later=True)
    similar_day_other_kind_percent: int = _within(15, 0, 1_000, later=True)
    similar_day_other_free_percent: int = _within(5, 0, 1_000, later=True)
    similar_day_level_percent: int = _within(30, 0, 100, later=True)
    similar_day_over_midnight: bool = field(default=False, metadata={"later": True})
    like_days: int = _within(3, 1, 28)
    min_like_days: int = _within(2, 1, 28)
    like_day_lookback_days: int = _within(28, 0, 366)
    like_day_level_low_percent: int = _within(50, 0, 100)
    like_day_level_high_percent: int = _within(200, 100, 10_000)
    like_day_level_minutes: int = _within(360, 0, _DAY_MINUTES)
    use_profile: bool = True
    intervals: bool = field(default=False, metadata={"later": True})
    replace_provisional: bool = True
    scale_to_registers: bool = True

    def __post_init__(self) -> None:
        _require_sound(self)
        if self.min_like_days > self.like_days:
            raise ValueError(f"min_like_days={self.min_like_days} must not be more than like_days={self.like_days}")
        most = min(self.similar_days, self.similar_day_lookback_days)
        if self.similar_days and self.min_similar_days > most:
            raise ValueError(
                f"min_similar_days={self.min_similar_days} must not be more than similar_days={self.similar_days} and "
                f"similar_day_lookback_days={self.similar_day_lookback_days}"
            )

    @property
    def digest(self) -> str:
        """Stable digest of every parameter and the version: 16 hexadecimal digits."""
        return _digest(self)
