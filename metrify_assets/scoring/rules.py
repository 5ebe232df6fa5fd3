"""What was injected against what was found, rule by rule.

Belongs here: one table that says for each rule which labels it should find and what counts as found. Does not belong
here: estimates (``estimates.py``) and goals (``goals.py``).

Findings are compared slot by slot where a rule flags slots, else row by row or read by read. Labels of other kinds that
truly are findings of the rule too are left out of the comparison (``neutral``); what a rule finds in normal load counts
against its precision.
"""

from __future__ import annotations

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.scoring.findings import (
    Planes,
    absent,
    collapsed_hours,
    corrections,
    decreased_reads,
    files_labelled,
    flagged,
    labelled,
    labelled_strangers,
    last_day,
    late_files,
    late_reads,
    reads_labelled,
    redelivered_files,
    rejected,
    rows_labelled,
    sums_wrong_otherwise,
    unassigned,
    use_is_not_judged,
    with_source_status,
)
from metrify_assets.scoring.measures import ItemRule, Score, SlotRule
from metrify_assets.scoring.power_quality import POWER_QUALITY_RULES
from metrify_assets.scoring.run import Evidence
from metrify_assets.simulator.delivery import FaultKind as Kind
from metrify_assets.vee.codes import FLAG_NAMES, Flag

_OWN_QUARANTINE = (RejectReason.FUTURE_STAMP, RejectReason.AMBIGUOUS_DST_HOUR)


def _by_flag(flag: Flag, kind: Kind, *, neutral: Planes | None = None, note: str = "") -> SlotRule:
    """Return the usual case: label and flag have one name."""
    found_by = f"flag {FLAG_NAMES[flag]} on the slot{note}"
    return SlotRule(FLAG_NAMES[flag], found_by, labelled(kind), flagged(flag), neutral)


RULES: tuple[SlotRule | ItemRule, ...] = (
    SlotRule("gap", "flag gap on the slot, whatever the cause", absent, flagged(Flag.GAP)),
    _by_flag(Flag.BLANK, Kind.BLANK),
    _by_flag(Flag.DUPLICATE, Kind.DUPLICATE),
    _by_flag(Flag.NEGATIVE, Kind.NEGATIVE),
    _by_flag(Flag.PHYSICAL_LIMIT, Kind.PHYSICAL_LIMIT),
    _by_flag(Flag.SPIKE, Kind.SPIKE, neutral=labelled(Kind.ROBUST_OUTLIER), note="; injected outliers are left out"),
    _by_flag(Flag.ROBUST_OUTLIER, Kind.ROBUST_OUTLIER, neutral=labelled(Kind.SPIKE), note="; spikes are left out"),
    _by_flag(
        Flag.STUCK, Kind.STUCK, neutral=labelled(Kind.STUCK_ACROSS_MIDNIGHT), note="; runs across midnight are left out"
    ),
    SlotRule(
        "stuck_across_midnight",
        "flag stuck on the slot, by the day that it is of; runs within a day are left out",
        labelled(Kind.STUCK_ACROSS_MIDNIGHT),
        flagged(Flag.STUCK),
        labelled(Kind.STUCK),
    ),
    _by_flag(Flag.ZERO_RUN, Kind.ZERO_RUN),
    _by_flag(Flag.INTERVAL_SIZE, Kind.INTERVAL_SIZE),
    _by_flag(Flag.CLOCK_DRIFT, Kind.CLOCK_DRIFT),
    SlotRule(
        "collapsed_dst",
        "flag collapsed_dst on the slot; in local time, rows of that hour in quarantine",
        labelled(Kind.COLLAPSED_DST),
        collapsed_hours,
    ),
    _by_flag(Flag.OUTAGE, Kind.OUTAGE),
    _by_flag(Flag.UNIT_MISMATCH, Kind.UNIT_MISMATCH),
    _by_flag(
        Flag.HIGH_LOW,
        Kind.HIGH_LOW,
        neutral=use_is_not_judged,
        note="; from day 15 on, days with another fault are left out",
    ),
    _by_flag(Flag.PROLONGED_ESTIMATION, Kind.PROLONGED_ESTIMATION),
    _by_flag(
        Flag.SUM_CHECK,
        Kind.SUM_CHECK,
        neutral=sums_wrong_otherwise,
        note="; days with another wrong value, and the last day, are left out",
    ),
    _by_flag(Flag.REGISTER_ROLLOVER, Kind.REGISTER_ROLLOVER, neutral=last_day, note="; the last day is left out"),
    _by_flag(Flag.METER_EXCHANGE, Kind.METER_EXCHANGE, neutral=last_day, note="; the last day is left out"),
    ItemRule(
        "register_decrease",
        "flag register_decrease on the read, or on slots beside it",
        "reads",
        reads_labelled(Kind.REGISTER_DECREASE),
        decreased_reads,
    ),
    ItemRule(
        "late_register",
        "the read is in the table after the second wave, and was not after the first",
        "reads",
        reads_labelled(Kind.LATE_REGISTER),
        late_reads,
    ),
    ItemRule(
        "future_stamp",
        "quarantine, reason future_stamp, by feed, point and file",
        "rows",
        rows_labelled(Kind.FUTURE_STAMP),
        rejected(lambda reason: reason == RejectReason.FUTURE_STAMP),
    ),
    ItemRule(
        "malformed_row",
        "quarantine, any other reason but an ambiguous hour, by feed, point and file",
        "rows",
        rows_labelled(Kind.MALFORMED_ROW),
        rejected(lambda reason: reason not in _OWN_QUARANTINE),
    ),
    ItemRule(
        "unknown_meter",
        "unassigned values of the day's tally, those in a wrong unit among them",
        "rows",
        labelled_strangers,
        unassigned,
    ),
    SlotRule(
        "substitute", "the sender's status of the slot", labelled(Kind.SUBSTITUTE), with_source_status("substitute")
    ),
    SlotRule(
        "provisional",
        "the sender's status of the slot",
        labelled(Kind.PROVISIONAL),
        with_source_status("provisional"),
    ),
    SlotRule("corrected", "the second wave changed the delivered value", labelled(Kind.CORRECTED), corrections),
    ItemRule(
        "late_file", "a new drop of a new name in the second wave", "files", files_labelled(Kind.LATE_FILE), late_files
    ),
    ItemRule(
        "redelivered_file",
        "recognised as known bytes when taken in",
        "files",
        files_labelled(Kind.REDELIVERED_FILE),
        redelivered_files,
    ),
    *POWER_QUALITY_RULES,
)
"""Every rule that the simulator has a fault for."""


def score_rules(evidence: Evidence) -> list[Score]:
    """Return the score of every rule, in the order of the table."""
    return [rule.score(evidence) for rule in RULES]
