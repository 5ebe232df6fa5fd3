"""A slow and obvious second implementation of validation and estimation: one value at a time, plain Python.

Belongs here: what the grid must agree with, written from the field's definitions and never from the grid's code. No
NumPy, exact fractions, local times from ``zoneinfo``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from metrify_assets.vee.codes import REFUSING, Flag, Method, Reason, SourceStatus, Status
from metrify_assets.vee.parameters import EstimationParameters, RuleSet

MINUTE = 60_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = {"value": None, "status": 0, "version": 0, "flags": Flag(0), "received_at": 0, "from_interval": False}


def instant_of(local_date: date, zone: str) -> int:
    midnight = datetime(local_date.year, local_date.month, local_date.day, tzinfo=ZoneInfo(zone))
    return (midnight.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def slot_starts(local_date: date, zone: str, minutes: int) -> list[int]:
    start, end = instant_of(local_date, zone), instant_of(local_date + timedelta(days=1), zone)
    return list(range(start, end, minutes * MINUTE))


def half_even(value: Fraction) -> int:
    return round(value)  # Python rounds a Fraction half to even, exactly.


# --- validation -------------------------------------------------------------------------------------------------------


def rank(row: dict) -> int:
    return 0 if row["is_null"] else int(row["source_status"])


def content(row: dict) -> int | None:
    return None if row["is_null"] else row["value"]


def choose(rows: list[dict]) -> tuple[dict, int, Flag]:
    """Return the current row, the number of versions and the flags of redelivery."""
    best = max(rows, key=lambda row: (rank(row), row["received_at"], row["order"]))
    versions = len({content(row) for row in rows})
    flags = Flag(0)
    if sum(content(row) == content(best) for row in rows) > 1:
        flags |= Flag.DUPLICATE
    if versions > 1:
        flags |= Flag.NEW_VERSION
    return best, versions, flags


def validate_series(
    local_date: date,
    zone: str,
    number: int,
    minutes: int,
    unsigned: bool,
    limit_kw: float | None,
    rows: list[dict],
    following: list[dict],
    rules: RuleSet,
) -> list[dict]:
    """Return one record per expected slot of one series."""
    starts = slot_starts(local_date, zone, minutes)
    slots = []
    for start in starts:
        competing = [
            row
            for row in rows
            if row["series"] == number
            and not row["is_register"]
            and row["start"] == start
            and row["minutes"] == minutes
        ]
        if competing:
            best, versions, flags = choose(competing)
            slots.append(
                {
                    "value": content(best),
                    "status": rank(best),
                    "version": versions,
                    "flags": flags | (Flag.BLANK if rank(best) == 0 else Flag(0)),
                    "received_at": best["received_at"],
                    "from_interval": True,
                }
            )
        else:
            slots.append(difference(number, start, start + minutes * MINUTE, rows + following))
    for slot in slots:
        check_value(slot, unsigned, limit_kw, minutes, rules)
    check_spike(slots, minutes, rules)
    check_runs(slots, minutes, rules)
    return slots


def difference(number: int, opening_at: int, closing_at: int, rows: list[dict]) -> dict:
    ends = []
    for instant in (opening_at, closing_at):
        reads = [
            row
            for row in rows
            if row["series"] == number and row["is_register"] and row["start"] == instant and rank(row) > 0
        ]
        if not reads:
            return NOTHING | {"flags": Flag.GAP}
        ends.append(choose(reads))
    (opening, versions_before, flags_before), (closing, versions_after, flags_after) = ends
    flags = flags_before | flags_after | Flag.FROM_REGISTER
    if opening["value"] < 0 or closing["value"] < 0 or closing["value"] < opening["value"]:
        flags |= Flag.NEGATIVE
    return {
        "value": closing["value"] - opening["value"],
        "status": min(rank(opening), rank(closing)),
        "version": max(versions_before, versions_after),
        "flags": flags,
        "received_at": max(opening["received_at"], closing["received_at"]),
        "from_interval": False,
    }


def check_value(slot: dict, unsigned: bool, limit_kw: float | None, minutes: int, rules: RuleSet) -> None:
    if slot["value"] is None:
        return
    if unsigned and slot["value"] < 0:
        slot["flags"] |= Flag.NEGATIVE
    if limit_kw is not None:
        mean_kw = Fraction(abs(slot["value"]), 1_000_000) * 60 / minutes
        if mean_kw > Fraction(limit_kw).limit_denominator(10**6) * rules.physical_limit_percent / 100:
            slot["flags"] |= Flag.PHYSICAL_LIMIT


def stands(slot: dict) -> bool:
    return slot["value"] is not None and not slot["flags"] & REFUSING


def check_spike(slots: list[dict], minutes: int, rules: RuleSet) -> None:
    values = sorted((slot["value"] for slot in slots if stands(slot)), reverse=True)
    if len(values) < 3 or values[2] < 0:
        return
    excess = values[0] - values[2]
    floor = Fraction(rules.spike_floor_kw) * 1_000_000 * minutes / 60
    if excess >= floor and excess * 100 > rules.spike_excess_percent * values[2]:
        for slot in slots:
            if stands(slot) and slot["value"] == values[0]:
                slot["flags"] |= Flag.SPIKE


def check_runs(slots: list[dict], minutes: int, rules: RuleSet) -> None:
    run: list[dict] = []
    for slot in [*slots, NOTHING]:
        if run and stands(slot) and slot["value"] == run[0]["value"]:
            run.append(slot)
            continue
        lasted = len(run) * minutes
        if run and run[0]["value"] != 0 and lasted >= rules.stuck_minutes and len(run) >= rules.stuck_slots:
            for member in run:
                member["flags"] |= Flag.STUCK
        if run and run[0]["value"] == 0 and (lasted >= rules.zero_run_minutes or len(run) == len(slots)):
            for member in run:
                member["flags"] |= Flag.ZERO_RUN
        run = [slot] if stands(slot) else []


# --- estimation -------------------------------------------------------------------------------------------------------


class Days:
    """Validated days of one series: date -> records; remembers which other days were looked at."""

    def __init__(self, zone: str, minutes: int, records: dict[date, list[dict]]) -> None:
        self.zone = zone
        self.minutes = minutes
        self.records = records
        self.looked_at: set[date] = set()

    def look(self, day: date) -> list[dict] | None:
        self.looked_at.add(day)
        return self.records.get(day)

    def local_times(self, day: date) -> list[tuple[int, int, int]]:
        """(hour, minute, pass) of every slot; the second pass of autumn's hour is 1."""
        zone = ZoneInfo(self.zone)
        moments = [
            (EPOCH + timedelta(microseconds=start)).astimezone(zone)
            for start in slot_starts(day, self.zone, self.minutes)
        ]
        return [(moment.hour, moment.minute, moment.fold) for moment in moments]


