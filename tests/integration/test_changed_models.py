"""A dbt project that changes while the warehouse holds days: new columns, failing tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from metrify_assets.orchestration.build import build_defs
from metrify_assets.settings import REPOSITORY_DIR, Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from metrify_assets.warehouse import marts
from tests.harness import Installation, days_of_request, installation, resources_of
from tests.templates import built_once, moved

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]

PLAN = SimulationPlan(points=4, days=3, first_day=date(2026, 3, 28), redelivered_day=0, corrected_day=1, late_day=2)
PLAN = type(PLAN)(**{**vars(PLAN), **PLAN.without_faults()})
DAYS = [PLAN.day(offset) for offset in range(PLAN.days)]
FACT = "fct_smart_meter_analytics"
FAILING = "two_slots_are_not_liked"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first run made with the project as it is."""

    def build(root: Path) -> None:
        with installation(root, shards=1) as plant:
            write_wave(simulate(PLAN).first, plant.settings.inbox)
            assert plant.settle() == ["ingest", "delivery_days"]

    return built_once(tmp_path_factory, "marts_before_a_change", build)


@pytest.fixture
def plant(template: Path, tmp_path: Path) -> Iterator[Installation]:
    with moved(template, tmp_path / "plant", shards=1) as plant:
        yield plant


@pytest.fixture
def project(plant: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dbt project of the installation, to be changed."""
    folder = tmp_path / "project" / "metrify_dbt"
    shutil.copytree(
        REPOSITORY_DIR / "metrify_dbt", folder, ignore=shutil.ignore_patterns("target", "logs", ".user.yml")
    )
    monkeypatch.setattr(Settings, "dbt_project", property(lambda self: folder))
    return folder


def loaded_again(plant: Installation) -> Installation:
    """Return the installation with its definitions as a new process loads them."""
    return replace(
        plant, defs=build_defs(plant.settings, resources_of(plant.settings, plant.platform, plant.warehouse))
    )


def steps(plant: Installation, job: str | None = None) -> list[str]:
    """Return the dbt steps of the latest run, or the latest of a job."""
    [run] = plant.instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
    stats = sorted(plant.instance.get_run_step_stats(run.run_id), key=lambda step: step.start_time)
    return [step.step_key for step in stats if step.step_key.startswith("dbt_")]


def invocations(plant: Installation, job: str | None = None) -> int:
    """Return how often the latest run, or the latest of a job, started dbt."""
    [run] = plant.instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
    said = (entry.user_message for entry in plant.instance.all_logs(run.run_id))
    return sum(message.startswith("Running dbt command") for message in said)


def evaluations(plant: Installation, model: str, check: str) -> dict[str | None, tuple[bool, int]]:
    """Return a check's latest evaluations by day: whether it passed, and the rows that failed."""
    key = dg.AssetCheckKey(dg.AssetKey(model), check)
    verdicts: dict[str | None, tuple[bool, int]] = {}
    for record in plant.instance.event_log_storage.get_asset_check_execution_history(key, limit=1_000):
        event = record.event.dagster_event if record.event else None
        if event is not None and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            # Of several days together the number is in the text of the range.
            numbers = (
                evaluation.metadata["whole_range"].value
                if "whole_range" in evaluation.metadata
                else evaluation.metadata
            )
            rows = numbers["dagster_dbt/failed_row_count"]
            verdicts.setdefault(record.partition, (evaluation.passed, getattr(rows, "value", rows)))
    return verdicts


def test_the_first_run_builds_the_dimensions_and_then_the_days(plant):
    assert steps(plant, "delivery_days") == ["dbt_dimensions", "dbt_daily_models"]
    # One for each set, however many days.
    assert invocations(plant, "delivery_days") == 2
    days = {str(day) for day in DAYS}
    assert days <= evaluations(plant, FACT, "energy_is_conserved").keys()
    assert set(evaluations(plant, FACT, "energy_is_conserved").values()) == {(True, 0)}
    # A check of a model without days is filed under no day.
    assert evaluations(plant, "dim_date", "a_date_appears_once") == {None: (True, 0)}


def test_models_tell_their_rows(plant):
    [(whole,)] = plant.query(f"select count(*) from marts.{FACT}")
    [record] = plant.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(FACT), asset_partitions=[str(DAYS[1])]), limit=10
    ).records
    metadata = record.asset_materialization.metadata
    [(part,)] = plant.query(f"select count(*) from marts.{FACT} where day = '{DAYS[1]}'")
    assert metadata["dagster/row_count"].value == whole
    assert metadata["dagster/partition_row_count"].value == part > 0
    points = plant.instance.get_latest_materialization_event(dg.AssetKey("dim_points")).asset_materialization
    assert points.metadata["dagster/row_count"].value == plant.query("select count(*) from marts.dim_points")[0][0]


def test_a_run_of_days_does_not_build_dimensions_that_are_current(plant):
    daily = list(plant.defs.resolve_assets_def(dg.AssetKey(FACT)).keys)
    assert plant.run(dg.RunRequest(job_name="delivery_days", partition_key=str(DAYS[0]), asset_selection=daily)).success
    assert steps(plant) == ["dbt_daily_models"]
    before = plant.instance.get_latest_materialization_event(dg.AssetKey("dim_points"))
    assert before.run_id != plant.instance.get_runs(limit=1)[0].run_id


