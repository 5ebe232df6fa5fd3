"""Brackets between register reads: worked examples, and a slow second implementation on random reads."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from metrify_assets.vee.brackets import CounterTable, find_brackets
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.grid import UNKNOWN_STATE
from metrify_assets.vee.parameters import RuleSet
from tests.unit.vee import oracle_registers as oracle
from tests.unit.vee.builders import MICRO, kwh

RULES = RuleSet()
FOREVER = np.iinfo(np.int64).max
DAY = 86_400_000_000


def always(read_at: np.ndarray) -> np.ndarray:
    """The share of a counter's range by which it may roll over, at any instant."""
    return np.full(len(read_at), RULES.register_rollover_percent)


def counter(**fields: object) -> dict:
    """A counter in service for ever of which nothing is known."""
    unknown = {"start": 0, "end": None, "initial": None, "final": None, "modulus": 0}
    return unknown | {"multiplier": Fraction(1), "resolution": 0} | fields


def table(counters: list[tuple[int, dict]]) -> CounterTable:
    def column(of) -> np.ndarray:
        return np.array([of(row) for _, row in counters], dtype=np.int64)

    return CounterTable(
        register=np.array([number for number, _ in counters], dtype=np.int64),
        start=column(lambda row: row["start"]),
        end=column(lambda row: FOREVER if row["end"] is None else row["end"]),
        modulus=column(lambda row: row["modulus"]),
        multiplier=column(lambda row: row["multiplier"] * 1_000),
        resolution=column(lambda row: row["resolution"]),
        initial=column(lambda row: UNKNOWN_STATE if row["initial"] is None else row["initial"]),
        final=column(lambda row: UNKNOWN_STATE if row["final"] is None else row["final"]),
    )


def found(reads: list[tuple[int, float]], *counters: dict) -> list[tuple]:
    """Brackets of one register: (start in days, end in days, kWh, flags)."""
    brackets = find_brackets(
        np.zeros(len(reads), dtype=np.int64),
        np.array([day * DAY for day, _ in reads], dtype=np.int64),
        np.array([kwh(state) for _, state in reads], dtype=np.int64),
        table([(0, row) for row in counters or (counter(),)]),
        always,
    )
    return [
        (int(start) / DAY, int(end) / DAY, int(energy) / MICRO, Flag(int(flags)))
        for start, end, energy, flags in zip(brackets.start, brackets.end, brackets.energy, brackets.flags, strict=True)
    ]


def test_reads_in_any_order_make_brackets_that_meet():
    assert found([(3, 130.0), (1, 100.0), (2, 112.5)]) == [(1, 2, 12.5, Flag(0)), (2, 3, 17.5, Flag(0))]


def test_one_read_or_none_makes_no_bracket():
    assert found([]) == []
    assert found([(1, 100.0)]) == []


def test_an_exchange_is_two_brackets_of_two_counters():
    old = counter(end=5 * DAY, final=kwh(140))
    new = counter(start=5 * DAY, initial=kwh(2))
    assert found([(1, 100.0), (9, 10.0)], old, new) == [
        (1, 5, 40.0, Flag.METER_EXCHANGE),
        (5, 9, 8.0, Flag.METER_EXCHANGE),
    ]


def test_a_read_at_the_instant_of_the_exchange_is_the_new_counters_and_the_registry_stands_above_it():
    old = counter(end=5 * DAY, final=kwh(140))
    assert found([(1, 100.0), (5, 1.0), (9, 10.0)], old, counter(start=5 * DAY)) == [
        (1, 5, 40.0, Flag.METER_EXCHANGE),
        (5, 9, 9.0, Flag(0)),
    ]
    assert found([(5, 1.0), (9, 10.0)], counter(start=5 * DAY, initial=kwh(2))) == [(5, 9, 8.0, Flag.METER_EXCHANGE)]


def test_an_exchange_without_declared_states_leaves_the_days_around_it_without_a_bracket():
    old, new = counter(end=5 * DAY), counter(start=5 * DAY)
    assert found([(1, 100.0), (4, 130.0), (6, 3.0), (9, 10.0)], old, new) == [
        (1, 4, 30.0, Flag(0)),
        (6, 9, 7.0, Flag(0)),
    ]


def test_a_final_state_without_an_end_of_service_says_nothing():
    assert found([(1, 100.0), (2, 101.0)], counter(final=kwh(140))) == [(1, 2, 1.0, Flag(0))]


def test_a_roll_over_counts_on_and_the_multiplier_counts_the_whole():
    rolling = counter(modulus=kwh(1_000), multiplier=Fraction(40))
    assert found([(1, 995.0), (2, 5.0)], rolling) == [(1, 2, 400.0, Flag.REGISTER_ROLLOVER)]


