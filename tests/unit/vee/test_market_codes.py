import re
from itertools import product

import pytest

from metrify_assets.vee.codes import Method, Reason, SourceStatus, Status
from metrify_assets.vee.market_codes import (
    EbixQuality,
    EspiQuality,
    MsconsCodes,
    MsconsMethod,
    MsconsQualifier,
    MsconsReason,
    Nem12Code,
    Nem12Method,
    Nem12Quality,
    Nem12Reason,
    espi_code,
    mscons_codes,
    nem12_code,
    source_status_of_ebix,
    source_status_of_espi,
    source_status_of_mscons,
    source_status_of_nem12,
)

RANK_OF = {
    Status.MEASURED: SourceStatus.MEASURED,
    Status.VALIDATED: SourceStatus.SUBSTITUTE,
    Status.ESTIMATED: SourceStatus.SUBSTITUTE,
    Status.PROVISIONAL: SourceStatus.PROVISIONAL,
    Status.MISSING: SourceStatus.MISSING,
}
METHODS = [*Method, None]


def names(enum: type) -> dict[str, object]:
    return {str(member.value): member for member in enum}


@pytest.mark.parametrize(
    ("qualifier", "status"),
    [
        ("220", SourceStatus.MEASURED),
        ("67", SourceStatus.SUBSTITUTE),
        ("Z18", SourceStatus.PROVISIONAL),
        ("201", SourceStatus.PROVISIONAL),
        ("20", SourceStatus.MISSING),
        ("Z30", SourceStatus.MISSING),
        ("187", None),
        ("79", None),
    ],
)
def test_an_mscons_qualifier_has_a_rank_unless_it_is_a_forecast_or_a_sum(qualifier, status):
    assert source_status_of_mscons(MsconsQualifier(qualifier)) is status


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([0, 14, 17, 18, 19], SourceStatus.MEASURED),
        ([7, 8, 9, 11, 13], SourceStatus.SUBSTITUTE),
        ([10, 16], SourceStatus.PROVISIONAL),
        ([12, 15], None),
    ],
)
def test_an_espi_quality_has_a_rank_unless_it_is_no_energy_that_flowed(codes, status):
    assert {source_status_of_espi(EspiQuality(code)) for code in codes} == {status}


@pytest.mark.parametrize(
    ("flag", "status"),
    [
        ("A", SourceStatus.MEASURED),
        ("F", SourceStatus.SUBSTITUTE),
        ("S", SourceStatus.SUBSTITUTE),
        ("E", SourceStatus.PROVISIONAL),
        ("N", SourceStatus.MISSING),
        ("V", None),
    ],
)
def test_a_nem12_flag_has_a_rank_unless_it_refers_to_other_records(flag, status):
    assert source_status_of_nem12(Nem12Quality(flag)) is status


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (["36", "39", "81", "85", "86", "102", "121", "E01"], SourceStatus.MEASURED),
        (["56", "E05", "E06", "E07"], SourceStatus.SUBSTITUTE),
        (["21", "22", "42"], SourceStatus.PROVISIONAL),
        (["41", "46"], SourceStatus.MISSING),
    ],
)
def test_an_ebix_condition_has_a_rank(codes, status):
    assert {source_status_of_ebix(EbixQuality(code)) for code in codes} == {status}


def test_every_code_that_can_be_read_is_mapped():
    assert {source_status_of_ebix(code) for code in EbixQuality} <= {*SourceStatus}
    assert {source_status_of_mscons(code) for code in MsconsQualifier} <= {*SourceStatus, None}
    assert {source_status_of_espi(code) for code in EspiQuality} <= {*SourceStatus, None}
    assert {source_status_of_nem12(code) for code in Nem12Quality} <= {*SourceStatus, None}


def test_no_sender_can_claim_the_rank_of_our_own_edits():
    read = {source_status_of_mscons(code) for code in MsconsQualifier}
    read |= {source_status_of_espi(code) for code in EspiQuality}
    read |= {source_status_of_nem12(code) for code in Nem12Quality}
    read |= {source_status_of_ebix(code) for code in EbixQuality}
    assert SourceStatus.EDITED not in read


