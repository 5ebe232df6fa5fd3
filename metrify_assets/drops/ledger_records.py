"""The records of the ledger, and how new ones are found without looking at all.

Belongs here: the log below ``ledger/``, and the index below ``ledger-index/``. New records are those at the end of the
log. What a slow connection adds later than ``OVERLAP`` is found by ``reconcile``. The index holds copies of many
records in few objects: it is a cache, and may be deleted. Does not belong here: how a record is named and written
(``storage/event_log.py``), and what it means (``ledger.py``).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

from metrify_assets.clock import SYSTEM_CLOCK, Clock
from metrify_assets.digest import digest_of
from metrify_assets.storage.event_log import BY_HOUR, OVERLAP, EventLog, Parsed
from metrify_assets.storage.object_store import ObjectStore

FOLDER = "ledger"
INDEX_FOLDER = "ledger-index"
RECONCILED = timedelta(days=2)
"""Age up to which records are checked for having appeared late: more than the time between two reconciliations."""
SEGMENT_RECORDS = 1_000
"""Records from which an index object is written."""
MOST_SEGMENTS = 16
"""Index objects from which they are made one."""
_REMEDIES = {
    "drop": "delete it, and the file in the inbox is taken in again; if it left the inbox, `metrify land` it first, "
    "from landing/ if need be",
    "withdrawn": "delete it, and withdraw the drop again with `metrify drop withdraw`",
    "redelivered": "delete it, and the file in the inbox is recognised again",
}


def kind_of(key: str) -> str:
    """Return the kind of a record by its name: ``drop``, ``withdrawn`` or ``redelivered``."""
    return key.rsplit(".", 2)[-2]


def ledger_log(store: ObjectStore, clock: Clock = SYSTEM_CLOCK) -> EventLog:
    """Return the log that holds the ledger's records."""
    return EventLog(store, FOLDER, BY_HOUR, lambda key: _REMEDIES.get(kind_of(key), "delete it"), clock)


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


@dataclass(frozen=True)
class Segment:
    """Some records in one object: all that were known with a key after ``after``, up to ``until``."""

    after: str
    until: str
    records: Mapping[str, dict[str, Any]]

    def packed(self) -> bytes:
        """Return the bytes of the object: lines of JSON, the first with the range."""
        lines = [json.dumps([self.after, self.until]), *(json.dumps(item) for item in self.records.items())]
        return gzip.compress("\n".join(lines).encode(), compresslevel=1, mtime=0)

    @classmethod
    def unpacked(cls, content: bytes) -> Segment | None:
        """Return the segment, or None if it is damaged: then its records are read one by one."""
        try:
            (after, until), *records = map(json.loads, gzip.decompress(content).splitlines())
        except (OSError, EOFError, zlib.error, ValueError):
            return None
        return cls(after, until, dict(records))


class LedgerRecords(Generic[Parsed]):
    """Finds and writes records; remembers which it has given out.

    Parameters
    ----------
    store : ObjectStore
    parse : callable
        Returns what a record of a key says; see ``EventLog.parsed``.
    clock : Clock
    """

    def __init__(self, store: ObjectStore, parse: Callable[[str, dict[str, Any]], Parsed], clock: Clock = SYSTEM_CLOCK):
        self.store, self._parse, self._log = store, parse, ledger_log(store, clock)
        self._known: set[str] = set()
        self._is_first_look = True
        self._latest: int | None = None
        self._indexed_until = ""
        self._unindexed: dict[str, dict[str, Any]] = {}

    def new(self) -> dict[str, Parsed]:
        """Return the records that were not returned before, by key, in the order of their keys.

        Raises
        ------
        LakeError
            If a record is damaged; it says what to do. None is passed over: without a drop's record its values would
            leave the tables. The next look returns what this one would have.
        """
        if self._is_first_look:
            indexed, until = _chain(self._segments().values())
            after = until
        else:
            indexed, until = {}, self._indexed_until
            after = "" if self._latest is None else self._log.key_at(self._latest - _microseconds(OVERLAP))
        listed = [item.key for item in self._log.list(after)]
        fresh = self._log.read([key for key in listed if key not in self._known and key not in indexed])
        records = self._log.parsed(dict(sorted((indexed | fresh).items())), self._parse)
        self._is_first_look, self._indexed_until = False, until
        self._known.update(records)
        self._unindexed |= fresh
        self._latest = max([*filter(None, map(self._log.written_at, records)), self._latest or 0]) or None
        return records

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record; its key comes after those of all records that are there."""
        self._log.append(self._log.next_moment(self._latest or 0), name, record)

    def _segments(self) -> dict[str, Segment]:
        keys = [item.key for item in self.store.list(INDEX_FOLDER)]
        contents = zip(keys, self.store.read_all(keys), strict=True)
        read = {key: Segment.unpacked(content) for key, content in contents if content is not None}
        return {key: segment for key, segment in read.items() if segment is not None}

    def compact(self) -> None:
        """Write what was read one by one and is not of late to a segment, if it is much; make one of many segments."""
        settled = self._log.key_at(self._log.clock.now() - 2 * _microseconds(OVERLAP))
        records = {key: record for key, record in sorted(self._unindexed.items()) if key <= settled}
        if len(records) < SEGMENT_RECORDS:
            return
        # Not the clock's word: every later record has a later key than the last of these.
        until = max(records)
        self._write_segment(Segment(self._indexed_until, until, records))
        self._indexed_until = until
        self._unindexed = {key: record for key, record in self._unindexed.items() if key not in records}
        segments = self._segments()
        if len(segments) > MOST_SEGMENTS:
            chained, complete_until = _chain(segments.values())
            if complete_until != until:
                # Somebody removed a part, or another process writes the index at the same time. What is left still
                # saves reading: the next process closes the gap.
                return
            kept = self._write_segment(Segment("", until, dict(sorted(chained.items()))))
            for key in segments:
                if key != kept:
                    self.store.delete(key)

    def _write_segment(self, segment: Segment) -> str:
        content = segment.packed()
        key = f"{INDEX_FOLDER}/{digest_of(segment.after, segment.until, len(content))}.json.gz"
        self.store.write(key, content)
        return key

    def reconcile(self) -> int:
        """Look at every record; list those anew that looks at the latest may have missed; return how many.

        Such a record gets a copy under the name of now, which every process finds. Records that somebody removed leave
        the index.
        """
        listed = self._log.list()
        late, in_time = [], set()
        for item in listed:
            stamp = self._log.written_at(item.key)
            if stamp is None:
                continue
            age = self._log.clock.now() - stamp
            slow = item.modified_at - stamp > _microseconds(OVERLAP) and age < _microseconds(RECONCILED)
            if slow or (item.key not in self._known and age > _microseconds(OVERLAP)):
                late.append(item.key)
            else:
                in_time.add(self._log.own_name(item.key))
        missed = self._log.read([key for key in late if self._log.own_name(key) not in in_time])
        for key, record in missed.items():
            self.write(self._log.own_name(key), record)
        if self._known - {item.key for item in listed}:
            for item in self.store.list(INDEX_FOLDER):
                self.store.delete(item.key)
        return len(missed)


def _chain(segments: Iterable[Segment]) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the records of the segments that follow each other without a gap, and how far they reach."""
    chained: dict[str, dict[str, Any]] = {}
    until = ""
    for segment in sorted(segments, key=lambda each: (each.after, each.until)):
        if segment.after > until:
            break
        chained |= segment.records
        until = max(until, segment.until)
    return chained, until
