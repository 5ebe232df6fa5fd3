"""The ledger: what has arrived, what was read from it, and what was withdrawn.

Belongs here: the record of a drop and the rules by which drops count (a newer file of the same name replaces, a
withdrawn file does not count). One immutable JSON object per drop and per event; a drop's record is written last, so
a drop is either wholly in the platform or not at all. Does not belong here: reading files (``ingest.py``) and how
records are named and found (``ledger_records.py``).
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import date
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from metrify_assets.clock import SYSTEM_CLOCK, Clock
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.drops.ledger_records import LedgerRecords, kind_of
from metrify_assets.errors import DropError, escaped
from metrify_assets.storage.object_store import ObjectStore

__all__ = ["Drop", "Ledger", "LedgerView", "Part", "Redelivery", "Source", "Withdrawal", "arrival"]

Key = tuple[str, str]
FROZEN_RECORDS = 10_000
"""Records from which the garbage collector is to pass over them: looking through 100,000 took it a second."""


class Source(NamedTuple):
    """Where a drop was seen in the inbox: enough to know, without reading it, that it was seen."""

    name: str
    size: int
    modified_at: int
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one drop for one day, in one Parquet file.

    Attributes
    ----------
    file : str
        Key of the file.
    shards : mapping of str to list of int
        Row groups that hold each shard's rows, by shard number.
    rows : mapping of str to int
        Rows of each shard.
    """

    file: str
    shards: Mapping[str, list[int]]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Drop:
    """One file as it arrived, and what became of its rows.

    Attributes
    ----------
    feed, drop_id, name : str
        ``drop_id`` is the digest of the bytes, with a running number where the same bytes came again after something
        else had replaced them.
    kind, table : str
        Kind of the feed, and the table that the rows went to.
    replaces : bool
        Whether a newer file of the same name takes this one's place.
    landed : str
        Key of the bytes in the landing zone.
    size : int
        Bytes.
    modified_at, received_at, ingested_at : int
        When the file was last written, when it counts as received (never in the future), when it was read: UTC
        microseconds.
    parse_digest : str
        Digest of the feed definition and reader that read it.
    parts : mapping of str to list of Part
        By delivery day (ISO date); the empty string for tables without days.
    counts : mapping of str to int
        ``rows``, ``delivered_values``, ``raw_values``, ``quarantined_rows``, ``quarantined_values``; and
        ``refused_files``, of which nothing was read, in records since it is counted.
    quarantine : str
        Key of the file of rejected rows, empty if there are none.
    etag : str
        ETag of the object that it was; empty if it was a local file.
    """

    feed: str
    drop_id: str
    name: str
    kind: str
    table: str
    replaces: bool
    landed: str
    size: int
    modified_at: int
    received_at: int
    ingested_at: int
    parse_digest: str
    parts: Mapping[str, list[Part]]
    counts: Mapping[str, int]
    quarantine: str = ""
    etag: str = ""

    @property
    def key(self) -> Key:
        """What the ledger knows the drop by: feed and id."""
        return (self.feed, self.drop_id)

    @property
    def label(self) -> str:
        """Feed and name as they may be shown: in one line, whatever the name holds."""
        return escaped(f"{self.feed}/{self.name}")

    @property
    def refused_files(self) -> int:
        """Files of which nothing was read: the drop itself, or files in its zip."""
        return self.counts.get("refused_files", 0)

    @property
    def account(self) -> str:
        """What became of its values, in words."""
        counts = self.counts
        words = f"{counts['raw_values']} values of {len(self.days)} days, {counts['quarantined_values']} quarantined"
        if not self.refused_files:
            return words
        files = "the file was" if self.refused_files == 1 else f"{self.refused_files} files were"
        return f"{words}, {files} refused as a whole"

    @property
    def days(self) -> list[date]:
        """Delivery days that the drop holds rows of."""
        return [date.fromisoformat(day) for day in sorted(self.parts) if day]

    @property
    def source(self) -> Source:
        """Where the drop was seen first."""
        return Source(self.name, self.size, self.modified_at, self.etag)

    def shard_digest(self, day: str, shard: str) -> str | None:
        """Return the digest of the drop's rows for one day and shard, or None if there are none.

        The bytes are immutable and reading them is deterministic: identity and reader say the content.
        """
        rows = sum(part.rows.get(shard, 0) for part in self.parts.get(day, ()))
        return digest_of(self.drop_id, self.received_at, self.parse_digest, day, shard, rows) if rows else None


