from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from metrify_assets.errors import WarehouseError
from metrify_assets.resources import dbt
from metrify_assets.settings import Settings


@pytest.fixture
def project(tmp_path, monkeypatch) -> Settings:
    """An installation with a dbt project of its own, whose dbt is counted and never run."""
    settings = Settings(root=tmp_path / "root")
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "a.sql").write_text("select 1")
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
    before = dbt.project_digest(project)
    for name in ("target/manifest.json", "logs/dbt.log", ".user.yml"):
        path = project.dbt_project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert dbt.project_digest(project) == before


def test_a_renamed_file_is_a_change(project):
    before = dbt.project_digest(project)
    models = project.dbt_project / "models"
    (models / "a.sql").rename(models / "b.sql")
    assert dbt.project_digest(project) != before


def test_a_project_that_cannot_be_parsed_is_told_in_one_line_and_tried_again(project, monkeypatch):
    failed = SimpleNamespace(returncode=2, stdout="", stderr="Compilation Error\n  in model a\n  no such macro")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    for _ in range(2):
        with pytest.raises(WarehouseError, match=r"cannot parse .* no such macro") as caught:
            dbt.ensure_manifest(project)
        assert "\n" not in str(caught.value)
