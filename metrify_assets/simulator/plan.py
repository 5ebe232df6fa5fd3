"""What a simulated utility looks like: its size, its days and how often each fault occurs.

Belongs here: every number that a user of the simulator may want to change. Does not belong here: the shape of a load
or of the weather (``load.py``, ``weather.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from metrify_assets.vee.delivery_day import DeliveryDay

INTERVAL_MINUTES = 15
MINIMUM_POINTS = 4
"""One point for each of the four vendors."""
EVENT_RATES = (
    "short_gap_rate",
    "long_gap_rate",
    "blank_rate",
    "spike_rate",
    "stuck_rate",
    "negative_rate",
    "physical_limit_rate",
    "duplicate_rate",
    "malformed_row_rate",
    "substitute_rate",
    "provisional_rate",
    "zero_run_rate",
    "robust_outlier_rate",
    "interval_size_rate",
    "clock_drift_rate",
    "high_low_rate",
    "future_stamp_rate",
    "sum_check_rate",
    "day_gap_rate",
)
"""Rates of the events of which a channel has at most one a day."""


@dataclass(frozen=True)
class SimulationPlan:
    """A utility and a period.

    The same plan always gives the same bytes. More points or more days leave the values and faults of the others as
    they are.

    Attributes
    ----------
    seed : int
        Seed of everything that is drawn.
    points : int
        Measuring points, dealt out to the four vendors in turn.
    days : int
        Delivery days, from ``first_day`` on. The default period holds 2026-03-29, the day with 23 hours.
    first_day : date
        First delivery day.
    zone : str
        IANA zone of the delivery days.
    short_gap_rate ... day_gap_rate : float
        Probability that a channel has that event on a day. A channel has at most one event a day, so that no two
        faults share a slot and every day can be corrected; the rates add up to at most 1.

        * ``short_gap_rate``: 1-8 rows in a run are missing; ``long_gap_rate``: 9-32 rows (more than 2 h);
          ``day_gap_rate``: 33-96 rows (more than 8 h, up to the whole day).
        * ``blank_rate``: 1-8 values in a run are blank, their rows are there.
        * ``spike_rate``: one value several times the rest of the day, yet below the connection power.
        * ``stuck_rate``: the same non-zero value for 9-16 slots (more than 2 h).
        * ``negative_rate``: one value below zero. ``physical_limit_rate``: one value 2-10 times the connection power.
        * ``duplicate_rate``: one row twice in its file.
        * ``malformed_row_rate``: one row that cannot be read, so that its slot is missing (not in Parquet files).
        * ``substitute_rate``, ``provisional_rate``: 1-8 values that the sender marks so (where the format can).
        * ``zero_run_rate``: zeros all day where there is load.
        * ``robust_outlier_rate``: three values of one size far off all others, so that a rule that compares the day's
          maximum with its third maximum sees nothing.
        * ``interval_size_rate``: the day comes as hourly or as 5-minute values, by a feed of that interval.
        * ``clock_drift_rate``: all stamps of the day are off by 5-175 seconds (feeds with UTC stamps).
        * ``high_low_rate``: all values of the day are a third or three times of what they should be.
        * ``future_stamp_rate``: one row carries a stamp some days ahead, so that its slot is missing.
        * ``sum_check_rate``: all values of the day are 3-8 % too low or too high (channels whose register is read).
    stuck_across_midnight_rate : float
        Probability that a channel has the same non-zero value for 9-16 slots around the midnight that ends a day, if it
        has no other event on either day.
    collapsed_dst_rate : float
        Probability that the repeated hour of a channel is delivered once on the day that clocks are set back, if it
        has no other event on it.
    unknown_point_rate : float
        Probability that a vendor's file of a day holds the rows of a point that no registry knows.
    outage_rate, silence_rate, unit_mismatch_rate : float
        Probability that a point has that incident in its period: a declared outage of 1-4 h on one of the days 1-14;
        no delivery for 15-19 days from one of the days 5-9 on; a day, one of the days 3-14, on which the registry
        names another unit than the values come in. Days count from ``first_day``, whatever ``days`` is.
    short_charging_share : float
        Share of the cars' charging sessions that last 15-45 minutes only; the others last 1-2.5 h. Our own choice.
    register_share : float
        Share of the points whose import register (1-0:1.8.0) is read every midnight.
    register_rollover_rate : float
        Probability that such a register passes its highest state in its first 3-28 days.
    register_decrease_rate : float
        Probability that a register read is too low by more than the day's use.
    late_register_rate : float
        Probability that the read of ``late_register_day`` comes with the second wave.
    power_quality_points : int
        Points that deliver voltage, current, power factor and frequency; without any there is no such file.
    power_quality_fault_rate : float
        Probability that such a point has a fault on a day: undervoltage, a lost phase or a low power factor for 4-15
        slots.
    redelivered_day, corrected_day, late_day, late_register_day : int
        Position (0 = ``first_day``) of the days whose files make up the second wave; one that lies outside of the
        period does not happen.
    """

    seed: int = 20260301
    points: int = 200
    days: int = 35
    first_day: date = date(2026, 3, 1)
    zone: str = "Europe/Berlin"
    short_gap_rate: float = 0.030
    long_gap_rate: float = 0.010
    blank_rate: float = 0.015
    spike_rate: float = 0.010
    stuck_rate: float = 0.006
    negative_rate: float = 0.006
    physical_limit_rate: float = 0.006
    duplicate_rate: float = 0.010
    malformed_row_rate: float = 0.006
    substitute_rate: float = 0.010
    provisional_rate: float = 0.010
    zero_run_rate: float = 0.002
    robust_outlier_rate: float = 0.004
    interval_size_rate: float = 0.002
    clock_drift_rate: float = 0.002
    high_low_rate: float = 0.002
    future_stamp_rate: float = 0.002
    sum_check_rate: float = 0.004
    day_gap_rate: float = 0.003
    stuck_across_midnight_rate: float = 0.003
    collapsed_dst_rate: float = 0.10
    unknown_point_rate: float = 0.08
    outage_rate: float = 0.03
    silence_rate: float = 0.01
    unit_mismatch_rate: float = 0.02
    short_charging_share: float = 0.1
    register_share: float = 0.25
    register_rollover_rate: float = 0.05
    register_decrease_rate: float = 0.003
    late_register_rate: float = 0.30
    power_quality_points: int = 0
    power_quality_fault_rate: float = 0.2
    redelivered_day: int = 30
    corrected_day: int = 32
    late_day: int = 33
    late_register_day: int = 31

    def __post_init__(self) -> None:
        """Refuse plans that make no sense (``ValueError``)."""
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, must be 0 or more")
        if self.points < MINIMUM_POINTS:
            raise ValueError(f"points is {self.points}, must be at least {MINIMUM_POINTS}: one per vendor")
        if self.days < 1:
            raise ValueError(f"days is {self.days}, must be at least 1")
        shares = {name: value for name, value in vars(self).items() if name.endswith(("_rate", "_share"))}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, must lie between 0 and 1")
        total = sum(shares[name] for name in EVENT_RATES)
        if total > 1:
            raise ValueError(f"the rates of a channel's events add up to {total:.3f}, must be at most 1")
        offsets = (self.redelivered_day, self.corrected_day, self.late_day)
        if min(*offsets, self.late_register_day) < 0 or len(set(offsets)) < len(offsets):
            raise ValueError("redelivered_day, corrected_day and late_day must be different days from 0 on")

    def day(self, offset: int) -> date:
        """Return the delivery day that many days after the first."""
        return self.first_day + timedelta(days=offset)

    @property
    def delivery_days(self) -> list[DeliveryDay]:
        """All delivery days of the period, in order."""
        return [DeliveryDay(self.day(offset), self.zone) for offset in range(self.days)]

    def without_faults(self) -> dict[str, float]:
        """Return the fields that switch every fault off, for ``dataclasses.replace``; registers are still read."""
        return {name: 0.0 for name in vars(self) if name.endswith("_rate")}
