"""``metrify explain`` as people call it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from metrify_assets.cli.explain import explain
from metrify_assets.errors import MetrifyError
from tests.unit.explain.conftest import POINT


@pytest.fixture
def run(busy, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(busy.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(busy.platform.settings.feeds_dir))

    def call(*arguments: object):
        return CliRunner().invoke(explain, [str(argument) for argument in arguments])

    return call


def test_the_page_is_printed(run):
    done = run(POINT, "2026-03-10")
    assert done.exit_code == 0
    assert done.output.startswith("Point A on 2026-03-10")


def test_json_is_the_record(run):
    done = run(POINT, "2026-03-10", "--json")
    assert json.loads(done.output)["channels"][0]["summary"]["slots"] == 24


def test_a_plot_is_written_beside_the_page(run, tmp_path):
    done = run(POINT, "2026-03-10", "--plot", tmp_path / "day.svg")
    assert done.output.rstrip().endswith("day.svg")
    assert (tmp_path / "day.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["A", "10.03.2026"], "is no day"),
        (["A", "2026-03-10", "--as-known-at", "yesterday"], "is no instant"),
        (["A", "2026-03-10", "--plot", "day.pdf"], "neither .svg nor .png"),
        (["A", "2026-03-10", "--plot", "/nowhere/at/all/day.svg"], "is no folder"),
        (["Z", "2026-03-10"], "no registry knows point 'Z'"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(run, arguments, message):
    done = run(*arguments)
    assert isinstance(done.exception, MetrifyError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_the_command_line_does_not_load_what_draws():
    code = (
        "import sys, metrify_assets.cli.main; "
        "print([n for n in ('matplotlib', 'rich.table', 'duckdb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
