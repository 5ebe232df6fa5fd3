"""Registries: points, meters, registers, operators, weather stations, outages, each with validity intervals.

A row is valid on the days ``valid_from <= day < valid_to``; an open end is null. Rows come from registry feeds; for
one key and ``valid_from`` the row received last wins.
"""

from __future__ import annotations

import pyarrow as pa

from metrify_assets.schemas.table import INSTANT, LABEL, UNITS, Column, Table

_VALIDITY = (
    Column("valid_from", pa.date32(), "First day on which the row holds."),
    Column("valid_to", pa.date32(), "First day on which it no longer holds; null while it does.", True),
)
_PROVENANCE = (
    Column("feed", LABEL, "Feed that the row came with."),
    Column("drop_id", LABEL, "Drop that the row came with."),
    Column("row_number", pa.int64(), "Data row in its file, from 1.", hard_minimum=1),
    Column("received_at", INSTANT, "When the drop arrived (UTC)."),
)

POINTS = Table(
    name="points",
    description="Measuring points, one row per point, channel and validity interval.",
    key=("point_id", "obis_code", "valid_from"),
    by_day=False,
    columns=(
        Column("point_id", pa.string(), "Measuring point, opaque text."),
        Column("obis_code", LABEL, "OBIS code of the channel."),
        Column("interval_minutes", pa.int16(), "Expected interval in minutes.", hard_minimum=1, hard_maximum=1_440),
        Column("connection_kw", pa.float64(), "Connection power, kW.", True, hard_minimum=0),
        Column("point_class", LABEL, "Kind of customer, such as household, business, industry, pv.", True),
        Column("melo_id", pa.string(), "Measuring location (33 characters).", True),
        Column("malo_id", pa.string(), "Market location (11 digits).", True),
        Column("operator_id", LABEL, "Grid operator.", True),
        Column("control_area", LABEL, "Control area.", True),
        Column("postcode", LABEL, "Postcode of the site.", True),
        Column("federal_state", LABEL, "Federal state, two letters, such as BY.", True),
        Column("latitude", pa.float64(), "Latitude, degrees north.", True, hard_minimum=-90, hard_maximum=90),
        Column("longitude", pa.float64(), "Longitude, degrees east.", True, hard_minimum=-180, hard_maximum=180),
        Column("annual_kwh", pa.float64(), "Annual forecast, kWh.", True, hard_minimum=0),
        Column("load_profile", LABEL, "Standard load profile, such as H0 or H25; null = none applies.", True),
        *_VALIDITY,
        *_PROVENANCE,
    ),
)

METERS = Table(
    name="meters",
    description="Meters (devices), one row per meter, point served and validity interval.",
    key=("meter_id", "point_id", "valid_from"),
    by_day=False,
    columns=(
        Column("meter_id", pa.string(), "Device number."),
        Column("point_id", pa.string(), "Measuring point served."),
        Column("manufacturer", LABEL, "Manufacturer.", True),
        Column("model", LABEL, "Model.", True),
        Column("firmware", LABEL, "Firmware.", True),
        Column("installed_on", pa.date32(), "Day of installation.", True),
        *_VALIDITY,
        *_PROVENANCE,
    ),
)

OPERATORS = Table(
    name="operators",
    description="Grid operators.",
    key=("operator_id", "valid_from"),
    by_day=False,
    columns=(
        Column("operator_id", pa.string(), "Grid operator."),
        Column("name", pa.string(), "Name."),
        Column("kind", LABEL, "Distribution or transmission.", allowed=("dso", "tso")),
        Column("control_area", LABEL, "Control area.", True),
        *_VALIDITY,
        *_PROVENANCE,
    ),
)

WEATHER_STATIONS = Table(
    name="weather_stations",
    description="Weather stations, one row per station and validity interval (stations move).",
    key=("station_id", "valid_from"),
    by_day=False,
    columns=(
        Column("station_id", pa.string(), "Weather station."),
        Column("name", pa.string(), "Name."),
        Column("latitude", pa.float64(), "Latitude, degrees north.", hard_minimum=-90, hard_maximum=90),
        Column("longitude", pa.float64(), "Longitude, degrees east.", hard_minimum=-180, hard_maximum=180),
        Column("altitude_m", pa.float64(), "Altitude above sea level, m.", True),
        *_VALIDITY,
        *_PROVENANCE,
    ),
)

REGISTERS = Table(
    name="registers",
    description="Channels of meters, one row per point, OBIS code and validity interval: how their counters count.",
    key=("point_id", "obis_code", "valid_from"),
    by_day=False,
    columns=(
        Column("point_id", pa.string(), "Measuring point."),
        Column("obis_code", LABEL, "OBIS code of the channel, such as 1-0:1.8.0 (active import, total)."),
        Column("meter_id", pa.string(), "Device number.", True),
        Column("unit", LABEL, "Unit that the channel is delivered in.", True, allowed=UNITS),
        Column("multiplier", pa.float64(), "Transformer ratio; null = 1.", True, hard_minimum=0),
        Column("digits", pa.int16(), "Whole digits, after which the counter rolls over.", True, hard_minimum=1),
        Column("resolution_kwh", pa.float64(), "Smallest step, kWh before the multiplier.", True, hard_minimum=0),
        Column("initial_kwh", pa.float64(), "State at the first instant of validity, kWh before the multiplier.", True),
        Column("final_kwh", pa.float64(), "State at the end of validity, kWh before the multiplier.", True),
        *_VALIDITY,
        *_PROVENANCE,
    ),
)

OUTAGES = Table(
    name="outages",
    description="Declared outages, one row per point and start: slots within one are zeros, not gaps.",
    key=("point_id", "starts_at"),
    by_day=False,
    columns=(
        Column("point_id", pa.string(), "Measuring point without supply."),
        Column("starts_at", INSTANT, "First instant without supply (UTC)."),
        Column("ends_at", INSTANT, "First instant with supply again (UTC)."),
        Column("cause", LABEL, "Cause as declared.", True),
        Column("valid_from", pa.date32(), "First delivery day touched; derived from `starts_at`.", derived=True),
        Column("valid_to", pa.date32(), "First delivery day not touched; derived from `ends_at`.", derived=True),
        *_PROVENANCE,
    ),
)

WAREHOUSE_REGISTRIES = {table.name: table for table in (POINTS, METERS, OPERATORS, WEATHER_STATIONS)}
"""Registries that the marts read."""

REGISTRIES = {**WAREHOUSE_REGISTRIES, **{table.name: table for table in (REGISTERS, OUTAGES)}}
