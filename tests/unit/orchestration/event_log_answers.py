"""Every question that Dagster, its UI above all, can ask an event log, with the answers to compare.

Of the plans of an asset and partition, ours keeps the latest: nobody asks for those before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEventType
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import AssetCheckSummaryRecord, AssetRecordsFilter, EventRecordsFilter
from dagster._utils.concurrency import ClaimedSlotInfo, ConcurrencyKeyInfo, PendingStepInfo

MANY = 1_000
SET_BY_THE_CLOCK = {"create_timestamp", "enqueued_timestamp", "assigned_timestamp"}
"""When a row was made, not when the event was: the only part of an answer that two copies differ in."""
WITH_CLOCK = (
    AssetCheckExecutionRecord,
    AssetCheckSummaryRecord,
    ClaimedSlotInfo,
    ConcurrencyKeyInfo,
    PendingStepInfo,
)
NOT_COMPARED = {
    # Not there where each run has a file of its own.
    "get_logs_for_all_runs_by_log_id",
    "get_maximum_record_id",
    # About the database schema and the storage itself, not about events.
    "get_all_run_ids",
    "get_asset_tags_to_index",
    "has_asset_key_col",
    "has_asset_key_index_cols",
    "has_bounded_dynamic_partition_membership_query",
    "has_concurrency_limits_table",
    "has_default_pool_limit_col",
    "has_instance",
    "has_pending_step",
    "has_secondary_index",
    "has_table",
    "has_unassigned_slots",
    # They put together what the methods that are compared answer, and what the run storage holds.
    "get_asset_check_state",
    "get_asset_status_cache_values",
    "get_pool_config",
}


def reading_methods() -> set[str]:
    """Return the names of all methods of this Dagster's event log that read."""
    return {name for name in dir(SqliteEventLogStorage) if name.startswith(("get_", "fetch_", "has_", "all_"))}


