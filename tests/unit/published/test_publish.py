"""Publishing: every version whole, only what changed, whatever happens in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrify_assets.errors import PublishError, WarehouseError
from metrify_assets.platform import Platform
from metrify_assets.published import catalog as catalogs
from metrify_assets.published.catalog import UNFINISHED_KEY, read_catalog
from metrify_assets.published.models import Column, Model
from metrify_assets.published.publish import ForceExport, publish, stale_publication
from metrify_assets.settings import Settings
from metrify_assets.storage.object_store import LocalObjectStore
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.small_marts import DAILY, MODELS, SmallMarts, small_marts, sorted_rows
from tests.unit.published.conftest import DAYS

pytestmark = pytest.mark.slow


def parquet(plant: SmallMarts) -> set[str]:
    return {name for name in plant.files() if name.endswith(".parquet")}


def test_consumers_see_every_row_of_the_marts(plant):
    done = plant.publish()
    assert plant.seen() == plant.expected()
    # One dimension, three days of two daily models, two months.
    assert (done.exported, done.written, done.catalog.version) == (1 + 3 + 3 + 2, 9, 1)


def test_files_keep_the_types_of_the_contract_and_lie_by_day_and_month(plant):
    plant.publish()
    [file] = (plant.folder / "daily" / "day=2026-03-31").iterdir()
    schema = pq.read_schema(file)
    assert schema.field("energy_kwh").type == pa.decimal128(18, 6)
    assert schema.field("peak_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("day").type == pa.date32()
    assert not schema.field("point_id").nullable
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"
    assert {path.name for path in (plant.folder / "monthly").iterdir()} == {"month=2026-03-01", "month=2026-04-01"}


def test_publishing_again_writes_nothing(plant):
    plant.publish()
    before = plant.files()
    done = plant.publish()
    assert (done.exported, done.written, done.catalog.version) == (0, 0, 1)
    assert plant.files() == before
    assert stale_publication(plant.platform) is None


def test_exporting_everything_again_writes_nothing_either(plant):
    plant.publish()
    before = plant.files()
    done = plant.publish(ForceExport(everything=True))
    assert (done.exported, done.written, done.catalog.version) == (9, 0, 1)
    assert plant.files() == before


def test_a_correction_publishes_its_day_and_what_follows_from_it_alone(plant):
    plant.publish()
    before = plant.files()
    plant.build({DAYS[0]: {"A": "1.75", "B": "2.25"}})
    assert stale_publication(plant.platform)
    done = plant.publish()
    written = {name for name, state in plant.files().items() if before.get(name) != state}
    folders = {str(Path(name).parent) for name in written}
    # The score of the day after is built from both days, but comes out the same.
    assert done.exported == 4
    assert folders == {"daily/day=2026-03-30", "monthly/month=2026-03-01", "."}
    assert {name for name in written if "/" not in name} == {"catalog.json", "_state", "metrify.duckdb"}
    assert plant.seen() == plant.expected()
    assert done.catalog.version == 2


def test_a_reader_keeps_the_version_that_it_opened_and_the_next_one_sees_the_new(plant):
    plant.publish()
    old = plant.expected()
    with plant.reader() as connection:
        plant.build({DAYS[0]: {"A": "9", "B": "9"}})
        plant.publish()
        assert {model.table: sorted_rows(connection, model.table) for model in MODELS} == old
    assert plant.seen() == plant.expected() != old


def test_a_writer_of_the_marts_does_not_stop_readers(plant):
    plant.publish()
    with plant.warehouse.connect(), plant.warehouse.exclusive():
        assert plant.seen() == plant.expected()


def test_replaced_files_go_when_nobody_can_be_reading_them(plant, monkeypatch):
    plant.publish()
    first = parquet(plant)
    plant.build({DAYS[2]: {"A": "4"}})
    done = plant.publish()
    replaced = first - {file.removeprefix("published/") for file in done.catalog.files}
    assert {name.split("/")[0] for name in replaced} == {"daily", "monthly"}
    assert replaced < parquet(plant)
    monkeypatch.setattr(catalogs, "KEPT_REPLACED", timedelta(0))
    plant.publish()
    assert parquet(plant) == {file.removeprefix("published/") for file in done.catalog.files}
    assert plant.seen() == plant.expected()


def test_a_file_that_comes_back_is_not_removed_for_having_been_replaced_once(plant, monkeypatch):
    plant.publish()
    plant.build({DAYS[2]: {"A": "4"}})
    plant.publish()
    plant.build({DAYS[2]: {"A": "3"}})
    monkeypatch.setattr(catalogs, "KEPT_REPLACED", timedelta(0))
    plant.publish()
    assert plant.seen() == plant.expected()


def test_a_day_that_lost_its_rows_is_published_as_a_day_without_rows(plant):
    plant.publish()
    plant.build({DAYS[2]: {}})
    done = plant.publish()
    assert plant.seen() == plant.expected()
    assert done.catalog.models["metrics.daily"].parts["2026-04-01"].rows == 0


def test_a_model_without_any_row_has_its_columns_and_types(tmp_path):
    empty = small_marts(tmp_path)
    empty.build({DAYS[0]: {}})
    empty.publish()
    with empty.reader() as connection:
        assert connection.execute("select count(*), sum(energy_kwh) from metrics.daily").fetchall() == [(0, None)]
        types = dict(row[:2] for row in connection.execute("describe metrics.daily").fetchall())
    assert types["energy_kwh"] == "DECIMAL(18,6)"
    assert types["peak_at"] == "TIMESTAMP WITH TIME ZONE"


def test_the_file_explains_itself(plant):
    plant.publish()
    with plant.reader() as connection:
        views = dict(connection.execute("select view_name, comment from duckdb_views() where not internal").fetchall())
        columns = connection.execute(
            "select column_name, comment from duckdb_columns() where table_name = 'daily'"
        ).fetchall()
        version = connection.execute(
            "select version, cut_by, first_period, last_period, periods, row_count from _published "
            "where mart = 'metrics.daily'"
        ).fetchall()
    assert views == {model.name: model.description for model in MODELS}
    assert dict(columns) == {column.name: column.description for column in DAILY.columns}
    assert version == [(1, "day", DAYS[0], DAYS[2], 3, 5)]


def test_a_changed_description_is_a_new_version_without_a_new_file(plant):
    plant.publish()
    before = parquet(plant)
    described = Model(**{**vars_of(DAILY), "description": "Something else."})
    done = plant.publish(models=(described, *(model for model in MODELS if model is not DAILY)))
    assert (done.exported, done.written, done.catalog.version) == (0, 0, 2)
    assert parquet(plant) == before


def vars_of(model: Model) -> dict:
    return {name: getattr(model, name) for name in model.__dataclass_fields__}


def test_a_changed_column_exports_its_model_anew_and_no_other(plant):
    plant.publish()
    with plant.warehouse.connect() as connection:
        connection.execute("alter table metrics.daily add column colour varchar")
    wider = Model(**{**vars_of(DAILY), "columns": (*DAILY.columns, Column("colour", "varchar", "A colour."))})
    done = plant.publish(models=(wider, *(model for model in MODELS if model is not DAILY)))
    assert (done.exported, done.written) == (3, 3)
    with plant.reader() as connection:
        assert connection.execute("select count(*), count(colour) from metrics.daily").fetchall() == [(5, 0)]


def test_a_day_that_a_run_built_is_exported_though_its_inputs_are_the_same(plant):
    """The SQL of a model was changed: what it was built from was not."""
    plant.publish()
    with plant.warehouse.connect() as connection:
        connection.execute("update metrics.daily set share = 0.25")
    assert plant.publish().written == 0
    assert plant.publish(ForceExport(days=(DAYS[0],))).written == 1
    assert plant.publish(ForceExport(everything=True)).written == 2


def test_dimensions_are_exported_again_when_asked_or_when_a_registry_changed(plant):
    plant.publish()
    with plant.warehouse.connect() as connection:
        connection.execute("insert into marts.dim_points values ('C', null)")
    assert plant.publish().exported == 0
    assert plant.publish(ForceExport(dimensions=True)).written == 1
    plant.platform.lake.publish(marts.MARTS, None, {0: marts.Shard("", 0, "other", {})})
    assert plant.publish().exported == 1


def test_a_lost_warehouse_takes_nothing_from_consumers(plant):
    plant.publish()
    seen = plant.seen()
    plant.warehouse.path.unlink()
    marts.invalidate_all(plant.platform.store)
    assert stale_publication(plant.platform) is None
    with pytest.raises(PublishError, match="metrify recompute"):
        plant.publish()
    assert plant.seen() == seen
    # One day is built anew: the others stay published until they are.
    again = SmallMarts(plant.platform, plant.warehouse)
    again.build({DAYS[0]: {"A": "7"}})
    again.publish()
    with plant.reader() as connection:
        days = connection.execute("select day, sum(energy_kwh) from metrics.daily group by day order by day").fetchall()
    assert [day for day, _ in days] == DAYS
    assert days[0][1] == 7


class Lossy(DuckDBWarehouse):
    """A warehouse whose rows lose one on their way."""

    @contextmanager
    def reading(self) -> Iterator[Callable]:
        with super().reading() as ask:

            def lossy(query: str) -> Iterator[pa.Table]:
                for table in ask(query):
                    yield table.slice(1) if "from metrics.daily where" in query and "order by" in query else table

            yield lossy


def test_a_file_that_differs_from_the_warehouse_is_not_published(plant):
    plant.publish()
    seen = plant.seen()
    plant.build({DAYS[0]: {"A": "1.75", "B": "2.25"}})
    done = publish(plant.platform, Lossy(plant.warehouse.path), MODELS)
    [difference] = done.differences
    assert str(difference) == (
        "metrics.daily 2026-03-30: rows 1 in the file, 2 in the marts; sum of energy_kwh 2.250000 in the file, "
        "4.000000 in the marts; sum of slots 96 in the file, 192 in the marts and 7 more"
    )
    assert plant.seen() == seen
    assert stale_publication(plant.platform)
    assert plant.publish().differences == ()
    assert plant.seen() == plant.expected()


class Lost(DuckDBWarehouse):
    """A warehouse that another run has taken before the end."""

    def check_exclusive(self) -> None:
        raise WarehouseError("the warehouse's lease was lost meanwhile (another run took it): run it again")


def test_what_another_run_may_have_written_over_is_not_published(plant):
    plant.publish()
    seen = plant.seen()
    whole = {name: plant.files()[name] for name in ("catalog.json", "_state", "metrify.duckdb")}
    plant.build({DAYS[0]: {"A": "1.75", "B": "2.25"}})
    with pytest.raises(WarehouseError, match="lease was lost"):
        publish(plant.platform, Lost(plant.warehouse.path), MODELS)
    assert {name: plant.files()[name] for name in whole} == whole
    assert plant.seen() == seen
    assert stale_publication(plant.platform)
    plant.publish()
    assert plant.seen() == plant.expected()


SLOW = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from metrify_assets.published.publish import publish
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.small_marts import MODELS, small_marts

class Slow(DuckDBWarehouse):
    @contextmanager
    def reading(self):
        with super().reading() as ask:
            def slow(query):
                yield from ask(query)
                if "from metrics.daily where" in query:
                    print("exporting", flush=True)
                    time.sleep(600)
            yield slow

plant = small_marts(Path(sys.argv[1]))
publish(plant.platform, Slow(plant.warehouse.path), MODELS)
"""


