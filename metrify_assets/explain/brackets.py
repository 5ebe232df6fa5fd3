"""The register brackets that touch a day: what was counted, what the intervals add up to, and what followed.

Belongs here: the figures of ``vee/constraints.py`` for one channel. Does not belong here: the scaling itself.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from metrify_assets.days.register_reads import PairedBrackets, register_of
from metrify_assets.explain.record import Bracket, RegisterRead
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import energy, instant, kwh, local, number
from metrify_assets.vee.codes import Flag, Severity
from metrify_assets.vee.constraints import DayBrackets, Span, judge, span_of
from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_numbers
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import severity_of
from metrify_assets.vee.rules import most_in_slot


def brackets_of(channel: SeriesDay) -> tuple[Bracket, ...]:
    """Return the brackets of a channel that touch its day, in order of time."""
    register = register_of(channel.obis_code)
    if register is None:
        return ()
    index = channel.basis.register_index(channel.basis.shard)
    paired = index.on(channel.day, channel.keys, channel.minutes)
    entries = [
        entry for entry in np.argsort(paired.start, kind="stable").tolist() if paired.day.row[entry] == channel.row
    ]
    return tuple(_bracket(channel, register, paired, entry, place) for place, entry in enumerate(entries, start=1))


def _bracket(channel: SeriesDay, register: str, paired: PairedBrackets, entry: int, place: int) -> Bracket:
    of = paired.day
    start, end = int(paired.start[entry]), int(paired.end[entry])
    counted = int(of.energy[entry])
    span = _span(channel, int(paired.pair[entry]), start, end)
    single = DayBrackets(*(getattr(of, name)[entry : entry + 1] for name in DayBrackets.__dataclass_fields__))
    rules = channel.whole_day_rules
    most = most_in_slot(channel.series.limit_kw[[channel.series_row]], channel.minutes, rules)
    verdict = judge(single, span, rules, most, scale=channel.estimation.scale_to_registers)
    allowed, rest = int(verdict.tolerated[0]), int(verdict.rest[0])
    names = ("actual", "estimated", "estimates", "missing", "largest")
    actual, estimated, estimates, missing, largest = (int(getattr(span, name)[0]) for name in names)
    differs = bool(verdict.differs[0])
    scale = None
    if counted < 0:
        outcome = "register_decreases"
        text = f"the register goes down by {energy(-counted)}: it says nothing of the intervals"
    elif missing:
        outcome, text = "incomplete", f"{missing} slots have no value: neither checked nor scaled"
    elif verdict.refused[0]:
        outcome, text = "scale_refused", _refusal(rest, estimated, largest, int(most[0]), rules)
    elif verdict.scaled[0]:
        outcome, scale = "scaled", rest / estimated if estimated else 0.0
        text = (
            f"estimates x {number(scale, 4)} = ({energy(counted)} - {energy(actual)}) / {energy(estimated)}, "
            f"{estimates} slots"
        )
    else:
        checked = severity_of("sum_check", rules) is not Severity.OFF
        outcome = ("sum_differs" if differs else "sum_fits") if checked else "unused"
        said = f"intervals {energy(actual)} against register {energy(counted)}: "
        if estimates:
            said = f"the rules of the day do not scale the {estimates} estimates; without them, {said}"
        relation = ">" if abs(rest) > allowed else "<="
        text = f"{said}off by {energy(abs(rest))} {relation} {energy(allowed)} tolerated"
        text += "" if checked else "; the rule is off"
    if verdict.refused[0] and differs:
        text += f"; the sum is off by more than {energy(allowed)} tolerated: measured values are provisional"
    notes = [
        words
        for flag, words in (
            (Flag.REGISTER_ROLLOVER, "the counter rolled over"),
            (Flag.METER_EXCHANGE, "a state is the registry's, of a meter exchange"),
        )
        if int(of.flags[entry]) & flag
    ]
    if counted >= 0 and int(of.flags[entry]) & Flag.REGISTER_DECREASE:
        notes.append("a read in between does not fit its neighbours and was left out")
    return Bracket(
        number=place,
        register=register,
        opening=_read(channel, register, start, opening=True),
        closing=_read(channel, register, end, opening=False),
        first_slot=int(of.first[entry]),
        end_slot=int(of.end[entry]),
        register_kwh=kwh(counted),
        actual_kwh=kwh(actual),
        estimated_kwh=kwh(estimated),
        estimates=estimates,
        missing=missing,
        tolerance_kwh=kwh(allowed),
        scale=scale,
        outcome=outcome,
        text="; ".join([text, *notes]),
    )


def _refusal(rest: int, estimated: int, largest: int, most: int, rules: RuleSet) -> str:
    """Return why estimates are not scaled."""
    left = f"{energy(rest)} would be left for estimates of {energy(estimated)}"
    if rest < 0 or estimated <= 0:
        return f"{left}: not scaled"
    scale = rest / estimated
    if scale > rules.scale_most_percent / 100:
        return f"{left}: x {number(scale, 4)} is more than {number(rules.scale_most_percent / 100, 2)}, not scaled"
    return (
        f"{left}: x {number(scale, 4)} would make {energy(round(largest * scale))} of a slot, more than the connection "
        f"carries ({energy(most)}): not scaled"
    )


def _span(channel: SeriesDay, pair: int, start: int, end: int) -> Span:
    """Return what the whole bracket holds before scaling, on all of its days."""
    zone = channel.day.zone
    first, last = (day_from_number(int(number)) for number in day_numbers(np.array([start, end - 1]), zone))
    total = Span.nothing(1)
    for offset in range((last - first).days + 1):
        total += _span_on(channel, pair, first + timedelta(days=offset))
    return total


def _span_on(channel: SeriesDay, pair: int, day: date) -> Span:
    index = channel.basis.register_index(channel.basis.shard)
    for keys, _, cleaned in channel.shards.estimate(day, channel.basis.shard).grids:
        paired = index.on(DeliveryDay(day, channel.day.zone), keys, cleaned.grid.interval_minutes)
        entry = np.flatnonzero(paired.pair == pair)
        if len(entry):
            span = span_of(cleaned.grid, paired.day.row[entry], paired.day.first[entry], paired.day.end[entry])
            scaled = day == channel.day.day or channel.basis.rules_on(day).estimation.scale_to_registers
            return span if scaled else span.unscaled()
    return Span.unknown(1)


def _read(channel: SeriesDay, register: str, at: int, *, opening: bool) -> RegisterRead:
    """Return the state at one end of a bracket: the registry's where a counter begins or ends, else the one read."""
    zone = channel.day.zone
    day = day_from_number(int(day_numbers(np.array([at]), zone)[0]))
    state = _declared(channel, register, at, day, opening)
    if state is None:
        for row in channel.basis.register_reads(day).to_pylist():
            if row["obis_code"] == register and instant_of(row["read_at"]) == at:
                state = row["state_kwh"]
    return RegisterRead(instant(at), local(at, zone, channel.day.day), state)


def _declared(channel: SeriesDay, register: str, at: int, day: date, opening: bool) -> Decimal | None:
    if DeliveryDay(day, channel.day.zone).start != at:
        return None
    limit, state = ("valid_from", "initial_kwh") if opening else ("valid_to", "final_kwh")
    for row in channel.basis.registry.tables["registers"].to_pylist():
        if row["obis_code"] == register and row[limit] == day and row[state] is not None:
            return Decimal(str(row[state]))
    return None


def instant_of(moment: datetime) -> int:
    """Return a timestamp of a table as UTC microseconds."""
    return int(np.datetime64(moment.replace(tzinfo=None), "us").astype(np.int64))
