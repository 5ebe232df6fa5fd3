"""What each rule compared with what, in a sentence with units.

Belongs here: one function per rule that compares something. Does not belong here: the comparisons, which the rules
themselves return (``vee/rules.py``, ``vee/daily_use.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrify_assets.explain.brackets import instant_of
from metrify_assets.explain.record import Bracket, Delivery, Finding
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import below_zero, energy, kwh, local, mean_kw, number, percent, power
from metrify_assets.vee import rules as rule
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.daily_use import high_low
from metrify_assets.vee.midnight import EdgeRuns, JoinedRuns
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import RULE, flagged, severity_of
from metrify_assets.vee.runs import stuck_length, zero_run_length
from metrify_assets.vee.units import MICRO_PER_KWH

WHOLE_DAY = (Flag.HIGH_LOW, Flag.PROLONGED_ESTIMATION)
"""Findings on a day: said once, not on every slot."""

Said = tuple[str, Mapping[str, Any]]


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
    for each in flagged(evidence.channel.flags[evidence.slot]):
        if each.flag in WHOLE_DAY:
            continue
        text, numbers = _SAID[each.name](evidence)
        findings.append(Finding(each.name, str(severity_of(each.name, evidence.rules)), text, numbers))
    for own in evidence.channel.day_rules.own:
        if int(evidence.channel.flags[evidence.slot]) & own.flag:
            findings.append(Finding(own.name, str(severity_of(own.name, evidence.rules)), own.definition, {}))
    return tuple(findings)


def _of_bracket(bracket: Bracket | None) -> Bracket:
    """Return the bracket that a finding is on; raise ``ValueError`` if there is none, although a rule flagged it."""
    if bracket is None:
        raise ValueError("a rule flagged a slot that no register reads enclose: flags and reads disagree")
    return bracket


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
    value, share = mean_kw(evidence.value, channel.minutes), rules.physical_limit_percent
    limit = channel.connection_kw * share / 100
    return (
        f"{energy(evidence.value)} = {power(value)} > {power(limit)} "
        f"({share} % of {power(channel.connection_kw)} {channel.connection_basis})"
    ), {
        "kwh": kwh(evidence.value),
        "power_kw": value,
        "limit_kw": limit,
        "connection_kw": channel.connection_kw,
        "limit_percent": share,
    }


def _spike(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    spikes = rule.spike(*channel.planes, channel.minutes, rules.spike_excess_percent, rules.spike_floor_kw)
    largest, third = _only(spikes.largest), _only(spikes.third)
    excess = largest - third
    excess_percent = 100 * excess / third if third else None
    share = "without bound" if excess_percent is None else percent(excess_percent)
    return (
        f"max {energy(largest)}, third max {energy(third)}: excess {share} > {rules.spike_excess_percent} % "
        f"and {energy(excess)} >= {energy(spikes.floor)}"
    ), {
        "max_kwh": kwh(largest),
        "third_max_kwh": kwh(third),
        "excess_kwh": kwh(excess),
        "excess_percent": excess_percent,
        "limit_percent": rules.spike_excess_percent,
        "floor_kwh": kwh(spikes.floor),
    }


def _robust_outlier(evidence: Evidence) -> Said:
    channel, rules = evidence.channel, evidence.rules
    outliers = rule.robust_outlier(
        *channel.planes, channel.minutes, rules.outlier_window_minutes, rules.outlier_k, rules.outlier_floor_kw
    )
    here = outliers.slot == evidence.slot
    median, mad, count = (_only(values[here]) for values in (outliers.median, outliers.mad, outliers.count))
    deviation, limit = abs(evidence.value - median), rules.outlier_k * 1.4826 * mad + outliers.floor
    return (
        f"{energy(evidence.value)} is {energy(deviation)} off the median {energy(median)} "
        f"of {count} "
        f"slots > {energy(limit)} ({number(rules.outlier_k)} x 1.4826 x MAD {energy(mad)} + "
        f"{power(rules.outlier_floor_kw)})"
    ), {
        "kwh": kwh(evidence.value),
        "median_kwh": median / MICRO_PER_KWH,
        "mad_kwh": mad / MICRO_PER_KWH,
        "deviation_kwh": deviation / MICRO_PER_KWH,
        "limit_kwh": limit / MICRO_PER_KWH,
        "k": rules.outlier_k,
        "floor_kw": rules.outlier_floor_kw,
        "window_values": count,
    }


def _only(values: np.ndarray) -> Any:
    """Return the one value of an array; raise ``ValueError`` if there is none, although the rule flagged the slot."""
    if len(values) != 1:
        raise ValueError("a rule flagged a slot in which it finds nothing: flags and values disagree")
    return values[0].item()


def _stuck(evidence: Evidence) -> Said:
    rules = evidence.rules
    return _run(evidence, Flag.STUCK, stuck_length(evidence.channel.minutes, rules.stuck_minutes, rules.stuck_slots))


def _zero_run(evidence: Evidence) -> Said:
    channel = evidence.channel
    least = zero_run_length(len(channel.delivered), channel.minutes, evidence.rules.zero_run_minutes)
    return _run(evidence, Flag.ZERO_RUN, least)


def _run(evidence: Evidence, flag: Flag, least_slots: int) -> Said:
    """Return the run of one value around a slot: the slots beside it with the same finding and value."""
    channel, value = evidence.channel, evidence.value
    alike = [flags & flag and other == value for flags, other in zip(channel.flags, channel.delivered, strict=True)]
    first, end = evidence.slot, evidence.slot + 1
    while first > 0 and alike[first - 1]:
        first -= 1
    while end < len(alike) and alike[end]:
        end += 1
    slots = end - first
    hours = slots * channel.minutes / 60
    beyond = _beyond_midnight(channel, first, end) if slots < least_slots else {}
    words = "".join(f", and {count} slots of the day {side}" for side, count in beyond.items() if count)
    return (
        f"{energy(value)} for {slots} slots ({number(hours, 2)} h) "
        f"from {channel.local[first]}{words}; "
        f"{least_slots} slots are a finding"
    ), {
        "kwh": kwh(value),
        "slots": slots,
        **{f"slots_{side}": count for side, count in beyond.items()},
        "first_slot": first,
        "limit_slots": least_slots,
        "hours": hours,
    }


def _beyond_midnight(channel: SeriesDay, first: int, end: int) -> dict[str, int]:
    """Return how many slots of the days before and after a run goes on in."""
    row = np.array([channel.row])
    beside = [channel.totals(channel.day.plus(days).day, row) for days in (-1, 1)]
    edges = [totals.edges if totals is not None else None for totals in beside]
    joined = JoinedRuns.of(EdgeRuns.of(*channel.planes), *edges)
    return {
        "before": _only(joined.before) if first == 0 else 0,
        "after": _only(joined.after) if end == len(channel.delivered) else 0,
    }


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
    bracket = _of_bracket(_bracket(evidence))
    return f"bracket {bracket.number}: {bracket.text}", {
        "bracket": bracket.number,
        "intervals_kwh": bracket.actual_kwh,
        "register_kwh": bracket.register_kwh,
        "tolerance_kwh": bracket.tolerance_kwh,
    }


def _scale_refused(evidence: Evidence) -> Said:
    bracket = _of_bracket(_bracket(evidence))
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
    compared = high_low(
        channel.day.day, np.array([use]), np.array([channel.row]), channel.totals, channel.calendar, rules
    )
    days = [(day, int(energies[0])) for day, energies, is_taken in compared.like_days if is_taken[0]]
    mean = sum(value for _, value in days) / len(days)
    share = 100 * use / mean if mean else None
    text = (
        f"use {energy(use)} is {'without bound' if share is None else percent(share)} of the mean {energy(mean)} of "
        f"like days ({', '.join(f'{energy(value)} on {day}' for day, value in days)}); "
        f"usual is {rules.high_low_low_percent} % to {rules.high_low_high_percent} %"
    )
    change = compared.changes.get(0)
    if change is not None:
        text += (
            f"; the nearest of these days and the complete day before is {energy(abs(use - change.nearest(use)))} off, "
            f"more than {rules.high_low_change_times} times the usual change of {energy(change.twice_median / 2)}"
        )
    numbers = {
        "use_kwh": kwh(use),
        "days": [{"day": day, "kwh": kwh(value)} for day, value in days],
        "low_percent": rules.high_low_low_percent,
        "high_percent": rules.high_low_high_percent,
        "floor_kwh": kwh(compared.floor),
        "percent_of_mean": share,
        "change": change
        and {
            "nearest_kwh": kwh(change.nearest(use)),
            "usual_kwh": change.twice_median / 2 / MICRO_PER_KWH,
            "limit_times": rules.high_low_change_times,
        },
    }
    return Finding("high_low", str(severity_of("high_low", rules)), text, numbers)


def _prolonged(channel: SeriesDay, rules: RuleSet) -> Finding:
    least = rules.prolonged_estimation_days
    first = channel.day.plus(1 - least).day
    text = f"no measured value for {least} days or longer, from {first} on at the latest"
    numbers = {"days": least, "first_day_seen": first, "limit_days": least}
    severity = str(severity_of("prolonged_estimation", rules))
    return Finding(RULE["prolonged_estimation"].name, severity, text, numbers)
