"""The marts published into a bucket: what is written there, and what a query makes of it."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrify_assets.published.catalog import CATALOG_KEY, STATE_KEY
from metrify_assets.published.consumer import SCRIPT_KEY
from metrify_assets.published.publish import ForceExport, stale_publication
from metrify_assets.published.query import answer, open_published
from tests.s3_server import Sender, s3_settings
from tests.small_marts import MODELS, SmallMarts, small_marts

pytest_plugins = ["tests.s3_fixtures"]

DAYS = [date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)]


@pytest.fixture
def plant(tmp_path: Path, sender: Sender) -> SmallMarts:
    marts = small_marts(tmp_path / "metrify", **s3_settings(sender))
    marts.build({DAYS[0]: {"A": "1.5", "B": "2.25"}, DAYS[1]: {"A": "0.000001", "B": None}, DAYS[2]: {"A": "3"}})
    marts.publish()
    return marts


def objects(sender: Sender) -> dict[str, tuple]:
    """Return every published object with what changes when it is written."""
    return {item.key: (item.etag, item.modified_at) for page in sender.bucket.pages("published/") for item in page}


def rows(plant: SmallMarts, sql: str) -> list[dict]:
    with open_published(plant.platform) as connection, answer(connection, sql) as reader:
        return reader.read_all().to_pylist()


def answers(plant: SmallMarts) -> dict[str, list[tuple]]:
    return {
        model.table: sorted((tuple(row.values()) for row in rows(plant, f"from {model.table}")), key=repr)
        for model in MODELS
    }


def test_a_query_reads_every_row_from_the_bucket(plant, sender):
    rows_of_table, expected = answers(plant), plant.expected()
    # Another name of the same zone.
    assert rows_of_table.keys() == expected.keys()
    for table, rows in expected.items():
        assert [[str(value).replace("+00:00", "") for value in row] for row in rows_of_table[table]] == [
            [str(value).replace("+00:00", "") for value in row] for row in rows
        ]
    keys = objects(sender)
    assert {CATALOG_KEY, STATE_KEY, SCRIPT_KEY} == {key for key in keys if key.count("/") == 1}
    assert len(keys) == 9 + 3


def test_publishing_again_writes_nothing_and_a_correction_its_files_alone(plant, sender):
    before = objects(sender)
    plant.publish()
    assert objects(sender) == before
    assert stale_publication(plant.platform) is None
    plant.build({DAYS[2]: {"A": "4"}})
    plant.publish()
    after = objects(sender)
    assert {key.rpartition("/")[0] for key in after.keys() - before.keys()} == {
        "published/daily/day=2026-04-01",
        "published/monthly/month=2026-04-01",
    }
    # Readers of the version before still find its files.
    assert before.keys() <= after.keys()
    [row] = rows(plant, "select sum(energy_kwh) as kwh from daily where day = '2026-04-01'")
    [version] = rows(plant, "select distinct version from _published")
    assert (row["kwh"], version["version"]) == (4, 2)


def test_what_is_compared_is_the_object_and_not_the_copy_that_was_uploaded(plant, sender, monkeypatch):
    seen = answers(plant)
    plant.build({DAYS[2]: {"A": "4"}})
    store = plant.platform.store
    keep = store.keep

    def keep_and_change(temporary: Path, key: str) -> None:
        """Change the text of an uploaded file of days; the copy that stays here is the right one."""
        table = pq.ParquetFile(temporary).read()
        keep(temporary, key)
        if "/daily/" in key:
            sink = pa.BufferOutputStream()
            pq.write_table(table.set_column(0, table.schema.field(0), pa.array(["X"])), sink)
            sender.bucket.put(key, sink.getvalue().to_pybytes())

    monkeypatch.setattr(store, "keep", keep_and_change)
    [difference] = plant.publish().differences
    assert (difference.table, list(difference.facts)) == ("metrics.daily", ["content"])
    assert answers(plant) == seen


def test_publishing_everything_mends_an_object_that_was_damaged(plant, sender):
    before = objects(sender)
    [damaged] = [key for key in before if key.startswith("published/daily/day=2026-04-01/")]
    whole = plant.platform.store.read(damaged)
    sender.bucket.put(damaged, whole[:-20])
    assert plant.publish(ForceExport(everything=True)).differences == ()
    assert plant.platform.store.read(damaged) == whole
    assert {key: state[0] for key, state in objects(sender).items()} == {key: state[0] for key, state in before.items()}


def test_a_filter_on_the_day_leaves_other_files_unopened(plant, sender):
    for key in objects(sender):
        if "/day=" in key and "2026-04-01" not in key:
            plant.platform.store.delete(key)
    [row] = rows(plant, "select count(*) as n from daily where day = date '2026-04-01'")
    assert row == {"n": 1}


def test_the_script_makes_the_same_views_for_those_who_read_s3_themselves(plant, sender, tmp_path):
    script = plant.platform.store.read(SCRIPT_KEY).decode()
    assert f"s3://{sender.bucket.name}/" in script
    # As DuckDB's extension would fetch them.
    for key in objects(sender):
        if key.endswith(".parquet"):
            with plant.platform.store.reading(key) as copy:
                target = tmp_path / "bucket" / key
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(copy, target)
    local = script.replace(plant.platform.store.uri("published"), str(tmp_path / "bucket" / "published"))
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(local)
        for model in MODELS:
            stored = connection.execute(f"select * from {model.table}").fetchall()
            assert sorted(stored, key=repr) == plant.expected()[model.table]


def test_queries_cannot_reach_beyond_the_marts(plant, tmp_path):
    with open_published(plant.platform) as connection:
        for sql in (f"copy (select 1) to '{tmp_path}/x.csv'", "select * from read_text('/etc/hostname')"):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
