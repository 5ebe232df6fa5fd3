"""The grid against a slow second implementation, slot by slot, on random input; days of 23 and 25 hours included."""

from datetime import date, timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrify_assets.vee.clean import clean_shard
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_NAMES, NO_CODE, REASON_NAMES, STATUS_NAMES, ValidatedGrid
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.validate import validate_shard
from tests.unit.vee import oracle
from tests.unit.vee.builders import (
    AUTUMN_DAY,
    IMPORT,
    MICRO,
    PLAIN_DAY,
    RECEIVED,
    SPRING_DAY,
    UNKNOWN_CODE,
    DictHistory,
    deliveries,
    series_table,
)

ZONE = "Europe/Berlin"
# (code, minutes, limit kW or None): two resolutions, both kinds of channel, with and without a limit.
ENTRIES = [(IMPORT, 15, 8.0), (UNKNOWN_CODE, 15, None), (IMPORT, 60, None), (IMPORT, 15, None)]
FEW_RUNS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAYS = [SPRING_DAY, PLAIN_DAY, AUTUMN_DAY]


def random_rows(random: np.random.Generator, day: DeliveryDay, *, registers: bool) -> list[dict]:
    """Rows of all series: mostly complete, with runs of one value, gaps, repetitions, faults and strangers."""
    rows = []
    for number, (_, minutes, _) in enumerate(ENTRIES):
        starts = day.slot_starts(minutes).tolist()
        level = int(random.choice([0, 120_000, 700_000]))
        state = int(random.integers(0, 10**9))
        only_registers = registers and number == 3
        faults = random.choice([0.0, 0.1, 0.6])
        restlessness = random.choice([0.3, 0.3, 0.02, 0.0])
        for start in [*starts, day.end] if only_registers else starts:
            if random.random() < restlessness:
                level = int(random.choice([0, 1, 333_333, 500_000, 2_200_000, 2_200_001, 4_000_000]))
            state += level
            for _ in range(int(random.choice([0, 1, 2, 3], p=[faults / 2, 1 - faults, faults / 4, faults / 4]))):
                noise = int(random.choice([0, 1, -5_000_000])) if random.random() < faults / 2 else 0
                rows.append(
                    {
                        "series": number if random.random() > faults / 20 else -1,
                        "start": start + (1 if random.random() < faults / 20 else 0),
                        "minutes": minutes,
                        "value": (state if only_registers else level) + noise,
                        "is_null": bool(random.random() < faults / 6),
                        "is_register": only_registers,
                        "source_status": 3 if random.random() > faults / 2 else int(random.integers(0, 4)),
                        "received_at": RECEIVED + int(random.integers(0, 3)),
                    }
                )
    random.shuffle(rows)
    return [row | {"order": order} for order, row in enumerate(rows)]


def expected_series(day: DeliveryDay, number: int, rows: list[dict], following: list[dict]) -> list[dict]:
    code, minutes, limit_kw = ENTRIES[number]
    return oracle.validate_series(day.day, ZONE, number, minutes, code == IMPORT, limit_kw, rows, following, RuleSet())


@FEW_RUNS
@given(st.integers(0, 2**32 - 1), st.sampled_from(DAYS), st.booleans())
def test_validation_agrees_with_the_oracle(seed, day, registers):
    rows = random_rows(np.random.default_rng(seed), day, registers=registers)
    # Reads at the day's end belong to the next day's rows.
    following = [row for row in rows if row["start"] >= day.end]
    rows = [row for row in rows if row["start"] < day.end]
    table = series_table(*((code, minutes, np.nan if limit is None else limit) for code, minutes, limit in ENTRIES))
    grids, tally = validate_shard(day, table, deliveries(rows), deliveries(following), RuleSet())
    assert tally.balances

    measured = refused = 0
    for grid in grids:
        for row, number in enumerate(grid.series.tolist()):
            for slot, expected in enumerate(expected_series(day, number, rows, following)):
                found = {
                    "value": int(grid.delivered[row, slot]) if grid.has_value[row, slot] else None,
                    "status": int(grid.source_status[row, slot]),
                    "version": int(grid.version[row, slot]),
                    "flags": Flag(int(grid.flags[row, slot])),
                    "received_at": int(grid.received_at[row, slot]),
                }
                assert found == {name: expected[name] for name in found}, (number, slot)
                measured += expected["from_interval"] and oracle.stands(expected)
                refused += expected["from_interval"] and not oracle.stands(expected)
    assert (tally.measured, tally.refused) == (measured, refused)


def random_record(random: np.random.Generator, faults: float) -> dict:
    """One validated slot."""
    draw = random.random()
    record = {"value": int(random.integers(0, 5 * MICRO)), "status": 3, "flags": Flag(0)}
    if draw < faults * 0.5:
        return record | {"value": None, "status": 0, "flags": random.choice([Flag.GAP, Flag.BLANK])}
    if draw < faults * 0.8:
        return record | {"flags": Flag(int(random.choice([Flag.NEGATIVE, Flag.PHYSICAL_LIMIT])))}
    if draw < faults:
        return record | {"status": int(random.choice([SourceStatus.PROVISIONAL, SourceStatus.SUBSTITUTE]))}
    return record


def random_day(random: np.random.Generator, slots: int) -> list[dict]:
    """A validated day: clean, with single faults, or with one long gap that may touch an edge."""
    records = [random_record(random, random.choice([0.0, 0.0, 0.04])) for _ in range(slots)]
    if random.random() < 0.3:
        first = int(random.choice([0, 1, slots // 2, slots - 2]))
        length = int(random.choice([1, 2, 3, 8, 9, slots]))
        for slot in range(first, min(first + length, slots)):
            records[slot] = {"value": None, "status": 0, "flags": Flag.GAP}
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


@FEW_RUNS
@given(
    st.integers(0, 2**32 - 1),
    # The days themselves and the Sundays after them, whose like days the changes of the clocks are.
    st.sampled_from([*DAYS, SPRING_DAY.plus(7), AUTUMN_DAY.plus(7)]),
    st.sampled_from([30, 60]),
    st.lists(st.integers(1, 28), max_size=4),
)
def test_estimation_agrees_with_the_oracle(seed, today, minutes, holidays_back):
    random = np.random.default_rng(seed)
    holidays = {today.day - timedelta(days=back) for back in holidays_back}
    parameters = EstimationParameters()
    series = 3
    records: dict[date, list[list[dict]]] = {}
    for offset in range(-28, 2):
        day = today.plus(offset)
        if offset == 0 or random.random() < 0.9:
            records[day.day] = [random_day(random, day.slots(minutes)) for _ in range(series)]
    grids = {day: as_grid(DeliveryDay(day), minutes, rows) for day, rows in records.items()}
    clean, looked_at = clean_shard(today, grids[today.day], DictHistory(grids), LikeDays(holidays), parameters)

    expected_days = set()
    for row in range(series):
        days = oracle.Days(ZONE, minutes, {day: rows[row] for day, rows in records.items()})
        for slot, expected in enumerate(oracle.clean_series(today.day, days, holidays, parameters)):
            method, reason = int(clean.method[row, slot]), int(clean.reason[row, slot])
            found = (
                int(clean.value[row, slot]) if clean.has_value[row, slot] else None,
                STATUS_NAMES[clean.status[row, slot]],
                None if method == NO_CODE else METHOD_NAMES[method],
                None if reason == NO_CODE else REASON_NAMES[reason],
            )
            assert found == expected, (row, slot)
        expected_days |= days.looked_at
    assert looked_at == expected_days