@dataclass(frozen=True)
class Withdrawal:
    """A person's decision that a drop does not count."""

    feed: str
    drop_id: str
    reason: str
    withdrawn_at: int


@dataclass(frozen=True)
class Redelivery:
    """Bytes of a known drop that were delivered again."""

    feed: str
    drop_id: str
    source: Source


Record = Drop | Withdrawal | Redelivery


class LedgerView:
    """All drops at one moment. A view never changes; ``plus`` makes a newer one.

    Attributes
    ----------
    drops : dict
        By (feed, drop_id).
    withdrawals : dict
        By (feed, drop_id).
    sources : set of (feed, Source)
        Every delivery ever seen, redeliveries included.
    active : dict
        The drops that count, ordered by feed and id.
    """

    def __init__(
        self,
        drops: Mapping[Key, Drop],
        withdrawals: Mapping[Key, Withdrawal],
        sources: Collection[tuple[str, Source]],
    ):
        self.drops, self.withdrawals, self.sources = dict(drops), dict(withdrawals), set(sources)
        self._names: dict[tuple[str, str], tuple[Key, ...]] = {}
        self._days: dict[tuple[str, str], tuple[Key, ...]] = {}
        for groups, members in (
            (self._names, _grouped(self.drops, lambda drop: [(drop.feed, drop.name)])),
            (self._days, _grouped(self.drops, lambda drop: [(drop.table, day) for day in drop.parts])),
        ):
            groups.update((group, tuple(keys)) for group, keys in members.items())
        counting = [key for name in self._names for key in self._counting(name)]
        self.active = {key: self.drops[key] for key in sorted(counting)}
        self._raw: dict[str, dict[str, dict[str, str]]] = {}

    def plus(self, records: Collection[Record]) -> LedgerView:
        """Return the view with some more records; costs a copy of the dictionaries and what the records touch."""
        drops, withdrawals, sources = dict(self.drops), dict(self.withdrawals), set(self.sources)
        touched: set[Key] = set()
        for record in records:
            sources.update([] if isinstance(record, Withdrawal) else [(record.feed, record.source)])
            key = (record.feed, record.drop_id)
            if isinstance(record, Withdrawal):
                withdrawals[key] = record
                touched.add(key)
            elif isinstance(record, Drop) and (key not in drops or drops[key].ingested_at < record.ingested_at):
                drops[key] = record
                touched.add(key)
        if len(touched) * 4 > len(drops):
            return LedgerView(drops, withdrawals, sources)
        newer = LedgerView.__new__(LedgerView)
        newer.drops, newer.withdrawals, newer.sources = drops, withdrawals, sources
        newer._follow(self, touched)
        return newer

    def _follow(self, before: LedgerView, touched: set[Key]) -> None:
        """Take over from the view before what the touched drops leave as it was."""
        self._names, self._days = dict(before._names), dict(before._days)
        for key in touched:
            old, new = before.drops.get(key), self.drops.get(key)
            for groups, group in _groups_of(self, old):
                groups[group] = tuple(other for other in groups[group] if other != key)
                if not groups[group]:
                    del groups[group]
            for groups, group in _groups_of(self, new):
                groups[group] = (*groups.get(group, ()), key)
        # A drop that comes or goes decides about the others of its name.
        names = {(drop.feed, drop.name) for view in (before, self) for key in touched if (drop := view.drops.get(key))}
        concerned = {key for name in names for view in (before, self) for key in view._names.get(name, ())}
        counting = {key: self.drops[key] for name in names for key in self._counting(name)}
        others = {key: drop for key, drop in before.active.items() if key not in concerned}
        self.active = dict(sorted((others | counting).items()))
        days = {
            (drop.table, day)
            for view in (before, self)
            for key in concerned
            if (drop := view.drops.get(key))
            for day in drop.parts
        }
        self._raw = {table: dict(digests) for table, digests in before._raw.items()}
        for table, day in days:
            if table in self._raw:
                self._raw[table].pop(day, None)
                if (table, day) in self._days:
                    self._raw[table][day] = self._shard_digests(table, day)

    def _counting(self, name: tuple[str, str]) -> list[Key]:
        """Return the drops of one name that count: of those that replace each other the one received last."""
        drops = [self.drops[key] for key in self._names.get(name, ()) if key not in self.withdrawals]
        last = max((drop for drop in drops if drop.replaces), key=arrival, default=None)
        return [drop.key for drop in drops if not drop.replaces or drop is last]

    def named(self, feed: str, name: str) -> list[Drop]:
        """Return the drops of a feed that came under one name."""
        return [self.drops[key] for key in self._names.get((feed, name), ())]

    def state(self, drop: Drop) -> str:
        """Return ``active``, ``replaced`` or ``withdrawn``."""
        key = (drop.feed, drop.drop_id)
        if key in self.withdrawals:
            return "withdrawn"
        return "active" if key in self.active else "replaced"

    def raw_digests(self, table: str) -> dict[str, dict[str, str]]:
        """Return the digest of every day and shard of a raw table: day -> shard -> digest.

        Days whose drops all ceased to count stay in the answer with no shards: they have to be computed again.
        """
        if table not in self._raw:
            self._raw[table] = {
                day: self._shard_digests(table, day) for owner, day in list(self._days) if owner == table
            }
        return self._raw[table]

    def _shard_digests(self, table: str, day: str) -> dict[str, str]:
        by_shard: dict[str, list[str]] = defaultdict(list)
        for key in self._days[table, day]:
            if key not in self.active:
                continue
            drop = self.drops[key]
            for shard in {shard for part in drop.parts[day] for shard in part.rows}:
                digest = drop.shard_digest(day, shard)
                if digest:
                    by_shard[shard].append(digest)
        return {shard: digest_of(*sorted(digests)) for shard, digests in by_shard.items()}

    def day_digest(self, table: str, day: date | str) -> str:
        """Return the digest of one day of a raw table; ``EMPTY`` if nothing that counts was delivered."""
        shards = self.raw_digests(table).get(str(day), {})
        return digest_of(*sorted(shards.items())) if shards else EMPTY

    def drops_of(self, table: str, day: date | str = "", *, active_only: bool = True) -> Iterator[Drop]:
        """Yield the drops that hold rows of a table's day, in order of arrival."""
        pool = self.active if active_only else self.drops
        yield from sorted((pool[key] for key in self._days.get((table, str(day)), ()) if key in pool), key=arrival)

    def find(self, drop_id: str) -> Drop:
        """Return the drop whose id starts with ``drop_id``; raise ``DropError`` unless exactly one does.

        The same bytes may have come with two feeds: ``feed/drop_id`` names one of them.
        """
        feed, _, start = drop_id.rpartition("/")
        matches = [
            drop for drop in self.drops.values() if drop.drop_id.startswith(start) and (not feed or drop.feed == feed)
        ]
        exact = [drop for drop in matches if drop.drop_id == start]
        if len(exact) == 1:
            return exact[0]
        if not matches:
            raise DropError(f"no drop {drop_id!r}: see `metrify drop list`")
        if len(matches) > 1:
            names = ", ".join(f"{drop.feed}/{drop.drop_id}" for drop in matches[:5])
            raise DropError(
                f"{drop_id!r} names {len(matches)} drops: {names}; write more of the id, or the feed before it"
            )
        return matches[0]


