"""A slow and obvious second implementation of validation: one value at a time, plain Python.

Belongs here: what the grid must agree with, written from the field's definitions and never from the grid's code. No
NumPy, exact fractions, local times from ``zoneinfo``. Does not belong here: counters and brackets
(``oracle_registers.py``), estimation (``oracle_estimation.py``), load profiles (``oracle_profiles.py``).
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import DayRules
from tests.unit.vee.oracle_registers import counted_slots
from tests.unit.vee.oracle_rows import (
    EPOCH,
    MINUTE,
    NOTHING,
    Series,
    choose,
    content,
    drifts,
    is_edit,
    means,
    means_slot,
    meant_period,
    rank,
    slot_starts,
)

SEVERITY = {
    "negative": "block",
    "physical_limit": "block",
    "collapsed_dst": "block",
    "spike": "warn",
    "robust_outlier": "warn",
    "stuck": "warn",
    "zero_run": "info",
}
SPARES_EDITS = {"collapsed_dst", "spike", "robust_outlier", "stuck", "zero_run"}


# --- a day of a series ------------------------------------------------------------------------------------------------


def rules_of(day_rules: DayRules, feed: str | None, point_class: str | None) -> RuleSet:
    """Return what holds for a series: the exceptions one after the other, the last stands above the others."""
    rules = day_rules.rules
    for exception in day_rules.exceptions:
        if (exception.feed is None or exception.feed == feed) and (
            exception.point_class is None or exception.point_class == point_class
        ):
            severities = {**dict(rules.severities), **exception.severities}
            rules = replace(rules, **exception.rules, severities=tuple(severities.items()))
    return rules


def feed_of(rows: list[dict], feeds: tuple[str, ...]) -> str | None:
    """Return the feed of a series' latest delivery in its own unit; edits do not count."""
    fitting = [row for row in rows if not row.get("wrong_unit") and not is_edit(row)]
    latest = max(fitting, key=lambda row: (row["received_at"], row["order"]), default=None)
    return feeds[latest.get("feed", 0)] if latest and feeds else None


def validate_series(
    local_date: date,
    zone: str,
    series: Series,
    rows: list[dict],
    following: list[dict],
    day_rules: DayRules,
    feeds: tuple[str, ...] = (),
) -> list[dict]:
    """Return one record per expected slot of one series."""
    mine = [row for row in rows if row["series"] == series.number]
    rules = rules_of(day_rules, feed_of(mine, feeds), series.point_class)
    # Placing comes before the rules on values: it is the same for all series.
    general, minutes = day_rules.rules, series.minutes
    intervals = [row for row in mine if not row["is_register"]]
    fitting = [row for row in intervals if not row.get("wrong_unit")]
    starts = slot_starts(local_date, zone, minutes)
    step = minutes * MINUTE
    end = starts[-1] + step
    other_size = [
        meant_period(row, starts[0], general) for row in fitting if row["minutes"] != minutes and not is_edit(row)
    ]
    differences = counted_slots(series, [*starts, end], mine, following, general)
    slots = []
    for index, start in enumerate(starts):
        slot = interval_slot(fitting, start, series, general, rules) or dict(differences[index])
        if any(starts[0] <= begins < end and begins < start + step and ends > start for begins, ends in other_size):
            slot["flags"] |= Flag.INTERVAL_SIZE
        if any(row.get("wrong_unit") and means_slot(row, start, minutes, general) for row in intervals):
            slot["flags"] |= Flag.UNIT_MISMATCH
        if slot["value"] is None and not slot["flags"] & Flag.BLANK:
            slot["flags"] |= Flag.GAP
        slots.append(slot)
    for slot in slots:
        check_value(slot, series, rules)
    check_repeated_hour(slots, starts, zone, rules)
    firm = [stands(slot) for slot in slots]
    check_spike(slots, firm, minutes, rules)
    check_outliers(slots, firm, minutes, rules)
    check_runs(slots, firm, minutes, rules)
    for slot, start in zip(slots, starts, strict=True):
        if is_without_supply(start, start + step, series.outages):
            slot["flags"] = (slot["flags"] | Flag.OUTAGE) & ~Flag.GAP
    return slots


def is_without_supply(start: int, end: int, outages: tuple[tuple[int, int], ...]) -> bool:
    """Whether every instant of a slot lies in one outage or another."""
    while start < end:
        covering = [ends for begins, ends in outages if begins <= start < ends]
        if not covering:
            return False
        start = max(covering)
    return True


def interval_slot(rows: list[dict], start: int, series: Series, general: RuleSet, rules: RuleSet) -> dict | None:
    """What interval deliveries say of a slot: one for it, or finer ones that add up to it; None if nothing."""
    minutes = series.minutes
    competing = [row for row in rows if means_slot(row, start, minutes, general)]
    if competing:
        best, versions, flags = choose(competing, lambda row: not blocked(row["value"], series, rules))
        blank = Flag.BLANK | Flag.REFUSED if rank(best) == 0 else Flag(0)
        return NOTHING | {
            "value": content(best),
            "status": rank(best),
            "version": versions,
            "flags": flags | drifts(competing, start) | blank,
            "received_at": best["received_at"],
            "from_interval": True,
            "parts": 1,
        }
    lengths = {row["minutes"] for row in rows if row["minutes"] < minutes and not is_edit(row)}
    for length in sorted(lengths, reverse=True):
        total = added_up(rows, start, series, length, general, rules) if minutes % length == 0 else None
        if total is not None:
            return total
    return None


