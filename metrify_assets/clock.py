"""The time of day, and how instants are written: UTC microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the current time as UTC microseconds."""
    moment = datetime.now(UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def instant(microseconds: int) -> datetime:
    """Return UTC microseconds since 1970 as a moment in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(moment: datetime) -> int:
    """Return a moment with a zone as UTC microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
