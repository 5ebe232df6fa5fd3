"""The demo: a simulated utility goes through the platform, by its own sensors and jobs.

Belongs here: writing the files, running Dagster's daemon until nothing is left to do, showing how far it is, and the
table at the end. Does not belong here: any processing of its own; what the demo shows is what the platform does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from metrify_assets.errors import MetrifyError, SettingsError
from metrify_assets.landing.setup import move, set_up
from metrify_assets.orchestration.overview import Overview, overview
from metrify_assets.platform import Platform
from metrify_assets.published.consumer import FILE_KEY
from metrify_assets.settings import Settings, StoreKind
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import SimulatedFile, Simulation, simulate, write_wave
from metrify_assets.warehouse.warehouse import Warehouse
from metrify_assets.warehouse.warehouses import warehouse_of

if TYPE_CHECKING:
    import dagster as dg

    from metrify_assets.orchestration.home import DaemonKeeper

POLL_SECONDS = 2.0
JOBS = ("ingest", "delivery_days", "dimensions", "publish")


@dataclass(frozen=True)
class Outcome:
    """What the demo ends with."""

    overview: Overview
    changed: bool
    seconds: float
    days_recomputed: int


@dataclass(frozen=True)
class Progress:
    """What is left to do, and what is being done."""

    pending_files: int
    dirty_days: int
    running: tuple[str, ...]
    given_up: str
    no_room: str | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.pending_files or self.dirty_days or self.running)

    def __str__(self) -> str:
        running = ", ".join(self.running) or self.no_room or "waiting for the next sensor tick"
        return f"{self.pending_files} files to read, {self.dirty_days} days to compute; {running}"


def run_demo(settings: Settings, plan: SimulationPlan, console: Console) -> Outcome:
    """Simulate, let the platform do its work, and count.

    Raises
    ------
    SettingsError
        If the files of the installation lie elsewhere than in a folder.
    MetrifyError
        If the daemon dies, or a file or day is given up after failed runs.
    """
    from metrify_assets.orchestration.home import DaemonKeeper, open_instance, prepare_home

    if settings.store is not StoreKind.LOCAL:
        raise SettingsError("the demo delivers into a local folder: set METRIFY_STORE=local")
    started = time.monotonic()
    platform = Platform(settings)
    set_up(platform, plan.first_day)
    environment = prepare_home(settings)
    warehouse = warehouse_of(settings)
    simulation = simulate(plan)
    console.print(
        f"Simulating {plan.points} points, {plan.days} days from {plan.first_day}, four control areas, with faults"
    )
    with open_instance(settings) as instance:
        _require_sensors_on(instance)
        _require_first_day(platform, plan)
        watch = _Watch(platform, instance, console)
        if _is_done(platform.settings, simulation, watch):
            counts = _count(settings, platform, warehouse, instance)
            return Outcome(counts, False, time.monotonic() - started, 0)
        with DaemonKeeper(settings, environment, instance) as keeper:
            recomputed = _work(platform, simulation, watch, keeper)
        counts = _count(settings, platform, warehouse, instance)
        return Outcome(counts, True, time.monotonic() - started, recomputed)


def _is_done(settings: Settings, simulation: Simulation, watch: _Watch) -> bool:
    """Return whether all of the utility's files are known already and nothing is left to do."""
    if not watch.platform.ledger.view().drops:
        return False
    written = _write(settings, simulation.first, watch.console, "files delivered in time")
    written += _write(settings, simulation.later, watch.console, "files delivered late, corrected or twice")
    return not written and watch.look().is_quiet


def _work(platform: Platform, simulation: Simulation, watch: _Watch, keeper: DaemonKeeper) -> int:
    """Deliver both waves, wait until each is worked off, and return how many days the second one changed."""
    _write(platform.settings, simulation.first, watch.console, "files delivered in time")
    _keep_labels(platform.settings, simulation)
    watch.until_quiet(keeper)
    before = {day: manifest.digest for day, manifest in platform.lake.days("clean_readings").items()}
    # Another demo on the same folder may have delivered them a moment ago.
    _write(platform.settings, simulation.later, watch.console, "files delivered late, corrected or twice")
    watch.until_quiet(keeper)
    after = platform.lake.days("clean_readings")
    return sum(manifest.digest != before.get(day) for day, manifest in after.items())


def _write(settings: Settings, files: Iterable[SimulatedFile], console: Console, what: str) -> int:
    written = write_wave(files, settings.inbox)
    if written:
        console.print(f"{len(written)} {what} put into {settings.inbox}")
    return len(written)


def _keep_labels(settings: Settings, simulation: Simulation) -> None:
    """Keep what the simulator knows: which faults it injected, and the true values."""
    folder = settings.root / "simulated"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("labels", "power_quality_labels", "truth"):
        pq.write_table(getattr(simulation, name), folder / f"{name}.parquet")


def _count(settings: Settings, platform: Platform, warehouse: Warehouse, instance: dg.DagsterInstance) -> Overview:
    from metrify_assets.orchestration.build import build_defs

    checks = build_defs(settings).resolve_asset_graph().asset_check_keys
    return overview(platform, warehouse, instance, checks)