def clean_series(today: date, days: Days, holidays: set[date], parameters: EstimationParameters) -> list[tuple]:
    """Return (value or None, status, method, reason) of every slot of one series."""
    records = days.records[today]
    result = []
    for index, slot in enumerate(records):
        if stands(slot):
            result.append(delivered(slot))
            continue
        reason = reason_of(slot["flags"])
        value = linear(today, index, days, parameters)
        if value is not None:
            result.append((value, Status.ESTIMATED, Method.LINEAR, reason))
            continue
        value = like_day(today, index, days, holidays, parameters)
        if value is not None:
            result.append((value, Status.ESTIMATED, Method.LIKE_DAY, reason))
        else:
            result.append((None, Status.MISSING, None, reason))
    return result


def delivered(slot: dict) -> tuple:
    if slot["status"] == SourceStatus.SUBSTITUTE:
        return slot["value"], Status.ESTIMATED, Method.SENDER_SUBSTITUTE, None
    status = Status.MEASURED if slot["status"] == SourceStatus.MEASURED else Status.PROVISIONAL
    return slot["value"], status, None, None


def reason_of(flags: Flag) -> Reason:
    for flag, reason in (
        (Flag.GAP, Reason.GAP),
        (Flag.BLANK, Reason.BLANK),
        (Flag.NEGATIVE, Reason.NEGATIVE),
        (Flag.PHYSICAL_LIMIT, Reason.PHYSICAL_LIMIT),
    ):
        if flags & flag:
            return reason
    raise AssertionError("a slot that does not stand has a reason")


def linear(today: date, index: int, days: Days, parameters: EstimationParameters) -> int | None:
    records = days.records[today]
    first = last = index
    while first > 0 and not stands(records[first - 1]):
        first -= 1
    while last < len(records) - 1 and not stands(records[last + 1]):
        last += 1
    longest = parameters.max_linear_gap_minutes // days.minutes
    if last - first + 1 > longest:
        return None
    before, after = records[:first], records[last + 1 :]
    if not before:
        before = days.look(today - timedelta(days=1)) or []
    if not after:
        after = days.look(today + timedelta(days=1)) or []
    left = next(((distance, slot) for distance, slot in enumerate(reversed(before)) if stands(slot)), None)
    right = next(((distance, slot) for distance, slot in enumerate(after) if stands(slot)), None)
    if left is None or right is None:
        return None
    gap = left[0] + (last - first + 1) + right[0]
    if gap > longest:
        return None
    position = left[0] + (index - first) + 1
    low, high = left[1]["value"], right[1]["value"]
    return half_even(low + Fraction((high - low) * position, gap + 1))


def like_day(today: date, index: int, days: Days, holidays: set[date], parameters: EstimationParameters) -> int | None:
    def kind(day: date) -> int:
        return 6 if day in holidays else day.weekday()

    hour, minute, second_pass = days.local_times(today)[index]
    values: list[int] = []
    for back in range(1, parameters.like_day_lookback_days + 1):
        other = today - timedelta(days=back)
        if len(values) == parameters.like_days:
            break
        if kind(other) != kind(today):
            continue
        records = days.look(other)
        if records is None:
            continue
        if not all(stands(slot) and slot["status"] == SourceStatus.MEASURED for slot in records):
            continue
        times = days.local_times(other)
        if (hour, minute, second_pass) in times:
            values.append(records[times.index((hour, minute, second_pass))]["value"])
        elif (hour, minute, 0) in times:
            values.append(records[times.index((hour, minute, 0))]["value"])
    if len(values) < parameters.min_like_days:
        return None
    return half_even(Fraction(sum(values), len(values)))
