"""What is compared: every column of every row of a file, and what the warehouse counts itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.errors import PublishError
from metrify_assets.published import export
from metrify_assets.published.catalog import Part
from metrify_assets.published.compare import ContentDigest, facts_query, file_facts
from metrify_assets.published.export import write_rows
from metrify_assets.published.publish import ForceExport, publish
from metrify_assets.storage.object_store import LocalObjectStore
from metrify_assets.warehouse.warehouse import DuckDBWarehouse
from tests.small_marts import DAILY, DIMENSION, MODELS, MONTHLY, SmallMarts
from tests.unit.published.conftest import DAYS
from tests.unit.published.test_export import PERIOD, rows

pytestmark = pytest.mark.slow

CELLS = st.fixed_dictionaries(
    {
        "point_id": st.text(max_size=4),
        "day": st.dates(),
        "energy_kwh": st.none() | st.decimals(-9, 9, places=6),
        "peak_at": st.none() | st.datetimes(timezones=st.just(UTC)),
        "slots": st.integers(-(2**31), 2**31 - 1),
        "share": st.none() | st.floats(),
        "complete": st.none() | st.booleans(),
    }
)


def digest(*tables: pa.Table) -> str:
    content = ContentDigest()
    for table in tables:
        content.add(table)
    return content.text


@given(st.lists(CELLS, max_size=20), st.data())
def test_equal_rows_have_equal_digests_whatever_buffers_they_lie_in(cells, data):
    whole = pa.Table.from_pylist(cells, schema=DAILY.arrow)
    first = data.draw(st.integers(0, len(cells)))
    last = data.draw(st.integers(first, len(cells)))
    inside = whole.slice(first, last - first)
    assert digest(inside) == digest(pa.Table.from_pylist(cells[first:last], schema=DAILY.arrow))
    pieces = pa.concat_tables([whole.slice(0, first), whole.slice(first)])
    assert digest(pieces) == digest(whole)


def test_values_beneath_nulls_do_not_count():
    values = pa.array([1, 2, 3], pa.int32())
    masked = pa.Array.from_buffers(pa.int32(), 3, [pa.py_buffer(bytes([0b101])), values.buffers()[1]])
    assert masked.to_pylist() == [1, None, 3]
    assert digest(pa.table({"x": masked})) == digest(pa.table({"x": pa.array([1, None, 3], pa.int32())}))


OTHER = {
    "point_id": "P9",
    "day": date(2026, 4, 1),
    "energy_kwh": Decimal("0.000009"),
    "peak_at": datetime(2026, 3, 31, 23, tzinfo=UTC),
    "slots": 77,
    "share": 0.123,
    "complete": None,
}


@pytest.mark.parametrize("name", OTHER)
def test_one_other_cell_of_any_column_makes_another_digest(name):
    table = rows(5)
    cells = table.to_pylist()
    cells[3][name] = OTHER[name]
    assert digest(pa.Table.from_pylist(cells, schema=DAILY.arrow)) != digest(table)


def test_order_text_boundaries_and_types_count():
    def text(*values: str | None) -> str:
        return digest(pa.table({"x": pa.array(values, pa.string())}))

    assert len({text("ab", "c"), text("a", "bc"), text("c", "ab"), text("abc", ""), text("abc", None)}) == 5
    assert digest(pa.table({"x": pa.array([1], pa.int32())})) != digest(
        pa.table({"x": pa.array([1.4e-45], pa.float32())})
    )


def test_rows_values_and_sums_are_those_of_the_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(export, "ROW_GROUP_ROWS", 4)
    store = LocalObjectStore(tmp_path)
    with store.writing("file") as temporary:
        count, content = write_rows([rows(10)], DAILY, PERIOD, temporary)
    facts = file_facts(store, DAILY, Part("file", 10, 1, "d", "s"))
    # 1 + 2 + 4 + 5 + 7 + 8 millionths; every third is null. 0 + 1 + ... + 9.
    assert (count, facts["rows"], facts["values of energy_kwh"], facts["values of point_id"]) == (10, 10, 6, 10)
    assert (facts["sum of energy_kwh"], facts["sum of slots"]) == (Decimal("0.000027"), 45)
    assert facts["content"] == content
    assert "sum of share" not in facts
    with store.writing("unknown") as temporary:
        write_rows([rows(1)], DAILY, PERIOD, temporary)
    assert file_facts(store, DAILY, Part("unknown", 1, 1, "d", "s"))["sum of energy_kwh"] is None
    nothing = file_facts(store, DAILY, Part("", 0, 0, "d", "s"))
    assert (nothing["rows"], nothing["sum of slots"], nothing["values of slots"]) == (0, None, 0)


def test_one_query_asks_the_warehouse_for_all_parts_of_a_model():
    assert facts_query(DIMENSION, [""]) == "select null, count(*), count(point_id), count(since) from marts.dim_points"
    assert facts_query(MONTHLY, ["2026-03-01", "2026-04-01"]) == (
        "select month, count(*), sum(energy_kwh), count(point_id), count(month), count(energy_kwh) "
        "from metrics.monthly where month in (cast('2026-03-01' as date), cast('2026-04-01' as date)) group by month"
    )


class Twisted(DuckDBWarehouse):
    """A warehouse of which a column changes on its way."""

    column, change = 0, staticmethod(lambda values: values)

    @contextmanager
    def reading(self) -> Iterator[Callable]:
        with super().reading() as ask:

            def twisted(query: str) -> Iterator[pa.Table]:
                for table in ask(query):
                    if "from metrics.daily where" in query and "order by" in query:
                        name = table.column_names[self.column]
                        table = table.set_column(self.column, name, self.change(table[name]))
                    yield table

            yield twisted


@pytest.mark.parametrize(
    ("column", "change", "fact"),
    [
        (2, lambda values: pc.fill_null(values, Decimal("0.000000")), "values of energy_kwh 2 in the file, 1 in"),
        (4, lambda values: pc.add(values, pa.scalar(1, pa.int32())), "sum of slots 194 in the file, 192 in"),
        (5, lambda values: pa.nulls(len(values), pa.float64()), "values of share 0 in the file, 2 in the marts"),
    ],
)
def test_a_column_that_changes_on_its_way_from_the_warehouse_is_noticed(plant, column, change, fact):
    plant.publish()
    seen = plant.seen()
    plant.build({DAYS[1]: {"A": "0.5", "B": None}})
    twisted = Twisted(plant.warehouse.path)
    twisted.column, twisted.change = column, change
    [difference] = publish(plant.platform, twisted, MODELS).differences
    assert str(difference).startswith(f"metrics.daily 2026-03-31: {fact}")
    assert plant.seen() == seen


def rewritten(path: Path) -> None:
    """Change text and floats of a file: neither its rows nor its sums."""
    table = pq.ParquetFile(path).read()
    if "share" in table.column_names:
        count = table.num_rows
        table = table.set_column(0, table.schema.field(0), pa.array([f"X{n}" for n in range(count)]))
        table = table.set_column(5, table.schema.field(5), pa.array([9.0] * count))
        pq.write_table(table, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def scribbled(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def renamed(path: Path) -> None:
    pq.write_table(pa.table({"other": [1]}), path)


class Careless(LocalObjectStore):
    """A store in which files change right after they were written."""

    def __init__(self, root: Path, change: Callable[[Path], None]):
        super().__init__(root)
        self.change = change

    def keep(self, temporary: Path, key: str) -> None:
        super().keep(temporary, key)
        if key.endswith(".parquet"):
            self.change(Path(self.uri(key)))


def careless(plant: SmallMarts, change: Callable[[Path], None]) -> SmallMarts:
    plant.platform.__dict__["store"] = Careless(plant.platform.settings.root, change)
    return plant


def test_a_file_whose_rows_are_not_those_that_were_read_is_not_published(plant):
    done = careless(plant, rewritten).publish()
    assert [(difference.table, difference.period, list(difference.facts)) for difference in done.differences] == [
        ("metrics.daily", day.isoformat(), ["content"]) for day in DAYS
    ]
    assert not plant.file.exists()


@pytest.mark.parametrize("change", [cut, emptied, scribbled, renamed, Path.unlink])
def test_a_file_that_cannot_be_read_back_is_not_published(plant, change):
    with pytest.raises(PublishError, match=r"\.parquet is missing or damaged: run `metrify publish --all`"):
        careless(plant, change).publish()
    assert not plant.file.exists()


@pytest.mark.parametrize("change", [rewritten, cut, emptied, scribbled, renamed, Path.unlink])
def test_publishing_everything_mends_files_that_were_damaged(plant, change):
    plant.publish()
    before = plant.files()
    [file] = (plant.folder / "daily" / "day=2026-03-30").iterdir()
    [whole] = (plant.folder / "daily" / "day=2026-03-31").iterdir()
    change(file)
    done = plant.publish(ForceExport(everything=True))
    assert (done.differences, done.catalog.version) == ((), 1)
    assert plant.seen() == plant.expected()
    name = str(whole.relative_to(plant.folder))
    assert plant.files()[name] == before[name]
