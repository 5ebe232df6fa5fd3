"""Estimation, worked by hand."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from metrify_assets.vee.codes import Flag, Method, Reason, SourceStatus, Status
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_NAMES, NO_CODE, REASON_NAMES, STATUS_NAMES, CleanGrid
from metrify_assets.vee.like_days import LikeDays, matching_slots
from metrify_assets.vee.parameters import EstimationParameters
from tests.unit.vee.builders import AUTUMN_DAY, PLAIN_DAY, SPRING_DAY, DictHistory, estimate, kwh, validated

PARAMETERS = EstimationParameters()
TODAY = PLAIN_DAY.day  # Tuesday, 10 March 2026
NO_HISTORY = DictHistory({})


def flat(day: DeliveryDay, value: float, minutes: int = 15, **holes: float | None) -> list[float | None]:
    """A day of one value, with other values in the slots named s<number>."""
    row: list[float | None] = [value] * day.slots(minutes)
    for name, other in holes.items():
        row[int(name.removeprefix("s"))] = other
    return row


def weeks_back(*weeks: int) -> list[date]:
    return [TODAY - timedelta(weeks=week) for week in weeks]


def past(values: dict[date, float], minutes: int = 15) -> DictHistory:
    """Complete days of one value each."""
    return DictHistory(
        {day: validated(DeliveryDay(day), [flat(DeliveryDay(day), v, minutes)], minutes) for day, v in values.items()}
    )


def clean(row, history=NO_HISTORY, day=PLAIN_DAY, minutes=15, holidays=(), parameters=PARAMETERS):
    return estimate(day, validated(day, [row], minutes), history, LikeDays(holidays), parameters)


def slot(grid: CleanGrid, index: int, row: int = 0) -> tuple:
    """(micro-kWh or None, status, method, reason)."""
    method, reason = grid.method[row, index], grid.reason[row, index]
    return (
        int(grid.value[row, index]) if grid.has_value[row, index] else None,
        STATUS_NAMES[grid.status[row, index]],
        None if method == NO_CODE else METHOD_NAMES[method],
        None if reason == NO_CODE else REASON_NAMES[reason],
    )


def linear(value: float) -> tuple:
    return kwh(value), Status.ESTIMATED, Method.LINEAR, Reason.GAP


def like_day(value: float) -> tuple:
    return kwh(value), Status.ESTIMATED, Method.LIKE_DAY, Reason.GAP


MISSING_GAP = (None, Status.MISSING, None, Reason.GAP)

# --- values that stand ------------------------------------------------------------------------------------------------


def test_a_complete_day_is_measured_and_looks_at_no_other_day():
    history = DictHistory({})
    grid, days = clean(flat(PLAIN_DAY, 0.5), history)
    assert {slot(grid, index) for index in range(96)} == {(500_000, Status.MEASURED, None, None)}
    assert days == frozenset()
    assert history.asked == []


def test_the_substitute_of_a_sender_and_the_edit_of_a_person_stand_under_their_own_status():
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.5)])
    source.source_status[0, 3] = SourceStatus.SUBSTITUTE
    source.source_status[0, 4] = SourceStatus.EDITED
    grid, _ = estimate(PLAIN_DAY, source, NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 3) == (500_000, Status.ESTIMATED, Method.SENDER_SUBSTITUTE, None)
    assert slot(grid, 4) == (500_000, Status.VALIDATED, Method.MANUAL, Reason.MANUAL_EDIT)


def provisional_at(first: int, last: int):
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.5, **{f"s{index}": 9.0 for index in range(first, last)})])
    source.source_status[0, first:last] = SourceStatus.PROVISIONAL
    return source


def test_an_own_estimate_takes_the_place_of_a_provisional_value():
    grid, _ = estimate(PLAIN_DAY, provisional_at(4, 6), NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 4) == (500_000, Status.ESTIMATED, Method.LINEAR, Reason.PROVISIONAL)
    assert grid.delivered[0, 4] == 9_000_000


def test_a_provisional_value_stands_where_nothing_can_be_estimated():
    grid, _ = estimate(PLAIN_DAY, provisional_at(4, 14), NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 4) == (9_000_000, Status.PROVISIONAL, None, None)


def test_a_provisional_value_stands_where_the_parameters_say_so():
    keep = EstimationParameters(replace_provisional=False)
    grid, _ = estimate(PLAIN_DAY, provisional_at(4, 6), NO_HISTORY, LikeDays(), keep)
    assert slot(grid, 4) == (9_000_000, Status.PROVISIONAL, None, None)


def test_a_declared_outage_is_zero_and_the_edge_of_a_gap():
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.6, s10=None, s11=None)])
    source.flags[0, 10] = Flag.OUTAGE
    grid, _ = estimate(PLAIN_DAY, source, NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 10) == (0, Status.ESTIMATED, Method.DOCUMENTED_ZERO, Reason.OUTAGE)
    assert slot(grid, 11) == linear(0.3)


def with_outliers(row, flag=Flag.SPIKE, slots=(), status=None):
    source = validated(PLAIN_DAY, [row])
    for index in slots:
        source.flags[0, index] |= flag
        if status is not None:
            source.source_status[0, index] = status
    return source


@pytest.mark.parametrize("flag", [Flag.SPIKE, Flag.ROBUST_OUTLIER])
@pytest.mark.parametrize(("outlier", "expected"), [(9, (0.4, 0.5)), (12, (0.3, 0.4))])
def test_an_outlier_beside_a_gap_is_no_edge_of_its_line(flag, outlier, expected):
    # Slots 10 and 11 are absent; with the outlier left out the line goes from 0.2 to 0.6 kWh over three slots.
    row = [*[0.2] * 10, None, None, *[0.6] * 84]
    row[outlier] = 9.0
    grid, _ = estimate(PLAIN_DAY, with_outliers(row, flag, [outlier]), NO_HISTORY, LikeDays(), PARAMETERS)
    assert [slot(grid, index) for index in (10, 11)] == [linear(value) for value in expected]
    # The outlier itself stands.
    assert slot(grid, outlier) == (kwh(9.0), Status.MEASURED, None, None)


def test_an_outlier_that_a_person_decided_on_is_an_edge():
    row = flat(PLAIN_DAY, 0.5, s9=2.0, s10=None)
    source = with_outliers(row, Flag.SPIKE, [9], SourceStatus.EDITED)
    grid, _ = estimate(PLAIN_DAY, source, NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 10) == linear(1.25)


def test_a_gap_that_outliers_make_longer_than_the_limit_is_left_to_the_next_method():
    # Seven slots are absent and two beside them stand out: 9 x 15 minutes are more than two hours.
    row = flat(PLAIN_DAY, 0.5, **{f"s{index}": None for index in range(10, 17)}, s9=9.0, s17=9.0)
    grid, _ = estimate(PLAIN_DAY, with_outliers(row, slots=[9, 17]), NO_HISTORY, LikeDays(), PARAMETERS)
    assert {slot(grid, index) for index in range(10, 17)} == {MISSING_GAP}
    grid, _ = estimate(PLAIN_DAY, with_outliers(row, slots=[9]), NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 10)[2] is Method.LINEAR


def test_an_outlier_at_the_end_of_the_day_before_is_no_edge_either():
    before = PLAIN_DAY.plus(-1)
    history = DictHistory({before.day: validated(before, [flat(before, 0.2, s95=9.0)])})
    history.grids[before.day].flags[0, 95] |= Flag.SPIKE
    grid, _ = clean(flat(PLAIN_DAY, 0.8, s0=None), history)
    # From 0.2 at two slots before to 0.8 at the one after: two thirds of the way.
    assert slot(grid, 0) == linear(0.6)


def test_an_outlier_without_a_gap_asks_for_no_other_day():
    history = DictHistory({})
    source = with_outliers(flat(PLAIN_DAY, 0.5, s0=9.0, s40=None), slots=[0])
    _, days = estimate(PLAIN_DAY, source, history, LikeDays(), PARAMETERS)
    assert days == frozenset()


def test_a_spike_stays_measured():
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.5)])
    source.flags[0, 3] = Flag.SPIKE
    grid, _ = estimate(PLAIN_DAY, source, NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 3) == (500_000, Status.MEASURED, None, None)
    assert grid.flags[0, 3] == Flag.SPIKE


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (Flag.BLANK, Reason.BLANK),
        (Flag.NEGATIVE, Reason.NEGATIVE),
        (Flag.PHYSICAL_LIMIT, Reason.PHYSICAL_LIMIT),
        (Flag.NEGATIVE | Flag.PHYSICAL_LIMIT | Flag.NEW_VERSION, Reason.NEGATIVE),
    ],
)
def test_a_refused_value_is_replaced_and_kept_as_delivered(flag, reason):
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.5, s10=99.0)])
    source.flags[0, 10] = flag | Flag.REFUSED
    grid, _ = estimate(PLAIN_DAY, source, NO_HISTORY, LikeDays(), PARAMETERS)
    assert slot(grid, 10) == (500_000, Status.ESTIMATED, Method.LINEAR, reason)
    assert grid.delivered[0, 10] == 99_000_000
    assert grid.has_delivered[0, 10]


def test_a_grid_of_another_day_is_an_error():
    with pytest.raises(ValueError, match="slots of 2026-03-11"):
        estimate(PLAIN_DAY.plus(1), validated(PLAIN_DAY, [flat(PLAIN_DAY, 1.0)]), NO_HISTORY, LikeDays(), PARAMETERS)


# --- linear -----------------------------------------------------------------------------------------------------------


def test_a_gap_is_interpolated_between_its_edges():
    # 0.4 ... 0.8 over three missing slots: 0.5, 0.6, 0.7.
    row = flat(PLAIN_DAY, 0.8, s10=0.4, s11=None, s12=None, s13=None)
    grid, days = clean(row)
    assert [slot(grid, index) for index in (11, 12, 13)] == [linear(0.5), linear(0.6), linear(0.7)]
    assert days == frozenset()


def test_interpolation_rounds_half_to_even():
    # Between 1 and 2 micro-kWh lies 1.5, which goes to 2; between 2 and 3 lies 2.5, which goes to 2.
    row = flat(PLAIN_DAY, 1.0, s9=0.000001, s10=None, s11=0.000002, s12=None, s13=0.000003)
    grid, _ = clean(row)
    assert grid.value[0, [10, 12]].tolist() == [2, 2]


def test_interpolation_falls_as_it_rises():
    # 1.0 down to 0.0 over two missing slots: 2/3 and 1/3.
    grid, _ = clean(flat(PLAIN_DAY, 1.0, s11=None, s12=None, s13=0.0))
    assert grid.value[0, [11, 12]].tolist() == [666_667, 333_333]


def test_two_hours_are_interpolated_and_a_slot_more_is_not():
    two_hours = {f"s{index}": None for index in range(20, 28)}
    assert slot(clean(flat(PLAIN_DAY, 0.5, **two_hours))[0], 24) == linear(0.5)
    assert slot(clean(flat(PLAIN_DAY, 0.5, **two_hours, s28=None))[0], 24) == MISSING_GAP


def test_the_longest_gap_is_a_parameter_and_counts_minutes():
    row = flat(PLAIN_DAY, 0.5, 60, s5=None, s6=None)
    assert slot(clean(row, minutes=60)[0], 5) == linear(0.5)
    one_hour = EstimationParameters(max_linear_gap_minutes=60)
    assert slot(clean(row, minutes=60, parameters=one_hour)[0], 5) == MISSING_GAP


def test_a_gap_at_the_head_uses_the_last_slot_of_the_day_before():
    # 0.2 | gap gap | 0.5: 0.3 and 0.4.
    yesterday = PLAIN_DAY.plus(-1)
    history = past({yesterday.day: 0.2})
    grid, days = clean(flat(PLAIN_DAY, 0.5, s0=None, s1=None), history)
    assert [slot(grid, index) for index in (0, 1)] == [linear(0.3), linear(0.4)]
    assert days == {yesterday.day}
    assert history.asked == [(yesterday.day, [0])]


def test_a_gap_at_the_tail_uses_the_first_slot_of_the_day_after():
    grid, days = clean(flat(PLAIN_DAY, 0.5, s95=None), past({PLAIN_DAY.plus(1).day: 0.2}))
    assert slot(grid, 95) == linear(0.35)
    assert days == {PLAIN_DAY.plus(1).day}


def test_a_gap_across_midnight_counts_with_its_full_length():
    # 0.2 | gap gap (yesterday) | gap (today) | 0.6: the third of three points is 0.5.
    yesterday = PLAIN_DAY.plus(-1)
    history = DictHistory({yesterday.day: validated(yesterday, [flat(yesterday, 0.2, s94=None, s95=None)])})
    grid, _ = clean(flat(PLAIN_DAY, 0.6, s0=None), history)
    assert slot(grid, 0) == linear(0.5)


def test_a_gap_across_midnight_that_is_too_long_in_all_is_not_interpolated():
    yesterday = PLAIN_DAY.plus(-1)
    hour_and_three_quarters = {f"s{index}": None for index in range(89, 96)}
    history = DictHistory({yesterday.day: validated(yesterday, [flat(yesterday, 0.2, **hour_and_three_quarters)])})
    assert slot(clean(flat(PLAIN_DAY, 0.6, s0=None), history)[0], 0) == linear(0.555556)
    assert slot(clean(flat(PLAIN_DAY, 0.6, s0=None, s1=None), history)[0], 0) == MISSING_GAP


@pytest.mark.parametrize("neighbour", [None, "silent"])
def test_without_a_neighbouring_value_a_gap_at_the_head_is_not_interpolated(neighbour):
    yesterday = PLAIN_DAY.plus(-1)
    silent = validated(yesterday, [[None] * 96])
    history = DictHistory({} if neighbour is None else {yesterday.day: silent})
    grid, days = clean(flat(PLAIN_DAY, 0.5, s0=None), history)
    assert slot(grid, 0) == MISSING_GAP
    assert yesterday.day in days


def test_a_neighbouring_estimate_of_the_sender_is_an_edge():
    yesterday = PLAIN_DAY.plus(-1)
    source = validated(yesterday, [flat(yesterday, 0.2)])
    source.source_status[0, 95] = SourceStatus.SUBSTITUTE
    assert slot(clean(flat(PLAIN_DAY, 0.4, s0=None), DictHistory({yesterday.day: source}))[0], 0) == linear(0.3)


def test_a_long_gap_at_the_head_asks_for_no_neighbour():
    holes = {f"s{index}": None for index in range(9)}
    _, days = clean(flat(PLAIN_DAY, 0.5, **holes))
    assert days == set(weeks_back(1, 2, 3, 4))


def test_only_the_rows_with_a_gap_at_the_edge_are_asked_for():
    rows = [
        flat(PLAIN_DAY, 0.5),
        flat(PLAIN_DAY, 0.5, s0=None),
        flat(PLAIN_DAY, 0.5, s5=None),
        flat(PLAIN_DAY, 1, s0=None),
    ]
    yesterday = PLAIN_DAY.plus(-1)
    history = DictHistory({yesterday.day: validated(yesterday, [flat(yesterday, 0.1 * row) for row in range(4)])})
    grid, _ = estimate(PLAIN_DAY, validated(PLAIN_DAY, rows), history, LikeDays(), PARAMETERS)
    assert history.asked == [(yesterday.day, [1, 3])]
    assert slot(grid, 0, row=1) == linear(0.3)
    assert slot(grid, 0, row=3) == linear(0.65)


def test_interpolation_runs_through_the_change_of_the_clocks():
    # The slots 01:45 and 03:00 of the spring day are neighbours.
    grid, _ = clean(flat(SPRING_DAY, 0.8, s6=0.2, s7=None, s8=None), day=SPRING_DAY)
    assert [slot(grid, index) for index in (7, 8)] == [linear(0.4), linear(0.6)]


# --- like day ---------------------------------------------------------------------------------------------------------

LONG_GAP = {f"s{index}": None for index in range(40, 60)}
AS_THEY_ARE = replace(PARAMETERS, like_day_level_low_percent=100, like_day_level_high_percent=100)
"""Means of like days that are not brought to the level of the day."""


def test_a_long_gap_takes_the_mean_of_the_three_nearest_like_days():
    history = past(dict(zip(weeks_back(1, 2, 3, 4), [0.1, 0.2, 0.6, 9.0], strict=True)))
    grid, days = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), history, parameters=AS_THEY_ARE)
    assert [slot(grid, index) for index in (40, 59)] == [like_day(0.3)] * 2
    assert days == set(weeks_back(1, 2, 3))


def test_each_slot_takes_its_own_local_time():
    ramp = {day: validated(DeliveryDay(day), [[0.001 * index for index in range(96)]]) for day in weeks_back(1, 2)}
    grid, _ = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), DictHistory(ramp), parameters=AS_THEY_ARE)
    assert [slot(grid, index) for index in (40, 41, 59)] == [like_day(0.040), like_day(0.041), like_day(0.059)]


def test_two_like_days_are_enough_and_one_is_not():
    two = past(dict(zip(weeks_back(2, 4), [0.1, 0.2], strict=True)))
    grid, days = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), two, parameters=AS_THEY_ARE)
    assert slot(grid, 40) == like_day(0.15)
    assert days == set(weeks_back(1, 2, 3, 4))
    single = past({weeks_back(3)[0]: 0.1})
    grid, days = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), single, parameters=AS_THEY_ARE)
    assert slot(grid, 40) == MISSING_GAP
    assert grid.value[0, 40] == 0
    assert days == set(weeks_back(1, 2, 3, 4))


def test_the_mean_is_brought_to_the_level_of_the_rest_of_the_day():
    # 76 slots of 0.5 kWh are measured, and 0.4 kWh on the like days: 1.25 times as much.
    history = past(dict(zip(weeks_back(1, 2), [0.3, 0.5], strict=True)))
    assert slot(clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), history)[0], 40) == like_day(0.5)


def test_only_the_measured_slots_tell_the_level():
    row = flat(PLAIN_DAY, 0.5, **LONG_GAP)
    today = validated(PLAIN_DAY, [row])
    today.delivered[0, :30] = 9_000_000
    today.source_status[0, :30] = SourceStatus.SUBSTITUTE
    grid, _ = estimate(PLAIN_DAY, today, past(dict.fromkeys(weeks_back(1, 2), 0.4)), LikeDays(), PARAMETERS)
    assert slot(grid, 40) == like_day(0.5)


@pytest.mark.parametrize(("use", "expected"), [(0.1, 0.2), (9.0, 0.8)])
def test_the_level_has_limits(use, expected):
    history = past(dict.fromkeys(weeks_back(1, 2), 0.4))
    assert slot(clean(flat(PLAIN_DAY, use, **LONG_GAP), history)[0], 40) == like_day(expected)


@pytest.mark.parametrize(("measured", "expected"), [(23, 0.4), (24, 0.5)])
def test_the_level_needs_six_hours_measured(measured, expected):
    holes = {f"s{index}": None for index in range(measured, 96)}
    grid, _ = clean(flat(PLAIN_DAY, 0.5, **holes), past(dict.fromkeys(weeks_back(1, 2), 0.4)))
    assert slot(grid, 90) == like_day(expected)


@pytest.mark.parametrize(("use", "usual"), [(0.0, 0.4), (0.5, 0.0)])
def test_a_sum_of_zero_tells_no_level(use, usual):
    history = past(dict.fromkeys(weeks_back(1, 2), usual))
    assert slot(clean(flat(PLAIN_DAY, use, **LONG_GAP), history)[0], 40) == like_day(usual)


def test_days_that_do_not_exist_count_as_looked_at():
    # Were they not, their arrival could never make this day dirty.
    _, days = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP))
    assert days == set(weeks_back(1, 2, 3, 4))


@pytest.mark.parametrize("fault", ["gap", "refused", "substitute", "provisional"])
def test_a_day_that_is_not_measured_throughout_is_not_eligible(fault):
    history = past(dict(zip(weeks_back(1, 2, 3, 4), [9.0, 0.1, 0.2, 0.6], strict=True)))
    nearest = history.grids[weeks_back(1)[0]]
    if fault == "gap":
        nearest.has_value[0, 0] = False
    elif fault == "refused":
        nearest.flags[0, 0] = Flag.NEGATIVE | Flag.REFUSED
    else:
        nearest.source_status[0, 0] = SourceStatus[fault.upper()]
    grid, days = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP), history, parameters=AS_THEY_ARE)
    assert slot(grid, 40) == like_day(0.3)
    assert days == set(weeks_back(1, 2, 3, 4))


def test_only_rows_that_still_need_a_day_and_are_complete_on_it_are_asked_for():
    days = weeks_back(1, 2, 3, 4)
    values = [[1.0, 2.0, 3.0]] * 4
    grids = {
        day: validated(DeliveryDay(day), [flat(PLAIN_DAY, v) for v in row])
        for day, row in zip(days, values, strict=True)
    }
    grids[days[1]].has_value[2, 7] = False  # the third series needs a fourth day
    history = DictHistory(grids)
    rows = [flat(PLAIN_DAY, 0.5, **LONG_GAP), flat(PLAIN_DAY, 0.5), flat(PLAIN_DAY, 0.5, **LONG_GAP)]
    estimate(PLAIN_DAY, validated(PLAIN_DAY, rows), history, LikeDays(), PARAMETERS)
    assert history.asked == [(days[0], [0, 2]), (days[1], [0]), (days[2], [0, 2]), (days[3], [2])]


def test_short_gaps_are_linear_beside_a_long_gap():
    history = past(dict.fromkeys(weeks_back(1, 2, 3), 0.1))
    grid, _ = clean(flat(PLAIN_DAY, 0.5, **LONG_GAP, s5=None), history, parameters=AS_THEY_ARE)
    assert slot(grid, 5) == linear(0.5)
    assert slot(grid, 45) == like_day(0.1)


def test_a_short_gap_at_the_head_without_a_neighbour_falls_back_to_like_days():
    grid, days = clean(
        flat(PLAIN_DAY, 0.5, s0=None), past(dict.fromkeys(weeks_back(1, 2, 3), 0.1)), parameters=AS_THEY_ARE
    )
    assert slot(grid, 0) == like_day(0.1)
    assert days == {PLAIN_DAY.plus(-1).day, *weeks_back(1, 2, 3)}


def test_a_silent_day_is_estimated_whole():
    grid, days = clean([None] * 96, past(dict.fromkeys(weeks_back(1, 2, 3), 0.1)))
    assert {slot(grid, index) for index in range(96)} == {like_day(0.1)}
    assert days == set(weeks_back(1, 2, 3))


# --- like days and the calendar ---------------------------------------------------------------------------------------

GOOD_FRIDAY, EASTER_MONDAY = date(2026, 4, 3), date(2026, 4, 6)
CALENDAR = LikeDays({GOOD_FRIDAY, EASTER_MONDAY})


def test_like_days_of_a_weekday_are_the_same_weekday_without_holidays():
    assert CALENDAR.candidates(date(2026, 4, 10), 28) == [date(2026, 3, 27), date(2026, 3, 20), date(2026, 3, 13)]


def test_like_days_of_a_holiday_are_sundays_and_holidays():
    assert CALENDAR.candidates(EASTER_MONDAY, 28) == [
        date(2026, 4, 5),
        GOOD_FRIDAY,
        date(2026, 3, 29),
        date(2026, 3, 22),
        date(2026, 3, 15),
    ]


def test_like_days_of_a_sunday_hold_the_holidays_between():
    assert CALENDAR.candidates(date(2026, 4, 12), 14) == [
        EASTER_MONDAY,
        date(2026, 4, 5),
        GOOD_FRIDAY,
        date(2026, 3, 29),
    ]


def test_a_slot_that_the_spring_day_skipped_takes_the_next_like_day():
    # 5 April looks at 29 March (no 02:00-03:00), 22, 15 and 8 March.
    day = DeliveryDay(date(2026, 4, 5))
    sundays = [date(2026, 3, 29), date(2026, 3, 22), date(2026, 3, 15), date(2026, 3, 8)]
    history = past(dict(zip(sundays, [0.1, 0.2, 0.6, 1.0], strict=True)))
    grid, days = clean([None] * 96, history, day=day)
    assert slot(grid, 7) == like_day(0.3)
    assert slot(grid, 8) == like_day(0.6)
    assert slot(grid, 12) == like_day(0.3)
    assert days == set(sundays)


def test_both_passes_of_the_repeated_hour_take_the_one_hour_of_an_ordinary_day():
    sundays = [AUTUMN_DAY.day - timedelta(weeks=week) for week in (1, 2)]
    ramp = {day: validated(DeliveryDay(day), [[0.1 * hour for hour in range(24)]], 60) for day in sundays}
    grid, _ = clean([None] * 25, DictHistory(ramp), day=AUTUMN_DAY, minutes=60)
    assert grid.value[0, :5].tolist() == [0, 100_000, 200_000, 200_000, 300_000]


def test_an_ordinary_day_takes_the_first_pass_of_the_repeated_hour():
    assert matching_slots(np.array([60, 120, 180]), np.array([60, 120, 120, 180])).tolist() == [0, 1, 3]
    assert matching_slots(np.array([120, 120]), np.array([60, 120, 120, 180])).tolist() == [1, 2]
    assert matching_slots(np.array([120]), np.array([60, 180])).tolist() == [-1]


def test_cleaning_leaves_the_validated_grid_alone_and_repeats_itself():
    source = validated(PLAIN_DAY, [flat(PLAIN_DAY, 0.5, **LONG_GAP, s5=None, s0=None)])
    before = {name: np.array(plane, copy=True) for name, plane in source.__dict__.items()}
    history = past(dict.fromkeys([*weeks_back(1, 2, 3), PLAIN_DAY.plus(-1).day], 0.1))
    first, first_days = estimate(PLAIN_DAY, source, history, LikeDays(), PARAMETERS)
    second, second_days = estimate(PLAIN_DAY, source, history, LikeDays(), PARAMETERS)
    assert all((getattr(source, name) == plane).all() for name, plane in before.items())
    assert all(
        (getattr(first, name) == getattr(second, name)).all() for name in ("value", "status", "method", "reason")
    )
    assert first_days == second_days


@pytest.mark.parametrize("over", [True, False])
def test_similar_days_name_the_day_beside_whose_midnight_a_gap_reaches(over):
    # Twelve days alternate between 0.2 and 0.4 kWh as a whole; the gap is the last three hours of the day.
    parameters = EstimationParameters(similar_days=5, similar_day_over_midnight=over)
    history = past({TODAY - timedelta(days=back): 0.2 + 0.2 * (back % 2) for back in range(1, 13)})
    tomorrow = PLAIN_DAY.plus(1)
    history.grids[tomorrow.day] = validated(tomorrow, [flat(tomorrow, 0.9)])
    tail = {f"s{number}": None for number in range(84, 96)}
    grid, days = clean(flat(PLAIN_DAY, 0.3, **tail), history, parameters=parameters)
    assert slot(grid, 95)[2] == Method.SIMILAR_DAY
    assert (tomorrow.day in days) == over
    # Expected are 0.3 kWh on both sides of midnight: an edge of 0.9 kWh lifts the last slot to nearly that.
    assert (grid.value[0, 95] > kwh(0.8)) == over
    assert grid.value[0, 84] < kwh(0.5)


def test_an_outlier_on_the_day_beside_is_no_edge_of_similar_days():
    parameters = EstimationParameters(similar_days=5, similar_day_over_midnight=True)
    history = past({TODAY - timedelta(days=back): 0.2 + 0.2 * (back % 2) for back in range(1, 13)})
    tomorrow = PLAIN_DAY.plus(1)
    grid = validated(tomorrow, [flat(tomorrow, 0.3, s0=0.9)])
    grid.flags[0, 0] |= np.int32(Flag.SPIKE)
    history.grids[tomorrow.day] = grid
    tail = {f"s{number}": None for number in range(84, 96)}
    cleaned, _ = clean(flat(PLAIN_DAY, 0.3, **tail), history, parameters=parameters)
    assert cleaned.value[0, 95] < kwh(0.4)