def added_up(
    rows: list[dict], start: int, series: Series, length: int, general: RuleSet, rules: RuleSet
) -> dict | None:
    """The sum of the parts of a slot, None unless each part has a value."""
    flags = Flag.AGGREGATED | Flag.INTERVAL_SIZE
    chosen = []
    for begin in range(start, start + series.minutes * MINUTE, length * MINUTE):
        competing = [
            row
            for row in rows
            if row["minutes"] == length
            and not is_edit(row)
            and means(row["start"], begin, length * MINUTE, general.clock_tolerance_seconds)
        ]
        if not competing:
            return None
        best, versions, own = choose(competing, lambda row: not blocked(row["value"], series, rules))
        if rank(best) == 0:
            return None
        flags |= own | drifts(competing, begin)
        chosen.append((best, versions))
    return {
        "value": sum(best["value"] for best, _ in chosen),
        "status": min(rank(best) for best, _ in chosen),
        "version": max(versions for _, versions in chosen),
        "flags": flags,
        "received_at": max(best["received_at"] for best, _ in chosen),
        "from_interval": True,
        "below_zero": series.unsigned and any(best["value"] < 0 for best, _ in chosen),
        "parts": len(chosen),
    }


# --- rules on values --------------------------------------------------------------------------------------------------


def finding(slot: dict, name: str, rules: RuleSet) -> None:
    """Put the finding of a rule on a slot, and what it does to the value there."""
    severity = dict(rules.severities).get(name, SEVERITY[name])
    if severity == "off":
        return
    slot["flags"] |= Flag[name.upper()]
    if severity == "block" and slot["value"] is not None and not (name in SPARES_EDITS and slot["status"] == 4):
        slot["flags"] |= Flag.REFUSED


def stands(slot: dict) -> bool:
    return slot["value"] is not None and not slot["flags"] & Flag.REFUSED


def exceeds_limit(value: int, series: Series, rules: RuleSet) -> bool:
    limit = rules.unknown_connection_kw if series.limit_kw is None else series.limit_kw
    mean_kw = Fraction(abs(value), 1_000_000) * 60 / series.minutes
    return mean_kw > Fraction(limit).limit_denominator(10**6) * rules.physical_limit_percent / 100


def blocked(value: int, series: Series, rules: RuleSet) -> bool:
    """Whether a rule refuses a value whatever comes before and after it."""
    severities = {**SEVERITY, **dict(rules.severities)}
    return (severities["negative"] == "block" and series.unsigned and value < 0) or (
        severities["physical_limit"] == "block" and exceeds_limit(value, series, rules)
    )


def check_value(slot: dict, series: Series, rules: RuleSet) -> None:
    if slot["value"] is None:
        return
    if slot["below_zero"] or (series.unsigned and slot["value"] < 0):
        finding(slot, "negative", rules)
    if exceeds_limit(slot["value"], series, rules):
        finding(slot, "physical_limit", rules)


def check_repeated_hour(slots: list[dict], starts: list[int], zone: str, rules: RuleSet) -> None:
    moments = [(EPOCH + timedelta(microseconds=start)).astimezone(ZoneInfo(zone)) for start in starts]
    second = [index for index, moment in enumerate(moments) if moment.fold]
    clock = {(moments[index].hour, moments[index].minute) for index in second}
    first = [index for index, moment in enumerate(moments) if (moment.hour, moment.minute) in clock and not moment.fold]
    present = [
        any(slots[index]["from_interval"] or slots[index]["value"] is not None for index in indices)
        for indices in (first, second)
    ]
    if present[0] != present[1]:
        for index in first + second:
            finding(slots[index], "collapsed_dst", rules)


def check_spike(slots: list[dict], firm: list[bool], minutes: int, rules: RuleSet) -> None:
    values = sorted((slot["value"] for slot, is_firm in zip(slots, firm, strict=True) if is_firm), reverse=True)
    if len(values) < 3 or values[2] < 0:
        return
    excess = values[0] - values[2]
    floor = Fraction(rules.spike_floor_kw) * 1_000_000 * minutes / 60
    if excess >= floor and excess * 100 > rules.spike_excess_percent * values[2]:
        for slot, is_firm in zip(slots, firm, strict=True):
            if is_firm and slot["value"] == values[0]:
                finding(slot, "spike", rules)


def check_outliers(slots: list[dict], firm: list[bool], minutes: int, rules: RuleSet) -> None:
    half = max(rules.outlier_window_minutes // minutes // 2, 2)
    floor = rules.outlier_floor_kw * 1_000_000 * minutes / 60
    for index, slot in enumerate(slots):
        window = range(max(index - half, 0), min(index + half + 1, len(slots)))
        values = [slots[other]["value"] for other in window if firm[other]]
        if not firm[index] or len(values) < 5:
            continue
        middle = statistics.median(values)
        mad = statistics.median(abs(value - middle) for value in values)
        if abs(slot["value"] - middle) > rules.outlier_k * 1.4826 * mad + floor:
            finding(slot, "robust_outlier", rules)


def check_runs(slots: list[dict], firm: list[bool], minutes: int, rules: RuleSet) -> None:
    run: list[dict] = []
    for slot, is_firm in [*zip(slots, firm, strict=True), (NOTHING, False)]:
        if run and is_firm and slot["value"] == run[0]["value"]:
            run.append(slot)
            continue
        lasted = len(run) * minutes
        if run and run[0]["value"] != 0 and lasted >= rules.stuck_minutes and len(run) >= rules.stuck_slots:
            for member in run:
                finding(member, "stuck", rules)
        if run and run[0]["value"] == 0 and (lasted >= rules.zero_run_minutes or len(run) == len(slots)):
            for member in run:
                finding(member, "zero_run", rules)
        run = [slot] if is_firm else []
