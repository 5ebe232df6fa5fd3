"""Benchmark ``main``: the main job against a plain DuckDB script, loading the code location, orchestration.

Belongs here: which cases are compared, in which order, and the names of the figures. Does not belong here: the two
sides (``pipeline.py``, ``plain_duckdb.py``) and the cost of a run (``overhead.py``).

Every case runs in a fresh process, after a small one that warms the machine's caches; the two sides take turns, so
that whatever else the machine does hits both; figures are medians. A side's seconds do not hold the start of its
process: loading the code location is measured on its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

from benchmarks.frame import REPOSITORY, Bench, BenchmarkError, Child, Figures, median

WARM_UP_POINTS = 500
DAY = "2026-03-10"
FEEDS = {"csv": "meters_east", "parquet": "meters_west"}
STEPS = ("ingest", "validated", "clean", "dbt", "rest")
REPEATS_OF_DAYS = 2
REPEATS_OF_LOADING = 5
RANGE_DAYS, SHORT_RANGE_DAYS = 31, 1
"""At its smallest a range is a day, and its times are those of the day."""
REPEATS_OF_DAY_RUN, REPEATS_OF_RANGE_RUN = 3, 2

FIGURES = {
    **{
        name.format(kind=kind): meaning.format(kind=kind.upper())
        for kind in FEEDS
        for name, meaning in {
            "{kind}_seconds": "a day as one {kind} file, from the inbox to the marts, median",
            "{kind}_peak_mib": "resident memory of the largest process on the way, dbt included",
            "{kind}_plain_seconds": "the same by the plain DuckDB script, median",
            "{kind}_plain_peak_mib": "its resident memory",
            "{kind}_ratio_to_plain": "seconds / seconds of the plain script",
            **{f"{{kind}}_{step}_seconds": f"of which {step}" for step in STEPS},
        }.items()
    },
    "load_seconds": "fresh process that imports the code location, manifest prepared, median",
    "load_base_seconds": "fresh process that imports dagster and dagster_dbt, median",
    "load_ratio": "load_seconds / load_base_seconds; goal: at most 1.3",
    "day_run_seconds": "the job for one day of 20 points",
    "day_direct_seconds": "the same computations and dbt build called directly",
    "overhead_seconds_per_day_run": "difference: what a run of one day costs",
    "range_run_seconds": "the job for 31 days of 20 points in one run",
    "range_direct_seconds": "the same computations and dbt build called directly",
    "overhead_seconds_per_day_in_range": "difference / 31",
    "dagster_log_overhead_per_day_run": "overhead of one day with Dagster's own SQLite event log, seconds",
    "dagster_log_overhead_per_day_in_range": "overhead per day of the range with it, seconds",
    "dagster_log_overhead_ratio_per_day_run": "overhead with it / with our pooled event log",
    "dagster_log_overhead_ratio_per_day_in_range": "overhead with it / with our pooled event log, range of 31 days",
    "measured_share": "slots of the day that are measured; the rest of the totals agree between both sides",
}


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If the two sides find different totals.
    """
    return {**measure_days(bench), **measure_loading(bench), **measure_runs(bench)}


def measure_days(bench: Bench) -> Figures:
    """Compare drop to marts with the plain script, as CSV and as Parquet."""
    if not bench.short:
        with bench.scratch("warm_up") as folder:
            bench.say(f"warm-up with {WARM_UP_POINTS} points")
            paths = _sample(bench, str(folder), WARM_UP_POINTS)
            _require_agreement("csv", _plain(bench, "csv", paths), _ours(bench, "csv", paths))
    seconds: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, list[float]] = defaultdict(list)
    with bench.scratch("day") as folder:
        bench.say(f"writing a day of {bench.points:,} points as CSV and as Parquet")
        paths = _sample(bench, str(folder), bench.points)
        repeats = bench.repeats or REPEATS_OF_DAYS
        for repeat in range(1, repeats + 1):
            for kind in FEEDS:
                plain, ours = _plain(bench, kind, paths), _ours(bench, kind, paths)
                _require_agreement(kind, plain, ours)
                _collect(kind, plain, ours, seconds, peaks)
                bench.say(
                    f"{kind} {repeat}/{repeats}: plain {plain.value['seconds']:.1f} s, "
                    f"ours {ours.value['seconds']:.1f} s, {ours.peak_mib:,.0f} MiB"
                )
    figures: Figures = {name: median(found) for name, found in seconds.items()}
    figures |= {name: round(max(found)) for name, found in peaks.items()}
    for kind in FEEDS:
        figures[f"{kind}_ratio_to_plain"] = round(
            float(figures[f"{kind}_seconds"]) / float(figures[f"{kind}_plain_seconds"]), 2
        )
    totals = ours.value["totals"]
    slots = sum(totals[status] for status in ("measured", "estimated", "missing"))
    return {**figures, "measured_share": round(totals["measured"] / slots, 5)}


