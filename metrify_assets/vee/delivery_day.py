"""Delivery days: local days and their UTC windows, and local wall-clock time turned into instants.

Belongs here: the only arithmetic on calendars and time zones in the platform. Instants are int64 microseconds since
1970-01-01T00:00Z throughout. Does not belong here: Dagster's partitions (``partitions.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from metrify_assets.vee.arrays import Int64Array

MICROSECONDS_PER_MINUTE = 60_000_000
_EPOCH = date(1970, 1, 1)


def to_microseconds(moment: datetime) -> int:
    """Return the UTC microseconds since 1970 of a timezone-aware ``moment``."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@lru_cache(maxsize=65_536)
def _local_midnight(zone: str, day: date) -> int:
    return to_microseconds(datetime.combine(day, time(), tzinfo=ZoneInfo(zone)))


@dataclass(frozen=True)
class DeliveryDay:
    """A local calendar day as a window of instants.

    Attributes
    ----------
    day : date
        Local date.
    zone : str
        IANA zone of the local date.
    """

    day: date
    zone: str = "Europe/Berlin"

    @cached_property
    def start(self) -> int:
        """First instant of the day, UTC microseconds."""
        return _local_midnight(self.zone, self.day)

    @cached_property
    def end(self) -> int:
        """First instant of the next day, UTC microseconds."""
        return _local_midnight(self.zone, self.day + timedelta(days=1))

    @property
    def minutes(self) -> int:
        """Length of the day in minutes: 1,440, or 1,380 and 1,500 on the days that clocks change."""
        return (self.end - self.start) // MICROSECONDS_PER_MINUTE

    def slots(self, interval_minutes: int) -> int:
        """Return the number of intervals in the day: 92, 96 or 100 for 15 minutes in Berlin.

        Raises
        ------
        ValueError
            If the interval does not divide the day.
        """
        if interval_minutes <= 0 or self.minutes % interval_minutes:
            raise ValueError(f"an interval of {interval_minutes} minutes does not divide {self.day}")
        return self.minutes // interval_minutes

    def slot_starts(self, interval_minutes: int) -> np.ndarray:
        """Return the UTC start of every slot, int64 microseconds, shape (slots,)."""
        step = interval_minutes * MICROSECONDS_PER_MINUTE
        return self.start + step * np.arange(self.slots(interval_minutes), dtype=np.int64)

    def local_minutes(self, interval_minutes: int) -> np.ndarray:
        """Return every slot's local wall-clock minute of the day (0-1,439), shape (slots,).

        The repeated hour in October carries the same minutes twice, the hour skipped in March is absent: two days'
        slots correspond where these are equal.
        """
        starts = self.slot_starts(interval_minutes)
        local = to_local(starts, self.zone)
        return ((local // MICROSECONDS_PER_MINUTE) % 1_440).astype(np.int64)

    def plus(self, days: int) -> DeliveryDay:
        """Return the delivery day that many calendar days later."""
        return DeliveryDay(self.day + timedelta(days=days), self.zone)


@lru_cache(maxsize=256)
def _transitions(zone: str, first_year: int, last_year: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the instants at which the zone's offset changes and the offsets from each on (both microseconds).

    Found by bisection between daily samples, so that no assumption on rules is made. The first instant is the start
    of the range.
    """
    info = ZoneInfo(zone)

    def offset(microseconds: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
        wall_clock = moment.astimezone(info).replace(tzinfo=UTC)
        return int((wall_clock - moment).total_seconds()) * 1_000_000

    start = to_microseconds(datetime(first_year, 1, 1, tzinfo=UTC)) - 2 * 86_400_000_000
    end = to_microseconds(datetime(last_year + 1, 1, 1, tzinfo=UTC)) + 2 * 86_400_000_000
    instants, offsets = [start], [offset(start)]
    position = start
    while position < end:
        following = position + 86_400_000_000
        if offset(following) != offsets[-1]:
            low, high = position, following
            while high - low > 1_000_000:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
            # Offsets change on whole minutes; the bisection stops within a second of one.
            instant = (high + MICROSECONDS_PER_MINUTE // 2) // MICROSECONDS_PER_MINUTE * MICROSECONDS_PER_MINUTE
            instants.append(instant)
            offsets.append(offset(instant))
        position = following
    return np.array(instants, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _years(microseconds: np.ndarray) -> tuple[int, int]:
    low, high = int(microseconds.min()), int(microseconds.max())
    years = np.array([low, high], dtype="datetime64[us]").astype("datetime64[Y]").astype(int) + 1970
    # Even decades, so that few distinct ranges are ever computed.
    return int(years[0]) // 10 * 10, int(years[1]) // 10 * 10 + 9


def to_local(instants: np.ndarray, zone: str) -> Int64Array:
    """Turn instants into local wall-clock microseconds (as if the wall clock were UTC), same shape, int64."""
    instants = np.asarray(instants, dtype=np.int64)
    if instants.size == 0:
        return instants.copy()
    changes, offsets = _transitions(zone, *_years(instants))
    wall_clock: Int64Array = instants + offsets[np.searchsorted(changes, instants, side="right") - 1]
    return wall_clock


def day_numbers(instants: np.ndarray, zone: str) -> np.ndarray:
    """Return the local date of each instant as days since 1970-01-01, int32, same shape."""
    return (to_local(instants, zone) // 86_400_000_000).astype(np.int32)


def day_from_number(number: int) -> date:
    """Return the date that is ``number`` days after 1970-01-01."""
    return _EPOCH + timedelta(days=int(number))


def days_between(first: date, last: date) -> list[date]:
    """Return the days from ``first`` to ``last``, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to ``day``."""
    return (day - _EPOCH).days


def local_candidates(wall_clock: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the earliest and the latest instant that each wall-clock time can mean.

    Parameters
    ----------
    wall_clock : int64 array
        Local wall-clock microseconds, as if the wall clock were UTC.
    zone : str
        IANA zone.

    Returns
    -------
    earliest, latest : int64 arrays, same shape
        Equal for ordinary times. ``earliest < latest`` in the repeated hour of autumn (first and second pass).
        ``earliest > latest`` for a time that the clocks skipped in spring: it names no instant.
    """
    wall_clock = np.asarray(wall_clock, dtype=np.int64)
    if wall_clock.size == 0:
        return wall_clock.copy(), wall_clock.copy()
    changes, offsets = _transitions(zone, *_years(wall_clock))
    # The offset in force shortly before and shortly after the moment: any change lies within 24 h of it.
    around = 86_400_000_000
    naive = wall_clock - offsets[np.searchsorted(changes, wall_clock, side="right") - 1]
    before = offsets[np.searchsorted(changes, naive - around, side="right") - 1]
    after = offsets[np.searchsorted(changes, naive + around, side="right") - 1]
    with_before, with_after = wall_clock - before, wall_clock - after
    valid_before = offsets[np.searchsorted(changes, with_before, side="right") - 1] == before
    valid_after = offsets[np.searchsorted(changes, with_after, side="right") - 1] == after
    both = valid_before & valid_after
    neither = ~valid_before & ~valid_after
    earliest = np.where(valid_before, with_before, with_after)
    latest = np.where(valid_after, with_after, with_before)
    earliest = np.where(both, np.minimum(with_before, with_after), earliest)
    latest = np.where(both, np.maximum(with_before, with_after), latest)
    earliest = np.where(neither, np.maximum(with_before, with_after), earliest)
    latest = np.where(neither, np.minimum(with_before, with_after), latest)
    return earliest, latest
