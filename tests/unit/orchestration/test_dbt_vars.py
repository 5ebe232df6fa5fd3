"""The variables of the dbt project: written from the typed configuration, and passed only where they differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import WarehouseError
from metrify_assets.settings import REPOSITORY_DIR, Settings
from metrify_assets.warehouse.dbt import command_by_hand
from metrify_assets.warehouse.dbt_project import changed_vars, vars_arguments, vars_block, write_vars
from metrify_assets.warehouse.mart_vars import mart_vars

PROJECT = REPOSITORY_DIR / "metrify_dbt"
TYPED = json.loads(json.dumps(mart_vars()))
HEAD = "name: metrify\n\n# A remark.\n"
TAIL = "\n# After it.\nmodels:\n  metrify: {+tags: [daily]}\n"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "dbt_project.yml").write_text(HEAD + vars_block() + TAIL)
    return tmp_path


def text_of(project: Path) -> str:
    return (project / "dbt_project.yml").read_text()


def test_the_dbt_project_holds_the_typed_configuration():
    declared = yaml.safe_load(text_of(PROJECT))["vars"]
    # As text: 1 and 1.0 are equal, but not the same SQL.
    assert json.dumps(declared) == json.dumps({"metrify": TYPED}), "run `metrify dbt vars --write`"
    assert vars_block() in text_of(PROJECT), "run `metrify dbt vars --write`"


def test_a_run_passes_no_variable_that_the_project_holds():
    assert vars_arguments(PROJECT) == []


def test_a_run_passes_what_differs_from_the_project_and_nothing_else(project):
    text = text_of(project)
    (project / "dbt_project.yml").write_text(
        text.replace("stability_low: 0.7", "stability_low: 0.5").replace("    duplicate_flag: 4\n", "")
    )
    assert changed_vars(project) == {"stability_low": 0.7, "duplicate_flag": 4}
    assert vars_arguments(project) == ["--vars", '{"duplicate_flag": 4, "stability_low": 0.7}']


@pytest.mark.parametrize("text", ["name: metrify\n", "vars:\n", "vars: {metrify: }\n"])
def test_a_project_without_variables_gets_all_of_them(project, text):
    (project / "dbt_project.yml").write_text(text)
    assert changed_vars(project) == TYPED


@pytest.mark.parametrize("old", ["vars:\n", "vars: {}\n", "vars:\n  metrify:\n    a: 1\n\n    b:\n    - 2\n"])
def test_writing_replaces_the_variables_and_leaves_all_else_as_it_was(project, old):
    (project / "dbt_project.yml").write_text(HEAD + old + TAIL)
    assert write_vars(project)
    assert text_of(project) == HEAD + vars_block() + TAIL
    assert changed_vars(project) == {}
    assert not write_vars(project)


def test_a_file_without_a_place_for_the_variables_is_left_alone(project):
    (project / "dbt_project.yml").write_text(HEAD)
    with pytest.raises(WarehouseError, match=r"dbt_project\.yml has 0 keys `vars:`, must have one"):
        write_vars(project)
    assert text_of(project) == HEAD


def test_a_project_file_that_is_no_yaml_is_one_line(project):
    (project / "dbt_project.yml").write_text("vars: {a: [\n")
    with pytest.raises(WarehouseError, match=r"dbt_project\.yml is no YAML: ") as refused:
        vars_arguments(project)
    assert "\n" not in str(refused.value)


def test_the_command_writes_once(project, monkeypatch):
    monkeypatch.setattr(Settings, "dbt_project", property(lambda self: project))
    (project / "dbt_project.yml").write_text(HEAD + "vars:\n")
    written, again, printed = (
        CliRunner().invoke(cli, ["dbt", "vars", *arguments]) for arguments in (["--write"], ["--write"], [])
    )
    assert written.output == f"{project / 'dbt_project.yml'}: written\n"
    assert again.output == f"{project / 'dbt_project.yml'}: up to date\n"
    assert printed.output == vars_block()


def test_the_command_by_hand_names_only_what_differs_from_the_defaults_by_hand(tmp_path):
    arguments = ["build", "--select", "fqn:a fqn:b"]
    line = command_by_hand(Settings(root=REPOSITORY_DIR / ".metrify"), arguments)
    assert line.startswith(f"cd {PROJECT} && ")
    assert line.endswith("/dbt build --select 'fqn:a fqn:b'")
    assert "METRIFY" not in line
    other = command_by_hand(Settings(root=tmp_path / "a b", timezone="UTC"), arguments)
    assert f"&& METRIFY_WAREHOUSE='{tmp_path}/a b/warehouse.duckdb' METRIFY_TIMEZONE=UTC /" in other
