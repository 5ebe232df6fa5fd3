"""The marts hold what a version of the models made: other SQL, columns or seeds make them stale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.storage.lake import Shard
from metrify_assets.warehouse import digests as mart_digests
from metrify_assets.warehouse import marts
from metrify_assets.warehouse.digests import MartDigests
from tests.unit.warehouse.databases import Database

DAY = date(2026, 3, 1)
COLUMNS = {"marts.fact": "a", "metrics.daily": "b"}


@pytest.fixture
def platform(tmp_path, monkeypatch) -> Platform:
    """An installation with a dbt project of its own and one clean day, whose marts are built."""
    folder = tmp_path / "project"
    for name, text in (("models/fact.sql", "select 1"), ("seeds/holidays.csv", "day\n")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(Settings, "dbt_project", property(lambda self: folder))
    platform = Platform(Settings(root=tmp_path / "root"))
    clean(platform, DAY, rows=96)
    build(platform)
    return platform


@pytest.fixture
def warehouse(platform) -> Database:
    """Its warehouse."""
    return Database(platform.settings.root)


def clean(platform: Platform, day: date, rows: int) -> None:
    platform.lake.publish("clean_readings", day, {0: Shard("", rows, f"{day} {rows}", {})})


def build(platform: Platform) -> None:
    inputs = marts.prepare(platform, Database(platform.settings.root), [DAY])
    marts.record_days(platform.lake, inputs, {})
    marts.record_dimensions(platform.lake, inputs)


def stale(platform: Platform) -> tuple[set[date], bool]:
    """Return the dirty days of the marts, and whether the dimensions are stale."""
    digests = MartDigests(platform)
    return digests.dirty_days(marts.MARTS), marts.dimensions_stale(platform.lake, digests)


def test_what_was_built_is_not_stale(platform):
    assert stale(platform) == (set(), False)


def test_a_changed_model_makes_the_days_and_the_dimensions_stale_until_they_are_built(platform):
    (platform.settings.dbt_project / "models" / "fact.sql").write_text("select 2")
    assert stale(platform) == ({DAY}, True)
    build(platform)
    assert stale(platform) == (set(), False)


def test_a_changed_seed_makes_the_days_and_the_dimensions_stale(platform):
    # Whether an hour lies on a holiday is a matter of the facts as well.
    (platform.settings.dbt_project / "seeds" / "holidays.csv").write_text("day\n2026-01-01\n")
    assert stale(platform) == ({DAY}, True)
    build(platform)
    assert stale(platform) == (set(), False)


def test_a_changed_variable_makes_the_days_and_the_dimensions_stale(platform, monkeypatch):
    # The seasons of the calendar are variables.
    for module in (marts, mart_digests):
        monkeypatch.setattr(module, "vars_digest", lambda: "other")
    assert stale(platform) == ({DAY}, True)
    build(platform)
    assert stale(platform) == (set(), False)


def test_the_first_values_of_a_year_make_the_calendar_stale(platform):
    other_year = date(2025, 12, 31)
    clean(platform, other_year, rows=0)
    assert stale(platform) == ({other_year}, False)
    # A run that is about to give the day its values needs the calendar before.
    assert marts.dimensions_stale(platform.lake, MartDigests(platform), [other_year])
    clean(platform, other_year, rows=96)
    assert stale(platform) == ({other_year}, True)


def test_inputs_say_whether_the_dimensions_are_made_from_them(platform, warehouse):
    assert marts.dimensions_hold(platform.lake, marts.prepare(platform, warehouse, [DAY]))
    clean(platform, date(2025, 12, 31), rows=96)
    assert not marts.dimensions_hold(platform.lake, marts.prepare(platform, warehouse, [DAY]))


def test_a_change_that_is_taken_back_after_a_failed_run_leaves_the_day_dirty(platform, warehouse):
    clean(platform, DAY, rows=95)
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.invalidate_days(platform.lake, inputs)
    marts.invalidate_dimensions(platform.lake, inputs)
    # Rows were replaced, a test failed, and the inputs are again what they were.
    clean(platform, DAY, rows=96)
    assert stale(platform) == ({DAY}, True)
    build(platform)
    assert stale(platform) == (set(), False)


def test_a_part_of_the_models_leaves_the_record_only_of_a_day_whose_inputs_are_the_same(platform, warehouse):
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.invalidate_days(platform.lake, inputs, only_changed=True)
    marts.invalidate_dimensions(platform.lake, inputs, only_changed=True)
    assert stale(platform) == (set(), False)
    (platform.settings.dbt_project / "models" / "fact.sql").write_text("select 2")
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.invalidate_days(platform.lake, inputs, only_changed=True)
    marts.invalidate_dimensions(platform.lake, inputs, only_changed=True)
    (platform.settings.dbt_project / "models" / "fact.sql").write_text("select 1")
    assert stale(platform) == ({DAY}, True)


def test_without_registries_and_days_there_are_no_dimensions_to_build(tmp_path):
    platform = Platform(Settings(root=tmp_path / "other"))
    assert not marts.dimensions_stale(platform.lake, MartDigests(platform))
    assert marts.dimensions_stale(platform.lake, MartDigests(platform), [DAY])


def test_a_table_with_other_columns_is_dropped_and_no_day_counts_as_built(platform, warehouse):
    marts.drop_tables_with_changed_columns(platform.store, warehouse, COLUMNS)
    build(platform)
    warehouse.dropped.clear()
    assert marts.drop_tables_with_changed_columns(platform.store, warehouse, COLUMNS) == []
    assert (warehouse.dropped, stale(platform)) == ([], (set(), False))
    assert marts.drop_tables_with_changed_columns(platform.store, warehouse, {**COLUMNS, "marts.fact": "new"}) == [
        "marts.fact"
    ]
    assert (warehouse.dropped, stale(platform)) == (["marts.fact"], ({DAY}, False))


def test_tables_from_before_columns_were_recorded_are_dropped(platform, warehouse):
    assert marts.drop_tables_with_changed_columns(platform.store, warehouse, COLUMNS) == []
    assert warehouse.dropped == ["marts.fact", "metrics.daily"]
    assert stale(platform)[0] == {DAY}


def test_the_dimensions_survive_other_columns_of_the_facts(platform, warehouse):
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.drop_tables_with_changed_columns(platform.store, warehouse, COLUMNS)
    assert marts.dimensions_hold(platform.lake, inputs)


def test_a_kill_between_forgetting_and_dropping_loses_nothing(platform, warehouse):
    class Killed(BaseException):
        pass

    class Dying(Database):
        def drop(self, tables: Sequence[str]) -> None:
            raise Killed

    with pytest.raises(Killed):
        marts.drop_tables_with_changed_columns(platform.store, Dying(platform.settings.root), COLUMNS)
    assert stale(platform)[0] == {DAY}
    marts.drop_tables_with_changed_columns(platform.store, warehouse, COLUMNS)
    assert warehouse.dropped == ["marts.fact", "metrics.daily"]
