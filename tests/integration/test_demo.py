"""The demo with Dagster's daemon, sensors, run queue and run processes: nothing is in this process but the counting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal

import duckdb
import pytest

pytestmark = [pytest.mark.dbt, pytest.mark.daemon, pytest.mark.timeout(600)]

POINTS, DAYS = 12, 2


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def demo(root) -> dict:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("METRIFY_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "metrify_assets.cli.main", "demo", f"--points={POINTS}", f"--days={DAYS}", "--json"],
        env={**environment, "METRIFY_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def first(root) -> dict:
    return demo(root)


@pytest.fixture(scope="module")
def second(root, first) -> dict:
    return demo(root)


def test_every_value_is_read_or_quarantined(first):
    assert first["values_delivered"] == first["values_raw"] + first["values_quarantined"]
    assert first["values_delivered"] > 0


def test_no_check_fails(first):
    assert first["checks"]["failed"] == 0
    assert first["checks"]["passed"] > 0


def test_every_slot_of_every_channel_is_in_the_clean_table(first, root):
    with duckdb.connect() as connection:
        truth = connection.execute(f"select count(*), sum(value_kwh) from '{root}/simulated/truth.parquet'").fetchall()[
            0
        ]
    assert first["clean_slots"] == truth[0]
    assert sum(first["slots"].values()) == truth[0]


def test_measured_energy_without_an_injected_fault_is_the_true_energy(first, root):
    """Labelled slots aside, what the platform calls measured is what the simulator drew, to the last digit."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""
            with labels as (
                select distinct point_id, obis_code, interval_start from '{root}/simulated/labels.parquet'
            )
            select count(*), sum(clean.value_kwh - truth.value_kwh)
            from '{root}/lake/clean_readings/*/*.parquet' as clean
            join '{root}/simulated/truth.parquet' as truth using (point_id, obis_code, interval_start)
            anti join labels using (point_id, obis_code, interval_start)
            where clean.status = 'measured'
            """
        ).fetchall()[0]
    assert rows[0] > 0.9 * first["clean_slots"]
    assert rows[1] == Decimal(0)


def test_the_marts_hold_a_row_per_channel_and_day(first, root):
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        channels, days = connection.execute(
            "select count(distinct (point_id, obis_code)), count(distinct day) from metrics.daily_consumption_metrics"
        ).fetchall()[0]
    assert days == DAYS
    assert first["marts"]["daily_consumption_metrics"] == channels * days
    assert channels >= POINTS


def test_the_demo_ends_with_published_marts(first, root):
    with duckdb.connect(str(root / "published" / "metrify.duckdb"), read_only=True) as connection:
        connection.execute("set search_path = 'marts,metrics'")
        rows = {name: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in first["marts"]}
    assert rows == first["marts"]


def test_a_second_demo_changes_nothing(first, second):
    assert first["changed"]
    assert not second["changed"]
    assert {name: second[name] for name in ("drops", "values_raw", "slots", "marts")} == {
        name: first[name] for name in ("drops", "values_raw", "slots", "marts")
    }


def test_the_runs_are_in_the_history_with_the_sensors_that_asked_for_them(first, root):
    import dagster as dg

    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(root / "dagster")
    try:
        with dg.DagsterInstance.get() as instance:
            runs = [(run.job_name, run.tags.get("dagster/sensor_name"), run.status) for run in instance.get_runs()]
    finally:
        if before is None:
            del os.environ["DAGSTER_HOME"]
        else:
            os.environ["DAGSTER_HOME"] = before
    assert ("ingest", "drops", dg.DagsterRunStatus.SUCCESS) in runs
    assert ("delivery_days", "dirty_days", dg.DagsterRunStatus.SUCCESS) in runs
    assert all(status == dg.DagsterRunStatus.SUCCESS for _, _, status in runs)
