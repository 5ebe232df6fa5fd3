"""Register reads against intervals: worked examples, laws, and a slow second implementation on random weeks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from metrify_assets.vee.codes import Flag, Method, Severity, Status
from metrify_assets.vee.constraints import DayBrackets, Span, constrain, span_of
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import (
    METHOD_CODE,
    METHOD_NAMES,
    NO_CODE,
    REASON_NAMES,
    STATUS_CODE,
    STATUS_NAMES,
    CleanGrid,
)
from metrify_assets.vee.parameters import RuleSet
from tests.unit.vee import oracle_registers as oracle
from tests.unit.vee.builders import AUTUMN_DAY, MICRO, PLAIN_DAY, SPRING_DAY, kwh

RULES = RuleSet()
HOUR = 3_600_000_000
MOST = kwh(6)
OWN = (Method.LINEAR, Method.LIKE_DAY, Method.PROFILE)
OTHERS = (None, Method.MANUAL, Method.SENDER_SUBSTITUTE, Method.DOCUMENTED_ZERO)
STATUS_OF = {None: Status.MEASURED, Method.MANUAL: Status.VALIDATED}


def clean_grid(day: DeliveryDay, rows: list[list[tuple[int | None, Method | None]]]) -> CleanGrid:
    """An hourly clean grid of (micro-kWh or None, method)."""
    shape = (len(rows), day.slots(60))
    method = [[NO_CODE if how is None else METHOD_CODE[how] for _, how in row] for row in rows]
    status = [
        [STATUS_CODE[Status.MISSING if value is None else STATUS_OF.get(how, Status.ESTIMATED)] for value, how in row]
        for row in rows
    ]
    zeros = np.zeros(shape, dtype=np.int64)
    return CleanGrid(
        series=np.arange(shape[0], dtype=np.int32),
        interval_minutes=60,
        starts=day.slot_starts(60),
        value=np.array([[value or 0 for value, _ in row] for row in rows], dtype=np.int64),
        has_value=np.array([[value is not None for value, _ in row] for row in rows]),
        status=np.array(status, dtype=np.int8),
        method=np.array(method, dtype=np.int8),
        reason=np.full(shape, NO_CODE, dtype=np.int8),
        flags=np.zeros(shape, dtype=np.int32),
        version=zeros.astype(np.int16),
        received_at=zeros,
        delivered=zeros,
        has_delivered=zeros.astype(bool),
    )


def one_day(row: list, energy: float, rules: RuleSet = RULES, most: float = 1_000, **changes: object) -> CleanGrid:
    """A plain day of one series, given for its first slots, in one bracket of so many kWh around those."""
    values = [(None if value is None else kwh(value), how) for value, how in row]
    grid = clean_grid(PLAIN_DAY, [values + [(0, None)] * (24 - len(values))])
    columns = {"row": 0, "first": 0, "end": len(values), "energy": kwh(energy), "unit": 0, "flags": 0} | changes
    brackets = DayBrackets(**{name: np.array([value]) for name, value in columns.items()})
    constrain(grid, brackets, Span.nothing(1), Span.nothing(1), rules, np.array([kwh(most)]))
    return grid


def test_estimates_share_what_the_register_leaves_for_them():
    # 10 kWh counted, 4 measured: the estimates 1 and 2 become 2 and 4.
    grid = one_day([(4, None), (1, Method.LINEAR), (2, Method.LIKE_DAY)], 10)
    assert (grid.value[0, :3] / MICRO).tolist() == [4, 2, 4]
    assert [METHOD_NAMES[code] for code in grid.method[0, 1:3]] == [Method.REGISTER_SCALED] * 2
    # What was scaled keeps its name; what was not has none.
    assert [METHOD_NAMES[code] for code in grid.scaled_method[0, 1:3]] == [Method.LINEAR, Method.LIKE_DAY]
    assert set(grid.scaled_method[0].tolist()) - set(grid.scaled_method[0, 1:3].tolist()) == {NO_CODE}
    assert grid.status[0, 0] == STATUS_CODE[Status.MEASURED]


def test_a_negative_scale_is_refused_and_flagged():
    grid = one_day([(4, None), (1, Method.LINEAR)], 3)
    assert (grid.value[0, :2] / MICRO).tolist() == [4, 1]
    assert METHOD_NAMES[grid.method[0, 1]] == Method.LINEAR
    assert (grid.scaled_method == NO_CODE).all()
    assert grid.flags[0, 0] & Flag.SCALE_REFUSED


def test_an_estimate_never_becomes_more_than_the_connection_carries():
    # 8 kWh are left for one estimate of 1 kWh: more than 7.9 kWh in an hour.
    row = [(4, None), (1, Method.LINEAR)]
    grid = one_day(row, 12, most=7.9)
    assert (grid.value[0, :2] / MICRO).tolist() == [4, 1]
    assert grid.flags[0, :2].tolist() == [Flag.SCALE_REFUSED | Flag.SUM_CHECK] * 2
    assert grid.status[0, 0] == STATUS_CODE[Status.PROVISIONAL]
    assert one_day(row, 12, most=8).value[0, 1] == kwh(8)


def test_the_largest_estimate_of_all_days_decides_on_each_of_them():
    grid = clean_grid(PLAIN_DAY, [[(kwh(1), Method.LINEAR)] * 24])
    bracket = DayBrackets(*(np.array([value]) for value in (0, 0, 24, kwh(60), 0, 0)))
    other = replace(Span.nothing(1), **{name: np.array([kwh(6)]) for name in ("estimated", "largest")})
    # Twice as much: the 6 kWh of the other day would be 12.
    constrain(grid, bracket, other, Span.nothing(1), RULES, np.array([kwh(11)]))
    assert (grid.value[0] == kwh(1)).all()
    assert grid.flags[0, 0] & Flag.SCALE_REFUSED


@pytest.mark.parametrize(("energy", "refused"), [(14, False), (14.1, True)])
def test_estimates_are_scaled_tenfold_at_most(energy, refused):
    grid = one_day([(4, None), (1, Method.LINEAR)], energy)
    assert bool(grid.flags[0, 1] & Flag.SCALE_REFUSED) == refused
    assert bool(grid.flags[0, 0] & Flag.SUM_CHECK) == refused


def test_estimates_of_nothing_cannot_be_scaled_to_something():
    assert one_day([(4, None), (0, Method.LINEAR)], 5).flags[0, 1] & Flag.SCALE_REFUSED
    assert not one_day([(4, None), (0, Method.LINEAR)], 4).flags[0, 1] & Flag.SCALE_REFUSED


def test_estimates_that_are_negative_in_sum_are_not_scaled():
    grid = one_day([(4, None), (-1, Method.LINEAR)], 10)
    assert (grid.value[0, :2] / MICRO).tolist() == [4, -1]
    assert grid.flags[0, 1] & Flag.SCALE_REFUSED


def test_a_bracket_with_a_missing_slot_is_neither_checked_nor_scaled():
    grid = one_day([(4, None), (1, Method.LINEAR), (None, None)], 100)
    assert (grid.value[0, :2] / MICRO).tolist() == [4, 1]
    assert not grid.flags.any()


def test_a_register_that_goes_down_constrains_nothing():
    grid = one_day([(4, None), (1, Method.LINEAR)], -1, flags=int(Flag.REGISTER_DECREASE))
    assert grid.value[0, 1] == MICRO
    assert grid.flags[0, :3].tolist() == [Flag.REGISTER_DECREASE, Flag.REGISTER_DECREASE, 0]


@pytest.mark.parametrize(("energy", "fails"), [(50, False), (50.5, False), (50.52, True), (49.52, False), (49.4, True)])
def test_a_sum_may_be_off_by_a_hundredth(energy, fails):
    # 50 kWh measured; 1 % of the register difference is tolerated.
    grid = one_day([(25, None), (25, None)], energy)
    assert bool(grid.flags[0, 0] & Flag.SUM_CHECK) == fails
    assert grid.status[0, 0] == STATUS_CODE[Status.PROVISIONAL if fails else Status.MEASURED]
    assert (grid.value[0, :2] / MICRO).tolist() == [25, 25]


@pytest.mark.parametrize(("unit", "fails"), [(0, True), (10_000, True), (500_000, False)])
def test_a_sum_may_be_off_by_two_steps_of_the_register(unit, fails):
    grid = one_day([(1, None), (1, None)], 3, unit=unit)
    assert bool(grid.flags[0, 0] & Flag.SUM_CHECK) == fails


def test_a_sum_check_that_only_warns_leaves_the_status_alone():
    grid = one_day([(1, None)], 3, replace(RULES, severities=(("sum_check", Severity.WARN),)))
    assert grid.flags[0, 0] & Flag.SUM_CHECK
    assert grid.status[0, 0] == STATUS_CODE[Status.MEASURED]


def test_measured_values_that_exceed_the_register_alone_fail_the_sum_check():
    grid = one_day([(40, None), (1, Method.LINEAR)], 3)
    assert grid.flags[0, 0] & Flag.SUM_CHECK


# --- random weeks -----------------------------------------------------------------------------------------------------

WEEK = 4
ROWS = 3


def random_slot(random: np.random.Generator, estimated: float) -> tuple[int | None, Method | None]:
    draw = random.random()
    if draw < 0.002:
        return None, None
    if draw < estimated:
        return int(random.choice([0, random.integers(0, 3 * MICRO), 333_333])), OWN[random.integers(0, 3)]
    return int(random.integers(0, 2 * MICRO)), OTHERS[random.choice([0, 0, 0, 0, 1, 2, 3])]


def random_brackets(random: np.random.Generator, begin: int, end: int, slots: dict[int, dict]) -> list[dict]:
    """Brackets one after the other, with gaps between some; the energy mostly near what the slots hold."""
    hours = (end - begin) // HOUR
    edges = sorted(random.choice(np.arange(-3, hours + 4), int(random.integers(2, 6)), replace=False).tolist())
    rows = []
    for first, last in pairwise(edges):
        if random.random() < 0.2:
            continue
        instants = range(begin + first * HOUR, begin + last * HOUR, HOUR)
        held = sum(slots[instant]["value"] or 0 for instant in instants if instant in slots)
        energy = int(held * random.choice([1, 1, 1.001, 0.995, 1.02, 0.5, 3.7])) + int(random.integers(-3, 4))
        unit = int(random.choice([0, 10_000, 1_000_000]))
        rows.append({"start": instants.start, "end": instants.stop, "energy": energy, "unit": unit, "flags": Flag(0)})
    return rows


def slots_of(grids: dict[DeliveryDay, CleanGrid], row: int) -> dict[int, dict]:
    """What the grids say of a series, by the start of the slot."""
    slots = {}
    for grid in grids.values():
        for slot, start in enumerate(grid.starts.tolist()):
            method, reason = int(grid.method[row, slot]), int(grid.reason[row, slot])
            slots[start] = {
                "value": int(grid.value[row, slot]) if grid.has_value[row, slot] else None,
                "status": STATUS_NAMES[grid.status[row, slot]],
                "method": None if method == NO_CODE else METHOD_NAMES[method],
                "reason": None if reason == NO_CODE else REASON_NAMES[reason],
                "flags": Flag(int(grid.flags[row, slot])),
            }
    return slots


def on_day(day: DeliveryDay, brackets: list[list[dict]]) -> tuple[DayBrackets, list[tuple[int, dict]]]:
    """The brackets that overlap a day, as the core takes them, and which they are."""
    touching = [
        (row, bracket)
        for row, of_row in enumerate(brackets)
        for bracket in of_row
        if bracket["start"] < day.end > day.start
    ]
    touching = [(row, bracket) for row, bracket in touching if bracket["end"] > day.start]
    columns = [
        (
            row,
            (max(bracket["start"], day.start) - day.start) // HOUR,
            (min(bracket["end"], day.end) - day.start) // HOUR,
            bracket["energy"],
            bracket["unit"],
            int(bracket["flags"]),
        )
        for row, bracket in touching
    ]
    return DayBrackets(*np.array(columns, dtype=np.int64).reshape(-1, 6).T), touching


def outside(
    day: DeliveryDay, grids: dict[DeliveryDay, CleanGrid], touching: list[tuple[int, dict]]
) -> tuple[Span, Span]:
    """What the brackets hold before and after a day; hours that no grid holds are missing."""
    sides = (Span.nothing(len(touching)), Span.nothing(len(touching)))
    first, last = min(grids, key=lambda item: item.start), max(grids, key=lambda item: item.end)
    for number, (row, item) in enumerate(touching):
        sides[0].missing[number] += item["start"] < first.start
        sides[1].missing[number] += item["end"] > last.end
        for other, grid in grids.items():
            low, high = max(item["start"], other.start), min(item["end"], other.end)
            if other is day or low >= high:
                continue
            piece = span_of(
                grid,
                np.array([row]),
                np.array([(low - other.start) // HOUR]),
                np.array([(high - other.start) // HOUR]),
            )
            side = sides[0] if other.start < day.start else sides[1]
            for name in ("actual", "estimated", "estimates", "missing"):
                getattr(side, name)[number] += getattr(piece, name)[0]
            side.largest[number] = max(side.largest[number], piece.largest[0])
    return sides


@pytest.mark.parametrize("middle", [SPRING_DAY, PLAIN_DAY, AUTUMN_DAY], ids=["spring", "plain", "autumn"])
def test_constraints_agree_with_the_oracle_on_random_weeks(middle):
    days = [middle.plus(offset) for offset in range(-1, WEEK - 1)]
    seen = Flag(0)
    scaled_brackets = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        estimated = [random.choice([0.0, 0.1, 0.6]) for _ in range(ROWS)]
        rows = {
            day: [[random_slot(random, share) for _ in range(day.slots(60))] for share in estimated] for day in days
        }
        before = {day: clean_grid(day, rows[day]) for day in days}
        expected = [slots_of(before, row) for row in range(ROWS)]
        brackets = [random_brackets(random, days[0].start, days[-1].end, slots) for slots in expected]
        for row, slots in enumerate(expected):
            oracle.constrain_series(slots, brackets[row], HOUR, RULES, MOST)

        after = {day: clean_grid(day, rows[day]) for day in days}
        for day, grid in after.items():
            # Each day by itself, from what the other days were before any scaling.
            day_brackets, touching = on_day(day, brackets)
            most = np.full(len(day_brackets), MOST)
            constrain(grid, day_brackets, *outside(day, before, touching), RULES, most)
        for row, slots in enumerate(expected):
            seen |= compare(slots_of(after, row), slots)
            for bracket in brackets[row]:
                instants = range(bracket["start"], bracket["end"], HOUR)
                if any("exact" in slots.get(instant, {}) for instant in instants):
                    scaled_brackets += 1
                    got = slots_of(after, row)
                    assert sum(got[instant]["value"] for instant in instants) == bracket["energy"]
    assert scaled_brackets > 100
    assert seen & Flag.SUM_CHECK
    assert seen & Flag.SCALE_REFUSED


def compare(computed: dict[int, dict], expected: dict[int, dict]) -> Flag:
    seen = Flag(0)
    for instant, slot in expected.items():
        got = computed[instant]
        seen |= got["flags"]
        assert {name: got[name] for name in ("status", "method", "reason")} == {
            name: slot[name] for name in ("status", "method", "reason")
        }
        assert got["flags"] & ~Flag.SCALE_REFUSED == slot["flags"]
        # Where a day holds estimates of a refused bracket, all of that day's slots in it say so.
        assert not slot.get("refused") or got["flags"] & Flag.SCALE_REFUSED
        if "exact" in slot:
            assert abs(got["value"] - slot["exact"]) <= Fraction(1)
            assert got["value"] >= 0
        else:
            assert got["value"] == slot["value"]
    return seen
