"""Benchmark ``warehouse``: dbt builds of a day, of 30 days and of the 60th day, against the same SQL run by hand.

Belongs here: which cases are compared, in which order, and the names of the figures. Does not belong here: the lake
(``warehouse_sample.py``), our side (``warehouse_ours.py``) and the peer (``warehouse_by_hand.py``).

60 clean days lie in the lake. Our side is a Dagster run of the dbt assets with all their tests; the peer runs the
statements that dbt compiles for the same models, tests and days in one DuckDB connection. Both begin with a copy of the
same warehouse, every case runs in a fresh process, the sides take turns, and afterwards the tables of both must hold
the same rows. The seed of the holidays lies in the warehouse and is left alone by hand. What a run costs whatever its
days hold - starting dbt, its nodes, Dagster - is measured as a run for a day without data and taken off as the stated
constant. Figures of a day are medians; a range is run once.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.frame import Bench, BenchmarkError, Child, Figures, median

REPEATS = 3
WAREHOUSE = "warehouse.duckdb"
STATE = (WAREHOUSE, "lake/marts", "published")
"""What a run of the dbt assets changes of an installation."""

FIGURES = {
    "slots_per_day": "rows of clean readings in a day",
    "lake_mib": "the lake of 60 days",
    "constant_seconds": "run for a day without data - the same by hand: starting dbt, its nodes, Dagster; median",
    "day_seconds": "run of the 2nd day: telling dbt what to read, models, tests, row counts, records; median",
    "day_by_hand_seconds": "the same models and tests by hand, median",
    "day_by_hand_test_seconds": "of which the tests",
    "ratio_day": "(day_seconds - constant_seconds) / day_by_hand_seconds; goal: at most 1.3",
    "ratio_day_whole": "day_seconds / day_by_hand_seconds: with the constant",
    "day_publish_seconds": "publishing the 2nd day, its month and the dimensions, which comes on top; median",
    "day_peak_mib": "resident memory of the largest process of the run, dbt included",
    "day_by_hand_peak_mib": "resident memory by hand",
    "range_seconds": "run of the days 3 to 32, one invocation of dbt",
    "range_by_hand_seconds": "the same models and tests by hand",
    "range_by_hand_test_seconds": "of which the tests",
    "range_seconds_per_day": "range_seconds / 30",
    "ratio_range": "(range_seconds - constant_seconds) / range_by_hand_seconds; goal: at most 1.3",
    "ratio_range_whole": "range_seconds / range_by_hand_seconds: with the constant",
    "range_peak_mib": "resident memory of the largest process of the run, dbt included",
    "range_by_hand_peak_mib": "resident memory by hand",
    "day_60_seconds": "runs of the 58th, 59th and 60th day, one by one, median",
    "day_60_peak_mib": "resident memory of the largest process of these runs",
    "ratio_growth": "day_60_seconds / day_seconds, both with the constant; goal: at most 1.2",
    "warehouse_mib": "the DuckDB file with 60 days",
}


@dataclass(frozen=True)
class Plan:
    """How many days there are, of them in the range after the 2nd day, and of them built one by one in the end."""

    days: int
    range_days: int
    last_days: int


FULL = Plan(days=60, range_days=30, last_days=3)
SHORT = Plan(days=5, range_days=2, last_days=1)


@dataclass
class Sides:
    """Both sides of one benchmark: a folder with the installation, and one with the peer's copy of its warehouse."""

    bench: Bench
    ours: Path
    peer: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def warehouse(self) -> Path:
        """Our warehouse."""
        return self.ours / "metrify" / WAREHOUSE

    @property
    def by_hand(self) -> Path:
        """The peer's warehouse."""
        return self.peer / WAREHOUSE

    @property
    def kept(self) -> Path:
        """Folder with the warehouse that both sides begin with, and with what our side records of it."""
        return self.peer / "kept"

    def keep(self) -> None:
        """Make our warehouse as it is the one that both sides begin with."""
        _replace_state(self.ours / "metrify", self.kept)

    def restore(self) -> None:
        """Give both sides the warehouse to begin with.

        Ours comes with its records: of a warehouse that is older than they are the platform builds everything anew.
        """
        _replace_state(self.kept, self.ours / "metrify")
        shutil.copyfile(self.kept / WAREHOUSE, self.by_hand)

    def build(self, case: str, days: Sequence[date]) -> Child:
        """Run our side and note its seconds and memory."""
        child = self.bench.in_child("benchmarks.warehouse_ours:build", folder=str(self.ours), days=_texts(days))
        self._note(case, child)
        return child

    def compare(self, case: str, days: Sequence[date], repeats: int) -> None:
        """Run both sides so many times, each time from the kept warehouse.

        Raises
        ------
        BenchmarkError
            If their tables differ.
        """
        for repeat in range(1, repeats + 1):
            self.restore()
            ours = self.build(case, days)
            self.seconds.setdefault(f"{case}_publish", []).append(ours.value["publish_seconds"])
            peer = self._run_by_hand(days, ours.value)
            self._note(f"{case}_by_hand", peer)
            self.seconds.setdefault(f"{case}_by_hand_test", []).append(peer.value["test_seconds"])
            self.bench.say(
                f"{case} {repeat}/{repeats}: ours {ours.value['seconds']:.1f} s, {ours.peak_mib:,.0f} MiB, "
                f"publishing {ours.value['publish_seconds']:.1f} s, "
                f"by hand {peer.value['seconds']:.1f} s, {peer.peak_mib:,.0f} MiB"
            )
        require_agreement(case, *(self._contents(path) for path in (self.warehouse, self.by_hand)))
        self.by_hand.unlink()

    def _run_by_hand(self, days: Sequence[date], built: dict[str, Any]) -> Child:
        target = str(self.peer / "target")
        compiled = self.bench.in_child(
            "benchmarks.warehouse_by_hand:compile_statements",
            folder=str(self.ours),
            days=_texts(days),
            models=built["models"],
            tests=built["tests"],
            target=target,
        )
        if not (compiled.value["days"] and compiled.value["test"]):
            raise BenchmarkError(f"by hand there is nothing to do: {compiled.value}")
        return self.bench.in_child("benchmarks.warehouse_by_hand:run", warehouse=str(self.by_hand), target=target)

    def _contents(self, warehouse: Path) -> dict[str, list[Any]]:
        return self.bench.in_child(
            "benchmarks.warehouse_by_hand:contents", warehouse=str(warehouse), target=str(self.peer / "target")
        ).value

    def _note(self, case: str, child: Child) -> None:
        self.seconds.setdefault(case, []).append(child.value["seconds"])
        self.peaks[case] = max(self.peaks.get(case, 0), child.peak_mib)


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If the two sides build different tables.
    """
    plan = SHORT if bench.short else FULL
    with bench.scratch("ours") as ours, bench.scratch("by_hand") as peer:
        bench.say(f"writing {plan.days} clean days of {bench.points:,} points")
        lake = bench.in_child(
            "benchmarks.warehouse_sample:write_lake", root=str(ours / "metrify"), points=bench.points, days=plan.days
        ).value
        sides = Sides(bench, ours, peer)
        first = date.fromisoformat(lake["first_day"])
        take_times(sides, [first + timedelta(days=offset) for offset in range(plan.days)], plan)
        size = sides.warehouse.stat().st_size / 2**20
    figures: Figures = {"slots_per_day": lake["rows_per_day"], "lake_mib": round(lake["mib"])}
    return (
        figures
        | ratios({case: median(found) for case, found in sides.seconds.items()}, plan.range_days)
        | {
            **{f"{case}_peak_mib": round(found) for case, found in sides.peaks.items() if case not in UNREPORTED},
            "warehouse_mib": round(size),
        }
    )


UNREPORTED = ("first", "rest", "empty", "empty_by_hand")
"""Cases whose memory is no figure."""


def take_times(sides: Sides, days: Sequence[date], plan: Plan) -> None:
    """Run all cases, so that in the end our warehouse holds all days."""
    repeats = sides.bench.repeats or REPEATS
    in_range, last = 2 + plan.range_days, plan.days - plan.last_days
    sides.build("first", days[:1])
    sides.keep()
    # Long before the first day: dbt and Dagster do all that they do, and there is nothing to read.
    sides.compare("empty", [days[0] - timedelta(days=31)], repeats)
    sides.compare("day", days[1:2], repeats)
    sides.keep()
    sides.compare("range", days[2:in_range], 1)
    shutil.rmtree(sides.kept)
    if in_range < last:
        sides.bench.say(f"building the days {in_range + 1} to {last}")
        sides.build("rest", days[in_range:last])
    for day in days[last:]:
        sides.build("day_60", [day])
    sides.bench.say(
        f"days {last + 1} to {plan.days}: {', '.join(f'{found:.1f} s' for found in sides.seconds['day_60'])}"
    )


def ratios(seconds: dict[str, float], range_days: int) -> Figures:
    """Return the figures that follow from the median seconds of the cases, and the number of days in the range."""
    constant = seconds["empty"] - seconds["empty_by_hand"]
    figures: Figures = {"constant_seconds": round(constant, 3)}
    for case in ("day", "range"):
        ours, by_hand = seconds[case], seconds[f"{case}_by_hand"]
        figures |= {
            f"{case}_seconds": ours,
            f"{case}_by_hand_seconds": by_hand,
            f"{case}_by_hand_test_seconds": seconds[f"{case}_by_hand_test"],
            f"ratio_{case}": round((ours - constant) / by_hand, 3),
            f"ratio_{case}_whole": round(ours / by_hand, 3),
        }
    return figures | {
        "day_publish_seconds": seconds["day_publish"],
        "range_seconds_per_day": round(seconds["range"] / range_days, 3),
        "day_60_seconds": seconds["day_60"],
        "ratio_growth": round(seconds["day_60"] / seconds["day"], 3),
    }


def require_agreement(case: str, ours: dict[str, list[Any]], by_hand: dict[str, list[Any]]) -> None:
    """Raise ``BenchmarkError`` unless both sides hold the same rows: a comparison of different work would be none."""
    different = [f"{name} {found} / {by_hand.get(name)}" for name, found in ours.items() if by_hand.get(name) != found]
    if different:
        raise BenchmarkError(f"{case}: dbt and the SQL by hand disagree: {', '.join(different)}")


def _replace_state(source: Path, target: Path) -> None:
    for name in STATE:
        old, new = target / name, source / name
        if old.is_dir():
            shutil.rmtree(old)
        old.parent.mkdir(parents=True, exist_ok=True)
        if new.is_dir():
            shutil.copytree(new, old, symlinks=True)
        else:
            shutil.copyfile(new, old)


def _texts(days: Sequence[date]) -> list[str]:
    return [day.isoformat() for day in days]
