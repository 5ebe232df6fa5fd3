"""The real sensors and jobs on a real Dagster instance: what arrives is computed, once, and only what it touches.

Belongs here: everything between the inbox and the lake; dbt is left out, but for ``test_automation_with_marts.py``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from metrify_assets.days import day as day_module
from metrify_assets.days import validated as validated_module
from metrify_assets.days.day import parked_days
from metrify_assets.drops.ledger import Ledger
from metrify_assets.errors import DropError
from metrify_assets.orchestration.assets import readings as reading_assets
from metrify_assets.orchestration.automation import jobs, sensors
from metrify_assets.orchestration.automation.decisions import STOPS_WITHOUT_COUNT
from metrify_assets.orchestration.automation.streams import stream_job
from metrify_assets.orchestration.run_launcher import STOPPED_TAG, run_locks
from metrify_assets.orchestration.run_locks import RunLocks
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.digests import MartDigests
from tests.clock import noon_of
from tests.harness import Installation, days_of_request, installation
from tests.templates import built_once, copy_of
from tests.workbench import ARRIVED, Workbench, flat, points_file, reads, write_feeds

DAYS = [date(2026, 3, 9) + timedelta(days=offset) for offset in range(4)]
POINTS = ["A", "B", "C"]
DAY_TABLES = ("validated_readings", "clean_readings", "marts")


@pytest.fixture(scope="module")
def empty_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation without a warehouse and with the feeds of ``workbench``, that has seen nothing."""

    def build(root: Path) -> None:
        with opened(root):
            pass

    return built_once(tmp_path_factory, "empty", build)


@pytest.fixture(scope="module")
def running_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the same kind that has three points and four days that came in one file."""

    def build(root: Path) -> None:
        with opened(root) as plant:
            register(plant, *POINTS)
            put(plant, "plain", "all.csv", reads(POINTS, DAYS))
            assert plant.settle() == ["ingest", "delivery_days"]

    return built_once(tmp_path_factory, "running", build)


def opened(root: Path):
    return installation(root, with_marts=False, shards=2, feeds_dir=write_feeds(root / "feeds"))


@pytest.fixture
def plant(empty_template: Path, tmp_path: Path) -> Iterator[Installation]:
    """An installation that has seen nothing."""
    with opened(copy_of(empty_template, tmp_path)) as plant:
        yield plant


@pytest.fixture
def running(running_template: Path, tmp_path: Path) -> Iterator[Installation]:
    """An installation with three points and four days that came in one file."""
    with opened(copy_of(running_template, tmp_path)) as plant:
        yield plant


def put(plant: Installation, feed: str, name: str, content: bytes, *, after_hours: float = 0) -> None:
    plant.put(feed, content, name, mtime=(ARRIVED + timedelta(hours=after_hours)).timestamp())


def register(plant: Installation, *points: str | dict, after_hours: float = 0) -> None:
    rows = [{"point_id": point} if isinstance(point, str) else point for point in points]
    put(plant, "registry_points", "points.csv", points_file(rows), after_hours=after_hours)


def bench(plant: Installation) -> Workbench:
    return Workbench(plant.platform)


def written(plant: Installation) -> dict[tuple[str, date], int]:
    """Return when each day of each table was last written."""
    lake = plant.settings.lake
    return {
        (table, day): os.stat(lake / table / f"day={day}" / "_manifest.json").st_mtime_ns
        for table in DAY_TABLES
        for day in plant.platform.lake.days(table)
    }


def changed(plant: Installation, before: dict[tuple[str, date], int]) -> set[tuple[str, date]]:
    now = written(plant)
    return {key for key in now if now[key] != before.get(key)}


def total(plant: Installation, name: str, day: date) -> int:
    return int(plant.platform.lake.manifest("validated_readings", day).total("tally", name))


def events_of(plant: Installation, asset: str) -> int:
    filters = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset))
    return len(plant.instance.fetch_materializations(filters, limit=1_000).records)


def data_versions(plant: Installation, asset: str) -> dict[str, str]:
    """Return the version of each day's latest materialization."""
    records = plant.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000, ascending=True).records
    return {
        record.partition_key: record.asset_materialization.tags.get("dagster/data_version", "")
        for record in records
        if record.partition_key
    }


def runs(plant: Installation, job: str = "delivery_days") -> list[dg.DagsterRun]:
    return list(plant.instance.get_runs(dg.RunsFilter(job_name=job)))


# What arrives, and what it touches


def test_one_file_of_many_days_is_read_once_and_its_days_are_one_run(running):
    assert [bench(running).energy(day, "A") for day in DAYS] == [Decimal("12.012")] * 4
    assert len(runs(running)) == len(runs(running, "ingest")) == 1
    assert running.settle() == []


@pytest.mark.parametrize("name", ["all.csv", "copy.csv"])
def test_a_redelivery_starts_nothing_and_leaves_everything_downstream_fresh(running, name):
    before, events = written(running), {name: events_of(running, name) for name in ("raw_readings", "clean_readings")}
    put(running, "plain", name, reads(POINTS, DAYS), after_hours=24)
    assert running.settle() == []
    assert changed(running, before) == set()
    assert {name: events_of(running, name) for name in events} == events
    assert len(running.platform.ledger.view().sources) == 3  # two files and what came again


def test_a_corrected_file_of_one_day_recomputes_that_day_alone(plant):
    register(plant, *POINTS)
    for day in DAYS:
        put(plant, "plain", f"{day}.csv", reads(POINTS, [day]))
    plant.settle()
    before, versions = written(plant), data_versions(plant, "clean_readings")
    put(plant, "plain", f"{DAYS[1]}.csv", reads(POINTS, DAYS[1:2], flat(0.75)), after_hours=24)
    assert plant.settle() == ["ingest", "delivery_days"]
    assert changed(plant, before) == {(table, DAYS[1]) for table in DAY_TABLES}
    assert bench(plant).energy(DAYS[1], "A") == Decimal("18.012")
    after = data_versions(plant, "clean_readings")
    assert {day for day in after if after[day] != versions[day]} == {str(DAYS[1])}
    assert days_of_run(plant) == [DAYS[1]]


