"""Clean shards worked out from validated days: estimated, then checked against and scaled to the register reads.

Belongs here: the order of these steps, the days that they reach, and the names of all inputs. Does not belong here:
where validated days come from (``days.py``), and publishing (``clean.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import partial

import numpy as np

from metrify_assets.days.days import Days, Keys, ShardHistory, ValidatedDays
from metrify_assets.days.digests import Digests
from metrify_assets.days.register_reads import PairedBrackets
from metrify_assets.days.validated import Snapshot
from metrify_assets.reference.calendar import like_days_around
from metrify_assets.reference.load_profiles import load_profiles
from metrify_assets.vee.clean import Basis, Cleaned, clean_shard
from metrify_assets.vee.constraints import Span, constrain, span_of
from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_numbers, days_between
from metrify_assets.vee.grid import SeriesTable
from metrify_assets.vee.rules import most_in_slot


@dataclass(frozen=True, eq=False)
class EstimatedShard:
    """A shard of a day after estimation, before it is scaled to registers.

    Attributes
    ----------
    grids : list of (keys, series, Cleaned)
    used : set of str
        Names of the inputs.
    """

    grids: list[tuple[Keys, SeriesTable, Cleaned]]
    used: set[str] = field(default_factory=set)


class CleanShards:
    """Works out clean shards from validated days.

    Parameters
    ----------
    snapshot : Snapshot
    days : Days
    """

    def __init__(self, snapshot: Snapshot, days: Days):
        self.snapshot, self.days = snapshot, days
        self.zone = snapshot.registry.zone
        self._spans: dict[tuple[date, int], tuple[np.ndarray, Span, set[str]]] = {}

    def estimate(self, day: date, shard: int) -> EstimatedShard:
        """Return a shard after estimation."""
        rules = self.snapshot.rules_on(day)
        used = {f"validated_readings@{day}", f"rules@{day}", f"forecasts@{day}", f"points@{day}"}
        shards = []
        registered = self.snapshot.registry.series(day, shard)
        places = {key: row for row, key in enumerate(zip(registered.point_id, registered.obis_code, strict=True))}
        for keys, grid in self.days.grids(day, shard):
            # A series whose registry entry is gone, while its validated day waits for its own computation, has none.
            rows = np.array([places.get(key, -1) for key in keys], dtype=np.int64)
            series = _series_of(registered, keys, rows)
            history = ShardHistory(self.days, shard, keys, grid.interval_minutes, self.zone)
            basis = Basis(series, history, partial(like_days_around, day), load_profiles(), rules)
            cleaned = clean_shard(DeliveryDay(day, self.zone), grid, basis)
            used |= {f"validated_readings@{other}" for other in cleaned.grid_days}
            used |= {f"series_days@{other}" for other in cleaned.total_days}
            shards.append((keys, series, cleaned))
        if any(cleaned.grid_days or cleaned.total_days for _, _, cleaned in shards):
            used |= {f"holidays@{day}", "profiles"}
        return EstimatedShard(shards, used)

    def clean(self, day: date, shard: int) -> tuple[EstimatedShard, set[str]]:
        """Return a shard after estimation and scaling, and the names of all inputs."""
        estimated = self.estimate(day, shard)
        used = set(estimated.used)
        rules = self.snapshot.rules_on(day)
        used.add(f"brackets@{day}")
        index = self.days.register_index(shard)
        for keys, series, cleaned in estimated.grids:
            brackets = index.on(DeliveryDay(day, self.zone), keys, cleaned.grid.interval_minutes)
            if len(brackets.pair) == 0:
                continue
            before, after = self._outside(day, shard, brackets, used)
            for applying, rows in rules.groups(series.point_class):
                of_group = np.zeros(len(series), dtype=bool)
                of_group[rows] = True
                ours = of_group[brackets.day.row]
                constrain(
                    cleaned.grid,
                    brackets.day.take(ours),
                    before.take(ours),
                    after.take(ours),
                    applying,
                    most_in_slot(series.limit_kw[brackets.day.row[ours]], cleaned.grid.interval_minutes, applying),
                    scale=rules.estimation.scale_to_registers,
                )
        return estimated, used

    def _outside(self, day: date, shard: int, brackets: PairedBrackets, used: set[str]) -> tuple[Span, Span]:
        """Return what the brackets hold on the days before and after; name the inputs that say so."""
        before, after = Span.nothing(len(brackets.pair)), Span.nothing(len(brackets.pair))
        first = day_from_number(int(day_numbers(brackets.start, self.zone).min()))
        last = day_from_number(int(day_numbers(brackets.end - 1, self.zone).max()))
        for other in days_between(first, last):
            if other == day:
                continue
            window = DeliveryDay(other, self.zone)
            touched = (brackets.start < window.end) & (brackets.end > window.start)
            if not touched.any():
                continue
            pairs, spans, names = self._span(other, shard)
            used |= names
            place = np.searchsorted(pairs, brackets.pair)
            there = (place < len(pairs)) & (np.append(pairs, -1)[place] == brackets.pair) & touched
            piece = _picked(spans, place, there)
            piece.missing[touched & ~there] = 1
            if other < day:
                before += piece
            else:
                after += piece
        return before, after

    def _span(self, day: date, shard: int) -> tuple[np.ndarray, Span, set[str]]:
        """Return what each bracket that goes beyond a day holds on it, in the order of their identities."""
        key = (day, shard)
        if key not in self._spans:
            estimated = self.estimate(day, shard)
            window = DeliveryDay(day, self.zone)
            pairs, pieces = [np.empty(0, dtype=np.int64)], [Span.nothing(0)]
            for keys, _, cleaned in estimated.grids:
                paired = self.days.register_index(shard).on(window, keys, cleaned.grid.interval_minutes)
                beyond = (paired.start < window.start) | (paired.end > window.end)
                brackets = paired.day
                pairs.append(paired.pair[beyond])
                span = span_of(cleaned.grid, brackets.row[beyond], brackets.first[beyond], brackets.end[beyond])
                pieces.append(span if self.snapshot.rules_on(day).estimation.scale_to_registers else span.unscaled())
            together = np.concatenate(pairs)
            order = np.argsort(together, kind="stable")
            columns = [np.concatenate([getattr(piece, name) for piece in pieces])[order] for name in _SPAN]
            self._spans[key] = (together[order], Span(*columns), estimated.used)
        return self._spans[key]


_SPAN = tuple(Span.__dataclass_fields__)


def _picked(spans: Span, place: np.ndarray, there: np.ndarray) -> Span:
    return Span(*(np.where(there, np.append(getattr(spans, name), 0)[place], 0) for name in _SPAN))


def _series_of(registered: SeriesTable, keys: Keys, rows: np.ndarray) -> SeriesTable:
    """Return the registry entries of a grid's rows; a series without one has its name only."""
    if (rows >= 0).all():
        return registered.take(rows)
    names = np.array([*keys, ("", "")], dtype=object)[:-1]
    unknown = SeriesTable(names[:, 0], names[:, 1], np.zeros(len(keys), np.int16), np.full(len(keys), np.nan))
    columns = {}
    for name in SeriesTable.__dataclass_fields__:
        column = getattr(unknown, name).copy()
        column[rows >= 0] = getattr(registered, name)[rows[rows >= 0]]
        columns[name] = column
    return SeriesTable(**columns)


def clean_shards(digests: Digests) -> CleanShards:
    """Return what works out clean shards from the lake, as of one moment."""
    return CleanShards(digests, ValidatedDays(digests.platform, digests))
