"""The vocabulary of an interval value: status, method, reason, flags, severity.

Belongs here: every code that a value carries, once; schemas, rules, marts and documentation read these enums. Does not
belong here: the codes of market messages and how they map onto these (``market_codes.py``).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum


class SourceStatus(IntEnum):
    """What the sender said of a value; ordered by rank, the higher wins the selection."""

    MISSING = 0
    PROVISIONAL = 1
    SUBSTITUTE = 2
    MEASURED = 3
    EDITED = 4


class Status(StrEnum):
    """Status of a clean interval value, best first (W, -, E, V, missing in German market rules)."""

    MEASURED = "measured"
    VALIDATED = "validated"
    ESTIMATED = "estimated"
    PROVISIONAL = "provisional"
    MISSING = "missing"


class Method(StrEnum):
    """How a value that was not measured came about."""

    LINEAR = "linear"
    SIMILAR_DAY = "similar_day"
    LIKE_DAY = "like_day"
    PROFILE = "profile"
    DOCUMENTED_ZERO = "documented_zero"
    REGISTER_SCALED = "register_scaled"
    MANUAL = "manual"
    SENDER_SUBSTITUTE = "sender_substitute"


OWN_ESTIMATES = (Method.LINEAR, Method.SIMILAR_DAY, Method.LIKE_DAY, Method.PROFILE)
"""Methods whose values may be scaled to a register."""


class Reason(StrEnum):
    """Why a slot has no measured value of its own, or why its measured value is not billing-grade."""

    GAP = "gap"
    BLANK = "blank"
    NEGATIVE = "negative"
    PHYSICAL_LIMIT = "physical_limit"
    SPIKE = "spike"
    ROBUST_OUTLIER = "robust_outlier"
    STUCK = "stuck"
    ZERO_RUN = "zero_run"
    COLLAPSED_DST = "collapsed_dst"
    REGISTER_DECREASE = "register_decrease"
    OUTAGE = "outage"
    SUM_CHECK = "sum_check"
    PROVISIONAL = "provisional"
    MANUAL_EDIT = "manual_edit"


class Severity(StrEnum):
    """What a rule's finding does.

    ``info`` is counted; ``warn`` is counted and warns; ``block``: the value may not stand, it is kept as
    ``delivered_kwh`` and estimated; ``quarantine``: the delivery never competes for its slot, it is kept and counted;
    ``off``: the rule does not run.
    """

    OFF = "off"

    INFO = "info"
    WARN = "warn"
    BLOCK = "block"
    QUARANTINE = "quarantine"


class Flag(IntFlag):
    """Findings on one slot, as a bit set (``flags`` in the validated and clean tables)."""

    GAP = 1 << 0
    BLANK = 1 << 1
    DUPLICATE = 1 << 2
    NEW_VERSION = 1 << 3
    NEGATIVE = 1 << 4
    PHYSICAL_LIMIT = 1 << 5
    SPIKE = 1 << 6
    STUCK = 1 << 7
    ZERO_RUN = 1 << 8
    FROM_REGISTER = 1 << 9
    ROBUST_OUTLIER = 1 << 10
    INTERVAL_SIZE = 1 << 11
    AGGREGATED = 1 << 12
    CLOCK_DRIFT = 1 << 13
    COLLAPSED_DST = 1 << 14
    OUTAGE = 1 << 15
    UNIT_MISMATCH = 1 << 16
    REGISTER_DECREASE = 1 << 17
    REGISTER_ROLLOVER = 1 << 18
    METER_EXCHANGE = 1 << 19
    SUM_CHECK = 1 << 20
    SCALE_REFUSED = 1 << 21
    HIGH_LOW = 1 << 22
    PROLONGED_ESTIMATION = 1 << 23
    REFUSED = 1 << 30
    """The delivered value may not stand: a finding of a rule whose severity is ``block``."""


FLAG_NAMES: dict[Flag, str] = {flag: name.lower() for name, flag in Flag.__members__.items()}
"""What a flag is called in tables and reports."""

OUTLIERS = Flag.SPIKE | Flag.ROBUST_OUTLIER
"""Findings that a value stands out: where it stands, it is still no measure of what its neighbours may have been."""
