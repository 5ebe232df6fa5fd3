"""The ledger: what has arrived, what was read from it, and what was withdrawn.

Belongs here: the record of a drop and the rules by which drops count (a newer file of the same name replaces, a
withdrawn file does not count). One immutable JSON object per drop and per event; a drop's record is written last, so
a drop is either wholly in the platform or not at all. Does not belong here: reading files (``ingest.py``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

from metrify_assets.errors import DropError, LakeError
from metrify_assets.lake import EMPTY, digest_of
from metrify_assets.resources.object_store import ObjectStore, StoredObject


@dataclass(frozen=True)
class Source:
    """Where a drop was seen in the inbox: enough to know, without reading it, that it was seen."""

    name: str
    size: int
    modified_at: int


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
        ``rows``, ``delivered_values``, ``raw_values``, ``quarantined_rows``, ``quarantined_values``.
    quarantine : str
        Key of the file of rejected rows, empty if there are none.
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

    @property
    def days(self) -> list[date]:
        """Delivery days that the drop holds rows of."""
        return [date.fromisoformat(day) for day in sorted(self.parts) if day]

    @property
    def source(self) -> Source:
        """Where the drop was seen first."""
        return Source(self.name, self.size, self.modified_at)

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


@dataclass
class LedgerView:
    """All drops at one moment.

    Attributes
    ----------
    drops : dict
        By (feed, drop_id).
    withdrawals : dict
        By (feed, drop_id).
    sources : set of (feed, Source)
        Every delivery ever seen, redeliveries included.
    active : dict
        The drops that count.
    """

    drops: dict[tuple[str, str], Drop]
    withdrawals: dict[tuple[str, str], Withdrawal]
    sources: set[tuple[str, Source]]
    active: dict[tuple[str, str], Drop] = field(init=False)

    def __post_init__(self) -> None:
        counting = {key: drop for key, drop in self.drops.items() if key not in self.withdrawals}
        latest: dict[tuple[str, str], Drop] = {}
        for drop in counting.values():
            if not drop.replaces:
                continue
            name = (drop.feed, drop.name)
            if name not in latest or _arrival(drop) > _arrival(latest[name]):
                latest[name] = drop
        self.active = {
            key: drop
            for key, drop in sorted(counting.items())
            if not drop.replaces or latest[drop.feed, drop.name] is drop
        }
        self._raw: dict[str, dict[str, dict[str, str]]] = {}

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
            pieces: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
            for key, drop in self.drops.items():
                if drop.table != table:
                    continue
                for day, parts in drop.parts.items():
                    found = pieces[day]
                    if key not in self.active:
                        continue
                    for shard in {shard for part in parts for shard in part.rows}:
                        digest = drop.shard_digest(day, shard)
                        if digest:
                            found[shard].append(digest)
            self._raw[table] = {
                day: {shard: digest_of(*sorted(digests)) for shard, digests in shards.items()}
                for day, shards in pieces.items()
            }
        return self._raw[table]

    def day_digest(self, table: str, day: date | str) -> str:
        """Return the digest of one day of a raw table; ``EMPTY`` if nothing that counts was delivered."""
        shards = self.raw_digests(table).get(str(day), {})
        return digest_of(*sorted(shards.items())) if shards else EMPTY

    def drops_of(self, table: str, day: date | str = "", *, active_only: bool = True) -> Iterator[Drop]:
        """Yield the drops that hold rows of a table's day, in order of arrival."""
        pool = self.active if active_only else self.drops
        for drop in sorted(pool.values(), key=_arrival):
            if drop.table == table and str(day) in drop.parts:
                yield drop

    def find(self, drop_id: str) -> Drop:
        """Return the drop whose id starts with ``drop_id``; raise ``DropError`` unless exactly one does.

        The same bytes may have come with two feeds: ``feed/drop_id`` names one of them.
        """
        feed, _, start = drop_id.rpartition("/")
        found = [
            drop for drop in self.drops.values() if drop.drop_id.startswith(start) and (not feed or drop.feed == feed)
        ]
        exact = [drop for drop in found if drop.drop_id == start]
        if len(exact) == 1:
            return exact[0]
        if not found:
            raise DropError(f"no drop {drop_id!r}: see `metrify drop list`")
        if len(found) > 1:
            names = ", ".join(f"{drop.feed}/{drop.drop_id}" for drop in found[:5])
            raise DropError(
                f"{drop_id!r} names {len(found)} drops: {names}; write more of the id, or the feed before it"
            )
        return found[0]


