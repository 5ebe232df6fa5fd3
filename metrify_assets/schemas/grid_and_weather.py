"""Tables of grid status and weather, raw and clean."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from metrify_assets.schemas.table import INSTANT, KWH, LABEL, Column, Table

GRID_STATUSES = ("measured", "implausible", "missing")


@dataclass(frozen=True)
class AirPressure:
    """What air pressure is plausible at which altitude.

    At sea level it lies between ``sea_level_hpa``, and a column of air of the standard lapse rate carries both ends to
    the altitude: the lower end under ``cold_k`` at sea level, the higher under ``warm_k``, which are the widest.

    Attributes
    ----------
    sea_level_hpa : tuple of float
        Lowest and highest.
    cold_k, warm_k : float
        Air temperatures at sea level, kelvin. Our own choice: -20 and 40 degC.
    lapse_k_per_m : float
    exponent : float
        g M / (R L), of no unit.
    levels : tuple of (source, level)
        Which sources deliver the pressure at the ``station``, and which reduced to ``sea`` level. DWD: description of
        ``PP_10``; OpenWeatherMap: ``main.pressure``. Of others it is not known, so both pass.

    References
    ----------
    ISO 2533:1975, Standard Atmosphere: p = p0 (1 - L h / T0) ^ (g M / (R L)).
    """

    sea_level_hpa: tuple[float, float] = (950.0, 1_050.0)
    cold_k: float = 253.15
    warm_k: float = 313.15
    lapse_k_per_m: float = 0.0065
    exponent: float = 5.25588
    levels: tuple[tuple[str, str], ...] = (("dwd", "station"), ("openweathermap", "sea"))


AIR_PRESSURE = AirPressure()
HIGHEST_STATION_M = 2_965.0
"""Altitude of the highest German weather station, on the Zugspitze."""


def pressure_range(altitude_m: float, level: str | None) -> tuple[float, float]:
    """Return the lowest and the highest plausible air pressure, hPa.

    Parameters
    ----------
    altitude_m : float
        Of the station, above sea level.
    level : str or None
        ``station``, ``sea`` (reduced to sea level), or None if that is not known.
    """
    air = AIR_PRESSURE
    low, high = air.sea_level_hpa
    if level == "sea":
        return low, high
    at_station = [
        sea * (1 - air.lapse_k_per_m * altitude_m / kelvin) ** air.exponent
        for sea, kelvin in ((low, air.cold_k), (high, air.warm_k))
    ]
    return at_station[0], at_station[1] if level == "station" else max(high, at_station[1])


WEATHER_METRICS = {
    "temperature_c": ("Air temperature, degrees Celsius.", -50.0, 60.0),
    "humidity_pct": ("Relative humidity, percent.", 0.0, 100.0),
    "pressure_hpa": ("Air pressure, hPa.", *pressure_range(HIGHEST_STATION_M, None)),
    "wind_speed_ms": ("Wind speed, m/s.", 0.0, 100.0),
    "wind_direction_deg": ("Direction that the wind comes from, degrees.", 0.0, 360.0),
    "global_radiation_wm2": ("Global radiation, W/m2.", 0.0, 1_500.0),
    "precipitation_mm": ("Precipitation since the observation before, mm.", 0.0, 200.0),
    "cloud_cover_pct": ("Cloud cover, percent.", 0.0, 100.0),
}
"""Weather columns: description with unit, and the plausible range at any station; see ``pressure_range``."""

WEATHER_UNITS = {
    "temperature_c": "degC",
    "humidity_pct": "%",
    "pressure_hpa": "hPa",
    "wind_speed_ms": "m/s",
    "wind_direction_deg": "deg",
    "global_radiation_wm2": "W/m2",
    "precipitation_mm": "mm",
    "cloud_cover_pct": "%",
}
"""Weather columns: unit of the stored value, as feeds and conversions name it."""


def _share(unit: str, low: float, high: float) -> tuple[str, tuple[float, float], tuple[float, float]]:
    """Return a metric whose range in a control area is half of Germany's. Our own choice: no area has more."""
    return unit, (low, high), (low / 2, high / 2)


GRID_METRICS = {
    "load_mw": ("MW", (25_000.0, 90_000.0), (2_000.0, 38_000.0)),
    "load_forecast_mw": ("MW", (25_000.0, 90_000.0), (2_000.0, 38_000.0)),
    "residual_load_mw": ("MW", (-90_000.0, 90_000.0), (-35_000.0, 35_000.0)),
    "vertical_load_mw": ("MW", (-90_000.0, 90_000.0), (-35_000.0, 35_000.0)),
    "pumped_storage_mw": _share("MW", 0.0, 20_000.0),
    "solar_mw": _share("MW", 0.0, 120_000.0),
    "wind_onshore_mw": _share("MW", 0.0, 120_000.0),
    "wind_offshore_mw": _share("MW", 0.0, 120_000.0),
    "wind_onshore_forecast_mw": _share("MW", 0.0, 120_000.0),
    "biomass_mw": _share("MW", 0.0, 20_000.0),
    "hydro_mw": _share("MW", 0.0, 20_000.0),
    "other_renewables_mw": _share("MW", 0.0, 20_000.0),
    "nuclear_mw": _share("MW", 0.0, 30_000.0),
    "lignite_mw": _share("MW", 0.0, 40_000.0),
    "hard_coal_mw": _share("MW", 0.0, 40_000.0),
    "gas_mw": _share("MW", 0.0, 60_000.0),
    "pumped_storage_generation_mw": _share("MW", 0.0, 20_000.0),
    "other_conventional_mw": _share("MW", 0.0, 20_000.0),
    "balance_mw": ("MW", (-10_000.0, 10_000.0), (-10_000.0, 10_000.0)),
    "frequency_hz": ("Hz", (47.0, 52.0), (47.0, 52.0)),
    "day_ahead_price_eur_mwh": ("EUR/MWh", (-500.0, 5_000.0), (-500.0, 5_000.0)),
}
"""Grid metrics: unit, and the ranges outside of which a value is implausible: of Germany, and of one control area."""