def days_of_run(plant: Installation) -> list[date]:
    tags = runs(plant)[0].tags
    return days_of_request(dg.RunRequest(tags=tags, partition_key=tags.get("dagster/partition")))


def test_a_late_file_computes_its_day_alone(running):
    late = DAYS[-1] + timedelta(days=2)
    before = written(running)
    put(running, "plain", "late.csv", reads(POINTS, [late]), after_hours=24)
    running.settle()
    assert changed(running, before) == {(table, late) for table in DAY_TABLES}


def test_a_withdrawn_file_leaves_and_the_version_before_is_current_again(running):
    digests, ledger = bench(running).digests(), running.platform.ledger
    put(running, "plain", "all.csv", reads(POINTS, DAYS[:2], flat(0.75)), after_hours=24)
    running.settle()
    assert [bench(running).energy(day, "A") for day in DAYS] == [Decimal("18.012")] * 2 + [0, 0]
    wrong = next(drop for drop in ledger.view().active.values() if drop.kind == "readings")
    ledger.withdraw(wrong, "wrong factor")
    before = written(running)
    assert running.settle() == ["delivery_days"]
    assert bench(running).digests() == digests
    assert changed(running, before) == {(table, day) for table in DAY_TABLES for day in DAYS}
    assert ledger.view().state(wrong) == "withdrawn"
    assert running.platform.store.exists(wrong.landed)


def test_points_that_no_registry_knows_are_computed_when_one_names_them(plant):
    # No registry at all: the run works, and everything is unassigned.
    put(plant, "plain", "all.csv", reads(POINTS, DAYS))
    plant.settle()
    assert [total(plant, "unassigned", day) for day in DAYS] == [72] * 4
    before = written(plant)
    register(plant, {"point_id": "A", "valid_from": str(DAYS[1]), "valid_to": str(DAYS[3])}, after_hours=1)
    assert plant.settle() == ["ingest", "delivery_days"]
    assert [total(plant, "unassigned", day) for day in DAYS] == [72, 48, 48, 72]
    assert [bench(plant).energy(day, "A") for day in DAYS] == [0, Decimal("12.012"), Decimal("12.012"), 0]
    assert {day for _, day in changed(plant, before)} == {DAYS[1], DAYS[2]}


def test_a_registry_that_changes_there_and_back_and_there_is_followed_each_time(running):
    both = []
    for turn in range(4):
        points = POINTS[:2] if turn % 2 == 0 else POINTS
        register(running, *points, after_hours=1 + turn)
        assert running.settle() == ["ingest", "delivery_days"], f"turn {turn}"
        both.append(bench(running).digests())
    assert both[0] == both[2] != both[1] == both[3]


def test_a_change_of_the_registry_that_touches_no_day_builds_the_dimensions_once(running):
    future = {"point_id": "D", "valid_from": "2099-01-01"}
    register(running, *POINTS, future, after_hours=1)
    assert running.settle() == ["ingest", "dimensions"]
    assert not marts.dimensions_stale(running.platform.lake, MartDigests(running.platform))


def test_a_warehouse_that_is_lost_twice_is_built_twice(running):
    for _ in range(2):
        marts.invalidate_all(running.platform.store)
        assert running.settle() == ["delivery_days"]
        skip_backoff(running)


def skip_backoff(plant: Installation) -> None:
    """Let another run of the job pass, so that the one before is no longer the latest."""
    register(
        plant, *POINTS, {"point_id": f"Z{len(runs(plant))}", "valid_to": "2026-03-10"}, after_hours=2 + len(runs(plant))
    )
    plant.settle()


def test_a_withdrawn_registry_is_taken_back_and_its_days_with_it(running):
    digests = bench(running).digests()
    register(running, "A", after_hours=1)
    running.settle()
    drop = next(drop for drop in running.platform.ledger.view().active.values() if drop.kind == "registry")
    running.platform.ledger.withdraw(drop, "two points are missing")
    assert running.settle() == ["ingest", "delivery_days"]
    assert bench(running).digests() == digests
    assert running.settle() == []


# While a run is under way


def test_a_file_that_arrives_between_request_and_run_is_not_lost(plant):
    register(plant, *POINTS)
    put(plant, "plain", "a.csv", reads(POINTS, DAYS))
    (asked,) = plant.tick("drops")
    put(plant, "plain", "b.csv", reads(["A"], DAYS, flat(0.75)), after_hours=1)
    assert plant.run(asked, "ingest").success
    (days,) = plant.tick("dirty_days")
    # The days wait for nothing; the file comes with the next round and makes them dirty again.
    assert plant.run(days).success
    assert plant.settle() == ["ingest", "delivery_days"]
    assert bench(plant).energy(DAYS[0], "A") == Decimal("18.012")
    assert total(plant, "superseded", DAYS[0]) == 24


@pytest.mark.parametrize("hook", ["validate_shard", "validated_table"])
def test_a_file_that_is_read_in_the_middle_of_a_run_comes_after_it_exactly_once(plant, monkeypatch, hook):
    register(plant, *POINTS)
    put(plant, "plain", "a.csv", reads(POINTS, DAYS))
    plant.run(plant.tick("drops")[0], "ingest")
    (asked,) = plant.tick("dirty_days")
    original, arrived = getattr(validated_module, hook), []

    def meanwhile(*arguments, **named):
        if not arrived:
            arrived.append(True)
            bench(plant).land("adding", "b.csv", reads(["A", "B"], DAYS[:3], flat(0.75)), ARRIVED + timedelta(hours=1))
        return original(*arguments, **named)

    monkeypatch.setattr(validated_module, hook, meanwhile)
    assert plant.run(asked).success
    assert plant.settle() == ["delivery_days"]
    assert [bench(plant).energy(day, "A") for day in DAYS] == [Decimal("18.012")] * 3 + [Decimal("12.012")]
    for day in DAYS:
        raw = sum(total(plant, name, day) for name in ("current", "identical", "superseded"))
        assert raw == total(plant, "raw", day) == (72 + 48 if day in DAYS[:3] else 72)
    assert failed_checks(plant) == []


def failed_checks(plant: Installation) -> list[str]:
    failed = []
    for key in plant.defs.resolve_asset_graph().asset_check_keys:
        for record in plant.instance.event_log_storage.get_asset_check_execution_history(key, limit=500):
            evaluation = record.event.dagster_event.asset_check_evaluation_data if record.event else None
            if record.status.value == "FAILED" or (evaluation and not evaluation.passed):
                failed.append(f"{key.to_user_string()} {record.partition}")
    return failed


