"""The dbt project as Dagster's definitions: sets, partitions, checks, columns, code. dbt parses; nothing is built."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from metrify_assets.orchestration.assets.model_sets import code_versions
from metrify_assets.orchestration.build import build_defs
from metrify_assets.settings import REPOSITORY_DIR, Settings

STAGING_OF_DAYS = {"stg_smart_meter_readings", "stg_grid_status", "stg_weather_data", "stg_power_quality"}
FACTS = {"int_channel_days", "fct_smart_meter_analytics"}
METRICS = {
    *("daily_consumption_metrics", "monthly_consumption_metrics", "energy_efficiency_metrics"),
    *("grid_performance_metrics", "weather_correlation_metrics", "data_quality_scorecard", "grid_balance_metrics"),
    "power_quality_metrics",
}
DIMENSIONS = {"dim_points", "dim_meters", "dim_grid_operators", "dim_weather_stations", "dim_date"}
STAGING_OF_REGISTRIES = {"stg_points", "stg_meters", "stg_grid_operators", "stg_weather_stations", "german_holidays"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(root=tmp_path_factory.mktemp("definitions") / "metrify")


@pytest.fixture(scope="module")
def defs(settings) -> Iterator[dg.Definitions]:
    # Definitions ask the instance of now what it knows of them: not one that other tests have left behind.
    with dg.instance_for_test():
        yield build_defs(settings)


@pytest.fixture(scope="module")
def sets(defs) -> dict[str, dg.AssetsDefinition]:
    definitions = {key: defs.resolve_assets_def(dg.AssetKey(key)) for key in ("dim_date", "fct_smart_meter_analytics")}
    return {definition.op.name: definition for definition in definitions.values()}


@pytest.fixture(scope="module")
def specs(defs) -> dict[str, dg.AssetSpec]:
    return {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def manifest(settings, defs) -> dict[str, Any]:
    return json.loads((settings.dbt_target / "manifest.json").read_text())


def names(definition: dg.AssetsDefinition) -> set[str]:
    return {key.path[-1] for key in definition.keys}


def test_there_is_one_set_of_models_per_partitioning(sets):
    assert {name: names(models) for name, models in sets.items()} == {
        "dbt_dimensions": DIMENSIONS | STAGING_OF_REGISTRIES,
        "dbt_daily_models": STAGING_OF_DAYS | FACTS | METRICS,
    }
    assert sets["dbt_dimensions"].partitions_def is None
    assert isinstance(sets["dbt_daily_models"].partitions_def, dg.DailyPartitionsDefinition)
    assert sets["dbt_daily_models"].backfill_policy == dg.BackfillPolicy.single_run()


def test_no_dimension_is_made_from_a_daily_model(sets, specs):
    daily = sets["dbt_daily_models"].keys
    for key in sets["dbt_dimensions"].keys:
        assert daily.isdisjoint(dep.asset_key for dep in specs[key.path[-1]].deps)


def test_every_model_that_keeps_rows_of_other_days_is_daily_and_no_other_table_is(manifest):
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    kinds = {node["config"]["materialized"]: set() for node in models}
    for node in models:
        kinds[node["config"]["materialized"]].add("daily" in node["tags"])
    assert kinds == {"incremental": {True}, "ephemeral": {True}, "table": {False}, "view": {True, False}}


def test_every_test_of_the_project_is_a_check_of_a_model(defs, manifest):
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    checks = {key.name: key.asset_key.path[-1] for key in defs.resolve_asset_graph().asset_check_keys}
    assert len(tests) > 40
    assert tests - checks.keys() == set()
    # Tests of their own say in their settings whose they are.
    assert checks["energy_is_conserved"] == "fct_smart_meter_analytics"
    assert checks["the_calendar_knows_the_holidays"] == "dim_date"


def test_structure_blocks_and_plausibility_warns(sets, manifest):
    tests = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    for definition in sets.values():
        for spec in definition.check_specs:
            assert spec.blocking is (tests[spec.name]["config"]["severity"].lower() == "error"), spec.name
    blocking = {spec.name: spec.blocking for definition in sets.values() for spec in definition.check_specs}
    assert blocking["energy_is_conserved"]
    assert sorted(name for name, blocks in blocking.items() if not blocks) == [
        name for name, node in sorted(tests.items()) if node["config"]["severity"].lower() == "warn"
    ]


def test_a_model_tells_its_columns_its_table_and_its_file(sets, specs):
    for definition in sets.values():
        for key in definition.keys:
            metadata = specs[key.path[-1]].metadata
            schema = metadata["dagster/column_schema"]
            assert all(column.description and column.type != "?" for column in schema.columns), key
            assert metadata["dagster/table_name"].split(".")[-1] == key.path[-1]
            [source] = metadata["dagster/code_references"].code_references
            assert Path(source.file_path).resolve().is_relative_to(REPOSITORY_DIR / "metrify_dbt")
    columns = {
        column.name: column for column in specs["daily_consumption_metrics"].metadata["dagster/column_schema"].columns
    }
    assert columns["energy_kwh"].type == "decimal(18,6)"
    assert columns["energy_kwh"].constraints.nullable
    assert not columns["point_id"].constraints.nullable


def test_a_model_is_described_in_its_own_words_without_its_sql(sets, specs, manifest):
    described = {
        node["name"]: node["description"]
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
    }
    for definition in sets.values():
        for name in names(definition):
            assert specs[name].description == described[name]
    assert specs["dim_date"].description.endswith(".")


def test_a_model_has_its_folder_as_group_an_owner_and_its_engine(sets, specs):
    groups = {name: specs[name].group_name for definition in sets.values() for name in names(definition)}
    assert {name for name, group in groups.items() if group == "metrics"} == METRICS
    assert {name for name, group in groups.items() if group == "marts"} == {*DIMENSIONS, "fct_smart_meter_analytics"}
    assert {name for name, group in groups.items() if group == "intermediate"} == {"int_channel_days"}
    assert {name for name, group in groups.items() if group == "staging"} == STAGING_OF_DAYS | STAGING_OF_REGISTRIES
    for name in groups:
        assert list(specs[name].owners) == ["team:analytics"]
        assert specs[name].kinds == {"dbt", "duckdb"}


def test_the_code_of_a_model_has_a_version_that_knows_its_macros(sets, specs, manifest):
    versions = code_versions(manifest)
    for definition in sets.values():
        for key in definition.keys:
            spec = specs[key.path[-1]]
            assert spec.code_version == versions[spec.metadata["dagster_dbt/unique_id"]]
    # `lake_table` is dispatched to the engine's macro: a change of that one reaches the staging models.
    other = copy.deepcopy(manifest)
    other["macros"]["macro.metrify.duckdb__lake_table"]["macro_sql"] += " "
    changed = {name.split(".")[-1] for name, version in code_versions(other).items() if version != versions[name]}
    assert {"stg_points", "stg_smart_meter_readings"} <= changed
    assert "dim_points" not in changed


def test_assets_in_python_tell_their_files_too(specs):
    for name in ("raw_readings", "validated_readings", "clean_readings"):
        [source] = specs[name].metadata["dagster/code_references"].code_references
        assert Path(source.file_path).is_relative_to(REPOSITORY_DIR / "metrify_assets" / "orchestration" / "assets")
