"""Commands at work on an installation: what `metrify recompute` and `publish` show, and dbt run by hand afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metrify_assets.settings import REPOSITORY_DIR

pytestmark = [pytest.mark.dbt, pytest.mark.seldom, pytest.mark.timeout(600)]

DAY = "2026-03-29"
DBT = Path(sys.executable).parent / "dbt"
BY_HAND = re.compile(r"the same by hand: (.+)")


def run(command: list[object] | str, root: Path, folder: Path = REPOSITORY_DIR) -> subprocess.CompletedProcess:
    """Run a command, or a line of a shell, as a person does whose installation lies in ``root``."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("METRIFY_", "DAGSTER_", "DBT_"))
    }
    # What dbt writes beside the project stays out of the repository.
    ours = {"METRIFY_ROOT": str(root), "DBT_TARGET_PATH": str(root / "target"), "DBT_LOG_PATH": str(root / "target")}
    return subprocess.run(
        command if isinstance(command, str) else list(map(str, command)),
        cwd=folder,
        env={**environment, **ours, "METRIFY_FIRST_DAY": "2026-03-01"},
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
        check=False,
    )


def metrify(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run([sys.executable, "-m", "metrify_assets.cli.main", *arguments], root)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("by_hand") / "metrify"


@pytest.fixture(scope="module")
def computed(root) -> subprocess.CompletedProcess:
    """A day without any delivery, computed to the marts."""
    done = metrify(root, "recompute", DAY)
    assert done.returncode == 0, done.stderr
    return done


def log_of(root: Path, run_id: str) -> str:
    return (root / "logs" / f"{run_id}.log").read_text()


def test_computing_a_day_shows_a_line_a_step_and_the_result(root, computed):
    result = re.fullmatch(rf"{DAY} to {DAY} computed \(run ([0-9a-f-]{{36}})\)\n", computed.stdout)
    steps = [line.partition(" ... ")[0] for line in computed.stderr.splitlines()]
    assert sorted(steps) == [
        *(
            "clean_grid_status",
            "clean_power_quality",
            "clean_readings",
            "clean_weather",
            "dbt_daily_models",
            "dbt_dimensions",
        ),
        *("published_marts", "validated_readings"),
    ]
    log = log_of(root, result[1])
    assert "RUN_SUCCESS" in log
    # What dbt says of its models is there, too.
    assert "dim_date" in log


def test_a_run_passes_dbt_no_variables_and_names_the_command_by_hand(root, computed):
    [log] = (root / "logs").glob("*.log")
    assert "--vars" not in log.read_text()
    lines = sorted(set(BY_HAND.findall(log.read_text())))
    assert lines == [
        f"cd {REPOSITORY_DIR / 'metrify_dbt'} && METRIFY_WAREHOUSE={root / 'warehouse.duckdb'} {DBT} build "
        f"--exclude-resource-type unit_test --select {selected}"
        for selected in ("'fqn:*' --exclude tag:daily", "tag:daily")
    ]
    for line in lines:
        done = run(line, root)
        assert done.returncode == 0, done.stdout[-3_000:]


def test_publishing_is_a_step_and_a_result(root, computed):
    done = metrify(root, "publish")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"published_marts \.\.\. [0-9.]+ s\n", done.stderr)
    assert re.fullmatch(r"version \d+ of .+ is published: `metrify query` lists it\n", done.stdout)


def test_publishing_prints_json_alone_on_standard_output(root, computed):
    done = metrify(root, "publish", "--all", "--json")
    assert done.returncode == 0, done.stderr
    assert {mart["mart"] for mart in json.loads(done.stdout)["marts"]} >= {"marts.dim_date"}


def test_the_project_builds_by_hand_with_its_own_defaults(root, computed):
    done = run([DBT, "build"], root, REPOSITORY_DIR / "metrify_dbt")
    assert done.returncode == 0, done.stdout[-3_000:]
    assert "ERROR=0" in done.stdout


def test_a_warehouse_that_the_platform_never_prepared_says_what_to_do(root, computed, tmp_path):
    line = f"METRIFY_WAREHOUSE={tmp_path / 'other.duckdb'} {DBT} build --exclude-resource-type unit_test -s dim_date"
    done = run(line, root, REPOSITORY_DIR / "metrify_dbt")
    assert done.returncode == 1
    output = " ".join(done.stdout.split())
    assert "has not prepared this warehouse (no table metrify.lake_files): run `metrify demo` or" in output