def test_nothing_is_asked_for_while_a_run_is_under_way_and_everything_after_it(running):
    put(running, "plain", "b.csv", reads(["A"], DAYS[:1], flat(0.75)), after_hours=1)
    running.run(running.tick("drops")[0], "ingest")
    stuck = running.instance.create_run_for_job(
        running.defs.resolve_job_def("delivery_days"), status=dg.DagsterRunStatus.STARTED
    )
    lock = run_locks(running.instance).take(stuck.run_id)
    assert running.tick("dirty_days") == []
    # Its process ends without a word.
    os.close(lock)
    assert len(running.tick("dirty_days")) == 1
    assert running.instance.get_run_by_id(stuck.run_id).status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("job", "config"),
    [(jobs.ingest_job, {"ingest_drops": {"drops": []}}), (stream_job, {"land_ranges": {"ranges": []}})],
)
def test_dirty_days_wait_for_drops_that_are_being_read(running, monkeypatch, job, config):
    put(running, "plain", "b.csv", reads(["A"], DAYS[:1], flat(0.75)), after_hours=1)
    running.run(running.tick("drops")[0], "ingest")
    reading = running.instance.create_run_for_job(
        job,
        run_config={"ops": {op: {"config": values} for op, values in config.items()}},
        status=dg.DagsterRunStatus.STARTED,
    )
    clock = advance(monkeypatch)
    assert running.tick("dirty_days") == []
    clock.seconds += running.settings.ingest_wait_seconds + 1
    assert len(running.tick("dirty_days")) == 1
    running.instance.report_run_canceled(reading)


def test_days_are_not_computed_from_a_part_of_the_files_after_a_run_that_was_cut_short(plant, monkeypatch):
    register(plant, "A", "B", "C")
    for name in POINTS:
        put(plant, "adding", f"{name}.csv", reads([name], DAYS[:1]))
    with monkeypatch.context() as patch:
        # The second file is read and not recorded: three are left, and are asked for in smaller pieces.
        kill_at(patch, Ledger, "record", call=2)
        [asked] = plant.tick("drops")
        with pytest.raises(Killed):
            plant.run(asked, "ingest")
    assert len(plant.platform.ledger.view().drops) == 1
    assert plant.tick("dirty_days") == []
    advance(monkeypatch, seconds=25)
    while len(plant.platform.ledger.view().drops) < 4:
        assert plant.tick("dirty_days") == []
        [again] = plant.tick("drops")
        assert plant.run(again, "ingest").success
    [days] = plant.tick("dirty_days")
    assert days_of_request(days) == DAYS[:1]


def test_days_do_not_wait_for_ever_for_files_after_a_run_that_was_cut_short(plant, monkeypatch):
    register(plant, "A")
    put(plant, "adding", "a.csv", reads(["A"], DAYS[:1]))
    put(plant, "adding", "b.csv", reads(["A"], DAYS[1:2]))
    with monkeypatch.context() as patch:
        kill_at(patch, Ledger, "record", call=3)
        [asked] = plant.tick("drops")
        with pytest.raises(Killed):
            plant.run(asked, "ingest")
    assert plant.tick("dirty_days") == []
    advance(monkeypatch, seconds=plant.settings.ingest_wait_seconds + 1)
    assert len(plant.tick("dirty_days")) == 1


def test_a_file_that_takes_run_after_run_down_is_waited_for_once(plant, monkeypatch):
    register(plant, "A")
    put(plant, "adding", "a.csv", reads(["A"], DAYS[:1]))
    put(plant, "adding", "b.csv", reads(["A"], DAYS[1:2]))
    began = time.time()
    for call, ahead in ((3, 0), (1, 25)):
        advance(monkeypatch, seconds=ahead)
        between = time.time()
        with monkeypatch.context() as patch:
            kill_at(patch, Ledger, "record", call=call)
            [asked] = plant.tick("drops")
            with pytest.raises(Killed):
                plant.run(asked, "ingest")
    # The second run was cut short within the time to wait, the first one within it or before.
    assert sensors.rest_is_unread(plant.instance, plant.platform, began)
    assert not sensors.rest_is_unread(plant.instance, plant.platform, between)


def test_a_file_that_cannot_be_read_does_not_delay_the_days_of_the_others(plant, monkeypatch):
    register(plant, "A")
    put(plant, "adding", "a.csv", reads(["A"], DAYS[:1]))
    put(plant, "adding", "b.csv", reads(["A"], DAYS[1:2]))
    with monkeypatch.context() as patch:
        kill_at(patch, Ledger, "record", call=3, error=DropError)
        [asked] = plant.tick("drops")
        assert not plant.run(asked, "ingest", raise_on_error=False).success
    assert len(plant.tick("dirty_days")) == 1


# Crashes


class Killed(BaseException):
    """Stands for the process being killed."""


def kill_at(
    monkeypatch, owner: object, name: str, *, call: int = 1, before: bool = True, error: type[BaseException] = Killed
) -> None:
    """Kill the process at the ``call``-th call of a function, before or after it has done its work.

    Another ``error`` has other things happen there.
    """
    original, calls = getattr(owner, name), Counter()

    def dying(*arguments, **named):
        calls[name] += 1
        if calls[name] == call and before:
            raise error("at work")
        result = original(*arguments, **named)
        if calls[name] == call:
            raise error("at work")
        return result

    monkeypatch.setattr(owner, name, dying)


def run_until_killed(plant: Installation) -> bool:
    """Settle; return whether the process was killed. Real processes are killed in ``test_everything_killed.py``."""
    try:
        plant.settle()
    except Killed:
        return True
    return False


CRASHES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "after landing": lambda patch: kill_at(patch, jobs_ingest(), "read_landed"),
    "after the parts": lambda patch: kill_at(patch, Ledger, "record", call=2),
    "after the record": lambda patch: kill_at(patch, Ledger, "record", call=2, before=False),
    "before the registry": lambda patch: kill_at(patch, jobs, "build_registry"),
    "before a shard": lambda patch: kill_at(patch, day_module, "audit", call=3),
    "after a validated day": lambda patch: kill_at(patch, reading_assets, "compute_validated", call=2, before=False),
    "after a clean day": lambda patch: kill_at(patch, reading_assets, "compute_clean", call=3, before=False),
    "before the marts are recorded": lambda patch: kill_at(patch, marts, "record_days"),
}


