"""Benchmark ``vee``: validation and estimation of a day against a Parquet copy, DuckDB window SQL and pandas.

Belongs here: which cases are compared, in which order, and the names of the figures. Does not belong here: the data
(``vee_sample.py``), our side (``vee_ours.py``) and the peers (``vee_peers.py``).

One day of 96 quarter hours per point lies in the lake as unsorted raw rows. Our side reads them shard by shard, runs
all rules and the whole estimation, and writes the sorted clean rows; the 29 days that estimation may look at are
validated before. The peers do far less (see there). Every case runs in a fresh process, after a small one that warms
the machine's caches; the sides take turns; figures are medians. No side's seconds hold the loading of libraries and of
the registry. Counts of the four rules that the peers know must agree.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.frame import Bench, BenchmarkError, Child, Figures, median

WARM_UP_POINTS = 500
SHARDS = 4
"""The default of an installation."""
MANY_SHARDS = 40
"""For ten times the points: a shard stays as large as it was."""
REPEATS = 3
RULES = ("gap", "duplicate", "new_version", "negative", "physical_limit", "spike", "stuck")
PEERS = {"duckdb_sql": "benchmarks.vee_peers:duckdb_sql", "pandas": "benchmarks.vee_peers:pandas_frames"}

FIGURES = {
    "reads": "deliveries of the day: unsorted, 1 % gaps, 0.2 % delivered twice",
    "seconds": "our side: raw Parquet to sorted clean Parquet, all rules, estimation with 29 other days, median",
    "reads_per_s": "reads / seconds",
    "peak_mib": "resident memory of our side at most, at every size measured; goal: at most 2,048",
    "registry_seconds": "loading the registry before, not in the seconds of any side",
    "no_history_seconds": "our side where no other day was ever delivered",
    "parquet_copy_seconds": "bare read and write of the columns that our side reads, unsorted",
    "parquet_copy_peak_mib": "its resident memory",
    "ratio_to_parquet_copy": "seconds / seconds of the copy; goal: at most 2.0",
    "duckdb_sql_seconds": "window SQL with gap, negative, spike and stuck only",
    "duckdb_sql_peak_mib": "its resident memory",
    "ratio_to_duckdb_sql": "seconds / seconds of the SQL; goal: at most 0.33",
    "pandas_seconds": "the same four rules in pandas",
    "pandas_peak_mib": "its resident memory",
    "ratio_to_pandas": "seconds / seconds of pandas; goal: at most 0.2",
    "published_seconds": "validated and clean tables through the lake, with registry, digests, counts, audits, median",
    "published_validated_seconds": "of which the validated table",
    "published_clean_seconds": "of which the clean table",
    "published_peak_mib": "resident memory",
    "late_read_seconds": "one late read of one point: computing all that it makes stale",
    "late_read_ingest_seconds": "taking its file in before",
    "late_read_shards": f"shards computed of validated and clean together, of {2 * SHARDS}",
    "late_read_share": "late_read_seconds / published_seconds",
    **{
        f"{size}_{name}": f"{name.replace('_', ' ')} with {size} the points, without other days"
        for size in ("tenth", "tenfold")
        for name in ("seconds", "reads_per_s", "peak_mib")
    },
    "tenfold_registry_seconds": "loading the registry of ten times the points",
    "linearity": "reads/s with ten times the points / reads/s with a tenth of them; 1 = linear",
    **{f"{rule}_precision": "share of the findings that were injected" for rule in RULES},
    **{f"{rule}_recall": "share of the injected faults that were found" for rule in RULES},
}


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If two sides find different things, or the late read reaches more than its shard.
    """
    if not bench.short:
        with bench.scratch("warm_up") as folder:
            bench.say(f"warm-up with {WARM_UP_POINTS} points")
            _turn(bench, _stage(bench, str(folder), WARM_UP_POINTS, SHARDS, history=True))
    figures = {**measure_day(bench), **measure_sizes(bench)}
    figures["linearity"] = round(float(figures["tenfold_reads_per_s"]) / float(figures["tenth_reads_per_s"]), 3)
    figures["peak_mib"] = max(figures[name] for name in ("peak_mib", "tenth_peak_mib", "tenfold_peak_mib"))
    return figures


def measure_day(bench: Bench) -> Figures:
    """Compare our side with the peers, count what the rules found, publish the day, add one late read."""
    seconds: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, float] = defaultdict(float)
    repeats = bench.repeats or REPEATS
    with bench.scratch("day") as folder:
        bench.say(f"taking in a day of {bench.points:,} points, 28 days before and one after")
        staged = _stage(bench, str(folder), bench.points, SHARDS, history=True)
        for repeat in range(1, repeats + 1):
            turn = _turn(bench, staged)
            for side, child in turn.items():
                seconds[side].append(child.value["seconds"])
                peaks[side] = max(peaks[side], child.peak_mib)
            told = ", ".join(f"{side} {child.value['seconds']:.1f} s" for side, child in turn.items())
            bench.say(f"{repeat}/{repeats}: {told}")
        ours = turn["ours"].value
        scores = bench.in_child("benchmarks.vee_ours:scores", root=staged["root"], files=ours["files"]).value
        published = measure_publishing(bench, staged)
    figures: Figures = {"reads": staged["reads"], "seconds": median(seconds["ours"])}
    figures["reads_per_s"] = round(staged["reads"] / float(figures["seconds"]))
    figures["peak_mib"] = round(peaks["ours"])
    figures["registry_seconds"] = round(ours["registry_seconds"], 3)
    figures["no_history_seconds"] = median(seconds["no_history"])
    for peer in ("parquet_copy", *PEERS):
        figures[f"{peer}_seconds"] = median(seconds[peer])
        figures[f"{peer}_peak_mib"] = round(peaks[peer])
        figures[f"ratio_to_{peer}"] = round(float(figures["seconds"]) / float(figures[f"{peer}_seconds"]), 3)
    return figures | published | {name: round(score, 5) for name, score in scores.items()}


