"""Every benchmark runs to its end, each case at its smallest, and writes no figures."""

from __future__ import annotations

import os

import pytest

from benchmarks import __main__ as command
from benchmarks import analytics, sources
from benchmarks.frame import benchmark_names, find_benchmark
from tests import real_data
from tests.integration.kafka_broker import require_broker

# A child that hangs ends here; a machine that has much else to do needs most of it.
pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(1_800)]

PARTS = {f"sources_{name}" for name in sources.PARTS}


@pytest.fixture(scope="module", autouse=True)
def bytecode(tmp_path_factory):
    """Let all child processes share what they compile."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTHONPYCACHEPREFIX" not in os.environ:
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


def require_what_it_needs(name: str) -> None:
    """Skip the test where the real files or a broker are absent."""
    if name == "estimates":
        for folder in ("lcl_halfhourly", "lastgang", "lastgang_end_stamped", "opsd_household"):
            real_data.require(f"meters/{folder}")
    if name == "analytics":
        for file in (analytics.YEAR_2018, analytics.YEAR_2019):
            real_data.require(file)
    if name == "sources_kafka":
        require_broker()


@pytest.mark.parametrize("name", [name for name in benchmark_names() if name != "sources"])
def test_a_benchmark_runs_in_its_shortest_form_and_writes_nothing(name, tmp_path, monkeypatch, capsys):
    require_what_it_needs(name)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    shown = {}
    monkeypatch.setattr(command, "show", lambda _, figures, meaning, console: shown.update(figures))
    code = command.main([name, "--short"])
    output = capsys.readouterr()
    assert code == 0, output.err
    assert not (tmp_path / "results").exists()
    assert shown["points"] == command.SHORT_POINTS
    # What was measured is explained, but for the number of files, which is another one in full.
    measured = {figure for figure in shown if not figure.startswith("sensor_")}
    everywhere = {"points", "benchmark_seconds", "cores", "memory_mib", "load_average_at_start", "machine"}
    assert measured - everywhere - {"python", "measured_at"} <= find_benchmark(name).FIGURES.keys()


def test_the_benchmark_of_the_sources_is_all_its_parts():
    assert {name for name in benchmark_names() if name.startswith("sources_")} == PARTS
    assert {figure.split("_")[0] for figure in sources.FIGURES} == sources.PARTS.keys()
