"""Runs in the foreground, on a real Dagster instance: what a person sees of them, and where the rest goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from metrify_assets.errors import RunError
from metrify_assets.orchestration import build, home
from metrify_assets.orchestration.foreground import KEPT_LOGS, run_job
from metrify_assets.settings import REPOSITORY_DIR, Settings
from tests.unit.orchestration import foreground_jobs

pytestmark = pytest.mark.seldom


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """An installation whose code location is a few small assets."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(build, "build_defs", foreground_jobs.definitions)
    monkeypatch.setattr(home, "prepare_home", foreground_jobs.prepare_home)
    return Settings(root=tmp_path)


def logs(root: Path) -> list[Path]:
    return sorted((root / "logs").glob("*.log"))


def command(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run a job in a process of its own, as the commands do."""
    return subprocess.run(
        [sys.executable, "-m", "tests.unit.orchestration.foreground_jobs", str(root), *arguments],
        cwd=REPOSITORY_DIR,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_shows_its_steps_and_leaves_the_rest_in_a_file(tmp_path):
    done = command(tmp_path, "good")
    assert done.returncode == 0, done.stderr
    [line] = done.stderr.splitlines()
    name, _, seconds = line.partition(" ... ")
    assert name == "quiet_asset"
    assert float(seconds.removesuffix(" s")) >= 0
    [log] = logs(tmp_path)
    # Afterwards standard output is the person's again.
    assert done.stdout == f"{log.stem}\n"
    text = log.read_text()
    for line in ("a line of the asset's log", "a line on standard output", "a line past Python", "RUN_SUCCESS"):
        assert line in text


def test_the_logs_of_a_run_are_shown_on_request_and_no_file_is_written(tmp_path):
    done = command(tmp_path, "good", "--verbose")
    assert done.returncode == 0, done.stderr
    assert "a line of the asset's log" in done.stderr
    assert "RUN_SUCCESS" in done.stderr
    assert "a line past Python" in done.stdout
    assert logs(tmp_path) == []


def test_a_failed_run_is_one_line_with_the_step_the_reason_and_the_log(tmp_path):
    done = command(tmp_path, "refused")
    assert (done.returncode, done.stdout) == (1, "")
    [log] = logs(tmp_path)
    good, failed, error = done.stderr.splitlines()
    assert good.startswith("quiet_asset ... ")
    assert (failed.partition(" ... ")[0], failed.rpartition(" s")[2]) == ("refused_asset", ", failed")
    assert error == (
        f"run {log.stem} failed in refused_asset (two things are wrong): read {log}, or `make dev`, page Runs"
    )
    assert "two things\nare wrong" in log.read_text()


def test_a_step_that_is_tried_again_says_so(tmp_path):
    lines = command(tmp_path, "trying").stderr.splitlines()
    assert [line.rpartition(" s")[2] for line in lines] == [", failed and tried again", ""]


def test_the_run_is_in_the_history(settings):
    run_id = run_job(settings, "good", verbose=False)
    with home.open_instance(settings) as instance:
        assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.SUCCESS


def test_the_reason_of_an_exception_is_its_cause_cut_where_it_is_long(settings):
    with pytest.raises(RunError, match=r"failed in broken_asset \(ValueError: no x{280,290} \.\.\.\): read ") as failed:
        run_job(settings, "broken", verbose=True)
    assert "x" * 300 not in str(failed.value)


def test_the_oldest_logs_go(settings):
    folder = settings.root / "logs"
    folder.mkdir()
    for number in range(KEPT_LOGS + 2):
        (folder / f"{number}.log").write_text("x")
        os.utime(folder / f"{number}.log", (number, number))
    run_id = run_job(settings, "good", verbose=False)
    names = {path.stem for path in logs(settings.root)}
    assert names == {run_id, *(str(number) for number in range(3, KEPT_LOGS + 2))}
