from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import NO_STATE, Tally, ValidatedGrid
from metrify_assets.vee.parameters import RuleSet
from metrify_assets.vee.rulebook import uniform
from metrify_assets.vee.validate import validate_shard
from tests.unit.vee.builders import (
    AUTUMN_DAY,
    EXPORT,
    IMPORT,
    MICRO,
    PLAIN_DAY,
    RECEIVED,
    SPRING_DAY,
    UNKNOWN_CODE,
    berlin,
    deliveries,
    full_day,
    read,
    register,
    series_table,
)

MORNING = berlin("2026-03-10 08:00")
EIGHT = 32  # slot that starts at 08:00
RULES = uniform(RuleSet())


def validate(rows, day=PLAIN_DAY, series=None, following=None) -> tuple[ValidatedGrid, Tally]:
    """Validate into the only grid."""
    later = None if following is None else deliveries(following)
    grids, tally = validate_shard(day, series or series_table(), deliveries(rows), later, RULES)
    assert len(grids) == 1
    assert tally.balances
    return grids[0], tally


def at_eight(rows, **options) -> dict:
    grid, _ = validate(rows, **options)
    return {
        "kwh": grid.delivered[0, EIGHT] / MICRO if grid.has_value[0, EIGHT] else None,
        "status": SourceStatus(int(grid.source_status[0, EIGHT])),
        "version": int(grid.version[0, EIGHT]),
        "flags": Flag(int(grid.flags[0, EIGHT])),
        "received_at": int(grid.received_at[0, EIGHT]),
    }


# --- the grid ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "slots"), [(SPRING_DAY, 92), (PLAIN_DAY, 96), (AUTUMN_DAY, 100)])
def test_a_complete_day_is_measured_throughout(day, slots):
    grid, tally = validate(full_day(day), day=day)
    assert grid.delivered.shape == (1, slots)
    assert grid.valid.all()
    assert not grid.flags.any()
    assert tally == Tally(raw=slots, current=slots, measured=slots)


def test_both_passes_of_the_repeated_hour_have_their_own_slot():
    first, second = berlin("2026-10-25 02:15"), berlin("2026-10-25 02:15", fold=1)
    grid, _ = validate([read(first, 1.0), read(second, 2.0)], day=AUTUMN_DAY)
    assert grid.delivered[0, [9, 13]].tolist() == [1_000_000, 2_000_000]
    assert grid.has_value.sum() == 2


def test_every_expected_slot_without_a_delivery_is_a_gap_at_head_and_tail_too():
    grid, tally = validate(full_day(PLAIN_DAY)[2:-1])
    assert np.flatnonzero(grid.flags[0] & Flag.GAP).tolist() == [0, 1, 95]
    assert tally.measured == 93


def test_a_series_without_any_delivery_has_a_row_of_gaps():
    grid, tally = validate([])
    assert (grid.flags == Flag.GAP).all()
    assert not grid.valid.any()
    assert not grid.refused.any()
    assert tally == Tally()


def test_a_shard_without_series_has_no_grid():
    nothing = series_table().__class__(*(np.empty(0, dtype=t) for t in (object, object, np.int16, float)))
    grids, tally = validate_shard(PLAIN_DAY, nothing, deliveries([read(MORNING, 1.0, series=-1)]), None, RULES)
    assert grids == []
    assert tally == Tally(raw=1, current=1, unassigned=1)


def test_each_resolution_has_its_own_grid():
    series = series_table((IMPORT, 60, 10.0), (IMPORT, 15, 10.0), (EXPORT, 60, 10.0), (IMPORT, 30, 10.0))
    rows = [read(MORNING, number + 1.0, series=number, minutes=m) for number, m in enumerate([60, 15, 60, 30])]
    grids, tally = validate_shard(PLAIN_DAY, series, deliveries(rows), None, RULES)
    assert [grid.interval_minutes for grid in grids] == [15, 30, 60]
    assert [grid.series.tolist() for grid in grids] == [[1], [3], [0, 2]]
    assert [grid.delivered.shape for grid in grids] == [(1, 96), (1, 48), (2, 24)]
    assert grids[2].delivered[:, 8].tolist() == [1_000_000, 3_000_000]
    assert tally.measured == 4
    assert tally.balances


