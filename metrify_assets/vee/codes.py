"""The vocabulary of an interval value: status, method, reason, flags.

Belongs here: every code that a value carries, once; schemas, rules, marts and documentation read these enums.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum


class SourceStatus(IntEnum):
    """What the sender said of a value; ordered by rank, the higher wins the selection."""

    MISSING = 0
    PROVISIONAL = 1
    SUBSTITUTE = 2
    MEASURED = 3


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
    LIKE_DAY = "like_day"
    SENDER_SUBSTITUTE = "sender_substitute"


class Reason(StrEnum):
    """Why a slot has no measured value of its own."""

    GAP = "gap"
    BLANK = "blank"
    NEGATIVE = "negative"
    PHYSICAL_LIMIT = "physical_limit"


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


REFUSING = Flag.BLANK | Flag.NEGATIVE | Flag.PHYSICAL_LIMIT
"""Flags of a delivered value that may not stand: it is kept as ``delivered_kwh`` and estimated."""
