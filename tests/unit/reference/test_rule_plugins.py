"""A validation rule of another package: installed, switched on by a rule book, counted and explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from metrify_assets.errors import SettingsError
from metrify_assets.explain.gather import explain
from metrify_assets.reference import rule_plugins
from metrify_assets.reference.rule_books import parse_rule_book, rule_book
from metrify_assets.reference.rule_plugins import installed_rules
from metrify_assets.vee.own_rules import OwnRule, SeriesOfDay
from metrify_assets.vee.rulebook import DayRules
from tests.plugins.wheels import install_example
from tests.workbench import reads, workbench

DAY = date(2026, 3, 10)
BEFORE = date(2026, 3, 9)
TYPED_IN = 7
ON = (
    "editions: [{version: a, valid_from: 1990-01-01}, "
    "{version: b, valid_from: 2026-03-10, severities: {whole_kwh: %s}}]"
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    return install_example("whole_kilowatt_hours", "acme_rules", tmp_path, monkeypatch)


def test_a_rule_of_ones_own_flags_counts_and_explains_from_the_day_that_a_rule_book_names_it(installed, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(ON % "warn")
    bench = workbench(tmp_path, rules_file=path, shards=1)
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A"], [BEFORE, DAY], lambda _, __, slot: 3 if slot == TYPED_IN else 0.5))
    bench.settle()
    flagged = {day: [row["flags"] >> 24 & 1 for row in bench.clean(day).to_pylist()] for day in (BEFORE, DAY)}
    assert flagged == {BEFORE: [0] * 24, DAY: [int(slot == TYPED_IN) for slot in range(24)]}
    counts = {day: bench.platform.lake.manifest("clean_readings", day).shards[0].numbers["rules"] for day in flagged}
    assert "whole_kwh" not in counts[BEFORE]
    assert counts[DAY]["whole_kwh"] == 1
    slot = explain(bench.platform, "A", DAY).channels[0].slots[TYPED_IN]
    assert [(finding.rule, finding.severity) for finding in slot.findings if finding.rule == "whole_kwh"] == [
        ("whole_kwh", "warn")
    ]
    # The value itself stays what it was.
    assert bench.clean(DAY)["value_kwh"].to_pylist()[TYPED_IN] == 3


def test_a_rule_that_is_installed_and_not_named_changes_nothing(installed, tmp_path):
    off = "editions: [{version: a, valid_from: 1990-01-01}]"
    assert list(installed_rules()) == ["whole_kwh"]
    assert parse_rule_book(off, "r").on(DAY).digest == DayRules("a").digest
    assert rule_book(workbench(tmp_path).platform.settings).on(DAY).own == ()


def test_another_version_of_a_rule_is_another_edition(installed):
    [rule] = installed_rules().values()
    rules = parse_rule_book(ON % "info", "r").on(DAY)
    assert rules.own == (rule,)
    assert replace(rules, own=(replace(rule, version="2"),)).digest != rules.digest


@pytest.mark.parametrize(
    ("severity", "message"), [("block", "rule whole_kwh cannot be 'block': off, info, warn"), ("loud", "severities")]
)
def test_a_rule_of_another_package_refuses_no_value(installed, severity, message):
    with pytest.raises(SettingsError, match=message):
        parse_rule_book(ON % severity, "r")


def test_a_rule_that_is_not_installed_is_named():
    with pytest.raises(SettingsError, match="unknown rule 'whole_kwh': use one of gap"):
        parse_rule_book(ON % "warn", "r")


def nothing(series: SeriesOfDay) -> np.ndarray:
    return np.zeros_like(series.valid)


FINE = OwnRule("fine", "", 24, nothing, "1")
SAME_BIT = OwnRule("same_bit", "", 24, nothing, "1")
OLD_NAME = OwnRule("gap", "", 25, nothing, "1")
NO_RULE = nothing


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"fine": "FINE", "same_bit": "SAME_BIT"}, "rules fine and same_bit both have bit 24"),
        ({"gap": "OLD_NAME"}, "rule gap of .* has the name of another rule"),
        ({"other": "FINE"}, "rule other .* calls itself fine"),
        ({"fine": "NO_RULE"}, "rule fine .* is function, expected OwnRule"),
        ({"fine": "ABSENT"}, "rule fine .* cannot be loaded .*ABSENT"),
    ],
)
def test_packages_that_do_not_fit_are_told(monkeypatch, names, message):
    entries = [EntryPoint(name, f"{__name__}:{target}", rule_plugins.RULES_GROUP) for name, target in names.items()]
    monkeypatch.setattr(rule_plugins, "entry_points", lambda group: entries)
    with pytest.raises(ValueError, match=message):
        installed_rules()


@pytest.mark.parametrize(("bit", "name"), [(23, "fine"), (30, "fine"), (24, "no name")])
def test_a_rule_has_a_bit_and_a_name_of_its_own(bit, name):
    with pytest.raises(ValueError, match="rule "):
        OwnRule(name, "", bit, nothing, "1")


def test_what_a_rule_finds_is_a_mask_of_valid_values():
    shape = (2, 3)
    valid = np.array([[True, True, False]] * 2)
    series = SeriesOfDay(DAY, 60, np.arange(3), np.ones(shape, np.int64), valid, *[np.full(2, "A")] * 3, np.ones(2))
    everything = replace(FINE, find=lambda given: np.ones(shape, dtype=bool))
    assert np.array_equal(everything.findings(series), valid)
    with pytest.raises(ValueError, match=r"rule fine returned int64 \(2, 3\), expected bool \(2, 3\)"):
        replace(FINE, find=lambda given: given.delivered).findings(series)
