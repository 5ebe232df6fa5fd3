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
    short_gap_rate ... provisional_rate : float
        Probability that a channel has that event on a day. A channel has at most one event a day, so that no two
        faults share a slot and every day can be mended; the rates add up to at most 1.

        * ``short_gap_rate``: 1-8 rows in a run are missing; ``long_gap_rate``: 9-32 rows (more than 2 h).
        * ``blank_rate``: 1-8 values in a run are blank, their rows are there.
        * ``spike_rate``: one value several times the rest of the day, yet below the connection power.
        * ``stuck_rate``: the same non-zero value for 9-16 slots (more than 2 h).
        * ``negative_rate``: one value below zero. ``physical_limit_rate``: one value 2-10 times the connection power.
        * ``duplicate_rate``: one row twice in its file.
        * ``malformed_row_rate``: one row that cannot be read, so that its slot is missing (not in Parquet files).
        * ``substitute_rate``, ``provisional_rate``: 1-8 values that the sender marks so (where the format can).
    unknown_point_rate : float
        Probability that a vendor's file of a day holds the rows of a point that no registry knows.
    redelivered_day, corrected_day, late_day : int
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
    unknown_point_rate: float = 0.08
    redelivered_day: int = 30
    corrected_day: int = 32
    late_day: int = 33

    def __post_init__(self) -> None:
        """Refuse plans that make no sense (``ValueError``)."""
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, must be 0 or more")
        if self.points < MINIMUM_POINTS:
            raise ValueError(f"points is {self.points}, must be at least {MINIMUM_POINTS}: one per vendor")
        if self.days < 1:
            raise ValueError(f"days is {self.days}, must be at least 1")
        rates = {name: value for name, value in vars(self).items() if name.endswith("_rate")}
        for name, value in rates.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, must lie between 0 and 1")
        total = sum(rates.values()) - self.unknown_point_rate
        if total > 1:
            raise ValueError(f"the rates of a channel's events add up to {total:.3f}, must be at most 1")
        offsets = (self.redelivered_day, self.corrected_day, self.late_day)
        if min(offsets) < 0 or len(set(offsets)) < len(offsets):
            raise ValueError("redelivered_day, corrected_day and late_day must be different days from 0 on")

    def day(self, offset: int) -> date:
        """Return the delivery day that many days after the first."""
        return self.first_day + timedelta(days=offset)

    @property
    def delivery_days(self) -> list[DeliveryDay]:
        """All delivery days of the period, in order."""
        return [DeliveryDay(self.day(offset), self.zone) for offset in range(self.days)]

    def without_faults(self) -> dict[str, float]:
        """Return the fields that switch every fault off, for ``dataclasses.replace``."""
        return {name: 0.0 for name in vars(self) if name.endswith("_rate")}
