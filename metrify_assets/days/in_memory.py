"""Validated days worked out in memory from raw rows, each when it is asked for first.

Belongs here: what needs neither lake nor ledger. Nothing is published. Does not belong here: where raw rows come from
(``as_known.py``, ``library/``), and how a day is computed (``validated.py``, ``estimation.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from datetime import date

from metrify_assets.days.days import Keys, day_totals
from metrify_assets.days.grids import StoredGrid, register_reads_table, series_days_table
from metrify_assets.days.raw import RawRows
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.days.validated import ValidatedShard, validate_day_shard
from metrify_assets.registry.points import Registry
from metrify_assets.vee.grid import SeriesTable, ValidatedGrid
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.rulebook import DayRules, RuleBook


class DaysInMemory(ABC):
    """Days that follow from raw rows, registries and a rule book: a ``Snapshot``, and the ``Days`` made of it.

    Parameters
    ----------
    rule_book : RuleBook
    """

    def __init__(self, rule_book: RuleBook):
        self.rule_book = rule_book
        self._validated: dict[tuple[date, int], ValidatedShard] = {}
        self._totals: dict[tuple[date, int], list[tuple[Keys, int, DayTotals]]] = {}
        self._indexes: dict[int, RegisterIndex] = {}

    @property
    @abstractmethod
    def registry(self) -> Registry:
        """The registries."""

    @abstractmethod
    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        """Return the raw rows of a day and shard; ``series`` are the registry entries that they are assigned to."""

    @abstractmethod
    def delivered_days(self) -> Set[date]:
        """Return the days that there are; others are not worked out."""

    def rules_on(self, day: date) -> DayRules:
        """Return the rules that hold on a delivery day, as the rule book says."""
        return self.rule_book.on(day)

    def delivered(self, day: date) -> bool:
        """Return whether there is such a day."""
        return day in self.delivered_days()

    def validated(self, day: date, shard: int) -> ValidatedShard:
        """Return a shard of a day after validation."""
        key = (day, shard)
        if key not in self._validated:
            self._validated[key] = validate_day_shard(self, day, shard)
        return self._validated[key]

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of a day and shard; none of a day that there is not."""
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
        key = (day, shard)
        if key not in self._totals:
            validated = self.validated(day, shard)
            self._totals[key] = day_totals(series_days_table(day, validated.series, validated.grids))
        return self._totals[key]

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between the register reads of a shard.

        Every day is worked out: a bracket may be as long as the time between two of them.
        """
        if shard not in self._indexes:
            tables = []
            for day in sorted(self.delivered_days()):
                validated = self.validated(day, shard)
                tables.append(register_reads_table(day, validated.series, validated.reads))
            self._indexes[shard] = RegisterIndex(tables, self.registry, shard, self.rule_book)
        return self._indexes[shard]
