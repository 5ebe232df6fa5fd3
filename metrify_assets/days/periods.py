"""Closed billing periods: days whose clean values stand as they were when the period was closed.

Belongs here: the record of closing and reopening, one immutable JSON object per event, which names the files that hold
the values as closed. Does not belong here: what would change since (``days/corrections.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from metrify_assets.errors import DamagedFileError, PeriodError
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.storage.arrow import with_columns
from metrify_assets.storage.event_log import BY_NUMBER, EventLog
from metrify_assets.storage.lake import Manifest, Shard
from metrify_assets.vee.delivery_day import days_between

CLOSED = "closed_readings"


@dataclass(frozen=True)
class PeriodEvent:
    """A period was closed or reopened.

    Attributes
    ----------
    action : str
        ``close`` or ``reopen``.
    first, last : date
        Delivery days, both included.
    at : int
        UTC microseconds.
    author, reason : str
        Who decided, and why.
    shards : mapping of ISO day to mapping of shard number to Shard
        The values as closed.
    """

    action: str
    first: date
    last: date
    at: int
    author: str
    reason: str
    shards: Mapping[str, Mapping[str, Shard]]

    def covers(self, day: date) -> bool:
        """Return whether a day lies in the period."""
        return self.first <= day <= self.last


class Periods:
    """The closed periods of an installation at one moment.

    Parameters
    ----------
    platform : Platform
    moment : int, optional
        UTC microseconds: what was closed then; None = now.
    """

    def __init__(self, platform: Platform, moment: int | None = None):
        self.platform = platform
        self._log = EventLog(platform.store, "periods", BY_NUMBER, _remedy, platform.clock)
        records = self._log.read(item.key for item in self._log.list())
        events = self._log.parsed(records, lambda key, record: _event(record)).values()
        self.events = [event for event in events if moment is None or event.at <= moment]

    def closing(self, day: date) -> PeriodEvent | None:
        """Return the event that closed a day, None if it is open."""
        last = next((event for event in reversed(self.events) if event.covers(day)), None)
        return last if last is not None and last.action == "close" else None

    def shard(self, day: date, number: int) -> Shard | None:
        """Return a shard of a day as closed, None if the day is open."""
        closing = self.closing(day)
        return closing.shards[day.isoformat()][str(number)] if closing else None

    def rows(self, day: date, number: int, closed: Shard) -> pa.Table:
        """Return the rows of a shard as closed. A damaged file is put back from the published day, if that has it.

        Raises
        ------
        PeriodError
            If the values as closed are nowhere else: nothing can compute them again.
        """
        lake = self.platform.lake
        if not closed.file:
            return CLEAN_READINGS.empty()
        published = replace(closed, file=lake.shard_key(CLEAN_READINGS.name, day, number, closed.digest))
        if not lake.is_whole(closed) and lake.is_whole(published):
            lake.copy_shard(published, CLOSED, day, number)
        try:
            return with_columns(lake.read_shard(closed), CLEAN_READINGS.arrow)
        except DamagedFileError as error:
            raise PeriodError(
                f"{closed.file} holds {day} as closed and is missing or damaged: put it back from a backup, or run "
                f"`metrify period reopen {day} {day} --author NAME --reason '...'` to give up what was closed"
            ) from error

    def ever_closed(self, day: date) -> bool:
        """Return whether a day was ever closed."""
        return any(event.covers(day) for event in self.events)

    def close(self, first: date, last: date, author: str, reason: str, dirty: set[date]) -> PeriodEvent:
        """Close the days from ``first`` to ``last``: their clean values of now stand.

        Raises
        ------
        PeriodError
            If a day is closed already, was never computed, or has changes that wait to be computed.
        """
        days = days_between(first, last)
        manifests = self._closable(days, author, reason, dirty)
        shards: dict[str, dict[str, Shard]] = {}
        lake = self.platform.lake
        for day, manifest in manifests.items():
            shards[day.isoformat()] = {
                str(number): lake.copy_shard(shard, CLOSED, day, number) for number, shard in manifest.shards.items()
            }
        return self._record("close", first, last, author, reason, shards)

    def _closable(self, days: list[date], author: str, reason: str, dirty: set[date]) -> dict[date, Manifest]:
        """Return the clean days; raise ``PeriodError`` if one of them cannot be closed."""
        _require_words(author, reason)
        if not days:
            raise PeriodError("the last day of a period must not be before its first")
        closed = [day for day in days if self.closing(day)]
        if closed:
            raise PeriodError(f"{closed[0]} is closed already: reopen it first")
        manifests: dict[date, Manifest] = {}
        for day in days:
            manifest = self.platform.lake.manifest(CLEAN_READINGS.name, day)
            if manifest is None:
                raise PeriodError(f"{day} was never computed: compute it first, `metrify recompute {day}`")
            manifests[day] = manifest
        waiting = sorted(dirty.intersection(days))
        if waiting:
            raise PeriodError(f"{waiting[0]} has changes that wait to be computed: let the runs finish first")
        return manifests

    def reopen(self, first: date, last: date, author: str, reason: str) -> PeriodEvent:
        """Reopen days: what has changed since they were closed applies from now on.

        Raises
        ------
        PeriodError
            If a day is not closed.
        """
        _require_words(author, reason)
        for day in days_between(first, last):
            if not self.closing(day):
                raise PeriodError(f"{day} is not closed: see `metrify period list`")
        return self._record("reopen", first, last, author, reason, {})

    def _record(
        self, action: str, first: date, last: date, author: str, reason: str, shards: Mapping[str, Mapping[str, Shard]]
    ) -> PeriodEvent:
        moment = self._log.next_moment(self.events[-1].at if self.events else 0)
        event = PeriodEvent(action, first, last, moment, author.strip(), reason.strip(), shards)
        record = {**asdict(event), "first": event.first.isoformat(), "last": event.last.isoformat()}
        # The event comes last: before it, the files that it names are nobody's.
        self._log.append(event.at, "", record)
        self.events.append(event)
        return event


def _require_words(author: str, reason: str) -> None:
    if not author.strip() or not reason.strip():
        raise PeriodError("closing and reopening need an author and a reason: say --author NAME --reason '...'")


def _remedy(key: str) -> str:
    return "put it back from a backup; without it the days that it closed are open, and are computed anew"


def _event(record: Mapping[str, Any]) -> PeriodEvent:
    shards = {
        day: {number: Shard(**shard) for number, shard in numbers.items()} for day, numbers in record["shards"].items()
    }
    return PeriodEvent(
        **{
            **record,
            "first": date.fromisoformat(record["first"]),
            "last": date.fromisoformat(record["last"]),
            "shards": shards,
        }
    )
