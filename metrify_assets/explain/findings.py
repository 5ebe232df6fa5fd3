"""What each rule compared with what, in a sentence with units.

Belongs here: one function per rule that has numbers. Does not belong here: the rules and their numbers
(``vee/rules.py``, ``vee/findings.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np

from metrify_assets.explain.brackets import instant_of
from metrify_assets.explain.record import Bracket, Delivery, Finding
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import below_zero, energy, kwh, local, number, percent, power
from metrify_assets.vee import findings as numbers_of
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.midnight import EdgeRuns, JoinedRuns
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import RULE, flagged, severity_of

WHOLE_DAY = (Flag.HIGH_LOW, Flag.PROLONGED_ESTIMATION)
"""Findings on a day: said once, not on every slot."""

Said = tuple[str, Mapping[str, Any]]
N = TypeVar("N")


@dataclass(frozen=True)
class Evidence:
    """What a finding on one slot is explained from; ``other_minutes`` are the other lengths it was delivered for."""

    channel: SeriesDay
    slot: int
    deliveries: Sequence[Delivery]
    other_minutes: Collection[int]
    brackets: Sequence[Bracket]

    @property
    def value(self) -> int:
        """Chosen version, micro-kWh."""
        return self.channel.delivered[self.slot]

    @property
    def rules(self) -> RuleSet:
        """Rule set of the channel."""
        return self.channel.rules


def slot_findings(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what the rules found on a slot, with the numbers of each; rules on whole days are left out."""
    findings = []
    for rule in flagged(evidence.channel.flags[evidence.slot]):
        if rule.flag in WHOLE_DAY:
            continue
        text, numbers = _SAID[rule.name](evidence)
        findings.append(Finding(rule.name, str(severity_of(rule.name, evidence.rules)), text, numbers))
    for own in evidence.channel.day_rules.own:
        if int(evidence.channel.flags[evidence.slot]) & own.flag:
            findings.append(Finding(own.name, str(severity_of(own.name, evidence.rules)), own.definition, {}))
    return tuple(findings)


def _of_finding(numbers: N | None) -> N:
    """Return what a rule compared; raise ``ValueError`` if there is nothing, although the rule flagged the slot."""
    if numbers is None:
        raise ValueError("a rule flagged a slot whose values it would not look at: flags and values disagree")
    return numbers


def _gap(evidence: Evidence) -> Said:
    counted = [delivery for delivery in evidence.deliveries if delivery.role in ("replaced", "withdrawn")]
    if counted:
        return f"nothing that counts was delivered: {counted[-1].role} with its file", {}
    return "nothing was delivered", {}


def _blank(evidence: Evidence) -> Said:
    chosen = next((delivery for delivery in evidence.deliveries if delivery.role == "chosen"), None)
    if chosen is not None and chosen.value is not None:
        return "the sender calls the value missing", {}
    return "delivered without a value", {}


def _duplicate(evidence: Evidence) -> Said:
    again = sum(delivery.role == "identical" for delivery in evidence.deliveries)
    return f"the same value came {again + 1} times" if again else "the same value came again", {"again": again}


def _new_version(evidence: Evidence) -> Said:
    versions = int(evidence.channel.validated.version[evidence.channel.row, evidence.slot])
    return f"{versions} different values were delivered", {"versions": versions}


def _interval_size(evidence: Evidence) -> Said:
    minutes = evidence.channel.minutes
    delivered = sorted(evidence.other_minutes)
    words = " and ".join(map(str, delivered))
    verdict = ", added up" if evidence.channel.flags[evidence.slot] & Flag.AGGREGATED else ", not used"
    return f"delivered for {words} min instead of {minutes} min{verdict}", {
        "delivered_minutes": delivered,
        "expected_minutes": minutes,
    }


