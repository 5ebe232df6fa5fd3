"""Parameters have types and ranges: what makes no sense never reaches a rule or an estimator."""

from __future__ import annotations

from dataclasses import fields

import pytest

from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS, EstimationParameters, RuleSet

DECLARED = [
    (kind, entry.name, entry.default)
    for kind in (RuleSet, EstimationParameters)
    for entry in fields(kind)
    if entry.name not in ("version", "severities")
]
SWITCHES = [(kind, name) for kind, name, default in DECLARED if isinstance(default, bool)]
NUMBERS = [(kind, name) for kind, name, default in DECLARED if not isinstance(default, bool)]
WHOLE = [(kind, name) for kind, name, default in DECLARED if type(default) is int]


def assert_refused(kind: type, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}=.*: expected ") as caught:
        kind(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name, _ in DECLARED])
@pytest.mark.parametrize("value", ["abc", "5", "two\nlines", None, -1, [1], 10**400], ids=lambda value: repr(value)[:9])
def test_no_parameter_is_a_text_nothing_below_zero_or_beyond_measure(kind, name, value):
    assert_refused(kind, name, value)


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), -0.5])
def test_a_number_is_no_switch_and_finite(kind, name, value):
    assert_refused(kind, name, value)


@pytest.mark.parametrize(("kind", "name"), WHOLE)
def test_a_whole_number_is_no_fraction(kind, name):
    assert_refused(kind, name, 2.5)


@pytest.mark.parametrize(("kind", "name"), SWITCHES)
@pytest.mark.parametrize("value", ["no", "true", 0, 1])
def test_a_switch_is_on_or_off_and_no_word_for_it(kind, name, value):
    assert_refused(kind, name, value)


def test_the_message_says_what_is_expected():
    with pytest.raises(ValueError, match=r"^stuck_minutes=-5: expected a whole number from 1 to 1440$"):
        RuleSet(stuck_minutes=-5)
    with pytest.raises(ValueError, match=r"^use_profile='no': expected true or false$"):
        EstimationParameters(use_profile="no")


def test_a_whole_number_does_where_a_fraction_may_stand():
    assert RuleSet(outlier_k=4).outlier_k == 4


def test_no_more_days_can_be_required_than_are_averaged():
    with pytest.raises(ValueError, match="high_low_min_days=5"):
        RuleSet(high_low_min_days=5)
    with pytest.raises(ValueError, match="min_like_days=4"):
        EstimationParameters(min_like_days=4)


def test_no_rule_set_tolerates_a_clock_that_reading_has_put_on_another_day():
    with pytest.raises(ValueError, match="clock_tolerance_seconds=181: expected a whole number from 0 to 180"):
        RuleSet(clock_tolerance_seconds=CLOCK_TOLERANCE_SECONDS + 1)
    assert RuleSet().clock_tolerance_seconds == CLOCK_TOLERANCE_SECONDS == 180
