"""Random deliveries of a day: mostly complete, with every fault that a feed is known for.

Belongs here: generators. Does not belong here: what must come of them (the oracles).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from metrify_assets.vee.codes import Severity, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import DayRules, RuleException
from tests.unit.vee.builders import MICRO, RECEIVED
from tests.unit.vee.oracle_rows import MINUTE, Series

FEEDS = ("east", "west")
CLASSES = ("household", "business", None)
MODULUS = 10**4 * MICRO
SECOND = 1_000_000
LEVELS = (0, 1, 333_333, 500_000, 2_200_000, 2_200_001, 4_000_000)
KINDS = ("interval", "interval", "interval", "finer", "coarser", "register", "register", "mixed")


def random_series(random: np.random.Generator, number: int, day: DeliveryDay) -> Series:
    """A series of any resolution, direction, class and counter, with outages that need not begin with a slot."""
    minutes = int(random.choice([5, 10, 15, 15, 30, 60, 60, 60]))
    counter = {
        "modulus": int(random.choice([0, MODULUS])),
        "multiplier": Fraction(int(random.choice([1000, 1000, 40_000, 333])), 1000),
        "opening": int(random.integers(0, MODULUS)) if random.random() < 0.2 else None,
        "closing": int(random.integers(0, MODULUS)) if random.random() < 0.1 else None,
        "ended": bool(random.random() < 0.1),
    }
    outages = []
    while random.random() < 0.25:
        begin = day.start + int(random.integers(-120, day.minutes)) * MINUTE
        if outages and random.random() < 0.5:
            begin = outages[-1][1] + int(random.integers(-1, 2)) * MINUTE
        outages.append((begin, begin + int(random.integers(1, 400)) * MINUTE))
    return Series(
        number=number,
        minutes=minutes,
        unsigned=bool(random.random() < 0.75),
        limit_kw=random.choice([None, 8.0, 8.0, 0.1, 1e7]),
        point_class=CLASSES[random.integers(0, 3)],
        counter=counter,
        outages=tuple(outages),
    )


def random_day_rules(random: np.random.Generator) -> DayRules:
    """Rules of a day, often with exceptions for a class, a feed or both."""
    rules = RuleSet(clock_tolerance_seconds=int(random.choice([180, 180, 30])), zero_run_minutes=600, stuck_minutes=90)
    names = ["spike", "robust_outlier", "stuck", "zero_run", "negative", "physical_limit", "collapsed_dst"]
    severities = [Severity.BLOCK, Severity.WARN, Severity.OFF]
    exceptions = []
    while random.random() < 0.5:
        chosen = random.choice(names, 2, replace=False).tolist()
        feed = [None, *FEEDS][random.integers(0, 3)]
        of_class = CLASSES[random.integers(0, 2)] if feed is None or random.random() < 0.3 else None
        changes = {"stuck_minutes": 180} if random.random() < 0.3 else {}
        if random.random() < 0.3:
            changes["spike_floor_kw"] = 4.0
        exceptions.append(
            RuleException(feed, of_class, changes, {name: severities[random.integers(0, 3)] for name in chosen})
        )
    return DayRules(rules=rules, exceptions=tuple(exceptions))


def random_rows(random: np.random.Generator, day: DeliveryDay, series: list[Series]) -> list[dict]:
    """Rows of all series in any order; register reads at the day's end belong to the next day's rows."""
    rows = []
    for member in series:
        kind = KINDS[random.integers(0, len(KINDS))]
        if kind in ("register", "mixed"):
            rows += _register_rows(random, day, member)
        if kind == "finer":
            rows += _interval_rows(random, day, member, _another(random, member.minutes, finer=True))
        if kind == "coarser":
            rows += _interval_rows(random, day, member, _another(random, member.minutes, finer=False))
        if kind != "register":
            rows += _interval_rows(random, day, member, member.minutes, complete=kind == "interval")
    random.shuffle(rows)
    return [row | {"order": order} for order, row in enumerate(rows)]


def _another(random: np.random.Generator, minutes: int, *, finer: bool) -> int:
    # Parts of one minute for five-minute values only: what the oracle does by row is slow.
    lengths = (1,) if finer and minutes == 5 else (5, 7, 10, 15, 20, 30, 60, 120)
    return int(random.choice([length for length in lengths if length != minutes and (length < minutes) == finer]))


def _interval_rows(
    random: np.random.Generator, day: DeliveryDay, series: Series, minutes: int, *, complete: bool | None = None
) -> list[dict]:
    """Rows of one series and length; not ``complete``: some stretches are absent (of another length, of either)."""
    faults = random.choice([0.0, 0.1, 0.6])
    restlessness = random.choice([0.3, 0.3, 0.02, 0.0])
    level = int(random.choice([0, 120_000, 700_000]))
    starts = list(range(day.start, day.end, minutes * MINUTE))
    absent = set() if complete else _stretches(random, starts)
    if random.random() < 0.3:
        absent |= _one_pass(day, starts)
    rows = []
    for start in starts:
        if random.random() < restlessness:
            level = int(random.choice(LEVELS))
        if start in absent:
            continue
        for _ in range(int(random.choice([0, 1, 2, 3], p=[faults / 2, 1 - faults, faults / 4, faults / 4]))):
            rows.append(_row(random, series, _drifted(random, start, faults), minutes, level, faults))
    return rows


def _row(random: np.random.Generator, series: Series, start: int, minutes: int, value: int, faults: float) -> dict:
    if random.random() < faults / 3:
        value += int(random.choice([0, 1, -1, -5_000_000, 30_000_000, 10**15, -(10**15)]))
    edited = random.random() < faults / 6
    status = SourceStatus.MEASURED if random.random() > faults / 2 else int(random.integers(0, 4))
    return {
        "series": series.number if random.random() > faults / 20 else -1,
        "start": start,
        # An edit comes with the minutes of its own feed, whatever the series' are.
        "minutes": int(random.choice([minutes, 15])) if edited else minutes,
        "value": value,
        "is_null": bool(random.random() < faults / 6),
        "is_register": False,
        "source_status": SourceStatus.EDITED if edited else status,
        "received_at": RECEIVED + int(random.integers(0, 3)),
        "feed": int(random.integers(0, len(FEEDS))),
        "wrong_unit": bool(random.random() < faults / 10),
    }


def _register_rows(random: np.random.Generator, day: DeliveryDay, series: Series) -> list[dict]:
    """Reads at the boundaries of slots, with roll-over, gaps, reads that do not fit, and drifting clocks."""
    faults = random.choice([0.0, 0.05, 0.4])
    state = int(random.choice([10 * MICRO, MODULUS - 5 * MICRO, MODULUS // 2]))
    level = int(random.choice([0, 120_000, 700_000]))
    rows = []
    for start in [*day.slot_starts(series.minutes).tolist(), day.end]:
        state += int(random.choice([level, 333_333]))
        if series.counter["modulus"]:
            state %= MODULUS
        for _ in range(int(random.choice([0, 1, 2], p=[faults / 2, 1 - faults, faults / 2]))):
            shift = int(random.choice([0, 1, -5 * MICRO, -MODULUS, 10**15])) if random.random() < faults / 2 else 0
            row = _row(random, series, _drifted(random, start, faults), series.minutes, state + shift, faults / 4)
            rows.append(row | {"is_register": True})
    return rows


def _drifted(random: np.random.Generator, start: int, faults: float) -> int:
    if random.random() > faults / 3:
        return start
    seconds = int(random.choice([1, -1, 29, -31, 170, -170, 180, -180, 181, -181, 299, 300, 450, -450, 3_000]))
    return start + seconds * SECOND + int(random.choice([0, 0, 1]))


def _stretches(random: np.random.Generator, starts: list[int]) -> set[int]:
    absent: set[int] = set()
    while random.random() < 0.8:
        first = int(random.integers(0, len(starts)))
        absent |= set(starts[first : first + int(random.choice([1, 5, len(starts) // 2]))])
    return absent


def _one_pass(day: DeliveryDay, starts: list[int]) -> set[int]:
    """One of the two passes of October's repeated hour; nothing on any other day."""
    if day.minutes != 1_500:
        return set()
    return {start for start in starts if 120 <= (start - day.start) // MINUTE < 180}