def test_a_read_that_does_not_fit_its_neighbours_is_left_out_and_flagged():
    assert found([(1, 100.0), (2, 90.0), (3, 120.0)]) == [(1, 3, 20.0, Flag.REGISTER_DECREASE)]
    assert found([(1, 100.0), (2, 9_000.0), (3, 120.0)]) == [(1, 3, 20.0, Flag.REGISTER_DECREASE)]


def test_a_fall_that_nothing_mends_is_a_negative_bracket():
    assert found([(1, 100.0), (2, 90.0)]) == [(1, 2, -10.0, Flag.REGISTER_DECREASE)]


def test_reads_outside_of_any_service_are_left_out():
    assert found([(1, 100.0), (2, 101.0)], counter(start=3 * DAY)) == []
    assert found([(1, 100.0), (2, 101.0), (9, 500.0)], counter(end=3 * DAY)) == [(1, 2, 1.0, Flag(0))]


def test_of_two_reads_at_one_instant_the_first_given_counts():
    assert found([(1, 100.0), (2, 110.0), (2, 111.0)]) == [(1, 2, 10.0, Flag(0))]


def test_absurd_states_do_not_wrap_around():
    huge = 10**12 - 1
    assert [energy for _, _, energy, _ in found([(1, 0), (2, huge)], counter(multiplier=Fraction(4_000)))] == [
        pytest.approx(10**12, rel=1e-3)
    ]


def random_register(random: np.random.Generator) -> tuple[dict[int, int], list[dict]]:
    """Reads of some weeks at hours of any days, and the counters in service one after the other."""
    changes = sorted(random.choice(np.arange(1, 40), int(random.choice([0, 0, 1, 2])), replace=False).tolist())
    counters = []
    edges = [int(random.choice([0, 5])) if not changes else 0, *changes, None]
    for start, end in pairwise(edges):
        state = int(random.choice([0, kwh(9_990), kwh(5_000)]))
        counters.append(
            counter(
                start=start * DAY,
                end=None if end is None else end * DAY,
                initial=state if random.random() < 0.6 else None,
                final=state + kwh(30) if random.random() < 0.6 else None,
                modulus=int(random.choice([0, kwh(10_000)])),
                multiplier=Fraction(int(random.choice([1_000, 40_000, 333])), 1_000),
                resolution=int(random.choice([0, 1, 10_000])),
            )
            | {"state": state}
        )
    reads = {}
    for hour in sorted(random.integers(0, 45 * 24, random.integers(0, 12)).tolist() + [day * 24 for day in changes]):
        instant = hour * DAY // 24
        serving = [row for row in counters if row["start"] <= instant and (row["end"] is None or instant < row["end"])]
        state = (serving[-1]["state"] if serving else 0) + int(random.integers(0, kwh(25)))
        if serving:
            serving[-1]["state"] = state
            if serving[-1]["modulus"]:
                state %= serving[-1]["modulus"]
        if random.random() < 0.1:
            state += int(random.choice([-kwh(50), kwh(3_000), -(10**10)]))
        reads[instant] = state
    return reads, counters


def test_brackets_agree_with_the_oracle_on_random_registers():
    random = np.random.default_rng(7)
    for _ in range(150):
        registers = [random_register(random) for _ in range(8)]
        rows = [(number, at, state) for number, (reads, _) in enumerate(registers) for at, state in reads.items()]
        random.shuffle(rows)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
        brackets = find_brackets(
            columns[:, 0],
            columns[:, 1],
            columns[:, 2],
            table([(number, row) for number, (_, counters) in enumerate(registers) for row in counters]),
            always,
        )
        names = ("register", "start", "end", "energy", "unit", "flags")
        got = list(zip(*(getattr(brackets, name).tolist() for name in names), strict=True))
        expected = [
            (number, row["start"], row["end"], row["energy"], row["unit"], int(row["flags"]))
            for number, (reads, counters) in enumerate(registers)
            for row in oracle.brackets(reads, counters, RULES)
        ]
        assert got == expected


def test_brackets_are_joined_where_a_read_is_to_be_left_out():
    brackets = find_brackets(
        np.zeros(4, dtype=np.int64),
        np.array([1, 2, 3, 4]) * DAY,
        np.array([kwh(state) for state in (10, 11, 13, 17)]),
        table([(0, counter())]),
        always,
    )
    joined, first, last = brackets.joined(np.array([True, False, True]))
    assert (joined.start // DAY).tolist() == [1, 3]
    assert (joined.end // DAY).tolist() == [3, 4]
    assert (joined.energy // MICRO).tolist() == [3, 4]
    assert (first.tolist(), last.tolist()) == ([0, 2], [1, 2])