def test_a_series_whose_interval_does_not_divide_the_day_has_no_slots_on_it():
    series = series_table((IMPORT, 1_440, 10.0))
    row = read(SPRING_DAY.start, 5.0, minutes=1_440)
    grids, tally = validate_shard(SPRING_DAY, series, deliveries([row]), None, RULES)
    assert grids == []
    assert tally == Tally(raw=1, current=1, off_grid=1)


@pytest.mark.parametrize(
    "change",
    [
        {"start": PLAIN_DAY.start - 15 * 60_000_000},
        {"start": PLAIN_DAY.end},
        {"start": MORNING + 181_000_000},
        {"start": MORNING - 180_000_001},
        {"minutes": 30},
        {"minutes": 5},
    ],
)
def test_what_fits_no_expected_slot_is_off_grid(change):
    grid, tally = validate([read(MORNING, 1.0) | change])
    assert not grid.has_value.any()
    assert tally == Tally(raw=1, current=1, off_grid=1)


def test_what_no_registry_knows_is_unassigned():
    grid, tally = validate([read(MORNING, 1.0, series=-1), read(MORNING, 1.0, series=-1)])
    assert not grid.has_value.any()
    assert tally == Tally(raw=2, current=2, unassigned=2)


def test_a_delivery_beyond_the_series_table_is_an_error():
    with pytest.raises(ValueError, match="outside of the series table of 1 rows"):
        validate([read(MORNING, 1.0, series=1)])
    with pytest.raises(ValueError, match="outside of the series table of 1 rows"):
        validate([read(MORNING, 1.0, series=-2)])


# --- versions ---------------------------------------------------------------------------------------------------------


def test_an_identical_redelivery_changes_nothing_but_a_flag():
    rows = [read(MORNING, 1.0), read(MORNING, 1.0, received_at=RECEIVED + 5)]
    assert at_eight(rows) == {
        "kwh": 1.0,
        "status": SourceStatus.MEASURED,
        "version": 1,
        "flags": Flag.DUPLICATE,
        "received_at": RECEIVED + 5,
    }
    assert validate(rows)[1] == Tally(raw=2, current=1, identical=1, measured=1)


def test_a_differing_value_that_arrives_later_is_a_new_version():
    rows = [read(MORNING, 2.0, received_at=RECEIVED + 5), read(MORNING, 1.0)]
    slot = at_eight(rows)
    assert (slot["kwh"], slot["version"], slot["flags"]) == (2.0, 2, Flag.NEW_VERSION)
    assert validate(rows)[1] == Tally(raw=2, current=1, superseded=1, measured=1)


def test_the_larger_order_wins_among_values_received_together():
    assert at_eight([read(MORNING, 2.0, order=7), read(MORNING, 1.0, order=3)])["kwh"] == 2.0


def test_a_measurement_outranks_a_later_substitute_and_that_a_later_provisional_value():
    measured = read(MORNING, 1.0)
    substitute = read(MORNING, 2.0, source_status=SourceStatus.SUBSTITUTE, received_at=RECEIVED + 1)
    provisional = read(MORNING, 3.0, source_status=SourceStatus.PROVISIONAL, received_at=RECEIVED + 2)
    assert at_eight([provisional, measured, substitute])["kwh"] == 1.0
    assert at_eight([provisional, substitute])["kwh"] == 2.0


def test_a_later_blank_does_not_displace_a_value():
    slot = at_eight([read(MORNING, 1.0), read(MORNING, None, received_at=RECEIVED + 1)])
    assert (slot["kwh"], slot["version"], slot["flags"]) == (1.0, 2, Flag.NEW_VERSION)


