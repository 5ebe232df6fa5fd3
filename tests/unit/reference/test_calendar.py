from datetime import date

import pytest

from metrify_assets.cli.dbt import holiday_seed
from metrify_assets.reference import calendar
from metrify_assets.reference.calendar import STATES, holiday_digest, holiday_rows, is_holiday, like_days_around
from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.vee.like_days import SUNDAY

REFORMATION_DAY = date(2026, 10, 31)
EPIPHANY = date(2026, 1, 6)
CORPUS_CHRISTI = date(2026, 6, 4)
REPENTANCE_DAY = date(2026, 11, 18)


@pytest.mark.parametrize(
    ("day", "states"),
    [
        (date(2026, 5, 1), set(STATES)),
        (date(2026, 10, 3), set(STATES)),
        (EPIPHANY, {"BW", "BY", "ST"}),
        (date(2026, 3, 8), {"BE", "MV"}),
        (CORPUS_CHRISTI, {"BW", "BY", "HE", "NW", "RP", "SL"}),
        (date(2026, 9, 20), {"TH"}),
        (REFORMATION_DAY, {"BB", "HB", "HH", "MV", "NI", "SN", "ST", "SH", "TH"}),
        (date(2026, 11, 1), {"BW", "BY", "NW", "RP", "SL"}),
        (REPENTANCE_DAY, {"SN"}),
        (date(2026, 3, 10), set()),
        (date(2026, 12, 24), set()),
    ],
)
def test_each_state_keeps_its_own_holidays(day, states):
    assert {state for state in STATES if is_holiday(day, state)} == states


def test_there_are_sixteen_states():
    assert len(set(STATES)) == 16


def test_without_a_state_only_nationwide_holidays_count():
    assert is_holiday(date(2026, 5, 1))
    assert not is_holiday(CORPUS_CHRISTI)


@pytest.mark.parametrize("state", [None, "", "XX", "by", "Bayern"])
def test_an_unknown_state_keeps_the_nationwide_holidays(state):
    assert like_days_around(EPIPHANY, state) is like_days_around(EPIPHANY)


def test_every_state_keeps_the_nationwide_holidays_too():
    nationwide = like_days_around(EPIPHANY).holidays
    assert all(nationwide <= like_days_around(EPIPHANY, state).holidays for state in STATES)


def test_a_state_holiday_is_a_sunday_there_and_a_weekday_elsewhere():
    assert like_days_around(CORPUS_CHRISTI, "NW").kind(CORPUS_CHRISTI) == SUNDAY
    assert like_days_around(CORPUS_CHRISTI, "BE").kind(CORPUS_CHRISTI) == CORPUS_CHRISTI.weekday()


def test_the_days_before_new_year_are_known_in_january():
    assert date(2025, 12, 25) in like_days_around(date(2026, 1, 3), "HH").holidays


def test_the_digest_is_the_same_for_days_that_see_the_same_holidays():
    assert holiday_digest(date(2026, 1, 1)) == holiday_digest(date(2026, 12, 31))
    assert holiday_digest(date(2026, 12, 31)) != holiday_digest(date(2027, 1, 1))


def test_the_digest_changes_with_the_release_of_the_library(monkeypatch):
    before = holiday_digest(CORPUS_CHRISTI)
    monkeypatch.setattr(calendar, "_release", lambda: "0.0")
    assert holiday_digest(CORPUS_CHRISTI) != before


def test_the_seed_of_the_marts_holds_the_holidays_of_the_library():
    seed = REPOSITORY_DIR / "metrify_dbt" / "seeds" / "german_holidays.csv"
    assert seed.read_text(encoding="utf-8") == holiday_seed(), "run: metrify dbt holidays > " + seed.name


def test_a_holiday_says_where_it_is_one():
    holidays = {day: rest for day, *rest in holiday_rows(2017, 2026)}
    assert holidays[date(2026, 6, 4)] == ["Fronleichnam", False, "BW BY HE NW RP SL"]
    assert holidays[date(2026, 10, 3)][1:] == [True, " ".join(STATES)]
    # The 500th Reformation Day, in 2017 only, was one everywhere.
    assert holidays[date(2017, 10, 31)][1]
    assert not holidays[date(2018, 10, 31)][1]
    assert date(2026, 6, 5) not in holidays
