"""Which warehouse an installation has.

Belongs here: the mapping from settings to the warehouse. Does not belong here: what warehouses do.
"""

from __future__ import annotations

from metrify_assets.settings import Settings, WarehouseEngine
from metrify_assets.warehouse.warehouse import DuckDBWarehouse, Warehouse


def warehouse_of(settings: Settings) -> Warehouse:
    """Return the warehouse that the marts are built in; nothing is opened yet."""
    if settings.warehouse_engine is WarehouseEngine.DUCKDB:
        return DuckDBWarehouse(settings.warehouse)
    from metrify_assets.schemas.warehouse import WAREHOUSE_TABLES
    from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
    from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

    return SnowflakeWarehouse(SnowflakeAccess.from_env(), WAREHOUSE_TABLES)