def jobs_ingest():
    from metrify_assets.landing import ingest

    return ingest


@pytest.mark.parametrize("moment", CRASHES)
def test_after_a_kill_the_same_bytes_come_out_as_without(plant, monkeypatch, moment, undisturbed):
    register(plant, *POINTS)
    put(plant, "plain", "a.csv", reads(POINTS, DAYS) + b"A,never,1\n")
    with monkeypatch.context() as patch:
        CRASHES[moment](patch)
        assert run_until_killed(plant), "the crash never came"
    advance(monkeypatch, seconds=300)
    plant.settle()
    assert bench(plant).digests() == undisturbed
    assert bench(plant).digests("marts").keys() == undisturbed.keys()
    assert all(total(plant, "raw", day) == 72 for day in DAYS)
    assert sum(drop.counts["quarantined_values"] for drop in plant.platform.ledger.view().active.values()) == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[date, dict[int, str]]:
    """Digests of the clean days where nothing goes wrong."""
    from tests.workbench import workbench

    straight = workbench(tmp_path_factory.mktemp("straight"))
    straight.register(*POINTS)
    straight.land("plain", "a.csv", reads(POINTS, DAYS) + b"A,never,1\n")
    straight.settle()
    return straight.digests()


# Failures


def advance(monkeypatch, *, seconds: float = 0) -> SimpleNamespace:
    """Let the sensors' clock run ahead by ``.seconds``."""
    import time

    clock = SimpleNamespace(seconds=seconds)
    monkeypatch.setattr(sensors, "time", SimpleNamespace(time=lambda: time.time() + clock.seconds))
    return clock


def fail_on(monkeypatch, *bad: date) -> None:
    """Let the computation of some days fail by a fault that a retry within the run does not mend."""
    original = reading_assets.compute_validated

    def failing(platform, day, digests, *, force=False):
        if day in bad:
            raise dg.Failure(f"no memory for {day}", allow_retries=False)
        return original(platform, day, digests, force=force)

    monkeypatch.setattr(reading_assets, "compute_validated", failing)


def test_a_failing_day_is_tried_alone_backs_off_and_is_given_up_while_the_others_go_on(plant, monkeypatch):
    register(plant, *POINTS)
    put(plant, "plain", "all.csv", reads(POINTS, DAYS))
    plant.run(plant.tick("drops")[0], "ingest")
    clock = advance(monkeypatch)
    fail_on(monkeypatch, DAYS[1])
    tried: list[tuple[list[date], str, bool]] = []
    keys = []
    for _ in range(40):
        asked = plant.tick("dirty_days")
        if not asked:
            clock.seconds += 15
            continue
        result = plant.run(asked[0], raise_on_error=False)
        tried.append((days_of_request(asked[0]), asked[0].tags["metrify/attempt"], result.success))
        keys.append(asked[0].run_key)
    bad = [(days, attempt) for days, attempt, success in tried if not success]
    # Whole, then by halves, then alone; a range is tried twice where the first try got some of its days done.
    assert bad[0] == (DAYS, "1")
    assert bad[-3:] == [(DAYS[1:2], "1"), (DAYS[1:2], "2"), (DAYS[1:2], "3")]
    assert all(len(days) > 1 for days, _ in bad[:-3])
    assert len(bad) <= 8
    assert len(set(keys)) == len(keys)
    assert set(plant.platform.lake.days("clean_readings")) == {DAYS[0], DAYS[2], DAYS[3]}
    # New content is new work.
    monkeypatch.undo()
    put(plant, "plain", "b.csv", reads(["A"], DAYS[1:2], flat(0.75)), after_hours=1)
    plant.settle()
    assert bench(plant).energy(DAYS[1], "A") == Decimal("18.012")


def break_reading_of(monkeypatch, feed: str, fault: type[BaseException], *, times: int = 1_000) -> Counter:
    """Let the reader of a feed's files fail by a fault that nobody foresaw; return how often it did."""
    original, faults = jobs_ingest().read_drop, Counter()

    def failing(of, *arguments, **named):
        if of.name == feed and faults["times"] < times:
            faults["times"] += 1
            raise fault("redefinition of group name 'd'")
        yield from original(of, *arguments, **named)

    monkeypatch.setattr(jobs_ingest(), "read_drop", failing)
    return faults


def names(request: dg.RunRequest) -> list[str]:
    return [drop["name"] for drop in request.run_config["ops"]["ingest_drops"]["config"]["drops"]]


def test_a_feed_that_fails_never_delays_another_and_its_files_are_given_up_together(plant, monkeypatch):
    register(plant, *POINTS)
    clock = advance(monkeypatch)
    faults = break_reading_of(monkeypatch, "plain", RuntimeError)
    for number in range(5):
        put(plant, "plain", f"bad{number}.csv", reads(["A"], DAYS[:1], flat(1 + number)))
    put(plant, "adding", "first.csv", reads(["A"], DAYS[:1]), after_hours=1)
    (asked,) = plant.tick("drops")
    assert not plant.run(asked, "ingest", raise_on_error=False).success
    # The run read the other feed's file although five before it failed.
    assert "first.csv" in {drop.name for drop in plant.platform.ledger.view().drops.values()}
    tried = [names(asked)]
    for number in range(12):
        put(plant, "adding", f"next{number}.csv", reads(["A"], DAYS[:1], flat(2 + number)), after_hours=2 + number)
        while asked := plant.tick("drops"):
            tried.append(names(asked[0]))
            assert plant.run(asked[0], "ingest", raise_on_error=False).success is ("bad0.csv" not in tried[-1])
        clock.seconds += 15
        # Nothing new waits for the next attempt at what failed, nor comes with it.
        assert f"next{number}.csv" in {drop.name for drop in plant.platform.ledger.view().drops.values()}
    bad = [f"bad{number}.csv" for number in range(5)]
    assert [files for files in tried if "bad0.csv" in files][1:] == [bad, bad]
    assert faults["times"] == 15
    assert "5 files were given up" in skip_reason(plant, "drops")
    monkeypatch.undo()
    put(plant, "plain", "bad0.csv", reads(["A"], DAYS[:1], flat(9)), after_hours=50)
    assert names(plant.tick("drops")[0]) == ["bad0.csv"]


