"""The rules in one list, and which parameters hold when and for whom.

Belongs here: what each rule is called, does and where it comes from; effective-dated rule sets with their exceptions
for feeds and point classes. Does not belong here: the rules' code (``rules.py`` and its neighbours) and the file that
an installation keeps its rule book in (the asset layer).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.codes import Flag, Reason, Severity
from metrify_assets.vee.own_rules import SEVERITIES, OwnRule
from metrify_assets.vee.parameters import CLOCK_TOLERANCE_SECONDS, EstimationParameters, RuleSet, decided


@dataclass(frozen=True)
class Rule:
    """One validation rule.

    Attributes
    ----------
    name : str
        As in configuration, checks and documentation.
    definition : str
        What a finding is.
    severity : Severity
        Unless the rule set says otherwise.
    flag : Flag, optional
        Bit of its findings on slots; None where the finding is not on a slot of the grid.
    parameters : tuple of str
        Fields of ``RuleSet`` that it compares with.
    source : str
        Where definition and default come from.
    choices : tuple of Severity
        Severities that make sense for it.
    spares_edits : bool
        Whether a value that a person decided on may stand in spite of it.
    """

    name: str
    definition: str
    severity: Severity
    flag: Flag | None
    parameters: tuple[str, ...] = ()
    source: str = "own choice"
    choices: tuple[Severity, ...] = ()
    spares_edits: bool = False

    @property
    def reason(self) -> Reason | None:
        """Reason of the values that it refuses; None for a rule that never refuses one."""
        return Reason(self.name) if self.name in set(Reason) else None


_ON_VALUES = (Severity.OFF, Severity.INFO, Severity.WARN, Severity.BLOCK)
_NOTICES = (Severity.OFF, Severity.INFO, Severity.WARN)

RULES: tuple[Rule, ...] = (
    Rule(
        "gap",
        "An expected slot is absent, head and tail of the day included.",
        Severity.BLOCK,
        Flag.GAP,
    ),
    Rule(
        "blank",
        "A slot was delivered without a value, or its sender calls the value missing.",
        Severity.BLOCK,
        Flag.BLANK,
    ),
    Rule(
        "duplicate",
        "The same value was delivered again: nothing changes.",
        Severity.INFO,
        Flag.DUPLICATE,
    ),
    Rule(
        "new_version",
        "Another value was delivered for the slot: the better status, then the later reception, wins.",
        Severity.INFO,
        Flag.NEW_VERSION,
    ),
    Rule(
        "interval_size",
        "A value was delivered for another interval than the registry's: finer ones are added up, coarser ones are "
        "never split.",
        Severity.WARN,
        Flag.INTERVAL_SIZE,
    ),
    Rule(
        "clock_drift",
        "A stamp is off its slot's boundary, but within the tolerance: it is snapped. Files are read with a tolerance "
        f"of {CLOCK_TOLERANCE_SECONDS} seconds, which says the delivery day of a stamp: a rule set can only lower it.",
        Severity.WARN,
        Flag.CLOCK_DRIFT,
        ("clock_tolerance_seconds",),
    ),
    Rule(
        "negative",
        "A value below zero on a channel that counts in one direction.",
        Severity.BLOCK,
        Flag.NEGATIVE,
        choices=_ON_VALUES,
        source="OBIS: values are unsigned, the direction is in C",
    ),
    Rule(
        "physical_limit",
        "kWh x 60 / interval minutes exceeds what the connection can carry.",
        Severity.BLOCK,
        Flag.PHYSICAL_LIMIT,
        ("physical_limit_percent", "unknown_connection_kw"),
        choices=_ON_VALUES,
    ),
    Rule(
        "spike",
        "The day's maximum exceeds its third maximum by more than a share and a floor.",
        Severity.WARN,
        Flag.SPIKE,
        ("spike_excess_percent", "spike_floor_kw"),
        "Oracle Utilities MDM; California Public Utilities Commission (CPUC)",
        _ON_VALUES,
        True,
    ),
    Rule(
        "robust_outlier",
        "A value is further off the rolling median than k x 1.4826 x MAD plus a floor.",
        Severity.WARN,
        Flag.ROBUST_OUTLIER,
        ("outlier_window_minutes", "outlier_k", "outlier_floor_kw"),
        "Hampel 1974",
        _ON_VALUES,
        True,
    ),
    Rule(
        "stuck",
        "The same non-zero value for hours, over midnight where the rule set says so.",
        Severity.WARN,
        Flag.STUCK,
        ("stuck_minutes", "stuck_slots", "runs_over_midnight"),
        choices=_ON_VALUES,
        spares_edits=True,
    ),
    Rule(
        "zero_run",
        "Zeros for hours, over midnight where the rule set says so, or all day.",
        Severity.INFO,
        Flag.ZERO_RUN,
        ("zero_run_minutes", "runs_over_midnight"),
        choices=_ON_VALUES,
        spares_edits=True,
    ),
    Rule(
        "collapsed_dst",
        "The repeated hour of the October day was delivered once: which pass it was is not guessed.",
        Severity.BLOCK,
        Flag.COLLAPSED_DST,
        choices=_ON_VALUES,
        spares_edits=True,
    ),
    Rule(
        "outage",
        "The slot lies in a declared outage: zero, not a gap.",
        Severity.INFO,
        Flag.OUTAGE,
    ),
    Rule(
        "unit_mismatch",
        "A value came in another unit than the registry `registers` names for its channel. Only the unit is checked, "
        "and only of channels that `registers` holds with a unit; a multiplier is applied, never checked, because no "
        "delivery states it.",
        Severity.QUARANTINE,
        Flag.UNIT_MISMATCH,
        choices=(Severity.OFF, Severity.QUARANTINE),
    ),
    Rule(
        "register_decrease",
        "A counter goes down without roll-over or exchange: the read that does not fit its neighbours is not used.",
        Severity.BLOCK,
        Flag.REGISTER_DECREASE,
        source="a counter only grows",
    ),
    Rule(
        "register_rollover",
        "A counter passed its highest state and began again at zero.",
        Severity.INFO,
        Flag.REGISTER_ROLLOVER,
        ("register_rollover_percent",),
    ),
    Rule(
        "meter_exchange",
        "The meter was exchanged: final and initial state come from the registry.",
        Severity.INFO,
        Flag.METER_EXCHANGE,
    ),
    Rule(
        "sum_check",
        "The sum of the intervals between two register reads differs from the reads' difference: the values are kept, "
        "but are provisional.",
        Severity.BLOCK,
        Flag.SUM_CHECK,
        ("sum_check_percent", "sum_check_register_units", "register_unit_kwh"),
        "the difference of two register reads is the sum of the intervals between them",
        _ON_VALUES,
    ),
    Rule(
        "scale_refused",
        "Estimates cannot be scaled to the register difference: less than nothing, or nothing to scale, would remain.",
        Severity.WARN,
        Flag.SCALE_REFUSED,
        choices=_NOTICES,
    ),
    Rule(
        "high_low",
        "The day's use lies far from the mean of recent days of the same kind; where the rule set says so, also "
        "further from each of them, and from the complete day before, than it usually changes from day to day.",
        Severity.WARN,
        Flag.HIGH_LOW,
        (
            "high_low_low_percent",
            "high_low_high_percent",
            "high_low_days",
            "high_low_min_days",
            "high_low_floor_kwh",
            "high_low_change_times",
        ),
        choices=_NOTICES,
    ),
    Rule(
        "prolonged_estimation",
        "Not a single measured value for many days in a row.",
        Severity.WARN,
        Flag.PROLONGED_ESTIMATION,
        ("prolonged_estimation_days",),
        choices=_NOTICES,
    ),
    Rule(
        "unknown_meter",
        "No registry entry holds at that time: the value is kept as unassigned and counts once the registry names it.",
        Severity.QUARANTINE,
        None,
    ),
    Rule(
        "future_stamp",
        f"The interval ends more than {CLOCK_TOLERANCE_SECONDS} seconds after it was received: quarantined when it is "
        "read, whatever the rule set says.",
        Severity.QUARANTINE,
        None,
    ),
)
"""Every validation rule, in the order in which the documentation lists them."""

RULE = {rule.name: rule for rule in RULES}
FLAG = {rule.name: rule.flag for rule in RULES if rule.flag is not None}
"""Bits of the rules whose findings are on slots."""

BEYOND_FEEDS = ("sum_check", "scale_refused", "high_low", "prolonged_estimation")
"""Rules on days and registers, whose values may have come with several feeds: they do not differ by feed."""


def severity_of(name: str, rules: RuleSet) -> Severity:
    """Return what a finding of a rule does under a rule set; a rule of another package is off unless named there."""
    return dict(rules.severities).get(name, RULE[name].severity if name in RULE else Severity.OFF)


@dataclass(frozen=True)
class RuleException:
    """Parameters that differ for a feed, a point class, or a point class within a feed.

    Attributes
    ----------
    feed, point_class : str, optional
        Whom it is for; None = all.
    rules : mapping
        Fields of ``RuleSet`` to replace.
    severities : mapping
        Rule name to severity.
    estimation : mapping
        Fields of ``EstimationParameters`` to replace; for a point class alone, whatever feed its values came with.
    """

    feed: str | None
    point_class: str | None
    rules: Mapping[str, Any] = field(default_factory=dict)
    severities: Mapping[str, str] = field(default_factory=dict)
    estimation: Mapping[str, Any] = field(default_factory=dict)

    def applies(self, feed: str | None, point_class: str | None) -> bool:
        """Return whether it holds for a series of that feed and class."""
        return self.feed in (None, feed) and self.point_class in (None, point_class)

    def applied(self, rules: RuleSet, own: Sequence[OwnRule] = ()) -> RuleSet:
        """Return a rule set with this exception in it."""
        return changed(rules, self.rules, self.severities, own)


def changed(
    rules: RuleSet, changes: Mapping[str, Any], severities: Mapping[str, str], own: Sequence[OwnRule] = ()
) -> RuleSet:
    """Return a rule set with other parameters and severities; ``own`` are the rules of other packages.

    Raises
    ------
    ValueError
        If a parameter or rule is unknown, a parameter cannot have that value, or a rule cannot have that severity.
    """
    parameters = {entry.name for entry in fields(RuleSet)} - {"version", "severities"}
    unknown = sorted(set(changes) - parameters)
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0]!r}: use one of {', '.join(sorted(parameters))}")
    choices_of = {rule.name: rule.choices for rule in RULES} | {rule.name: SEVERITIES for rule in own}
    for name, severity in severities.items():
        if name not in choices_of:
            raise ValueError(f"unknown rule {name!r}: use one of {', '.join(choices_of)}")
        if severity not in choices_of[name]:
            choices = ", ".join(choices_of[name]) or f"only {RULE[name].severity}, which cannot be changed"
            raise ValueError(f"rule {name} cannot be {severity!r}: {choices}")
    merged = dict(rules.severities) | {name: Severity(severity) for name, severity in severities.items()}
    return replace(rules, **changes, severities=tuple(sorted(merged.items())))


@dataclass(frozen=True)
class DayRules:
    """What holds on one day: rules, exceptions and estimation.

    Attributes
    ----------
    version : str
        Name of the edition.
    rules : RuleSet
    exceptions : tuple of RuleException
        Later ones stand above earlier ones.
    estimation : EstimationParameters
    own : tuple of OwnRule
        Rules of other packages that this edition names.
    """

    version: str = "built-in"
    rules: RuleSet = field(default_factory=RuleSet)
    exceptions: tuple[RuleException, ...] = ()
    estimation: EstimationParameters = field(default_factory=EstimationParameters)
    own: tuple[OwnRule, ...] = ()

    def for_series(self, feed: str | None, point_class: str | None) -> RuleSet:
        """Return the rule set of a series."""
        rules = self.rules
        for exception in self.exceptions:
            if exception.applies(feed, point_class):
                rules = exception.applied(rules, self.own)
        return rules

    def estimation_of(self, point_class: str | None) -> EstimationParameters:
        """Return the parameters of estimation for a class of points."""
        changes: dict[str, Any] = {}
        for exception in self.exceptions:
            if exception.applies(None, point_class):
                changes |= exception.estimation
        return replace(self.estimation, **changes)

    def estimations(self, point_class: np.ndarray) -> list[tuple[EstimationParameters, BoolArray]]:
        """Return the distinct parameters of estimation of some series, and whose each are; masks of shape (R,)."""
        chosen: dict[EstimationParameters, BoolArray] = {}
        for its_class in dict.fromkeys(point_class.tolist()):
            parameters = self.estimation_of(its_class)
            # None is a class, too; the comparison of objects finds it.
            chosen[parameters] = chosen.get(parameters, False) | np.equal(point_class, its_class).astype(bool)
        return list(chosen.items())

    @property
    def asks_for_feeds(self) -> bool:
        """Whether it matters which feed a series came with."""
        return any(exception.feed is not None for exception in self.exceptions)

    def groups(
        self, point_class: np.ndarray, feed: np.ndarray | None = None
    ) -> list[tuple[RuleSet, np.ndarray | slice]]:
        """Return the distinct rule sets of some series and the rows that each is for; shapes (R,)."""
        if not self.exceptions:
            return [(self.rules, slice(None))]
        feeds = feed if feed is not None else np.full(len(point_class), None, dtype=object)
        chosen: dict[RuleSet, np.ndarray] = {}
        for its_feed, its_class in dict.fromkeys(zip(feeds.tolist(), point_class.tolist(), strict=True)):
            rules = self.for_series(its_feed, its_class)
            # None is a feed and a class, too; the comparison of objects finds it.
            rows = np.equal(feeds, its_feed) & np.equal(point_class, its_class)
            chosen[rules] = chosen[rules] | rows if rules in chosen else rows
        if len(chosen) == 1:
            return [(next(iter(chosen)), slice(None))]
        return [(rules, np.flatnonzero(rows)) for rules, rows in chosen.items()]

    @cached_property
    def digest(self) -> str:
        """Stable digest of all that holds: 16 hexadecimal digits."""
        record = asdict(replace(self, own=()))
        record["rules"] = decided(self.rules)
        record["estimation"] = decided(self.estimation)
        for exception in record["exceptions"]:
            if not exception["estimation"]:
                del exception["estimation"]
        record["own"] = [(rule.name, rule.bit, rule.version) for rule in self.own]
        if not self.own:
            # Without them the digest is that of the editions before there were any.
            del record["own"]
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RuleBook:
    """Editions of the rules by the first delivery day that each holds for.

    Attributes
    ----------
    editions : tuple of (date, DayRules)
        Ascending; the first holds for every day before the second, however old.
    """

    editions: tuple[tuple[date, DayRules], ...] = ((date.min, DayRules()),)

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.editions]
        if not starts or starts != sorted(set(starts)):
            raise ValueError("a rule book needs editions, each with another first day, in order")
        # Values say by the version which edition they were made under.
        versions = [edition.version for _, edition in self.editions]
        twice = [version for place, version in enumerate(versions) if version in versions[:place]]
        if twice:
            raise ValueError(f"two editions are called {twice[0]!r}: give each a version of its own")

    def on(self, day: date) -> DayRules:
        """Return what holds on a delivery day."""
        for start, edition in reversed(self.editions):
            if start <= day:
                return edition
        return self.editions[0][1]

    @property
    def rollover_percents(self) -> tuple[tuple[date, int], ...]:
        """First day and ``register_rollover_percent`` of every edition: brackets reach over many days."""
        return tuple((start, edition.rules.register_rollover_percent) for start, edition in self.editions)


def uniform(rules: RuleSet, estimation: EstimationParameters | None = None) -> DayRules:
    """Return a day on which one rule set holds for all."""
    return DayRules(rules=rules, estimation=estimation or EstimationParameters())


def flagged(flags: Flag | int) -> Iterable[Rule]:
    """Yield the rules whose findings a flag set holds."""
    return (rule for rule in RULES if rule.flag is not None and int(flags) & rule.flag)
