from __future__ import annotations

import copy
from typing import Any

import pytest

from metrify_assets.orchestration.assets.model_sets import (
    DAILY_MODELS,
    DIMENSIONS,
    build_arguments,
    code_versions,
    declared_columns,
    relations,
    rows_by_day,
    with_whole_paths,
)
from metrify_assets.warehouse.warehouse import Relation

COMMON = ["build", "--exclude-resource-type", "unit_test"]


def test_all_of_the_daily_models_are_selected_by_their_tag():
    assert build_arguments(DAILY_MODELS) == [*COMMON, "--select", "tag:daily"]


def test_the_dimensions_are_all_that_is_not_daily():
    assert build_arguments(DIMENSIONS) == [*COMMON, "--select", "fqn:*", "--exclude", "tag:daily"]


def test_a_part_is_named_and_brings_no_other_tests():
    assert build_arguments(DAILY_MODELS, {"fct", "a_test_of_fct"}) == [
        *COMMON,
        *("--select", "fqn:a_test_of_fct fqn:fct", "--indirect-selection", "empty"),
    ]


def test_variables_that_differ_from_the_project_are_passed():
    variables = ["--vars", '{"stability_low": 0.8}']
    assert build_arguments(DAILY_MODELS, None, variables) == [*COMMON, *variables, "--select", "tag:daily"]


def node(name: str, materialized: str, *, tags: tuple[str, ...] = ("daily",), **more: Any) -> dict[str, Any]:
    meta = more.pop("meta", {})
    return {
        "unique_id": f"model.metrify.{name}",
        "name": name,
        "alias": name,
        "schema": "marts",
        "package_name": "metrify",
        "resource_type": "model",
        "config": {"materialized": materialized, "meta": meta},
        "tags": list(tags),
        "columns": {},
        "raw_code": f"select {name}",
        "depends_on": {"macros": [], "nodes": []},
        **more,
    }


def macro(name: str, *calls: str, package: str = "metrify") -> dict[str, Any]:
    return {
        "unique_id": f"macro.{package}.{name}",
        "package_name": package,
        "macro_sql": f"text of {name}",
        "depends_on": {"macros": list(calls)},
    }


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A fact that reads an ephemeral model; the macro ``a`` of that one calls ``b``, which calls ``a`` again."""
    nodes = [
        node("stg", "view"),
        node("inter", "ephemeral", depends_on={"macros": ["macro.metrify.a"], "nodes": ["model.metrify.stg"]}),
        node(
            "fct",
            "incremental",
            depends_on={"macros": ["macro.dbt.ref"], "nodes": ["model.metrify.inter"]},
            columns={"day": {"name": "day", "data_type": "DATE"}, "kwh": {"name": "kwh", "data_type": "double"}},
        ),
        node("monthly", "incremental", meta={"replaces": "month"}),
        node("dim", "table", tags=()),
        {
            **node("holidays", "seed", tags=()),
            "unique_id": "seed.metrify.holidays",
            "resource_type": "seed",
            "checksum": {"checksum": "1"},
        },
    ]
    macros = [
        macro("a", "macro.metrify.b"),
        macro("b", "macro.metrify.a"),
        macro("c"),
        macro("ref", "macro.metrify.c", package="dbt"),
    ]
    return {
        "nodes": {entry["unique_id"]: entry for entry in nodes},
        "macros": {entry["unique_id"]: entry for entry in macros},
    }


def test_rows_are_counted_by_the_period_of_a_model_and_views_of_the_days_not_whole(manifest):
    assert relations(manifest, ["stg", "inter", "fct", "monthly", "dim", "holidays", "unknown"]) == {
        "stg": Relation("marts.stg", "day", whole=False),
        "fct": Relation("marts.fct", "day"),
        "monthly": Relation("marts.monthly", "month"),
        "dim": Relation("marts.dim"),
        "holidays": Relation("marts.holidays"),
    }


def test_a_table_that_every_run_of_days_builds_whole_is_counted_whole(manifest):
    manifest["nodes"]["model.acme.report"] = {**node("report", "table"), "package_name": "acme"}
    assert relations(manifest, ["report"]) == {"report": Relation("marts.report")}


def test_the_code_version_of_another_projects_model_changes_with_the_macros_of_metrify(manifest):
    report = {**node("report", "table"), "unique_id": "model.acme.report", "package_name": "acme"}
    manifest["nodes"]["model.acme.report"] = {**report, "depends_on": {"macros": ["macro.metrify.a"], "nodes": []}}
    before = code_versions(manifest)["model.acme.report"]
    manifest["macros"]["macro.metrify.b"]["macro_sql"] += " changed"
    assert code_versions(manifest)["model.acme.report"] != before


def test_models_of_a_package_lead_to_their_own_files(manifest):
    manifest["nodes"]["model.metrify.fct"]["original_file_path"] = "models/fct.sql"
    acme = {**node("report", "table"), "package_name": "acme", "original_file_path": "models/report.sql"}
    nodes = {"a": manifest["nodes"]["model.metrify.fct"], "b": acme}
    whole = with_whole_paths({"nodes": nodes, "macros": {}}, {"metrify": "/there"})["nodes"]
    assert [whole[name]["original_file_path"] for name in "ab"] == ["/there/models/fct.sql", "models/report.sql"]


def test_the_rows_of_a_day_are_those_of_the_models_that_keep_days(manifest):
    assert rows_by_day(manifest) == {"fct"}


def test_columns_are_declared_by_name_and_type_of_the_models_that_keep_rows(manifest):
    before = declared_columns(manifest)
    assert before.keys() == {"marts.fct", "marts.monthly"}
    columns = manifest["nodes"]["model.metrify.fct"]["columns"]
    columns["day"] |= {"data_type": "date", "description": "The day."}
    assert declared_columns(manifest) == before
    columns["kwh"]["data_type"] = "float"
    assert declared_columns(manifest)["marts.fct"] != before["marts.fct"]
    assert declared_columns(manifest)["marts.monthly"] == before["marts.monthly"]


@pytest.mark.parametrize(
    ("kind", "unique_id", "text", "changed"),
    [
        ("nodes", "model.metrify.fct", "raw_code", {"model.metrify.fct"}),
        ("nodes", "model.metrify.inter", "raw_code", {"model.metrify.fct"}),
        ("nodes", "model.metrify.stg", "raw_code", {"model.metrify.stg"}),
        ("macros", "macro.metrify.b", "macro_sql", {"model.metrify.fct"}),
        ("macros", "macro.metrify.c", "macro_sql", set()),
        ("macros", "macro.dbt.ref", "macro_sql", set()),
    ],
)
def test_a_code_version_changes_with_the_code_that_makes_the_rows(manifest, kind, unique_id, text, changed):
    before = code_versions(manifest)
    after = copy.deepcopy(manifest)
    after[kind][unique_id][text] += " changed"
    versions = code_versions(after)
    assert {name for name in before if versions[name] != before[name]} == changed


def test_the_code_version_of_a_seed_is_its_rows(manifest):
    before = code_versions(manifest)
    manifest["nodes"]["seed.metrify.holidays"]["checksum"] = {"checksum": "2"}
    after = code_versions(manifest)
    assert {name for name in before if after[name] != before[name]} == {"seed.metrify.holidays"}
