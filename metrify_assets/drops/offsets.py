"""Ranges of offsets: their names, how they tile a partition, and which come next.

Belongs here: pure functions; what is landed is told by the names of drops alone. Does not belong here: the broker and
the ledger.

The law of this module: the ranges of a partition, landed or lost, tile its offsets from 0 up to the landed end. So
every offset is in exactly one of them, whatever crashed in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from metrify_assets.digest import digest_of
from metrify_assets.feeds.stream import TOPIC_PATTERN

Item = TypeVar("Item")

_DROP_ID = re.compile(rf"({TOPIC_PATTERN})-(\d+)-(\d+)-(\d+)(-lost)?\.([0-9a-f]{{8}})")


@dataclass(frozen=True, order=True)
class Log:
    """One partition of one incarnation of a topic: here an offset means the same record for ever.

    Attributes
    ----------
    topic : str
    incarnation : str
        8 hexadecimal digits, see ``incarnation_of``.
    partition : int
    """

    topic: str
    incarnation: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True, order=True)
class OffsetRange:
    """Offsets from ``start`` to before ``end``: of records that were (or are to be) landed, or that are lost.

    An empty lost range is the note that a later incarnation has taken the place of its log: what its log still held
    behind ``end`` is not known.
    """

    log: Log
    start: int
    end: int
    lost: bool = False

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def name(self) -> str:
        """Name of the drop: ``<topic>-<partition>-<start>-<end>.parquet``; a loss says so."""
        return f"{self._text}.parquet"

    @property
    def drop_id(self) -> str:
        """Identity of the drop in the ledger."""
        return f"{self._text}.{self.log.incarnation}"

    @property
    def _text(self) -> str:
        return f"{self.log}-{self.start}-{self.end}{'-lost' if self.lost else ''}"

    @property
    def is_before_the_first_read(self) -> bool:
        """Whether these offsets had expired before anything of the log was landed."""
        return self.lost and self.start == 0

    @property
    def is_superseded(self) -> bool:
        """Whether this is the note that a later incarnation took the log's place."""
        return self.lost and self.start == self.end

    @classmethod
    def of_drop(cls, drop_id: str) -> OffsetRange | None:
        """Return the range that a drop's identity names; None if the drop did not come from a stream."""
        match = _DROP_ID.fullmatch(drop_id)
        if match is None:
            return None
        topic, partition, start, end, lost, incarnation = match.groups()
        return cls(Log(topic, incarnation, int(partition)), int(start), int(end), lost is not None)


def incarnation_of(topic_id: str, generation: int) -> str:
    """Return what distinguishes topics of one name: the broker's id of each and the feed's generation."""
    return digest_of(topic_id, generation)[:8]


def landed_end(ranges: Iterable[OffsetRange]) -> int:
    """Return the first offset of a log that no range holds, counted from 0."""
    end = 0
    for held in sorted(ranges, key=lambda held: (held.start, held.end)):
        if held.start > end:
            break
        end = max(end, held.end)
    return end


def faults(ranges: Iterable[OffsetRange]) -> list[str]:
    """Return where the ranges of a log do not tile: offsets held twice, or by none. Empty if the law holds."""
    problems = []
    end = 0
    for held in sorted((held for held in ranges if len(held)), key=lambda held: (held.start, held.end)):
        if held.start < end:
            last = min(end, held.end) - 1
            problems.append(f"{held.log}: offsets {held.start} to {last} are held by two drops: report it")
        elif held.start > end:
            problems.append(f"{held.log}: offsets {end} to {held.start - 1} are held by no drop: report it")
        end = max(end, held.end)
    return problems


def next_ranges(log: Log, end: int, low: int, high: int, longest: int) -> Iterator[OffsetRange]:
    """Yield what comes after the landed end of a log: first the loss, if there is one, then records.

    Parameters
    ----------
    log : Log
    end : int
        The landed end.
    low, high : int
        Watermarks: the first offset that the broker still has, and the one after the last committed record.
    longest : int
        Most offsets of one range of records.
    """
    if low > end:
        yield OffsetRange(log, end, low, lost=True)
    for start in range(max(end, low), high, longest):
        yield OffsetRange(log, start, min(start + longest, high))


def in_turns(queues: Sequence[Iterable[Item]]) -> Iterator[Item]:
    """Yield the first item of every queue, then the second of every queue, and so on: none starves another."""
    for turn in zip_longest(*queues):
        yield from (item for item in turn if item is not None)
