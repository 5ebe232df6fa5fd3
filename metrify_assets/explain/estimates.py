"""How each value that was not measured came about: the days of a mean, the edges of a line, the share of a profile.

Belongs here: sentences and sources per method. Does not belong here: the estimators and what they rest on
(``vee/origins.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property

import numpy as np

from metrify_assets.explain.record import Bracket, Delivery, Estimate, LikeDayNote, Source
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import energy, kwh, local, number
from metrify_assets.reference.load_profiles import load_profiles
from metrify_assets.vee.arrays import BoolArray, Int64Array
from metrify_assets.vee.clean import is_import
from metrify_assets.vee.codes import Method, Status
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE
from metrify_assets.vee.gaps import DayWithGaps
from metrify_assets.vee.grid import METHOD_NAMES, STATUS_NAMES
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.like_days import LEVEL_ONE
from metrify_assets.vee.origins import (
    LikeDay,
    LikeDayOrigin,
    PastDay,
    like_day_origin,
    linear_origin,
    profile_origin,
)
from metrify_assets.vee.similar_days import EdgeBeyond, SimilarDayOrigin, similar_day_origin
from metrify_assets.vee.units import MICRO_PER_KWH


@dataclass(frozen=True)
class Estimates:
    """What the estimates of a channel's day rest on.

    Parameters
    ----------
    channel : SeriesDay
    brackets : sequence of Bracket
    """

    channel: SeriesDay
    brackets: Sequence[Bracket]

    @cached_property
    def _method(self) -> list[Method | None]:
        """Method of every slot before scaling."""
        codes = self.channel.estimated.method[self.channel.row].tolist()
        return [METHOD_NAMES[code] if code >= 0 else None for code in codes]

    @cached_property
    def _like_days(self) -> LikeDayOrigin:
        channel = self.channel
        before = (Method.LINEAR, Method.SIMILAR_DAY)
        asked = [slot for slot, kept in enumerate(channel.kept) if not kept and self._method[slot] not in before]
        return like_day_origin(
            channel.day,
            channel.minutes,
            asked,
            channel.measured_values,
            channel.past_day,
            channel.calendar,
            channel.estimation,
        )

    @cached_property
    def _similar_days(self) -> SimilarDayOrigin | None:
        """Where the similar-day estimates come from; None where no slot is estimated by them."""
        channel = self.channel
        if Method.SIMILAR_DAY not in self._method:
            return None
        grid, row = channel.validated, [channel.row]
        ordinary = grid.ordinary[row]
        gaps = DayWithGaps(channel.day, channel.minutes, np.array([0]), ~ordinary, ordinary, grid.delivered[row])
        history = _PastOfChannel(cache(channel.past_day))
        return similar_day_origin(
            gaps,
            history,
            lambda day: np.array([channel.calendar.kind(day)]),
            channel.estimation,
            lambda side, _: channel.neighbour(side),
        )

    def similar_day_notes(self) -> tuple[LikeDayNote, ...]:
        """Return the days of the weighted mean, the nearest first; none where no slot asked for them."""
        return tuple(
            LikeDayNote(
                each.day, True, f"distance {number(each.distance, 3)}, {number(100 * each.weight, 1)} % of the mean"
            )
            for each in (self._similar_days.days if self._similar_days else ())
        )

    def like_day_notes(self) -> tuple[LikeDayNote, ...]:
        """Return the like days that were looked at; none where no slot asked for them."""
        return tuple(
            LikeDayNote(like_day.day, like_day.eligible, _eligibility(like_day)) for like_day in self._like_days.days
        )

    def of_slot(self, slot: int, deliveries: Sequence[Delivery]) -> Estimate | None:
        """Return how a slot's value came about; None where a measured or provisional delivery stands as it is."""
        channel = self.channel
        method = self._method[slot]
        status = STATUS_NAMES[channel.estimated.status[channel.row, slot]]
        if method is None and status not in (Status.MISSING, Status.PROVISIONAL):
            return None
        has_value = bool(channel.estimated.has_value[channel.row, slot])
        value = int(channel.estimated.value[channel.row, slot])
        said: Mapping[Method | None, Callable[[int], tuple[str, tuple[Source, ...]]]] = {
            Method.LINEAR: self._linear,
            Method.SIMILAR_DAY: self._similar_day,
            Method.LIKE_DAY: self._like_day,
            Method.PROFILE: self._profile,
        }
        if method in said:
            text, sources = said[method](slot)
        elif method is None:
            text, sources = self._nothing(slot, has_value)
        else:
            text, sources = _of_delivery(method, deliveries), ()
        bracket = None
        scaled = METHOD_NAMES[channel.clean.method[channel.row, slot]] if method is not None else None
        if scaled is Method.REGISTER_SCALED:
            scaling = next(each for each in self.brackets if each.first_slot <= slot < each.end_slot)
            final = energy(int(channel.clean.value[channel.row, slot]))
            factor = number(scaling.scale, 4) if scaling.scale is not None else "?"
            bracket = scaling.number
            text = f"{text} = {energy(value)}; x {factor} of bracket {bracket} = {final}"
        return Estimate(method and str(method), kwh(value) if has_value else None, text, sources, bracket)

    def _linear(self, slot: int) -> tuple[str, tuple[Source, ...]]:
        channel = self.channel
        origin = linear_origin(
            channel.kept_values,
            channel.edges,
            slot,
            lambda: channel.neighbour(-1),
            lambda: channel.neighbour(1),
        )
        if origin is None:
            raise ValueError(f"slot {slot} is estimated by a line without an edge: method and values disagree")
        sources = []
        for place, value in ((origin.left_slot, origin.left), (origin.right_slot, origin.right)):
            start = channel.day.start + place * channel.minutes * MICROSECONDS_PER_MINUTE
            words = (
                channel.local[place] if 0 <= place < channel.slots else local(start, channel.day.zone, channel.day.day)
            )
            offset = -1 if place < 0 else 1 if place >= channel.slots else 0
            sources.append(Source(channel.day.day + timedelta(days=offset), words, kwh(value)))
        left, right = sources
        text = (
            f"linear between {number(left.kwh)} kWh at {left.local} and {number(right.kwh)} kWh at {right.local}, "
            f"point {origin.position} of {origin.spacing - 1}"
        )
        return text, tuple(sources)

    def _similar_day(self, slot: int) -> tuple[str, tuple[Source, ...]]:
        origin = self._similar_days
        if origin is None:
            raise ValueError(f"slot {slot} is not estimated by similar days")
        words = self.channel.local[slot]
        used = [(each.day, value) for each in origin.days if (value := each.values[slot]) is not None]
        expected = origin.expected[slot] or 0
        edges = int(self.channel.estimated.value[self.channel.row, slot]) - expected
        scaled = "" if origin.level == 1 else f", x {number(origin.level, 3)} of the day's level"
        text = (
            f"similar days: weighted mean of {len(used)} days{scaled}: {energy(expected)}, "
            f"and {energy(edges)} from the edges of the gap (correlation {number(origin.correlation, 3)}"
            f"{''.join(map(self._edge_beyond, origin.edges_beyond(slot)))})"
        )
        return text, tuple(Source(day, words, kwh(value)) for day, value in used)

    def _edge_beyond(self, edge: EdgeBeyond) -> str:
        channel = self.channel
        place = edge.slots if edge.slots < 0 else channel.slots + edge.slots - 1
        start = channel.day.start + place * channel.minutes * MICROSECONDS_PER_MINUTE
        words = local(start, channel.day.zone, channel.day.day)
        return f"; over midnight {energy(edge.value)} measured at {words}, {energy(edge.expected)} expected there"

    def _like_day(self, slot: int) -> tuple[str, tuple[Source, ...]]:
        used = self._like_days.used[slot]
        words = self.channel.local[slot]
        values = ", ".join(number(kwh(value)) for _, value in used)
        days = ", ".join(str(day) if place == 0 else _later(used[0][0], day) for place, (day, _) in enumerate(used))
        level = self._like_days.level
        scaled = "" if level == LEVEL_ONE else f", x {number(level / LEVEL_ONE, 3)} of the day's level"
        return f"like days: mean of {values} kWh from {days}{scaled}", tuple(
            Source(day, words, kwh(value)) for day, value in used
        )

    def like_day_level(self) -> str | None:
        """Return by what the means of like days are multiplied, and why; None where they are left as they are."""
        like_days = self._like_days
        if like_days.level == LEVEL_ONE:
            return None
        return (
            f"level of the day {number(like_days.level / LEVEL_ONE, 3)}: {energy(like_days.use)} measured, "
            f"{energy(like_days.usual)} in the means of the same slots"
        )

    def _profile(self, slot: int) -> tuple[str, tuple[Source, ...]]:
        channel = self.channel
        series, row = channel.series, channel.series_row
        name = series.load_profile[row]
        holiday = channel.day.day in channel.calendar.holidays
        origin = profile_origin(load_profiles()[name], channel.day, holiday)
        factor = f", factor {number(origin.factor, 4)}" if origin.factor is not None else ""
        annual = float(series.annual_kwh[row])
        value = int(channel.estimated.value[channel.row, slot]) / MICRO_PER_KWH
        share = f", {number(100 * value / annual, 6)} % of it in the slot" if annual else ""
        return f"profile {name} ({origin.period}, {origin.kind}{factor}), {number(annual, 1)} kWh/a{share}", ()

    def _nothing(self, slot: int, has_value: bool) -> tuple[str, tuple[Source, ...]]:
        """Return why no method applied."""
        channel = self.channel
        similar = [self._why_not_similar_day()] if channel.estimation.similar_days else []
        words = [*self._why_not_linear(slot), *similar, self._why_not_like_day(slot), self._why_no_profile()]
        ending = "the provisional value stands" if has_value else "missing"
        if has_value and not channel.estimation.replace_provisional:
            return "provisional values are not replaced under the rules of the day", ()
        return f"no estimate: {'; '.join(words)}; {ending}", ()

    def _why_not_linear(self, slot: int) -> list[str]:
        channel = self.channel
        first, end = channel.run_of([not edge for edge in channel.edges], slot)
        minutes = (end - first) * channel.minutes
        limit = channel.estimation.max_linear_gap_minutes
        if minutes > limit:
            outliers = sum(channel.kept[first:end])
            words = f", {outliers} outliers at its edges included," if outliers else ""
            return [f"the gap is {number(minutes / 60, 2)} h{words} > {number(limit / 60, 2)} h"]
        return ["no value at an edge of the gap, or the gap goes on beyond the day"]

    def _why_not_similar_day(self) -> str:
        channel, parameters = self.channel, self.channel.estimation
        minutes = int(channel.validated.ordinary[channel.row].sum()) * channel.minutes
        if minutes < parameters.similar_day_least_minutes:
            least = number(parameters.similar_day_least_minutes / 60, 2)
            return f"{number(minutes / 60, 2)} h are measured, similar days need {least} h"
        return f"no energy to compare days by, or fewer than {parameters.min_similar_days} complete days"

    def _why_not_like_day(self, slot: int) -> str:
        usable = [
            like_day for like_day in self._like_days.days if like_day.eligible and like_day.values[slot] is not None
        ]
        least = self.channel.estimation.min_like_days
        return f"{len(usable)} eligible like days of at least {least}"

    def _why_no_profile(self) -> str:
        channel = self.channel
        series, row = channel.series, channel.series_row
        if not channel.estimation.use_profile:
            return "profiles are not used"
        if not is_import(channel.obis_code):
            return "profiles are for import only"
        if not series.load_profile[row]:
            return "no load profile in the registry"
        if series.load_profile[row] not in load_profiles():
            return f"the load profile {series.load_profile[row]} is not known"
        return "no annual forecast in the registry" if np.isnan(series.annual_kwh[row]) else "no estimate by profile"


