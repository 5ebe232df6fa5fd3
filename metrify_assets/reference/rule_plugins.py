"""Validation rules that other packages bring along: entry points of the group ``metrify.rules``.

Belongs here: finding them, and what they must be. Does not belong here: what they are given and may answer
(``vee/own_rules.py``) and what their findings do (the rule book).

An entry point names an ``OwnRule``; see docs/extending.md.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from metrify_assets.plugins import load_entry
from metrify_assets.vee.own_rules import OwnRule
from metrify_assets.vee.rulebook import RULE

RULES_GROUP = "metrify.rules"


def installed_rules() -> dict[str, OwnRule]:
    """Return the rules of all installed packages, by name.

    Raises
    ------
    ValueError
        If one cannot be loaded, or two share a name or a bit.
    """
    return load_rules({entry.name for entry in entry_points(group=RULES_GROUP)})


def load_rules(names: Collection[str]) -> dict[str, OwnRule]:
    """Return the rules of other packages that have some names; a name that no package has is left out.

    Raises
    ------
    ValueError
        If one cannot be loaded, or two share a name or a bit.
    """
    loaded: dict[str, OwnRule] = {}
    for entry in sorted(entry_points(group=RULES_GROUP), key=lambda entry: (entry.name, entry.value)):
        if entry.name not in names:
            continue
        rule = _load(entry)
        if rule.name in RULE or rule.name in loaded:
            raise ValueError(f"rule {rule.name} of {entry.value} has the name of another rule: rename it")
        for other in loaded.values():
            if other.bit == rule.bit:
                raise ValueError(f"rules {other.name} and {rule.name} both have bit {rule.bit}: change one")
        loaded[rule.name] = rule
    return loaded


def _load(entry: EntryPoint) -> OwnRule:
    rule = load_entry(entry, "rule")
    if not isinstance(rule, OwnRule):
        raise ValueError(f"rule {entry.name} ({entry.value}) is {type(rule).__name__}, expected OwnRule")
    if rule.name != entry.name:
        raise ValueError(f"rule {entry.name} ({entry.value}) calls itself {rule.name}: give both one name")
    return rule