def test_a_later_value_that_cannot_be_does_not_displace_one_that_can():
    later = {"received_at": RECEIVED + 1}
    rows = [read(MORNING, 1.0), read(MORNING, -1.0, **later), read(MORNING, 50.0, **later)]
    grid, tally = validate(rows, series=series_table((IMPORT, 15, 30.0)))
    assert (grid.delivered[0, EIGHT], Flag(int(grid.flags[0, EIGHT]))) == (1_000_000, Flag.NEW_VERSION)
    assert tally == Tally(raw=3, current=1, superseded=2, measured=1)


def test_versions_count_distinct_values_and_all_blanks_as_one():
    rows = [read(MORNING, value) for value in (1.0, 2.0, None, 1.0, None, 3.0, 3.0)]
    slot = at_eight(rows)
    assert (slot["kwh"], slot["version"], slot["flags"]) == (3.0, 4, Flag.DUPLICATE | Flag.NEW_VERSION)
    assert validate(rows)[1] == Tally(raw=7, current=1, identical=1, superseded=5, measured=1)


def test_a_zero_is_another_value_than_a_blank():
    rows = [read(MORNING, 0.0), read(MORNING, None)]
    slot = at_eight(rows)
    assert (slot["kwh"], slot["version"], slot["flags"]) == (0.0, 2, Flag.NEW_VERSION)


def test_two_deliveries_that_cannot_be_told_apart_are_an_error():
    with pytest.raises(ValueError, match="order must be unique"):
        validate([read(MORNING, 1.0, order=1), read(MORNING, 2.0, order=1)])


# --- rules on values --------------------------------------------------------------------------------------------------


def test_a_blank_is_delivered_and_refused():
    slot = at_eight([read(MORNING, None)])
    assert slot == {
        "kwh": None,
        "status": SourceStatus.MISSING,
        "version": 1,
        "flags": Flag.BLANK | Flag.REFUSED,
        "received_at": RECEIVED,
    }
    assert validate([read(MORNING, None)])[1] == Tally(raw=1, current=1, refused=1)


def test_a_value_that_its_sender_calls_missing_is_kept_and_refused():
    rows = [read(MORNING, 1.0, source_status=SourceStatus.MISSING)]
    slot = at_eight(rows)
    assert (slot["kwh"], slot["flags"]) == (1.0, Flag.BLANK | Flag.REFUSED)
    assert validate(rows)[1].refused == 1


def test_a_negative_value_is_kept_and_refused():
    grid, tally = validate([read(MORNING, -1.0)])
    assert grid.delivered[0, EIGHT] == -1_000_000
    assert Flag(int(grid.flags[0, EIGHT])) == Flag.NEGATIVE | Flag.REFUSED
    assert grid.refused[0, EIGHT]
    assert tally == Tally(raw=1, current=1, refused=1)


def test_a_negative_value_stands_where_the_channel_has_a_sign():
    grid, _ = validate([read(MORNING, -1.0)], series=series_table((UNKNOWN_CODE, 15, np.nan)))
    assert grid.valid[0, EIGHT]


def test_a_value_beyond_the_connection_is_refused_and_no_spike():
    rows = full_day(PLAIN_DAY)
    rows[EIGHT] = read(MORNING, 50.0)
    slot = at_eight(rows, series=series_table((IMPORT, 15, 30.0)))
    assert (slot["kwh"], slot["flags"]) == (50.0, Flag.PHYSICAL_LIMIT | Flag.REFUSED)


def test_a_spike_is_flagged_and_stands():
    rows = full_day(PLAIN_DAY)
    rows[EIGHT] = read(MORNING, 5.0)
    grid, tally = validate(rows, series=series_table((IMPORT, 15, 30.0)))
    assert np.flatnonzero(grid.flags[0]).tolist() == [EIGHT]
    # 5 kWh are off the median of the hours around it, too.
    assert Flag(int(grid.flags[0, EIGHT])) == Flag.SPIKE | Flag.ROBUST_OUTLIER
    assert tally.measured == 96


def test_a_stuck_meter_is_flagged_and_stands():
    rows = full_day(PLAIN_DAY)
    for slot in range(40, 48):
        rows[slot]["value"] = 123_456
    grid, _ = validate(rows)
    assert np.flatnonzero(grid.flags[0] & Flag.STUCK).tolist() == list(range(40, 48))
    assert grid.valid.all()


