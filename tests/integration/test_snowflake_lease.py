"""The lease on a server that speaks Snowflake's protocol: of all runs one writes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from metrify_assets.errors import WarehouseError
from metrify_assets.warehouse.snowflake import statements
from metrify_assets.warehouse.snowflake.access import SnowflakeAccess
from metrify_assets.warehouse.snowflake.lease import held_lease
from metrify_assets.warehouse.snowflake.session import open_session
from metrify_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from tests.integration.snowflake_server import environment

pytestmark = pytest.mark.servers


class Opening:
    """Opens sessions, counts them, and can be told to say when so many were opened."""

    def __init__(self, access: SnowflakeAccess) -> None:
        self.access = access
        self.opened = 0

    @contextmanager
    def __call__(self):
        self.opened += 1
        with open_session(self.access, role="r", warehouse="w", tag="t") as session:
            yield session

    def wait_for(self, opened: int) -> None:
        """Wait until so many sessions were opened."""
        while self.opened < opened:
            time.sleep(0.02)

    def run(self, sql: str) -> list[tuple]:
        with self() as session:
            return session.run(sql)


@pytest.fixture(scope="module")
def opening(snowflake_port) -> Opening:
    """Sessions with a database whose lease is free."""
    access = SnowflakeAccess.from_env(environment(snowflake_port, "leases"))
    with SnowflakeWarehouse(access, {}).exclusive():
        pass
    return Opening(access)


def holder(opening: Opening) -> str | None:
    [(name,)] = opening.run(f"select holder from {statements.LEASE}")
    return name


def test_the_lease_has_one_row_and_is_given_back(opening):
    with SnowflakeWarehouse(opening.access, {}).exclusive():
        assert holder(opening) is not None
    assert holder(opening) is None


def test_a_second_run_waits_until_the_first_is_done(opening):
    order: list[str] = []

    def second() -> None:
        with held_lease(opening, "second", poll_seconds=0.05):
            order.append("second")

    with held_lease(opening, "first"):
        waiting = threading.Thread(target=second)
        before = opening.opened
        waiting.start()
        opening.wait_for(before + 1)
        time.sleep(0.5)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert holder(opening) is None


def test_the_lease_of_a_killed_run_runs_out(opening):
    assert opening.run(statements.take_lease("killed", 0))
    with held_lease(opening, "next", poll_seconds=0.05):
        assert holder(opening) == "next"


def test_a_failed_run_gives_the_lease_back(opening):
    with pytest.raises(RuntimeError), held_lease(opening, "failing"):
        raise RuntimeError
    assert holder(opening) is None


def test_a_long_run_renews_its_lease(opening):
    with held_lease(opening, "long", lease_seconds=3_600, renew_seconds=0.05):
        opening.run(f"update {statements.LEASE} set expires_at = sysdate()")
        opening.wait_for(opening.opened + 3)
        [(later,)] = opening.run(f"select expires_at > dateadd(minute, 50, sysdate()) from {statements.LEASE}")
    assert later


def test_a_lease_that_another_run_had_meanwhile_is_lost_though_it_is_free_again(opening):
    def slow() -> None:
        with held_lease(opening, "slow") as check:
            check()
            opening.run(f"update {statements.LEASE} set expires_at = dateadd(hour, -1, sysdate())")
            # Nobody came: it is still this run's.
            check()
            opening.run(f"update {statements.LEASE} set expires_at = dateadd(hour, -1, sysdate())")
            with held_lease(opening, "quick", poll_seconds=0.05):
                pass
            with pytest.raises(WarehouseError, match="another run took it"):
                check()

    with pytest.raises(WarehouseError, match=r"lease was lost meanwhile \(another run took it\): run it again"):
        slow()
    assert holder(opening) is None


def test_a_run_whose_lease_was_taken_says_so_in_the_end(opening):
    def slow() -> None:
        with held_lease(opening, "slow"):
            opening.run(f"update {statements.LEASE} set holder = 'other', expires_at = dateadd(hour, 1, sysdate())")

    with pytest.raises(WarehouseError, match=r"lease was lost meanwhile \(another run took it\): run it again"):
        slow()
    assert holder(opening) == "other"
