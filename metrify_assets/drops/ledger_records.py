"""The records of the ledger: how they are named, and how new ones are found without looking at all.

Belongs here: one immutable JSON object per record below ``ledger/``, and the index below ``ledger-index/``. A record's
name begins with the moment at which it was written, and never with an earlier one than the latest record has: so new
ones are those at the end of the listing, whatever the clocks of their writers say. No reader asks a clock. What a slow
connection adds later than ``OVERLAP`` is found by ``reconcile``. The index holds copies of many records in few objects:
it is a cache, and may be deleted. Does not belong here: what a record means (``ledger.py``).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from metrify_assets.clock import now
from metrify_assets.digest import digest_of
from metrify_assets.errors import LakeError
from metrify_assets.storage.object_store import ObjectStore

FOLDER = "ledger"
INDEX_FOLDER = "ledger-index"
OVERLAP = timedelta(minutes=5)
"""How far before the latest record a new one may appear, by the moments in their names, and be found at once."""
STEP = timedelta(seconds=1)
"""What a record's moment is later than one far ahead of the clock: the last ``OVERLAP`` never holds many records."""
RECONCILED = timedelta(days=2)
"""Age up to which records are checked for having appeared late: more than the time between two reconciliations."""
SEGMENT_RECORDS = 1_000
"""Records from which an index object is written."""
MOST_SEGMENTS = 16
"""Index objects from which they are made one."""
_NAME = re.compile(rf"{FOLDER}/(\d{{4}}-\d\d-\d\d/\d\d/\d{{10}})-(.+)")
_STAMP = "%Y-%m-%d/%H/%M%S%f"
_REMEDIES = {
    "drop": "delete it, and the file in the inbox is taken in again; if it left the inbox, `metrify land` it first, "
    "from landing/ if need be",
    "withdrawn": "delete it, and withdraw the drop again with `metrify drop withdraw`",
    "redelivered": "delete it, and the file in the inbox is recognised again",
}

Parsed = TypeVar("Parsed")


def key_at(moment: int) -> str:
    """Return how the keys of records begin that are written at an instant (UTC microseconds)."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    return f"{FOLDER}/{instant:{_STAMP}}"


def written_at(key: str) -> int | None:
    """Return when a record was written, by its name; None if the name does not say."""
    found = _NAME.fullmatch(key)
    if found is None:
        return None
    moment = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def kind_of(key: str) -> str:
    """Return the kind of a record by its name: ``drop``, ``withdrawn`` or ``redelivered``."""
    return key.rsplit(".", 2)[-2]


def damaged_record(key: str, problem: object) -> LakeError:
    """Return the error of a record that says nothing, with what to do."""
    remedy = _REMEDIES.get(kind_of(key), "delete it")
    return LakeError(f"{key} is damaged ({problem}): {remedy}")


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


@dataclass(frozen=True)
class Segment:
    """Some records in one object: all that were known with a key after ``after``, up to ``until``."""

    after: str
    until: str
    records: Mapping[str, dict]

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
        Returns what a record of a key says; raises ``LakeError`` if it says nothing.
    """

    def __init__(self, store: ObjectStore, parse: Callable[[str, dict], Parsed]):
        self.store, self._parse = store, parse
        self._known: set[str] = set()
        self._is_first_look = True
        self._latest: int | None = None
        self._indexed_until = ""
        self._unindexed: dict[str, dict] = {}

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
            after = "" if self._latest is None else key_at(self._latest - _microseconds(OVERLAP))
        listed = [item.key for item in self.store.list(FOLDER, after) if item.key.endswith(".json")]
        fresh = self._read([key for key in listed if key not in self._known and key not in indexed])
        records = {key: self._parse(key, record) for key, record in sorted((indexed | fresh).items())}
        self._is_first_look, self._indexed_until = False, until
        self._known.update(records)
        self._unindexed |= fresh
        self._latest = max([*filter(None, map(written_at, records)), self._latest or 0]) or None
        return records

    def _read(self, keys: list[str]) -> dict[str, dict]:
        read = {}
        for key, content in zip(keys, self.store.read_all(keys), strict=True):
            if content is None:
                continue
            try:
                read[key] = json.loads(content)
            except ValueError as error:
                raise damaged_record(key, error) from error
        return read

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record; its key comes after those of all records that are there."""
        content = json.dumps(record, separators=(",", ":")).encode()
        self.store.write(f"{key_at(self._next_moment())}-{name}", content)

    def _next_moment(self) -> int:
        """Return the moment for a new record: now, or just after the latest record if that is ahead of this clock."""
        moment = now()
        seen = self._latest or 0
        ahead = self.store.list(FOLDER, key_at(max(moment, seen)))
        latest = max([*filter(None, (written_at(item.key) for item in ahead)), seen])
        if latest < moment:
            return moment
        return latest + (_microseconds(STEP) if latest - moment > _microseconds(OVERLAP) else 1)

    def _segments(self) -> dict[str, Segment]:
        keys = [item.key for item in self.store.list(INDEX_FOLDER)]
        contents = zip(keys, self.store.read_all(keys), strict=True)
        read = {key: Segment.unpacked(content) for key, content in contents if content is not None}
        return {key: segment for key, segment in read.items() if segment is not None}

    def compact(self) -> None:
        """Write what was read one by one and is not of late to a segment, if it is much; make one of many segments."""
        settled = key_at(now() - 2 * _microseconds(OVERLAP))
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
            found, complete_until = _chain(segments.values())
            if complete_until != until:
                # Somebody removed a part, or another process writes the index at the same time. What is left still
                # saves reading: the next process closes the gap.
                return
            kept = self._write_segment(Segment("", until, dict(sorted(found.items()))))
            for key in segments:
                if key != kept:
                    self.store.delete(key)

    def _write_segment(self, segment: Segment) -> str:
        content = segment.packed()
        key = f"{INDEX_FOLDER}/{digest_of(segment.after, segment.until, len(content))}.json.gz"
        self.store.write(key, content)
        return key

    def reconcile(self) -> int:
        """Look at every record; tell those anew that looks at the latest may have missed; return how many.

        Such a record gets a copy under the name of now, which every process finds. Records that somebody removed leave
        the index.
        """
        listed = [item for item in self.store.list(FOLDER) if item.key.endswith(".json")]
        late, in_time = [], set()
        for item in listed:
            stamp = written_at(item.key)
            if stamp is None:
                continue
            age = now() - stamp
            slow = item.modified_at - stamp > _microseconds(OVERLAP) and age < _microseconds(RECONCILED)
            if slow or (item.key not in self._known and age > _microseconds(OVERLAP)):
                late.append(item.key)
            else:
                in_time.add(_own_name(item.key))
        missed = self._read([key for key in late if _own_name(key) not in in_time])
        for key, record in missed.items():
            self.write(_own_name(key), record)
        if self._known - {item.key for item in listed}:
            for item in self.store.list(INDEX_FOLDER):
                self.store.delete(item.key)
        return len(missed)


def _chain(segments: Iterable[Segment]) -> tuple[dict[str, dict], str]:
    """Return the records of the segments that follow each other without a gap, and how far they reach."""
    found: dict[str, dict] = {}
    until = ""
    for segment in sorted(segments, key=lambda each: (each.after, each.until)):
        if segment.after > until:
            break
        found |= segment.records
        until = max(until, segment.until)
    return found, until


def _own_name(key: str) -> str:
    """Return the part of a record's key after the moment."""
    found = _NAME.fullmatch(key)
    return found[2] if found else key