def test_days_that_are_asked_for_alone_see_dimensions_that_were_stale(plant):
    marts.invalidate_all(plant.platform.store)
    daily = list(plant.defs.resolve_assets_def(dg.AssetKey(FACT)).keys)
    assert plant.run(dg.RunRequest(job_name="delivery_days", partition_key=str(DAYS[0]), asset_selection=daily)).success
    assert steps(plant) == ["dbt_daily_models"]
    [run] = plant.instance.get_runs(limit=1)
    built = plant.instance.get_latest_materialization_event(dg.AssetKey("dim_points"))
    assert built.run_id == run.run_id
    checked = plant.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("dim_date"), "a_date_appears_once"), limit=1
    )
    assert checked[0].run_id == run.run_id
    # The other days are built, and nothing is left to do.
    assert plant.settle() == ["delivery_days"]
    assert steps(plant) == ["dbt_daily_models"]


def test_a_model_with_a_new_column_is_built_anew_for_all_days(plant, project):
    before = plant.query("select * from metrics.energy_efficiency_metrics order by all")
    sql = project / "models" / "metrics" / "daily_consumption_metrics.sql"
    sql.write_text(
        sql.read_text().replace("    base_load_kw\n", "    base_load_kw,\n    cast(42 as integer) as answer\n")
    )
    yml = sql.with_suffix(".yml")
    column = '      - {name: answer, data_type: integer, description: "The answer."}\n'
    yml.write_text(yml.read_text().replace("    data_tests:\n", f"{column}    data_tests:\n", 1))
    changed = loaded_again(plant)
    [request] = changed.tick("dirty_days")
    assert days_of_request(request) == DAYS
    assert changed.run(request).success
    rows = changed.query("select day, min(answer) from metrics.daily_consumption_metrics group by day order by day")
    assert rows == [(day, 42) for day in DAYS]
    assert changed.query("select * from metrics.energy_efficiency_metrics order by all") == before
    assert changed.settle() == []


def run_with_failing_test(plant: Installation, project: Path) -> tuple[Installation, dg.ExecuteInProcessResult]:
    """Run the first two days with a test that fails; return the installation as it was then, and the result."""
    test = project / "tests" / f"{FAILING}.sql"
    test.write_text(
        "{{ config(meta={'dagster': {'ref': {'name': 'stg_smart_meter_readings'}}}) }}\n"
        "select * from {{ ref('stg_smart_meter_readings') }} where {{ in_requested_days('day') }} limit 2\n"
    )
    changed = loaded_again(plant)
    # A test makes no other rows: nothing is dirty.
    assert changed.tick("dirty_days") == []
    tags = {"dagster/asset_partition_range_start": str(DAYS[0]), "dagster/asset_partition_range_end": str(DAYS[1])}
    daily = list(changed.defs.resolve_assets_def(dg.AssetKey(FACT)).keys)
    result = changed.run(
        dg.RunRequest(job_name="delivery_days", tags=tags, asset_selection=daily), raise_on_error=False
    )
    test.unlink()
    return changed, result


def test_a_failing_test_tells_its_rows_stops_what_follows_and_is_not_tried_again(plant, project):
    rows = plant.query(f"select count(*) from marts.{FACT}")
    changed, result = run_with_failing_test(plant, project)
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    said = failure.step_failure_data.user_failure_data.description
    assert f"1 dbt tests failed: {FAILING} (2 rows)" in said
    assert not [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY]
    verdicts = evaluations(changed, "stg_smart_meter_readings", FAILING)
    assert {day: verdicts[day] for day in verdicts if day} == {str(day): (False, 2) for day in DAYS[:2]}
    built = {event.asset_key.path[-1] for event in result.all_events if event.is_step_materialization}
    assert "stg_smart_meter_readings" in built
    assert FACT not in built
    assert changed.query(f"select count(*) from marts.{FACT}") == rows


def test_a_day_whose_test_failed_is_dirty_whatever_its_inputs_are(plant, project):
    run_with_failing_test(plant, project)
    changed = loaded_again(plant)
    [request] = changed.tick("dirty_days")
    assert days_of_request(request) == DAYS[:2]
    assert changed.run(request).success
    assert changed.settle() == []


def test_rows_of_a_failed_run_do_not_stay_when_the_change_is_taken_back(plant, project):
    query = "select * from metrics.energy_efficiency_metrics order by all"
    before = plant.query(query)
    sql = project / "models" / "metrics" / "energy_efficiency_metrics.sql"
    good = sql.read_text()
    sql.write_text(good.replace("    energy_kwh,\n", "    cast(energy_kwh + 1 as decimal(18, 6)) as energy_kwh,\n", 1))
    test = project / "tests" / f"{FAILING}.sql"
    test.write_text("select * from {{ ref('energy_efficiency_metrics') }} where {{ in_requested_days('day') }}\n")
    changed = loaded_again(plant)
    [request] = changed.tick("dirty_days")
    assert not changed.run(request, raise_on_error=False).success
    assert changed.query(query) != before
    sql.write_text(good)
    test.unlink()
    changed = loaded_again(plant)
    assert changed.settle() == ["delivery_days"]
    assert changed.query(query) == before


def test_checks_alone_look_at_every_day_build_nothing_and_leave_the_records(plant):
    changed = loaded_again(plant)
    key = dg.AssetCheckKey(dg.AssetKey(FACT), "energy_is_conserved")
    job = changed.defs.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={key})
    result = job.execute_in_process(instance=changed.instance)
    [evaluation] = result.get_asset_check_evaluations()
    assert (evaluation.asset_check_key, evaluation.passed) == (key, True)
    assert result.get_asset_materialization_events() == []
    assert invocations(changed) == 1
    assert changed.settle() == []


def test_a_model_built_alone_from_what_it_was_built_from_leaves_the_records(plant):
    changed = loaded_again(plant)
    only = [dg.AssetKey("energy_efficiency_metrics")]
    assert changed.run(
        dg.RunRequest(job_name="delivery_days", partition_key=str(DAYS[0]), asset_selection=only)
    ).success
    assert changed.settle() == []
