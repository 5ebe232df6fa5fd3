"""What to run next: pure functions from what is known to what should be asked for.

Belongs here: the decisions of the sensors, without Dagster. Does not belong here: finding out what is known
(``sensors.py``).

Both decisions are level-triggered: they look at what is there, not at what has happened, so nothing that arrives
while a run is under way is lost, and a repeated question changes nothing. Failed work is asked for again in smaller
pieces, so that one file or day that cannot be worked on ends up alone, and is given up after some attempts. What failed
is never asked for together with what did not, and what waits for its next attempt holds up nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from metrify_assets.digest import digest_of
from metrify_assets.orchestration.partitions import ranges

STOPS_WITHOUT_COUNT = 5
"""How often work may be under way when Metrify or its machine stops, before that counts as an attempt at it."""

Item = TypeVar("Item")
Member = TypeVar("Member", covariant=True)


@dataclass(frozen=True)
class Failures:
    """Runs that left a piece of work undone.

    Attributes
    ----------
    count : int
        Attempts at the work.
    last_ended : float
        When the last run ended, seconds since 1970.
    stops : int
        Runs beside these that ended because Metrify or its machine did.
    """

    count: int = 0
    last_ended: float = 0.0
    stops: int = 0

    @classmethod
    def of_runs(cls, failed: int, stopped: int, last_ended: float) -> Failures:
        """Return the failures of a piece of work: a run that was stopped counts if its work may be what stops all."""
        free = min(stopped, STOPS_WITHOUT_COUNT)
        return cls(failed + stopped - free, last_ended, free)

    @property
    def has_runs(self) -> bool:
        """Whether any run left the work undone."""
        return self.count + self.stops > 0

    def are_due(self, now: float, backoff_seconds: float) -> bool:
        """Return whether the next attempt may begin: the wait doubles with each failure.

        An end that is still to come was written down before the clock was set back: it has nothing wait.
        """
        wait = backoff_seconds * 2 ** (self.count - 1) if self.count else 0.0
        return not 0 <= now - self.last_ended < wait


@dataclass(frozen=True)
class Work(Generic[Member]):
    """A piece of work: its items, a digest of their content, and the attempt this would be (from 1)."""

    items: tuple[Member, ...]
    digest: str
    attempt: int


@dataclass(frozen=True)
class Plan(Generic[Member]):
    """What to run now, what was given up, and what waits for its next attempt."""

    work: tuple[Work[Member], ...] = ()
    given_up: tuple[Member, ...] = ()
    waiting: tuple[Member, ...] = ()


def work_digest(*identities: str) -> str:
    """Return the digest of a piece of work from the digests of its items."""
    return digest_of(*identities)


def plan_work(
    items: Sequence[Item],
    *,
    identity: Callable[[Item], str],
    group: Callable[[Sequence[Item]], list[list[Item]]],
    failures: Callable[[str], Failures],
    now: float,
    max_attempts: int,
    max_pieces: int,
    backoff_seconds: float = 20.0,
    kin: Callable[[Item], Hashable] | None = None,
    suspected: Callable[[Item], bool] = lambda _: False,
    retry_first: bool = False,
) -> Plan[Item]:
    """Group items into pieces of work.

    Parameters
    ----------
    items : sequence
        What has to be done, in order.
    identity : callable
        Digest of an item's content: new content is new work.
    group : callable
        Cuts items into the pieces that one run may do.
    failures : callable
        Failed runs of a piece, by its digest.
    now : float
        Seconds since 1970.
    max_attempts, max_pieces : int
        Attempts at a piece; pieces to ask for at once.
    backoff_seconds : float
        Wait after the first failure; it doubles with each further one.
    kin : callable, optional
        What an item belongs to: items that failed are tried again together with those of their kin; without it alone.
    suspected : callable
        Whether a run that had the item went down, so that the item may be why.
    retry_first : bool
        Whether what failed, or is suspected, comes before what is new.
    """

    def digest(piece: Sequence[Item]) -> str:
        return work_digest(*(identity(item) for item in piece))

    given_up: list[Item] = []
    waiting: list[Item] = []
    fresh: list[Item] = []
    again: dict[Hashable, list[Item]] = defaultdict(list)
    for position, item in enumerate(items):
        own = failures(digest([item]))
        if own.count >= max_attempts:
            given_up.append(item)
        elif not own.are_due(now, backoff_seconds):
            waiting.append(item)
        elif own.count or suspected(item):
            again[position if kin is None else kin(item)].append(item)
        else:
            fresh.append(item)

    def halved(piece: list[Item]) -> tuple[int, list[Item]]:
        halvings = 0
        while len(piece) > 1 and failures(digest(piece)).has_runs:
            piece = piece[: len(piece) // 2]
            halvings += 1
        return halvings, piece

    new = [halved(piece) for piece in group(fresh)]
    # What was asked for least comes first.
    old = sorted((halved(piece) for some in again.values() for piece in group(some)), key=lambda piece_: piece_[0])
    pieces = [piece for _, piece in (old + new if retry_first else new + old)]
    work = [
        Work(tuple(piece), digest(piece), 1 + max(failures(digest([item])).count for item in piece))
        for piece in pieces[:max_pieces]
    ]
    return Plan(tuple(work), tuple(given_up), tuple(waiting))


def batches(longest: int) -> Callable[[Sequence[Item]], list[list[Item]]]:
    """Return the grouping into batches of at most ``longest`` items; only the first is given, the rest comes after."""
    return lambda items: [list(items[:longest])] if items else []


def day_ranges(longest: int) -> Callable[[Sequence[date]], list[list[date]]]:
    """Return the grouping into contiguous ranges of at most ``longest`` days."""

    def group(days: Sequence[date]) -> list[list[date]]:
        wanted = sorted(days)
        return [[day for day in wanted if first <= day <= last] for first, last in ranges(wanted, longest)]

    return group


def days_to_compute(
    dirty: Mapping[str, set[date]], parked: Mapping[tuple[str, date], str], inputs: Callable[[date], str]
) -> list[date]:
    """Return the days to compute, oldest first: dirty in a table in which they are not parked with the inputs of now.

    ``parked`` holds the inputs that a table's day failed with.
    """
    wanted = {
        day
        for table, days in dirty.items()
        for day in days
        if (table, day) not in parked or parked[table, day] != inputs(day)
    }
    return sorted(wanted)


def should_wait(ingest_under_way: bool, dirty_since: float, now: float, longest: float) -> bool:
    """Return whether dirty days should wait for files that are being read, so that they are computed once."""
    return ingest_under_way and now - dirty_since < longest
