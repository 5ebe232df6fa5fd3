"""An analyst's readings, validated, estimated and explained as the platform does it.

Belongs here: the three functions and what they share. Does not belong here: reading a table (``delivered.py``) and
what is computed (``days/``, ``vee/``, ``explain/``).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from typing import TypedDict, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.clock import microseconds
from metrify_assets.days.clean import checked_rows, clean_rows
from metrify_assets.days.estimation import CleanShards, EstimatedShard
from metrify_assets.errors import FrameError
from metrify_assets.explain.deliveries import PointRows, delivery_of, is_closing
from metrify_assets.explain.gather import explained
from metrify_assets.explain.published_state import WITHOUT_PUBLISHED
from metrify_assets.explain.text import sentence
from metrify_assets.library.days import SHARD, TableDays, TablePoint
from metrify_assets.library.delivered import FEED, DeliveredTable, Stamp, meaning_of
from metrify_assets.library.registry import Entries, GivenRegistry
from metrify_assets.library.results import clean_columns, presented, validated_columns, within_spans
from metrify_assets.library.rules import GivenRules, rule_book_of
from metrify_assets.library.tables import Frame, given_table
from metrify_assets.registry.points import Registry
from metrify_assets.vee.delivery_day import (
    MICROSECONDS_PER_MINUTE,
    DeliveryDay,
    day_from_number,
    day_numbers,
    to_microseconds,
)
from metrify_assets.vee.own_rules import OwnRule


class Options(TypedDict, total=False):
    """What the columns of a table are; the defaults and their meanings are those of ``Meaning``."""

    time: str
    value: str
    point: str
    obis: str
    status: str
    kind: str
    unit: str
    stamp: Stamp
    minutes: int | str | None
    timezone: str | None


class Readings:
    """Interval readings of a table, and what the platform makes of them. What is worked out is kept.

    Parameters
    ----------
    frame : pandas.DataFrame, pandas.Series or pyarrow.Table
        One row per value, in any order. Slots without a row are gaps; rows without a value are blanks. A Series has the
        times as its index.
    registry : pandas.DataFrame, pyarrow.Table or mapping, optional
        Columns of the registry ``points``, all optional: ``point_id``, ``obis_code``, ``connection_kw`` (kW),
        ``point_class``, ``federal_state`` (two letters), ``annual_kwh``, ``load_profile``, ``interval_minutes``,
        ``valid_from``, ``valid_to``. A mapping holds for all points. Without it limits are those of unknown points, and
        no standard load profile is used.
    rules : RuleBook, DayRules or str, optional
        A text is a rule book in YAML. Without it the newest built-in edition holds for all days; ``newest_rules``
        changes it.
    registers : pandas.DataFrame, pyarrow.Table or mapping, optional
        Of counters whose states the table has: columns of the registry ``registers``, such as ``multiplier``,
        ``digits`` (roll-over), ``initial_kwh``, ``final_kwh`` (exchange), ``valid_from``, ``valid_to``.
    outages : pandas.DataFrame, pyarrow.Table or mapping, optional
        Declared outages: ``starts_at``, ``ends_at`` (with a zone), ``point_id`` (all points if absent).
    **options : Options
        ``time`` ("time"), ``value`` ("kwh"), ``point`` ("point_id"), ``obis`` ("obis_code"), ``status`` ("status"),
        ``kind`` ("kind"): names of columns; the last four may be absent. ``kind`` is ``interval`` or ``register``: the
        state of a counter at that time, which checks and scales the intervals of its point, or makes slots if it has
        none. ``unit`` ("kWh"): unit, or column of units. ``stamp`` ("start"):
        or "end". ``minutes``: length of intervals, or column of lengths; told from the times if omitted. ``timezone``:
        IANA zone of the delivery day; that of the times if it names a place, else Europe/Berlin.

    Raises
    ------
    FrameError
        In one line, if the table is empty, an option, a unit or a status is unknown, times have no zone, a slot has
        several values, values are no numbers, an interval cannot be told, or values fit no slot.
    SettingsError
        If the rules are no rule book.

    Notes
    -----
    The computation is that of the platform for the same values, registry and rules, to the micro-kWh. Days are whole
    there: other slots of the first and the last day count as gaps, and the result leaves them out.
    """

    def __init__(
        self,
        frame: Frame,
        registry: Entries = None,
        rules: GivenRules = None,
        *,
        registers: Entries = None,
        outages: Entries = None,
        **options: Unpack[Options],
    ):
        meaning = meaning_of(options)
        self._given = given_table(frame, meaning.time, meaning.value)
        self.rule_book = rule_book_of(rules)
        points = GivenRegistry(registry, registers, outages)
        self._table = DeliveredTable(self._given, meaning, points.interval)
        self._registry: Registry = points.registry(self._table)
        self._days = TableDays(
            self._table.raw, self._registry, self.rule_book, self._table.first_day, self._table.last_day
        )
        self._points: dict[str, TablePoint] = {}
        self._require_slots()

    def validated(self) -> Frame:
        """Return what the rules found, one row per expected slot; columns as ``validate`` says."""
        pieces = [
            validated_columns(checked_rows(day, keys, cleaned), self._own(day))
            for day, shard in self._shards
            for keys, _, cleaned in shard.grids
        ]
        return self._given.given_back(presented(within_spans(pa.concat_tables(pieces), self._table), self._table))

    def estimated(self) -> Frame:
        """Return clean readings, one row per expected slot; columns as ``estimate`` says."""
        return self._given.given_back(presented(self._clean, self._table))

    @cached_property
    def _shards(self) -> list[tuple[date, EstimatedShard]]:
        """The days, each with its grids: rules that look at several days and at registers run with estimation."""
        shards = CleanShards(self._days, self._days)
        return [(day, shards.clean(day, SHARD)[0]) for day in self._days.days]

    @cached_property
    def _clean(self) -> pa.Table:
        pieces = [
            clean_columns(clean_rows(day, keys, cleaned.grid), self._own(day))
            for day, shard in self._shards
            for keys, _, cleaned in shard.grids
        ]
        return within_spans(pa.concat_tables(pieces), self._table)

    def explained(self, at: str | date | datetime, point: object = None, obis: str | None = None) -> Frame:
        """Return why values are what they are; parameters and columns as ``explain`` says."""
        name = self._point(point)
        day, moment = self._day_and_moment(at)
        with_slots = zip(self._table.keys, self._table.has_slots.tolist(), strict=True)
        codes = [code for (of_point, code), has_slots in with_slots if of_point == name and has_slots]
        chosen = [code for code in codes if obis in (None, code)]
        if not chosen:
            raise FrameError(f"there is no channel {obis!r} of point {name!r}: use {', '.join(codes)}")
        days = self._days_of(name)
        explanation = explained(days, day, chosen, _delivered_on(days, day), WITHOUT_PUBLISHED)
        reasons = {
            (channel.obis_code, to_microseconds(datetime.fromisoformat(slot.start))): sentence(slot)
            for channel in explanation.channels
            for slot in channel.slots
        }
        rows = self._slots_of(name, DeliveryDay(day, self._table.zone), moment)
        starts = rows["interval_start"].cast(pa.int64()).to_pylist()
        why = [reasons.get(slot) for slot in zip(rows["obis_code"].to_pylist(), starts, strict=True)]
        rows = rows.append_column("why", pa.array(why, pa.string()))
        rows = rows.filter(pc.is_valid(rows["why"]))
        if not rows.num_rows:
            first, last = self._days.days[0], self._days.days[-1]
            raise FrameError(f"no slot of the table is at {at}: choose one of {first} to {last}")
        return self._given.given_back(presented(rows, self._table))

    def _days_of(self, name: str) -> TablePoint:
        """Return the days of a point."""
        if name not in self._points:
            first, last = self._days.days[0], self._days.days[-1]
            self._points[name] = TablePoint(self._table.raw, self._registry, self.rule_book, first, last, name)
        return self._points[name]

    def _slots_of(self, name: str, day: DeliveryDay, moment: int | None) -> pa.Table:
        """Return the clean rows of a point's day, or those that an instant lies in."""
        starts = self._clean["interval_start"].cast(pa.int64()).to_numpy()
        minutes = self._clean["interval_minutes"].to_numpy().astype(np.int64)
        first, end = (day.start, day.end) if moment is None else (moment, moment + 1)
        inside = (starts < end) & (starts + minutes * MICROSECONDS_PER_MINUTE > first)
        return self._clean.filter(pa.array(inside)).filter(pc.field("point_id") == name)

    def _point(self, point: object) -> str:
        names = sorted({name for name, _ in self._table.keys})
        if point is None:
            if len(names) > 1:
                raise FrameError(f"the table has {len(names)} points: say point_id=, such as {names[0]!r}")
            return names[0]
        if str(point) not in names:
            raise FrameError(f"the table has no point {point!r}: use one of {', '.join(names[:12])}")
        return str(point)

    def _day_and_moment(self, at: str | date | datetime) -> tuple[date, int | None]:
        """Return the delivery day that is asked for, and the instant, if one is."""
        form = "give a day as 2026-03-10, or an instant as 2026-03-10T18:00+01:00"
        if isinstance(at, str):
            try:
                at = date.fromisoformat(at) if len(at) == len("2026-03-10") else datetime.fromisoformat(at)
            except ValueError as error:
                raise FrameError(f"at={at!r}: {form}") from error
        if not isinstance(at, date):
            raise FrameError(f"at={at!r}: {form}")
        if not isinstance(at, datetime):
            day, moment = at, None
        elif at.tzinfo is None:
            raise FrameError(f"at={at} has no time zone, so that nobody knows which instant it is: give it one")
        else:
            moment = microseconds(at)
            day = day_from_number(int(day_numbers(np.array([moment]), self._table.zone)[0]))
        if not self._days.days[0] <= day <= self._days.days[-1]:
            raise FrameError(f"the table holds {self._days.days[0]} to {self._days.days[-1]}, not {day}")
        return day, moment

    def _own(self, day: date) -> Sequence[OwnRule]:
        """Return the rules of other packages that hold on a day."""
        return self.rule_book.on(day).own

    def _require_slots(self) -> None:
        """Raise ``FrameError`` if values fit no slot; warn of those that have none to fit."""
        unassigned = slots = 0
        for day in self._days.days:
            shard = self._days.validated(day, SHARD)
            unassigned += shard.tally.unassigned
            slots += sum(grid.flags.size for grid in shard.grids)
            if not shard.tally.off_grid:
                continue
            window = DeliveryDay(day, self._table.zone)
            intervals = shard.series.interval_minutes
            without_slots = np.append(window.minutes % intervals != 0, False)
            lost = int(np.count_nonzero(without_slots[shard.raw.deliveries.series]))
            if lost:
                length = int(intervals[without_slots[:-1]][0])
                words = f"{day} has {window.minutes // 60} hours, which slots of {length} minutes do not divide"
                warnings.warn(f"{words}: {lost} values are left out", stacklevel=4)
            if shard.tally.off_grid > lost:
                lengths = " or ".join(str(length) for length in np.unique(intervals).tolist())
                words = f"{shard.tally.off_grid - lost} values of {day} fit no slot of {lengths} minutes"
                raise FrameError(f"{words}: round their times, or say minutes=")
        if not slots:
            raise FrameError("no value of the table has a slot: see that the registry holds on its days")
        if unassigned:
            words = f"{unassigned} values lie before valid_from or after valid_to of the registry, and are left out"
            warnings.warn(words, stacklevel=4)


