"""Benchmark ``warehouse``: the lake is of real form, the statements by hand are dbt's, the ratios are what they say."""

from __future__ import annotations

import json
from datetime import date

import duckdb
import pandas as pd
import pytest

from benchmarks.frame import BenchmarkError, benchmark_names
from benchmarks.vee_sample import platform_at
from benchmarks.warehouse import FIGURES, ratios, require_agreement
from benchmarks.warehouse_by_hand import contents, replaced_rows, run, statements
from benchmarks.warehouse_sample import EXPORT, IMPORT, SHARDS, write_lake
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.vee.codes import Status

pytestmark = pytest.mark.seldom

POINTS = 1_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> tuple[str, dict]:
    root = str(tmp_path_factory.mktemp("warehouse"))
    return root, write_lake(root, POINTS, 28)


def _clean(root: str, day: date):
    lake = platform_at(root, SHARDS).lake
    return lake.read(lake.manifest(CLEAN_READINGS.name, day), CLEAN_READINGS.arrow)


def test_the_benchmark_is_found_by_its_name_and_its_helpers_are_none():
    assert "warehouse" in benchmark_names()
    assert not [name for name in benchmark_names() if name.startswith("warehouse_")]


def test_a_day_has_both_channels_and_every_slot_once(lake):
    rows = _clean(lake[0], date(2026, 3, 2)).to_pandas()
    assert rows["obis_code"].value_counts().to_dict() == {IMPORT: POINTS * 96, EXPORT: POINTS // 10 * 96}
    assert not rows.duplicated(list(CLEAN_READINGS.key)).any()


def test_the_day_on_which_clocks_go_forward_has_92_slots(lake):
    root, facts = lake
    assert facts["first_day"] == "2026-03-02"
    assert facts["rows_per_day"] == (POINTS + POINTS // 10) * 92
    assert _clean(root, date(2026, 3, 29)).num_rows == facts["rows_per_day"]


def test_a_slot_has_a_value_unless_it_is_missing_and_was_delivered_unless_it_is_a_gap(lake):
    rows = pd.concat([_clean(lake[0], date(2026, 3, number)).to_pandas() for number in range(2, 12)])
    assert set(rows["status"]) == {Status.MEASURED, Status.ESTIMATED, Status.MISSING}
    assert (rows["value_kwh"].isna() == (rows["status"] == Status.MISSING)).all()
    assert (rows["delivered_kwh"].isna() == (rows["reason"] == "gap")).all()
    assert (rows["received_at"].isna() == rows["delivered_kwh"].isna()).all()
    assert set(rows["method"].dropna()) == {"linear", "like_day"}


def _node(name: str, depends_on: tuple[str, ...] = (), kind: str = "model", stored: str = "table", **meta) -> dict:
    return {
        "name": name,
        "schema": "main",
        "alias": name,
        "resource_type": kind,
        "compiled_code": f"select * from (values (date '2026-03-02', 1), (date '2026-04-01', 2)) as {name} (day, x)",
        "config": {"materialized": stored, "meta": meta},
        "depends_on": {"nodes": depends_on},
    }


def test_statements_come_in_the_order_of_what_they_read_and_leave_out_what_dbt_did_not_build():
    nodes = {
        "test.of_b": _node("of_b", ("model.b",), kind="test"),
        "model.b": _node("b", ("model.a", "seed.c"), stored="incremental"),
        "model.a": _node("a", stored="view"),
        "seed.c": _node("c", kind="seed"),
        "model.other": _node("other"),
    }
    records = statements(nodes, ["2026-03-02"], {"a", "b", "c", "of_b"}, 1)
    assert [(record["name"], record["kind"]) for record in records] == [
        ("main.a", "view"),
        ("main.b", "days"),
        ("of_b", "test"),
    ]


def test_days_and_months_that_a_run_replaces():
    days = ["2026-03-30", "2026-03-31"]
    assert replaced_rows({}, days[:1]) == "day in (cast('2026-03-30' as date))"
    after = "day in (cast('2026-03-30' as date), cast('2026-03-31' as date), cast('2026-04-01' as date))"
    assert replaced_rows({"days_after": 1}, days) == after
    assert replaced_rows({"replaces": "month"}, days) == "month in (cast('2026-03-01' as date))"


def test_slots_come_in_some_days_at_a_time():
    days = ["2026-03-02", "2026-03-03", "2026-03-04"]
    (statement,) = statements({"model.b": _node("b", stored="incremental", reads_slots=True)}, days, {"b"}, 2)
    delete, first, second = statement["sql"].split("; ")
    assert delete.endswith(f"where {statement['where']}")
    assert first.endswith("where day in (cast('2026-03-02' as date), cast('2026-03-03' as date))")
    assert second.endswith("where day in (cast('2026-03-04' as date))")


def test_the_statements_run_and_their_rows_can_be_compared(tmp_path):
    nodes = {"model.b": _node("b", stored="incremental"), "test.b": _node("of_b", ("model.b",), kind="test")}
    warehouse = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(warehouse) as connection:
        connection.execute("create table main.b (x integer, day date)")
        connection.execute("insert into main.b values (7, date '2026-03-02'), (8, date '2026-03-05')")
    records = statements(nodes, ["2026-03-02"], {"b", "of_b"}, 1)
    (tmp_path / "statements.json").write_text(json.dumps(records))
    assert run(warehouse, str(tmp_path))["seconds"] > 0
    with duckdb.connect(warehouse, read_only=True) as connection:
        rows = connection.execute("select day, x from main.b order by x").fetchall()
    assert rows == [(date(2026, 3, 2), 1), (date(2026, 4, 1), 2), (date(2026, 3, 5), 8)]
    # Of the table the rows of the day are compared, not all.
    assert contents(warehouse, str(tmp_path))["main.b"][0] == 1


def test_the_constant_is_taken_off_the_run_and_told():
    seconds = {
        "empty": 6.0,
        "empty_by_hand": 1.0,
        "day": 17.0,
        "day_publish": 2.0,
        "day_by_hand": 10.0,
        "day_by_hand_test": 3.0,
        "range": 305.0,
        "range_by_hand": 250.0,
        "range_by_hand_test": 40.0,
        "day_60": 18.7,
    }
    figures = ratios(seconds, 30)
    assert figures["constant_seconds"] == 5.0
    assert (figures["ratio_day"], figures["ratio_day_whole"]) == (1.2, 1.7)
    assert (figures["ratio_range"], figures["ratio_range_whole"]) == (1.2, 1.22)
    assert figures["range_seconds_per_day"] == 10.167
    assert (figures["ratio_growth"], figures["day_publish_seconds"]) == (1.1, 2.0)
    assert not figures.keys() - FIGURES.keys()


def test_sides_that_hold_other_rows_are_not_compared():
    require_agreement("day", {"main.b": [1, "5"]}, {"main.b": [1, "5"]})
    with pytest.raises(BenchmarkError, match="day: dbt and the SQL by hand disagree"):
        require_agreement("day", {"main.b": [1, "5"]}, {"main.b": [1, "6"]})