def test_a_day_of_zeros_is_flagged_and_stands():
    grid, _ = validate([row | {"value": 0} for row in full_day(PLAIN_DAY)])
    assert (grid.flags == Flag.ZERO_RUN).all()
    assert grid.valid.all()


# --- registers --------------------------------------------------------------------------------------------------------


def test_the_difference_of_two_register_reads_is_the_slot_between_them():
    rows = [
        register(MORNING, 100.0),
        register(MORNING + 15 * 60_000_000, 100.25, received_at=RECEIVED + 9),
    ]
    slot = at_eight(rows)
    assert slot == {
        "kwh": 0.25,
        "status": SourceStatus.MEASURED,
        "version": 1,
        "flags": Flag.FROM_REGISTER,
        "received_at": RECEIVED + 9,
    }
    grid, tally = validate(rows)
    assert grid.has_value.sum() == 1
    assert tally == Tally(register_reads=2)


def test_the_last_slot_is_closed_by_the_first_read_of_the_next_day():
    last = berlin("2026-03-10 23:45")
    closing = [register(PLAIN_DAY.end, 7.5), register(PLAIN_DAY.end + 15 * 60_000_000, 9.0)]
    grid, tally = validate([register(last, 7.0)], following=closing)
    assert grid.delivered[0, 95] == 500_000
    assert grid.has_value.sum() == 1
    assert tally == Tally(register_reads=1)
    without, _ = validate([register(last, 7.0)])
    assert not without.has_value.any()
    assert without.flags[0, 95] == Flag.GAP


def test_hourly_registers_cover_the_day_of_25_hours():
    instants = [*AUTUMN_DAY.slot_starts(60).tolist()]
    rows = [register(instant, 10.0 + 0.5 * number, minutes=60) for number, instant in enumerate(instants)]
    closing = [register(AUTUMN_DAY.end, 10.0 + 0.5 * 25, minutes=60)]
    grid, _ = validate(rows, day=AUTUMN_DAY, series=series_table((IMPORT, 60, np.nan)), following=closing)
    assert grid.delivered.tolist() == [[500_000] * 25]
    assert grid.delivered.sum() == 12_500_000


def test_a_missing_register_read_leaves_two_gaps():
    instants = PLAIN_DAY.slot_starts(15)[:5].tolist()
    rows = [register(instant, 1.0 + number) for number, instant in enumerate(instants) if number != 2]
    grid, _ = validate(rows)
    assert np.flatnonzero(grid.has_value[0]).tolist() == [0, 3]


UNREADABLE = Flag.FROM_REGISTER | Flag.NEGATIVE | Flag.REGISTER_DECREASE | Flag.REFUSED


def test_a_register_that_goes_down_is_refused():
    slot = at_eight([register(MORNING, 100.0), register(MORNING + 15 * 60_000_000, 99.0)])
    assert (slot["kwh"], slot["flags"]) == (-1.0, UNREADABLE)


def test_a_register_that_goes_down_is_refused_on_a_channel_of_unknown_direction_too():
    rows = [register(MORNING, 100.0), register(MORNING + 15 * 60_000_000, 99.0)]
    slot = at_eight(rows, series=series_table((UNKNOWN_CODE, 15, np.nan)))
    assert slot["flags"] == UNREADABLE & ~Flag.NEGATIVE


def test_a_register_read_that_does_not_fit_its_neighbours_leaves_two_gaps():
    quarter = 15 * 60_000_000
    rows = [register(MORNING, 5.0), register(MORNING + quarter, -1.0), register(MORNING + 2 * quarter, 6.0)]
    grid, _ = validate(rows)
    slots = np.flatnonzero(grid.flags[0] & Flag.REGISTER_DECREASE).tolist()
    assert slots == [EIGHT, EIGHT + 1]
    assert not grid.has_value[0, slots].any()


