"""The thresholds, vocabularies and ranges of the dbt models, as dbt variables.

Belongs here: every number that a mart compares with, its default and where it comes from, and the one mapping to dbt's
variables. Does not belong here: writing them into the dbt project (``warehouse/dbt_project.py``), the formulas
(``metrify_dbt/``), and rules on single values (``vee/``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from metrify_assets.schemas.grid_and_weather import (
    AIR_PRESSURE,
    CONTROL_AREAS,
    GRID_METRICS,
    WEATHER_METRICS,
    grid_range,
)
from metrify_assets.schemas.power_quality import RANGES
from metrify_assets.vee.channels import QUANTITY_CODES, STATISTIC_CODES
from metrify_assets.vee.codes import Flag, Severity, Status
from metrify_assets.vee.profiles import SEASON_STARTS, Season
from metrify_assets.vee.rulebook import RULES
from metrify_assets.vee.uncertainty import NORMAL_90


@dataclass(frozen=True)
class MartParameters:
    """Parameters of the marts.

    Attributes
    ----------
    completeness_threshold : float
        Share of the slots that must have a value (measured or estimated), below which an energy is null.
    day_error_correlation : float
        Of the errors of two estimated days in a row, for the interval of a month; of days that lie d apart it is the
        d-th power. Own trials (docs/vee.md).
    weather_min_coverage : float
        Share of a day's hours with a temperature, from which a weather station may serve that day, and a day's mean
        temperature stands.
    weather_min_valid_days : float
        Share of a month's days with energy and temperature, below which nothing is said of their relation (CalTRACK:
        90 %).
    heating_limit_c, room_temperature_c, cooling_limit_c : float
        Degree days: heating below 15 degC towards 20 degC (VDI 3807), cooling above 22 degC.
    delivery_deadline_hour : int
        Wall-clock hour of the day after, by which a day's values are due. Our own choice.
    lateness_grades : tuple of (hours after the deadline, grade in hundredths)
        Timeliness of a value that comes at most so late; ascending.
    lateness_last_grade : int
        Timeliness of a value that comes later than that, in hundredths.
    silent_after_hours : int
        A point without any value for so long is silent. The marts look back one day before the day: at most 46 h.
    quality_weights : tuple of (dimension, weight)
        They add up to 1.
    quality_tiers : tuple of (tier, least score)
        Descending; what scores less than all of them is ``quality_last_tier``.
    tariff_high_from_hour, tariff_high_to_hour : int
        Wall-clock hours between which the high tariff holds on working days. Our own choice; operators differ.
    frequency_nominal_hz, frequency_normal_hz, frequency_alert_hz, frequency_emergency_hz : float
        Nominal frequency, and the deviations from it that are normal, alarming after a while, and an emergency.
    frequency_alert_minutes, frequency_normal_minutes : int
        Minutes in a row beyond the alert band, and beyond the normal band, that are an alert.
    stability_low : float
        Share of the minutes in the normal band below which a day is called unstable.
    transfer_classes, generation_classes : tuple of str
        Classes of points that meter the exchange with neighbouring grids (import = into the operator's grid), and
        power plants. Our own choice of names.
    unknown_points_share : float
        Share of a run's hours of points that no registry row knows, above which a test warns. Our own choice.
    freshness_warn_hours, freshness_error_hours : int
        Age of the latest reception above which a source of the lake is stale (``dbt source freshness``). Our own
        choice: a day's values are due in the morning after.
    """

    completeness_threshold: float = 1.0
    day_error_correlation: float = 0.6
    weather_min_coverage: float = 0.9
    weather_min_valid_days: float = 0.9
    heating_limit_c: float = 15.0
    room_temperature_c: float = 20.0
    cooling_limit_c: float = 22.0
    delivery_deadline_hour: int = 8
    lateness_grades: tuple[tuple[int, int], ...] = ((1, 100), (24, 80), (168, 60))
    lateness_last_grade: int = 20
    silent_after_hours: int = 36
    quality_weights: tuple[tuple[str, float], ...] = (
        ("completeness", 0.25),
        ("accuracy", 0.25),
        ("consistency", 0.20),
        ("validity", 0.15),
        ("uniqueness", 0.10),
        ("timeliness", 0.05),
    )
    quality_tiers: tuple[tuple[str, float], ...] = (("high", 0.9), ("medium", 0.7), ("low", 0.5))
    quality_last_tier: str = "critical"
    tariff_high_from_hour: int = 6
    tariff_high_to_hour: int = 22
    frequency_nominal_hz: float = 50.0
    frequency_normal_hz: float = 0.05
    frequency_alert_hz: float = 0.1
    frequency_emergency_hz: float = 0.2
    frequency_alert_minutes: int = 5
    frequency_normal_minutes: int = 15
    stability_low: float = 0.7
    transfer_classes: tuple[str, ...] = ("grid_transfer",)
    generation_classes: tuple[str, ...] = ("power_plant",)
    unknown_points_share: float = 0.05
    freshness_warn_hours: int = 36
    freshness_error_hours: int = 72

    def __post_init__(self) -> None:
        total = sum(weight for _, weight in self.quality_weights)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"quality_weights add up to {total:g}, must be 1")
        if not 25 <= self.silent_after_hours <= 46:
            raise ValueError(f"silent_after_hours={self.silent_after_hours} must lie between 25 and 46")


DELIVERY_RULES = ("gap", "blank")
"""Rules that find no value at all: they count as incomplete, not as a failure of a value."""


def failure_flags() -> int:
    """Return the bits of the findings that fail a delivered value: of every rule that warns, blocks or quarantines."""
    flags = int(Flag.REFUSED)
    for rule in RULES:
        fails = rule.severity in (Severity.WARN, Severity.BLOCK, Severity.QUARANTINE)
        if fails and rule.flag is not None and rule.name not in DELIVERY_RULES:
            flags |= rule.flag
    return flags


def mart_vars(parameters: MartParameters | None = None) -> dict[str, Any]:
    """Return the variables of the dbt project."""
    parameters = parameters or MartParameters()
    values = asdict(parameters)
    return {
        **values,
        "quality_weights": dict(parameters.quality_weights),
        "statuses": [str(status) for status in Status],
        "tiers": [*(name for name, _ in parameters.quality_tiers), parameters.quality_last_tier],
        "seasons": [season.name.lower() for season in Season],
        "season_starts": [
            {"from": month * 100 + day, "season": season.name.lower()} for (month, day), season in SEASON_STARTS
        ],
        "failure_flags": failure_flags(),
        "interval_deviations": NORMAL_90,
        "duplicate_flag": int(Flag.DUPLICATE),
        "plausible": {name: [low, high] for name, (_, low, high) in WEATHER_METRICS.items()},
        "plausible_grid": {
            area: {name: list(grid_range(name, area)) for name in GRID_METRICS} for area in CONTROL_AREAS
        },
        "power_quality": {
            str(quantity): {
                "valid": list(declared.valid),
                "normal": list(declared.normal),
                "nominal": declared.nominal,
            }
            for quantity, declared in RANGES.items()
        },
        "power_quality_codes": {
            "quantities": [str(code) for code in QUANTITY_CODES],
            "statistics": [str(code) for code in STATISTIC_CODES],
        },
        "air_pressure": {**asdict(AIR_PRESSURE), "levels": dict(AIR_PRESSURE.levels)},
    }


@cache
def vars_digest() -> str:
    """Return the digest of the variables: what the marts depend on beside their data."""
    text = json.dumps(mart_vars(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