def test_code_lists_are_complete():
    assert set(names(MsconsMethod)) == {"Z88", "Z89", "Z90", "Z91", "Z92", "Z93", "Z94", "Z95", "ZJ2", "ZQ8"}
    assert {"Z74", "Z75", "Z76", "Z77", "Z78", "Z79", "Z81", "ZA1"} <= set(names(MsconsReason))
    assert {quality.value for quality in EspiQuality} == {0, *range(7, 20)}
    assert "".join(sorted(names(Nem12Quality))) == "AEFNSV"


def test_every_status_method_and_reason_of_ours_can_be_written_everywhere():
    for status, method, reason in product(Status, METHODS, [*Reason, None]):
        mscons = mscons_codes(status, method, reason)
        nem12 = nem12_code(status, method, reason)
        assert isinstance(mscons.qualifier, MsconsQualifier)
        assert isinstance(nem12.quality, Nem12Quality)
        assert (espi_code(status, method) is None) == (status is Status.MISSING)


def test_the_methods_without_a_code_are_those_that_need_none():
    unmapped = {method for method in Method if mscons_codes(Status.ESTIMATED, method, None).method is None}
    assert unmapped == {Method.DOCUMENTED_ZERO, Method.MANUAL, Method.SENDER_SUBSTITUTE}


def test_the_reasons_without_a_code_are_those_that_name_no_cause():
    unmapped = {reason for reason in Reason if mscons_codes(Status.ESTIMATED, None, reason).reason is None}
    assert unmapped == {Reason.PROVISIONAL, Reason.MANUAL_EDIT}


@pytest.mark.parametrize(("status", "method"), [*product(Status, METHODS)])
def test_what_is_written_reads_back_with_the_same_rank(status, method):
    assert source_status_of_mscons(mscons_codes(status, method, None).qualifier) is RANK_OF[status]
    assert source_status_of_nem12(nem12_code(status, method, None).quality) is RANK_OF[status]
    quality = espi_code(status, method)
    if quality is not None:
        assert source_status_of_espi(quality) is RANK_OF[status]


def test_an_interpolated_gap_is_written_as_such():
    assert mscons_codes(Status.ESTIMATED, Method.LINEAR, Reason.GAP) == MsconsCodes(
        MsconsQualifier.SUBSTITUTE, MsconsMethod.INTERPOLATION, MsconsReason.COMMUNICATION_FAULT
    )
    assert espi_code(Status.ESTIMATED, Method.LINEAR) is EspiQuality.ESTIMATED_LINEAR
    code = nem12_code(Status.ESTIMATED, Method.LINEAR, Reason.GAP)
    assert code == Nem12Code(Nem12Quality.SUBSTITUTE, Nem12Method.LINEAR, Nem12Reason.COMMUNICATIONS_FAULT)
    assert code.quality_method == "S17"


@pytest.mark.parametrize(("status", "method", "reason"), [*product(Status, METHODS, [*Reason, None])])
def test_a_nem12_field_is_valid_or_is_not_written(status, method, reason):
    code = nem12_code(status, method, reason)
    if status is Status.PROVISIONAL:
        # No method flag of a remotely read meter is for a forward estimate.
        assert code.quality_method is None
        return
    assert re.fullmatch(r"[AN]|[SF]1[1-9]|[SF]2[0-5]", code.quality_method)
    assert code.reason is not None or code.quality in ("A", "N")


def test_a_substitute_of_the_sender_has_a_method_and_a_reason():
    code = nem12_code(Status.ESTIMATED, Method.SENDER_SUBSTITUTE, None)
    assert (code.quality_method, code.reason) == ("S18", Nem12Reason.FREE_TEXT)


def test_a_measured_value_needs_neither_method_nor_reason():
    assert mscons_codes(Status.MEASURED, None, None) == MsconsCodes(MsconsQualifier.TRUE_VALUE, None, None)
    assert espi_code(Status.MEASURED, None) is EspiQuality.VALID
    assert nem12_code(Status.MEASURED, None, None).quality_method == "A"


def test_a_manual_edit_is_a_substitute_by_hand():
    assert mscons_codes(Status.VALIDATED, Method.MANUAL, Reason.MANUAL_EDIT).qualifier is MsconsQualifier.SUBSTITUTE
    assert espi_code(Status.VALIDATED, Method.MANUAL) is EspiQuality.MANUALLY_EDITED
    code = nem12_code(Status.VALIDATED, Method.MANUAL, Reason.MANUAL_EDIT)
    assert (code.quality_method, code.reason) == ("F18", Nem12Reason.FREE_TEXT)
