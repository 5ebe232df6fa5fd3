"""Marts published from a server that speaks Snowflake's protocol: what it counts, and a lease that is lost."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from metrify_assets.errors import WarehouseError
from metrify_assets.published.publish import publish, stale_publication
from metrify_assets.warehouse.snowflake import statements
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.session import open_session
from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from tests.integration.snowflake_server import environment
from tests.small_marts import MODELS, SmallMarts, rows_of, small_marts
from tests.unit.published.conftest import DAYS

pytestmark = [pytest.mark.servers, pytest.mark.dbt]

_numbers = count(1)


@pytest.fixture
def plant(tmp_path: Path) -> SmallMarts:
    marts = small_marts(tmp_path / "metrify")
    marts.build({DAYS[0]: {"A": "1.5", "B": "2.25"}, DAYS[1]: {"A": "0.000001", "B": None}, DAYS[2]: {"A": "3"}})
    return marts


@pytest.fixture
def access(snowflake_port: int) -> SnowflakeAccess:
    return SnowflakeAccess.from_env(environment(snowflake_port, f"published{next(_numbers)}"))


def run(access: SnowflakeAccess, *sql: str) -> None:
    with open_session(access, role="r", warehouse="w", tag="t") as session:
        for statement in sql:
            session.run(statement)


def filled(access: SnowflakeAccess, plant: SmallMarts) -> SnowflakeWarehouse:
    """Return a warehouse with the marts of an installation."""
    warehouse = SnowflakeWarehouse(access, {})
    with warehouse.exclusive():
        run(access, "create schema if not exists marts", "create schema if not exists metrics")
        for model in MODELS:
            columns = ", ".join(f"{column.name} {column.type}" for column in model.columns)
            run(access, f"create or replace table {model.table} ({columns})")
            for row in rows_of(model, plant.readings):
                values = ", ".join("null" if value is None else f"'{value}'" for value in row)
                run(access, f"insert into {model.table} select {values}")
    plant.note_mark(warehouse.mark(), warehouse.identity)
    return warehouse


def test_what_snowflake_counts_is_what_the_files_say(plant, access):
    done = publish(plant.platform, filled(access, plant), MODELS)
    assert (done.exported, done.differences) == (9, ())
    assert plant.seen() == plant.expected()


def test_of_a_run_that_lost_its_lease_nothing_is_published(plant, access):
    publish(plant.platform, filled(access, plant), MODELS)
    seen = plant.seen()
    plant.build({DAYS[0]: {"A": "9", "B": "9"}})
    warehouse = filled(access, plant)

    def take(line: str) -> None:
        """Take the lease, which has run out, while a part is exported."""
        run(access, f"update {statements.LEASE} set holder = 'other', expires_at = dateadd(hour, 1, sysdate())")

    with pytest.raises(WarehouseError, match=r"lease was lost meanwhile \(another run took it\): run it again"):
        publish(plant.platform, warehouse, MODELS, log=take)
    assert plant.seen() == seen
    assert stale_publication(plant.platform)
    run(access, f"update {statements.LEASE} set holder = null, expires_at = null")
    publish(plant.platform, warehouse, MODELS)
    assert plant.seen() == plant.expected() != seen
