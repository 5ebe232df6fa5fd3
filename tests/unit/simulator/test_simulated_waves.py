"""What arrives when, and what a second delivery changes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import SimulatedFile, simulate, write_wave
from tests.unit.simulator.reading import parse


def named(files, name):
    return [file for file in files if file.name == name]


def test_the_late_file_is_missing_from_the_first_wave_only(utility):
    assert named(utility.first, "east_2026-03-29.csv") == []
    assert len(named(utility.later, "east_2026-03-29.csv")) == 1
    assert sum(file.feed == "meters_east" for file in utility.first) == 4


def test_the_redelivered_file_has_the_same_bytes_and_arrives_later(utility):
    (first,), (later,) = (named(wave, "south_2026-03-27.jsonl") for wave in (utility.first, utility.later))
    assert first.content == later.content
    # Two days of local time, one of which has 23 hours.
    assert later.received_at - first.received_at == timedelta(hours=47)


def test_the_corrected_file_differs_in_the_labelled_slots_only_and_is_true_there(utility):
    (first,), (later,) = (named(wave, "north_2026-03-28.csv") for wave in (utility.first, utility.later))
    before, after = parse(first.feed, first.content), parse(later.feed, later.content)
    changed = {row[0]: row[1] for row in set(after.rows) - set(before.rows)}
    assert set(changed) == utility.labelled("corrected")
    assert changed == {key: utility.truth[key] for key in changed}
    assert len(before.rows) == len(after.rows)
    assert before.unreadable == after.unreadable


def test_whole_files_are_labelled_by_name(utility):
    whole = {(row["kind"], row["detail"]) for row in utility.simulation.labels.to_pylist() if row["point_id"] is None}
    assert whole == {("late_file", "east_2026-03-29.csv"), ("redelivered_file", "south_2026-03-27.jsonl")}


def test_a_days_file_arrives_the_next_morning_local_time(utility):
    # 05:30 in Berlin is 04:30 UTC in winter and 03:30 UTC in summer.
    arrivals = {file.name: file.received_at for file in utility.first}
    assert arrivals["north_2026-03-26.csv"] == datetime(2026, 3, 27, 4, 30, tzinfo=UTC)
    assert arrivals["north_2026-03-28.csv"] == datetime(2026, 3, 29, 3, 30, tzinfo=UTC)


def test_files_come_in_order_of_arrival_and_registries_before_the_first_day(utility):
    for wave in (utility.first, utility.later):
        times = [file.received_at for file in wave]
        assert times == sorted(times)
    registries = [file for file in utility.first if file.feed.startswith("registry_")]
    assert len(registries) == 6
    assert max(file.received_at for file in registries) < datetime(2026, 3, 26, tzinfo=UTC)


def test_a_period_without_those_days_has_no_second_wave():
    assert list(simulate(SimulationPlan(points=4, days=1)).later) == []


def one_file(content: bytes, minute: int) -> SimulatedFile:
    return SimulatedFile("meters_north", "a.csv", content, datetime(2026, 3, 2, 4, minute, tzinfo=UTC))


def test_a_file_is_written_whole_with_the_time_of_its_arrival(tmp_path):
    (path,) = write_wave([one_file(b"x", 30)], tmp_path)
    assert path == tmp_path / "meters_north" / "a.csv"
    assert path.read_bytes() == b"x"
    assert path.stat().st_mtime == datetime(2026, 3, 2, 4, 30, tzinfo=UTC).timestamp()
    assert os.listdir(path.parent) == ["a.csv"]


def test_writers_of_the_same_files_at_once_do_not_disturb_each_other(tmp_path):
    files = [replace(one_file(bytes(10_000), 30), name=f"{number}.csv") for number in range(200)]
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda _: write_wave(files, tmp_path), range(4)))
    assert sorted(os.listdir(tmp_path / "meters_north")) == sorted(file.name for file in files)


def test_other_bytes_of_the_same_time_replace_a_file(tmp_path):
    write_wave([one_file(b"x", 30)], tmp_path)
    (path,) = write_wave([one_file(b"y", 30)], tmp_path)
    assert path.read_bytes() == b"y"


def test_an_identical_redelivery_changes_the_time_only(tmp_path):
    write_wave([one_file(b"x", 30)], tmp_path)
    (path,) = write_wave([one_file(b"x", 45)], tmp_path)
    assert path.stat().st_mtime == datetime(2026, 3, 2, 4, 45, tzinfo=UTC).timestamp()


def test_a_second_run_of_both_waves_writes_nothing(tmp_path):
    simulation = simulate(SimulationPlan(points=8, days=3, redelivered_day=0, corrected_day=1, late_day=2))
    # Five registries, as none of the eight points has an outage; seven files a day, one of which is late.
    assert len(write_wave(simulation.first, tmp_path)) == 5 + 3 * 7 - 1
    assert len(write_wave(simulation.later, tmp_path)) == 3
    assert write_wave(simulation.first, tmp_path) == []
    assert write_wave(simulation.later, tmp_path) == []


def test_all_default_files_arrived_before_may_2026():
    plan = replace(SimulationPlan(), points=4)
    latest = max(file.received_at for file in simulate(plan).later)
    assert latest < datetime(2026, 5, 1, tzinfo=UTC)
