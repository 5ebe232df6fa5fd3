"""``metrify init`` makes a whole project, and never writes into what is there."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import OutputError
from metrify_assets.reference.rule_books import BUILT_IN
from metrify_assets.settings import Settings, read_env_file


def init(folder: Path):
    return CliRunner().invoke(cli, ["init", str(folder)])


def test_the_files_of_a_project_carry_its_name(tmp_path):
    folder = tmp_path / "Stadtwerk Nord"
    assert init(folder).exit_code == 0
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "stadtwerk-nord-platform"
    assert project["tool"]["dg"]["project"]["code_location_target_module"] == "stadtwerk_nord_platform.definitions"
    assert yaml.safe_load((folder / "dbt" / "dbt_project.yml").read_text())["name"] == "stadtwerk_nord_platform"
    for path in folder.rglob("*.py"):
        compile(path.read_text(), path, "exec")
    assert not [path for path in folder.rglob("*") if path.is_file() and "$" in path.read_text()]
    assert (folder / "rules.yaml").read_bytes() == BUILT_IN.read_bytes()


@pytest.mark.parametrize("content", ["a file", "a folder with a file"])
def test_what_is_there_is_not_touched(content, tmp_path):
    folder = tmp_path / "acme"
    if content == "a file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
    refused = init(folder)
    assert isinstance(refused.exception, OutputError)
    assert str(refused.exception) == f"{folder} is not empty: name a folder that is new or empty"
    assert [path.name for path in tmp_path.rglob("*")] == ["acme"] + ["mine.txt"] * (content != "a file")


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "acme").mkdir()
    assert init(tmp_path / "acme").exit_code == 0


def test_a_folder_whose_name_names_no_package_is_refused(tmp_path):
    refused = init(tmp_path / "2026")
    assert isinstance(refused.exception, OutputError)
    assert "call the folder by a name that begins with a letter" in str(refused.exception)
    assert not (tmp_path / "2026").exists()


def test_paths_of_an_env_file_begin_at_the_file(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("METRIFY_")]:
        monkeypatch.delenv(name)
    init(tmp_path / "acme")
    monkeypatch.setenv("METRIFY_TIMEZONE", "Europe/Vienna")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    read_env_file(tmp_path / "acme" / ".env")
    settings = Settings.from_env()
    assert settings.root == tmp_path / "acme" / ".metrify"
    assert settings.feeds_dir == tmp_path / "acme" / "feeds"
    assert settings.dbt_project == tmp_path / "acme" / "dbt"
    assert settings.workspace_file == tmp_path / "acme" / "workspace.yaml"
    assert settings.timezone == "Europe/Vienna", "what is set already rules"


def test_without_an_env_file_nothing_is_set(tmp_path, monkeypatch):
    before = dict(os.environ)
    read_env_file(tmp_path / ".env")
    assert dict(os.environ) == before
