from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import WarehouseError
from metrify_assets.settings import Profile, Settings
from metrify_assets.warehouse import dbt
from metrify_assets.warehouse.dbt_project import models_digest, project_digest, seeds_digest, vars_arguments, vars_block


@pytest.fixture
def project(tmp_path, monkeypatch) -> Settings:
    """An installation with a dbt project of its own, whose dbt is counted and never run."""
    settings = Settings(root=tmp_path / "root")
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "a.sql").write_text("select 1")
    (folder / "dbt_project.yml").write_text("name: metrify\n" + vars_block())
    monkeypatch.setattr(Settings, "dbt_project", property(lambda self: folder))
    return settings


@pytest.fixture
def parses(project, monkeypatch) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(command, **_):
        calls.append(command)
        (project.dbt_target / "manifest.json").write_text("{}")
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_the_project_is_parsed_once_and_again_only_after_a_change(project, parses):
    for _ in range(3):
        assert dbt.ensure_manifest(project) == project.dbt_target / "manifest.json"
    assert len(parses) == 1
    (project.dbt_project / "models" / "a.sql").write_text("select 2")
    dbt.ensure_manifest(project)
    assert len(parses) == 2


def test_what_dbt_itself_writes_is_no_change_of_the_project(project, parses):
    before = project_digest(project)
    for name in ("target/manifest.json", "logs/dbt.log", ".user.yml"):
        path = project.dbt_project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert project_digest(project) == before


def test_a_renamed_file_is_a_change(project):
    before = project_digest(project)
    models = project.dbt_project / "models"
    (models / "a.sql").rename(models / "b.sql")
    assert project_digest(project) != before


def test_a_project_that_cannot_be_parsed_is_told_in_one_line_and_tried_again(project, monkeypatch):
    failed = SimpleNamespace(returncode=2, stdout="", stderr="Compilation Error\n  in model a\n  no such macro")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    for _ in range(2):
        with pytest.raises(WarehouseError, match=r"cannot parse .* no such macro") as caught:
            dbt.ensure_manifest(project)
        assert "\n" not in str(caught.value)


def test_processes_that_load_at_once_parse_once(project, monkeypatch):
    calls = project.root / "calls"
    project.root.mkdir()

    def slow_parse(*_, **__):
        with calls.open("a") as log:
            log.write("parse\n")
        time.sleep(0.2)
        (project.dbt_target / "manifest.json").write_text("{}")
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", slow_parse)
    # Forked, the processes have the same stand-in for dbt.
    processes = [multiprocessing.get_context("fork").Process(target=dbt.ensure_manifest, args=[project]) for _ in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert calls.read_text() == "parse\n"


def test_a_parse_that_was_killed_is_done_again(project, parses, monkeypatch):
    dbt.ensure_manifest(project)
    (project.dbt_project / "models" / "a.sql").write_text("select 2")

    def killed(*_, **__):
        (project.dbt_target / "manifest.json").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            dbt.ensure_manifest(project)
    # Even if the model is changed back: what lies there is of neither.
    (project.dbt_project / "models" / "a.sql").write_text("select 1")
    assert dbt.ensure_manifest(project).read_text() == "{}"
    assert len(parses) == 2


def test_in_production_definitions_are_loaded_without_dbt_from_what_was_prepared(project, parses):
    production = project.model_copy(update={"profile": Profile.PRODUCTION})
    with pytest.raises(WarehouseError, match=r"is missing .* run `metrify dbt prepare`") as caught:
        dbt.ready_manifest(production)
    assert "\n" not in str(caught.value)
    dbt.ensure_manifest(production)
    for _ in range(2):
        assert dbt.ready_manifest(production) == project.dbt_target / "manifest.json"
    assert len(parses) == 1
    (project.dbt_project / "models" / "a.sql").write_text("select 2")
    with pytest.raises(WarehouseError, match="not that of this dbt project"):
        dbt.ready_manifest(production)
    assert len(parses) == 1


def test_on_a_persons_own_machine_a_changed_model_is_noticed_when_definitions_are_loaded(project, parses):
    for _ in range(2):
        dbt.ready_manifest(project)
    assert len(parses) == 1
    (project.dbt_project / "models" / "a.sql").write_text("select 2")
    dbt.ready_manifest(project)
    assert len(parses) == 2


def test_comments_tests_and_descriptions_are_no_change_of_the_models(project):
    folder = project.dbt_project
    before = models_digest(folder)
    (folder / "models" / "a.sql").write_text("{#- Says\nmuch. -#}\n-- why\n\nselect 1  \n")
    (folder / "models" / "a.yml").write_text("models: []")
    (folder / "tests").mkdir()
    (folder / "tests" / "t.sql").write_text("select 1")
    assert models_digest(folder) == before


@pytest.mark.parametrize("text", ["select 2", "select  1", "select '-- 1'", "select 1 {{ macro() }}"])
def test_other_sql_is_a_change_of_the_models(project, text):
    before = models_digest(project.dbt_project)
    (project.dbt_project / "models" / "a.sql").write_text(text)
    assert models_digest(project.dbt_project) != before


def test_a_new_macro_is_a_change_of_the_models_and_a_seed_is_one_of_its_own(project):
    folder = project.dbt_project
    models, seeds = models_digest(folder), seeds_digest(folder)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "days.csv").write_text("day\n")
    assert models_digest(folder) == models
    assert seeds_digest(folder) != seeds
    (folder / "macros").mkdir()
    (folder / "macros" / "m.sql").write_text("{% macro m() %}{% endmacro %}")
    assert models_digest(folder) != models


