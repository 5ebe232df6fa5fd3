"""The text of what only Snowflake understands; the rest is run in tests/integration/test_snowflake_loads.py."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS
from metrify_assets.schemas.warehouse import WAREHOUSE_TABLES
from metrify_assets.warehouse.snowflake import statements

DAY = date(2026, 3, 1)


def test_a_table_by_day_is_transient_and_clustered_by_day():
    text = statements.create_table(CLEAN_READINGS)
    assert text.startswith("create transient table if not exists raw.clean_readings (point_id varchar, ")
    assert "interval_start timestamp_tz" in text
    assert "value_kwh number(18, 6)" in text
    assert text.endswith("day date) cluster by (day)")
    assert "cluster by" not in statements.create_table(POINTS)


def test_every_column_of_the_lake_has_a_type():
    for table in WAREHOUSE_TABLES.values():
        sqlglot.parse_one(statements.create_table(table), dialect="snowflake")
    with pytest.raises(TypeError, match="no column type"):
        statements.column_type(pa.binary())


def test_a_day_is_copied_by_name_by_logical_type_and_again_if_asked_again():
    path = statements.stage_path("clean_readings", DAY, "0a1b")
    assert path == "@raw.lake/clean_readings/2026-03-01/0a1b/"
    assert statements.stage_path("points", None, "0a1b") == "@raw.lake/points/all/0a1b/"
    assert statements.copy_into("clean_readings", path) == (
        "copy into raw.clean_readings from @raw.lake/clean_readings/2026-03-01/0a1b/ "
        "file_format = (type = parquet use_logical_type = true) match_by_column_name = case_insensitive "
        "on_error = abort_statement force = true purge = true"
    )


def test_a_delete_names_its_day():
    assert (
        statements.delete_part("clean_readings", DAY) == "delete from raw.clean_readings where day = '2026-03-01'::date"
    )
    assert statements.delete_part("points", None) == "delete from raw.points"
    assert statements.delete_load("points", None).endswith("where table_name = 'points' and day is null")


def test_text_cannot_end_its_literal():
    for text in ("it's", "back\\slash", "\\'; drop table raw.loads; --"):
        parsed = sqlglot.parse_one(f"select {statements.literal(text)}", dialect="snowflake")
        assert [node.this for node in parsed.find_all(exp.Literal)] == [text]


def test_no_day_asks_for_no_insert():
    assert statements.request_days([]) == ["delete from raw.requested_days"]
    assert statements.request_days([DAY])[1] == "insert into raw.requested_days (day) values ('2026-03-01'::date)"