def answers(
    log: SqliteEventLogStorage,
    runs: Sequence[str],
    assets: Sequence[dg.AssetKey],
    checks: Sequence[dg.AssetCheckKey],
    partitions: Sequence[str],
) -> Mapping[str, Any]:
    """Return what each method answers, by its name."""
    asked: dict[str, Callable[[], Any]] = {
        "get_logs_for_run": lambda: [log.get_logs_for_run(run) for run in runs],
        "get_records_for_run": lambda: [
            log.get_records_for_run(run, cursor=cursor, of_type=kind, limit=limit, ascending=ascending)
            for run in runs
            for cursor in (None, log.get_records_for_run(run, limit=5).cursor)
            for kind in (None, DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.STEP_FAILURE)
            for limit in (None, 3)
            for ascending in (True, False)
        ],
        "get_event_log_table_data": lambda: [log.get_event_log_table_data(run, 2) is not None for run in runs],
        "get_stats_for_run": lambda: [log.get_stats_for_run(run) for run in runs],
        "get_step_stats_for_run": lambda: [log.get_step_stats_for_run(run) for run in runs],
        "get_asset_partitions_for_run": lambda: [
            log.get_asset_partitions_for_run(run, of_type=kind)
            for run in runs
            for kind in (None, DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        ],
        "get_asset_keys_for_run": lambda: [sorted(log.get_asset_keys_for_run(run)) for run in runs],
        "get_event_records": lambda: [
            log.get_event_records(EventRecordsFilter(kind, asset_key=key, asset_partitions=days), limit=MANY)
            for kind in (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)
            for key in assets
            for days in (None, partitions[:2])
        ],
        "get_asset_event_summary_records": lambda: [
            log.get_asset_event_summary_records(DagsterEventType.ASSET_MATERIALIZATION, asset_key=key) for key in assets
        ],
        "fetch_materializations": lambda: [
            log.fetch_materializations(AssetRecordsFilter(key, asset_partitions=days), limit, ascending=ascending)
            for key in assets
            for days in (None, partitions[:2])
            for limit in (MANY, 3)
            for ascending in (True, False)
        ],
        "fetch_failed_materializations": lambda: [log.fetch_failed_materializations(key, MANY) for key in assets],
        "fetch_observations": lambda: [log.fetch_observations(key, MANY) for key in assets],
        "fetch_run_status_changes": lambda: [
            log.fetch_run_status_changes(kind, MANY)
            for kind in (
                DagsterEventType.RUN_START,
                DagsterEventType.RUN_SUCCESS,
                DagsterEventType.RUN_FAILURE,
                DagsterEventType.RUN_CANCELED,
            )
        ],
        "get_asset_records": lambda: log.get_asset_records(assets),
        "get_freshness_state_records": lambda: log.get_freshness_state_records(assets),
        "all_asset_keys": lambda: sorted(log.all_asset_keys()),
        "get_asset_keys": lambda: log.get_asset_keys(limit=MANY),
        "has_asset_key": lambda: [log.has_asset_key(key) for key in assets],
        "get_latest_materialization_events": lambda: log.get_latest_materialization_events(assets),
        "get_latest_materialization_storage_ids": lambda: log.get_latest_materialization_storage_ids(assets),
        "get_event_tags_for_asset": lambda: [log.get_event_tags_for_asset(key) for key in assets],
        "get_materialized_partitions": lambda: [log.get_materialized_partitions(key) for key in assets],
        "get_latest_storage_id_by_partition": lambda: [
            log.get_latest_storage_id_by_partition(key, kind)
            for key in assets
            for kind in (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        ],
        "get_latest_tags_by_partition": lambda: [
            log.get_latest_tags_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"])
            for key in assets
        ],
        "get_latest_asset_partition_materialization_attempts_without_materializations": lambda: [
            log.get_latest_asset_partition_materialization_attempts_without_materializations(key) for key in assets
        ],
        "get_latest_planned_materialization_info": lambda: [
            log.get_latest_planned_materialization_info(key, partition=partition)
            for key in assets
            for partition in (None, *partitions)
        ],
        "get_updated_data_version_partitions": lambda: [
            log.get_updated_data_version_partitions(key, partitions, since) for key in assets for since in (0, 40)
        ],
        "get_asset_check_execution_history": lambda: [
            log.get_asset_check_execution_history(check, MANY, status=status)
            for check in checks
            for status in (None, {AssetCheckExecutionRecordStatus.FAILED})
        ],
        "get_latest_asset_check_execution_by_key": lambda: log.get_latest_asset_check_execution_by_key(checks),
        "get_asset_check_summary_records": lambda: log.get_asset_check_summary_records(checks),
        "get_asset_check_partition_info": lambda: [
            log.get_asset_check_partition_info(checks, partition_keys=days) for days in (None, partitions[:2])
        ],
        "get_checkpointed_asset_check_state": lambda: log.get_checkpointed_asset_check_state(checks),
        "get_dynamic_partitions": lambda: log.get_dynamic_partitions("areas"),
        "get_paginated_dynamic_partitions": lambda: log.get_paginated_dynamic_partitions("areas", 1, True),
        "has_dynamic_partition": lambda: [log.has_dynamic_partition("areas", name) for name in ("north", "none")],
        "get_existing_dynamic_partitions": lambda: log.get_existing_dynamic_partitions("areas", ["north", "none"]),
        "get_concurrency_keys": log.get_concurrency_keys,
        "get_concurrency_info": lambda: [log.get_concurrency_info(key) for key in sorted(log.get_concurrency_keys())],
        "get_concurrency_infos": lambda: log.get_concurrency_infos(sorted(log.get_concurrency_keys())),
        "get_concurrency_run_ids": log.get_concurrency_run_ids,
        "get_pool_limits": log.get_pool_limits,
    }
    return {name: _without_clock(ask()) for name, ask in asked.items()}


def _without_clock(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return {key: _without_clock(value) for key, value in answer.items()}
    if isinstance(answer, WITH_CLOCK):
        fields = answer._fields
        return {name: _without_clock(getattr(answer, name)) for name in fields if name not in SET_BY_THE_CLOCK}
    return [_without_clock(value) for value in answer] if isinstance(answer, list) else answer
