"""The way of a simulated utility through to the marts, with real dbt runs.

Belongs here: what only the warehouse can show. Everything else is in ``test_automation.py``, which is faster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import duckdb
import nbformat
import pytest

from metrify_assets.drops.ledger import Drop
from metrify_assets.errors import PublishError
from metrify_assets.orchestration.assets.published import EQUALS_WAREHOUSE, PUBLISHED_MARTS
from metrify_assets.orchestration.automation import sensors
from metrify_assets.published.consumer import FILE_KEY
from metrify_assets.schemas.warehouse import MART_SCHEMAS
from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import Simulation, simulate, write_wave
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.digests import MartDigests
from tests.harness import Installation, days_of_request, installation
from tests.integration.notebooks import run_notebook, shown
from tests.templates import built_once, moved

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]

PLAN = SimulationPlan(points=8, days=4, first_day=date(2026, 3, 27), redelivered_day=0, corrected_day=1, late_day=2)
PLAN = type(PLAN)(**{**vars(PLAN), **PLAN.without_faults()})
DAYS = [PLAN.day(offset) for offset in range(PLAN.days)]
CORRECTED, LATE = DAYS[1], DAYS[2]
SHARDS = 2


@pytest.fixture(scope="module")
def utility() -> Simulation:
    return simulate(PLAN)


@pytest.fixture(scope="module")
def first_template(tmp_path_factory: pytest.TempPathFactory, utility: Simulation) -> Path:
    """What the first wave came to."""

    def build(root: Path) -> None:
        with installation(root, shards=SHARDS) as plant:
            write_wave(utility.first, plant.settings.inbox)
            assert plant.settle() == ["ingest", "delivery_days"]

    return built_once(tmp_path_factory, "marts_of_the_first_wave", build)


@pytest.fixture(scope="module")
def later_template(tmp_path_factory: pytest.TempPathFactory, utility: Simulation, first_template: Path) -> Path:
    """What the later wave came to after it: a late file, a corrected one and a redelivery."""

    def build(root: Path) -> None:
        with moved(first_template, root, shards=SHARDS) as plant:
            write_wave(utility.later, plant.settings.inbox)
            assert plant.settle() == ["ingest", "delivery_days"]

    return built_once(tmp_path_factory, "marts_of_the_later_wave", build)


@pytest.fixture(scope="module")
def withdrawn_template(tmp_path_factory: pytest.TempPathFactory, utility: Simulation, later_template: Path) -> Path:
    """What came of withdrawing the correction."""

    def build(root: Path) -> None:
        with moved(later_template, root, shards=SHARDS) as plant:
            plant.platform.ledger.withdraw(correction_of(plant, utility), "the correction was wrong")
            assert plant.settle() == ["delivery_days"]

    return built_once(tmp_path_factory, "marts_without_the_correction", build)


@pytest.fixture
def first(first_template: Path, tmp_path: Path) -> Iterator[Installation]:
    with moved(first_template, tmp_path / "first", shards=SHARDS) as plant:
        yield plant


@pytest.fixture
def later(later_template: Path, tmp_path: Path) -> Iterator[Installation]:
    with moved(later_template, tmp_path / "later", shards=SHARDS) as plant:
        yield plant


@pytest.fixture
def withdrawn(withdrawn_template: Path, tmp_path: Path) -> Iterator[Installation]:
    with moved(withdrawn_template, tmp_path / "withdrawn", shards=SHARDS) as plant:
        yield plant


def correction_of(plant: Installation, utility: Simulation) -> Drop:
    """Return the later of the two versions of the corrected file."""
    name = next(file.name for file in utility.later if file.feed == "meters_north")
    versions = [drop for drop in plant.platform.ledger.view().drops.values() if drop.name == name]
    assert len(versions) == 2
    return max(versions, key=lambda drop: drop.received_at)


def energy_by_day(plant: Installation) -> dict[date, Decimal]:
    return dict(
        plant.query("select day, sum(energy_kwh) from marts.fct_smart_meter_analytics group by day order by day")
    )


def content_by_day(plant: Installation, model: str) -> dict[date, tuple]:
    """Return the rows of each day, in an order of their own."""
    rows_of_day: dict[date, list[str]] = {}
    names = [name for name, *_ in plant.query(f"describe {model}")]
    for row in plant.query(f"select * from {model}"):
        rows_of_day.setdefault(row[names.index("day")], []).append(repr(row))
    return {day: tuple(sorted(rows)) for day, rows in rows_of_day.items()}


MODELS = (
    "marts.fct_smart_meter_analytics",
    "metrics.daily_consumption_metrics",
    "metrics.energy_efficiency_metrics",
)


def contents(plant: Installation) -> dict[str, dict[date, tuple]]:
    return {model: content_by_day(plant, model) for model in MODELS}


def changed_days(before: dict, after: dict) -> set[date]:
    return {
        day
        for model in MODELS
        for day in before[model].keys() | after[model].keys()
        if before[model].get(day) != after[model].get(day)
    }


def truth(utility: Simulation) -> Decimal:
    return sum((row["value_kwh"] for row in utility.truth.to_pylist()), Decimal(0))


def test_the_first_wave_reaches_the_marts_in_one_run(first):
    assert [run.job_name for run in first.instance.get_runs()] == ["publish", "delivery_days", "ingest"]
    assert set(energy_by_day(first)) == set(DAYS)
    assert first.settle() == []
    assert not marts.dimensions_stale(first.platform.lake, MartDigests(first.platform))


def published(plant: Installation) -> dict[str, list[str]]:
    """Return what a consumer sees of every mart that has days or months, row by row."""
    return consumer_rows(plant, str(plant.settings.root / FILE_KEY))


def built(plant: Installation) -> dict[str, list[str]]:
    """Return the same from the warehouse itself."""
    return consumer_rows(plant, str(plant.settings.warehouse))


def consumer_rows(plant: Installation, file: str) -> dict[str, list[str]]:
    tables = plant.warehouse.tables_in(MART_SCHEMAS).values()
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {table: sorted(map(repr, connection.execute(f"select * from {table}").fetchall())) for table in tables}


def publications(plant: Installation) -> list[dict[str, object]]:
    """Return the numbers of all publications in order."""
    records = plant.instance.fetch_materializations(dg.AssetKey(PUBLISHED_MARTS), limit=100, ascending=True).records
    return [{name: entry.value for name, entry in record.asset_materialization.metadata.items()} for record in records]


def replaced_days(plant: Installation, model: str) -> set[date]:
    """Return the days of a model that were published more than once."""
    folders = (plant.settings.root / "published" / model).iterdir()
    return {date.fromisoformat(path.name.removeprefix("day=")) for path in folders if len(list(path.iterdir())) > 1}


def test_the_run_that_builds_the_marts_publishes_them(first):
    assert len(built(first)) == 14
    assert published(first) == built(first)
    numbers, of_the_copy = publications(first)
    # Seven models by day, two by month, five dimensions.
    assert (numbers["version"], numbers["days"], numbers["parts_exported"]) == (1, 4, 7 * 4 + 2 + 5)
    assert numbers["bytes"] > 0
    assert of_the_copy["parts_exported"] == 0
    key = dg.AssetCheckKey(dg.AssetKey(PUBLISHED_MARTS), EQUALS_WAREHOUSE)
    checks = first.instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    # One for the whole, and one for each day of the run.
    assert {check.partition for check in checks if check.status.value == "SUCCEEDED"} == {None, *map(str, DAYS)}


def test_each_day_of_the_marts_has_its_event_with_its_rows(first):
    rows = dict(first.query("select day, count(*) from marts.fct_smart_meter_analytics group by day"))
    records = first.instance.fetch_materializations(
        dg.AssetKey("fct_smart_meter_analytics"), limit=100, ascending=True
    ).records
    metadata = {record.partition_key: record.asset_materialization.metadata for record in records}
    assert {day: metadata[day]["dagster/partition_row_count"].value for day in metadata} == {
        str(day): count for day, count in rows.items()
    }


def test_a_test_of_several_days_files_no_number_under_one_of_them(first):
    seen = set()
    for key in first.defs.resolve_asset_graph().asset_check_keys:
        for record in first.instance.event_log_storage.get_asset_check_execution_history(key, limit=500):
            event = record.event.dagster_event if record.event else None
            if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                continue
            evaluation = event.asset_check_evaluation_data
            if "whole_range" in evaluation.metadata:
                assert not [value for value in evaluation.metadata.values() if isinstance(value, dg.IntMetadataValue)]
                if "dagster_dbt/failed_row_count" in evaluation.metadata["whole_range"].value:
                    seen.add((key.asset_key.path[-1], record.partition is None))
    assert {("fct_smart_meter_analytics", whole) for whole in (True, False)} <= seen


def test_what_comes_later_changes_its_days_alone_and_then_every_kilowatt_hour_is_there_once(first, later, utility):
    assert changed_days(contents(first), contents(later)) == {CORRECTED, LATE}
    assert published(later) == built(later)
    # The first wave and its copy, the later one and its copy.
    assert [numbers["version"] for numbers in publications(later)] == [1, 2, 3, 4]
    assert replaced_days(later, "fct_smart_meter_analytics") == {CORRECTED, LATE}
    assert sum(energy_by_day(later).values()) == truth(utility)


def test_a_withdrawn_correction_gives_the_first_values_back_and_its_record_stays(later, withdrawn, utility):
    assert changed_days(contents(later), contents(withdrawn)) == {CORRECTED}
    assert sum(energy_by_day(withdrawn).values()) < truth(utility)
    assert withdrawn.platform.ledger.view().state(correction_of(withdrawn, utility)) == "withdrawn"


class Killed(BaseException):
    """Stands for the process being killed."""


def test_a_kill_between_dbt_and_its_record_builds_the_day_again_to_the_same_rows(withdrawn, utility, monkeypatch):
    # The correction comes once more, under the same name.
    correction = next(file for file in utility.later if file.feed == "meters_north")
    withdrawn.put(
        correction.feed, correction.content, correction.name, mtime=correction.received_at.timestamp() + 3_600
    )

    def dying(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(marts, "record_days", dying)
        with pytest.raises(Killed):
            withdrawn.settle()
    # dbt had finished: the rows are there, but nobody has said so.
    built_before = contents(withdrawn)
    # The run that died is found, and what it left undone is asked for: the marts of the day.
    (asked,) = withdrawn.tick("dirty_days")
    assert days_of_request(asked) == [CORRECTED]
    assert withdrawn.run(asked).success
    assert contents(withdrawn) == built_before
    assert sum(energy_by_day(withdrawn).values()) == truth(utility)
    assert withdrawn.settle() == []
    assert published(withdrawn) == built(withdrawn)


def test_marts_that_a_run_built_and_did_not_publish_are_published_by_a_run_of_their_own(later, monkeypatch):
    def failing(*_, **__):
        raise PublishError("the disk is full")

    version = publications(later)[-1]["version"]
    drops = [drop for drop in later.platform.ledger.view().active.values() if drop.feed == "meters_north"]
    later.platform.ledger.withdraw(max(drops, key=lambda drop: (drop.received_at, drop.name)), "wrong")
    with monkeypatch.context() as patch:
        patch.setattr("metrify_assets.orchestration.assets.published.publish", failing)
        [asked] = later.tick("dirty_days")
        assert not later.run(asked, raise_on_error=False).success
        [alone] = later.tick("dirty_days")
        assert alone.job_name == "publish"
        assert not later.run(alone, raise_on_error=False).success
    # What is wrong gets some time to be mended.
    assert later.settle() == []
    assert published(later) != built(later)
    monkeypatch.setattr(sensors, "time", SimpleNamespace(time=lambda: time.time() + 300))
    assert later.settle() == ["publish"]
    assert published(later) == built(later)
    assert publications(later)[-1]["version"] == version + 1


def test_the_notebook_runs_on_what_is_published(later, monkeypatch, tmp_path):
    monkeypatch.setenv("METRIFY_ROOT", str(later.settings.root))
    path = REPOSITORY_DIR / "docs" / "notebooks" / "marts.ipynb"
    stored = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in stored.cells)
    notebook = run_notebook(path, tmp_path)
    assert shown(notebook).count("image/png") == 3
    [versions, *_] = [output.data["text/plain"] for cell in notebook.cells for output in cell.get("outputs", ())]
    assert all(table in versions for table in published(later))