def skip_reason(plant: Installation, sensor: str) -> str:
    context = dg.build_sensor_context(
        instance=plant.instance,
        cursor=plant.cursors.get(sensor),
        definitions=plant.defs,
        resources={"platform": plant.platform, "warehouse": plant.warehouse},
    )
    return plant.defs.resolve_sensor_def(sensor).evaluate_tick(context).skip_message


def test_no_run_begins_while_the_disk_has_too_little_room(plant, monkeypatch):
    register(plant, "A")
    put(plant, "plain", "a.csv", reads(["A"], DAYS[:1]))
    little = plant.settings.model_copy(update={"min_free_mb": 10**12})
    with monkeypatch.context() as full:
        full.setattr(plant.platform, "settings", little)
        for sensor in ("drops", "dirty_days"):
            assert "MB left, and new runs wait for 1000000000000 MB" in skip_reason(plant, sensor)
            assert plant.tick(sensor) == []
    assert plant.settle() == ["ingest", "delivery_days"]


def test_a_feed_that_takes_its_run_down_delays_what_came_with_it_by_one_run_and_nothing_that_comes_later(
    plant, monkeypatch
):
    register(plant, *POINTS)
    plant.settle()
    advance(monkeypatch)
    break_reading_of(monkeypatch, "plain", Killed)
    for number in range(3):
        put(plant, "plain", f"bad{number}.csv", reads(["A"], DAYS[:1], flat(1 + number)))
    put(plant, "adding", "with.csv", reads(["A"], DAYS[:1]), after_hours=1)

    def run(request: dg.RunRequest) -> None:
        # What a killed run leaves is a free lock; the sensor's next look ends the run.
        with suppress(Killed):
            plant.run(request, "ingest")

    tried = []
    for number in range(6):
        (asked,) = plant.tick("drops")
        tried.append(names(asked))
        run(asked)
        if number == 0:
            put(plant, "adding", "later.csv", reads(["A"], DAYS[:1], flat(3)), after_hours=2)
    assert tried[0] == ["bad0.csv", "bad1.csv", "bad2.csv", "with.csv"]
    assert tried[1] == ["later.csv"]
    # Each feed of the run that went down is tried on its own, and the one that fails by halves.
    assert tried[2:5] == [["bad0.csv", "bad1.csv", "bad2.csv"], ["with.csv"], ["bad0.csv"]]
    assert {"with.csv", "later.csv"} <= {drop.name for drop in plant.platform.ledger.view().drops.values()}


def leave_for_dead(plant: Installation, request: dg.RunRequest) -> None:
    """Leave what a run leaves whose process is gone: it is started, and its lock is free."""
    run = plant.instance.create_run_for_job(
        plant.defs.resolve_job_def("ingest"),
        run_config=request.run_config,
        tags=request.tags,
        status=dg.DagsterRunStatus.STARTED,
    )
    os.close(run_locks(plant.instance).take(run.run_id))


def test_a_run_that_ends_with_metrify_is_no_attempt_at_its_work_until_it_may_be_what_ends_metrify(plant, monkeypatch):
    register(plant, "A")
    plant.settle()
    clock = advance(monkeypatch)
    monkeypatch.setattr(RunLocks, "launcher_is_gone", lambda *_: True)
    put(plant, "plain", "a.csv", reads(["A"], DAYS[:1]))
    attempts = []
    while asked := plant.tick("drops"):
        attempts.append(asked[0].tags["metrify/attempt"])
        leave_for_dead(plant, asked[0])
        # Only a counted attempt has the next one wait.
        clock.seconds += 90 if len(attempts) > STOPS_WITHOUT_COUNT else 0
    assert attempts == ["1"] * (1 + STOPS_WITHOUT_COUNT) + ["2", "3"]
    assert skip_reason(plant, "drops") == "1 files were given up after failed runs"
    assert len(plant.instance.get_runs(dg.RunsFilter(tags={STOPPED_TAG: "true"}))) == len(attempts)


def test_a_run_whose_process_alone_is_killed_is_an_attempt_at_its_work(plant, monkeypatch):
    register(plant, "A")
    plant.settle()
    clock = advance(monkeypatch)
    put(plant, "plain", "a.csv", reads(["A"], DAYS[:1]))
    said = []
    for _ in range(3):
        clock.seconds = 90
        (asked,) = plant.tick("drops")
        leave_for_dead(plant, asked)
        clock.seconds = 0
        said.append(skip_reason(plant, "drops"))
    assert said == ["1 files wait for their next attempt"] * 2 + ["1 files were given up after failed runs"]
    assert plant.instance.get_runs(dg.RunsFilter(tags={STOPPED_TAG: "true"})) == []


def test_a_definition_that_breaks_stops_its_own_feed_alone_and_its_files_wait_named(plant):
    register(plant, *POINTS)
    definition = plant.settings.feeds_dir / "plain.yaml"
    sound = definition.read_text()
    definition.write_text(sound.replace("format: iso", "format: '%d.%m.%Y %d'"))
    put(plant, "plain", "a.csv", reads(["A"], DAYS[:1]))
    put(plant, "adding", "b.csv", reads(["B"], DAYS[:1]))
    assert plant.settle() == ["ingest", "delivery_days"]
    assert {drop.feed for drop in plant.platform.ledger.view().drops.values()} == {"registry_points", "adding"}
    reason = skip_reason(plant, "drops")
    assert "plain.yaml: stamp.format: '%d.%m.%Y %d' cannot be read: %d comes twice" in reason
    assert "plain/a.csv waits: " in reason
    # Once it is corrected the file is read: nothing is restarted.
    definition.write_text(sound)
    assert plant.settle() == ["ingest", "delivery_days"]
    assert bench(plant).energy(DAYS[0], "A") == Decimal("12.012")


