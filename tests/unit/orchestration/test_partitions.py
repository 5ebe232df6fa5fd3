from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.orchestration.partitions import delivery_days, ranges
from metrify_assets.settings import Settings

DAYS = st.lists(st.dates(date(2026, 1, 1), date(2026, 3, 31)), max_size=60)


@given(DAYS, st.integers(1, 40))
def test_ranges_hold_every_day_once_and_nothing_else(days, longest):
    spans = ranges(days, longest)
    held = [first + timedelta(n) for first, last in spans for n in range((last - first).days + 1)]
    assert held == sorted(set(days))
    assert all((last - first).days < longest for first, last in spans)


@given(DAYS)
def test_ranges_break_only_where_a_day_is_missing(days):
    spans = ranges(days, 1_000)
    assert all((second[0] - first[1]).days > 1 for first, second in pairwise(spans))


def test_a_range_is_cut_at_the_longest_length():
    days = [date(2026, 3, 1) + timedelta(n) for n in range(5)]
    assert ranges(days, 2) == [(days[0], days[1]), (days[2], days[3]), (days[4], days[4])]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland"])
def test_partitions_go_from_the_first_day_to_today_in_local_time(zone):
    settings = Settings(first_day=date(2026, 3, 1), timezone=zone)
    now = datetime(2026, 3, 10, 23, 30, tzinfo=ZoneInfo(zone))
    keys = delivery_days(settings).get_partition_keys(current_time=now)
    assert keys[0] == "2026-03-01"
    assert keys[-1] == "2026-03-10"


def test_a_partition_of_a_clock_change_is_23_or_25_hours_long():
    days = delivery_days(Settings())
    for key, hours in (("2026-03-29", 23), ("2026-03-30", 24), ("2025-10-26", 25)):
        window = days.time_window_for_partition_key(key)
        assert (window.end.timestamp() - window.start.timestamp()) / 3_600 == hours
