"""Benchmark ``sources_formats``: reading files of every format against the fastest sensible peer in the same run.

Belongs here: which cases are compared, in which order, and the names of the figures. Does not belong here: the files
(``sources_formats_files.py``), and the sides and what each does (``sources_formats_sides.py``).

Every case runs in a fresh process, the sides take turns, figures are medians; peaks are of the whole process, libraries
included. Both sides must find the same number of values with the same sum.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.frame import Bench, BenchmarkError, Child, Figures, median

REPEATS = 3
PEERS = {
    "csv_long": "DuckDB, read_csv into a table",
    "csv_wide": "DuckDB, read_csv and UNPIVOT into a table",
    "parquet": "DuckDB, read_parquet into a table",
    "nem12": "nemreader",
    "mscons": "a plain loop that checks nothing",
    "espi": "a plain loop over the whole tree (standard library)",
}
GOALS = {"csv_long": 1.3, "parquet": 1.3}

FIGURES = {
    name: meaning
    for file, peer in PEERS.items()
    for name, meaning in {
        f"{file}_rows": "values in the file",
        f"{file}_mib": "size of the file",
        f"{file}_rows_per_s": "our side, from the file to typed raw rows with days, statuses and accounts",
        f"{file}_peak_mib": "its resident memory at most",
        f"{file}_peer_rows_per_s": f"{peer}, the same file",
        f"{file}_peer_peak_mib": "its resident memory at most",
        f"{file}_ratio": "our seconds / those of the peer" + (f"; goal: {GOALS[file]}" if file in GOALS else ""),
    }.items()
}


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If two sides find different values.
    """
    figures: Figures = {}
    with bench.scratch("files") as folder:
        bench.say("writing the files")
        staged = bench.in_child("benchmarks.sources_formats_files:stage", folder=str(folder), points=bench.points).value
        for name in PEERS:
            figures |= _measure_file(bench, name, staged[name])
    return figures


def _measure_file(bench: Bench, name: str, file: dict[str, Any]) -> Figures:
    seconds: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, float] = defaultdict(float)
    for _ in range(bench.repeats or REPEATS):
        totals = set()
        for side in ("peer", "ours"):
            child = bench.in_child(f"benchmarks.sources_formats_sides:{side}", name=name, path=file["path"])
            _require_all(name, side, child, file["rows"])
            seconds[side].append(child.value["seconds"])
            peaks[side] = max(peaks[side], child.peak_mib)
            totals.add(child.value["total"])
        if len(totals) != 1:
            raise BenchmarkError(f"{name}: the sums of the two sides differ: {totals}")
    ours, peer = median(seconds["ours"]), median(seconds["peer"])
    bench.say(f"{name}: {ours:.2f} s, {PEERS[name]}: {peer:.2f} s")
    return {
        f"{name}_rows": file["rows"],
        f"{name}_mib": round(file["bytes"] / 2**20, 1),
        f"{name}_rows_per_s": round(file["rows"] / ours),
        f"{name}_peak_mib": round(peaks["ours"]),
        f"{name}_peer_rows_per_s": round(file["rows"] / peer),
        f"{name}_peer_peak_mib": round(peaks["peer"]),
        f"{name}_ratio": round(ours / peer, 2),
    }


def _require_all(name: str, side: str, child: Child, rows: int) -> None:
    if child.value["rows"] != rows:
        raise BenchmarkError(f"{name}: {side} finds {child.value['rows']} values of {rows}")
