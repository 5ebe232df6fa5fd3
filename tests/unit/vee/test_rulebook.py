"""Which rules hold when and for whom."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from metrify_assets.errors import SettingsError
from metrify_assets.reference.rule_books import parse_rule_book
from metrify_assets.vee.codes import Flag, Reason, Severity
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import RULE, RULES, DayRules, RuleBook, RuleException, changed, flagged, severity_of
from metrify_assets.vee.validate import validate_shard
from tests.unit.vee.builders import IMPORT, PLAIN_DAY, deliveries, full_day, series_table

BLOCKING_SPIKES = {"spike": Severity.BLOCK}


def test_every_rule_has_a_name_a_flag_of_its_own_and_parameters_that_exist():
    flags = [rule.flag for rule in RULES if rule.flag is not None]
    assert len(set(flags)) == len(flags)
    assert len(RULE) == len(RULES)
    parameters = set(RuleSet.__dataclass_fields__)
    assert all(set(rule.parameters) <= parameters for rule in RULES)
    assert {rule.flag.name.lower() for rule in RULES if rule.flag is not None} <= set(RULE)


def test_every_flag_is_explained_by_a_rule_but_those_that_only_say_how():
    explained = {rule.flag for rule in RULES}
    how = {Flag.AGGREGATED, Flag.FROM_REGISTER, Flag.REFUSED}
    assert set(Flag) - explained == how


def test_a_rule_that_can_refuse_a_value_has_a_reason():
    for rule in RULES:
        if Severity.BLOCK in (rule.severity, *rule.choices) and rule.flag is not None:
            assert rule.reason in set(Reason), rule.name


def test_later_exceptions_stand_above_earlier_ones():
    rules = DayRules(
        exceptions=(
            RuleException(None, "pv", {"stuck_minutes": 60}, BLOCKING_SPIKES),
            RuleException("east", None, {"stuck_minutes": 240}),
            RuleException("east", "pv", {}, {"spike": Severity.OFF}),
        )
    )
    of = {key: rules.for_series(*key) for key in ((None, "pv"), ("east", "shop"), ("east", "pv"), (None, None))}
    assert [of[key].stuck_minutes for key in of] == [60, 240, 240, 120]
    assert [severity_of("spike", of[key]) for key in of] == ["block", "warn", "off", "warn"]


def test_classes_of_points_have_estimation_of_their_own():
    rules = DayRules(
        estimation=EstimationParameters(similar_days=10),
        exceptions=(
            RuleException(None, "pv", estimation={"similar_days": 0}),
            RuleException(None, "pv", {"stuck_minutes": 60}),
        ),
    )
    groups = rules.estimations(np.array(["pv", None, "shop", "pv"], dtype=object))
    assert [(of.similar_days, rows.tolist()) for of, rows in groups] == [
        (0, [True, False, False, True]),
        (10, [False, True, True, False]),
    ]


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        ("{point_class: pv, estimation: {similar_days: 2}}", "min_similar_days=3 must not be more than similar_days=2"),
        ("{point_class: pv, estimation: {neighbours: 2}}", "unknown estimation parameter 'neighbours'"),
        ("{feed: east, estimation: {similar_days: 5}}", "it can differ by point_class only"),
        ("{point_class: pv, estimation: {scale_to_registers: false}}", "it belongs to the edition"),
    ],
)
def test_estimation_that_makes_no_sense_is_told_when_the_book_is_read(exception, message):
    text = f"editions: [{{version: a, valid_from: 1990-01-01, exceptions: [{exception}]}}]"
    with pytest.raises(SettingsError, match=message):
        parse_rule_book(text, "r")


def test_parameters_that_came_later_leave_the_digests_of_before():
    # Recorded before there were similar days and rules of other packages.
    assert EstimationParameters(similar_days=0).digest == EstimationParameters().digest
    assert EstimationParameters(similar_days=10).digest != EstimationParameters().digest
    assert (EstimationParameters().digest, DayRules("2020-1").digest) == ("515a4068fa618b5b", "dffd523655458156")


def test_series_are_grouped_by_the_rules_that_hold_for_them():
    rules = DayRules(exceptions=(RuleException(None, "pv", {"stuck_minutes": 60}),))
    groups = rules.groups(np.array(["pv", None, "shop", "pv"], dtype=object))
    assert [(of.stuck_minutes, rows.tolist()) for of, rows in groups] == [(60, [0, 3]), (120, [1, 2])]
    assert DayRules().groups(np.array([None, "pv"], dtype=object)) == [(RuleSet(), slice(None))]


def test_an_edition_holds_until_the_next_one_does_and_the_first_for_all_before():
    old, new = DayRules("old"), DayRules("new")
    book = RuleBook(((date(2020, 1, 1), old), (date(2026, 3, 10), new)))
    days = (date(1999, 1, 1), date(2026, 3, 9), date(2026, 3, 10), date(2030, 1, 1))
    assert [book.on(day).version for day in days] == ["old", "old", "new", "new"]


@pytest.mark.parametrize("starts", [[], [date(2026, 1, 1)] * 2, [date(2026, 1, 2), date(2026, 1, 1)]])
def test_a_rule_book_needs_editions_in_order(starts):
    with pytest.raises(ValueError, match="in order"):
        RuleBook(tuple((start, DayRules()) for start in starts))


def test_no_two_editions_have_the_same_version():
    with pytest.raises(ValueError, match="two editions are called 'old'"):
        RuleBook(((date(2020, 1, 1), DayRules("old")), (date(2026, 3, 10), DayRules("old"))))


@pytest.mark.parametrize(
    ("rules", "severities", "message"),
    [
        ({"stuck_hours": 1}, {}, "unknown parameter"),
        ({"stuck_minutes": "abc"}, {}, "stuck_minutes='abc'"),
        ({}, {"stuk": Severity.OFF}, "unknown rule"),
        ({}, {"gap": Severity.OFF}, "cannot be"),
        ({}, {"negative": Severity.QUARANTINE}, "cannot be"),
    ],
)
def test_what_makes_no_sense_is_an_error(rules, severities, message):
    with pytest.raises(ValueError, match=message):
        changed(RuleSet(), rules, severities)


def test_the_digest_changes_with_every_part_and_with_nothing_else():
    base = DayRules()
    assert base.digest == DayRules().digest
    others = [
        DayRules("other"),
        DayRules(rules=RuleSet(stuck_minutes=60)),
        DayRules(exceptions=(RuleException(None, "pv"),)),
        DayRules(exceptions=(RuleException(None, "pv", {}, BLOCKING_SPIKES),)),
    ]
    assert len({book.digest for book in [base, *others]}) == 5


def test_flags_name_their_rules():
    names = [rule.name for rule in flagged(Flag.GAP | Flag.SPIKE | Flag.REFUSED)]
    assert names == ["gap", "spike"]


def spiking(severity: str | None, feed: str | None = None, feeds: tuple[str, ...] = ()):
    rows = full_day(PLAIN_DAY, 0.1, feed=0)
    rows[10]["value"] = 5_000_000
    exceptions = (RuleException(feed, None, {}, {"spike": Severity(severity)}),) if severity else ()
    rules = DayRules(exceptions=exceptions)
    (grid,), _ = validate_shard(
        PLAIN_DAY, series_table((IMPORT, 15, np.nan)), deliveries(rows), None, rules, feeds=feeds
    )
    return Flag(int(grid.flags[0, 10])) & (Flag.SPIKE | Flag.REFUSED)


@pytest.mark.parametrize(
    ("severity", "flags"),
    [(None, Flag.SPIKE), ("off", Flag(0)), ("warn", Flag.SPIKE), ("block", Flag.SPIKE | Flag.REFUSED)],
)
def test_a_severity_decides_what_a_finding_does(severity, flags):
    assert spiking(severity) == flags


def test_an_exception_for_a_feed_holds_for_the_series_that_it_delivers():
    assert spiking("block", "east", ("east",)) == Flag.SPIKE | Flag.REFUSED
    assert spiking("block", "west", ("east",)) == Flag.SPIKE


def with_exception(text: str) -> str:
    return f"editions:\n  - {{version: a, valid_from: 2020-01-01, exceptions: [{{{text}}}]}}"


@pytest.mark.parametrize("parameter", ["clock_tolerance_seconds: 30", "register_rollover_percent: 5"])
def test_an_exception_that_nothing_heeds_is_refused(parameter):
    with pytest.raises(SettingsError):
        parse_rule_book(with_exception(f"point_class: pv, rules: {{{parameter}}}"), "rules.yaml")


@pytest.mark.parametrize("rule", ["sum_check", "high_low", "prolonged_estimation", "scale_refused"])
def test_an_exception_for_a_feed_that_clean_cannot_heed_is_refused(rule):
    with pytest.raises(SettingsError):
        parse_rule_book(with_exception(f"feed: east, severities: {{{rule}: 'off'}}"), "rules.yaml")


@pytest.mark.parametrize(("severity", "valid"), [("quarantine", False), ("off", True)])
def test_whether_another_unit_matters_is_a_severity(severity, valid):
    rules = DayRules(rules=RuleSet(severities=(("unit_mismatch", Severity(severity)),)))
    rows = deliveries(full_day(PLAIN_DAY, wrong_unit=True))
    (grid,), tally = validate_shard(PLAIN_DAY, series_table(), rows, None, rules)
    assert grid.valid.all() == valid
    assert (tally.measured, tally.unassigned) == ((96, 0) if valid else (0, 96))


@pytest.mark.parametrize(("slots", "count"), [(6, 0), (7, 0), (8, 8)])
def test_of_a_run_across_midnight_a_day_sees_its_own_part(slots, count):
    # Quarter hours: 8 of them are the two hours that the rule asks for, however the next day goes on.
    rows = [row | {"value": row["value"] + number % 2} for number, row in enumerate(full_day(PLAIN_DAY))]
    rows = [row | {"value": 777_777} if number >= 96 - slots else row for number, row in enumerate(rows)]
    (grid,), _ = validate_shard(PLAIN_DAY, series_table(), deliveries(rows), None, DayRules())
    assert int(((grid.flags & Flag.STUCK) != 0).sum()) == count
