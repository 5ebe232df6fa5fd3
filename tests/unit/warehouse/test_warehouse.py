from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from metrify_assets.errors import WarehouseError
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.warehouse.warehouse import DuckDBWarehouse, LakePart, Relation, RowCounts

DAYS = [date(2026, 3, 1), date(2026, 3, 2)]


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "sub" / "warehouse.duckdb")


def part(table: str, day: date | None, *files: str) -> LakePart:
    return LakePart(table, day, "digest", files, 1)


def prepare_build(warehouse: DuckDBWarehouse, parts: list[LakePart], days: list[date]) -> None:
    warehouse.prepare_build(parts, days, lambda keys: [f"/lake/{key}" for key in keys], "run 1")


def test_a_file_tells_the_mark_of_the_last_run_and_one_that_no_run_wrote_tells_none(warehouse):
    assert warehouse.mark() is None
    assert not warehouse.exists
    with warehouse.connect():
        pass
    assert warehouse.mark() is None
    prepare_build(warehouse, [], DAYS)
    assert warehouse.mark() == "run 1"
    warehouse.prepare_build([], DAYS, list, "run 2")
    assert warehouse.mark() == "run 2"


def test_the_file_is_made_when_it_is_first_opened(warehouse):
    assert not warehouse.exists
    with warehouse.connect() as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]
    assert warehouse.exists


def test_rows_come_in_order_with_instants_in_utc(warehouse):
    with warehouse.connect():
        pass
    query = "select i, '2026-03-29 03:00:00+02'::timestamptz as at from range(300000) t(i) order by i desc"
    with warehouse.reading() as ask:
        tables = list(ask(query))
        assert [row for table in ask("select 1 as one") for row in table.to_pylist()] == [{"one": 1}]
    assert len(tables) > 1
    assert [value for table in tables for value in table["i"].to_pylist()] == list(range(299_999, -1, -1))
    assert tables[0]["at"][0].as_py().isoformat() == "2026-03-29T01:00:00+00:00"


def test_an_answer_that_was_not_read_to_its_end_does_not_keep_the_file_open(warehouse):
    with warehouse.connect():
        pass

    def fail_half_way() -> None:
        with warehouse.reading() as ask:
            rows = ask("select * from range(1000000)")
            next(rows)
            raise RuntimeError

    # What was raised holds on to the frames, and so to the answer.
    with pytest.raises(RuntimeError) as raised:
        fail_half_way()
    with warehouse.connect() as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]
    assert raised.traceback


def test_a_connection_is_closed_after_an_error(warehouse):
    with pytest.raises(RuntimeError), warehouse.connect():
        raise RuntimeError
    # In one process two configurations conflict.
    with warehouse.connect(), pytest.raises(WarehouseError, match="in another mode"), warehouse.connect(read_only=True):
        pass
    with warehouse.connect(read_only=True) as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]


def test_what_dbt_is_to_read_is_replaced_at_once(warehouse):
    prepare_build(warehouse, [part("clean_readings", DAYS[0], "a", "c"), part("points", None, "p")], DAYS)
    prepare_build(warehouse, [part("clean_readings", DAYS[0], "b")], DAYS[1:])
    with warehouse.connect(read_only=True) as connection:
        assert connection.execute("select * from metrify.lake_files").fetchall() == [
            ("clean_readings", DAYS[0], "/lake/b")
        ]
        assert connection.execute("select day from metrify.requested_days").fetchall() == [(DAYS[1],)]


def test_files_that_lack_a_column_of_their_table_are_named_and_opened_once(warehouse, tmp_path):
    whole, older, damaged = (tmp_path / f"{name}.parquet" for name in ("whole", "older", "damaged"))
    pq.write_table(CLEAN_READINGS.empty(), whole)
    pq.write_table(CLEAN_READINGS.empty().drop(["variance_kwh2"]), older)
    damaged.write_bytes(b"no Parquet at all")
    parts = [part("clean_readings", DAYS[0], *map(str, (whole, older, damaged)))]
    for _ in range(2):
        warehouse.prepare_build(parts, DAYS, list, "run 1")
        with warehouse.connect(read_only=True) as connection:
            lacking = connection.execute("select path from metrify.stored_columns where lacks_columns").fetchall()
        assert lacking == [(str(older),)]
        # A file is named by its content: what was found of it holds.
        older.unlink(missing_ok=True)


