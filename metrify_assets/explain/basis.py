"""What the explanation of one point is worked out from: the platform's own computation, narrowed to that point.

Belongs here: the state of now or of a past instant, for one point; days that are up to date are read from the lake, the
others are worked out in memory. Does not belong here: what is shown (``gather.py``).

Rules and estimates look at one series at a time, so a shard narrowed to a point gives the point's rows.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.days.as_known import PastSnapshot
from metrify_assets.days.days import Keys, ValidatedDays
from metrify_assets.days.digests import Digests
from metrify_assets.days.grids import register_reads_table
from metrify_assets.days.in_memory import DaysInMemory
from metrify_assets.days.raw import RawRows
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.days.validated import ValidatedShard, validate_day_shard
from metrify_assets.digest import shard_of
from metrify_assets.platform import Platform
from metrify_assets.registry.points import Registry
from metrify_assets.schemas.readings import REGISTER_READS
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.codes import Severity
from metrify_assets.vee.grid import SeriesTable, ValidatedGrid
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.rulebook import DayRules, RuleException

COMPARING_RULES = ("spike", "robust_outlier", "stuck", "zero_run")
"""Rules that see a value only if no other rule has refused it; among each other they do not matter."""


def narrowed(registry: Registry, point: str) -> Registry:
    """Return a registry that knows one point only."""
    tables = {
        name: rows.filter(pc.equal(rows["point_id"], point)) if "point_id" in rows.column_names else rows
        for name, rows in registry.tables.items()
    }
    return Registry(tables, registry.shards, registry.zone)


class PointDays(DaysInMemory):
    """Days of one point.

    Attributes
    ----------
    point : str
    shard : int
        The one that the point is in.
    """

    point: str
    shard: int

    @property
    @abstractmethod
    def whole_registry(self) -> Registry:
        """The registries of all points."""

    def validated(self, day: date, shard: int) -> ValidatedShard:
        """Return the point's rows of a shard after validation."""
        key = (day, shard)
        if key not in self._validated:
            computed = validate_day_shard(self, day, shard)
            # Rows of other points count as unassigned here; they are many.
            ours = computed.raw.deliveries.take(computed.raw.deliveries.series >= 0)
            self._validated[key] = replace(computed, raw=replace(computed.raw, deliveries=ours))
        return self._validated[key]

    def register_reads(self, day: date) -> pa.Table:
        """Return the chosen register reads of the point on a day; rows of ``register_reads``."""
        validated = self.validated(day, self.shard)
        return register_reads_table(day, validated.series, validated.reads)

    def values_of_other_rules(self, day: date) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the grids as the rules that compare values with each other see them: without their own findings."""
        return validate_day_shard(_WithoutComparisons(self), day, self.shard).keyed_grids()


class PastPoint(PointDays, PastSnapshot):
    """One point as it was known at an instant.

    Parameters
    ----------
    platform : Platform
    moment : int
        UTC microseconds.
    point : str
    """

    def __init__(self, platform: Platform, moment: int, point: str):
        super().__init__(platform, moment)
        self.point = point
        self.shard = shard_of(point, platform.settings.shards)

    @cached_property
    def whole_registry(self) -> Registry:
        """The registries of all points."""
        return self._read_registry()

    @cached_property
    def registry(self) -> Registry:
        """The registries of the point."""
        return narrowed(self.whole_registry, self.point)


class CurrentPoint(PastPoint):
    """One point as of now: what a computation of its dirty days would give.

    Parameters
    ----------
    platform : Platform
    point : str
    """

    def __init__(self, platform: Platform, point: str):
        super().__init__(platform, platform.clock.now(), point)
        self.digests = Digests(platform)
        self.view, self.rule_book = self.digests.view, self.digests.rule_book
        self._published = ValidatedDays(platform, self.digests)
        self._current: dict[date, bool] = {}

    @cached_property
    def whole_registry(self) -> Registry:
        """The registries of all points."""
        return self.digests.registry

    def is_current(self, day: date) -> bool:
        """Return whether the published validated day of the point's shard is up to date."""
        if day not in self._current:
            manifest = self.digests.days("validated_readings").get(day)
            entry = manifest.shards.get(self.shard) if manifest else None
            self._current[day] = entry is not None and self.digests.is_current(entry, self.shard)
        return self._current[day]

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of the point; none for a day that nothing is to be computed of."""
        if self.is_current(day):
            return [_rows(keys, grid, self.point) for keys, grid in self._published.grids(day, shard)]
        if day not in self.digests.wanted_days("validated_readings"):
            return []
        return self.validated(day, shard).keyed_grids()

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series of the point adds up to."""
        if not self.is_current(day):
            return super().totals(day, shard)
        shard_totals = []
        for keys, minutes, totals in self._published.totals(day, shard):
            rows = _places(keys, self.point)
            shard_totals.append(([keys[row] for row in rows.tolist()], minutes, totals.take(rows)))
        return shard_totals

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between the register reads of the point."""
        if shard not in self._indexes:
            tables = [self.register_reads(day) for day in sorted(self.digests.wanted_days("validated_readings"))]
            self._indexes[shard] = RegisterIndex(tables, self.registry, shard, self.rule_book)
        return self._indexes[shard]

    def register_reads(self, day: date) -> pa.Table:
        """Return the chosen register reads of the point on a day; rows of ``register_reads``."""
        entry = None
        if self.is_current(day):
            manifest = self.digests.days("register_reads").get(day)
            entry = manifest.shards.get(self.shard) if manifest else None
        if entry is None:
            return super().register_reads(day)
        if not entry.file:
            return REGISTER_READS.empty()
        rows = self.platform.lake.read_shard(entry)
        return rows.filter(pc.equal(rows["point_id"], self.point))


class _WithoutComparisons:
    """What is known, with the rules switched off that compare the values of a day with each other."""

    def __init__(self, point: PointDays):
        self._point, self.registry = point, point.registry

    def raw_rows(self, day: date, shard: int, series: SeriesTable) -> RawRows:
        return self._point.raw_rows(day, shard, series)

    def rules_on(self, day: date) -> DayRules:
        rules = self._point.rules_on(day)
        off = RuleException(None, None, severities=dict.fromkeys(COMPARING_RULES, Severity.OFF))
        return replace(rules, exceptions=(*rules.exceptions, off))


def _places(keys: Keys, point: str) -> Int64Array:
    return np.array([row for row, key in enumerate(keys) if key[0] == point], dtype=np.int64)


def _rows(keys: Keys, grid: ValidatedGrid, point: str) -> tuple[Keys, ValidatedGrid]:
    """Return the rows of a point."""
    rows = _places(keys, point)
    planes = {
        name: getattr(grid, name)[rows]
        for name in ("delivered", "has_value", "source_status", "version", "flags", "received_at")
    }
    series = np.arange(len(rows), dtype=np.int32)
    return [keys[row] for row in rows.tolist()], ValidatedGrid(series, grid.interval_minutes, grid.starts, **planes)
