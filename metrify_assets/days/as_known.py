"""A day as it was known at a past instant: worked out again, in memory, from what had been read by then.

Belongs here: the state of drops, registries and rules at an instant. Nothing is published. Does not belong here: how a
day is computed (``validated.py``, ``clean.py``), which is the same as for today.

Raw rows are immutable, drops and withdrawals carry the instant at which they were recorded, and so do rule books; so
the past can be worked out at any time. What counts is when a drop was read into the platform, not when its sender wrote
it: that is what the values of then were made of. The code is today's: a rule set's version says whether it is that of
then.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property

import pyarrow as pa

from metrify_assets.days.clean import clean_rows
from metrify_assets.days.days import Keys, day_totals
from metrify_assets.days.estimation import CleanShards
from metrify_assets.days.grids import StoredGrid, register_reads_table, series_days_table
from metrify_assets.days.periods import Periods
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.days.validated import ValidatedShard, validate_day_shard
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import rule_book_known_at
from metrify_assets.registry.points import Registry
from metrify_assets.registry.registries import registry_rows
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.vee.grid import ValidatedGrid
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.rulebook import DayRules


class PastSnapshot:
    """What was known at an instant, and the validated days that follow from it.

    Parameters
    ----------
    platform : Platform
    moment : int
        UTC microseconds.
    """

    def __init__(self, platform: Platform, moment: int):
        self.platform, self.moment = platform, moment
        self.view = platform.ledger.view_at(moment)
        self.rule_book = rule_book_known_at(platform, moment)
        self._validated: dict[tuple[date, int], ValidatedShard] = {}
        self._indexes: dict[int, RegisterIndex] = {}

    @cached_property
    def registry(self) -> Registry:
        """The registries of then."""
        return self._read_registry()

    def _read_registry(self) -> Registry:
        settings = self.platform.settings
        tables = {name: registry_rows(self.platform.store, self.view, name) for name in REGISTRIES}
        return Registry(tables, settings.shards, settings.timezone)

    def rules_on(self, day: date) -> DayRules:
        """Return the rules that held on a delivery day, as the rule book of then said."""
        return self.rule_book.on(day)

    def validated(self, day: date, shard: int) -> ValidatedShard:
        """Return a shard of a day after validation."""
        key = (day, shard)
        if key not in self._validated:
            self._validated[key] = validate_day_shard(self, day, shard)
        return self._validated[key]

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of a day and shard; none for a day of which nothing had been read."""
        if not self.delivered(day):
            return []
        return self.validated(day, shard).keyed_grids()

    def past(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid | StoredGrid]]:
        """Return the same, of which a few rows will be asked for."""
        return [*self.grids(day, shard)]

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series of a day adds up to."""
        if not self.delivered(day):
            return []
        validated = self.validated(day, shard)
        return day_totals(series_days_table(day, validated.series, validated.grids))

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between the register reads of a shard.

        Every day with register reads is worked out: a bracket may be as long as the time between two of them.
        """
        if shard not in self._indexes:
            days = sorted(date.fromisoformat(day) for day in self.view.raw_digests("raw_readings"))
            tables = []
            for day in days:
                validated = self.validated(day, shard)
                tables.append(register_reads_table(day, validated.series, validated.reads))
            self._indexes[shard] = RegisterIndex(tables, self.registry, shard, self.rule_book)
        return self._indexes[shard]

    def delivered(self, day: date) -> bool:
        """Return whether anything was ever delivered for a day; it counts as missing if all of it was withdrawn."""
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
