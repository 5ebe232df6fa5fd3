"""Dagster's own command line for projects: ``dg`` finds, checks and runs what Metrify defines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metrify_assets.settings import REPOSITORY_DIR
from tests.integration.processes import clean_environment

pytestmark = pytest.mark.seldom

DG = Path(sys.executable).with_name("dg")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dg") / "metrify"


def dg(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run ``dg`` in the checkout, as a person does who has set nothing but the folder."""
    return subprocess.run(
        [DG, *arguments],
        cwd=REPOSITORY_DIR,
        env={**clean_environment(), "METRIFY_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_definitions_are_checked(root):
    done = dg(root, "check", "defs")
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "All definitions loaded successfully" in done.stdout + done.stderr


def test_the_definitions_are_listed(root):
    done = dg(root, "list", "defs", "--json")
    assert done.returncode == 0, done.stderr[-2_000:]
    listed = json.loads(done.stdout)
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"raw_readings", "validated_readings", "clean_readings", "published_marts"} <= keys
    assert {resource["name"] for resource in listed["resources"]} == {"object_store", "platform", "warehouse", "dbt"}


def test_the_environment_is_listed(root):
    assert dg(root, "list", "envs").returncode == 0


def test_an_asset_is_launched(root):
    done = dg(root, "launch", "--assets", "quarantine")
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "RUN_SUCCESS" in done.stdout + done.stderr