def _delivered_on(days: TablePoint, day: date) -> PointRows:
    """Return the rows of a point's day as deliveries of one file, and the states of counters at its end."""
    counting = {}
    for row in days.rows_of(day).to_pylist():
        name = (row["row_number"], row["obis_code"], to_microseconds(row["interval_start"]))
        counting[name] = replace(delivery_of(row, FEED), drop="#1")
    window = DeliveryDay(day, days.registry.zone)
    following = [delivery_of(row, FEED) for row in days.rows_of(window.plus(1).day).to_pylist()]
    closing = [replace(delivery, drop="#1") for delivery in following if is_closing(delivery, window)]
    return PointRows(counting, [], closing, ())


def validate(
    frame: Frame,
    registry: Entries = None,
    rules: GivenRules = None,
    *,
    registers: Entries = None,
    outages: Entries = None,
    **options: Unpack[Options],
) -> Frame:
    """Put readings onto their interval grid and run the validation rules.

    Parameters
    ----------
    frame, registry, rules, registers, outages, **options
        As ``Readings`` takes them.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table, as given
        One row per expected slot, from the first to the last time of each series, sorted by series and time:
        ``point_id`` and ``obis_code`` (if the table has them), ``interval_start`` (in the zone of the times; the index,
        if times were), ``interval_minutes``, ``delivered_kwh`` (float64 in pandas, DECIMAL(18,6) in Arrow; null without
        a value), ``source_status``, ``version`` (distinct values delivered), ``rules`` (names of the rules that found
        something, separated by blanks), ``refused`` (the value may not stand).

    Raises
    ------
    FrameError, SettingsError
        As ``Readings`` says.
    """
    return Readings(frame, registry, rules, registers=registers, outages=outages, **options).validated()


