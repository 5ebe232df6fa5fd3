"""Every mart against an independent working-out, row by row, over the simulator's utility with its faults.

The days are those of Easter 2026, the day with 23 hours and the end of a month among them, and two days in October of
which the first has 25 hours. Thresholds differ from the defaults, so that the rows of a short period say something.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from metrify_assets.days.digests import Digests
from metrify_assets.days.grid_and_weather import compute_grid_status, compute_weather
from metrify_assets.days.power_quality import compute_power_quality
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.landing.ingest import ingest
from metrify_assets.platform import Platform
from metrify_assets.registry.registries import build_registry
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import REGISTRIES, WAREHOUSE_REGISTRIES
from metrify_assets.settings import Settings
from metrify_assets.simulator.plan import SimulationPlan
from metrify_assets.simulator.utility import simulate, write_wave
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.mart_vars import MartParameters, mart_vars
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.integration.independent_marts import Choices, Marts
from tests.workbench import Workbench

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]

FAULTS = {
    **dict.fromkeys(("short_gap_rate", "long_gap_rate", "day_gap_rate", "spike_rate", "duplicate_rate"), 0.06),
    **dict.fromkeys(("substitute_rate", "provisional_rate", "negative_rate", "zero_run_rate"), 0.06),
    "silence_rate": 0.6,
}
EASTER = SimulationPlan(
    points=8,
    days=8,
    first_day=date(2026, 3, 27),
    redelivered_day=1,
    corrected_day=2,
    late_day=3,
    power_quality_points=3,
    power_quality_fault_rate=0.7,
    **FAULTS,
)
OCTOBER = replace(EASTER, days=2, first_day=date(2026, 10, 25), redelivered_day=90, corrected_day=91, late_day=92)
DAYS = [plan.day(offset) for plan in (EASTER, OCTOBER) for offset in range(plan.days)]
PARAMETERS = MartParameters(
    completeness_threshold=0.9,
    weather_min_valid_days=0.04,
    transfer_classes=("household",),
    generation_classes=("pv",),
)
CHOICES = Choices(
    completeness=0.9, valid_days=0.04, transfer="household", generation="pv", power_quality_days=tuple(DAYS)
)
MODELS = {
    "marts.fct_smart_meter_analytics": ("point_id", "obis_code", "hour_start"),
    "metrics.daily_consumption_metrics": ("point_id", "obis_code", "day"),
    "metrics.energy_efficiency_metrics": ("point_id", "obis_code", "day"),
    "metrics.monthly_consumption_metrics": ("point_id", "obis_code", "month"),
    "metrics.weather_correlation_metrics": ("point_id", "obis_code", "month"),
    "metrics.data_quality_scorecard": ("operator_id", "day"),
    "metrics.grid_balance_metrics": ("operator_id", "day"),
    "metrics.grid_performance_metrics": ("operator_id", "day"),
    "metrics.power_quality_metrics": ("point_id", "day"),
}


def fill(platform: Platform) -> None:
    """Take in both periods and compute every day to the clean tables."""
    for plan in (EASTER, OCTOBER):
        for wave in (simulate(plan).first, simulate(plan).later):
            for path in write_wave(wave, platform.settings.inbox):
                stat = path.stat()
                ingest(platform, InboxFile(path.parent.name, path.name, stat.st_size, stat.st_mtime_ns // 1_000))
    for entity in REGISTRIES:
        build_registry(platform, entity)
    Workbench(platform).compute(*DAYS)
    digests = Digests(platform)
    for day in DAYS:
        compute_grid_status(platform, day, digests)
        compute_weather(platform, day, digests)
        compute_power_quality(platform, day, digests)


class Builder:
    """Builds days of the lake into a warehouse file of its own."""

    def __init__(self, platform: Platform, path: Path):
        self.platform, self.warehouse = platform, DuckDBWarehouse(path)

    def build(self, days: Sequence[date]) -> None:
        marts.prepare(self.platform, self.warehouse, days)
        os.environ["METRIFY_WAREHOUSE"] = str(self.warehouse.path)
        project = str(self.platform.settings.dbt_project)
        target = self.platform.settings.dbt_target
        result = dbtRunner().invoke(
            [
                *(
                    "--quiet",
                    "build",
                    "--exclude-resource-type",
                    "unit_test",
                    "--vars",
                    json.dumps(mart_vars(PARAMETERS)),
                ),
                *("--project-dir", project, "--profiles-dir", project),
                *("--target-path", str(target), "--log-path", str(target / "logs")),
            ]
        )
        DuckDBConnectionManager.close_all_connections()
        failed = [f"{r.node.name}: {r.message}" for r in result.result or () if r.status in ("error", "fail")]
        assert result.success, failed or result.exception

    def rows(self, model: str) -> dict[tuple, dict]:
        """Return the rows of a model by its key."""
        with self.warehouse.connect(read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            records = connection.execute(f"select * from {model}").to_arrow_table().to_pylist()
        return {tuple(row[name] for name in MODELS[model]): row for row in records}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(Settings(root=tmp_path_factory.mktemp("independent") / "metrify", shards=2))
    fill(platform)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRIFY_WAREHOUSE", "unset")
        patch.setenv("DO_NOT_TRACK", "1")
        yield platform


@pytest.fixture(scope="module")
def built(platform: Platform) -> Builder:
    """The warehouse after all days in one run."""
    builder = Builder(platform, platform.settings.root / "at_once.duckdb")
    builder.build(DAYS)
    return builder


@pytest.fixture(scope="module")
def expected(platform: Platform) -> Marts:
    lake = platform.lake
    tables = {
        table.name: [row for day in DAYS for row in lake.read(lake.manifest(table.name, day), table.arrow).to_pylist()]
        for table in (CLEAN_READINGS, CLEAN_GRID_STATUS, CLEAN_WEATHER, CLEAN_POWER_QUALITY)
    }
    for name, table in WAREHOUSE_REGISTRIES.items():
        tables[name] = lake.read(lake.manifest(name, None), table.arrow).to_pylist()
    return Marts(tables, CHOICES)


def same(value: object, wanted: object) -> bool:
    if isinstance(value, float) and wanted is not None:
        return value == pytest.approx(float(wanted), rel=1e-9, abs=1e-9)
    if isinstance(value, Decimal) and wanted is not None:
        # A mean temperature is rounded to four places before degree days are summed.
        return abs(value - wanted) <= (Decimal(0) if value.as_tuple().exponent == -6 else Decimal("0.001"))
    return value == wanted


@pytest.mark.parametrize("model", MODELS)
def test_every_row_is_what_an_independent_working_out_says(model, built, expected):
    rows = built.rows(model)
    wanted = {tuple(row[name] for name in MODELS[model]): row for row in getattr(expected, model.partition(".")[2])()}
    assert rows.keys() == wanted.keys()
    different = [
        (key, column, rows[key][column], value)
        for key, row in wanted.items()
        for column, value in row.items()
        if not same(rows[key][column], value)
    ]
    assert not different, (len(different), different[:5])


def test_the_utility_is_one_in_which_something_is_to_be_seen(expected):
    days = expected.days.values()
    assert {d["hours"] for d in days} == {23, 24, 25}
    assert {"measured", "estimated", "provisional", "missing"} <= {d["status"] for d in days}
    scores = expected.data_quality_scorecard()
    assert any(row["silent_points"] for row in scores)
    assert len({row["quality_tier"] for row in scores}) > 1
    assert any(row["failure_share"] for row in scores)
    assert any(row["on_time_share"] < row["completeness"] for row in scores)
    assert any(row["correlation"] is not None for row in expected.weather_correlation_metrics())
    power_quality = expected.power_quality_metrics()
    assert any(row["voltage_out_of_range_minutes"] for row in power_quality)
    assert any(row["power_factor_anomalous_minutes"] for row in power_quality)
    assert any(row["worst_voltage"] == 0 and row["highest_voltage_imbalance"] == 1 for row in power_quality)
    assert {row["loss_kwh"] is None for row in expected.grid_balance_metrics()} == {True, False}


def test_the_order_of_the_days_does_not_matter_and_a_second_run_changes_nothing(platform, built):
    other = Builder(platform, platform.settings.root / "in_pieces.duckdb")
    # The day after comes first, and a month in two parts; then one day in the middle again.
    for days in (DAYS[3:], DAYS[:3], DAYS[4:5]):
        other.build(days)
    for model in MODELS:
        assert other.rows(model) == built.rows(model), model
