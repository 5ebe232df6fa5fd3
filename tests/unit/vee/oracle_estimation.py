"""A slow and obvious second implementation of estimation: one slot at a time, plain Python, exact fractions.

Belongs here: the cascade and the rules on whole days, for one series. Does not belong here: validation
(``oracle.py``), load profiles (``oracle_profiles.py``), scaling to registers (``oracle_registers.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from metrify_assets.vee.codes import Flag, Method, Reason, SourceStatus, Status
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from tests.unit.vee.oracle import stands
from tests.unit.vee.oracle_rows import EPOCH, half_even, slot_starts


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


def clean_series(
    today: date,
    days: Days,
    holidays: set[date],
    parameters: EstimationParameters,
    profile: Callable[[int], int | None] = lambda index: None,
) -> list[tuple]:
    """Return (value or None, status, method, reason) of every slot of one series."""
    result = []
    for index, slot in enumerate(days.records[today]):
        if not wanted(slot, parameters):
            result.append(delivered(slot))
            continue
        reason = Reason.PROVISIONAL if stands(slot) else reason_of(slot["flags"])
        estimate = first_estimate(today, index, days, holidays, parameters, profile)
        if estimate is not None:
            result.append((estimate[1], Status.ESTIMATED, estimate[0], reason))
        else:
            result.append(delivered(slot) if stands(slot) else (None, Status.MISSING, None, reason))
    return result


def first_estimate(
    today: date,
    index: int,
    days: Days,
    holidays: set[date],
    parameters: EstimationParameters,
    profile: Callable[[int], int | None],
) -> tuple[Method, int] | None:
    """The first method of the cascade that gives a value; those after it are not asked."""
    value = linear(today, index, days, parameters)
    if value is not None:
        return Method.LINEAR, value
    value = like_day(today, index, days, holidays, parameters)
    if value is not None:
        return Method.LIKE_DAY, value
    value = profile(index) if parameters.use_profile else None
    return None if value is None else (Method.PROFILE, value)


def wanted(slot: dict, parameters: EstimationParameters) -> bool:
    """Whether a slot of today is to be estimated."""
    return not settled(slot) and not (stands(slot) and not parameters.replace_provisional)


def measured(slot: dict) -> bool:
    return stands(slot) and slot["status"] >= SourceStatus.MEASURED and not slot["flags"] & Flag.OUTAGE


def in_outage(slot: dict) -> bool:
    return bool(slot["flags"] & Flag.OUTAGE) and not stands(slot)


def settled(slot: dict) -> bool:
    """Whether a value better than a provisional one stands, or there was no supply."""
    return (stands(slot) and slot["status"] > SourceStatus.PROVISIONAL) or in_outage(slot)


def energy(slot: dict) -> int:
    return 0 if in_outage(slot) else slot["value"]


def delivered(slot: dict) -> tuple:
    if in_outage(slot):
        return 0, Status.ESTIMATED, Method.DOCUMENTED_ZERO, Reason.OUTAGE
    if slot["status"] == SourceStatus.SUBSTITUTE:
        return slot["value"], Status.ESTIMATED, Method.SENDER_SUBSTITUTE, None
    if slot["status"] == SourceStatus.EDITED:
        return slot["value"], Status.VALIDATED, Method.MANUAL, Reason.MANUAL_EDIT
    if slot["status"] == SourceStatus.PROVISIONAL:
        return slot["value"], Status.PROVISIONAL, None, None
    return slot["value"], Status.MEASURED, None, None


def reason_of(flags: Flag) -> Reason:
    for flag, reason in (
        (Flag.OUTAGE, Reason.OUTAGE),
        (Flag.REGISTER_DECREASE, Reason.REGISTER_DECREASE),
        (Flag.GAP, Reason.GAP),
        (Flag.BLANK, Reason.BLANK),
        (Flag.NEGATIVE, Reason.NEGATIVE),
        (Flag.PHYSICAL_LIMIT, Reason.PHYSICAL_LIMIT),
        (Flag.COLLAPSED_DST, Reason.COLLAPSED_DST),
        (Flag.SPIKE, Reason.SPIKE),
        (Flag.ROBUST_OUTLIER, Reason.ROBUST_OUTLIER),
        (Flag.STUCK, Reason.STUCK),
        (Flag.ZERO_RUN, Reason.ZERO_RUN),
    ):
        if flags & flag:
            return reason
    raise AssertionError("a slot that does not stand has a reason")


def linear(today: date, index: int, days: Days, parameters: EstimationParameters) -> int | None:
    records = days.records[today]
    first = last = index
    # An outlier is no edge: the gap goes on beyond it.
    while first > 0 and (wanted(records[first - 1], parameters) or stands_out(records[first - 1])):
        first -= 1
    while last < len(records) - 1 and (wanted(records[last + 1], parameters) or stands_out(records[last + 1])):
        last += 1
    longest = parameters.max_linear_gap_minutes // days.minutes
    if last - first + 1 > longest:
        return None
    left, right = (0, records[first - 1]), (0, records[min(last + 1, len(records) - 1)])
    if first == 0:
        left = nearest(reversed(days.look(today - timedelta(days=1)) or []))
    if last == len(records) - 1:
        right = nearest(days.look(today + timedelta(days=1)) or [])
    if left is None or right is None:
        return None
    gap = left[0] + (last - first + 1) + right[0]
    if gap > longest:
        return None
    position = left[0] + (index - first) + 1
    low, high = energy(left[1]), energy(right[1])
    return half_even(low + Fraction((high - low) * position, gap + 1))


def nearest(records: Iterable[dict]) -> tuple[int, dict] | None:
    """The first slot of another day that can be an edge, and how many slots lie before it."""
    return next(
        ((distance, slot) for distance, slot in enumerate(records) if settled(slot) and not stands_out(slot)), None
    )


def stands_out(slot: dict) -> bool:
    """Whether a value was found to be an outlier, and nobody decided that it is right."""
    flagged = slot["flags"] & (Flag.SPIKE | Flag.ROBUST_OUTLIER)
    return bool(flagged) and slot["status"] != SourceStatus.EDITED


def kind(day: date, holidays: set[date]) -> int:
    return 6 if day in holidays else day.weekday()


def like_day(today: date, index: int, days: Days, holidays: set[date], parameters: EstimationParameters) -> int | None:
    """The mean of the like days at the level of the rest of the day, which is compared slot by slot."""
    mean = like_day_mean(today, index, days, holidays, parameters)
    if mean is None:
        return None
    use = usual = minutes = 0
    for other, slot in enumerate(days.records[today]):
        compared = like_day_mean(today, other, days, holidays, parameters) if measured(slot) else None
        if compared is not None:
            use, usual, minutes = use + slot["value"], usual + compared, minutes + days.minutes
    level = 1000
    if use > 0 and usual > 0 and minutes >= parameters.like_day_level_minutes:
        level = half_even(Fraction(1000 * use, usual))
        level = max(level, 10 * parameters.like_day_level_low_percent)
        level = min(level, 10 * parameters.like_day_level_high_percent)
    return half_even(Fraction(mean * level, 1000))


def like_day_mean(
    today: date, index: int, days: Days, holidays: set[date], parameters: EstimationParameters
) -> int | None:
    hour, minute, second_pass = days.local_times(today)[index]
    values: list[int] = []
    for back in range(1, parameters.like_day_lookback_days + 1):
        other = today - timedelta(days=back)
        if len(values) == parameters.like_days:
            break
        if kind(other, holidays) != kind(today, holidays):
            continue
        records = days.look(other)
        if records is None:
            continue
        if not all(measured(slot) for slot in records):
            continue
        times = days.local_times(other)
        if (hour, minute, second_pass) in times:
            values.append(records[times.index((hour, minute, second_pass))]["value"])
        elif (hour, minute, 0) in times:
            values.append(records[times.index((hour, minute, 0))]["value"])
    if len(values) < parameters.min_like_days:
        return None
    return half_even(Fraction(sum(values), len(values)))


# --- rules on whole days ----------------------------------------------------------------------------------------------


def is_high_or_low(today: date, days: Days, holidays: set[date], rules: RuleSet) -> bool:
    """Whether a complete day's use is far from the mean of recent complete days of its kind."""
    records = days.records[today]
    if not all(measured(slot) for slot in records):
        return False
    past = []
    for back in range(1, 29):
        other = days.records.get(today - timedelta(days=back))
        if other is None or kind(today - timedelta(days=back), holidays) != kind(today, holidays):
            continue
        if all(measured(slot) for slot in other) and len(past) < rules.high_low_days:
            past.append(sum(slot["value"] for slot in other))
    if len(past) < rules.high_low_min_days:
        return False
    use, mean = sum(slot["value"] for slot in records), Fraction(sum(past), len(past))
    low, high = mean * rules.high_low_low_percent / 100, mean * rules.high_low_high_percent / 100
    far = abs(use - mean) >= Fraction(rules.high_low_floor_kwh) * 1_000_000
    return far and not low <= use <= high


def is_estimated_too_long(today: date, days: Days, rules: RuleSet) -> bool:
    """Whether there was no measured value today and on each of the days before, all of which were validated."""
    window = [days.records.get(today - timedelta(days=back)) for back in range(rules.prolonged_estimation_days)]
    return all(records is not None and not any(measured(slot) for slot in records) for records in window)