GERMANY = "DE"
CONTROL_AREAS = ("50Hertz", "Amprion", "TenneT", "TransnetBW", GERMANY)

AREA_RANGES = {
    ("load_mw", "50Hertz"): (3_500.0, 22_000.0),
    ("load_mw", "Amprion"): (8_000.0, 38_000.0),
    ("load_mw", "TenneT"): (6_000.0, 32_000.0),
    ("load_mw", "TransnetBW"): (2_000.0, 13_500.0),
}
"""Ranges of one control area that are narrower than those of any: its hours of 2018 and 2019 and a third more.

The hours are those of Open Power System Data, from ENTSO-E's Transparency Platform; the margin is our own choice.
"""


def grid_range(metric: str, control_area: str) -> tuple[float, float]:
    """Return the lowest and the highest plausible value of a grid metric, in its unit."""
    _, germany, area = GRID_METRICS[metric]
    return AREA_RANGES.get((metric, control_area), germany if control_area == GERMANY else area)


@cache
def grid_ranges_digest() -> str:
    """Return the digest of the ranges: what the status of a value depends on beside the value."""
    return hashlib.sha256(repr((GRID_METRICS, AREA_RANGES)).encode()).hexdigest()[:16]


PROVENANCE = (
    Column("feed", LABEL, "Feed that the value came with."),
    Column("drop_id", LABEL, "Drop that the value came with."),
    Column("row_number", pa.int64(), "Data row in its file, from 1; of a stream, the offset.", hard_minimum=0),
    Column("received_at", INSTANT, "When the drop arrived (UTC)."),
    Column("day", pa.date32(), "Delivery day (local date)."),
)

RAW_GRID_STATUS = Table(
    name="raw_grid_status",
    description="Grid status as delivered: one row per value, every version.",
    key=("feed", "drop_id", "row_number", "control_area", "metric"),
    columns=(
        Column("source_id", LABEL, "Who published the value."),
        Column("control_area", LABEL, "Control area, or DE for all of Germany.", allowed=CONTROL_AREAS),
        Column("metric", LABEL, "What the value says; the unit is in the name.", allowed=tuple(GRID_METRICS)),
        Column("interval_start", INSTANT, "Start of the interval (UTC)."),
        Column("resolution_minutes", pa.int16(), "Length of the interval in minutes.", hard_minimum=1),
        Column("value", KWH, "Value as delivered, in `unit`; null where blank.", True),
        Column("unit", LABEL, "Unit of the value.", allowed=("MW", "Hz", "EUR/MWh")),
        *PROVENANCE,
    ),
)

CLEAN_GRID_STATUS = Table(
    name="clean_grid_status",
    description="Grid status: the latest version of every value, with a verdict.",
    key=("source_id", "control_area", "metric", "interval_start"),
    columns=(
        Column("source_id", LABEL, "Who published the value."),
        Column("control_area", LABEL, "Control area, or DE for all of Germany.", allowed=CONTROL_AREAS),
        Column("metric", LABEL, "What the value says; the unit is in the name.", allowed=tuple(GRID_METRICS)),
        Column("interval_start", INSTANT, "Start of the interval (UTC)."),
        Column("resolution_minutes", pa.int16(), "Length of the interval in minutes.", hard_minimum=1),
        Column("value", KWH, "Value in `unit`; null where the sender had none.", True),
        Column("unit", LABEL, "Unit of the value.", allowed=("MW", "Hz", "EUR/MWh")),
        Column(
            "status", LABEL, "Measured, implausible (kept, not used by the marts) or missing.", allowed=GRID_STATUSES
        ),
        Column("received_at", INSTANT, "When the version arrived (UTC)."),
        Column("day", pa.date32(), "Delivery day (local date)."),
    ),
)

RAW_WEATHER = Table(
    name="raw_weather",
    description="Weather as delivered: one row per value, every version.",
    key=("feed", "drop_id", "row_number", "station_id", "metric"),
    columns=(
        Column("station_id", LABEL, "Weather station."),
        Column("source_id", LABEL, "Who published the value."),
        Column("observed_at", INSTANT, "Instant of the observation (UTC)."),
        Column("metric", LABEL, "What was observed; the unit is in the name.", allowed=tuple(WEATHER_METRICS)),
        Column("value", KWH, "Value in the metric's unit; null where blank or a sentinel.", True),
        Column("quality", LABEL, "Quality level as the sender gave it.", True),
        *PROVENANCE,
    ),
)

CLEAN_WEATHER = Table(
    name="clean_weather",
    description="Weather: one row per station and instant, the latest version of every metric.",
    key=("station_id", "observed_at"),
    columns=(
        Column("station_id", LABEL, "Weather station."),
        Column("source_id", LABEL, "Who published the observation."),
        Column("observed_at", INSTANT, "Instant of the observation (UTC)."),
        *(
            Column(name, pa.float64(), text, True, minimum=low, maximum=high)
            for name, (text, low, high) in WEATHER_METRICS.items()
        ),
        Column("quality", LABEL, "Quality level as the sender gave it.", True),
        Column("received_at", INSTANT, "When the latest version arrived (UTC)."),
        Column("day", pa.date32(), "Delivery day (local date)."),
    ),
)
