"""Loads of the lake into a server that speaks Snowflake's protocol, over a small lake written by the test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from metrify_assets.errors import WarehouseError
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS
from metrify_assets.schemas.table import Column, Table
from metrify_assets.schemas.warehouse import WAREHOUSE_TABLES
from metrify_assets.storage.lake import Lake
from metrify_assets.storage.object_store import LocalObjectStore
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import Session, open_session
from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from metrify_assets.warehouse.warehouse import LakePart, Relation, RowCounts
from tests.integration.snowflake_server import environment

pytestmark = pytest.mark.servers

MONDAY, TUESDAY, WEDNESDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
ARRIVED = datetime(2026, 3, 5, 6, 7, 8, 123456, tzinfo=UTC)
_databases = count(1)


def reading(day: date, point: str, value: str | None, hour: int = 0, **others: object) -> dict:
    """Return one slot of an hour."""
    return {
        "point_id": point,
        "obis_code": "1-0:1.29.0",
        "interval_start": datetime(day.year, day.month, day.day, hour, tzinfo=UTC),
        "interval_minutes": 60,
        "value_kwh": None if value is None else Decimal(value),
        "status": "missing" if value is None else "measured",
        "flags": 0,
        "version": 1,
        "received_at": ARRIVED,
        "day": day,
        **others,
    }


class Place:
    """A lake in a folder and a database of its own on the server."""

    def __init__(self, root: Path, port: int) -> None:
        self.store = LocalObjectStore(root)
        self.lake = Lake(self.store)
        self.access = SnowflakeAccess.from_env(environment(port, f"loads_{next(_databases)}"))
        self.warehouse = SnowflakeWarehouse(self.access, WAREHOUSE_TABLES)

    def publish(self, table: Table, day: date | None, *shards: Sequence[dict]) -> None:
        """Make these rows, shard by shard, what the lake holds of a day."""
        written = {}
        for number, rows in enumerate(shards):
            schema = pa.schema([field.with_nullable(True) for field in table.arrow])
            written[number] = self.lake.write_shard(
                table.name, day, number, pa.Table.from_pylist(list(rows), schema=schema)
            )
        self.lake.publish(table.name, day, written)

    @property
    def parts(self) -> list[LakePart]:
        manifests = list(self.lake.days(CLEAN_READINGS.name).values())
        manifests += [m for table in (POINTS,) if (m := self.lake.manifest(table.name, None))]
        return [LakePart(m.table, m.day, m.digest, tuple(m.files), m.rows) for m in manifests]

    def load(self, *days: date) -> None:
        self.warehouse.prepare_build(self.parts, days, self.copies, "run")

    def copies(self, keys: Sequence[str]) -> list[str]:
        return [self.store.uri(key) for key in keys]

    def query(self, sql: str) -> list[tuple]:
        with open_session(self.access, role="r", warehouse="w", tag="test") as session:
            return session.run(sql)

    def values(self) -> list[tuple]:
        """Return point, day and value of all that was loaded."""
        return self.query("select point_id, day, value_kwh from raw.clean_readings order by 1, 2, 3")

    def notes(self) -> dict[tuple[str, date | None], int]:
        """Return the rows that the bookkeeping says each day has."""
        rows = self.query("select table_name, day, row_count from raw.loads")
        assert len(rows) == len({row[:2] for row in rows})
        return {row[:2]: row[2] for row in rows}


@pytest.fixture
def place(tmp_path, snowflake_port) -> Place:
    return Place(tmp_path, snowflake_port)


@pytest.fixture
def statements(monkeypatch) -> Iterator[list[str]]:
    """Every statement that is sent from here on."""
    sent: list[str] = []
    for name in ("run", "changed", "loaded"):
        original = getattr(Session, name)

        def send(self: Session, statement: str, original=original):
            sent.append(statement)
            return original(self, statement)

        monkeypatch.setattr(Session, name, send)
    return sent


def test_a_loaded_day_is_what_the_lake_holds(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")], [reading(MONDAY, "B", "0.2")])
    place.load(MONDAY)
    assert place.values() == [("A", MONDAY, Decimal("0.1")), ("B", MONDAY, Decimal("0.2"))]
    assert place.notes() == {("clean_readings", MONDAY): 2}
    assert place.query("select day from raw.requested_days") == [(MONDAY,)]


def test_values_come_over_to_the_last_digit_and_nulls_stay_nulls(place):
    largest = "999999999999.999999"
    rows = [
        reading(MONDAY, "A", "0.000001", delivered_kwh=Decimal(f"-{largest}"), reason="ö'\"\\"),
        reading(MONDAY, "B", None, received_at=None, interval_start=datetime(2026, 3, 1, 23, tzinfo=UTC)),
        reading(MONDAY, "C", largest, flags=2**31 - 1),
    ]
    place.publish(CLEAN_READINGS, MONDAY, rows)
    place.load()
    columns = "point_id, value_kwh, delivered_kwh, reason, flags, interval_start, received_at, day"
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    assert place.query(f"select {columns} from raw.clean_readings order by 1") == [
        ("A", Decimal("0.000001"), Decimal(f"-{largest}"), "ö'\"\\", 0, midnight, ARRIVED, MONDAY),
        ("B", None, None, None, 0, datetime(2026, 3, 1, 23, tzinfo=UTC), None, MONDAY),
        ("C", Decimal(largest), None, None, 2**31 - 1, midnight, ARRIVED, MONDAY),
    ]


def test_a_registry_is_loaded_whole(place):
    def points(*names: str) -> list[dict]:
        since = {"obis_code": "1-0:1.29.0", "interval_minutes": 15, "valid_from": MONDAY, "latitude": 52.1}
        return [{"point_id": name, **since, "received_at": ARRIVED} for name in names]

    place.publish(POINTS, None, points("A", "B"))
    place.load()
    place.publish(POINTS, None, points("B", "C"))
    place.load()
    assert place.query("select point_id, latitude, valid_from, valid_to from raw.points order by 1") == [
        ("B", 52.1, MONDAY, None),
        ("C", 52.1, MONDAY, None),
    ]
    assert place.notes() == {("points", None): 2}


def test_an_unchanged_day_is_left_alone(place, statements):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")])
    place.load()
    statements.clear()
    place.load()
    assert not [sent for sent in statements if sent.startswith(("put", "copy", "delete from raw.clean"))]
    assert place.values() == [("A", MONDAY, Decimal("0.1"))]


def test_an_unchanged_day_that_is_loaded_again_is_not_emptied(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")])
    place.load()
    # The note is lost: the same files are loaded a second time.
    place.query("delete from raw.loads")
    place.load()
    assert place.values() == [("A", MONDAY, Decimal("0.1"))]
    assert place.notes() == {("clean_readings", MONDAY): 1}


def test_a_load_touches_the_changed_day_only(place, statements):
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        place.publish(CLEAN_READINGS, day, [reading(day, "A", "0.1")], [reading(day, "B", "0.2")])
    place.load()
    # A mark in the neighbouring day would not survive its being loaded again.
    place.query(f"update raw.clean_readings set value_kwh = 7 where day = '{MONDAY}' and point_id = 'A'")
    place.publish(CLEAN_READINGS, TUESDAY, [reading(TUESDAY, "A", "0.3")], [reading(TUESDAY, "B", "0.2")])
    statements.clear()
    place.load()
    writing = [sent for sent in statements if sent.startswith(("put", "copy", "delete", "insert"))]
    of_every_run = ("raw.requested_days", "raw.mark")
    assert [sent for sent in writing if str(TUESDAY) not in sent and not any(n in sent for n in of_every_run)] == []
    assert place.values() == [
        ("A", MONDAY, Decimal(7)),
        ("A", TUESDAY, Decimal("0.3")),
        ("A", WEDNESDAY, Decimal("0.1")),
        ("B", MONDAY, Decimal("0.2")),
        ("B", TUESDAY, Decimal("0.2")),
        ("B", WEDNESDAY, Decimal("0.2")),
    ]


def test_the_rows_of_a_removed_shard_are_gone(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")], [reading(MONDAY, "B", "0.2")])
    place.load()
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")])
    place.load()
    assert place.values() == [("A", MONDAY, Decimal("0.1"))]


def test_a_day_without_rows_is_empty_and_a_day_that_left_the_lake_is_forgotten(place):
    for day in (MONDAY, TUESDAY):
        place.publish(CLEAN_READINGS, day, [reading(day, "A", "0.1")])
    place.load()
    place.publish(CLEAN_READINGS, MONDAY, [])
    place.store.delete(f"lake/clean_readings/day={TUESDAY}/_manifest.json")
    place.load()
    assert place.values() == []
    assert place.notes() == {("clean_readings", MONDAY): 0}


class Killed(BaseException):
    """The process ends here."""


def test_killed_at_any_statement_a_day_is_the_old_one_or_the_new_one(place, monkeypatch):
    old = [("A", MONDAY, Decimal("0.1")), ("B", MONDAY, Decimal("0.2"))]
    new = [("A", MONDAY, Decimal("0.3")), ("C", MONDAY, Decimal("0.4"))]
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")], [reading(MONDAY, "B", "0.2")])
    place.load()
    notes = place.query("select digest from raw.loads")
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.3")], [reading(MONDAY, "C", "0.4")])
    seen = []
    for survived in range(20):
        with monkeypatch.context() as patch:
            _die_after(patch, survived)
            try:
                place.load()
            except Killed:
                pass
            else:
                break
        seen.append((place.values(), place.query("select digest from raw.loads") == notes))
    assert place.values() == new
    # Values and note change together; every crash before the commit leaves both as they were.
    assert seen.count((old, True)) + seen.count((new, False)) == len(seen)
    # Two uploads, begin, delete, copy, two statements of the note, commit; what comes after it is about other tables.
    assert [values for values, _ in seen].count(old) == 8
    assert place.notes() == {("clean_readings", MONDAY): 2}


def _die_after(patch: pytest.MonkeyPatch, statements: int) -> None:
    """Let the session send so many statements from the first upload on, and no more."""
    left = [statements]
    began = []

    def dying(original):
        def send(self: Session, statement: str):
            began.extend([True] if statement.startswith("put") else [])
            if began:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return original(self, statement)

        return send

    for name in ("run", "changed", "loaded"):
        patch.setattr(Session, name, dying(getattr(Session, name)))


def test_a_load_that_misses_rows_changes_nothing(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")])
    place.load()
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.3")])
    (part,) = place.parts
    wrong = LakePart(part.table, part.day, part.digest, part.files, 2)
    with pytest.raises(WarehouseError, match="clean_readings 2026-03-02: 1 of 2 rows were loaded, nothing was changed"):
        place.warehouse.prepare_build([wrong], [], place.copies, "run")
    assert place.values() == [("A", MONDAY, Decimal("0.1"))]


def test_a_column_that_the_lake_has_got_since_is_added_and_its_days_are_loaded_again(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "0.1")])
    place.load()
    wider = Table(
        CLEAN_READINGS.name,
        "",
        (*CLEAN_READINGS.columns, Column("remark", pa.string(), "", True)),
        CLEAN_READINGS.key,
        sharded=True,
    )
    place.publish(wider, MONDAY, [reading(MONDAY, "A", "0.1", remark="seen")])
    SnowflakeWarehouse(place.access, {wider.name: wider}).prepare_build(place.parts, [], place.copies, "run")
    assert place.query("select point_id, remark from raw.clean_readings") == [("A", "seen")]


def test_the_warehouse_exists_once_something_was_loaded(place):
    assert not place.warehouse.exists
    place.load()
    assert place.warehouse.exists
    assert SnowflakeWarehouse(place.access, {}).exists


def test_rows_are_counted_by_table_and_by_day(place):
    place.publish(CLEAN_READINGS, MONDAY, [reading(MONDAY, "A", "1"), reading(MONDAY, "A", "1", 1)])
    place.load()
    counts = place.warehouse.row_counts({"readings": "raw.clean_readings", "points": "raw.points"})
    assert counts == {"readings": 2, "points": 0}
    by_day = place.warehouse.count_rows({"readings": Relation("raw.clean_readings", "day")}, [MONDAY, TUESDAY])
    assert by_day == {"readings": RowCounts(2, {MONDAY: 2, TUESDAY: 0})}
    assert place.warehouse.tables_in(["raw"])["clean_readings"] == "raw.clean_readings"


def test_a_statement_that_is_refused_is_told_in_one_line(place):
    with pytest.raises(WarehouseError, match=r"^Snowflake \(metrifytest\)") as caught:
        place.query("select * from nowhere")
    assert "\n" not in str(caught.value)