def arrival(drop: Drop) -> tuple[int, str, str]:
    """Return what sorts drops by arrival. S3 has whole seconds: within one of them names that count up are kept."""
    return (drop.received_at, drop.name, drop.drop_id)


def _grouped(drops: Mapping[Key, Drop], groups_of: Callable[[Drop], list[Key]]) -> dict[tuple[str, str], list[Key]]:
    groups: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key, drop in drops.items():
        for group in groups_of(drop):
            groups[group].append(key)
    return groups


def _groups_of(view: LedgerView, drop: Drop | None) -> list[tuple[dict[tuple[str, str], tuple[Key, ...]], Key]]:
    """Return where a view keeps a drop: by name, and by day."""
    if drop is None:
        return []
    return [(view._names, (drop.feed, drop.name)), *((view._days, (drop.table, day)) for day in drop.parts)]


class Ledger:
    """Reads and appends the records.

    Parameters
    ----------
    store : ObjectStore
        Store whose keys start with ``ledger/``.
    clock : Clock
    """

    def __init__(self, store: ObjectStore, clock: Clock = SYSTEM_CLOCK):
        self.store, self._clock = store, clock
        self._log = LedgerRecords(store, parse, clock)
        self._records: dict[str, Record] = {}
        self._view = LedgerView({}, {}, set())
        self._is_first_look = True
        # Sensors of one process look at the same ledger.
        self._lock = Lock()

    def view(self) -> LedgerView:
        """Return the drops as of now; each record is read once, and costs in proportion to what it touches."""
        with self._lock:
            if self._is_first_look:
                self._is_first_look = False
                # Looking for garbage among records that are all kept takes as long as reading them.
                with _no_garbage_collection():
                    self._take_in()
                if len(self._records) > FROZEN_RECORDS:
                    gc.freeze()
            else:
                self._take_in()
            return self._view

    def _take_in(self) -> None:
        new = self._log.new()
        self._records |= new
        if new:
            self._view = self._view.plus(list(new.values()))

    def view_at(self, moment: int) -> LedgerView:
        """Return the drops as they were known at an instant (UTC microseconds): read, and not withdrawn, by then."""
        self.view()
        return LedgerView({}, {}, set()).plus([each for each in self._records.values() if _known_by(each, moment)])

    def compact(self) -> None:
        """Write records that were found one by one to the index, from which a new process reads them in bulk."""
        with self._lock:
            self._log.compact()

    def reconcile(self) -> int:
        """Look at every record, also at those that listing the latest may miss; return how many are listed anew."""
        self.view()
        with self._lock:
            return self._log.reconcile()

    def record(self, drop: Drop) -> None:
        """Write a drop's record: the last step of reading it. Of several readings the last counts."""
        self._log.write(f"{drop.feed}-{drop.drop_id}~{drop.parse_digest}.drop", asdict(drop))

    def record_redelivery(self, feed: str, drop_id: str, source: Source) -> None:
        """Note that the bytes of a known drop were delivered again."""
        if (feed, source) in self.view().sources:
            return
        record = {"feed": feed, "drop_id": drop_id, "source": source._asdict()}
        self._log.write(f"{feed}-{drop_id}-{digest_of(*source)}.redelivered", record)

    def withdraw(self, drop: Drop, reason: str) -> Withdrawal:
        """Take a drop out of the selection. Its record and its bytes stay."""
        if drop.key in self.view().withdrawals:
            raise DropError(f"drop {drop.drop_id} is withdrawn already")
        if not reason.strip():
            raise DropError("a withdrawal needs a reason: say --reason '...'")
        withdrawal = Withdrawal(drop.feed, drop.drop_id, reason.strip(), self._clock.now())
        self._log.write(f"{drop.feed}-{drop.drop_id}.withdrawn", asdict(withdrawal))
        return withdrawal


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_PLAIN = {"str": str, "int": int, "bool": bool}
_TYPES = {
    kind: {field.name: _PLAIN[str(field.type)] for field in fields(kind) if field.type in _PLAIN}
    for kind in (Drop, Withdrawal, Redelivery)
}
_COUNTS = {"rows", "delivered_values", "raw_values", "quarantined_rows", "quarantined_values"}


def parse(key: str, record: Mapping[str, Any]) -> Record:
    """Return what a record says, whose kind is in its name; raises an error as Python does for another shape."""
    kind = kind_of(key)
    if kind == "withdrawn":
        return _checked(Withdrawal(**record))
    if kind == "redelivered":
        return _checked(Redelivery(record["feed"], record["drop_id"], Source(**record["source"])))
    parts = {day: [Part(**part) for part in parts] for day, parts in record["parts"].items()}
    drop = _checked(Drop(**{**record, "parts": parts}))
    absent = _COUNTS - drop.counts.keys()
    if absent:
        raise ValueError(f"no {min(absent)} among its counts")
    return drop


Checked = TypeVar("Checked", Drop, Withdrawal, Redelivery)


def _checked(record: Checked) -> Checked:
    for name, kind in _TYPES[type(record)].items():
        if type(getattr(record, name)) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    return record


def _known_by(record: Record, moment: int) -> bool:
    if isinstance(record, Drop):
        return record.ingested_at <= moment
    return not isinstance(record, Withdrawal) or record.withdrawn_at <= moment
