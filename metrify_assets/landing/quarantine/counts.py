"""How much was refused, and why: rows and value cells by feed, reason, day or drop.

Belongs here: choosing drops and counting their rejected rows; what validation set aside later, which stays in the raw
tables. Does not belong here: single rows (``rows.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from metrify_assets.drops.ledger import Drop, LedgerView
from metrify_assets.landing.quarantine.files import read_quarantine
from metrify_assets.platform import Platform
from metrify_assets.storage.lake import Lake
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.vee.delivery_day import DeliveryDay

GROUPINGS = ("feed", "reason", "day", "drop")
"""What counts can be grouped by."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Rejected rows that have something in common.

    Attributes
    ----------
    key : tuple of str
        One text per grouping asked for; a day that could not be read is ``unknown``.
    rows, value_cells : int
    """

    key: Key
    rows: int
    value_cells: int


@dataclass(frozen=True)
class SetAside:
    """Values of one delivery day that were read, but stand in no slot; they are in ``raw_readings``.

    Attributes
    ----------
    day : datetime.date
    unassigned, off_grid : int
        Values of channels that no registry entry knows (or in another unit than it says), and values that fit no slot.
    examples : tuple of str
        Some points that no registry knows.
    """

    day: date
    unassigned: int
    off_grid: int
    examples: tuple[str, ...]


def chosen_drops(
    platform: Platform,
    view: LedgerView,
    *,
    feed: str | None = None,
    since: date | None = None,
    everything: bool = False,
) -> list[Drop]:
    """Return drops in order of arrival.

    Parameters
    ----------
    feed : str, optional
        Only drops of this feed.
    since : date, optional
        Only drops received on this local day or later.
    everything : bool
        Also drops that were replaced or withdrawn; else those that count.
    """
    if feed is not None:
        platform.feed(feed)
    earliest = DeliveryDay(since, platform.settings.timezone).start if since else 0
    pool = view.drops if everything else view.active
    return sorted(
        (drop for drop in pool.values() if feed in (None, drop.feed) and drop.received_at >= earliest),
        key=lambda drop: (drop.received_at, drop.feed, drop.drop_id),
    )


def count_rejects(
    store: ObjectStore, drops: Iterable[Drop], by: Sequence[str] = GROUPINGS[:2], *, reason: str | None = None
) -> list[Group]:
    """Return the rejected rows of some drops by group, the largest first.

    Raises
    ------
    LakeError
        If a drop's file of rejected rows is missing, or does not hold what the ledger says.
    """
    totals: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for drop in drops:
        if not drop.quarantine:
            continue
        for found_reason, day, rows, cells in _of_drop(store, drop):
            if reason not in (None, found_reason):
                continue
            names = {"feed": drop.feed, "reason": found_reason, "day": str(day or "unknown"), "drop": drop.drop_id}
            total = totals[tuple(names[name] for name in by)]
            total[0] += rows
            total[1] += cells
    groups = [Group(key, rows, cells) for key, (rows, cells) in totals.items()]
    return sorted(groups, key=lambda group: (-group.value_cells, -group.rows, group.key))


def _of_drop(store: ObjectStore, drop: Drop) -> list[tuple[str, date | None, int, int]]:
    rows = read_quarantine(store, drop, ["reason", "day", "value_cells"])
    plain = rows.set_column(0, "reason", rows["reason"].cast(pa.string()))
    groups = plain.group_by(["reason", "day"]).aggregate([([], "count_all"), ("value_cells", "sum")])
    columns = (groups[name].to_pylist() for name in ("reason", "day", "count_all", "value_cells_sum"))
    return list(zip(*columns, strict=True))


def set_aside(lake: Lake) -> list[SetAside]:
    """Return the days on which validation found no slot for some values; see ``metrify explain`` for which."""
    waiting = []
    for day, manifest in sorted(lake.days("validated_readings").whole().items()):
        unassigned, off_grid = (int(manifest.total("tally", name)) for name in ("unassigned", "off_grid"))
        if unassigned or off_grid:
            shards = manifest.shards.values()
            points = {point for shard in shards for point in shard.numbers.get("unassigned_examples", [])}
            waiting.append(SetAside(day, unassigned, off_grid, tuple(sorted(points)[:5])))
    return waiting
