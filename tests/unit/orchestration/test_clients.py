"""The clients as Dagster's resources: their configuration is shown, their secrets are not."""

from __future__ import annotations

import dagster as dg
import pytest

from metrify_assets.orchestration.resources.clients import client_resources
from metrify_assets.platform import Platform, platform_of
from metrify_assets.settings import Settings
from metrify_assets.sources.kafka.cluster import KafkaCluster
from metrify_assets.storage.object_store import LocalObjectStore
from metrify_assets.storage.s3 import S3ObjectStore
from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from metrify_assets.warehouse.warehouse import DuckDBWarehouse


def made(settings: Settings) -> dict[str, object]:
    """Return what the resources of an installation make."""
    with dg.build_resources(client_resources(settings)) as resources:
        return resources._asdict()


def shown(settings: Settings) -> dict[str, object]:
    """Return what the Resources page is given of each resource."""
    definitions = dg.Definitions(resources=client_resources(settings)).get_repository_def().get_top_level_resources()
    return {name: definition.config_schema.default_value for name, definition in definitions.items()}


def test_an_installation_in_a_folder_has_a_store_a_platform_and_a_duckdb_file(tmp_path):
    settings = Settings(root=tmp_path, shards=2)
    clients = made(settings)
    assert set(clients) == {"object_store", "platform", "warehouse"}
    assert isinstance(clients["object_store"], LocalObjectStore)
    assert isinstance(clients["platform"], Platform)
    assert clients["platform"].settings == settings
    assert isinstance(clients["warehouse"], DuckDBWarehouse)
    assert clients["warehouse"].path == settings.warehouse


def test_what_a_process_has_read_of_the_ledger_stays_from_tick_to_tick(tmp_path):
    settings = Settings(root=tmp_path)
    assert made(settings)["platform"] is made(settings)["platform"] is platform_of(settings)


def test_a_setting_that_was_not_made_is_not_made_by_the_resource(tmp_path):
    assert not made(Settings(root=tmp_path))["platform"].settings.says_first_day


def test_a_bucket_is_shown_with_its_place(tmp_path):
    settings = Settings(
        root=tmp_path, store="s3", s3_bucket="reads", s3_prefix="prod", s3_endpoint="http://127.0.0.1:1"
    )
    assert isinstance(made(settings)["object_store"], S3ObjectStore)
    store = shown(settings)["object_store"]
    assert (store["s3_bucket"], store["s3_prefix"], store["s3_endpoint"]) == ("reads", "prod", "http://127.0.0.1:1")


def test_secrets_are_names_of_variables(tmp_path, monkeypatch):
    for name, value in {
        "SNOWFLAKE_ACCOUNT": "acme",
        "SNOWFLAKE_USER": "loader",
        "SNOWFLAKE_DATABASE": "METRIFY",
        "SNOWFLAKE_WAREHOUSE": "SMALL",
        "SNOWFLAKE_PASSWORD": "geheim-1",
        "METRIFY_KAFKA_PASSWORD": "geheim-2",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings(root=tmp_path, warehouse_engine="snowflake", kafka_bootstrap="127.0.0.1:1")
    assert "geheim" not in repr(shown(settings))
    assert shown(settings)["warehouse"]["password"] == {"env": "SNOWFLAKE_PASSWORD"}
    assert shown(settings)["kafka"]["password"] == {"env": "METRIFY_KAFKA_PASSWORD"}
    clients = made(settings)
    assert isinstance(clients["warehouse"], SnowflakeWarehouse)
    assert clients["warehouse"].access.password == "geheim-1"
    assert isinstance(clients["kafka"], KafkaCluster)
    assert clients["kafka"].config()["sasl.password"] == "geheim-2"


def test_a_secret_that_is_gone_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("METRIFY_KAFKA_PASSWORD", "geheim-2")
    resources = client_resources(Settings(root=tmp_path, kafka_bootstrap="127.0.0.1:1"))
    monkeypatch.delenv("METRIFY_KAFKA_PASSWORD")
    with pytest.raises(dg.DagsterInvalidConfigError, match="METRIFY_KAFKA_PASSWORD"), dg.build_resources(resources):
        pass
