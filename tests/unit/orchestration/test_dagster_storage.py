"""Dagster's history: what is stored of a run, and that the UI's questions are answered from it as before."""

import json
import os
import time

import dagster as dg
import pytest
from dagster._core.storage.event_log import schema
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.orchestration.automation.jobs import reconcile_job
from metrify_assets.orchestration.event_packing import pack, unpack
from tests.unit.orchestration.event_logs import DAYS, FIRST, LAST, history, rows, run, size
from tests.workbench import workbench

pytestmark = pytest.mark.seldom


@given(st.text())
def test_an_event_is_unpacked_as_it_was(text):
    assert unpack(pack(text)) == text


def test_typical_events_are_packed_to_a_fifth(tmp_path):
    with history(tmp_path) as instance:
        shard = run(instance)
    packed = [event for (event,) in rows(tmp_path, shard, "select event from event_logs where partition is not null")]
    assert len(packed) == 20
    assert sum(map(len, packed)) < sum(len(unpack(event)) for event in packed) / 5


def test_the_history_of_assets_and_checks_is_what_dagsters_own_storage_keeps(tmp_path):
    seen = []
    for folder, stock in ((tmp_path / "ours", False), (tmp_path / "stock", True)):
        with history(folder, stock=stock) as instance:
            shard = run(instance)
            log = instance.event_log_storage
            key = dg.AssetKey("table")
            checks = log.get_asset_check_execution_history(dg.AssetCheckKey(key, "whole"), limit=100)
            records = instance.fetch_materializations(key, limit=100).records
            seen.append(
                (
                    sorted((r.partition_key, r.asset_materialization.metadata["days"].value) for r in records),
                    sorted((str(r.partition), r.status.value) for r in checks),
                    log.get_materialized_partitions(key),
                    log.get_latest_asset_partition_materialization_attempts_without_materializations(key),
                    [entry.dagster_event_type for entry in instance.all_logs(shard)],
                    instance.get_run_stats(shard).materializations,
                )
            )
    assert seen[0] == seen[1]


def test_the_last_evaluation_of_a_check_is_read_with_its_numbers(tmp_path):
    with history(tmp_path) as instance:
        run(instance)
        check = dg.AssetCheckKey(dg.AssetKey("table"), "whole")
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
        (latest,) = [record for record in records if record.partition == LAST]
        assert latest.event.dagster_event.asset_check_evaluation_data.metadata["rows"].value == 7


def test_of_what_runs_planned_the_index_keeps_the_latest_of_each_day(tmp_path):
    by_type = "select dagster_event_type, count(*) from event_logs group by 1"
    with history(tmp_path) as instance:
        run(instance)
        run(instance, **{"break": "yes"})
        shard = run(instance)
        index, own = dict(rows(tmp_path, "index", by_type)), dict(rows(tmp_path, shard, by_type))
    assert index["ASSET_MATERIALIZATION"] == 30
    assert index["ASSET_MATERIALIZATION_PLANNED"] == own["ASSET_MATERIALIZATION_PLANNED"] == 10
    assert "ASSET_CHECK_EVALUATION" not in index


def test_the_last_run_of_a_day_is_the_one_that_succeeded_after_a_failure(tmp_path):
    with history(tmp_path) as instance:
        run(instance, **{"break": "yes"})
        last = run(instance)
        log, key = instance.event_log_storage, dg.AssetKey("table")
        assert log.get_latest_planned_materialization_info(key).run_id == last
        assert log.get_latest_planned_materialization_info(key, partition=FIRST).run_id == last


def test_the_days_that_a_failed_run_had_planned_show_as_failed(tmp_path):
    with history(tmp_path) as instance:
        shard = run(instance, **{"break": "yes"})
        log = instance.event_log_storage
        attempts = log.get_latest_asset_partition_materialization_attempts_without_materializations(
            dg.AssetKey("table")
        )
        done = log.get_materialized_partitions(dg.AssetKey("table"))
        assert attempts.keys() | done == set(DAYS.get_partition_keys_in_range(dg.PartitionKeyRange(FIRST, LAST)))
        assert all(run_id == shard for run_id, _ in attempts.values())


def test_events_that_were_stored_as_text_are_read(tmp_path):
    with history(tmp_path, stock=True) as instance:
        shard = run(instance)
    with history(tmp_path) as instance:
        assert len(instance.fetch_materializations(dg.AssetKey("table"), limit=100).records) == 10
        assert json.loads(dg.serialize_value(instance.all_logs(shard)[0]))["run_id"] == shard
        run(instance)
        assert len(instance.fetch_materializations(dg.AssetKey("table"), limit=100).records) == 20


def test_a_run_takes_a_quarter_of_what_it_takes_in_dagsters_own_storage(tmp_path):
    sizes = []
    for folder, stock in ((tmp_path / "ours", False), (tmp_path / "stock", True)):
        with history(folder, stock=stock) as instance:
            run(instance)
            before = size(folder)
            for _ in range(5):
                run(instance)
            sizes.append(size(folder) - before)
    assert sizes[0] < sizes[1] / 4


def test_logs_of_old_runs_are_removed_and_the_history_of_assets_stays(tmp_path):
    with history(tmp_path) as instance:
        old, new = run(instance), run(instance)
        log = instance.event_log_storage
        os.utime(log.path_for_shard(old), (time.time() - 1_000, time.time() - 1_000))
        assert log.remove_run_logs(time.time() - 500) == 1
        assert (instance.all_logs(old), bool(instance.all_logs(new))) == ([], True)
        assert len(instance.fetch_materializations(dg.AssetKey("table"), limit=100).records) == 20
        assert instance.get_run_by_id(old).is_success


def test_every_night_the_logs_of_runs_go_that_are_older_than_the_installation_keeps_them(tmp_path):
    platform = workbench(tmp_path / "bench", run_log_days=30).platform
    with history(tmp_path) as instance:
        old, new = run(instance), run(instance)
        for run_id, days in ((old, 31), (new, 29)):
            moment = time.time() - days * 86_400
            os.utime(instance.event_log_storage.path_for_shard(run_id), (moment, moment))
        assert reconcile_job.execute_in_process(instance=instance, resources={"platform": platform}).success
        assert (instance.all_logs(old), bool(instance.all_logs(new))) == ([], True)


@pytest.mark.parametrize("column", ["event", "evaluation_event"])
def test_the_columns_that_are_packed_are_those_of_this_dagster(column, tmp_path):
    tables = (schema.SqlEventLogStorageTable, schema.AssetCheckExecutionsTable)
    with history(tmp_path):
        assert [type(table.c[column].type).__name__ for table in tables if column in table.c] == ["PackedText"]
