"""``clean_readings`` of a day: estimated where needed, with the history that the estimation asks for, and scaled to
the register reads around it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from metrify_assets.periods import Periods
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS, CORRECTIONS
from metrify_assets.tables.calendar import like_days_around
from metrify_assets.tables.corrections import corrections
from metrify_assets.tables.day import DayResult, ShardResult, compute_day
from metrify_assets.tables.digests import Digests
from metrify_assets.tables.grids import StoredGrid, clean_table, decimal_integers, texts, validated_grids
from metrify_assets.tables.load_profiles import load_profiles
from metrify_assets.tables.points import Key
from metrify_assets.tables.register_reads import PairedBrackets, RegisterIndex
from metrify_assets.tables.validated import Known, flag_counts
from metrify_assets.vee.clean import Basis, Cleaned, clean_shard
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.constraints import Span, constrain, span_of
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_from_number, day_numbers
from metrify_assets.vee.grid import METHOD_NAMES, REASON_NAMES, STATUS_NAMES, CleanGrid, SeriesTable, ValidatedGrid
from metrify_assets.vee.history import DayTotals, HistoryDay
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rules import most_energy

Keys = list[Key]
CACHED_CELLS = 30_000_000
"""Cells of other days' grids that are kept in memory during a run: about 600 MB at most."""
CACHED_TOTALS = 512
"""Shards of ``series_days`` that are kept: what a range of months looks back at."""


