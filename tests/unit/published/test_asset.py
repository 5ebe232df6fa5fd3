"""What Dagster shows of a publication."""

from __future__ import annotations

from datetime import date

import dagster as dg

from metrify_assets.orchestration.assets.common import SENSOR_TAG
from metrify_assets.orchestration.assets.published import EQUALS_WAREHOUSE, PUBLISHED_MARTS, published_asset
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.small_marts import MODELS, SmallMarts
from tests.unit.published.test_publish import Lossy

KEY = dg.AssetCheckKey(dg.AssetKey(PUBLISHED_MARTS), EQUALS_WAREHOUSE)


def run(plant: SmallMarts, instance: dg.DagsterInstance, warehouse: DuckDBWarehouse) -> dg.ExecuteInProcessResult:
    resources = {"platform": plant.platform, "warehouse": warehouse}
    return dg.materialize([published_asset(MODELS)], resources=resources, instance=instance, raise_on_error=False)


def statuses(instance: dg.DagsterInstance) -> list[str]:
    return [
        record.status.value for record in instance.event_log_storage.get_asset_check_execution_history(KEY, limit=5)
    ]


def test_a_publication_tells_its_rows_bytes_days_and_version(plant):
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(plant, instance, plant.warehouse).success
        [event] = instance.fetch_materializations(dg.AssetKey(PUBLISHED_MARTS), limit=5).records
        assert statuses(instance) == ["SUCCEEDED"]
    numbers = {name: entry.value for name, entry in event.asset_materialization.metadata.items()}
    # Two points; five readings, three scores, three sums of months.
    assert numbers["dagster/row_count"] == 2 + 5 + 3 + 3
    assert (numbers["days"], numbers["version"], numbers["files_written"]) == (3, 1, 9)
    assert numbers["bytes"] == sum(path.stat().st_size for path in plant.folder.rglob("*.parquet"))
    assert numbers["file"] == str(plant.file)


def evaluations(instance: dg.DagsterInstance) -> list[tuple[bool, int, str | None]]:
    """Return what the last checks found, the latest first: passed, parts compared, description."""
    records = instance.event_log_storage.get_asset_check_execution_history(KEY, limit=5)
    results = [record.event.dagster_event.asset_check_evaluation_data for record in records]
    return [(result.passed, result.metadata["parts_compared"].value, result.description) for result in results]


def test_the_check_says_what_was_compared_and_that_nothing_was_where_nothing_was_exported(plant):
    with dg.DagsterInstance.ephemeral() as instance:
        run(plant, instance, plant.warehouse)
        resources = {"platform": plant.platform, "warehouse": plant.warehouse}
        # As a sensor asks for it: a person's run exports the models without days again.
        dg.materialize([published_asset(MODELS)], resources=resources, instance=instance, tags={SENSOR_TAG: "state"})
        assert evaluations(instance) == [
            (True, 0, "Nothing was exported, so nothing was compared."),
            (True, 9, "9 exported parts were read back and compared with the warehouse."),
        ]


def test_a_publication_tells_how_many_parts_wait(plant):
    plant.unrecord(date(2026, 3, 30))
    with dg.DagsterInstance.ephemeral() as instance:
        run(plant, instance, plant.warehouse)
        [event] = instance.fetch_materializations(dg.AssetKey(PUBLISHED_MARTS), limit=5).records
    # The month, and the score of the day after.
    assert event.asset_materialization.metadata["parts_waiting"].value == 2


def test_a_publication_that_would_differ_fails_its_check_and_is_not_tried_again(plant):
    with dg.DagsterInstance.ephemeral() as instance:
        failed = run(plant, instance, Lossy(plant.warehouse.path))
        assert not failed.success
        assert statuses(instance) == ["FAILED"]
        assert not [event for event in failed.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
        [failure] = [event for event in failed.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "nothing was published: 3 files differ from the marts" in str(failure.event_specific_data)
    assert not plant.file.exists()


def test_without_marts_the_failure_says_what_to_run(plant):
    plant.warehouse.path.unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        failed = run(plant, instance, plant.warehouse)
        [failure] = [event for event in failed.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "build a day with `metrify recompute DAY`" in str(failure.event_specific_data)
