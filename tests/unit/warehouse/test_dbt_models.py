"""The text of the dbt project: everything is described, and no test of a model by day reads the days before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from metrify_assets.settings import REPOSITORY_DIR

PROJECT = REPOSITORY_DIR / "metrify_dbt"
MODELS = sorted((PROJECT / "models").rglob("*.sql"))


def described(path: Path) -> dict[str, Any]:
    """Return what the YAML beside a model says of it."""
    [model] = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
    return model


def data_tests(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [test for column in model.get("data_tests", ()) for test in column.values()]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_its_columns_and_its_tests_are_described(path):
    model = described(path)
    assert model["name"] == path.stem
    for thing in (model, *model["columns"], *data_tests(model), *model.get("unit_tests", ())):
        assert thing["description"].strip().endswith((".", ")")), thing
    assert len({column["name"] for column in model["columns"]}) == len(model["columns"])
    assert all("name" in test for test in data_tests(model))


def test_sources_and_seeds_are_described():
    [source] = yaml.safe_load((PROJECT / "models" / "staging" / "lake.yml").read_text())["sources"]
    seeds = yaml.safe_load((PROJECT / "seeds" / "german_holidays.yml").read_text())["seeds"]
    for thing in (source, *source["tables"], *seeds):
        assert thing["description"]
        assert all(column["description"] for column in thing.get("columns", ()))


@pytest.mark.parametrize("path", [path for path in MODELS if "replace_days" in path.read_text()], ids=lambda p: p.stem)
def test_a_test_of_a_model_by_day_or_month_looks_at_what_was_requested(path):
    for test in data_tests(described(path)):
        assert test["config"]["where"] in ("__day_is_requested__", "__month_is_requested__"), test["name"]


def test_every_model_that_is_stored_has_a_contract():
    config = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["models"]["metrify"]
    assert config["+contract"] == {"enforced": True}
    without = [name for name, options in config.items() if isinstance(options, dict) and "+contract" in options]
    assert without == ["intermediate"]
    assert config["intermediate"]["+materialized"] == "ephemeral"
    for path in (PROJECT / "models" / "intermediate").glob("*.sql"):
        text = path.read_text()
        assert ("materialized=" in text) == ("contract={'enforced': true}" in text), path.stem
