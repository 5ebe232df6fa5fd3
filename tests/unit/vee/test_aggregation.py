"""Finer deliveries added up to the registry's interval."""

from __future__ import annotations

import numpy as np

from metrify_assets.vee.codes import Flag, Severity, SourceStatus
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.units import LARGEST_MICRO_KWH
from metrify_assets.vee.validate import validate_shard
from tests.unit.vee.builders import IMPORT, MICRO, PLAIN_DAY, UNKNOWN_CODE, deliveries, kwh, read, series_table

MINUTE = 60_000_000
START = PLAIN_DAY.start


def grid_of(*rows: dict, minutes: int = 15, code: str = IMPORT, rules: DayRules | None = None):
    table = series_table((code, minutes, np.nan))
    (grid,), tally = validate_shard(PLAIN_DAY, table, deliveries(list(rows)), None, rules or DayRules())
    assert tally.balances
    return grid, tally


def parts(values: list[float | None], length: int = 5, begin: int = 0, **changes: object) -> list[dict]:
    starts = range(START + begin * MINUTE, START + (begin + length * len(values)) * MINUTE, length * MINUTE)
    return [read(start, value, minutes=length, **changes) for start, value in zip(starts, values, strict=True)]


def test_three_times_five_minutes_are_a_quarter_of_an_hour():
    grid, tally = grid_of(*parts([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert (grid.delivered[0, :3] / MICRO).tolist() == [0.6, 1.5, 0]
    assert grid.flags[0, 0] == Flag.AGGREGATED | Flag.INTERVAL_SIZE
    assert (tally.current, tally.measured) == (6, 6)


def test_the_sum_of_some_parts_is_not_the_energy_of_the_slot():
    grid, tally = grid_of(*parts([0.1, 0.2]), *parts([0.1, None, 0.1], begin=15))
    assert not grid.has_value.any()
    assert [int(flags) for flags in grid.flags[0, :2]] == [Flag.GAP | Flag.INTERVAL_SIZE] * 2
    assert (tally.current, tally.off_grid) == (5, 5)


def test_a_part_that_cannot_be_never_displaces_one_that_can():
    late = read(START + 10 * MINUTE, -0.05, minutes=5, received_at=1_900_000_000_000_000)
    grid, tally = grid_of(*parts([0.1, 0.2, 0.3]), late)
    assert grid.delivered[0, 0] == kwh(0.6)
    assert not grid.flags[0, 0] & Flag.REFUSED
    assert (tally.measured, tally.superseded) == (3, 1)


def test_a_delivery_of_the_right_interval_stands_above_finer_ones():
    grid, tally = grid_of(*parts([0.1, 0.2, 0.3]), read(START, 0.7))
    assert grid.delivered[0, 0] == kwh(0.7)
    assert not grid.flags[0, 0] & Flag.AGGREGATED
    assert (tally.measured, tally.off_grid) == (1, 3)


def test_the_longest_parts_count():
    grid, tally = grid_of(*parts([0.1] * 12), *parts([0.4, 0.4], length=30), minutes=60)
    assert grid.delivered[0, 0] == kwh(0.8)
    assert (tally.measured, tally.off_grid) == (2, 12)


def test_a_sum_is_only_as_good_as_its_weakest_part_and_as_late_as_its_last():
    rows = parts([0.1, 0.2, 0.3])
    rows[1] |= {"source_status": SourceStatus.PROVISIONAL, "received_at": rows[0]["received_at"] + 9}
    grid, _ = grid_of(*rows)
    assert grid.source_status[0, 0] == SourceStatus.PROVISIONAL
    assert grid.received_at[0, 0] == rows[1]["received_at"]


def test_a_drifting_clock_of_finer_parts_is_snapped_and_flagged():
    rows = parts([0.1, 0.2, 0.3])
    for row in rows:
        row["start"] -= 20_000_000
    grid, _ = grid_of(*rows)
    assert grid.delivered[0, 0] == kwh(0.6)
    assert grid.flags[0, 0] & Flag.CLOCK_DRIFT
    assert not grid.flags[0, 1] & Flag.INTERVAL_SIZE


def test_a_negative_part_refuses_the_sum_as_the_rule_on_negative_values_says():
    rows = parts([0.5, -0.1, 0.5])
    grid, _ = grid_of(*rows)
    assert grid.flags[0, 0] & Flag.NEGATIVE
    assert grid.refused[0, 0]
    warning = DayRules(rules=RuleSet(severities=(("negative", Severity.WARN),)))
    grid, _ = grid_of(*rows, rules=warning)
    assert grid.flags[0, 0] & Flag.NEGATIVE
    assert grid.valid[0, 0]
    grid, _ = grid_of(*rows, code=UNKNOWN_CODE)
    assert not grid.flags[0, 0] & Flag.NEGATIVE


def test_a_sum_that_no_number_can_hold_is_the_largest_one_and_refused():
    rows = parts([10**12 - 1] * 12)
    grid, _ = grid_of(*rows, minutes=60)
    assert grid.delivered[0, 0] == LARGEST_MICRO_KWH
    assert grid.flags[0, 0] & Flag.PHYSICAL_LIMIT
    grid, _ = grid_of(*parts([1 - 10**12] * 12), minutes=60, code=UNKNOWN_CODE)
    assert grid.delivered[0, 0] == -LARGEST_MICRO_KWH
    assert grid.refused[0, 0]


def test_parts_that_do_not_divide_the_slot_are_off_grid():
    grid, tally = grid_of(*parts([0.1, 0.2, 0.3], length=10))
    assert not grid.has_value.any()
    assert tally.off_grid == 3
