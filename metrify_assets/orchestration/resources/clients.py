"""The clients of an installation as Dagster's resources: what the Resources page shows of them.

Belongs here: one resource for each client, its configuration as the settings say it, secrets as names of environment
variables. Does not belong here: what the clients do (``storage/``, ``warehouse/``, ``sources/kafka/``), and dbt
(``dbt.py``).

Each resource makes the object that assets and sensors ask for. They are given that object in tests.
"""
# No postponed annotations: Dagster looks at the classes themselves.

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from metrify_assets.platform import Platform, object_store, platform_of
from metrify_assets.schemas.warehouse import WAREHOUSE_TABLES
from metrify_assets.settings import Settings, WarehouseEngine
from metrify_assets.sources.kafka.cluster import KAFKA_SECRETS, KafkaCluster
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.warehouse import DuckDBWarehouse, Warehouse

_STORE_SETTINGS = ("store", "root", "s3_bucket", "s3_prefix", "s3_endpoint", "s3_timeout_seconds")


class ObjectStoreResource(dg.ConfigurableResource[ObjectStore]):
    """Where landing zone, lake and ledger lie: a folder, or a bucket with the credentials of the AWS variables."""

    store: str = Field(description="local or s3")
    root: str = Field(description="Folder of the installation; on S3 that of the local copies.")
    s3_bucket: str | None = None
    s3_prefix: str = ""
    s3_endpoint: str | None = None
    s3_timeout_seconds: float = 15

    @classmethod
    def of(cls, settings: Settings) -> "ObjectStoreResource":
        """Return the resource of an installation."""
        return cls(**{name: value for name, value in _plain(settings).items() if name in _STORE_SETTINGS})

    def create_resource(self, context: dg.InitResourceContext) -> ObjectStore:
        """Return the store."""
        return object_store(Settings(**{name: getattr(self, name) for name in _STORE_SETTINGS}))


class PlatformResource(dg.ConfigurableResource[Platform]):
    """The installation: its store, and every setting that was made."""

    object_store: dg.ResourceDependency[ObjectStore]
    settings: dict[str, Any] = Field(description="What was set, by name; the rest has its default.")

    @classmethod
    def of(cls, settings: Settings, store: ObjectStoreResource) -> "PlatformResource":
        """Return the resource of an installation."""
        return cls(
            object_store=store,
            settings=settings.model_dump(mode="json", exclude_unset=True) | {"root": str(settings.root)},
        )

    def create_resource(self, context: dg.InitResourceContext) -> Platform:
        """Return the platform; that of a process stays, with what it has read of the ledger."""
        return platform_of(Settings(**self.settings))


class DuckDBWarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The file that the marts are built in."""

    path: str

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:
        """Return the warehouse; nothing is opened yet."""
        from pathlib import Path

        return DuckDBWarehouse(Path(self.path))


class SnowflakeWarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The database of Snowflake that the marts are built in; see ``SnowflakeAccess`` for the fields."""

    account: str
    user: str
    database: str
    warehouse: str
    backfill_warehouse: str
    private_key_path: str | None = None
    private_key_passphrase: str | None = None
    password: str | None = None
    loader_role: str
    transformer_role: str
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    statement_timeout_seconds: int
    network_timeout_seconds: int

    @classmethod
    def of(cls, access: SnowflakeAccess) -> "SnowflakeWarehouseResource":
        """Return the resource of an installation; its secrets are named, not shown."""
        values = {name: getattr(access, name) for name in cls.model_fields}
        for name in ("password", "private_key_passphrase"):
            if values[name] is not None:
                values[name] = dg.EnvVar(f"SNOWFLAKE_{name.upper()}")
        return cls(**values)

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:
        """Return the warehouse; nothing is opened yet."""
        from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse

        values = {name: getattr(self, name) for name in type(self).model_fields}
        return SnowflakeWarehouse(SnowflakeAccess(**values), WAREHOUSE_TABLES)


class KafkaResource(dg.ConfigurableResource[KafkaCluster]):
    """The brokers that streams are read from."""

    bootstrap: str
    config_file: str | None = None
    timeout_seconds: float = 10
    username: str | None = None
    password: str | None = None
    ssl_key_password: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "KafkaResource":
        """Return the resource of an installation; its secrets are named, not shown."""
        secrets = {
            field: dg.EnvVar(variable)
            for field, variable in ((_secret_field(variable), variable) for variable in KAFKA_SECRETS.values())
            if os.environ.get(variable)
        }
        return cls(
            bootstrap=settings.kafka_bootstrap or "",
            config_file=str(settings.kafka_config_file) if settings.kafka_config_file else None,
            timeout_seconds=settings.kafka_timeout_seconds,
            **secrets,
        )

    def create_resource(self, context: dg.InitResourceContext) -> KafkaCluster:
        """Return the cluster; nothing is connected yet."""
        from pathlib import Path

        secrets = {variable: getattr(self, _secret_field(variable)) for variable in KAFKA_SECRETS.values()}
        return KafkaCluster(
            self.bootstrap,
            Path(self.config_file) if self.config_file else None,
            self.timeout_seconds,
            {variable: secret for variable, secret in secrets.items() if secret},
        )


def client_resources(settings: Settings) -> Mapping[str, Any]:
    """Return the resources of an installation by name; ``kafka`` only where there is a broker."""
    store = ObjectStoreResource.of(settings)
    resources: dict[str, Any] = {
        "object_store": store,
        "platform": PlatformResource.of(settings, store),
        "warehouse": _warehouse(settings),
    }
    if settings.kafka_bootstrap is not None:
        resources["kafka"] = KafkaResource.of(settings)
    return resources


def _warehouse(settings: Settings) -> DuckDBWarehouseResource | SnowflakeWarehouseResource:
    if settings.warehouse_engine is WarehouseEngine.DUCKDB:
        return DuckDBWarehouseResource(path=str(settings.warehouse))
    return SnowflakeWarehouseResource.of(SnowflakeAccess.from_env())


def _plain(settings: Settings) -> dict[str, Any]:
    """Return the settings as JSON has them."""
    return settings.model_dump(mode="json")


def _secret_field(variable: str) -> str:
    return variable.removeprefix("METRIFY_KAFKA_").lower()
