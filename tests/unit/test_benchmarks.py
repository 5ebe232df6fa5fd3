"""The frame of the benchmarks, and that the peer of ``main`` does the work that ours does."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import plain_duckdb
from benchmarks.frame import Bench, BenchmarkError, benchmark_names, find_benchmark, show, write
from benchmarks.pipeline import lake_totals
from benchmarks.sample import DAY, DUPLICATE_SHARE, GAP_SHARE, write_sample
from tests.integration.processes import is_running, wait_until
from tests.workbench import workbench

pytestmark = pytest.mark.seldom

POINTS = 400


@pytest.fixture
def bench():
    with Bench.in_temporary_folder(Console(file=io.StringIO()), points=POINTS) as bench:
        yield bench


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> dict[str, str]:
    return write_sample(str(tmp_path_factory.mktemp("sample")), POINTS)


def test_an_unknown_benchmark_is_one_line_that_lists_the_known_ones(capsys):
    assert command.main(["nonsense"]) == 1
    output = capsys.readouterr().err
    assert output == f"there is no benchmark 'nonsense': choose from {', '.join(benchmark_names())}\n"
    assert "main" in benchmark_names()


def test_helpers_are_no_benchmarks():
    assert not {"frame", "sample", "pipeline", "plain_duckdb", "overhead", "child"} & set(benchmark_names())
    assert find_benchmark("main").FIGURES["load_ratio"]


def test_figures_are_a_flat_object(bench, tmp_path):
    figures = bench.complete({"seconds": 1.5})
    written = json.loads(write(figures, tmp_path / "results" / "some.json").read_text())
    assert written == figures
    assert all(isinstance(value, int | float | str) for value in written.values())
    assert (written["seconds"], written["points"]) == (1.5, POINTS)


def test_the_table_says_what_a_figure_means():
    console = Console(file=io.StringIO(), width=100)
    show("some", {"seconds": 1234.5, "machine": "x"}, {"seconds": "how long it took"}, console)
    output = console.file.getvalue()
    assert "1,234.5" in output
    assert "how long it took" in output


def test_the_temporary_folder_is_removed(bench):
    with bench.scratch("large") as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), bench.scratch("failing"):
        raise ZeroDivisionError
    assert list(bench.folder.iterdir()) == []


def test_a_child_returns_its_answer_and_its_peak(bench):
    child = bench.in_child("benchmarks.sample:point_ids", first=7, count=1)
    assert child.value == ["DE0005626680000000000000000000007"]
    assert len(child.value[0]) == 33
    assert 10 < child.peak_mib < 2_000


def test_a_child_that_fails_is_named_with_its_last_line(bench):
    with pytest.raises(BenchmarkError, match=r"point_ids failed \(1\): TypeError"):
        bench.in_child("benchmarks.sample:point_ids", nonsense=1)


def test_a_benchmark_that_is_broken_off_leaves_no_process(bench, tmp_path):
    note = tmp_path / "pid"

    def break_off() -> None:
        wait_until(note.exists)
        os.kill(os.getpid(), signal.SIGUSR1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    breaker = Thread(target=break_off)
    breaker.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.in_child(
                "subprocess:run", args=["sh", "-c", f"echo $$ > {note}.new; mv {note}.new {note}; sleep 999"]
            )
    finally:
        breaker.join()
        signal.signal(signal.SIGUSR1, before)
    wait_until(lambda: not is_running(int(note.read_text())))


def test_the_same_seed_writes_the_same_bytes(sample, tmp_path):
    again = write_sample(str(tmp_path), POINTS)
    assert {name: Path(path).read_bytes() for name, path in again.items()} == {
        name: Path(path).read_bytes() for name, path in sample.items()
    }


def test_the_sample_has_gaps_and_duplicates_at_their_rates(sample):
    keys = [line.rpartition(",")[0] for line in Path(sample["csv"]).read_text().splitlines()[1:]]
    slots = POINTS * 96
    assert 1 - len(set(keys)) / slots == pytest.approx(GAP_SHARE, rel=0.2)
    assert len(keys) / len(set(keys)) - 1 == pytest.approx(DUPLICATE_SHARE, rel=0.4)


@pytest.mark.parametrize(("kind", "feed"), [("csv", "meters_east"), ("parquet", "meters_west")])
def test_the_plain_script_finds_what_the_platform_finds(sample, tmp_path, kind, feed):
    totals = plain_duckdb.run(sample[kind], kind, sample["registry"], str(tmp_path), DAY.isoformat())["totals"]

    bench = workbench(tmp_path)
    bench.land("registry_points", "points.csv", Path(sample["registry"]).read_bytes())
    bench.land(feed, Path(sample[kind]).name, Path(sample[kind]).read_bytes())
    bench.compute(DAY)
    ours = lake_totals(bench.platform, DAY)

    assert ours == {name: totals[name] for name in ours}
    assert ours["measured"] + ours["estimated"] + ours["missing"] == POINTS * 96
    # Every rule and every status has something to find, or the comparison would be empty.
    assert min(ours.values()) > 0
    assert (totals["hourly_rows"], totals["daily_rows"]) == (POINTS * 24, POINTS)
