"""Single rejected rows: as they came, where they stood, and why they were refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from metrify_assets.drops.ledger import Drop
from metrify_assets.feeds.formats.archives import is_zip
from metrify_assets.feeds.model import FeedFormat
from metrify_assets.feeds.places import UNITS, Place, places
from metrify_assets.feeds.reader import ReadReport
from metrify_assets.landing.ingest import batches_of, is_outdated
from metrify_assets.landing.quarantine.files import read_quarantine
from metrify_assets.platform import Platform


@dataclass(frozen=True)
class RefusedRow:
    """One row of the quarantine with its place.

    Attributes
    ----------
    feed, drop_id, name : str
        ``name`` is the file's, as the sender called it.
    landed : str
        Key of the landed bytes.
    path : str
        Where to open them.
    row_number : int
        Data row, from 1; 0 stands for the file as a whole. The rows of each file in a zip go on after those before.
    unit : str
        What ``row_number`` counts: row, segment, reading, record or offset.
    member : str
        Name of the file inside a zip, where it is known; blank elsewhere.
    line_number : int or None
        Line of the (uncompressed) file, or of the member, from 1, where its rows are lines.
    reason, detail, payload : str
    value_cells : int
    received_at : int
        UTC microseconds.
    day : date or None
    """

    feed: str
    drop_id: str
    name: str
    landed: str
    path: str
    row_number: int
    unit: str
    member: str
    line_number: int | None
    reason: str
    detail: str
    payload: str
    value_cells: int
    received_at: int
    day: date | None


def refused_rows(
    platform: Platform, drops: Iterable[Drop], *, reason: str | None = None, limit: int
) -> tuple[list[RefusedRow], int]:
    """Return the first ``limit`` rejected rows of some drops, and how many there are in all.

    Raises
    ------
    LakeError
        If a drop's file of rejected rows is missing or damaged.
    """
    shown: list[RefusedRow] = []
    total = 0
    for drop in drops:
        if not drop.quarantine:
            continue
        rows = read_quarantine(platform.store, drop)
        if reason is not None:
            rows = rows.filter(pc.equal(rows["reason"], reason))
        total += rows.num_rows
        wanted = rows.slice(0, max(limit - len(shown), 0)).to_pylist()
        if wanted:
            places = _places(platform, drop, [row["row_number"] for row in wanted])
            shown += [_placed(platform, drop, row, places.get(row["row_number"], Place())) for row in wanted]
    return shown, total


def _places(platform: Platform, drop: Drop, rows: list[int]) -> dict[int, Place]:
    """Return the places of some rows; none where the file is gone, or rows were counted by another definition."""
    feed = platform.feeds.get(drop.feed)
    if feed is None or not platform.store.exists(drop.landed):
        return {}
    if is_outdated(platform, drop) and feed.format is not FeedFormat.JSON_LINES:
        return {}
    with platform.store.reading(drop.landed) as path:
        return places(feed, path, rows, _inside(platform, drop, path) if is_zip(path) else ())


def _inside(platform: Platform, drop: Drop, path: Path) -> list[tuple[str, int]]:
    """Return the files of a zip with their row numbers, which are known once it has been read again."""
    report = ReadReport()
    for _ in batches_of(platform, drop, path, report):
        pass
    return report.members


def _placed(platform: Platform, drop: Drop, row: dict[str, Any], place: Place) -> RefusedRow:
    feed = platform.feeds.get(drop.feed)
    return RefusedRow(
        feed=drop.feed,
        drop_id=drop.drop_id,
        name=drop.name,
        landed=drop.landed,
        path=platform.store.uri(drop.landed),
        row_number=row["row_number"],
        unit="row" if feed is None else UNITS.get(feed.format, "row"),
        member=place.member,
        line_number=place.line,
        reason=row["reason"],
        detail=row["detail"],
        payload=row["payload"],
        value_cells=row["value_cells"],
        received_at=drop.received_at,
        day=row["day"],
    )