class Days(Protocol):
    """Other days as estimation takes them, whether they are read from the lake or worked out."""

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of a day and shard with the keys of their rows; empty if there are none."""
        ...

    def past(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid | StoredGrid]]:
        """Return the same, of which a few rows will be asked for."""
        ...

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series adds up to, by resolution in minutes."""
        ...

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads."""
        ...


class ValidatedDays:
    """Validated days of the lake, read when asked for and kept while they fit."""

    def __init__(self, platform: Platform, digests: Digests):
        self.platform, self.digests = platform, digests
        self._kept: OrderedDict[tuple[date, int, str], list[tuple[Keys, ValidatedGrid]]] = OrderedDict()
        self._totals: OrderedDict[tuple[date, int, str], list[tuple[Keys, int, DayTotals]]] = OrderedDict()
        self._keys: dict[tuple[int, int], Keys] = {}
        self._past: OrderedDict[tuple[date, int, str], pa.Table] = OrderedDict()
        self._cells = 0

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the grids of a day and shard with the keys of their rows; empty if there are none."""
        manifest = self.digests.days("validated_readings").get(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        read = validated_grids(self.platform.lake.read_shard(entry))
        found = self._kept[key] = [(self._shared(shard, grid.interval_minutes, keys), grid) for keys, grid in read]
        self._cells += entry.rows
        while self._cells > CACHED_CELLS and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._cells -= sum(grid.flags.size for _, grid in dropped)
        return found

    def past(self, day: date, shard: int) -> list[tuple[Keys, StoredGrid]]:
        """Return the same, of which a few rows will be asked for: the others are never unpacked."""
        manifest = self.digests.days("validated_readings").get(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        if key not in self._past:
            self._past[key] = self.platform.lake.read_shard(entry, StoredGrid.COLUMNS)
            # A shard of every day in the look-back is asked for before the next shard.
            while sum(table.num_rows for table in self._past.values()) > CACHED_CELLS and len(self._past) > 1:
                self._past.popitem(last=False)
        rows, first = self._past[key], 0
        found = []
        for keys, minutes, _ in self.totals(day, shard):
            slots = DeliveryDay(day, self.platform.settings.timezone).slots(minutes)
            found.append((keys, StoredGrid(minutes, slots, rows.slice(first, len(keys) * slots))))
            first += len(keys) * slots
        return found

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series of a day and shard adds up to; empty if there is nothing."""
        manifest = self.digests.days("series_days").get(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return []
        key = (day, shard, entry.digest)
        if key not in self._totals:
            read = day_totals(self.platform.lake.read_shard(entry))
            self._totals[key] = [
                (self._shared(shard, minutes, keys), minutes, totals) for keys, minutes, totals in read
            ]
            if len(self._totals) > CACHED_TOTALS:
                self._totals.popitem(last=False)
        return self._totals[key]

    def _shared(self, shard: int, minutes: int, keys: Keys) -> Keys:
        """Return the equal list that is held already, if there is one: from day to day keys hardly ever change."""
        known = self._keys.get((shard, minutes))
        if known != keys:
            known = self._keys[shard, minutes] = keys
        return known

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads."""
        return self.digests.register_index(shard)


def day_totals(rows: pa.Table) -> list[tuple[Keys, int, DayTotals]]:
    """Return the rows of ``series_days`` by resolution."""
    minutes = rows["interval_minutes"].to_numpy()
    found = []
    for length in np.unique(minutes).tolist():
        chosen = rows.filter(pa.array(minutes == length))
        keys = list(zip(texts(chosen["point_id"]), texts(chosen["obis_code"]), strict=True))
        measured = chosen["measured_slots"].to_numpy().astype(np.int64)
        found.append(
            (
                keys,
                length,
                DayTotals(
                    energy=decimal_integers(chosen["energy_kwh"]),
                    complete=measured == chosen["slots"].to_numpy(),
                    measured_slots=measured,
                    registered=np.ones(len(keys), dtype=bool),
                ),
            )
        )
    return found


def _planes(grid: ValidatedGrid, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return grid.delivered[rows], grid.has_value[rows], grid.source_status[rows], grid.flags[rows]


class ShardHistory:
    """Other days of the series of one grid, as the estimation asks for them."""

    def __init__(self, days: Days, shard: int, keys: Keys, interval_minutes: int, zone: str):
        self.days, self.shard, self.keys, self.minutes, self.zone = days, shard, keys, interval_minutes, zone

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        """Return a day's validated values of some rows of the grid; None if the day was never validated."""
        for keys, grid in self.days.past(day, self.shard):
            if grid.interval_minutes != self.minutes:
                continue
            source = self._places(keys, rows)
            known = (source >= 0)[:, None]
            planes = grid.take(source) if isinstance(grid, StoredGrid) else _planes(grid, source)
            delivered, has_value, source_status, flags = planes
            return HistoryDay.from_validated(
                DeliveryDay(day, self.zone),
                self.minutes,
                delivered,
                has_value & known,
                source_status,
                np.where(known, flags, 0),
            )
        return None

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        """Return what a day adds up to for some rows of the grid; None if the day was never validated."""
        for keys, minutes, found in self.days.totals(day, self.shard):
            if minutes != self.minutes:
                continue
            source = self._places(keys, rows)
            known = source >= 0
            return DayTotals(
                energy=found.energy[source],
                complete=found.complete[source] & known,
                measured_slots=found.measured_slots[source],
                registered=known,
            )
        return None

    def _places(self, keys: Keys, rows: np.ndarray) -> np.ndarray:
        """Return where the grid's rows stand among a day's keys, -1 = nowhere."""
        # From day to day the series are nearly always the same, and then the very same list (``_shared``).
        if keys is self.keys or keys == self.keys:
            return rows
        position = {key: row for row, key in enumerate(keys)}
        return np.array([position.get(self.keys[row], -1) for row in rows.tolist()], dtype=np.int64)


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


def most_counted(found: PairedBrackets, series: SeriesTable, rules: RuleSet) -> np.ndarray:
    """Return the largest energy that the connection can carry in the time of each bracket, micro-kWh; int64, (B,)."""
    limit_kw = series.limit_kw[found.day.row]
    limit_kw = np.where(np.isnan(limit_kw), rules.unknown_connection_kw, limit_kw)
    minutes = (found.end - found.start) // MICROSECONDS_PER_MINUTE
    return most_energy(limit_kw, minutes, rules.physical_limit_percent)


class CleanShards:
    """Works out clean shards from validated days.

    Parameters
    ----------
    known : Known
    days : Days
    """

    def __init__(self, known: Known, days: Days):
        self.known, self.days = known, days
        self.zone = known.platform.settings.timezone
        self._spans: dict[tuple[date, int], tuple[np.ndarray, Span, set[str]]] = {}

    def estimate(self, day: date, shard: int) -> EstimatedShard:
        """Return a shard after estimation."""
        rules = self.known.rules_on(day)
        used = {f"validated_readings@{day}", f"rules@{day}", f"forecasts@{day}", f"points@{day}"}
        found = []
        registered = self.known.registry.series(day, shard)
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
            found.append((keys, series, cleaned))
        if any(cleaned.grid_days or cleaned.total_days for _, _, cleaned in found):
            used |= {f"holidays@{day}", "profiles"}
        return EstimatedShard(found, used)

    def clean(self, day: date, shard: int) -> tuple[EstimatedShard, set[str]]:
        """Return a shard after estimation and scaling, and the names of all inputs."""
        estimated = self.estimate(day, shard)
        used = set(estimated.used)
        rules = self.known.rules_on(day)
        used.add(f"brackets@{day}")
        index = self.days.register_index(shard)
        for keys, series, cleaned in estimated.grids:
            found = index.on(DeliveryDay(day, self.zone), keys, cleaned.grid.interval_minutes)
            if len(found.pair) == 0:
                continue
            before, after = self._outside(day, shard, found, used)
            for applying, rows in rules.groups(series.point_class):
                of_group = np.zeros(len(series), dtype=bool)
                of_group[rows] = True
                ours = of_group[found.day.row]
                constrain(
                    cleaned.grid,
                    found.day.take(ours),
                    before.take(ours),
                    after.take(ours),
                    applying,
                    scale=rules.estimation.scale_to_registers,
                    most=most_counted(found, series, applying)[ours],
                )
        return estimated, used

    def _outside(self, day: date, shard: int, found: PairedBrackets, used: set[str]) -> tuple[Span, Span]:
        """Return what the brackets hold on the days before and after; name the inputs that say so."""
        before, after = Span.nothing(len(found.pair)), Span.nothing(len(found.pair))
        first = day_from_number(int(day_numbers(found.start, self.zone).min()))
        last = day_from_number(int(day_numbers(found.end - 1, self.zone).max()))
        for other in _days_between(first, last):
            if other == day:
                continue
            window = DeliveryDay(other, self.zone)
            touched = (found.start < window.end) & (found.end > window.start)
            if not touched.any():
                continue
            pairs, spans, names = self._span(other, shard)
            used |= names
            place = np.searchsorted(pairs, found.pair)
            there = (place < len(pairs)) & (np.append(pairs, -1)[place] == found.pair) & touched
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
                found = self.days.register_index(shard).on(window, keys, cleaned.grid.interval_minutes)
                beyond = (found.start < window.start) | (found.end > window.end)
                brackets = found.day
                pairs.append(found.pair[beyond])
                span = span_of(cleaned.grid, brackets.row[beyond], brackets.first[beyond], brackets.end[beyond])
                pieces.append(span if self.known.rules_on(day).estimation.scale_to_registers else span.unscaled())
            together = np.concatenate(pairs)
            order = np.argsort(together, kind="stable")
            columns = [np.concatenate([getattr(one, name) for one in pieces])[order] for name in _SPAN]
            self._spans[key] = (together[order], Span(*columns), estimated.used)
        return self._spans[key]


_SPAN = tuple(Span.__dataclass_fields__)


def _picked(spans: Span, place: np.ndarray, there: np.ndarray) -> Span:
    return Span(*(np.where(there, np.append(getattr(spans, name), 0)[place], 0) for name in _SPAN))


def _days_between(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


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


def compute_clean(
    platform: Platform, day: date, digests: Digests, shards: CleanShards, *, force: bool = False
) -> DayResult:
    """Compute and publish the stale shards of one day."""

    periods = Periods(platform)
    beside = (CORRECTIONS,) if periods.ever_closed(day) else ()

    def compute_shard(number: int) -> ShardResult:
        estimated, names = shards.clean(day, number)
        names.add(f"closed@{day}")
        rows, numbers = _rows(day, estimated)
        found = {CORRECTIONS.name: CORRECTIONS.empty()}
        closed = periods.shard(day, number)
        if closed is not None:
            stands = platform.lake.read_shard(closed) if closed.file else CLEAN_READINGS.empty()
            found[CORRECTIONS.name] = corrections(platform, digests.view, day, number, stands, rows)
            rows, numbers = stands, numbers_of_rows(stands)
            numbers["corrections"] = correction_numbers(found[CORRECTIONS.name])
        validated = digests.days("validated_readings").get(day)
        # A closed day keeps its slots, whatever the registry says now.
        slots = rows.num_rows if closed is not None else validated.shards[number].rows if validated else 0
        numbers["validated_slots"] = slots
        numbers["rule_set"] = digests.rules_on(day).version
        inputs = {name: digests.current(name, number) for name in sorted(names)}
        return ShardResult(rows, inputs, numbers, found, closed)

    return compute_day(platform, CLEAN_READINGS, day, digests, compute_shard, force=force, beside=beside)


def _rows(day: date, estimated: EstimatedShard) -> tuple[pa.Table, dict[str, Any]]:
    tables = [clean_rows(day, keys, cleaned.grid) for keys, _, cleaned in estimated.grids]
    rows = pa.concat_tables(tables).unify_dictionaries() if tables else CLEAN_READINGS.empty()
    grids = [cleaned.grid for _, _, cleaned in estimated.grids]
    numbers = {
        "status": _count(STATUS_NAMES, [grid.status for grid in grids]),
        "method": _count(METHOD_NAMES, [grid.method for grid in grids]),
        "reason": _count(REASON_NAMES, [grid.reason for grid in grids]),
        "rules": flag_counts(grids),
        "micro_kwh": int(sum(int(grid.value[grid.has_value].sum()) for grid in grids)),
    }
    return rows, numbers


def numbers_of_rows(rows: pa.Table) -> dict[str, Any]:
    """Return the counts of clean rows, as the manifest holds them."""
    counted = {name: Counter(rows[name].to_pylist()) for name in ("status", "method", "reason")}
    flags = rows["flags"].to_numpy()
    return {
        **{name: {text: count for text, count in found.items() if text} for name, found in counted.items()},
        "rules": {flag.name.lower(): int(np.count_nonzero(flags & np.int32(flag))) for flag in Flag},
        "micro_kwh": int(decimal_integers(rows["value_kwh"]).sum()),
    }


def correction_numbers(rows: pa.Table) -> dict[str, Any]:
    """Return the counts of corrections, as the manifest holds them."""
    return {
        "slots": rows.num_rows,
        "micro_kwh": int(decimal_integers(rows["difference_kwh"]).sum()),
        "cause": dict(Counter(rows["cause"].to_pylist())),
    }


def clean_rows(day: date, keys: Keys, grid: CleanGrid) -> pa.Table:
    """Return the rows of a clean grid."""
    points = np.array([point for point, _ in keys], dtype=object)
    channels = np.array([channel for _, channel in keys], dtype=object)
    # Interval and limit play no part in the layout of rows.
    names = SeriesTable(points, channels, np.zeros(len(keys), np.int16), np.full(len(keys), np.nan))
    return clean_table(day, names, [grid])


def _count(names: tuple, planes: list[np.ndarray]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for plane in planes:
        present = plane[plane >= 0]
        counts = np.bincount(present, minlength=len(names)).tolist()
        found.update({str(name): count for name, count in zip(names, counts, strict=True) if count})
    return dict(found)
