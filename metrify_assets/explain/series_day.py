"""One channel's day at every step of its computation, as plain values of one series.

Belongs here: the planes of the point's grids, row by row, and what the rules and estimators were given. Does not belong
here: what is said about them (``findings.py``, ``estimates.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from metrify_assets.days.days import Keys, ShardHistory
from metrify_assets.days.estimation import CleanShards
from metrify_assets.explain.basis import PointDays
from metrify_assets.explain.words import local_times
from metrify_assets.reference.calendar import like_days_around
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.clean import Cleaned
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import CleanGrid, SeriesTable, ValidatedGrid
from metrify_assets.vee.history import DayTotals, HistoryDay
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.rules import connection_kw
from metrify_assets.vee.selection import feed_of_series, with_checked_units


@dataclass(frozen=True, eq=False)
class SeriesDay:
    """A channel's day.

    Attributes
    ----------
    basis : PointDays
    shards : CleanShards
        Works out clean days from ``basis``.
    day : DeliveryDay
    keys : list of (point, OBIS code)
        Rows of the grids below.
    row : int
        The channel's row in them.
    series : SeriesTable
        Registry entries of the point; ``series_row`` is the channel's.
    series_row : int
    cleaned : Cleaned
        Before scaling to registers.
    clean : CleanGrid
        After it.
    """

    basis: PointDays
    shards: CleanShards
    day: DeliveryDay
    keys: Keys
    row: int
    series: SeriesTable
    series_row: int
    cleaned: Cleaned
    clean: CleanGrid

    @property
    def validated(self) -> ValidatedGrid:
        """The day's grid as estimation took it."""
        return self.cleaned.validated

    @property
    def estimated(self) -> CleanGrid:
        """The day's values before scaling to registers."""
        return self.cleaned.grid

    @property
    def obis_code(self) -> str:
        """The channel."""
        return self.keys[self.row][1]

    @property
    def minutes(self) -> int:
        """Expected interval."""
        return self.validated.interval_minutes

    @property
    def slots(self) -> int:
        """Slots of the day."""
        return len(self.validated.starts)

    @cached_property
    def local(self) -> list[str]:
        """Local start of every slot."""
        return local_times(self.day, self.minutes)

    @cached_property
    def delivered(self) -> list[int]:
        """Chosen versions, micro-kWh."""
        values: list[int] = self.validated.delivered[self.row].tolist()
        return values

    @cached_property
    def flags(self) -> list[Flag]:
        """Findings of all rules."""
        return [Flag(int(bits)) for bits in self.clean.flags[self.row]]

    @cached_property
    def day_rules(self) -> DayRules:
        """The edition of the rules."""
        return self.basis.rules_on(self.day.day)

    @property
    def estimation(self) -> EstimationParameters:
        """Parameters of the cascade."""
        return self.day_rules.estimation_of(self.point_class)

    @cached_property
    def rules(self) -> RuleSet:
        """What holds for the values of the channel: exceptions for its class and its latest feed included."""
        raw = self.basis.validated(self.day.day, self.basis.shard).raw
        deliveries = with_checked_units(raw.deliveries, self.day_rules)
        feeds = feed_of_series(self.series, deliveries, self.day_rules, raw.feeds)
        return self.day_rules.for_series(None if feeds is None else feeds[self.series_row], self.point_class)

    @property
    def planes(self) -> tuple[Int64Array, BoolArray]:
        """What the rules on patterns look at: values and which of them count, of shape (1, S)."""
        return np.array([self.delivered], dtype=np.int64), np.array([self.valid_before_pattern_rules], dtype=bool)

    @property
    def connection_kw(self) -> float:
        """Connection power, or what the rules assume where the registry has none."""
        return float(connection_kw(self.series.limit_kw[[self.series_row]], self.rules)[0])

    @property
    def connection_basis(self) -> str:
        """Where the connection power comes from, in words."""
        declared = self.series.limit_kw[self.series_row]
        return "assumed, the registry has none" if np.isnan(declared) else "connection"

    @cached_property
    def whole_day_rules(self) -> RuleSet:
        """What holds for the rules that look at whole days: they do not ask for the feed."""
        return self.day_rules.for_series(None, self.point_class)

    @property
    def point_class(self) -> str | None:
        """Kind of customer."""
        point_class: str | None = self.series.point_class[self.series_row]
        return point_class

    @cached_property
    def valid_before_pattern_rules(self) -> list[bool]:
        """Which values stood when the rules ran that compare values with each other."""
        for keys, grid in self.basis.values_of_other_rules(self.day.day):
            if grid.interval_minutes == self.minutes:
                valid: list[bool] = grid.valid[keys.index(self.keys[self.row])].tolist()
                return valid
        return [False] * self.slots

    @cached_property
    def kept(self) -> list[bool]:
        """Which slots keep what was delivered, or are zero by a declared outage: those that are not estimated."""
        grid, row = self.validated, self.row
        kept = grid.valid[row] | grid.outage[row]
        if self.estimation.replace_provisional:
            kept &= ~(grid.valid[row] & (grid.source_status[row] == SourceStatus.PROVISIONAL))
        slots: list[bool] = kept.tolist()
        return slots

    @cached_property
    def edges(self) -> list[bool]:
        """Which slots may be the edge of a line: those that are kept and are no outliers."""
        slots: list[bool] = (np.array(self.kept) & ~self.validated.outlier[self.row]).tolist()
        return slots

    @cached_property
    def kept_values(self) -> list[int]:
        """Values of the slots that are kept, micro-kWh; zero in an outage."""
        values: list[int] = np.where(self.validated.valid[self.row], self.validated.delivered[self.row], 0).tolist()
        return values

    @cached_property
    def measured_values(self) -> dict[int, int]:
        """Measured values that are kept, micro-kWh, by slot."""
        slots = np.flatnonzero(self.validated.measured[self.row]).tolist()
        return {slot: int(self.validated.delivered[self.row, slot]) for slot in slots}

    @property
    def calendar(self) -> LikeDays:
        """Kinds of days where the point is."""
        return like_days_around(self.day.day, self.series.federal_state[self.series_row])

    @cached_property
    def _history(self) -> ShardHistory:
        return ShardHistory(self.shards.days, self.basis.shard, self.keys, self.minutes, self.day.zone)

    @property
    def past_day(self) -> Callable[[date], HistoryDay | None]:
        """Returns another day of the channel."""
        return lambda other: self._history.history(other, np.array([self.row]))

    def neighbour(self, days: int) -> HistoryDay | None:
        """Return the day before (-1) or after (1) as the end of a line: a run refused here counts on neither."""
        row = np.array([self.row])
        other = self._history.history(self.day.plus(days).day, row)
        if other is None:
            return None
        return other.without(self.cleaned.refused_beside.slots_beside(days, row, other.valid.shape[1]))

    @property
    def totals(self) -> Callable[[date, Int64Array], DayTotals | None]:
        """Returns what another day of the channel adds up to."""
        return self._history.totals

    def run_of(self, mask: Sequence[bool], slot: int) -> tuple[int, int]:
        """Return the run of true slots around a slot: the first one, and the one after the last."""
        first, end = slot, slot + 1
        while first > 0 and mask[first - 1]:
            first -= 1
        while end < len(mask) and mask[end]:
            end += 1
        return first, end