def _sample(bench: Bench, folder: str, points: int) -> dict[str, str]:
    return bench.in_child("benchmarks.sample:write_sample", folder=folder, points=points).value


def _plain(bench: Bench, kind: str, paths: dict[str, str]) -> Child:
    with bench.scratch("plain") as folder:
        return bench.in_child(
            "benchmarks.plain_duckdb:run",
            source=paths[kind],
            kind=kind,
            registry=paths["registry"],
            folder=str(folder),
            day=DAY,
        )


def _ours(bench: Bench, kind: str, paths: dict[str, str]) -> Child:
    with bench.scratch("ours") as folder:
        return bench.in_child(
            "benchmarks.pipeline:run",
            source=paths[kind],
            feed=FEEDS[kind],
            registry=paths["registry"],
            folder=str(folder),
            day=DAY,
        )


def _require_agreement(kind: str, plain: Child, ours: Child) -> None:
    """Raise ``BenchmarkError`` unless both sides found the same: a comparison of different work would be none."""
    theirs, found = plain.value["totals"], ours.value["totals"]
    different = [f"{name} {found.get(name)} / {theirs[name]}" for name in theirs if found.get(name) != theirs[name]]
    if different:
        raise BenchmarkError(f"{kind}: ours and the plain script disagree: {', '.join(different)}")


def _collect(
    kind: str, plain: Child, ours: Child, seconds: dict[str, list[float]], peaks: dict[str, list[float]]
) -> None:
    steps: dict[str, Any] = ours.value["steps"]
    rest = ours.value["seconds"] - sum(steps.values())
    seconds[f"{kind}_seconds"].append(ours.value["seconds"])
    seconds[f"{kind}_plain_seconds"].append(plain.value["seconds"])
    for step, spent in {**steps, "rest": rest}.items():
        seconds[f"{kind}_{step}_seconds"].append(spent)
    peaks[f"{kind}_peak_mib"].append(ours.peak_mib)
    peaks[f"{kind}_plain_peak_mib"].append(plain.peak_mib)


def measure_loading(bench: Bench) -> Figures:
    """Compare loading the code location with importing the libraries that every code location with dbt imports."""
    repeats = 1 if bench.short else max(bench.repeats or 0, REPEATS_OF_LOADING)
    warm_ups = 0 if bench.short else 1
    imports = {"load_base_seconds": "dagster, dagster_dbt", "load_seconds": "metrify_assets.definitions"}
    seconds: dict[str, list[float]] = defaultdict(list)
    with bench.scratch("loading") as folder:
        environment = {**bench.environment, "METRIFY_ROOT": str(folder)}
        for repeat in range(warm_ups + repeats):
            for name, modules in imports.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=REPOSITORY, env=environment, check=True)
                # The first round warms up, and prepares the manifest.
                if repeat >= warm_ups:
                    seconds[name].append(time.perf_counter() - started)
    figures: Figures = {name: median(found) for name, found in seconds.items()}
    figures["load_ratio"] = round(float(figures["load_seconds"]) / float(figures["load_base_seconds"]), 3)
    bench.say(f"loading the code location: {figures['load_seconds']} s, ratio {figures['load_ratio']}")
    return figures


def measure_runs(bench: Bench) -> Figures:
    """Compare the job with direct calls, for one day and for a range, and our event log with Dagster's."""
    length = SHORT_RANGE_DAYS if bench.short else RANGE_DAYS
    bench.say(f"orchestration of one tiny day and of a range of {length}")
    with bench.scratch("runs") as folder:
        repeats = {1: bench.repeats or REPEATS_OF_DAY_RUN, length: bench.repeats or REPEATS_OF_RANGE_RUN}
        found = bench.in_child(
            "benchmarks.overhead:compare",
            folder=str(folder),
            repeats=repeats,
            warm_up=not bench.short,
        ).value
    figures: Figures = {}
    for days, prefix, unit in ((1, "day", "day_run"), (length, "range", "day_in_range")):
        times = found[str(days)]
        job, own_log, direct = (median(times[name]) for name in ("job", "job_with_dagster_log", "direct"))
        figures |= {
            f"{prefix}_run_seconds": job,
            f"{prefix}_direct_seconds": direct,
            f"overhead_seconds_per_{unit}": round((job - direct) / days, 3),
            f"dagster_log_overhead_per_{unit}": round((own_log - direct) / days, 3),
        }
        # Below the noise of two long times there is no ratio of differences.
        if job > direct:
            figures[f"dagster_log_overhead_ratio_per_{unit}"] = round((own_log - direct) / (job - direct), 2)
    return figures
