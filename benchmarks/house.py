"""Benchmark ``house``: the shape of the code, the speed of its suites, and how long it takes to load.

Belongs here: counting packages and imports, timing the suites, loading the code location against its two largest
imports. Does not belong here: what the code computes (the other benchmarks).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grimp

from benchmarks.frame import REPOSITORY, Bench, BenchmarkError, Figures

PACKAGE = "metrify_assets"
SUITES = ("test-fast", "test", "test-rest")
"""``test`` and ``test-rest`` together are every test: what CI runs."""
REPEATS = 5
DAGSTER = ("dagster", "dagster_aws", "dagster_dbt", "dagster_snowflake", "dagster_webserver")

FIGURES = {
    "packages": "packages on the top level",
    "modules": "modules of the package",
    "layers": "floors of packages: the longest way of imports between them",
    "cycles": "packages that import each other, in either direction",
    "loose_modules": "modules on the top level that lie in no package",
    "dagster_outside_orchestration": "modules outside of orchestration, cli and definitions that import Dagster",
    "load_s": "the code location in a fresh process, s",
    "load_dagster_s": "importing dagster and dagster_dbt in a fresh process, s",
    "load_ratio": "the code location / dagster and dagster_dbt",
    "help_s": "metrify --help, s",
    **{f"{suite.replace('-', '_')}_s": f"make {suite}, s" for suite in SUITES},
}


def measure(bench: Bench) -> Figures:
    """Return the figures. The suites are left out of the short form: it runs inside of one of them."""
    figures = _shape()
    bench.say("loading the code location")
    figures |= _loading(bench)
    if not bench.short:
        figures |= _suites(bench)
    return figures


def _shape() -> Figures:
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    modules = {name for name in graph.modules if name.split(".")[0] == PACKAGE}
    tops = set(graph.find_children(PACKAGE))
    packages = {name for name in tops if graph.find_children(name)}
    below = {top: {name for name in modules if name == top or name.startswith(f"{top}.")} for top in tops}
    top_of = {name: top for top, names in below.items() for name in names}
    arrows = {
        (top_of[name], top_of[other])
        for name in modules - {PACKAGE}
        for other in graph.find_modules_directly_imported_by(name)
        if other in top_of and top_of[other] != top_of[name]
    }
    strangers = {
        name
        for name in modules
        if top_of.get(name, PACKAGE).removeprefix(f"{PACKAGE}.") not in ("orchestration", "definitions")
        and graph.find_modules_directly_imported_by(name) & set(DAGSTER)
    }
    return {
        "packages": len(packages),
        "modules": len(modules),
        "layers": _longest_way(arrows, tops),
        "cycles": sum((other, name) in arrows for name, other in arrows) // 2,
        "loose_modules": len(tops - packages),
        "dagster_outside_orchestration": len(strangers),
    }


def _longest_way(arrows: set[tuple[str, str]], tops: set[str]) -> int:
    """Return how many packages the longest way of imports passes; raise ``BenchmarkError`` if there is a circle."""
    floor = dict.fromkeys(tops, 1)
    for _ in tops:
        raised = {name: max([1, *(floor[other] + 1 for above, other in arrows if above == name)]) for name in tops}
        if raised == floor:
            return max(floor.values())
        floor = raised
    raise BenchmarkError("packages import each other in a circle: run lint-imports")


def _loading(bench: Bench) -> Figures:
    environment = bench.environment | {"METRIFY_ROOT": str(bench.folder / "root"), "DAGSTER_HOME": ""}
    environment.pop("DAGSTER_HOME")
    location = "import metrify_assets.definitions"
    libraries = "import dagster, dagster_dbt"
    metrify = [os.fspath(Path(sys.executable).with_name("metrify")), "--help"]
    seconds: dict[str, list[float]] = {name: [] for name in ("load", "dagster", "help")}
    # The first round parses the dbt project and compiles what is imported; it is not counted.
    for round_ in range((bench.repeats or REPEATS) + 1):
        for name, command in (
            ("load", [sys.executable, "-c", location]),
            ("dagster", [sys.executable, "-c", libraries]),
            ("help", metrify),
        ):
            began = time.perf_counter()
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchmarkError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
            if round_:
                seconds[name].append(time.perf_counter() - began)
    load, dagster, help_ = (statistics.median(seconds[name]) for name in ("load", "dagster", "help"))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(seconds["load"], seconds["dagster"], strict=True))
    return {
        "load_s": round(load, 2),
        "load_dagster_s": round(dagster, 2),
        "load_ratio": round(ratio, 2),
        "help_s": round(help_, 2),
    }


def _suites(bench: Bench) -> Figures:
    """Return the seconds of the suites; raise ``BenchmarkError`` that names what failed in any of them."""
    figures: Figures = {}
    failed: list[str] = []
    for suite in SUITES:
        bench.say(f"make {suite}")
        began = time.perf_counter()
        done = subprocess.run(["make", suite], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        figures[f"{suite.replace('-', '_')}_s"] = round(time.perf_counter() - began)
        if done.returncode:
            with tempfile.NamedTemporaryFile("w", prefix=f"{suite}-", suffix=".txt", delete=False) as log:
                log.write(done.stdout + done.stderr)
            bench.say(f"make {suite} failed, see {log.name}")
            failed += [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))] or [suite]
    if failed:
        raise BenchmarkError(f"{len(failed)} tests failed: {'; '.join(failed)}")
    return figures
