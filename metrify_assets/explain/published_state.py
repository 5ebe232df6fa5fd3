"""What stands for a point's day: the published rows, those of a closed period, and how they compare with a computation.

Belongs here: reading clean rows and saying whether they are up to date. Does not belong here: computing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc

from metrify_assets.days.day import parked_days
from metrify_assets.days.digests import Digests
from metrify_assets.days.periods import PeriodEvent, Periods
from metrify_assets.explain.basis import CurrentPoint, PastPoint
from metrify_assets.explain.record import Published, Result
from metrify_assets.explain.words import instant, number
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.storage.lake import Lake, Manifest, Shard
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.vee.codes import FLAG_NAMES, Flag

Results = list[Result]


def result_of(row: Mapping[str, Any]) -> Result:
    """Return a row of ``clean_readings`` as a result."""
    flags = Flag(row["flags"])
    return Result(
        value_kwh=row["value_kwh"],
        status=row["status"],
        method=row["method"],
        reason=row["reason"],
        flags=tuple(name for flag, name in FLAG_NAMES.items() if flags & flag),
        scaled_method=row["scaled_method"],
        # Rows that were stored before there were intervals have none.
        low_kwh=row.get("value_low_kwh"),
        high_kwh=row.get("value_high_kwh"),
        variance_kwh2=row.get("variance_kwh2"),
    )


@dataclass(frozen=True)
class PublishedState:
    """Published and closed rows of a point's day.

    Attributes
    ----------
    published, closed : mapping of OBIS code to results
        ``published`` is None if the day was never published, ``closed`` if it is open.
    written_at : str or None
    stale : bool
        Whether the published day waits to be computed.
    parked : str
        Why the day could not be published; empty if it could.
    closing : PeriodEvent or None
    is_past : bool
        Whether the computation is as of a past instant.
    """

    published: Mapping[str, Results] | None
    closed: Mapping[str, Results] | None
    written_at: str | None
    stale: bool
    parked: str
    closing: PeriodEvent | None
    is_past: bool

    def of_channel(
        self, code: str, computed: Results
    ) -> tuple[Results, list[Result | None], list[Result | None], Published]:
        """Return what stands per slot, the published rows that differ from it, the corrections, and the verdict."""
        nothing: list[Result | None] = [None] * len(computed)
        closed = (self.closed or {}).get(code)
        if self.closing is not None and closed is not None and len(closed) == len(computed):
            pending = _differing(computed, closed)
            return closed, nothing, pending, self._closed(self.closing, closed, pending)
        if self.published is None:
            words = "not computed yet: the rows below are what a run would give"
            return computed, nothing, nothing, Published("absent", None, 0, None, words + self._parked)
        rows = self.published.get(code, [])
        same_slots = len(rows) == len(computed)
        other = _differing(rows, computed) if same_slots else nothing
        changed = sum(value is not None for value in other) if same_slots else len(computed)
        return computed, other, nothing, self._open(rows, changed, computed)

    @property
    def _parked(self) -> str:
        return f"; the day is parked: {self.parked}" if self.parked else ""

    def _open(self, rows: Results, changed: int, computed: Results) -> Published:
        before, after = _energy(rows), _energy(computed)
        if changed:
            state = "would_change"
            sums = f"energy {number(before)} kWh published, {number(after)} kWh here"
            if self.is_past:
                text = f"today's published day differs in {changed} slots: {sums}"
            else:
                text = f"the published day is out of date: {changed} slots would change; {sums}"
        elif self.stale and not self.is_past:
            state, text = "waiting", "equals the published day, which waits to be computed again for other inputs"
        else:
            state = "current"
            text = "equals today's published day" if self.is_past else "equals the published day"
        return Published(state, self.written_at, changed, before, text + self._parked)

    def _closed(self, event: PeriodEvent, closed: Results, pending: list[Result | None]) -> Published:
        changed = sum(value is not None for value in pending)
        text = (
            f"the period {event.first} to {event.last} was closed at {instant(event.at)} by {event.author} "
            f"({event.reason}): its values stand"
        )
        text += f"; {changed} slots would change, see `metrify corrections`" if changed else "; nothing would change"
        return Published("closed", self.written_at, changed, _energy(closed), text)


WITHOUT_PUBLISHED = PublishedState(
    published=None, closed=None, written_at=None, stale=False, parked="", closing=None, is_past=False
)
"""Of days that are worked out where nothing is published."""


def _differing(rows: Sequence[Result], against: Sequence[Result]) -> list[Result | None]:
    return [None if row == other else row for row, other in zip(rows, against, strict=True)]


def _energy(rows: Sequence[Result]) -> Decimal:
    return sum((row.value_kwh for row in rows if row.value_kwh is not None), Decimal(0))


def read_published_state(basis: PastPoint, day: date) -> PublishedState:
    """Return what is published of a point's day, and what a closed period holds."""
    platform, shard = basis.platform, basis.shard
    current = basis if isinstance(basis, CurrentPoint) else None
    periods = Periods(platform, None if current else basis.moment)
    closing = periods.closing(day)
    manifest = platform.lake.manifest("clean_readings", day)
    entry = manifest.shards.get(shard) if manifest else None
    closed = periods.shard(day, shard)
    return PublishedState(
        published=_results(platform.lake, entry, basis.point) if entry is not None else None,
        closed=_results(platform.lake, closed, basis.point) if closed is not None else None,
        written_at=manifest.written_at if manifest else None,
        stale=current is not None
        and _is_stale(current.digests, manifest, day, shard, is_validated=current.is_current(day)),
        parked=_parked(platform.store, day),
        closing=closing,
        is_past=current is None,
    )


def _results(lake: Lake, entry: Shard, point: str) -> dict[str, Results]:
    if not entry.file:
        return {}
    rows = lake.read_rows(entry, CLEAN_READINGS.arrow)
    results: dict[str, Results] = {}
    for row in rows.filter(pc.equal(rows["point_id"], point)).to_pylist():
        results.setdefault(row["obis_code"], []).append(result_of(row))
    return results


def _is_stale(digests: Digests, manifest: Manifest | None, day: date, shard: int, *, is_validated: bool) -> bool:
    entry = manifest.shards.get(shard) if manifest else None
    if entry is None or not is_validated:
        return True
    return not digests.is_current(entry, shard)


def _parked(store: ObjectStore, day: date) -> str:
    reasons = [
        parked_day.reason
        for parked_day in parked_days(store, ("validated_readings", "clean_readings"))
        if parked_day.day == day
    ]
    return reasons[0] if reasons else ""
