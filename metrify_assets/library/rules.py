"""Rule books as analysts give them: none, a book, or the newest edition with a few changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import yaml

from metrify_assets.errors import FrameError
from metrify_assets.reference.rule_books import newest_edition, parse_rule_book
from metrify_assets.vee.rulebook import DayRules, RuleBook

GivenRules = RuleBook | DayRules | str | None
"""Rules as they may be given; a text is a rule book in YAML."""


def newest_rules(
    *,
    rules: Mapping[str, Any] | None = None,
    severities: Mapping[str, str] | None = None,
    estimation: Mapping[str, Any] | None = None,
) -> RuleBook:
    """Return the newest of the built-in editions, for all days, with some changes.

    Parameters
    ----------
    rules, estimation : mapping, optional
        Parameters by name, such as ``{"stuck_minutes": 240}`` and ``{"max_linear_gap_minutes": 60}``; their units are
        in their names (``vee/parameters.py``).
    severities : mapping, optional
        What a finding does, by rule: ``{"spike": "block"}`` has spikes estimated.

    Raises
    ------
    SettingsError
        If a name is unknown, or a value is none that it can have.
    """
    book = yaml.safe_load(newest_edition())
    edition = book["editions"][0]
    for name, changes in (("rules", rules), ("severities", severities), ("estimation", estimation)):
        edition[name] = {**edition.get(name, {}), **(changes or {})}
    return parse_rule_book(yaml.safe_dump(book), "the newest rules")


def rule_book_of(rules: GivenRules) -> RuleBook:
    """Return the rule book that is meant; the newest edition if none is given.

    Raises
    ------
    FrameError
        If it is nothing that rules can be.
    SettingsError
        If a text is no rule book.
    """
    if rules is None:
        return newest_rules()
    if isinstance(rules, RuleBook):
        return rules
    if isinstance(rules, DayRules):
        return RuleBook(((date.min, rules),))
    if isinstance(rules, str):
        return parse_rule_book(rules, "the rule book")
    raise FrameError(f"rules are a rule book, its YAML text, or newest_rules(...), not {type(rules).__name__}")
