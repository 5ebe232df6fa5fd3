"""Codes of market messages, and how they map onto ours and ours onto them.

Belongs here: MSCONS (Germany), Green Button ESPI (North America), NEM12 (Australia) and, to be read, ebIX
(Switzerland). Does not belong here: reading or writing these files (``feeds/``), and dialects: a feed whose sender uses
a code otherwise (Swiss files mark substitute values by QTY+79) says so in its own definition.

Two directions, which are not inverse to each other. *Reading* a code gives the rank with which the delivered value
competes (``SourceStatus``). None means that the number is no interval value at all or that the code stands for others,
not that the value is missing. A sender's manual edit is a substitute to us: ``EDITED`` is kept for our own edits, which
have an author and a reason. *Writing* gives the codes that come closest to our status, method and reason. What is
written never reads back as more than it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from metrify_assets.vee.codes import Method, Reason, SourceStatus, Status


class MsconsQualifier(StrEnum):
    """MSCONS segment QTY, data element 6063: kind of quantity."""

    TRUE_VALUE = "220"
    SUBSTITUTE = "67"
    PROVISIONAL = "Z18"
    PROPOSED = "201"
    UNUSABLE = "20"
    FORECAST = "187"
    SUM = "79"
    MISSING = "Z30"


class MsconsMethod(StrEnum):
    """MSCONS segment STS, Z32: method by which a substitute value was made."""

    COMPARISON_CALIBRATED = "Z88"
    COMPARISON_NOT_CALIBRATED = "Z89"
    RECONSTRUCTED_FROM_CALIBRATED = "Z90"
    RECONSTRUCTED_FROM_NOT_CALIBRATED = "Z91"
    INTERPOLATION = "Z92"
    HOLD = "Z93"
    GRID_BALANCE = "Z94"
    HISTORICAL = "Z95"
    STATISTICAL = "ZJ2"
    SPLIT = "ZQ8"


class MsconsReason(StrEnum):
    """MSCONS segment STS, Z40: reason for a substitute value. Reasons of gas metering are left out."""

    NO_ACCESS = "Z74"
    COMMUNICATION_FAULT = "Z75"
    GRID_OUTAGE = "Z76"
    VOLTAGE_LOSS = "Z77"
    METER_EXCHANGE = "Z78"
    CALIBRATION = "Z79"
    OUTSIDE_OPERATING_CONDITIONS = "Z80"
    DEVICE_FAULT = "Z81"
    UNCERTAIN_MEASUREMENT = "Z82"
    CLOCK_SET = "ZA0"
    IMPLAUSIBLE = "ZA1"


class EspiQuality(IntEnum):
    """Green Button ESPI (NAESB REQ.21), ``QualityOfReading``."""

    VALID = 0
    MANUALLY_EDITED = 7
    ESTIMATED_REFERENCE_DAY = 8
    ESTIMATED_LINEAR = 9
    QUESTIONABLE = 10
    DERIVED = 11
    PROJECTED = 12
    MIXED = 13
    RAW = 14
    NORMALIZED_FOR_WEATHER = 15
    OTHER = 16
    VALIDATED = 17
    VERIFIED = 18
    REVENUE_QUALITY = 19


class EbixQuality(StrEnum):
    """ebIX, ``QuantityQualityCode``: what the element Condition of an E66 holds. Codes of gas volumes are left out."""

    TEMPORARY = "21"
    AGREED_CONDITION = "22"
    REVISED = "36"
    APPROVED = "39"
    REJECTED = "41"
    APPROVAL_PENDING = "42"
    DOES_NOT_EXIST = "46"
    ESTIMATED = "56"
    DEFINITIVE = "81"
    UPDATED = "85"
    RATIFIED = "86"
    SETTLED = "102"
    COMPLETE = "121"
    AS_READ = "E01"
    AUTOMATICALLY_REPAIRED = "E05"
    COPIED = "E06"
    NEGOTIATED = "E07"


class Nem12Quality(StrEnum):
    """AEMO Meter Data File Format (NEM12), quality flag."""

    ACTUAL = "A"
    FORWARD_ESTIMATE = "E"
    FINAL_SUBSTITUTE = "F"
    NULL = "N"
    SUBSTITUTE = "S"
    VARIABLE = "V"


class Nem12Method(IntEnum):
    """AEMO Meter Data File Format, method flags of interval meters that are read remotely (types 1 to 4).

    All of them are for substitutes: the flags that a forward estimate may have are for meters that are read by hand.
    """

    CHECK = 11
    CALCULATED = 12
    SCADA = 13
    LIKE_DAY = 14
    AVERAGE_LIKE_DAY = 15
    AGREED = 16
    LINEAR = 17
    ALTERNATE = 18
    ZERO = 19
    PROSPECTIVE_LIKE_DAY = 20
    FIVE_MINUTE_NO_HISTORY = 21
    PROSPECTIVE_AVERAGE_LIKE_DAY = 22
    PREVIOUS_YEAR = 23
    DATA_SCALING = 24
    AVERAGE_DAILY_LOAD = 25


class Nem12Reason(IntEnum):
    """AEMO Meter Data File Format, those of the reason codes that ours map onto."""

    FREE_TEXT = 0
    READ_BELOW_PREVIOUS = 18
    POWER_OUTAGE = 43
    FAILED_TO_VALIDATE = 45
    ZERO_CONSUMPTION = 68
    COMMUNICATIONS_FAULT = 76
    NULL_DATA = 78
    TIME_RESET = 89


_SUBSTITUTED = (Nem12Quality.SUBSTITUTE, Nem12Quality.FINAL_SUBSTITUTE)
_WITHOUT_METHOD = (Nem12Quality.ACTUAL, Nem12Quality.NULL, Nem12Quality.VARIABLE)


@dataclass(frozen=True)
class MsconsCodes:
    """Codes of one value in MSCONS; a method or reason without a code of its own is None."""

    qualifier: MsconsQualifier
    method: MsconsMethod | None
    reason: MsconsReason | None


@dataclass(frozen=True)
class Nem12Code:
    """Codes of one value in NEM12.

    Attributes
    ----------
    quality : Nem12Quality
    method : Nem12Method, optional
        Of a substitute (S, F) always, of others never.
    reason : Nem12Reason, optional
        Of a substitute always; ``FREE_TEXT`` obliges the writer to a ReasonDescription.
    """

    quality: Nem12Quality
    method: Nem12Method | None
    reason: Nem12Reason | None

    @property
    def quality_method(self) -> str | None:
        """The field QualityMethod as it is written, such as ``A`` or ``S17``; None if there is no valid one.

        A, N and V stand alone, S, F and E only together with a method. Remotely read meters have none for E: whoever
        writes a file has to wait for the final value, or to agree on a code with whoever reads it.
        """
        if self.quality in _WITHOUT_METHOD:
            return self.quality.value
        return None if self.method is None else f"{self.quality.value}{self.method.value}"


_SOURCE_STATUS_OF_MSCONS = {
    MsconsQualifier.TRUE_VALUE: SourceStatus.MEASURED,
    MsconsQualifier.SUBSTITUTE: SourceStatus.SUBSTITUTE,
    MsconsQualifier.PROVISIONAL: SourceStatus.PROVISIONAL,
    # Waits for the other side's consent.
    MsconsQualifier.PROPOSED: SourceStatus.PROVISIONAL,
    # There is a number, but it may not be used: the same as none.
    MsconsQualifier.UNUSABLE: SourceStatus.MISSING,
    MsconsQualifier.MISSING: SourceStatus.MISSING,
    # Says what will be, not what was.
    MsconsQualifier.FORECAST: None,
    # The energy of a whole period.
    MsconsQualifier.SUM: None,
}

_SOURCE_STATUS_OF_ESPI = {
    EspiQuality.VALID: SourceStatus.MEASURED,
    EspiQuality.VALIDATED: SourceStatus.MEASURED,
    EspiQuality.VERIFIED: SourceStatus.MEASURED,
    EspiQuality.REVENUE_QUALITY: SourceStatus.MEASURED,
    # Not validated by the sender, but measured: validation is what we are here for.
    EspiQuality.RAW: SourceStatus.MEASURED,
    EspiQuality.MANUALLY_EDITED: SourceStatus.SUBSTITUTE,
    EspiQuality.ESTIMATED_REFERENCE_DAY: SourceStatus.SUBSTITUTE,
    EspiQuality.ESTIMATED_LINEAR: SourceStatus.SUBSTITUTE,
    EspiQuality.DERIVED: SourceStatus.SUBSTITUTE,
    # In part not measured.
    EspiQuality.MIXED: SourceStatus.SUBSTITUTE,
    # Failed the sender's checks and has not been decided on.
    EspiQuality.QUESTIONABLE: SourceStatus.PROVISIONAL,
    # Nothing is known of its quality: not final until something better comes.
    EspiQuality.OTHER: SourceStatus.PROVISIONAL,
    # A forecast.
    EspiQuality.PROJECTED: None,
    # Not the energy that flowed.
    EspiQuality.NORMALIZED_FOR_WEATHER: None,
}

_SOURCE_STATUS_OF_NEM12 = {
    Nem12Quality.ACTUAL: SourceStatus.MEASURED,
    Nem12Quality.FINAL_SUBSTITUTE: SourceStatus.SUBSTITUTE,
    Nem12Quality.SUBSTITUTE: SourceStatus.SUBSTITUTE,
    # Stands in for a read that is still to come.
    Nem12Quality.FORWARD_ESTIMATE: SourceStatus.PROVISIONAL,
    Nem12Quality.NULL: SourceStatus.MISSING,
    # The day's quality varies: the 400 records that follow carry the flag of each interval.
    Nem12Quality.VARIABLE: None,
}

_SOURCE_STATUS_OF_EBIX = {
    EbixQuality.AS_READ: SourceStatus.MEASURED,
    EbixQuality.APPROVED: SourceStatus.MEASURED,
    EbixQuality.DEFINITIVE: SourceStatus.MEASURED,
    EbixQuality.RATIFIED: SourceStatus.MEASURED,
    EbixQuality.SETTLED: SourceStatus.MEASURED,
    EbixQuality.COMPLETE: SourceStatus.MEASURED,
    # Replace the measured value before them: a lower rank would never do so.
    EbixQuality.REVISED: SourceStatus.MEASURED,
    EbixQuality.UPDATED: SourceStatus.MEASURED,
    EbixQuality.ESTIMATED: SourceStatus.SUBSTITUTE,
    EbixQuality.AUTOMATICALLY_REPAIRED: SourceStatus.SUBSTITUTE,
    EbixQuality.COPIED: SourceStatus.SUBSTITUTE,
    EbixQuality.NEGOTIATED: SourceStatus.SUBSTITUTE,
    # The final value is still to come.
    EbixQuality.TEMPORARY: SourceStatus.PROVISIONAL,
    EbixQuality.AGREED_CONDITION: SourceStatus.PROVISIONAL,
    EbixQuality.APPROVAL_PENDING: SourceStatus.PROVISIONAL,
    # There may be a number, but it may not be used: the same as none.
    EbixQuality.REJECTED: SourceStatus.MISSING,
    EbixQuality.DOES_NOT_EXIST: SourceStatus.MISSING,
}

_MSCONS_QUALIFIER_OF = {
    Status.MEASURED: MsconsQualifier.TRUE_VALUE,
    # Whatever was not measured is a substitute in the market, a person's decision too.
    Status.VALIDATED: MsconsQualifier.SUBSTITUTE,
    Status.ESTIMATED: MsconsQualifier.SUBSTITUTE,
    Status.PROVISIONAL: MsconsQualifier.PROVISIONAL,
    Status.MISSING: MsconsQualifier.MISSING,
}

_MSCONS_METHOD_OF = {
    Method.LINEAR: MsconsMethod.INTERPOLATION,
    Method.SIMILAR_DAY: MsconsMethod.HISTORICAL,
    Method.LIKE_DAY: MsconsMethod.HISTORICAL,
    Method.PROFILE: MsconsMethod.STATISTICAL,
    # Made to agree with the reads of the point's own, calibrated register.
    Method.REGISTER_SCALED: MsconsMethod.RECONSTRUCTED_FROM_CALIBRATED,
    # Known, not calculated; the reason says it all.
    Method.DOCUMENTED_ZERO: None,
    # The author's own; what there is to say stands in the remark.
    Method.MANUAL: None,
    # The sender's method is not kept with the value.
    Method.SENDER_SUBSTITUTE: None,
}

_MSCONS_REASON_OF = {
    Reason.GAP: MsconsReason.COMMUNICATION_FAULT,
    Reason.BLANK: MsconsReason.COMMUNICATION_FAULT,
    Reason.NEGATIVE: MsconsReason.IMPLAUSIBLE,
    Reason.PHYSICAL_LIMIT: MsconsReason.IMPLAUSIBLE,
    Reason.SPIKE: MsconsReason.IMPLAUSIBLE,
    Reason.ROBUST_OUTLIER: MsconsReason.IMPLAUSIBLE,
    Reason.STUCK: MsconsReason.IMPLAUSIBLE,
    Reason.ZERO_RUN: MsconsReason.IMPLAUSIBLE,
    Reason.COLLAPSED_DST: MsconsReason.CLOCK_SET,
    Reason.REGISTER_DECREASE: MsconsReason.IMPLAUSIBLE,
    Reason.OUTAGE: MsconsReason.GRID_OUTAGE,
    Reason.SUM_CHECK: MsconsReason.IMPLAUSIBLE,
    # Says that the value is not final, not why.
    Reason.PROVISIONAL: None,
    # The author's own words.
    Reason.MANUAL_EDIT: None,
}

_ESPI_QUALITY_OF_STATUS = {
    Status.MEASURED: EspiQuality.VALID,
    Status.VALIDATED: EspiQuality.MANUALLY_EDITED,
    # Where the method is not known.
    Status.ESTIMATED: EspiQuality.DERIVED,
    # Not RAW, which would read back as measured.
    Status.PROVISIONAL: EspiQuality.OTHER,
    # No reading is written.
    Status.MISSING: None,
}

_ESPI_QUALITY_OF_METHOD = {
    Method.LINEAR: EspiQuality.ESTIMATED_LINEAR,
    Method.SIMILAR_DAY: EspiQuality.ESTIMATED_REFERENCE_DAY,
    Method.LIKE_DAY: EspiQuality.ESTIMATED_REFERENCE_DAY,
    Method.PROFILE: EspiQuality.DERIVED,
    Method.DOCUMENTED_ZERO: EspiQuality.DERIVED,
    Method.REGISTER_SCALED: EspiQuality.DERIVED,
    Method.MANUAL: EspiQuality.MANUALLY_EDITED,
    Method.SENDER_SUBSTITUTE: EspiQuality.DERIVED,
}

_NEM12_QUALITY_OF = {
    Status.MEASURED: Nem12Quality.ACTUAL,
    Status.VALIDATED: Nem12Quality.FINAL_SUBSTITUTE,
    Status.ESTIMATED: Nem12Quality.SUBSTITUTE,
    Status.PROVISIONAL: Nem12Quality.FORWARD_ESTIMATE,
    Status.MISSING: Nem12Quality.NULL,
}

_NEM12_METHOD_OF = {
    Method.LINEAR: Nem12Method.LINEAR,
    Method.SIMILAR_DAY: Nem12Method.AVERAGE_LIKE_DAY,
    Method.LIKE_DAY: Nem12Method.AVERAGE_LIKE_DAY,
    # Customer classes are for meters that are read by hand.
    Method.PROFILE: Nem12Method.ALTERNATE,
    Method.DOCUMENTED_ZERO: Nem12Method.ZERO,
    Method.REGISTER_SCALED: Nem12Method.DATA_SCALING,
    Method.MANUAL: Nem12Method.ALTERNATE,
    # The sender's method is not kept with the value, and a substitute must have one.
    Method.SENDER_SUBSTITUTE: Nem12Method.ALTERNATE,
}

_NEM12_REASON_OF = {
    Reason.GAP: Nem12Reason.COMMUNICATIONS_FAULT,
    Reason.BLANK: Nem12Reason.NULL_DATA,
    Reason.NEGATIVE: Nem12Reason.FAILED_TO_VALIDATE,
    Reason.PHYSICAL_LIMIT: Nem12Reason.FAILED_TO_VALIDATE,
    Reason.SPIKE: Nem12Reason.FAILED_TO_VALIDATE,
    Reason.ROBUST_OUTLIER: Nem12Reason.FAILED_TO_VALIDATE,
    Reason.STUCK: Nem12Reason.FAILED_TO_VALIDATE,
    Reason.ZERO_RUN: Nem12Reason.ZERO_CONSUMPTION,
    Reason.COLLAPSED_DST: Nem12Reason.TIME_RESET,
    Reason.REGISTER_DECREASE: Nem12Reason.READ_BELOW_PREVIOUS,
    Reason.OUTAGE: Nem12Reason.POWER_OUTAGE,
    Reason.SUM_CHECK: Nem12Reason.FAILED_TO_VALIDATE,
    # Says that the value was not final, not why; a substitute must have a reason.
    Reason.PROVISIONAL: Nem12Reason.FREE_TEXT,
    # The author's own words follow as ReasonDescription.
    Reason.MANUAL_EDIT: Nem12Reason.FREE_TEXT,
}


def source_status_of_mscons(qualifier: MsconsQualifier) -> SourceStatus | None:
    """Return the rank of a value; None for a forecast (187) and a sum (79), which are no interval values.

    References
    ----------
    EDI@Energy, MSCONS message implementation guide, segment QTY.
    """
    return _SOURCE_STATUS_OF_MSCONS[qualifier]


def source_status_of_espi(quality: EspiQuality) -> SourceStatus | None:
    """Return the rank of a value; None for a projection (12) and a weather-normalised value (15).

    Notes
    -----
    17 (validated) may include values that the sender estimated; it does not say which, so all count as measured.

    References
    ----------
    NAESB REQ.21, Energy Services Provider Interface, ``QualityOfReading``.
    """
    return _SOURCE_STATUS_OF_ESPI[quality]


def source_status_of_nem12(quality: Nem12Quality) -> SourceStatus | None:
    """Return the rank of a value; None for V, which refers to the 400 records.

    References
    ----------
    AEMO, Meter Data File Format Specification NEM12 & NEM13, quality flags.
    """
    return _SOURCE_STATUS_OF_NEM12[quality]


def source_status_of_ebix(quality: EbixQuality) -> SourceStatus:
    """Return the rank of a value.

    Notes
    -----
    The model of E66 allows two codes, 21 (temporary) and 56 (estimated): a value without a code is as read.

    References
    ----------
    ebIX, business information model 2012.A: code lists ``QuantityQualityCode`` 000068 and 000086; constraints of
    "Validated Data for Settlement for Aggregator" (document type E66).
    """
    return _SOURCE_STATUS_OF_EBIX[quality]


def mscons_codes(status: Status, method: Method | None, reason: Reason | None) -> MsconsCodes:
    """Return the codes that a clean value has in MSCONS."""
    return MsconsCodes(
        _MSCONS_QUALIFIER_OF[status],
        None if method is None else _MSCONS_METHOD_OF[method],
        None if reason is None else _MSCONS_REASON_OF[reason],
    )


def espi_code(status: Status, method: Method | None) -> EspiQuality | None:
    """Return the quality that a clean value has in ESPI, which knows no reasons; None if it is missing."""
    if status is Status.ESTIMATED and method is not None:
        return _ESPI_QUALITY_OF_METHOD[method]
    return _ESPI_QUALITY_OF_STATUS[status]


def nem12_code(status: Status, method: Method | None, reason: Reason | None) -> Nem12Code:
    """Return the codes that a clean value has in NEM12.

    References
    ----------
    AEMO, Meter Data File Format Specification NEM12 & NEM13: QualityMethod, ReasonCode and the appendix of quality and
    method flags. Files that market participants exchanged for tests hold to it: all their S and F have a method and a
    reason, all their E a method for meters that are read by hand.
    """
    quality = _NEM12_QUALITY_OF[status]
    own_reason = None if reason is None else _NEM12_REASON_OF[reason]
    if quality not in _SUBSTITUTED:
        return Nem12Code(quality, None, own_reason)
    own_method = Nem12Method.ALTERNATE if method is None else _NEM12_METHOD_OF[method]
    return Nem12Code(quality, own_method, Nem12Reason.FREE_TEXT if own_reason is None else own_reason)
