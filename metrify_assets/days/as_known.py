"""A day as it was known at a past instant: worked out again, in memory, from what had been read by then.

Belongs here: the state of drops, registries and rules at an instant. Nothing is published. Does not belong here: how a
day is computed (``validated.py``, ``clean.py``), which is the same as for today.

Raw rows are immutable, drops and withdrawals carry the instant at which they were recorded, and so do rule books; so
the past can be worked out at any time. What counts is when a drop was read into the platform, not when its sender wrote
it: that is what the values of then were made of. The code is today's: a rule set's version says whether it is that of
then.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import date
from functools import cached_property

import pyarrow as pa

from metrify_assets.days.clean import clean_rows
from metrify_assets.days.estimation import CleanShards
from metrify_assets.days.in_memory import DaysInMemory
from metrify_assets.days.periods import Periods
from metrify_assets.days.raw import RawRows, read_shard
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import rule_book_known_at
from metrify_assets.registry.points import Registry
from metrify_assets.registry.registries import registry_rows
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.vee.grid import SeriesTable


class PastSnapshot(DaysInMemory):
    """What was known at an instant, and the validated days that follow from it.

    Parameters
    ----------
    platform : Platform
    moment : int
        UTC microseconds.
    """

    def __init__(self, platform: Platform, moment: int):
        super().__init__(rule_book_known_at(platform, moment))
        self.platform, self.moment = platform, moment
        self.view = platform.ledger.view_at(moment)

    @cached_property
    def registry(self) -> Registry:
        """The registries of then."""
        return self._read_registry()

    def _read_registry(self) -> Registry:
        settings = self.platform.settings
        tables = {name: registry_rows(self.platform.store, self.view, name) for name in REGISTRIES}
        return Registry(tables, settings.shards, settings.timezone)

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the raw rows of a day and shard that had been read by then."""
        return read_shard(self.platform.store, self.view, day, shard, series)

    def delivered_days(self) -> Set[date]:
        """Return the days that anything was ever delivered for; those count as missing whose drops were withdrawn."""
        return {date.fromisoformat(day) for day in self.view.raw_digests("raw_readings")}

    def delivered(self, day: date) -> bool:
        """Return whether anything was ever delivered for a day."""
        return day.isoformat() in self.view.raw_digests("raw_readings")

    def clean(self, day: date) -> pa.Table:
        """Return the rows of ``clean_readings`` of a day as they would have been computed then."""
        shards = CleanShards(self, self)
        periods = Periods(self.platform, self.moment)
        tables = []
        for number in range(self.platform.settings.shards):
            closed = periods.shard(day, number)
            if closed is not None:
                tables.append(periods.rows(day, number, closed))
                continue
            estimated, _ = shards.clean(day, number)
            tables += [clean_rows(day, keys, cleaned.grid) for keys, _, cleaned in estimated.grids]
        return pa.concat_tables(tables).unify_dictionaries() if tables else CLEAN_READINGS.empty()
