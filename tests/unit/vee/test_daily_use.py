"""Rules that look at whole days, against examples worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from metrify_assets.vee.daily_use import high_low, prolonged_estimation
from metrify_assets.vee.history import DayTotals
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import RuleSet
from tests.unit.vee.builders import kwh

TODAY = date(2026, 3, 10)
RULES = RuleSet()


class Totals:
    """Totals of one series by date: kWh of a complete day, or "incomplete", "silent", "unregistered"."""

    def __init__(self, days: dict[int, float | str]):
        self.days = {TODAY - timedelta(days=back): total for back, total in days.items()}

    def __call__(self, day: date, rows: np.ndarray) -> DayTotals | None:
        if day not in self.days:
            return None
        total = self.days[day]
        number = isinstance(total, float)
        return DayTotals(
            energy=np.array([kwh(total) if number else 0]),
            complete=np.array([number]),
            measured_slots=np.array([0 if total in ("silent", "unregistered") else 24]),
            registered=np.array([total != "unregistered"]),
        )


def is_found(use: float, days: dict[int, float | str], rules: RuleSet = RULES, holidays: tuple[date, ...] = ()) -> bool:
    return bool(high_low(TODAY, np.array([kwh(use)]), np.array([0]), Totals(days), LikeDays(holidays), rules).mask[0])


@pytest.mark.parametrize(
    ("use", "expected"), [(20, False), (10, False), (9.9, True), (40, False), (40.1, True), (0, True)]
)
def test_a_use_outside_of_half_and_double_the_mean_is_found(use, expected):
    assert is_found(use, {7: 18.0, 14: 22.0}) == expected


def test_a_small_difference_is_none_whatever_its_share():
    assert not is_found(1.4, {7: 0.5, 14: 0.5})
    assert is_found(1.5, {7: 0.5, 14: 0.5})


def test_a_small_home_whose_use_halves_is_found():
    assert is_found(2.9, {7: 6.0, 14: 6.0})


def test_two_complete_days_of_the_same_kind_are_needed():
    assert not is_found(100, {7: 10.0})
    assert not is_found(100, {7: 10.0, 14: "incomplete"})
    assert not is_found(100, {6: 10.0, 8: 10.0})
    assert is_found(100, {7: "incomplete", 14: 10.0, 21: 10.0})


def test_only_the_four_nearest_days_count():
    # Four weeks back are four days; with two of them the nearest two.
    two = RuleSet(high_low_days=2)
    assert not is_found(100, {7: 60.0, 14: 60.0, 21: 1.0, 28: 1.0}, two)
    assert is_found(100, {7: 60.0, 14: 60.0, 21: 1.0, 28: 1.0})


def test_a_holiday_among_them_is_of_another_kind():
    holiday = TODAY - timedelta(days=7)
    assert not is_found(100, {7: 10.0, 14: 10.0}, holidays=(holiday,))


CHANGES = RuleSet(high_low_change_times=7)


def test_a_use_that_changes_as_much_from_day_to_day_is_usual():
    # A heat pump in a cold week: changes of 3, 3, 1, 1, 1, 1, 1, 1 kWh, the median is 1; the day before is 4 kWh off.
    heating = {1: 20.0, 2: 17.0, 3: 14.0, 4: 13.0, 5: 12.0, 6: 11.0, 7: 10.0, 8: 9.0, 9: 8.0, 14: 10.0}
    assert is_found(24, heating)
    assert not is_found(24, heating, CHANGES)
    # 7 times 1 kWh off the day before, and one micro-kWh more.
    assert not is_found(27, heating, CHANGES)
    assert is_found(27.000001, heating, CHANGES)


def test_a_wrong_day_in_the_mean_does_not_make_the_next_one_unusual():
    # The Tuesday before was all zeros, that before was as this one; the days in between use twice as much.
    office = {7: 0.0, 14: 35.0} | {back: 70.0 + back % 2 for back in (1, 2, 3, 4, 8, 9, 10, 11, 15, 16)}
    assert is_found(36, office)
    assert not is_found(36, office, CHANGES)


def test_where_the_usual_change_is_not_known_the_mean_alone_decides():
    # Seven complete days have six changes.
    assert is_found(24, {7: 10.0, 14: 10.0} | dict.fromkeys(range(1, 6), 20.0), CHANGES)
    assert not is_found(24, {7: 10.0, 14: 10.0} | {back: 20.0 + 2 * (back % 2) for back in range(1, 7)}, CHANGES)


def test_large_sums_do_not_wrap_around():
    # A connection of 1 GW over a day.
    assert not is_found(24_000_000, {7: 24_000_000.0, 14: 24_000_000.0, 21: 24_000_000.0, 28: 24_000_000.0})


def is_prolonged(days: dict[int, float | str], least_days: int) -> tuple[bool, int]:
    mask, looked_at = prolonged_estimation(TODAY, np.array([0]), Totals(days), least_days)
    return bool(mask[0]), len(looked_at)


def test_a_series_without_a_measured_value_for_days_is_found():
    silent = dict.fromkeys(range(1, 20), "silent")
    assert is_prolonged(silent, 14) == (True, 13)
    assert is_prolonged(silent | {13: 1.0}, 14) == (False, 13)
    assert is_prolonged(silent | {14: 1.0}, 14) == (True, 13)
    assert is_prolonged(silent | {3: "incomplete"}, 14) == (False, 3)
    assert is_prolonged({}, 1) == (True, 0)


@pytest.mark.parametrize("end", [{}, {2: "unregistered"}])
def test_days_before_the_series_existed_are_not_estimated_ones(end):
    assert is_prolonged({1: "silent"} | end, 3) == (False, 2)