def test_a_build_of_nothing_can_be_prepared(warehouse):
    prepare_build(warehouse, [], [])
    with warehouse.connect(read_only=True) as connection:
        assert connection.execute("select count(*) from metrify.lake_files").fetchall() == [(0,)]


def test_rows_are_counted_by_table_and_by_day(warehouse):
    with warehouse.connect() as connection:
        connection.execute("create table fact as select date '2026-03-01' as day union all select date '2026-03-09'")
    assert warehouse.row_counts({"fct": "fact"}) == {"fct": 2}
    whole, part = Relation("fact", "day"), Relation("fact", "day", whole=False)
    assert warehouse.count_rows({"a": whole, "b": part, "c": Relation("fact")}, DAYS) == {
        "a": RowCounts(2, {DAYS[0]: 1, DAYS[1]: 0}),
        "b": RowCounts(None, {DAYS[0]: 1, DAYS[1]: 0}),
        "c": RowCounts(2, {}),
    }
    assert warehouse.count_rows({"a": whole}, []) == {"a": RowCounts(2, {})}


def test_rows_of_a_table_by_month_are_those_of_each_days_month(warehouse):
    with warehouse.connect() as connection:
        connection.execute("create table fact as select date '2026-03-01' as month from range(3)")
    days = [date(2026, 3, 9), date(2026, 3, 31), date(2026, 4, 1)]
    counts = warehouse.count_rows({"fact": Relation("fact", "month")}, days)
    assert counts["fact"].by_day == dict(zip(days, (3, 3, 0), strict=True))


def test_tables_are_dropped_where_they_exist(warehouse):
    warehouse.drop(["marts.fact"])
    assert not warehouse.exists
    with warehouse.connect() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.fact as select 1")
        connection.execute("create table marts.other as select 1")
    warehouse.drop(["marts.fact", "metrics.never_built"])
    assert warehouse.tables_in(["marts"]) == {"other": "marts.other"}


def test_a_file_that_is_open_elsewhere_is_told_in_one_line(warehouse):
    with warehouse.connect():
        pass
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(warehouse.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "open\n"
        for read_only in (False, True):
            with pytest.raises(WarehouseError) as caught, warehouse.connect(read_only=read_only):
                pass
            assert "is open in another process: close it" in str(caught.value)
            assert "\n" not in str(caught.value)
    finally:
        holder.communicate("")
    with warehouse.connect(read_only=True):
        pass


def test_a_file_that_is_no_database_is_told_in_one_line(warehouse):
    warehouse.path.parent.mkdir()
    warehouse.path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(WarehouseError) as caught, warehouse.connect():
        pass
    assert "cannot be opened, it is no DuckDB file" in str(caught.value)
    assert "delete it, and the marts are built again" in str(caught.value)
    assert "\n" not in str(caught.value)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_other_headers(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4_096:12_288] = bytes(byte ^ 0xFF for byte in content[4_096:12_288])
    path.write_bytes(content)


def with_other_blocks(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:12_288] + bytes(byte ^ 0x55 for byte in content[12_288:]))


@pytest.mark.parametrize("damage", [cut_in_half, with_other_headers, with_other_blocks])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_database_is_told_in_one_line_that_says_to_delete_it(warehouse, damage, read_only):
    with warehouse.connect() as connection:
        connection.execute("create table numbers as select range as number from range(100_000)")
    damage(warehouse.path)
    with pytest.raises(WarehouseError) as caught, warehouse.connect(read_only=read_only):
        pass
    assert "delete it, and the marts are built again" in str(caught.value)
    assert "\n" not in str(caught.value)
    warehouse.path.unlink()
    with warehouse.connect() as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]


def test_what_is_the_fault_of_the_system_says_nothing_of_deleting(warehouse):
    warehouse.path.mkdir(parents=True)
    with pytest.raises(WarehouseError) as caught, warehouse.connect():
        pass
    assert "delete it" not in str(caught.value)


def test_a_read_of_a_file_that_is_not_there_is_told(warehouse):
    with pytest.raises(WarehouseError, match="cannot be opened"), warehouse.connect(read_only=True):
        pass