def test_a_negative_register_state_refuses_the_difference():
    slot = at_eight([register(MORNING, -1.0), register(MORNING + 15 * 60_000_000, 2.0)])
    assert (slot["kwh"], slot["flags"]) == (3.0, UNREADABLE & ~Flag.REGISTER_DECREASE)


def test_a_counter_that_passes_its_highest_state_has_rolled_over():
    # Five whole digits: 99,999.9 is followed by 0.
    series = series_table((IMPORT, 15, 30.0))
    series.modulus[0] = 100_000 * 1_000_000
    rows = [register(MORNING, 99_999.5), register(MORNING + 15 * 60_000_000, 0.25)]
    slot = at_eight(rows, series=series)
    assert (slot["kwh"], slot["flags"]) == (0.75, Flag.FROM_REGISTER | Flag.REGISTER_ROLLOVER)


def test_a_transformer_ratio_multiplies_the_difference():
    series = series_table((IMPORT, 15, 3_000.0))
    series.multiplier[0] = 40_000
    assert at_eight([register(MORNING, 1.0), register(MORNING + 15 * 60_000_000, 1.5)], series=series)["kwh"] == 20.0


def test_at_an_exchange_the_states_of_the_registry_stand():
    # The old meter ends with the day at 500; the read at midnight is the new one's, which began at 3.
    series = series_table((IMPORT, 15, 30.0))
    series.closing[0] = 500 * 1_000_000
    last = berlin("2026-03-10 23:45")
    grid, _ = validate([register(last, 499.5)], series=series, following=[register(PLAIN_DAY.end, 3.0)])
    assert grid.delivered[0, 95] == 500_000
    assert Flag(int(grid.flags[0, 95])) == Flag.FROM_REGISTER | Flag.METER_EXCHANGE


def test_a_counter_that_ends_with_an_unknown_state_leaves_its_last_slot_open():
    series = series_table((IMPORT, 15, 30.0))
    series.closing[0] = NO_STATE
    rows = [register(berlin("2026-03-10 23:30"), 499.0), register(berlin("2026-03-10 23:45"), 499.5)]
    # The read at midnight, 3 kWh or 600, is one of the next counter.
    for state in (3.0, 600.0):
        grid, _ = validate(rows, series=series, following=[register(PLAIN_DAY.end, state)])
        assert grid.delivered[0, 94:].tolist() == [500_000, 0]
        assert grid.has_value[0, 94:].tolist() == [True, False]
        assert Flag(int(grid.flags[0, 95])) == Flag.GAP


def test_a_blank_register_read_is_no_read():
    grid, _ = validate([register(MORNING, 1.0), register(MORNING + 15 * 60_000_000, None)])
    assert not grid.has_value.any()


def test_an_interval_delivery_wins_over_the_registers_around_it():
    rows = [register(MORNING, 100.0), register(MORNING + 15 * 60_000_000, 100.25), read(MORNING, 0.2)]
    slot = at_eight(rows)
    assert (slot["kwh"], slot["flags"]) == (0.2, Flag(0))


def test_a_corrected_register_read_is_a_new_version_of_both_slots_it_bounds():
    quarter = 15 * 60_000_000
    rows = [
        register(MORNING, 1.0),
        register(MORNING + quarter, 2.0),
        register(MORNING + quarter, 2.5, received_at=RECEIVED + 1),
        register(MORNING + 2 * quarter, 3.0),
    ]
    grid, tally = validate(rows)
    assert grid.delivered[0, [EIGHT, EIGHT + 1]].tolist() == [1_500_000, 500_000]
    assert grid.version[0, [EIGHT, EIGHT + 1]].tolist() == [2, 2]
    assert tally == Tally(register_reads=4)


def test_the_difference_is_only_as_good_as_the_weaker_read():
    closing = register(MORNING + 15 * 60_000_000, 2.0, source_status=SourceStatus.PROVISIONAL)
    assert at_eight([register(MORNING, 1.0), closing])["status"] == SourceStatus.PROVISIONAL


# --- laws -------------------------------------------------------------------------------------------------------------