def temporary(plant: SmallMarts) -> list[Path]:
    return list(plant.folder.rglob(".tmp-*"))


def test_what_a_process_killed_while_it_exports_has_left_is_removed_by_the_next_run(plant):
    root = plant.platform.settings.root
    with subprocess.Popen([sys.executable, "-c", SLOW, str(root)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "exporting\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    # The file of the first day, in the folder that it was to lie in.
    assert [path.parent.name for path in temporary(plant)] == ["day=2026-03-30"]
    assert stale_publication(plant.platform)
    assert plant.publish().exported == 9
    assert temporary(plant) == []
    assert plant.seen() == plant.expected()


class Killed(BaseException):
    """Stands for the process being killed."""


class Mortal(LocalObjectStore):
    """A store whose process dies before the n-th change, or right after it."""

    def __init__(self, root: Path, changes: int, *, after: bool):
        super().__init__(root)
        self.left, self.after = changes, after

    def _change(self, change: Callable[[], None]) -> None:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        change()
        if self.left < 0:
            raise Killed

    def keep(self, temporary: Path, key: str) -> None:
        self._change(lambda: super(Mortal, self).keep(temporary, key))

    def delete(self, key: str) -> None:
        self._change(lambda: super(Mortal, self).delete(key))


@pytest.mark.parametrize("after", [False, True])
def test_wherever_a_run_is_killed_consumers_have_a_whole_version_and_the_next_run_does_the_rest(plant, after):
    plant.publish()
    whole = plant.platform.store
    for step in range(100):
        before, readings = plant.expected(), dict(plant.readings)
        # Values that no version had: every file is new.
        plant.build({DAYS[0]: {"A": f"5.{step:02}", "B": "2.25"}, DAYS[2]: {"A": f"4.{step:02}"}})
        plant.platform.__dict__["store"] = Mortal(plant.platform.settings.root, step, after=after)
        survived = False
        with suppress(Killed):
            plant.publish()
            survived = True
        plant.platform.__dict__["store"] = whole
        assert plant.seen() in (before, plant.expected())
        if survived:
            break
        # What was written for a correction that is withdrawn must not be taken for what is published.
        if (step % 2 == 1) != after:
            plant.build({day: readings[day] for day in (DAYS[0], DAYS[2])})
        if stale_publication(plant.platform):
            plant.publish()
        assert plant.seen() == plant.expected()
        assert stale_publication(plant.platform) is None
        catalog = read_catalog(plant.platform.store)
        assert {f"published/{name}" for name in parquet(plant)} == catalog.files | set(catalog.retired)
    # The mark, two days, two months, the consumers' file, the catalog, the state, the mark again.
    assert step == 9


def test_a_file_for_consumers_that_was_deleted_is_made_again(plant):
    plant.publish()
    plant.file.unlink()
    assert stale_publication(plant.platform)
    assert plant.publish().exported == 0
    assert plant.seen() == plant.expected()


def test_an_installation_that_was_moved_publishes_where_it_is_now(plant, tmp_path):
    plant.publish()
    target = plant.platform.settings.root.rename(tmp_path / "elsewhere")
    moved = small_marts(target)
    moved.readings = plant.readings
    assert stale_publication(moved.platform)
    done = moved.publish()
    assert (done.exported, done.catalog.version) == (0, 2)
    assert moved.seen() == moved.expected()


class Counting(LocalObjectStore):
    """A store that notes what is read."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.keys: list[str] = []

    def read(self, key: str) -> bytes:
        self.keys.append(key)
        return super().read(key)


def test_when_nothing_is_to_be_published_finding_that_out_takes_two_small_files(plant):
    plant.publish()
    platform = Platform(plant.platform.settings)
    platform.__dict__["store"] = Counting(platform.settings.root)
    # Records of days are read once, then only those that changed.
    stale_publication(platform)
    platform.store.keys.clear()
    assert stale_publication(platform) is None
    assert platform.store.keys == ["lake/marts/_manifest.json", "published/_state"]


def test_a_catalog_that_was_deleted_is_noticed(plant):
    plant.publish()
    (plant.folder / "catalog.json").unlink()
    assert stale_publication(plant.platform)
    assert plant.publish().exported == 9
    assert stale_publication(plant.platform) is None


def test_what_is_said_of_a_model_in_yaml_alone_is_published(plant, tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    monkeypatch.setattr(Settings, "dbt_project", property(lambda settings: project))
    said = project / "models" / "daily.yml"
    said.write_text("columns: [{name: share}]")
    plant.publish()
    assert stale_publication(plant.platform) is None
    said.write_text("columns: [{name: share, constraints: [{type: not_null}]}]")
    assert stale_publication(plant.platform)
    columns = tuple(Column(**{**vars(c), "nullable": c.nullable and c.name != "share"}) for c in DAILY.columns)
    stricter = Model(**{**vars_of(DAILY), "columns": columns})
    assert plant.publish(models=(stricter, *(model for model in MODELS if model is not DAILY))).written == 3
    assert stale_publication(plant.platform) is None


@pytest.mark.parametrize("everything", [False, True])
def test_a_null_where_none_may_be_is_told_by_model_period_and_column(plant, everything):
    columns = tuple(Column(c.name, c.type, c.description, False) for c in DAILY.columns)
    with pytest.raises(PublishError) as failed:
        plant.publish(ForceExport(everything=everything), (Model(**{**vars_of(DAILY), "columns": columns}),))
    assert str(failed.value) == (
        "metrics.daily 2026-03-31: energy_kwh is null in 1 rows and must not be: correct the model, or its constraint"
    )


def test_a_value_that_its_type_cannot_hold_is_told_by_model_period_and_column(plant):
    columns = tuple(Column(c.name, "decimal(6,6)" if c.name == "energy_kwh" else c.type, "") for c in DAILY.columns)
    with pytest.raises(
        PublishError, match=r"^metrics.daily 2026-03-30: energy_kwh is no decimal128\(6, 6\) \(.*\n?.*$"
    ):
        plant.publish(models=(Model(**{**vars_of(DAILY), "columns": columns}),))


def test_a_damaged_catalog_is_told_and_mended_by_deleting_it(plant):
    plant.publish()
    (plant.folder / "catalog.json").write_text("{")
    with pytest.raises(PublishError, match=r"catalog.json is damaged .*: delete it and run `metrify publish`"):
        plant.publish()
    (plant.folder / "catalog.json").unlink()
    assert plant.publish().exported == 9
    assert plant.seen() == plant.expected()


def test_a_catalog_of_another_format_is_published_anew(plant):
    plant.publish()
    path = plant.folder / "catalog.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    assert plant.publish().exported == 9
    assert not (plant.platform.settings.root / UNFINISHED_KEY).exists()


def test_the_file_is_no_database_that_a_consumer_can_write_the_marts_in(plant):
    plant.publish()
    with plant.reader() as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("create table t (a int)")