def measure_publishing(bench: Bench, staged: dict[str, Any]) -> Figures:
    """Publish the day through the lake, then take one late read in and compute what it makes stale."""
    shards = staged["shards"]
    runs = [
        bench.in_child("benchmarks.vee_ours:whole", root=staged["root"], shards=shards)
        for _ in range(bench.repeats or REPEATS)
    ]
    steps = ("seconds", "validated_seconds", "clean_seconds")
    figures: Figures = {f"published_{step}": median([run.value[step] for run in runs]) for step in steps}
    figures["published_peak_mib"] = round(max(run.peak_mib for run in runs))
    late = bench.in_child("benchmarks.vee_ours:late_read", root=staged["root"], shards=shards, point=0, slot=40).value
    if not (len(late["validated"]) == 1 and late["validated"] == late["clean"]):
        raise BenchmarkError(
            f"one late read computed the shards {late['validated']} of validated, {late['clean']} of clean: "
            "it should be the same one"
        )
    figures["late_read_seconds"] = round(late["seconds"], 3)
    figures["late_read_ingest_seconds"] = round(late["ingest_seconds"], 3)
    figures["late_read_shards"] = len(late["validated"]) + len(late["clean"])
    figures["late_read_share"] = round(late["seconds"] / float(figures["published_seconds"]), 3)
    bench.say(f"published in {figures['published_seconds']:.1f} s, a late read in {late['seconds']:.1f} s")
    return figures


def measure_sizes(bench: Bench) -> Figures:
    """Run our side on a tenth and on ten times the points, without other days."""
    figures: Figures = {}
    sizes = (("tenth", bench.points // 10, SHARDS), ("tenfold", bench.points * 10, MANY_SHARDS))
    for size, points, shards in sizes:
        with bench.scratch(size) as folder:
            bench.say(f"taking in a day of {points:,} points")
            staged = _stage(bench, str(folder), points, shards, history=False)
            # A small case is short enough for the rest of the machine to show.
            repeats = 1 if size == "tenfold" else bench.repeats or REPEATS
            runs = [_ours(bench, staged, history=False) for _ in range(repeats)]
        figures[f"{size}_seconds"] = median([run.value["seconds"] for run in runs])
        figures[f"{size}_reads_per_s"] = round(staged["reads"] / float(figures[f"{size}_seconds"]))
        figures[f"{size}_peak_mib"] = round(max(run.peak_mib for run in runs))
        bench.say(f"{points:,} points: {figures[f'{size}_seconds']:.1f} s, {figures[f'{size}_peak_mib']:,} MiB")
    return figures | {"tenfold_registry_seconds": round(runs[-1].value["registry_seconds"], 3)}


def _stage(bench: Bench, folder: str, points: int, shards: int, *, history: bool) -> dict[str, Any]:
    """Take a day in; return what ``vee_sample.stage`` says of it, with the folder and the shards."""
    staged = bench.in_child("benchmarks.vee_sample:stage", root=folder, points=points, shards=shards, history=history)
    return {**staged.value, "root": folder, "shards": shards}


def _turn(bench: Bench, staged: dict[str, Any]) -> dict[str, Child]:
    """Run every side once; raise ``BenchmarkError`` unless they agree."""
    turn = {}
    with bench.scratch("copy") as folder:
        turn["parquet_copy"] = bench.in_child(
            "benchmarks.vee_peers:parquet_copy", files=staged["files"], folder=str(folder)
        )
    for peer, function in PEERS.items():
        with bench.scratch(peer) as folder:
            turn[peer] = bench.in_child(
                function,
                files=staged["files"],
                registry=staged["registry"],
                start=staged["start"],
                folder=str(folder),
            )
    turn["ours"] = _ours(bench, staged, history=True)
    turn["no_history"] = _ours(bench, staged, history=False)
    found = bench.in_child("benchmarks.vee_ours:findings", files=turn["ours"].value["files"]).value
    require_agreement(found, {peer: turn[peer].value["findings"] for peer in PEERS})
    if turn["parquet_copy"].value["rows"] != staged["reads"]:
        raise BenchmarkError(f"copied {turn['parquet_copy'].value['rows']} of {staged['reads']} reads")
    return turn


def _ours(bench: Bench, staged: dict[str, Any], *, history: bool) -> Child:
    return bench.in_child("benchmarks.vee_ours:vee", root=staged["root"], shards=staged["shards"], history=history)


def require_agreement(ours: dict[str, int], peers: dict[str, dict[str, int]]) -> None:
    """Raise ``BenchmarkError`` if a peer counts other findings of a rule than our side."""
    for peer, findings in peers.items():
        for rule, count in findings.items():
            if ours[rule] != count:
                raise BenchmarkError(f"{peer} finds {count} slots of {rule}, our side {ours[rule]}")