@dataclass(frozen=True)
class _PastOfChannel:
    """Other days of one channel, as estimation asks for them."""

    past_day: PastDay

    def totals(self, day: date, rows: Int64Array) -> DayTotals | None:
        past = self.past_day(day)
        if past is None:
            return None
        complete: BoolArray = np.all(past.measured, axis=1)
        return DayTotals(
            energy=past.values.sum(axis=1),
            complete=complete,
            measured_slots=past.measured.sum(axis=1),
            registered=np.ones(len(rows), dtype=bool),
        )

    def complete_day(self, day: date, rows: Int64Array) -> CompleteDay | None:
        past = self.past_day(day)
        return None if past is None else CompleteDay(past.local_minutes, past.values)

    def history(self, day: date, rows: Int64Array) -> HistoryDay | None:
        return self.past_day(day)


def _of_delivery(method: Method, deliveries: Sequence[Delivery]) -> str:
    if method is Method.DOCUMENTED_ZERO:
        return "zero: a declared outage"
    chosen = next((delivery for delivery in deliveries if delivery.role == "chosen"), None)
    if method is Method.MANUAL:
        who = chosen.author if chosen and chosen.author else "a person"
        why = f": {chosen.remark}" if chosen and chosen.remark else ""
        return f"decided on by {who}{why}"
    return "substitute value of the sender"


def _eligibility(like_day: LikeDay) -> str:
    if like_day.slots is None:
        return "no such day"
    if like_day.unmeasured:
        return f"not eligible: {like_day.unmeasured} of {like_day.slots} slots are not measured"
    return "eligible"


def _later(first: date, day: date) -> str:
    """Return a date, without the year where it is that of the date said before."""
    return day.strftime("%m-%d") if day.year == first.year else str(day)