def test_a_file_that_is_refused_as_a_whole_is_counted_in_the_runs_log_and_in_the_catalogue(plant):
    put(plant, "plain", "empty.csv", b"")
    put(plant, "plain", "old_mac.csv", reads(["A"], DAYS[:1]).replace(b"\n", b"\r"))
    (asked,) = plant.tick("drops")
    result = plant.run(asked, "ingest")
    warnings = [entry.user_message for entry in plant.instance.all_logs(result.run_id) if entry.level == 30]
    assert len([line for line in warnings if line.partition(" ")[2].startswith("plain/")]) == 2
    assert all("0 quarantined, the file was refused as a whole (drop" in line for line in warnings)
    (event,) = plant.instance.fetch_materializations(dg.AssetKey("quarantine"), limit=1).records
    assert event.asset_materialization.metadata["new_files"].value["files_refused_as_a_whole"] == 2


def test_a_name_with_control_characters_forges_no_line_of_the_daemon_and_its_file_stays(plant):
    put(plant, "plain", "a\nINFO all is well\x1b[2K.csv", reads(["A"], DAYS[:1]))
    put(plant, "adding", "b.csv", reads(["B"], DAYS[:1]))
    assert plant.settle() == ["ingest", "delivery_days"]
    reason = skip_reason(plant, "drops")
    assert reason == r"plain/a\nINFO all is well\x1b[2K.csv: the name has control characters; rename the file"
    # Renamed it is read.
    folder = plant.settings.inbox / "plain"
    (file,) = folder.iterdir()
    file.rename(folder / "a.csv")
    assert plant.settle() == ["ingest", "delivery_days"]


def test_a_run_that_someone_cancels_is_asked_for_again(running, monkeypatch):
    put(running, "plain", "b.csv", reads(["A"], DAYS[:1], flat(0.75)), after_hours=1)
    running.run(running.tick("drops")[0], "ingest")
    (asked,) = running.tick("dirty_days")
    cancelled = running.instance.create_run_for_job(
        running.defs.resolve_job_def("delivery_days"), tags=asked.tags, status=dg.DagsterRunStatus.STARTED
    )
    running.instance.report_run_canceled(cancelled)
    assert running.tick("dirty_days") == []  # at once would be against the will of who cancelled it
    advance(monkeypatch, seconds=25)
    (again,) = running.tick("dirty_days")
    assert again.run_key != asked.run_key
    assert days_of_request(again) == days_of_request(asked)


def test_a_damaged_part_parks_its_day_and_reading_it_again_mends_it(plant):
    register(plant, *POINTS)
    for day in DAYS:
        put(plant, "plain", f"{day}.csv", reads(POINTS, [day]))
    plant.run(plant.tick("drops")[0], "ingest")
    drop = next(drop for drop in plant.platform.ledger.view().drops.values() if drop.days == [DAYS[1]])
    (part,) = drop.parts[str(DAYS[1])]
    plant.platform.store.write(part.file, b"garbage")
    assert plant.settle() == ["delivery_days"]
    assert set(plant.platform.lake.days("clean_readings")) == {DAYS[0], DAYS[2], DAYS[3]}
    (parked,) = parked_days(plant.platform.store, DAY_TABLES)
    assert parked.day == DAYS[1]
    assert (
        f"{part.file} is missing or damaged (read from plain/{drop.name}): run `metrify recompute {DAYS[1]}`"
        in parked.reason
    )
    verdicts = check_verdicts(plant, "validated_readings", "structure")
    assert verdicts == {str(day): day != DAYS[1] for day in DAYS}
    raw = plant.defs.resolve_implicit_global_asset_job_def()
    raw.execute_in_process(
        instance=plant.instance, partition_key=str(DAYS[1]), asset_selection=[dg.AssetKey("raw_readings")]
    )
    assert plant.settle() == ["delivery_days"]
    assert bench(plant).energy(DAYS[1], "A") == Decimal("12.012")
    assert parked_days(plant.platform.store, DAY_TABLES) == []


def test_a_parked_day_alone_is_named_and_not_tried_for_ever(plant, monkeypatch):
    register(plant, *POINTS)
    put(plant, "plain", "a.csv", reads(POINTS, DAYS[:1]))
    plant.run(plant.tick("drops")[0], "ingest")
    drop = next(drop for drop in plant.platform.ledger.view().drops.values() if drop.kind == "readings")
    plant.platform.store.delete(drop.parts[str(DAYS[0])][0].file)
    assert not plant.run(plant.tick("dirty_days")[0], raise_on_error=False).success
    advance(monkeypatch, seconds=10_000)
    plant.settle()
    assert len(runs(plant)) == 1
    assert check_verdicts(plant, "validated_readings", "structure") == {str(DAYS[0]): False}
    assert partition_states(plant, "validated_readings", "structure") == {"FAILED": {str(DAYS[0])}}


# What the UI shows


def check_verdicts(plant: Installation, asset: str, check: str) -> dict[str | None, bool]:
    """Return the latest verdict of a check by partition."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    verdicts: dict[str | None, bool] = {}
    for record in plant.instance.event_log_storage.get_asset_check_execution_history(key, limit=500):
        evaluation = record.event.dagster_event.asset_check_evaluation_data if record.event else None
        if evaluation is not None and record.partition is not None:
            verdicts.setdefault(record.partition, evaluation.passed)
    return verdicts


def partition_states(plant: Installation, asset: str, check: str) -> dict[str, set[str]]:
    """Return the partitions by the state of a check that the pages show for them."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    days = plant.defs.resolve_asset_graph().get(key).partitions_def
    assert days is not None
    state = plant.instance.event_log_storage.get_asset_check_state([(key, days)])[key]
    assert state.in_progress_runs == {}
    partitions = {status: set(subset.subset_value.get_partition_keys()) for status, subset in state.subsets.items()}
    return {status.value: keys for status, keys in partitions.items() if keys}


def test_a_range_files_numbers_versions_and_verdicts_under_their_days(running):
    days = {str(day) for day in DAYS}
    for asset in ("validated_readings", "clean_readings"):
        manifests = running.platform.lake.days(asset)
        assert data_versions(running, asset) == {str(day): manifest.digest for day, manifest in manifests.items()}
        for check in ("structure", "plausibility", "conservation"):
            assert check_verdicts(running, asset, check) == dict.fromkeys(days, True)
            assert partition_states(running, asset, check) == {"SUCCEEDED": days}
        records = running.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000, ascending=True).records
        latest = {record.partition_key: record.asset_materialization.metadata for record in records}
        assert {day: latest[day]["dagster/row_count"].value for day in days} == dict.fromkeys(days, 72)
    view = running.platform.ledger.view()
    assert data_versions(running, "raw_readings") == {day: view.day_digest("raw_readings", day) for day in days}