PLANES = ("delivered", "has_value", "source_status", "version", "flags", "received_at")


TWO_SERIES = series_table((IMPORT, 60, np.nan), (UNKNOWN_CODE, 60, np.nan))


@st.composite
def small_shards(draw) -> tuple[DeliveryDay, list[dict]]:
    """A day and rows that compete for few cells; some fit no slot, some have no registry entry."""
    day = draw(st.sampled_from([SPRING_DAY, PLAIN_DAY, AUTUMN_DAY]))
    starts = day.slot_starts(60).tolist()[:4]
    row = st.fixed_dictionaries(
        {
            "series": st.integers(-1, 1),
            "start": st.sampled_from([*starts, starts[1] + 7, day.end]),
            "minutes": st.sampled_from([60, 60, 60, 30]),
            "value": st.integers(-1, 2),
            "is_null": st.booleans(),
            "is_register": st.booleans(),
            "source_status": st.integers(0, 3),
            "received_at": st.integers(RECEIVED, RECEIVED + 2),
        }
    )
    rows = draw(st.lists(row, max_size=40))
    return day, [delivery | {"order": number} for number, delivery in enumerate(rows)]


def computed(day: DeliveryDay, rows: list[dict]) -> tuple[ValidatedGrid, Tally]:
    (grid,), tally = validate_shard(day, TWO_SERIES, deliveries(rows), None, RULES)
    return grid, tally


@given(small_shards(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_in_the_arrays_never_matters(shard, random):
    day, rows = shard
    shuffled = random.sample(rows, len(rows))
    first, first_tally = computed(day, rows)
    second, second_tally = computed(day, shuffled)
    assert first_tally == second_tally
    for plane in PLANES:
        assert (getattr(first, plane) == getattr(second, plane)).all()


@given(small_shards())
def test_delivering_everything_twice_changes_no_value(shard):
    day, rows = shard
    again = [row | {"order": row["order"] + len(rows)} for row in rows]
    first, first_tally = computed(day, rows)
    second, second_tally = computed(day, rows + again)
    for plane in ("delivered", "has_value", "source_status", "version", "received_at", "refused"):
        assert (getattr(first, plane) == getattr(second, plane)).all()
    assert (second_tally.measured, second_tally.refused) == (first_tally.measured, first_tally.refused)
    assert second_tally.raw == 2 * first_tally.raw


@given(small_shards())
def test_nothing_is_dropped_and_nothing_counted_twice(shard):
    day, rows = shard
    grid, tally = computed(day, rows)
    assert tally.balances
    assert tally.raw == sum(not row["is_register"] for row in rows)
    assert tally.register_reads == sum(row["is_register"] for row in rows)
    assert tally.unassigned == sum(row["series"] < 0 and not row["is_register"] for row in rows)
    from_interval = (grid.version > 0) & ((grid.flags & Flag.FROM_REGISTER) == 0)
    assert tally.measured == (from_interval & grid.valid).sum()
    assert tally.refused == (from_interval & ~grid.valid).sum()


@given(small_shards())
def test_a_slot_is_valid_refused_or_a_gap_and_only_one_of_them(shard):
    grid, _ = computed(*shard)
    is_gap = (grid.flags & Flag.GAP) != 0
    assert (grid.valid.astype(int) + grid.refused + is_gap == 1).all()
    assert (grid.delivered[~grid.has_value] == 0).all()


def test_validation_leaves_its_input_alone():
    rows = deliveries([*full_day(PLAIN_DAY), read(MORNING, 9.0), register(MORNING, 1.0)])
    before = {name: array.copy() for name, array in rows.__dict__.items()}
    validate_shard(PLAIN_DAY, series_table(), rows, rows, RULES)
    assert all((getattr(rows, name) == array).all() for name, array in before.items())


def test_a_day_in_another_zone_has_its_own_grid():
    day = DeliveryDay(date(2026, 3, 10), "Europe/London")
    grid, _ = validate(full_day(day), day=day)
    assert grid.starts[0] == berlin("2026-03-10 01:00")
    assert grid.valid.all()
