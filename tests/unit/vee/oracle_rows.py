"""Rows and slots as the oracles see them: dictionaries, one per delivery and one per slot.

Belongs here: what validation and registers share. Does not belong here: rules (``oracle.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.parameters import RuleSet

MINUTE = 60_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = {
    "value": None,
    "status": 0,
    "version": 0,
    "flags": Flag(0),
    "received_at": 0,
    "from_interval": False,
    "below_zero": False,
    "parts": 0,
}


@dataclass(frozen=True)
class Series:
    """What the registry says of a series; the counter's keys are opening, closing, modulus and multiplier."""

    number: int
    minutes: int
    unsigned: bool = True
    limit_kw: float | None = None
    point_class: str | None = None
    counter: dict = field(default_factory=dict)
    outages: tuple[tuple[int, int], ...] = ()


def instant_of(local_date: date, zone: str) -> int:
    midnight = datetime(local_date.year, local_date.month, local_date.day, tzinfo=ZoneInfo(zone))
    return (midnight.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def slot_starts(local_date: date, zone: str, minutes: int) -> list[int]:
    start, end = instant_of(local_date, zone), instant_of(local_date + timedelta(days=1), zone)
    return list(range(start, end, minutes * MINUTE))


def half_even(value: Fraction) -> int:
    return round(value)  # Python rounds a Fraction half to even, exactly.


def rank(row: dict) -> int:
    return 0 if row["is_null"] else int(row["source_status"])


def content(row: dict) -> int | None:
    return None if row["is_null"] else row["value"]


def is_edit(row: dict) -> bool:
    return row["source_status"] == SourceStatus.EDITED


def choose(rows: list[dict], can_be: Callable[[dict], bool] = lambda row: True) -> tuple[dict, int, Flag]:
    """Return the current row, the number of versions and the flags of redelivery.

    A value that cannot be is better than a blank, and worse than every other.
    """

    def strength(row: dict) -> float:
        return rank(row) if rank(row) == 0 or can_be(row) else 0.5

    best = max(rows, key=lambda row: (strength(row), row["received_at"], row["order"]))
    versions = len({content(row) for row in rows})
    flags = Flag(0)
    if sum(content(row) == content(best) for row in rows) > 1:
        flags |= Flag.DUPLICATE
    if versions > 1:
        flags |= Flag.NEW_VERSION
    return best, versions, flags


def means(instant: int, boundary: int, step: int, tolerance_seconds: int) -> bool:
    """Whether a stamp means a boundary: it is no further off than a clock may be, and not half a slot."""
    off = abs(instant - boundary)
    return off <= tolerance_seconds * 1_000_000 and 2 * off < step


def means_slot(row: dict, start: int, minutes: int, rules: RuleSet) -> bool:
    right_interval = row["minutes"] == minutes or is_edit(row)
    return right_interval and means(row["start"], start, minutes * MINUTE, rules.clock_tolerance_seconds)


def meant_period(row: dict, first: int, rules: RuleSet) -> tuple[int, int]:
    """The period that a delivery of another interval is for; its boundaries are counted from the day's start."""
    length = row["minutes"] * MINUTE
    before = first + (row["start"] - first) // length * length
    for boundary in (before, before + length):
        if means(row["start"], boundary, length, rules.clock_tolerance_seconds):
            return boundary, boundary + length
    return row["start"], row["start"] + length


def drifts(rows: list[dict], start: int) -> Flag:
    return Flag.CLOCK_DRIFT if any(row["start"] != start for row in rows) else Flag(0)