def estimate(
    frame: Frame,
    registry: Entries = None,
    rules: GivenRules = None,
    *,
    registers: Entries = None,
    outages: Entries = None,
    **options: Unpack[Options],
) -> Frame:
    """Validate readings, and estimate what is missing or may not stand.

    Parameters
    ----------
    frame, registry, rules, registers, outages, **options
        As ``Readings`` takes them.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table, as given
        One row per expected slot, as ``validate`` has them: ``point_id``, ``obis_code``, ``interval_start``,
        ``interval_minutes``, ``kwh`` (null = missing, never zero), ``low_kwh`` and ``high_kwh`` (interval of an
        estimate, 10 to 90 %; null where measured or not known), ``variance_kwh2`` (that of a sum over whole gaps is
        the sum of these; the sum lies within 1.2816 standard deviations in 80 %), ``status`` (measured, validated,
        estimated, provisional, missing), ``estimated``, ``method`` (linear, similar_day, like_day, profile ...; null
        where the value was measured or is missing), ``scaled_method`` (of what was scaled to a register, if the table
        has any), ``reason`` (why there was no value that stands), ``rules`` and
        ``delivered_kwh``.

    Raises
    ------
    FrameError, SettingsError
        As ``Readings`` says.

    Notes
    -----
    Days before and after are those of the table: with few of them long gaps stay missing. Values that stand are never
    changed.
    """
    return Readings(frame, registry, rules, registers=registers, outages=outages, **options).estimated()


def explain(
    frame: Frame,
    at: str | date | datetime,
    registry: Entries = None,
    rules: GivenRules = None,
    *,
    point_id: object = None,
    obis_code: str | None = None,
    registers: Entries = None,
    outages: Entries = None,
    **options: Unpack[Options],
) -> Frame:
    """Say why values are what they are.

    Parameters
    ----------
    frame, registry, rules, registers, outages, **options
        As ``Readings`` takes them.
    at : str, date or datetime
        A delivery day (``2026-03-10``), or an instant with its zone (``2026-03-10T18:00+01:00``): the slot that it lies
        in.
    point_id : optional
        Needed where the table has several points.
    obis_code : str, optional
        One channel; all of them if omitted.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table, as given
        The rows of ``estimate`` for these slots, and ``why``: what was delivered (rows count from 0), what the rules
        compared with what, how the value was estimated, and what came of it.

    Raises
    ------
    FrameError, SettingsError
        As ``Readings`` says; or if there is no such slot, point or channel.
    """
    readings = Readings(frame, registry, rules, registers=registers, outages=outages, **options)
    return readings.explained(at, point_id, obis_code)