def test_a_day_of_a_range_that_was_up_to_date_keeps_its_numbers(plant):
    """The day in the middle has only grid status that is new: its readings are up to date."""
    register(plant, *POINTS)
    for day in DAYS[:3]:
        put(plant, "plain", f"{day}.csv", reads(POINTS, [day]))
    plant.settle()
    versions = data_versions(plant, "clean_readings")
    for day in (DAYS[0], DAYS[2]):
        put(plant, "plain", f"{day}.csv", reads(POINTS, [day], flat(0.75)), after_hours=1)
    grid = f"timestamp_utc,control_area,metric,value\n{DAYS[1]}T10:00:00Z,DE,load_mw,50000\n"
    put(plant, "grid_status", "g.csv", grid.encode())
    assert plant.settle() == ["ingest", "delivery_days"]
    assert days_of_run(plant) == DAYS[:3]
    after = data_versions(plant, "clean_readings")
    assert after[str(DAYS[1])] == versions[str(DAYS[1])]
    records = plant.instance.fetch_materializations(dg.AssetKey("clean_readings"), limit=1_000).records
    middle = next(record for record in records if record.partition_key == str(DAYS[1]))
    assert middle.asset_materialization.metadata["dagster/row_count"].value == 72
    assert middle.asset_materialization.metadata["shards_computed"].value == 0


def test_every_asset_says_what_it_is(plant):
    nodes = plant.defs.resolve_asset_graph().asset_nodes
    assert len(nodes) > 20
    for node in nodes:
        name = node.key.to_user_string()
        assert node.description, name
        assert node.group_name not in (None, "default"), name
        assert node.owners, name
        assert node.kinds, name
        # What is pulled is files, whose columns are those of their feeds.
        if node.is_materializable and not name.startswith("pulled_"):
            columns = node.metadata.get("dagster/column_schema")
            assert columns is not None, name
            assert all(column.description for column in columns.columns), name


@pytest.mark.parametrize(("on", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_one_setting_turns_everything_on_or_off(tmp_path, on, status):
    with installation(tmp_path, with_marts=False, automation=on) as plant:
        repository = plant.defs.get_repository_def()
        definitions = [*repository.sensor_defs, *repository.schedule_defs]
        assert {definition.name for definition in definitions} >= {"drops", "dirty_days", "finished_day"}
        assert {definition.default_status.value for definition in definitions} == {status}


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Europe/Berlin", datetime(2026, 3, 30, 4, 30, tzinfo=UTC), "2026-03-29"),
        # 06:30 on the 10th in Auckland is 17:30 UTC on the 9th.
        ("Pacific/Auckland", datetime(2026, 3, 9, 17, 30, tzinfo=UTC), "2026-03-09"),
    ],
)
def test_the_schedule_asks_for_yesterday_in_local_time(tmp_path, zone, moment, day):
    with installation(tmp_path, with_marts=False, timezone=zone) as plant:
        schedule = plant.defs.get_repository_def().get_schedule_def("finished_day")
        assert schedule.execution_timezone == zone
        context = dg.build_schedule_context(
            instance=plant.instance,
            scheduled_execution_time=moment,
            repository_def=plant.defs.get_repository_def(),
        )
        (asked,) = schedule.evaluate_tick(context).run_requests
        assert (asked.partition_key, asked.run_key) == (day, day)


@pytest.mark.parametrize(("days_later", "passed"), [(1, True), (2, False)])
def test_every_morning_somebody_looks_whether_the_day_that_ended_is_there(running, monkeypatch, days_later, passed):
    noon_of(monkeypatch, DAYS[-1] + timedelta(days=days_later))
    schedule = running.defs.get_repository_def().get_schedule_def("latest_day")
    result = running.defs.resolve_job_def(schedule.job_name).execute_in_process(instance=running.instance)
    verdicts = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    # The harness keeps no warehouse, so nothing is published.
    assert verdicts == {"computed": passed, "published": False}


def test_a_silent_day_that_is_asked_for_shows_as_missing(running):
    silent = DAYS[-1] + timedelta(days=1)
    job = running.defs.resolve_job_def("delivery_days")
    job.execute_in_process(
        instance=running.instance,
        partition_key=str(silent),
        asset_selection=[dg.AssetKey("validated_readings"), dg.AssetKey("clean_readings")],
    )
    rows = bench(running).clean(silent).to_pylist()
    assert len(rows) == 72
    assert {row["reason"] for row in rows} == {"gap"}


# Bad input


HEADER = b"point,start,kwh\n"


