"""Records of built marts speak of one warehouse: another one, or a new one, holds nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from metrify_assets.lake import Manifest
from metrify_assets.platform import Platform
from metrify_assets.settings import Settings
from metrify_assets.tables import marts

DAY = date(2026, 3, 1)


@dataclass
class Database:
    """Stands for a warehouse of which only the name and the existence matter."""

    identity: str = "duckdb"
    exists: bool = True

    def announce(self, parts: object, days: object, local_copies: object) -> None:
        """Take note of nothing."""


@pytest.fixture
def platform(tmp_path) -> Platform:
    return Platform(Settings(root=tmp_path))


def build(platform: Platform, warehouse: Database) -> None:
    inputs = marts.prepare(platform, warehouse, [DAY])
    marts.record_days(platform, inputs, {})
    marts.record_dimensions(platform, inputs)


def recorded(platform: Platform) -> Manifest | None:
    return platform.lake.manifest(marts.MARTS, DAY)


def test_the_same_warehouse_keeps_its_records(platform):
    build(platform, Database())
    marts.forget_others(platform, Database())
    assert recorded(platform) is not None


def test_a_new_warehouse_holds_nothing(platform):
    build(platform, Database())
    marts.forget_others(platform, Database(exists=False))
    assert recorded(platform) is None


def test_after_a_change_of_the_engine_nothing_is_built(platform):
    build(platform, Database())
    snowflake = Database("snowflake:account/metrify")
    marts.forget_others(platform, snowflake)
    assert recorded(platform) is None
    build(platform, snowflake)
    marts.forget_others(platform, snowflake)
    assert recorded(platform) is not None
    marts.forget_others(platform, Database())
    assert recorded(platform) is None


def test_records_from_before_warehouses_had_names_speak_of_the_duckdb_file(platform):
    build(platform, Database())
    platform.store.delete(marts.WAREHOUSE_KEY)
    marts.forget_others(platform, Database())
    assert recorded(platform) is not None
    marts.forget_others(platform, Database("snowflake:account/metrify"))
    assert recorded(platform) is None
