"""``python -m benchmarks NAME``: run one benchmark, print its table, write its figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.frame import Bench, BenchmarkError, find_benchmark, show, write

RESULTS = Path(__file__).parent / "results"
POINTS = 100_000
SHORT_POINTS = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, print, write the figures.")
    parser.add_argument("name", nargs="?", default="main", help="the benchmark")
    parser.add_argument("--points", type=int, help=f"size of a trial, its figures are not written; default {POINTS:,}")
    parser.add_argument("--repeats", type=int, help="repeats of a trial; its figures are not written")
    parser.add_argument(
        "--short", action="store_true", help="every case once at its smallest, to see that it runs; nothing is written"
    )
    parser.add_argument("--results", type=Path, help="folder for the figures, of trials too")
    chosen = parser.parse_args(arguments)
    is_trial = chosen.short or chosen.points is not None or chosen.repeats is not None
    points = chosen.points or (SHORT_POINTS if chosen.short else POINTS)
    repeats = chosen.repeats or (1 if chosen.short else None)
    folder = chosen.results or (None if is_trial else RESULTS)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    try:
        benchmark = find_benchmark(chosen.name)
        with Bench.in_temporary_folder(console, points=points, repeats=repeats, short=chosen.short) as bench:
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