def test_the_command_prepares_the_manifest_once(project, parses, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(project.root))
    for _ in range(2):
        result = CliRunner().invoke(cli, ["dbt", "prepare"])
        assert result.exit_code == 0
        assert result.output == f"{project.dbt_target / 'manifest.json'}: ready\n"
    assert len(parses) == 1
    assert dbt.ready_manifest(project.model_copy(update={"profile": Profile.PRODUCTION})).exists()


def test_of_failed_runs_the_latest_folders_stay(project):
    runs = project.dbt_target / "runs"
    for number in range(dbt.KEPT_RUNS + 2):
        folder = dbt.run_folder(project, f"run{number:02}")
        folder.mkdir()
        os.utime(folder, (number, number))
    assert sorted(run_folder.name for run_folder in runs.iterdir())[0] == "run01"
    assert dbt.run_folder(project, "next") == runs / "next"
    assert len(list(runs.iterdir())) == dbt.KEPT_RUNS


@pytest.fixture
def own(project, monkeypatch) -> Settings:
    """An installation whose own dbt project takes Metrify's, here the small ``project``, as a package."""
    shipped = project.dbt_project
    monkeypatch.undo()
    for module in ("settings", "warehouse.dbt_project", "warehouse.dbt"):
        monkeypatch.setattr(f"metrify_assets.{module}.METRIFY_DBT", shipped)
    folder = project.root.parent / "acme"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "b.sql").write_text("select 3")
    (folder / "dbt_project.yml").write_text("name: acme\n")
    (folder / "packages.yml").write_text("packages: []\n")
    return Settings(root=project.root, dbt_project_dir=folder)


@pytest.mark.parametrize("changed", ["acme/models/b.sql", "project/models/a.sql"])
def test_a_project_of_its_own_changes_with_its_models_and_with_those_of_metrify(own, changed):
    models, manifest = models_digest(*own.dbt_projects), project_digest(own)
    (own.root.parent / changed).write_text("select 4")
    assert models_digest(*own.dbt_projects) != models
    assert project_digest(own) != manifest


def test_a_project_of_its_own_takes_its_packages_before_it_is_parsed(own, monkeypatch):
    calls = []

    def run(command, env, **_):
        calls.append((command[2], env["METRIFY_DBT_PACKAGE"]))
        (own.dbt_target / "manifest.json").write_text("{}")
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    dbt.ensure_manifest(own)
    dbt.ensure_manifest(own)
    shipped = str(own.root.parent / "project")
    assert calls == [("deps", shipped), ("parse", shipped)]


def test_a_project_of_its_own_is_parsed_anew_once_metrify_lies_elsewhere(own, monkeypatch):
    before = project_digest(own)
    moved = own.root.parent / "moved"
    (own.root.parent / "project").rename(moved)
    for module in ("settings", "warehouse.dbt_project"):
        monkeypatch.setattr(f"metrify_assets.{module}.METRIFY_DBT", moved)
    assert project_digest(own) != before


def test_a_project_of_its_own_without_profiles_uses_those_of_metrify(own):
    assert own.dbt_profiles == own.root.parent / "project"
    (own.dbt_project / "profiles.yml").write_text("acme: {}\n")
    assert own.dbt_profiles == own.dbt_project


def test_variables_of_metrify_hold_in_a_project_of_its_own(own):
    assert vars_arguments(*own.dbt_projects) == []
    (own.dbt_project / "dbt_project.yml").write_text("name: acme\nvars: {metrify: {stability_low: 0.1}}\n")
    # The typed configuration rules, as it does over Metrify's own file.
    assert vars_arguments(*own.dbt_projects) == ["--vars", '{"stability_low": 0.7}']
