"""The disk of an installation fills up while ``metrify dev`` works on it, and is emptied again: work goes on by itself.

A small disk is mounted for it. Where that is not permitted, the test runs itself in a name space in which it is.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from metrify_assets.errors import HistoryError
from metrify_assets.orchestration.disk import full_disk
from metrify_assets.orchestration.home import open_instance
from metrify_assets.orchestration.run_launcher import run_locks
from metrify_assets.orchestration.run_locks import RunLocks
from metrify_assets.settings import Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from tests.harness import installation, tables
from tests.integration.processes import clean_environment, free_port, halting_at, is_running, kill_all, wait_until

pytestmark = [pytest.mark.dbt, pytest.mark.daemon, pytest.mark.timeout(1_800)]

SIZE_MB, LEAST_MB = 300, 50
IN_INGEST = "metrify_assets.landing.ingest:read_landed:2"
PLAN = SimulationPlan(points=4, days=1, first_day=date(2026, 3, 27))
FEEDS = ("registry_points", "registry_meters", "meters_north")
"""A run that went down has its files read again feed by feed: few of them keep this short."""


def mount(folder: Path, *within: str) -> subprocess.CompletedProcess:
    command = [*within, "mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "small", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def mounted(folder: Path) -> Iterator[bool]:
    """Yield whether a small disk is mounted in a folder."""
    folder.mkdir()
    is_mounted = mount(folder).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def kept_full(disk: Path) -> Iterator[None]:
    """Keep a disk full: what others give back is taken at once."""
    ballast = disk / "ballast"

    def fill() -> None:
        with open(ballast, "ab", buffering=0) as file:
            for size in (1_000_000, 4_096):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def keep() -> None:
        while not is_over.wait(0.02):
            fill()

    fill()
    is_over = threading.Event()
    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        keeper.join()
        ballast.unlink()


def test_work_goes_on_by_itself_after_the_disk_was_full(tmp_path, monkeypatch, request):
    disk = tmp_path / "disk"
    with mounted(disk) as is_mounted:
        if is_mounted:
            fill_twice(disk, tmp_path, monkeypatch)
        elif (refused := mount(disk, "unshare", "-rm")).returncode:
            pytest.skip(f"no small disk can be mounted here: {refused.stderr.strip()}")
        else:
            pytest_here = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", request.node.nodeid]
            done = subprocess.run(["unshare", "-rm", *pytest_here], cwd=request.config.rootpath, check=False)
            assert done.returncode == 0


def fill_twice(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the disk while a run reads files, and while one computes days."""
    settings = Settings(root=disk / "metrify")
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    files = [file for file in simulate(PLAN).first if file.feed in FEEDS]
    write_wave(files, settings.inbox)
    environment, mark = halting_at(IN_INGEST, tmp_path / "halt")
    environment |= {"METRIFY_ROOT": str(settings.root), "METRIFY_MIN_FREE_MB": str(LEAST_MB)}
    log = tmp_path / "dev.log"
    locks = RunLocks(settings.dagster_home / "run_locks")

    def errors() -> int:
        return log.read_text(errors="replace").count(full_disk(settings.dagster_home / "history"))

    def process_at_work() -> int | None:
        running = [pid for pid in map(locks.pid, locks.run_ids()) if pid is not None and is_running(pid)]
        return running[0] if running else None

    with log.open("ab") as output:
        dev = subprocess.Popen(
            [sys.executable, "-m", "metrify_assets.cli.main", "dev", "--port", str(free_port())],
            env={**clean_environment(), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: mark.exists() or dev.poll() is not None)
        assert dev.poll() is None, log.read_text()[-2_000:]
        with kept_full(disk):
            mark.write_text("go on")
            # The daemon says what to do.
            wait_until(lambda: process_at_work() is None and errors())
            with pytest.raises(HistoryError, match="is full: make room there"):
                open_instance(settings).dispose()
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            days = dg.RunsFilter(job_name="delivery_days", statuses=[dg.DagsterRunStatus.STARTED])
            wait_until(lambda: instance.get_runs(days) or dev.poll() is not None)
            before = errors()
            with kept_full(disk):
                wait_until(lambda: process_at_work() is None and errors() > before)
            with installation(tmp_path / "undisturbed") as undisturbed:
                write_wave(files, undisturbed.settings.inbox)
                undisturbed.settle()
                expected = tables(undisturbed.settings)
            wait_until(lambda: tables(settings) == expected or dev.poll() is not None)
            assert dev.poll() is None
            wait_until(lambda: run_locks(instance).run_ids() == [])
            runs = instance.get_runs()
            assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
            failed = sorted(run.job_name for run in runs if run.status is dg.DagsterRunStatus.FAILURE)
            assert failed == ["delivery_days", "ingest"]
    finally:
        dev.terminate()
        dev.wait()
        kill_all(settings.root)
