"""Estimation and the rules on whole days against a slow second implementation, slot by slot, on random histories."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrify_assets.reference.load_profiles import load_profiles
from metrify_assets.vee.clean import Basis, clean_shard
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_NAMES, NO_CODE, REASON_NAMES, STATUS_NAMES, SeriesTable, ValidatedGrid
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import DayRules
from tests.examples import examples
from tests.unit.vee import oracle_estimation as oracle
from tests.unit.vee import oracle_profiles
from tests.unit.vee.builders import AUTUMN_DAY, EXPORT, IMPORT, MICRO, PLAIN_DAY, RECEIVED, SPRING_DAY, DictHistory

ZONE = "Europe/Berlin"
DAYS = [SPRING_DAY, PLAIN_DAY, AUTUMN_DAY]
STATES = ("BY", "NW", None)
SERIES = 4
BLOCKING = [
    Flag.NEGATIVE,
    Flag.PHYSICAL_LIMIT,
    Flag.SPIKE,
    Flag.ROBUST_OUTLIER,
    Flag.STUCK,
    Flag.ZERO_RUN,
    Flag.COLLAPSED_DST,
]


def random_record(random: np.random.Generator, faults: float) -> dict:
    """One validated slot."""
    draw = random.random()
    record = {"value": int(random.integers(0, 5 * MICRO)), "status": 3, "flags": Flag(0)}
    if draw < faults * 0.4:
        missing = [Flag.GAP, Flag.BLANK, Flag.GAP | Flag.REGISTER_DECREASE, Flag.GAP | Flag.UNIT_MISMATCH]
        return record | {"value": None, "status": 0, "flags": missing[random.integers(0, 4)]}
    if draw < faults * 0.7:
        finding = BLOCKING[random.integers(0, len(BLOCKING))] | BLOCKING[random.integers(0, len(BLOCKING))]
        return record | {"flags": finding | Flag.REFUSED}
    if draw < faults * 0.85:
        value = None if random.random() < 0.5 else record["value"]
        refused = Flag(0) if value is None else Flag.NEGATIVE | Flag.REFUSED
        return record | {"value": value, "status": 0 if value is None else 3, "flags": Flag.OUTAGE | refused}
    if draw < faults:
        statuses = [SourceStatus.PROVISIONAL, SourceStatus.SUBSTITUTE, SourceStatus.EDITED]
        return record | {"status": int(random.choice(statuses))}
    return record


def random_day(random: np.random.Generator, slots: int, *, silent: bool) -> list[dict]:
    """A validated day: clean, with single faults, or with one long gap that may touch an edge."""
    gap = {"value": None, "status": 0, "flags": Flag.GAP}
    if silent:
        return [dict(gap) for _ in range(slots)]
    records = [random_record(random, random.choice([0.0, 0.0, 0.04])) for _ in range(slots)]
    if random.random() < 0.3:
        first = int(random.choice([0, 1, slots // 2, slots - 2]))
        length = int(random.choice([1, 2, 3, 8, 9, slots]))
        for slot in range(first, min(first + length, slots)):
            records[slot] = dict(gap)
    if random.random() < 0.1:
        # A day of twice or a tenth of the usual use.
        factor = Fraction(int(random.choice([1, 30])), 10)
        records = [record | {"value": record["value"] and int(record["value"] * factor)} for record in records]
    return records


def as_grid(day: DeliveryDay, minutes: int, series: list[list[dict]]) -> ValidatedGrid:
    def plane(of, dtype):
        return np.array([[of(record) for record in records] for records in series], dtype=dtype)

    return ValidatedGrid(
        series=np.arange(len(series), dtype=np.int32),
        interval_minutes=minutes,
        starts=day.slot_starts(minutes),
        delivered=plane(lambda r: r["value"] or 0, np.int64),
        has_value=plane(lambda r: r["value"] is not None, bool),
        source_status=plane(lambda r: r["status"], np.uint8),
        version=plane(lambda r: 1, np.int16),
        flags=plane(lambda r: int(r["flags"]), np.int32),
        received_at=plane(lambda r: RECEIVED, np.int64),
    )


def random_parameters(random: np.random.Generator) -> EstimationParameters:
    return EstimationParameters(
        max_linear_gap_minutes=int(random.choice([120, 60, 300])),
        like_days=int(random.choice([3, 2, 4])),
        min_like_days=int(random.choice([1, 2])),
        use_profile=bool(random.random() < 0.7),
        replace_provisional=bool(random.random() < 0.7),
    )


def registered(random: np.random.Generator, minutes: int) -> SeriesTable:
    profiles = np.array(["H0", "G0", "H25", None], dtype=object)
    return SeriesTable(
        point_id=np.array([f"P{number}" for number in range(SERIES)], dtype=object),
        obis_code=np.array([IMPORT, IMPORT, "1-0:1.8.0", EXPORT], dtype=object),
        interval_minutes=np.full(SERIES, minutes, dtype=np.int16),
        limit_kw=np.full(SERIES, np.nan),
        federal_state=np.array([STATES[random.integers(0, 3)] for _ in range(SERIES)], dtype=object),
        annual_kwh=random.choice([3_500.0, 1_234.567, np.nan], SERIES),
        load_profile=random.choice(profiles, SERIES),
    )


@settings(max_examples=examples(0.6), suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])
@given(
    st.integers(0, 2**32 - 1),
    # The days themselves and the Sundays after them, whose like days the changes of the clocks are.
    st.sampled_from([*DAYS, SPRING_DAY.plus(7), AUTUMN_DAY.plus(7)]),
    st.sampled_from([30, 60]),
)
def test_estimation_agrees_with_the_oracle(seed, today, minutes):
    random = np.random.default_rng(seed)
    holidays = {
        state: {today.day - timedelta(days=int(back)) for back in random.integers(0, 29, random.integers(0, 4))}
        for state in STATES
    }
    parameters = random_parameters(random)
    rules = RuleSet(prolonged_estimation_days=int(random.choice([1, 2, 14])), high_low_days=int(random.choice([2, 4])))
    silent = random.random(SERIES) < 0.15
    records: dict[date, list[list[dict]]] = {}
    for offset in range(-28, 2):
        day = today.plus(offset)
        if offset == 0 or random.random() < 0.95:
            records[day.day] = [random_day(random, day.slots(minutes), silent=quiet) for quiet in silent]
    grids = {day: as_grid(DeliveryDay(day), minutes, rows) for day, rows in records.items()}
    series = registered(random, minutes)
    calendars = {state: LikeDays(holidays[state]) for state in STATES}
    basis = Basis(
        series,
        DictHistory(grids),
        calendars.__getitem__,
        load_profiles(),
        DayRules(rules=rules, estimation=parameters),
    )
    cleaned = clean_shard(today, grids[today.day], basis)
    clean = cleaned.grid

    looked_at = set()
    for row in range(SERIES):
        days = oracle.Days(ZONE, minutes, {day: rows[row] for day, rows in records.items()})
        own_holidays = holidays[series.federal_state[row]]
        profile = profile_of(series, row, today.day, minutes, own_holidays)
        for slot, expected in enumerate(oracle.clean_series(today.day, days, own_holidays, parameters, profile)):
            method, reason = int(clean.method[row, slot]), int(clean.reason[row, slot])
            computed = (
                int(clean.value[row, slot]) if clean.has_value[row, slot] else None,
                STATUS_NAMES[clean.status[row, slot]],
                None if method == NO_CODE else METHOD_NAMES[method],
                None if reason == NO_CODE else REASON_NAMES[reason],
            )
            assert computed == expected, (seed, row, slot)
        looked_at |= days.looked_at
        computed = {flag: bool(clean.flags[row, 0] & flag) for flag in (Flag.HIGH_LOW, Flag.PROLONGED_ESTIMATION)}
        assert computed == {
            Flag.HIGH_LOW: oracle.is_high_or_low(today.day, days, own_holidays, rules),
            Flag.PROLONGED_ESTIMATION: oracle.is_estimated_too_long(today.day, days, rules),
        }, (seed, row)
    assert cleaned.grid_days == looked_at


def profile_of(series: SeriesTable, row: int, day: date, minutes: int, holidays: set[date]):
    """The estimate of a slot by the series' load profile; None without profile or forecast, and for an export."""
    name, annual = series.load_profile[row], series.annual_kwh[row]
    if name is None or np.isnan(annual) or series.obis_code[row] == EXPORT:
        return lambda index: None
    exact = Fraction(str(annual))
    values = oracle_profiles.micro_kwh(name, day, ZONE, minutes, exact, day in holidays)
    return values.__getitem__
