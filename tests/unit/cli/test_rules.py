"""The rules' page and the rule book's file."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.cli.rules import rules_page
from metrify_assets.errors import SettingsError
from metrify_assets.reference.rule_books import parse_rule_book
from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.vee.codes import Severity
from metrify_assets.vee.rulebook import severity_of

BOOK = """
editions:
  - version: old
    valid_from: 1990-01-01
  - version: new
    valid_from: 2026-03-01
    rules: {spike_floor_kw: 3.0}
    severities: {spike: block}
    estimation: {max_linear_gap_minutes: 60}
    exceptions:
      - {point_class: pv, rules: {spike_floor_kw: 9.0}}
      - {feed: meters_north, severities: {stuck: "off"}}
"""


def test_the_page_of_the_rules_is_the_list_of_the_rules():
    page = (REPOSITORY_DIR / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == rules_page(), "run `metrify rules markdown > docs/rules.md`"


def test_an_old_day_keeps_the_rules_of_its_time():
    book = parse_rule_book(BOOK, "book.yaml")
    before, after = book.on(date(2026, 2, 28)), book.on(date(2026, 3, 1))
    assert (before.version, before.rules.spike_floor_kw) == ("old", 2.0)
    assert (after.version, after.rules.spike_floor_kw, after.estimation.max_linear_gap_minutes) == ("new", 3.0, 60)
    assert severity_of("spike", before.rules) is Severity.WARN
    assert severity_of("spike", after.rules) is Severity.BLOCK
    assert before.digest != after.digest


def test_exceptions_hold_for_their_class_or_feed_and_add_up():
    rules = parse_rule_book(BOOK, "book.yaml").on(date(2026, 3, 1))
    assert rules.for_series("meters_east", "pv").spike_floor_kw == 9.0
    both = rules.for_series("meters_north", "pv")
    assert (both.spike_floor_kw, severity_of("stuck", both)) == (9.0, Severity.OFF)
    assert severity_of("stuck", rules.for_series("meters_east", "household")) is Severity.WARN


def test_exceptions_that_contradict_each_other_are_refused_before_a_day_meets_them():
    # Each is sound by itself; a heat pump of this book would average two days and require three.
    two = "{point_class: pump, rules: {high_low_days: 2}}"
    three = "{point_class: pump, rules: {high_low_min_days: 3}}"
    with pytest.raises(SettingsError, match="high_low_min_days=3 must not be more than high_low_days=2"):
        parse_rule_book(BOOK + f"      - {two}\n      - {three}\n", "book.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("spike_floor_kw: 3.0", "spike_flor_kw: 3.0"), "unknown parameter 'spike_flor_kw'"),
        (("spike: block", "spikes: block"), "unknown rule 'spikes'"),
        (("spike: block", "gap: warn"), "rule gap cannot be 'warn'"),
        (("spike: block", "spike: loud"), "severities.spike"),
        (("valid_from: 2026-03-01", "valid_from: 1990-01-01"), "each with another first day, in order"),
        (("max_linear_gap_minutes: 60", "max_gap: 60"), "unknown estimation parameter 'max_gap'"),
        (("version: new", "version: old"), "two editions are called 'old'"),
        (("spike_floor_kw: 3.0", "spike_floor_kw: abc"), "spike_floor_kw='abc': expected a number"),
        (("spike_floor_kw: 9.0", "stuck_minutes: -5"), "stuck_minutes=-5: expected a whole number from 1 to 1440"),
        (("spike_floor_kw: 9.0", "outlier_k: null"), "outlier_k=None: expected a number"),
        (("max_linear_gap_minutes: 60", 'use_profile: "no"'), "use_profile='no': expected true or false"),
        (("max_linear_gap_minutes: 60", "like_days: true"), "like_days=True: expected a whole number"),
        (('severities: {stuck: "off"}', "severities: {high_low: warn}"), "can differ by point_class only"),
        (("{point_class: pv, rules", "{rules"), "an exception needs feed or point_class"),
        (("editions:", "editions: ["), "is no YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_rule_book_is_said_in_one_line(change, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse_rule_book(BOOK.replace(*change), "book.yaml")
    assert "\n" not in str(caught.value)
