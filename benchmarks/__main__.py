"""``python -m benchmarks NAME``: run one benchmark, print its table, write its figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.frame import Bench, BenchmarkError, find_benchmark, show, write

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, print, write the figures.")
    parser.add_argument("name", nargs="?", default="main", help="the benchmark")
    parser.add_argument("--points", type=int, default=100_000, help="size of a trial; its figures are not written")
    parser.add_argument("--repeats", type=int, help="repeats of a trial; its figures are not written")
    parser.add_argument("--results", type=Path, help="folder for the figures, of trials too")
    chosen = parser.parse_args(arguments)
    is_trial = chosen.points != parser.get_default("points") or chosen.repeats is not None
    folder = chosen.results or (None if is_trial else RESULTS)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    try:
        benchmark = find_benchmark(chosen.name)
        with Bench.in_temporary_folder(console, points=chosen.points, repeats=chosen.repeats) as bench:
            figures = bench.complete(benchmark.measure(bench))
        if folder is not None:
            console.print(f"Written: {write(figures, folder / f'{chosen.name}.json')}")
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    show(chosen.name, figures, benchmark.FIGURES, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