def _clock_drift(evidence: Evidence) -> Said:
    start = int(evidence.channel.validated.starts[evidence.slot])
    chosen = next((delivery for delivery in evidence.deliveries if delivery.role == "chosen"), None)
    tolerance = evidence.channel.day_rules.rules.clock_tolerance_seconds
    if chosen is None:
        return f"the stamp of a register read is off by at most {tolerance} s: snapped", {
            "tolerance_seconds": tolerance
        }
    off = (int(np.datetime64(chosen.start.removesuffix("Z"), "us").astype(np.int64)) - start) / 1_000_000
    return f"the stamp is {number(off)} s off the slot, tolerated {tolerance} s: snapped", {
        "off_seconds": off,
        "tolerance_seconds": tolerance,
    }


def _negative(evidence: Evidence) -> Said:
    return below_zero(evidence.value), {"kwh": kwh(evidence.value)}


def _physical_limit(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    connection = channel.connection_kw
    limits = numbers_of.physical_limit_numbers(
        evidence.value, channel.minutes, connection, rules.physical_limit_percent
    )
    return (
        f"{energy(evidence.value)} = {power(limits.power_kw)} > {power(limits.limit_kw)} "
        f"({limits.percent} % of {power(connection)} {channel.connection_basis})"
    ), {
        "kwh": kwh(evidence.value),
        "power_kw": limits.power_kw,
        "limit_kw": limits.limit_kw,
        "connection_kw": connection,
        "limit_percent": limits.percent,
    }


def _spike(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    numbers = _of_finding(
        numbers_of.spike_numbers(
            channel.delivered,
            channel.valid_before_pattern_rules,
            channel.minutes,
            rules.spike_excess_percent,
            rules.spike_floor_kw,
        )
    )
    share = "without bound" if numbers.excess_percent is None else percent(numbers.excess_percent)
    return (
        f"max {energy(numbers.largest)}, third max {energy(numbers.third)}: excess {share} > {numbers.limit_percent} % "
        f"and {energy(numbers.excess)} >= {energy(numbers.floor)}"
    ), {
        "max_kwh": kwh(numbers.largest),
        "third_max_kwh": kwh(numbers.third),
        "excess_kwh": kwh(numbers.excess),
        "excess_percent": numbers.excess_percent,
        "limit_percent": numbers.limit_percent,
        "floor_kwh": kwh(numbers.floor),
    }


def _robust_outlier(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    numbers = _of_finding(
        numbers_of.outlier_numbers(
            channel.delivered,
            channel.valid_before_pattern_rules,
            evidence.slot,
            channel.minutes,
            rules.outlier_window_minutes,
            rules.outlier_k,
            rules.outlier_floor_kw,
        )
    )
    return (
        f"{energy(evidence.value)} is {energy(numbers.deviation)} off the median {energy(numbers.median)} "
        f"of {numbers.count} "
        f"slots > {energy(numbers.limit)} ({number(rules.outlier_k)} x 1.4826 x MAD {energy(numbers.mad)} + "
        f"{power(rules.outlier_floor_kw)})"
    ), {
        "kwh": kwh(evidence.value),
        "median_kwh": numbers.median / 1e6,
        "mad_kwh": numbers.mad / 1e6,
        "deviation_kwh": numbers.deviation / 1e6,
        "limit_kwh": numbers.limit / 1e6,
        "k": rules.outlier_k,
        "floor_kw": rules.outlier_floor_kw,
        "window_values": numbers.count,
    }


def _run(evidence: Evidence, numbers: numbers_of.RunNumbers) -> Said:
    channel = evidence.channel
    hours = numbers.slots * channel.minutes / 60
    beyond = {} if numbers.fires else _beyond_midnight(channel, numbers)
    words = "".join(f", and {slots} slots of the day {side}" for side, slots in beyond.items() if slots)
    return (
        f"{energy(numbers.value)} for {numbers.slots} slots ({number(hours, 2)} h) "
        f"from {channel.local[numbers.first]}{words}; "
        f"{numbers.least_slots} slots are a finding"
    ), {
        "kwh": kwh(numbers.value),
        "slots": numbers.slots,
        **{f"slots_{side}": slots for side, slots in beyond.items()},
        "first_slot": numbers.first,
        "limit_slots": numbers.least_slots,
        "hours": hours,
    }


def _beyond_midnight(channel: SeriesDay, numbers: numbers_of.RunNumbers) -> dict[str, int]:
    """Return how many slots of the days before and after a run goes on in; one that was found has some there."""
    row = np.array([channel.row])
    beside = [channel.totals(channel.day.plus(days).day, row) for days in (-1, 1)]
    whole = (np.array([channel.delivered]), np.array([channel.valid_before_pattern_rules]))
    joined = JoinedRuns.of(EdgeRuns.of(*whole), *(totals.edges if totals is not None else None for totals in beside))
    return {
        "before": int(joined.before[0]) if numbers.first == 0 else 0,
        "after": int(joined.after[0]) if numbers.end == len(channel.delivered) else 0,
    }


def _stuck(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    valid = channel.valid_before_pattern_rules
    numbers = numbers_of.stuck_numbers(
        channel.delivered, valid, evidence.slot, channel.minutes, rules.stuck_minutes, rules.stuck_slots
    )
    return _run(evidence, _of_finding(numbers))


def _zero_run(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    valid = channel.valid_before_pattern_rules
    numbers = numbers_of.zero_run_numbers(
        channel.delivered, valid, evidence.slot, channel.minutes, rules.zero_run_minutes
    )
    return _run(evidence, _of_finding(numbers))


def _collapsed_dst(evidence: Evidence) -> Said:
    return "the repeated hour was delivered once: which pass it was cannot be told", {}


def _outage(evidence: Evidence) -> Said:
    channel = evidence.channel
    start = int(channel.validated.starts[evidence.slot])
    for row in channel.basis.registry.tables["outages"].to_pylist():
        begins, ends = instant_of(row["starts_at"]), instant_of(row["ends_at"])
        if begins <= start < ends:
            words = [local(moment, channel.day.zone, channel.day.day) for moment in (begins, ends)]
            cause = f" ({row['cause']})" if row["cause"] else ""
            return f"declared outage from {words[0]} to {words[1]}{cause}", {
                "starts_at": row["starts_at"].isoformat(),
                "ends_at": row["ends_at"].isoformat(),
                "cause": row["cause"],
            }
    return "declared outage", {}


def _unit_mismatch(evidence: Evidence) -> Said:
    channel = evidence.channel
    units = sorted({delivery.unit for delivery in evidence.deliveries if delivery.role == "wrong_unit"})
    expected = channel.series.unit[channel.series_row]
    return f"delivered in {' and '.join(units)}, the registry says {expected}: not used", {
        "delivered_units": units,
        "expected_unit": expected,
    }


def _of_register(words: str) -> Callable[[Evidence], Said]:
    """Return a finding on register reads: the slot's own, or those of the bracket around it."""

    def said(evidence: Evidence) -> Said:
        bracket = _bracket(evidence)
        if bracket is None:
            return words, {}
        return f"{words}: {_states(bracket)}", {"bracket": bracket.number}

    return said


def _bracket(evidence: Evidence) -> Bracket | None:
    return next(
        (bracket for bracket in evidence.brackets if bracket.first_slot <= evidence.slot < bracket.end_slot), None
    )


def _states(bracket: Bracket) -> str:
    opening, closing = (
        f"{number(read.kwh)} kWh" if read.kwh is not None else "unknown" for read in (bracket.opening, bracket.closing)
    )
    return f"{bracket.register} {opening} at {bracket.opening.local}, {closing} at {bracket.closing.local}"


def _sum_check(evidence: Evidence) -> Said:
    bracket = _of_finding(_bracket(evidence))
    return f"bracket {bracket.number}: {bracket.text}", {
        "bracket": bracket.number,
        "intervals_kwh": bracket.actual_kwh,
        "register_kwh": bracket.register_kwh,
        "tolerance_kwh": bracket.tolerance_kwh,
    }


def _scale_refused(evidence: Evidence) -> Said:
    bracket = _of_finding(_bracket(evidence))
    return f"bracket {bracket.number}: {bracket.text}", {
        "bracket": bracket.number,
        "register_kwh": bracket.register_kwh,
        "actual_kwh": bracket.actual_kwh,
        "estimated_kwh": bracket.estimated_kwh,
    }


_SAID: dict[str, Callable[[Evidence], Said]] = {
    "gap": _gap,
    "blank": _blank,
    "duplicate": _duplicate,
    "new_version": _new_version,
    "interval_size": _interval_size,
    "clock_drift": _clock_drift,
    "negative": _negative,
    "physical_limit": _physical_limit,
    "spike": _spike,
    "robust_outlier": _robust_outlier,
    "stuck": _stuck,
    "zero_run": _zero_run,
    "collapsed_dst": _collapsed_dst,
    "outage": _outage,
    "unit_mismatch": _unit_mismatch,
    "register_decrease": _of_register("the counter goes down without roll-over or exchange"),
    "register_rollover": _of_register("the counter passed its highest state"),
    "meter_exchange": _of_register("a state of the registry, of a meter exchange, stands for a read"),
    "sum_check": _sum_check,
    "scale_refused": _scale_refused,
}


def day_findings(channel: SeriesDay) -> tuple[Finding, ...]:
    """Return what the rules on whole days found."""
    findings = []
    anywhere = Flag(0)
    for flags in channel.flags:
        anywhere |= flags
    rules = channel.whole_day_rules
    if anywhere & Flag.HIGH_LOW:
        findings.append(_high_low(channel, rules))
    if anywhere & Flag.PROLONGED_ESTIMATION:
        findings.append(_prolonged(channel, rules))
    return tuple(findings)


def _high_low(channel: SeriesDay, rules: RuleSet) -> Finding:
    use = sum(channel.kept_values)
    compared = numbers_of.high_low_numbers(channel.day.day, use, channel.row, channel.totals, channel.calendar, rules)
    share = 100 * compared.use / compared.mean if compared.mean else None
    days = ", ".join(f"{energy(value)} on {day}" for day, value in compared.days)
    words = "without bound" if share is None else percent(share)
    text = (
        f"use {energy(compared.use)} is {words} of the mean {energy(compared.mean)} of like days ({days}); "
        f"usual is {compared.low_percent} % to {compared.high_percent} %"
    )
    if compared.change is not None:
        usual, nearest = compared.change.twice_median / 2, compared.change.nearest(compared.use)
        text += (
            f"; the nearest of these days and the complete day before is {energy(abs(compared.use - nearest))} off, "
            f"more than {compared.change_times} times the usual change of {energy(usual)}"
        )
    numbers = asdict(compared) | {
        "use": kwh(compared.use),
        "floor": kwh(compared.floor),
        "days": [{"day": day, "kwh": kwh(value)} for day, value in compared.days],
        "percent_of_mean": share,
    }
    del numbers["fires"], numbers["change_times"]
    change = compared.change
    numbers["change"] = change and {
        "nearest_kwh": kwh(change.nearest(compared.use)),
        "usual_kwh": change.twice_median / 2e6,
        "limit_times": compared.change_times,
    }
    numbers["use_kwh"], numbers["floor_kwh"] = numbers.pop("use"), numbers.pop("floor")
    return Finding("high_low", str(severity_of("high_low", rules)), text, numbers)


def _prolonged(channel: SeriesDay, rules: RuleSet) -> Finding:
    def measured(other: date) -> int | None:
        past = channel.totals(other, np.array([channel.row]))
        return int(past.measured_slots[0]) if past is not None and past.registered[0] else None

    before = (channel.day.day - timedelta(days=back) for back in range(1, rules.prolonged_estimation_days))
    days = numbers_of.silent_days(channel.day.day, measured, before)
    text = f"no measured value for {len(days)} days or longer, from {days[-1]} on at the latest"
    numbers = {"days": len(days), "first_day_seen": days[-1], "limit_days": rules.prolonged_estimation_days}
    severity = str(severity_of("prolonged_estimation", rules))
    return Finding(RULE["prolonged_estimation"].name, severity, text, numbers)
