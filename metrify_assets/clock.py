"""The time of day, and how instants are written: UTC microseconds since 1970.

Belongs here: the clock that everything is given, and the conversions. Does not belong here: how long a thing took
(``time.monotonic``), and when Dagster's runs failed (its own clock).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Where the platform learns the time of day.

    Parameters
    ----------
    read : callable
        Returns the moment of now, with a zone.
    """

    def __init__(self, read: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self.read = read

    def now(self) -> int:
        """Return the current time as UTC microseconds."""
        return microseconds(self.read())

    def today(self, timezone: str) -> date:
        """Return the date of now in a time zone."""
        return self.read().astimezone(ZoneInfo(timezone)).date()


SYSTEM_CLOCK = Clock()
"""The clock of this machine."""


def instant(microseconds: int) -> datetime:
    """Return UTC microseconds since 1970 as a moment in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(moment: datetime) -> int:
    """Return a moment with a zone as UTC microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
