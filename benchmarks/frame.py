"""The frame of every benchmark: finding it, child processes with their peak memory, the table, the JSON.

Belongs here: what all benchmarks share. It stays light, because the memory of this process counts as the beginning
of each child's. Does not belong here: anything that is measured.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
Figures = dict[str, float | int | str]


class BenchmarkError(Exception):
    """A benchmark cannot run, or its two sides disagree; the message is one line."""


def benchmark_names() -> list[str]:
    """Return the names of all benchmarks: the modules of this package that define ``measure``."""
    # Read, not imported: some modules bring half of Dagster with them.
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [module.stem for module in modules if "\ndef measure(" in module.read_text(encoding="utf-8")]


def find_benchmark(name: str) -> ModuleType:
    """Return a benchmark's module; raise ``BenchmarkError`` that lists the known ones."""
    known = benchmark_names()
    if name not in known:
        raise BenchmarkError(f"there is no benchmark {name!r}: choose from {', '.join(known)}")
    return importlib.import_module(f"benchmarks.{name}")


@dataclass(frozen=True)
class Child:
    """What a child process returned, and the resident memory of the largest process among it and its children."""

    value: Any
    peak_mib: float


@dataclass
class Bench:
    """One run of a benchmark.

    Attributes
    ----------
    console : Console
    folder : Path
        Temporary; removed in the end.
    points : int
        Points of the large cases.
    repeats : int, optional
        Overrides the repeats that a benchmark finds affordable.
    short : bool
        Every case at its smallest, to see that it runs: no warm-ups, and sizes that are not ``points`` small, too.
    """

    console: Console
    folder: Path
    points: int
    repeats: int | None = None
    short: bool = False
    started: float = field(default_factory=time.monotonic)
    load_at_start: float = field(default_factory=lambda: os.getloadavg()[0])

    @classmethod
    @contextmanager
    def in_temporary_folder(cls, console: Console, **chosen: Any) -> Iterator[Bench]:
        """Yield a run whose folder is removed in the end."""
        folder = Path(tempfile.mkdtemp(prefix="metrify-bench-"))
        try:
            yield cls(console, folder, **chosen)
        finally:
            shutil.rmtree(folder)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of child processes.

        Compiled modules are kept, in the temporary folder if no other is named: otherwise a machine that forbids it
        would compile all libraries in every process, and that would be measured.
        """
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {"PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"), **kept}

    def say(self, text: str) -> None:
        """Show how far the benchmark is."""
        self.console.print(f"{time.monotonic() - self.started:5.0f} s  {text}", highlight=False)

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Yield a new folder that is removed when the block ends: a large case needs gigabytes."""
        path = self.folder / name
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path)

    def in_child(self, function: str, **arguments: Any) -> Child:
        """Call ``module:function`` with JSON-able arguments in a fresh process.

        Raises
        ------
        BenchmarkError
            If the process fails; the message ends in its last line.
        """
        result, log = self.folder / "result.json", self.folder / "child.log"
        result.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments, default=str), str(result)]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                # Broken off: what the child has started goes with it, before the folder is removed.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["without a word"]
            raise BenchmarkError(f"{function} failed ({process.returncode}): {last[0]}")
        # Kibibytes on Linux; the larger of the process itself and of any child that it waited for (dbt).
        return Child(json.loads(result.read_text()), usage.ru_maxrss / 1024)

    def complete(self, figures: Figures) -> Figures:
        """Add to the figures where and when they were taken."""
        return {
            **figures,
            "points": self.points,
            "benchmark_seconds": round(time.monotonic() - self.started, 1),
            "cores": len(os.sched_getaffinity(0)),
            "memory_mib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20),
            "load_average_at_start": round(self.load_at_start, 2),
            "machine": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def median(values: Sequence[float]) -> float:
    """Return the median, rounded as figures are."""
    return round(statistics.median(values), 3)


def write(figures: Figures, path: Path) -> Path:
    """Write figures as a flat JSON object and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return path


def show(name: str, figures: Figures, meaning: Mapping[str, str], console: Console) -> None:
    """Print figures with their meaning."""
    table = Table(title=f"Benchmark {name}", title_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("meaning")
    for key, value in figures.items():
        table.add_row(key, value if isinstance(value, str) else f"{value:,}", meaning.get(key, ""))
    console.print(table)