class _Watch:
    """Looks at the installation until nothing is left to do, and says how far it is."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance, console: Console):
        self.platform, self.instance, self.console = platform, instance, console
        self.since = time.time()
        self.is_helped = False

    def look(self) -> Progress:
        from metrify_assets.days.day import parked_days
        from metrify_assets.days.digests import CLEAN_TABLES
        from metrify_assets.orchestration.automation.jobs import DAYS_JOB, INGEST_JOB
        from metrify_assets.orchestration.automation.sensors import (
            failures_of,
            no_room,
            pending_files,
            plan_days,
            plan_files,
            runs_under_way,
        )
        from metrify_assets.published.publish import stale_publication
        from metrify_assets.warehouse import marts
        from metrify_assets.warehouse.digests import MartDigests

        running = tuple(job for job in JOBS if runs_under_way(self.instance, job))
        news, _ = pending_files(self.platform)
        files = plan_files(self.platform.settings, news, failures_of(self.instance, INGEST_JOB), time.time())
        digests = MartDigests(self.platform)
        days, dirty = plan_days(self.platform, digests, failures_of(self.instance, DAYS_JOB), time.time())
        given_up = [f"{file.feed}/{file.name}" for file in files.given_up] + [str(day) for day in days.given_up]
        parked = parked_days(self.platform.store, ("validated_readings", *CLEAN_TABLES))
        given_up += [f"{parked_day.table} of {parked_day.day} ({parked_day.reason})" for parked_day in parked]
        unfinished = marts.dimensions_stale(self.platform.lake, digests) or stale_publication(self.platform) is not None
        left = len(set().union(*dirty.values())) if dirty else int(unfinished)
        return Progress(len(news), left, running, ", ".join(given_up), no_room(self.platform))

    def until_quiet(self, keeper: DaemonKeeper) -> None:
        shown = ""
        with self.console.status("starting Dagster's daemon") as status:
            while True:
                progress = self.look()
                if str(progress) != shown:
                    shown = str(progress)
                    status.update(shown)
                    if not self.console.is_terminal:
                        self.console.print(f"  {time.time() - self.since:4.0f} s  {shown}")
                if progress.given_up:
                    raise MetrifyError(
                        f"{progress.given_up} could not be worked on after several runs: read them with `make dev`"
                    )
                if progress.is_quiet:
                    return
                if keeper.ensure() and not self.is_helped:
                    self.is_helped = True
                    self.console.print("A Dagster daemon works on this folder already: it does the work")
                time.sleep(POLL_SECONDS)


def _require_sensors_on(instance: dg.DagsterInstance) -> None:
    """Raise if somebody switched the sensors off: the demo would wait for ever."""
    from dagster._core.scheduler.instigation import InstigatorStatus

    off = [
        state.instigator_name
        for state in instance.all_instigator_state()
        if state.instigator_name in ("drops", "dirty_days") and state.status == InstigatorStatus.STOPPED
    ]
    if off:
        raise MetrifyError(f"the sensors {', '.join(off)} are switched off: switch them on in the UI (make dev)")


def _require_first_day(platform: Platform, plan: SimulationPlan) -> None:
    """Move a first day that is later than the demo's; raise if a daemon works with the partitions so far."""
    from metrify_assets.orchestration.home import daemon_is_alive

    if platform.first_day <= plan.first_day:
        return
    if daemon_is_alive(platform.settings):
        raise MetrifyError(
            f"the demo's days begin before the first day, {platform.first_day}: stop `metrify dev`, run the demo again"
        )
    move(platform, plan.first_day)


def show(outcome: Outcome, settings: Settings, console: Console) -> None:
    """Print the table that the demo ends with."""
    counts = outcome.overview
    table = Table(title="What the platform made of it", title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in (
        ("files (drops)", counts.drops),
        ("values delivered", counts.values_delivered),
        ("values raw", counts.values_raw),
        ("values quarantined", counts.values_quarantined),
        ("days", counts.days),
        ("slots clean", counts.clean_slots),
        *((f"  {name}", count) for name, count in counts.slots.items()),
        *((f"checks {name}", count) for name, count in counts.checks.items()),
        *((f"rows of {name}", count) for name, count in counts.marts.items()),
    ):
        table.add_row(name, f"{value:,}")
    table.add_row("seconds", f"{outcome.seconds:.0f}")
    console.print(table)
    for name in counts.failed_checks[:5]:
        console.print(f"failed: {name}")
    if outcome.changed:
        console.print(
            f"The late, corrected and repeated files changed {outcome.days_recomputed} of {counts.days} days; the "
            "others were left alone."
        )
    else:
        console.print("Nothing changed: every file was known already, and every day is up to date.")
    console.print(
        "Where to look next:\n"
        "  make dev               the Dagster UI on http://127.0.0.1:3000, with these runs in its history\n"
        "  metrify drop list      what arrived (in .venv/bin)\n"
        '  metrify query          the marts, column by column; metrify query "select ..." asks them\n'
        f"  {settings.root / FILE_KEY}   the same marts, for any DuckDB client\n"
        f"  {settings.root / 'simulated'}   the faults that were injected, and the true values"
    )
