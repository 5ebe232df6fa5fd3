"""The lease: of all runs, on whatever machine, one writes to the warehouse.

Belongs here: taking, renewing and giving back the lease, which is one row in Snowflake. Does not belong here: what the
holder does.

A lease runs out: the holder renews it while it works, and what was killed frees it by doing so no longer. It is taken
by one UPDATE that finds it free, so two runs cannot both have it. Once it was another's it is lost for good, even if it
is free again: what the other run wrote stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from metrify_assets.errors import WarehouseError
from metrify_assets.warehouse.snowflake import statements
from metrify_assets.warehouse.snowflake.session import Session

LEASE_SECONDS = 600
RENEW_SECONDS = 120
POLL_SECONDS = 5.0
TAKEN = "another run took it"

Opening = Callable[[], AbstractContextManager[Session]]


@contextmanager
def held_lease(
    open_session: Opening,
    holder: str,
    *,
    lease_seconds: int = LEASE_SECONDS,
    renew_seconds: float = RENEW_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> Iterator[Callable[[], None]]:
    """Hold the lease while the block runs; wait until it is free.

    Yields a function that asks whether it is held still, and raises as below if it is not.

    Raises
    ------
    WarehouseError
        In the end at the latest, if the lease could not be renewed and another run may have written meanwhile.
    """
    with open_session() as session:
        while not session.changed(statements.take_lease(holder, lease_seconds)):
            time.sleep(poll_seconds)
    over = threading.Event()
    lost: list[str] = []
    renewal = threading.Thread(
        target=_renew, args=(open_session, holder, lease_seconds, renew_seconds, over, lost), daemon=True
    )
    renewal.start()

    def check() -> None:
        if not lost:
            with open_session() as session:
                _renew_once(session, holder, lease_seconds, lost)
        if lost:
            raise _lost(lost)

    try:
        yield check
    finally:
        over.set()
        renewal.join()
        with open_session() as session:
            if not session.changed(statements.give_back_lease(holder)) and not lost:
                lost.append(TAKEN)
    if lost:
        raise _lost(lost)


def _lost(reasons: list[str]) -> WarehouseError:
    return WarehouseError(f"the warehouse's lease was lost meanwhile ({reasons[0]}): run it again")


def _renew_once(session: Session, holder: str, lease_seconds: int, lost: list[str]) -> None:
    if not session.changed(statements.renew_lease(holder, lease_seconds)):
        lost.append(TAKEN)


def _renew(
    open_session: Opening,
    holder: str,
    lease_seconds: int,
    renew_seconds: float,
    over: threading.Event,
    lost: list[str],
) -> None:
    while not over.wait(renew_seconds):
        try:
            with open_session() as session:
                _renew_once(session, holder, lease_seconds, lost)
            if lost:
                return
        except WarehouseError as error:
            lost.append(str(error))
            return
