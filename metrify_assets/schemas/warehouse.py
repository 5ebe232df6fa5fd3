"""The tables of the lake that the warehouse reads."""

from __future__ import annotations

from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import WAREHOUSE_REGISTRIES
from metrify_assets.schemas.table import Table

MART_SCHEMAS = ("marts", "metrics")
"""Schemas of the warehouse that hold what is published."""

WAREHOUSE_TABLES: dict[str, Table] = {
    **{table.name: table for table in (CLEAN_READINGS, CLEAN_GRID_STATUS, CLEAN_WEATHER, CLEAN_POWER_QUALITY)},
    **WAREHOUSE_REGISTRIES,
}