def test_bad_files_become_quarantine_rows_and_good_ones_are_not_affected(plant):
    good = reads(POINTS, DAYS)
    whole = simulate(SimulationPlan(points=4, days=1, redelivered_day=7, corrected_day=8, late_day=9))
    parquet = next(file.content for file in whole.first if file.feed == "meters_west")
    bad = {
        "empty.csv": (b"", {"empty_file": 1}),
        "only_header.csv": (HEADER, {"empty_file": 1}),
        "wrong_delimiter.csv": (b"point;start;kwh\nA;2026-03-09T00:00:00Z;1\n", {"header_mismatch": 1}),
        "wrong_header.csv": (b"meter,start,kwh\nA,2026-03-09T00:00:00Z,1\n", {"header_mismatch": 1}),
        "utf16.csv": ("point,start,kwh\nA,2026-03-09T00:00:00Z,1\n".encode("utf-16"), {"bad_encoding": 1}),
        "latin1.csv": (HEADER + "Zähler,2026-03-09T00:00:00Z,1\n".encode("latin-1"), {"bad_encoding": 1}),
        "cut.csv.gz": (gzipped(good)[:-20], {"truncated_file": 1}),
        "torn.csv": (HEADER + b"A,2026-03-09T00:00:00Z,1\nA,2026-03-09T0", {"wrong_column_count": 1}),
        "rows.csv": (
            HEADER + b"A,1970-01-01T00:00:00Z,1\nA,2199-01-01T00:00:00Z,1\nA,2026-03-09T00:00:00Z,1,2\n"
            b"A,2026-03-09T00:00:00Z,NaN\nA,2026-03-09T01:00:00Z,1000000000000\nA,2026-03-09T02:00:00Z,1;5\n",
            {
                "day_out_of_range": 2,
                "wrong_column_count": 1,
                "not_a_number": 1,
                "value_out_of_range": 1,
                "bad_number": 1,
            },
        ),
    }
    register(plant, *POINTS)
    put(plant, "adding", "good.csv", good)
    for number, (name, (content, _)) in enumerate(bad.items(), start=1):
        put(plant, "plain", name, content, after_hours=number / 60)
    put(plant, "meters_west", "west_cut.parquet", parquet[: len(parquet) // 2])
    put(plant, "plain", "half.csv.part", good)
    put(plant, "nobody", "x.csv", good)
    (plant.settings.inbox / "plain" / "out.csv").symlink_to("/etc/hostname")
    (asked,) = plant.tick("drops")
    result = plant.run(asked, "ingest")
    assert result.success
    assert len(asked.run_config["ops"]["ingest_drops"]["config"]["drops"]) == 12
    drops = {drop.name: drop for drop in plant.platform.ledger.view().drops.values()}
    for name, (_, reasons) in bad.items():
        rows = bench(plant).quarantine(drops[name])
        assert Counter(row["reason"] for row in rows) == Counter(reasons), name
        assert all(row["detail"] for row in rows), name
    assert [row["reason"] for row in bench(plant).quarantine(drops["west_cut.parquet"])] == ["truncated_file"]
    for drop in drops.values():
        counts = drop.counts
        assert counts["delivered_values"] == counts["raw_values"] + counts["quarantined_values"], drop.name
    plant.settle()
    # One value of torn.csv is readable and differs: 1 kWh instead of 0.5 at 01:00 local.
    assert bench(plant).energy(DAYS[0], "A") == Decimal("12.012") - Decimal("0.501") + 1
    assert [bench(plant).energy(day, "B") for day in DAYS] == [Decimal("12.012")] * 4
    assert failed_checks(plant) == []


def gzipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0)


def test_a_file_that_cannot_be_taken_in_does_not_stop_the_others(plant, monkeypatch):
    register(plant, *POINTS)
    put(plant, "plain", "a.csv", reads(POINTS, DAYS[:1]))
    put(plant, "plain", "b.csv", reads(POINTS, DAYS[1:2]), after_hours=1)
    (asked,) = plant.tick("drops")
    path = plant.settings.inbox / "plain" / "a.csv"
    path.unlink()
    path.symlink_to("/etc/hostname")
    result = plant.run(asked, "ingest", raise_on_error=False)
    assert not result.success
    assert {drop.name for drop in plant.platform.ledger.view().drops.values()} == {"points.csv", "b.csv"}
    assert plant.settle() == ["delivery_days"]


# Exactly once


def test_of_a_simulated_utility_every_kilowatt_hour_is_there_once(tmp_path):
    plan = SimulationPlan(
        points=12, days=3, first_day=date(2026, 3, 28), redelivered_day=0, corrected_day=1, late_day=2
    )
    plan = type(plan)(**{**vars(plan), **plan.without_faults()})
    utility = simulate(plan)
    with installation(tmp_path, with_marts=False, shards=2, max_drops_per_run=7) as plant:
        write_wave(utility.first, plant.settings.inbox)
        plant.settle()
        # Half of the second wave while the days of the other half are computed.
        later = list(utility.later)
        write_wave(later[:1], plant.settings.inbox)
        plant.settle()
        write_wave(later[1:], plant.settings.inbox)
        plant.settle()
        truth: Counter = Counter()
        for row in utility.truth.to_pylist():
            truth[row["point_id"], row["obis_code"]] += row["value_kwh"]
        totals: Counter = Counter()
        for day in (plan.day(offset) for offset in range(plan.days)):
            for row in bench(plant).clean(day).to_pylist():
                assert row["status"] == "measured"
                totals[row["point_id"], row["obis_code"]] += row["value_kwh"]
        assert totals == truth
        assert MartDigests(plant.platform).dirty_days("clean_readings") == set()
        assert failed_checks(plant) == []


def test_a_file_of_power_quality_computes_its_own_table_and_no_energy(running):
    """Its channel is registered after energy was computed: the days of energy stay as they are."""
    before = written(running)
    voltage = {"point_id": "A", "obis_code": "1-0:32.7.0", "interval_minutes": 15}
    register(running, *POINTS, voltage, after_hours=1)
    lines = "\n".join(f"A,{DAYS[1]}T10:{minute}:00Z,1-0:32.7.0,{value},V" for minute, value in (("00", 230), ("15", 0)))
    content = f"point_id,timestamp_utc,obis_code,value,unit\n{lines}\n"
    put(running, "power_quality", "p.csv", content.encode(), after_hours=1)
    assert running.settle()[:2] == ["ingest", "delivery_days"]
    assert {table for table, _ in changed(running, before)} <= {"marts"}
    day = str(DAYS[1])
    view = running.platform.ledger.view()
    assert data_versions(running, "raw_power_quality") == {day: view.day_digest("raw_power_quality", day)}
    manifest = running.platform.lake.manifest("clean_power_quality", DAYS[1])
    assert data_versions(running, "clean_power_quality")[day] == manifest.digest
    assert set(running.platform.lake.days("clean_power_quality")) == {DAYS[1]}
    for check in ("structure", "plausibility", "conservation"):
        assert check_verdicts(running, "clean_power_quality", check)[day]
    of_day = dg.AssetRecordsFilter(asset_key=dg.AssetKey("clean_power_quality"), asset_partitions=[day])
    record = running.instance.fetch_materializations(of_day, limit=1).records[0]
    numbers = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert {name: numbers[f"values/{name}"] for name in ("raw", "current", "valid", "out_of_range", "anomalous")} == {
        "raw": 2,
        "current": 2,
        "valid": 1,
        "out_of_range": 1,
        "anomalous": 1,
    }
    assert running.settle() == []
