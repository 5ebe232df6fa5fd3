"""Counters, brackets and scaling a second time: one read and one value at a time, plain Python.

Belongs here: what register intervals, brackets, the sum check and scaled estimates must be, written from the field's
definitions; sets of reads instead of sorted arrays, fractions instead of running sums. Does not belong here: rules on
values (``oracle.py``).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.parameters import RuleSet
from tests.unit.vee.oracle_rows import MINUTE, NOTHING, Series, choose, drifts, half_even, means, rank

# --- the slots of a day -----------------------------------------------------------------------------------------------


def counted_slots(
    series: Series, boundaries: list[int], rows: list[dict], following: list[dict], rules: RuleSet
) -> list[dict]:
    """What a counter says of every slot: reads at the boundaries, one after the other."""
    # Closing reads alone make no difference of two reads.
    if not any(row["is_register"] for row in rows):
        return [dict(NOTHING) for _ in boundaries[1:]]
    usable = [
        row
        for row in rows + [row for row in following if row["series"] == series.number]
        if row["is_register"] and rank(row) > 0 and not row.get("wrong_unit")
    ]
    step = series.minutes * MINUTE
    reads = [read_at(boundary, usable, step, rules) for boundary in boundaries]
    if any(read is not None for read in reads):
        reads[0] = exchanged(reads[0], series.counter.get("opening"))
        # Once a counter has ended, a read of that instant is one of the next.
        ended = series.counter.get("ended", False) and series.counter.get("closing") is None
        reads[-1] = None if ended else exchanged(reads[-1], series.counter.get("closing"))
    present = [position for position, read in enumerate(reads) if read is not None]
    states = [reads[position]["state"] for position in present]
    left_out = {present[index] for index in misfits(states, series.counter.get("modulus", 0), rules)}
    return [one_difference(reads, position, left_out, series.counter, rules) for position in range(len(reads) - 1)]


def read_at(boundary: int, rows: list[dict], step: int, rules: RuleSet) -> dict | None:
    competing = [row for row in rows if means(row["start"], boundary, step, rules.clock_tolerance_seconds)]
    if not competing:
        return None
    best, versions, flags = choose(competing)
    return {
        "state": best["value"],
        "status": int(best["source_status"]),
        "version": versions,
        "flags": flags | drifts(competing, boundary),
        "received_at": best["received_at"],
    }


def exchanged(read: dict | None, state: int | None) -> dict | None:
    """The read at a boundary where the registry declares the state: that stands."""
    if state is None:
        return read
    read = read or {"version": 0, "flags": Flag(0), "received_at": 0}
    return read | {"state": state, "status": int(SourceStatus.MEASURED), "flags": read["flags"] | Flag.METER_EXCHANGE}


def misfits(states: list[int], modulus: int, rules: RuleSet) -> set[int]:
    """Positions of the states to leave out, so that the counter does not go down."""
    out: set[int] = set()
    for later in range(1, len(states)):
        before, after = states[later - 1], states[later]
        if after >= before or rolled(before, after, modulus, rules) or later - 1 in out:
            continue
        if later + 1 < len(states) and states[later + 1] >= before:
            out.add(later)
        elif later >= 2 and after >= states[later - 2]:
            out.add(later - 1)
    return out


def rolled(before: int, after: int, modulus: int, rules: RuleSet) -> bool:
    if modulus == 0 or after >= before or before >= modulus:
        return False
    share = Fraction(modulus, 100) * rules.register_rollover_percent
    return before >= modulus - share and after <= share


def energy_between(before: int, after: int, counter: dict, rules: RuleSet) -> tuple[int, bool]:
    """Energy between two states, and whether the counter rolled over."""
    modulus = counter.get("modulus", 0)
    over = rolled(before, after, modulus, rules)
    return half_even((after - before + modulus * over) * Fraction(counter.get("multiplier", 1))), over


def one_difference(reads: list, position: int, left_out: set[int], counter: dict, rules: RuleSet) -> dict:
    opening, closing = reads[position], reads[position + 1]
    if opening is None or closing is None:
        return dict(NOTHING)
    if position in left_out or position + 1 in left_out:
        return NOTHING | {"flags": Flag.REGISTER_DECREASE}
    value, over = energy_between(opening["state"], closing["state"], counter, rules)
    flags = opening["flags"] | closing["flags"] | Flag.FROM_REGISTER
    if over:
        flags |= Flag.REGISTER_ROLLOVER
    if value < 0:
        flags |= Flag.REGISTER_DECREASE | Flag.REFUSED
    return NOTHING | {
        "value": value,
        "status": min(opening["status"], closing["status"]),
        "version": max(opening["version"], closing["version"]),
        "flags": flags,
        "received_at": max(opening["received_at"], closing["received_at"]),
        "below_zero": opening["state"] < 0 or closing["state"] < 0,
    }


# --- brackets of many days --------------------------------------------------------------------------------------------


def brackets(reads: dict[int, int], counters: list[dict], rules: RuleSet) -> list[dict]:
    """Return the periods between successive reads of one register.

    ``reads`` holds the state at each instant; a counter has start, end (None = in service), initial, final (None =
    unknown), modulus, multiplier and resolution.
    """
    rows = []
    for counter in counters:
        of_counter = {
            instant: state
            for instant, state in reads.items()
            if counter["start"] <= instant and (counter["end"] is None or instant < counter["end"])
        }
        declared = set()
        for instant, state in ((counter["start"], counter["initial"]), (counter["end"], counter["final"])):
            if instant is not None and state is not None:
                of_counter[instant] = state
                declared.add(instant)
        instants = sorted(of_counter)
        out = misfits([of_counter[instant] for instant in instants], counter["modulus"], rules)
        kept = [instant for position, instant in enumerate(instants) if position not in out]
        for start, end in pairwise(kept):
            energy, over = energy_between(of_counter[start], of_counter[end], counter, rules)
            flags = Flag.REGISTER_ROLLOVER if over else Flag(0)
            if start in declared or end in declared:
                flags |= Flag.METER_EXCHANGE
            left_out = [instants[position] for position in out]
            if energy < 0 or any(start < instant < end for instant in left_out):
                flags |= Flag.REGISTER_DECREASE
            unit = half_even(counter["resolution"] * Fraction(counter["multiplier"]))
            rows.append({"start": start, "end": end, "energy": energy, "unit": unit, "flags": flags})
    return rows


# --- what brackets do to a series -------------------------------------------------------------------------------------

ESTIMATES = ("linear", "like_day", "profile")


def constrain_series(slots: dict[int, dict], rows: list[dict], step: int, rules: RuleSet, most: int = 2**62) -> None:
    """Check and scale the slots of one series, of all days at once, by their start; in place.

    A slot has value, status, method, reason, flags. Of a scaled one, ``exact`` is e x k as a fraction.
    """
    for bracket in rows:
        instants = range(bracket["start"], bracket["end"], step)
        inside = [slots[instant] for instant in instants if instant in slots]
        for slot in inside:
            slot["flags"] |= bracket["flags"]
        if bracket["energy"] < 0 or len(inside) < len(instants) or any(slot["value"] is None for slot in inside):
            continue
        own = [slot for slot in inside if slot["method"] in ESTIMATES]
        rest = bracket["energy"] - sum(slot["value"] for slot in inside if slot["method"] not in ESTIMATES)
        off = abs(rest)
        if own:
            before = sum(slot["value"] for slot in own)
            refused = scale_estimates(own, rest, rules, most)
            off = max(-rest, rest - before) if refused else -rest
        if off > tolerated(bracket, rules):
            for slot in inside:
                slot["flags"] |= Flag.SUM_CHECK
                if slot["status"] == "measured":
                    slot["status"], slot["reason"] = "provisional", "sum_check"


def scale_estimates(own: list[dict], rest: int, rules: RuleSet, most: int) -> bool:
    """Scale estimates; return whether that was refused."""
    total = sum(slot["value"] for slot in own)
    refused = rest < 0 or total < 0 or (total == 0 and rest > 0)
    if not refused and total > 0:
        scale = Fraction(rest, total)
        refused = scale > Fraction(rules.scale_most_percent, 100) or any(slot["value"] * scale > most for slot in own)
    for slot in own:
        if refused:
            slot["refused"] = True
        else:
            slot["exact"] = slot["value"] * Fraction(rest, total) if total else Fraction(0)
            slot["method"] = "register_scaled"
    return refused


def tolerated(bracket: dict, rules: RuleSet) -> int:
    unit = bracket["unit"] or half_even(Fraction(rules.register_unit_kwh).limit_denominator(10**6) * 1_000_000)
    share = Fraction(rules.sum_check_percent).limit_denominator(10**6) / 100 * bracket["energy"]
    return max(int(share), rules.sum_check_register_units * unit)