def _arrival(drop: Drop) -> tuple[int, str]:
    return (drop.received_at, drop.drop_id)


class Ledger:
    """Reads and appends the records.

    Parameters
    ----------
    store : ObjectStore
        Store whose keys start with ``ledger/``.
    """

    def __init__(self, store: ObjectStore):
        self.store = store
        self._records: dict[str, tuple[int, dict]] = {}
        self._view: tuple[frozenset[StoredObject], LedgerView] | None = None

    def view(self) -> LedgerView:
        """Return the drops as of now; each record is read once."""
        found = frozenset(item for item in self.store.list("ledger") if item.key.endswith(".json"))
        if self._view is not None and self._view[0] == found:
            return self._view[1]
        for item in found:
            if self._records.get(item.key, (None,))[0] != item.modified_at:
                self._records[item.key] = (item.modified_at, self._read(item.key))
        view = _view({item.key: self._records[item.key][1] for item in found})
        self._view = (found, view)
        return view

    def view_at(self, moment: int) -> LedgerView:
        """Return the drops as they were known at an instant (UTC microseconds): read, and not withdrawn, by then."""
        self.view()
        return _view({key: record for key, (_, record) in self._records.items()}, moment)

    def record(self, drop: Drop) -> None:
        """Write a drop's record: the last step of reading it. Of several readings the last counts."""
        self._write(f"ledger/{drop.feed}/{drop.drop_id}~{drop.parse_digest}.drop.json", asdict(drop))

    def record_redelivery(self, feed: str, drop_id: str, source: Source) -> None:
        """Note that the bytes of a known drop were delivered again."""
        stamp = digest_of(source.name, source.size, source.modified_at)
        record = {"feed": feed, "drop_id": drop_id, "source": asdict(source)}
        self._write(f"ledger/{feed}/{drop_id}-{stamp}.redelivered.json", record)

    def withdraw(self, drop: Drop, reason: str) -> Withdrawal:
        """Take a drop out of the selection. Its record and its bytes stay."""
        if (drop.feed, drop.drop_id) in self.view().withdrawals:
            raise DropError(f"drop {drop.drop_id} is withdrawn already")
        if not reason.strip():
            raise DropError("a withdrawal needs a reason: say --reason '...'")
        withdrawal = Withdrawal(drop.feed, drop.drop_id, reason.strip(), now())
        self._write(f"ledger/{drop.feed}/{drop.drop_id}.withdrawn.json", asdict(withdrawal))
        return withdrawal

    def _read(self, key: str) -> dict:
        try:
            return json.loads(self.store.read(key))
        except json.JSONDecodeError as error:
            raise LakeError(
                f"{key} is damaged ({error}): delete it; the file in the inbox is then taken in again"
            ) from error

    def _write(self, key: str, record: dict) -> None:
        self.store.write(key, json.dumps(record, separators=(",", ":")).encode())


def _view(records: Mapping[str, dict], moment: int | None = None) -> LedgerView:
    """Return the view of some records by key; with a moment, of those written by then."""
    drops: dict[tuple[str, str], Drop] = {}
    withdrawals: dict[tuple[str, str], Withdrawal] = {}
    sources: set[tuple[str, Source]] = set()
    for key in sorted(records):
        kind, record = key.rsplit(".", 2)[-2], records[key]
        written_at = record.get({"drop": "ingested_at", "withdrawn": "withdrawn_at"}.get(kind, ""))
        if moment is not None and written_at is not None and written_at > moment:
            continue
        if kind == "drop":
            parts = {day: [Part(**part) for part in parts] for day, parts in record["parts"].items()}
            drop = Drop(**{**record, "parts": parts})
            sources.add((drop.feed, drop.source))
            known = drops.get((drop.feed, drop.drop_id))
            if known is None or known.ingested_at < drop.ingested_at:
                drops[drop.feed, drop.drop_id] = drop
        elif kind == "withdrawn":
            withdrawals[record["feed"], record["drop_id"]] = Withdrawal(**record)
        elif kind == "redelivered":
            sources.add((record["feed"], Source(**record["source"])))
    return LedgerView(drops, withdrawals, sources)


def now() -> int:
    """Return the current time as UTC microseconds."""
    moment = datetime.now(UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
