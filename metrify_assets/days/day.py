"""One day of a table, computed shard by shard: only what changed, audited, then published in one step.

Belongs here: the loop that every table by day shares, and parking of days that fail. Does not belong here: what a
shard is computed from (``validated.py``, ``clean.py``, ``grid_and_weather.py``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from metrify_assets.days.digests import Digests
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import DamagedFileError, MetrifyError
from metrify_assets.platform import Platform
from metrify_assets.schemas.audit import Audit, audit
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Lake, Manifest, Shard
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.storage.parallel import Result, map_in_order


@dataclass(frozen=True)
class ShardResult:
    """Rows of a shard, the inputs they were made of, what was counted on the way, and rows for tables beside it.

    ``kept`` is the file that holds the rows already, where they are to stay as they are.
    """

    rows: pa.Table
    inputs: Mapping[str, str]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    side_tables: Mapping[str, pa.Table] = field(default_factory=dict)
    kept: Shard | None = None


@dataclass(frozen=True)
class DayResult:
    """A day after its computation.

    Attributes
    ----------
    manifest : Manifest or None
        What is published now; the day before this computation, or None, if it was parked.
    computed : tuple of int
        Shards that were computed; the others were up to date.
    parked : str
        Why the day was not published; empty if it was.
    """

    day: date
    manifest: Manifest | None
    computed: tuple[int, ...] = ()
    parked: str = ""

    @property
    def audit(self) -> Audit:
        """Sum of the shards' audits."""
        shards = self.manifest.shards.values() if self.manifest else ()
        return Audit.merged(Audit.from_numbers(shard.numbers["audit"]) for shard in shards if "audit" in shard.numbers)


def compute_day(
    platform: Platform,
    table: Table,
    day: date,
    digests: Digests,
    compute_shard: Callable[[int], ShardResult],
    *,
    force: bool = False,
    side_tables: Sequence[Table] = (),
) -> DayResult:
    """Compute the shards of a day whose inputs changed, and publish the day if all of them pass their audit.

    Tables ``beside`` the day's come from the same computation. They are published first: the day's own manifest, which
    says from what it was computed, comes last.

    A day for which nothing was ever delivered is left alone unless ``force`` asks for it.

    A day that cannot be computed (a damaged file, a broken structure) is parked: the state before stays published and
    the reason is kept beside it, so that other days of the run go on. Faults of the machine are raised.
    """
    shards = platform.settings.shards if table.sharded else 1
    stale = list(range(shards)) if force else digests.stale_shards(table.name, day, shards)
    before = platform.lake.replaceable(table.name, day)
    if before is None and not force and day not in digests.wanted_days(table.name):
        return DayResult(day, None)
    published = {output.name: _published_shards(platform.lake, output, day) for output in (table, *side_tables)}
    key = _parked_key(table.name, day)
    try:
        for number, result in zip(stale, shards_in_order(compute_shard, stale), strict=True):
            for output in (*side_tables, table):
                rows = result.rows if output is table else result.side_tables[output.name]
                verdict = audit(output, rows) if rows.num_rows else Audit()
                verdict.require_structure(f"{output.name} of {day}")
                numbers = {**(result.numbers if output is table else {}), "audit": verdict.as_numbers()}
                inputs = result.inputs if output is table else {}
                published[output.name][number] = (
                    platform.lake.copy_shard(result.kept, output.name, day, number, inputs=inputs, numbers=numbers)
                    if output is table and result.kept is not None
                    else platform.lake.write_shard(output.name, day, number, rows, inputs=inputs, numbers=numbers)
                )
    except MetrifyError as error:
        record = {"day": day.isoformat(), "reason": str(error), "inputs": digests.inputs_digest(day)}
        if isinstance(error, DamagedFileError):
            record |= {"file": error.key, "file_state": _file_state(platform.store, error.key)}
        platform.store.write(key, json.dumps(record).encode())
        return DayResult(day, before, parked=str(error))
    for output in (*side_tables, table):
        written = published[output.name]
        manifest = platform.lake.publish(output.name, day, {number: written[number] for number in range(shards)})
    if platform.store.exists(key):
        platform.store.delete(key)
    return DayResult(day, manifest, tuple(stale))


WORKERS = 2
"""Shards that are computed at once: NumPy and PyArrow leave the interpreter free, and each shard needs memory."""


def shards_in_order(compute: Callable[[int], Result], numbers: Sequence[int]) -> Iterator[Result]:
    """Yield the results of some shards in their order, never more than ``WORKERS`` under way or waiting."""
    workers = min(WORKERS, os.cpu_count() or 1)
    return map_in_order(compute, numbers, workers, ahead=workers - 1)


def _published_shards(lake: Lake, table: Table, day: date) -> dict[int, Shard]:
    manifest = lake.replaceable(table.name, day)
    return dict(manifest.shards) if manifest else {}


@dataclass(frozen=True)
class ParkedDay:
    """A day that was not published, and the inputs that it failed with."""

    table: str
    day: date
    reason: str
    inputs: str


def parked_days(store: ObjectStore, tables: Iterable[str]) -> list[ParkedDay]:
    """Return the parked days of some tables.

    A day that waits for a damaged file is parked no longer when something else lies in the file's place.
    """
    parked = []
    for table in tables:
        for item in store.list(f"parked/{table}"):
            record = json.loads(store.read(item.key))
            if "file" in record and _file_state(store, record["file"]) != record["file_state"]:
                continue
            parked.append(ParkedDay(table, date.fromisoformat(record["day"]), record["reason"], record["inputs"]))
    return parked


def _file_state(store: ObjectStore, key: str) -> str:
    """Return what distinguishes a file from one written in its place; ``EMPTY`` if there is none."""
    folder = key.rpartition("/")[0]
    states = [item for item in store.list(folder) if item.key == key]
    return digest_of(*((item.size, item.modified_at, item.etag) for item in states)) if states else EMPTY


def unpark(store: ObjectStore, table: str, days: Iterable[date]) -> None:
    """Let days be computed again although their inputs are those that they failed with: the cause was removed."""
    for day in days:
        store.delete(_parked_key(table, day))


def _parked_key(table: str, day: date) -> str:
    return f"parked/{table}/{day}.json"
