"""Records of built marts speak of one warehouse: another one, or a new one, holds nothing yet."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.storage.lake import Manifest
from metrify_assets.warehouse import marts
from tests.unit.warehouse.databases import Database

DAY = date(2026, 3, 1)


@pytest.fixture
def platform(tmp_path) -> Platform:
    return Platform(Settings(root=tmp_path))


@pytest.fixture
def warehouse(tmp_path) -> Database:
    return Database(tmp_path)


def build(platform: Platform, warehouse: Database) -> None:
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.record_days(platform.lake, inputs, {})
    marts.record_dimensions(platform.lake, inputs)


def recorded(platform: Platform) -> Manifest | None:
    return platform.lake.manifest(marts.MARTS, DAY)


def test_the_same_warehouse_keeps_its_records(platform, warehouse):
    build(platform, warehouse)
    marts.invalidate_if_warehouse_changed(platform.store, warehouse)
    marts.prepare(platform, warehouse, [])
    assert recorded(platform) is not None


def test_a_new_warehouse_holds_nothing(platform, warehouse):
    build(platform, warehouse)
    warehouse.exists = False
    marts.invalidate_if_warehouse_changed(platform.store, warehouse)
    assert recorded(platform) is None


def test_after_a_change_of_the_engine_nothing_is_built(platform, warehouse, tmp_path):
    build(platform, warehouse)
    snowflake = Database(tmp_path / "elsewhere", "snowflake:account/metrify")
    marts.invalidate_if_warehouse_changed(platform.store, snowflake)
    assert recorded(platform) is None
    build(platform, snowflake)
    marts.invalidate_if_warehouse_changed(platform.store, snowflake)
    assert recorded(platform) is not None
    marts.invalidate_if_warehouse_changed(platform.store, warehouse)
    assert recorded(platform) is None


@pytest.mark.parametrize("kept", ["", "first"])
def test_a_copy_from_before_and_an_empty_one_hold_nothing(platform, warehouse, kept):
    build(platform, warehouse)
    copy = warehouse.mark() if kept else None
    build(platform, warehouse)
    warehouse.leave(copy)
    marts.prepare(platform, warehouse, [])
    assert recorded(platform) is None


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_kill_around_the_mark_keeps_the_records(platform, warehouse, monkeypatch, dies):
    class Killed(BaseException):
        pass

    build(platform, warehouse)
    prepare_build = warehouse.prepare_build

    def dying(*given: object) -> None:
        if dies == "after":
            prepare_build(*given)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(warehouse, "prepare_build", dying)
        with pytest.raises(Killed):
            marts.prepare(platform, warehouse, [])
    marts.prepare(platform, warehouse, [])
    assert recorded(platform) is not None


@pytest.mark.parametrize("deleted", range(3))
def test_a_kill_while_records_are_removed_leaves_them_to_the_warehouse_that_they_speak_of(
    platform, warehouse, monkeypatch, tmp_path, deleted
):
    class Killed(BaseException):
        pass

    snowflake = Database(tmp_path / "elsewhere", "snowflake:account/metrify")
    build(platform, snowflake)
    delete, left = platform.store.delete, iter(range(deleted))

    def dying(key: str) -> None:
        if next(left, None) is None:
            raise Killed(key)
        delete(key)

    with monkeypatch.context() as patch:
        patch.setattr(platform.store, "delete", dying)
        with pytest.raises(Killed):
            marts.invalidate_if_warehouse_changed(platform.store, warehouse)
    marts.invalidate_if_warehouse_changed(platform.store, warehouse)
    assert recorded(platform) is None


def test_of_a_copy_from_before_nobody_knows_the_columns(platform, warehouse):
    columns = {"marts.fact": "a"}
    marts.drop_tables_with_changed_columns(platform.store, warehouse, columns)
    build(platform, warehouse)
    copy = warehouse.mark()
    build(platform, warehouse)
    warehouse.leave(copy)
    warehouse.dropped.clear()
    marts.drop_tables_with_changed_columns(platform.store, warehouse, columns)
    assert warehouse.dropped == ["marts.fact"]


@pytest.mark.parametrize("exists", [False, True])
def test_the_first_run_of_a_warehouse_keeps_what_it_recorded(platform, warehouse, exists):
    columns = {"marts.fact": "a"}
    warehouse.exists = exists
    marts.drop_tables_with_changed_columns(platform.store, warehouse, columns)
    build(platform, warehouse)
    warehouse.dropped.clear()
    marts.drop_tables_with_changed_columns(platform.store, warehouse, columns)
    assert warehouse.dropped == []
    assert recorded(platform) is not None
