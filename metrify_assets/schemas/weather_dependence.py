"""Tables of weather dependence: a result per channel, its months and days in other weather, degree days of stations.

Belongs here: columns. Does not belong here: how they are worked out (``analytics/weather/``).
"""

from __future__ import annotations

import pyarrow as pa

from metrify_assets.schemas.table import KWH, LABEL, Column, Table

WEATHER_MODELS = ("refused", "base_load", "heating", "cooling", "both")
WEATHER_REFUSALS = ("no_station", "point_moved", "short_history", "month_without_weather", "too_few_days")

_CHANNEL = (
    Column("point_id", LABEL, "Measuring point."),
    Column("obis_code", LABEL, "OBIS code of the channel, imported active energy."),
)

WEATHER_DEPENDENCE = Table(
    name="weather_dependence",
    description="How the daily use of each point depends on the temperature, or the rule that refuses to say so.",
    key=("point_id", "obis_code"),
    by_day=False,
    columns=(
        *_CHANNEL,
        Column("station_id", LABEL, "Weather station; null without one.", True),
        Column("distance_km", pa.float64(), "Distance to the station, km; null if no place is registered.", True),
        Column("baseline_from", pa.date32(), "First day of the baseline at the present place of the point."),
        Column("baseline_to", pa.date32(), "Last day of the baseline."),
        Column("days", pa.int16(), "Days with use and temperature.", hard_minimum=0),
        Column("extreme_days", pa.int16(), "Of them above median and 3 interquartile ranges; kept.", hard_minimum=0),
        Column("model", LABEL, "What the use depends on.", allowed=WEATHER_MODELS),
        Column("base_kwh_per_day", pa.float64(), "Use of a day without degree days, kWh/d.", True, hard_minimum=0),
        Column("heating_kwh_per_kelvin_day", pa.float64(), "Heating slope, kWh/(K d).", True, hard_minimum=0),
        Column("heating_balance_c", pa.float64(), "Temperature below which the use grows, degC.", True),
        Column("cooling_kwh_per_kelvin_day", pa.float64(), "Cooling slope, kWh/(K d).", True, hard_minimum=0),
        Column("cooling_balance_c", pa.float64(), "Temperature above which the use grows, degC.", True),
        Column("r_squared", pa.float64(), "Share of the variance that the model explains.", True, hard_maximum=1),
        Column("cv_rmse", pa.float64(), "Root mean square of the residuals over the mean use.", True, hard_minimum=0),
        Column("normal_year_kwh", KWH, "Expected use of a year of ordinary weather, kWh.", True),
        Column("normal_years", pa.int16(), "Fewest years behind a month of the ordinary weather.", True),
        Column("refusal", LABEL, "The rule that refuses; null if none does.", True, allowed=WEATHER_REFUSALS),
        Column("refused_value", pa.float64(), "The number that the rule looked at.", True),
        Column("refused_limit", pa.float64(), "What it had to be.", True),
        Column("refused_month", pa.date32(), "First day of the month in question, if the rule has one.", True),
    ),
)

WEATHER_ADJUSTED_MONTHS = Table(
    name="weather_adjusted_months",
    description="The months of the baseline as they were, as their weather made expected, and in ordinary weather.",
    key=("point_id", "obis_code", "month"),
    by_day=False,
    columns=(
        *_CHANNEL,
        Column("month", pa.date32(), "First day of the month."),
        Column("used_kwh", KWH, "Use, scaled from at least 90 % of the days, kWh.", True),
        Column("expected_kwh", KWH, "Use that the model expects in the weather of the month, kWh.", True),
        Column("normal_kwh", KWH, "Use that the model expects in the ordinary weather of the month, kWh.", True),
        Column("adjusted_kwh", KWH, "Use - expected + normal, kWh.", True),
    ),
)

WEATHER_ADJUSTED_DAYS = Table(
    name="weather_adjusted_days",
    description="The days of the baseline with a use, as they were and in ordinary weather of their month.",
    key=("point_id", "obis_code", "day"),
    by_day=False,
    sharded=True,
    columns=(
        *_CHANNEL,
        Column("day", pa.date32(), "Delivery day (local date)."),
        Column("used_kwh", KWH, "Use, scaled to the whole day if a part was not measured, kWh."),
        Column("expected_kwh", KWH, "Use that the model expects at the temperature of the day, kWh.", True),
        Column(
            "adjusted_kwh", KWH, "Use - expected + what a mean day of the month in ordinary weather has, kWh.", True
        ),
    ),
)

STATION_DEGREE_DAYS = Table(
    name="station_degree_days",
    description="Mean temperature and degree days (Eurostat) of each station and day.",
    key=("station_id", "day"),
    by_day=False,
    columns=(
        Column("station_id", LABEL, "Weather station."),
        Column("day", pa.date32(), "Delivery day (local date)."),
        Column("hours", pa.int16(), "Hours with a temperature.", hard_minimum=0),
        Column("temperature_c", pa.float64(), "Mean of the day, degC; null with less than 90 % of its hours.", True),
        Column("heating_degree_days", pa.float64(), "18 degC less the mean, if that is at most 15 degC, K d.", True),
        Column("cooling_degree_days", pa.float64(), "The mean less 21 degC, if that is at least 24 degC, K d.", True),
    ),
)

WEATHER_DEPENDENCE_TABLES = (
    WEATHER_DEPENDENCE,
    WEATHER_ADJUSTED_MONTHS,
    WEATHER_ADJUSTED_DAYS,
    STATION_DEGREE_DAYS,
)
