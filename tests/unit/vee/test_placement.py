"""Which slot a delivery belongs to: drifting clocks and deliveries of another interval."""

from __future__ import annotations

import numpy as np
import pytest

from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.placement import slots_of, snap
from metrify_assets.vee.rulebook import DayRules
from metrify_assets.vee.validate import validate_shard
from tests.unit.vee.builders import AUTUMN_DAY, IMPORT, MICRO, PLAIN_DAY, deliveries, read, series_table

MINUTE = 60_000_000
SECOND = 1_000_000
START = PLAIN_DAY.start


def grid_of(*rows: dict, minutes: int = 15, day=PLAIN_DAY):
    (grid,), tally = validate_shard(
        day, series_table((IMPORT, minutes, np.nan)), deliveries(list(rows)), None, DayRules()
    )
    assert tally.balances
    return grid, tally


@pytest.mark.parametrize(
    ("seconds", "slot"),
    [(0, 0), (1, 0), (180, 0), (181, -1), (-180, 0), (-181, -1), (900, 1), (720, 1), (719, -1), (1_080, 1)],
)
def test_a_stamp_means_the_boundary_within_three_minutes(seconds, slot):
    assert snap(np.array([seconds * SECOND]), 15 * MINUTE, 180).tolist() == [slot]


def test_a_part_lies_in_its_own_slot_however_far_clocks_may_drift():
    starts = START + np.array([55, 60, 59, -1]) * MINUTE
    # A part of five minutes at 00:55 is the last one of its hour, though 10 minutes of drift reach the next hour.
    assert slots_of(PLAIN_DAY, 60, starts, np.array([5, 5, 5, 60]), 600).tolist() == [0, 1, 1, 0]


def test_half_a_slot_is_never_snapped():
    # A five-minute grid: 150 s lie in the middle, and 180 s would reach beyond it.
    assert snap(np.array([149 * SECOND, 150 * SECOND, 151 * SECOND]), 5 * MINUTE, 180).tolist() == [0, -1, 1]


def test_without_tolerance_only_the_boundary_itself_is_one():
    assert snap(np.array([-1, 0, 1]), 15 * MINUTE, 0).tolist() == [-1, 0, -1]


def test_a_drifting_stamp_is_snapped_and_flagged():
    grid, tally = grid_of(read(START + 15 * MINUTE + 59 * SECOND, 0.5), read(START + 30 * MINUTE - 59 * SECOND, 0.6))
    assert (grid.delivered[0, :4] / MICRO).tolist() == [0, 0.5, 0.6, 0]
    assert [bool(flags & Flag.CLOCK_DRIFT) for flags in grid.flags[0, :4]] == [False, True, True, False]
    assert tally.measured == 2


def test_a_stamp_a_little_before_midnight_is_the_first_slot_of_its_day():
    grid, _ = grid_of(read(START - 20 * SECOND, 0.5))
    assert grid.delivered[0, 0] == MICRO // 2
    assert grid.flags[0, 0] == Flag.CLOCK_DRIFT


def test_a_stamp_beyond_the_tolerance_is_off_grid():
    grid, tally = grid_of(read(START + 15 * MINUTE + 181 * SECOND, 0.5))
    assert not grid.has_value.any()
    assert tally.off_grid == 1


def test_a_drifting_stamp_competes_with_an_exact_one():
    grid, tally = grid_of(read(START, 0.5, received_at=1), read(START + SECOND, 0.7, received_at=2))
    assert grid.delivered[0, 0] == 0.7 * MICRO
    assert (grid.version[0, 0], tally.superseded) == (2, 1)


def test_a_coarser_delivery_is_never_split():
    grid, tally = grid_of(read(START + 60 * MINUTE, 2, minutes=60))
    assert not grid.has_value.any()
    assert np.flatnonzero(grid.flags[0] & Flag.INTERVAL_SIZE).tolist() == [4, 5, 6, 7]
    assert tally.off_grid == 1


def test_an_edit_names_a_slot_whatever_the_interval_of_its_feed():
    grid, tally = grid_of(read(START + 60 * MINUTE, 2, minutes=15, source_status=SourceStatus.EDITED), minutes=60)
    assert grid.delivered[0, 1] == 2 * MICRO
    assert not grid.flags[0, 1] & Flag.INTERVAL_SIZE
    assert (tally.measured, tally.off_grid) == (1, 0)


def test_both_passes_of_the_repeated_hour_have_their_own_stamps():
    starts = AUTUMN_DAY.slot_starts(60).tolist()
    grid, _ = grid_of(
        *(read(start + SECOND, slot, minutes=60) for slot, start in enumerate(starts)), minutes=60, day=AUTUMN_DAY
    )
    assert (grid.delivered[0] / MICRO).tolist() == list(range(25))
