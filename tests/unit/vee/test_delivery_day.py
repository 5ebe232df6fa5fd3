from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.vee.delivery_day import (
    DeliveryDay,
    day_from_number,
    day_number,
    day_numbers,
    local_candidates,
    to_local,
    to_microseconds,
)
from tests.unit.vee.builders import AUTUMN_DAY, PLAIN_DAY, SPRING_DAY

HOUR = 3_600_000_000
ZONES = ["Europe/Berlin", "Europe/London", "UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]


def utc(*parts: int) -> int:
    return to_microseconds(datetime(*parts, tzinfo=UTC))


def as_wall_clock(text: str) -> int:
    return utc(*datetime.fromisoformat(text).timetuple()[:6])


def test_a_winter_day_in_berlin_starts_at_23_utc_the_day_before():
    assert DeliveryDay(date(2026, 1, 15)).start == utc(2026, 1, 14, 23)
    assert DeliveryDay(date(2026, 1, 15)).end == utc(2026, 1, 15, 23)


def test_a_summer_day_in_berlin_starts_at_22_utc_the_day_before():
    assert DeliveryDay(date(2026, 7, 15)).start == utc(2026, 7, 14, 22)


@pytest.mark.parametrize(
    ("day", "minutes", "quarter_hours"), [(SPRING_DAY, 1_380, 92), (PLAIN_DAY, 1_440, 96), (AUTUMN_DAY, 1_500, 100)]
)
def test_days_have_23_24_and_25_hours(day, minutes, quarter_hours):
    assert day.minutes == minutes
    assert day.slots(15) == quarter_hours
    assert day.slots(60) == minutes // 60


def test_march_2026_has_2972_quarter_hours():
    assert sum(DeliveryDay(date(2026, 3, day)).slots(15) for day in range(1, 32)) == 2_972


@pytest.mark.parametrize(("day", "interval"), [(SPRING_DAY, 1_440), (PLAIN_DAY, 7), (PLAIN_DAY, 0), (PLAIN_DAY, -15)])
def test_an_interval_that_does_not_divide_the_day_is_an_error(day, interval):
    with pytest.raises(ValueError, match="does not divide"):
        day.slots(interval)


def test_slots_fill_the_day_without_holes():
    starts = AUTUMN_DAY.slot_starts(15)
    assert starts[0] == AUTUMN_DAY.start
    assert starts[-1] + 15 * 60_000_000 == AUTUMN_DAY.end
    assert set(np.diff(starts)) == {15 * 60_000_000}


def test_the_hour_that_march_skips_has_no_slot():
    minutes = SPRING_DAY.local_minutes(60).tolist()
    assert minutes == [0, 60, *range(180, 1_440, 60)]


def test_the_hour_that_october_repeats_has_two():
    minutes = AUTUMN_DAY.local_minutes(60).tolist()
    assert minutes == [0, 60, 120, 120, *range(180, 1_440, 60)]


def test_a_day_further_is_a_calendar_day_not_24_hours():
    assert SPRING_DAY.plus(1) == DeliveryDay(date(2026, 3, 30))
    assert SPRING_DAY.plus(1).start == SPRING_DAY.end
    assert SPRING_DAY.plus(-7).day == date(2026, 3, 22)


def test_instants_fall_on_their_local_date():
    instants = np.array([utc(2026, 3, 9, 22, 59), utc(2026, 3, 9, 23), utc(2026, 3, 10, 22, 59), utc(2026, 7, 1, 22)])
    days = [day_from_number(number) for number in day_numbers(instants, "Europe/Berlin")]
    assert days == [date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 10), date(2026, 7, 2)]


def test_day_numbers_and_dates_are_inverse():
    assert day_number(date(1970, 1, 1)) == 0
    assert day_from_number(day_number(date(2026, 2, 28)) + 1) == date(2026, 3, 1)


def test_a_skipped_wall_clock_time_names_no_instant():
    earliest, latest = local_candidates(np.array([as_wall_clock("2026-03-29T02:30")]), "Europe/Berlin")
    assert earliest[0] > latest[0]


def test_a_repeated_wall_clock_time_names_two_instants_an_hour_apart():
    earliest, latest = local_candidates(np.array([as_wall_clock("2026-10-25T02:30")]), "Europe/Berlin")
    assert earliest[0] == utc(2026, 10, 25, 0, 30)
    assert latest[0] == utc(2026, 10, 25, 1, 30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T01:59", utc(2026, 3, 29, 0, 59)),
        ("2026-03-29T03:00", utc(2026, 3, 29, 1)),
        ("2026-10-25T01:59", utc(2026, 10, 24, 23, 59)),
        ("2026-10-25T03:00", utc(2026, 10, 25, 2)),
        ("2020-01-01T00:00", utc(2019, 12, 31, 23)),
        ("2029-12-31T23:59", utc(2029, 12, 31, 22, 59)),
    ],
)
def test_any_other_wall_clock_time_names_one_instant(text, expected):
    earliest, latest = local_candidates(np.array([as_wall_clock(text)]), "Europe/Berlin")
    assert earliest[0] == latest[0] == expected


def test_empty_arrays_stay_empty():
    nothing = np.empty(0, dtype=np.int64)
    assert to_local(nothing, "Europe/Berlin").size == 0
    assert [part.size for part in local_candidates(nothing, "Europe/Berlin")] == [0, 0]


moments = st.integers(min_value=utc(1990, 1, 1) // 1_000_000, max_value=utc(2060, 1, 1) // 1_000_000)


@given(st.lists(moments, min_size=1, max_size=20), st.sampled_from(ZONES))
def test_local_time_is_that_of_zoneinfo(seconds, zone):
    expected = []
    for second in seconds:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).astimezone(ZoneInfo(zone))
        expected.append(to_microseconds(local.replace(tzinfo=UTC)))
    assert to_local(np.array(seconds) * 1_000_000, zone).tolist() == expected


@given(moments, st.sampled_from(ZONES))
def test_the_candidates_of_a_local_time_hold_the_instant_that_it_came_from(second, zone):
    instant = np.array([second * 1_000_000])
    earliest, latest = local_candidates(to_local(instant, zone), zone)
    assert instant[0] in (earliest[0], latest[0])
    assert earliest[0] <= latest[0]


@given(st.dates(date(1990, 1, 1), date(2059, 12, 31)), st.sampled_from(ZONES))
def test_days_follow_each_other_without_holes(day, zone):
    today = DeliveryDay(day, zone)
    assert today.end == today.plus(1).start
    if today.minutes:  # Samoa skipped 2011-12-30 whole.
        assert day_numbers(np.array([today.start, today.end - 1]), zone).tolist() == [day_number(day)] * 2
