"""The lease: of all runs, on whatever machine, one writes to the warehouse.

Belongs here: taking, renewing and giving back the lease, which is one row in Snowflake. Does not belong here: what the
holder does.

A lease runs out: the holder renews it while it works, and what was killed frees it by doing so no longer. It is taken
by one UPDATE that finds it free, so two runs cannot both have it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from metrify_assets.errors import WarehouseError
from metrify_assets.resources.snowflake import statements
from metrify_assets.resources.snowflake.session import Session

LEASE_SECONDS = 600
RENEW_SECONDS = 120
POLL_SECONDS = 5.0

Opening = Callable[[], AbstractContextManager[Session]]


@contextmanager
def held_lease(
    open_session: Opening,
    holder: str,
    *,
    lease_seconds: int = LEASE_SECONDS,
    renew_seconds: float = RENEW_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> Iterator[None]:
    """Hold the lease while the block runs; wait until it is free.

    Raises
    ------
    WarehouseError
        In the end, if the lease could not be renewed and another run may have written meanwhile.
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
    try:
        yield
    finally:
        over.set()
        renewal.join()
        with open_session() as session:
            if not session.changed(statements.give_back_lease(holder)) and not lost:
                lost.append("another run holds it")
    if lost:
        raise WarehouseError(f"the warehouse's lease was lost meanwhile ({lost[0]}): run it again")


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
                if not session.changed(statements.take_lease(holder, lease_seconds)):
                    lost.append("another run holds it")
                    return
        except WarehouseError as error:
            lost.append(str(error))
            return
