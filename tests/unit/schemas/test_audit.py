from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from metrify_assets.orchestration.checks.results import audit_results, check_specs, conservation_result, evaluation
from metrify_assets.schemas.audit import EXAMPLES, Audit, AuditError, Finding, audit
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER, RAW_GRID_STATUS, RAW_WEATHER
from metrify_assets.schemas.power_quality import CLEAN_POWER_QUALITY, RAW_POWER_QUALITY
from metrify_assets.schemas.readings import CLEAN_READINGS, QUARANTINE, RAW_READINGS, VALIDATED_READINGS
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.schemas.weather_dependence import WEATHER_DEPENDENCE_TABLES
from metrify_assets.vee.codes import Method

TABLES = [
    RAW_READINGS,
    QUARANTINE,
    VALIDATED_READINGS,
    CLEAN_READINGS,
    RAW_GRID_STATUS,
    CLEAN_GRID_STATUS,
    RAW_WEATHER,
    CLEAN_WEATHER,
    RAW_POWER_QUALITY,
    CLEAN_POWER_QUALITY,
    *REGISTRIES.values(),
    *WEATHER_DEPENDENCE_TABLES,
]
START = datetime(2026, 3, 9, 23, tzinfo=UTC)


def clean_rows(count: int = 1, **changes: object) -> pa.Table:
    rows = [
        {
            "point_id": "A",
            "obis_code": "1-0:1.29.0",
            "interval_start": START + timedelta(minutes=15 * n),
            "interval_minutes": 15,
            "value_kwh": Decimal("0.25"),
            "value_low_kwh": None,
            "value_high_kwh": None,
            "variance_kwh2": None,
            "status": "measured",
            "method": None,
            "reason": None,
            "flags": 0,
            "delivered_kwh": Decimal("0.25"),
            "version": 1,
            "received_at": START,
            "day": date(2026, 3, 10),
            **changes,
        }
        for n in range(count)
    ]
    nullable = pa.schema([field.with_nullable(True) for field in CLEAN_READINGS.arrow])
    return pa.Table.from_pylist(rows, schema=nullable)


def test_sound_rows_have_no_findings():
    result = audit(CLEAN_READINGS, clean_rows(96))
    assert result == Audit(96)
    result.require_structure("clean_readings of 2026-03-10")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_rows_of_any_table_have_no_findings(table: Table):
    assert audit(table, table.empty()) == Audit(0)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"status": "guessed"}, "status: one of measured, validated, estimated, provisional, missing"),
        ({"status": None}, "status: not_nullable"),
        ({"interval_minutes": 0}, "interval_minutes: at least 1"),
        ({"flags": -1}, "flags: at least 0"),
        ({"version": None}, "version: not_nullable"),
        ({"method": "magic"}, f"method: one of {', '.join(Method)}"),
    ],
)
def test_a_broken_column_is_named_with_its_expectation_and_counted(changes, check):
    result = audit(CLEAN_READINGS, clean_rows(3, **changes))
    assert [(finding.check, finding.count) for finding in result.structure] == [(check, 3)]
    assert (
        result.structure[0]
        .examples[0]
        .startswith("point_id=A, obis_code=1-0:1.29.0, interval_start=2026-03-09 23:00:00")
    )


INTERVAL = {"value_low_kwh": Decimal("0.2"), "value_high_kwh": Decimal("0.3"), "variance_kwh2": Decimal("0.01")}


@pytest.mark.parametrize(
    ("changes", "checks"),
    [
        ({**INTERVAL, "status": "estimated"}, []),
        (INTERVAL, ["an interval only where the status is estimated"]),
        ({**INTERVAL, "status": "estimated", "value_low_kwh": Decimal("0.26")}, ["value_low_kwh <= value_kwh <="]),
        ({**INTERVAL, "status": "estimated", "value_high_kwh": Decimal("0.24")}, ["value_low_kwh <= value_kwh <="]),
        ({**INTERVAL, "status": "estimated", "variance_kwh2": None}, ["value_low_kwh <= value_kwh <="]),
        ({**INTERVAL, "status": "estimated", "variance_kwh2": Decimal(-1)}, ["variance_kwh2: at least 0"]),
    ],
)
def test_an_interval_holds_its_estimate_and_only_estimates_have_one(changes, checks):
    found = [finding.check for finding in audit(CLEAN_READINGS, clean_rows(3, **changes)).structure]
    assert len(found) == len(checks)
    assert all(name.startswith(check) for name, check in zip(found, checks, strict=True))


def test_an_example_holds_the_key_and_the_value():
    (finding,) = audit(CLEAN_READINGS, clean_rows(1, flags=-7)).structure
    assert finding.examples == ["point_id=A, obis_code=1-0:1.29.0, interval_start=2026-03-09 23:00:00, flags=-7"]


def test_examples_are_few_and_the_count_is_exact():
    (finding,) = audit(CLEAN_READINGS, clean_rows(40, flags=-1)).structure
    assert finding.count == 40
    assert len(finding.examples) == EXAMPLES
    assert len(set(finding.examples)) == EXAMPLES


def test_a_key_that_comes_twice_is_counted_without_its_first_row():
    rows = clean_rows(3)
    doubled = pa.concat_tables([rows, rows.slice(1, 2)]).unify_dictionaries()
    (finding,) = audit(CLEAN_READINGS, doubled).structure
    assert finding.check == "unique by point_id, obis_code, interval_start"
    assert finding.count == 2


def test_equal_labels_in_different_chunks_are_equal():
    doubled = pa.concat_tables([clean_rows(1, point_id="B"), clean_rows(1), clean_rows(1)])
    (finding,) = audit(CLEAN_READINGS, doubled).structure
    assert finding.count == 1


def test_several_broken_checks_are_all_found():
    result = audit(CLEAN_READINGS, clean_rows(2, flags=-1, status=None))
    assert {finding.check for finding in result.structure} == {"flags: at least 0", "status: not_nullable"}


def test_an_implausible_value_warns_and_does_not_block():
    result = audit(CLEAN_READINGS, clean_rows(2, value_kwh=Decimal("-1")))
    assert result.structure == []
    assert [(finding.check, finding.count) for finding in result.plausibility] == [("value_kwh: at least 0", 2)]
    result.require_structure("clean")


def test_the_same_bytes_of_two_feeds_are_not_the_same_rows():
    row = {
        "drop_id": "e3b0",
        "row_number": 0,
        "reason": "empty_file",
        "detail": "",
        "payload": "",
        "value_cells": 0,
        "received_at": START,
        "day": None,
    }
    nullable = pa.schema([field.with_nullable(True) for field in QUARANTINE.arrow])
    rows = pa.Table.from_pylist([row | {"feed": "north"}, row | {"feed": "south"}], schema=nullable)
    assert audit(QUARANTINE, rows).structure == []


def test_a_broken_structure_says_how_many_rows_and_shows_one():
    with pytest.raises(
        AuditError, match=r"clean of today is not published: 2 rows fail flags: at least 0, e.g. \['point_id=A"
    ):
        audit(CLEAN_READINGS, clean_rows(2, flags=-1)).require_structure("clean of today")


def test_an_audit_survives_its_manifest():
    result = audit(CLEAN_READINGS, clean_rows(3, flags=-1, value_kwh=Decimal("-1")))
    assert Audit.from_numbers(result.as_numbers()) == result


def test_audits_of_shards_add_up():
    first = Audit(3, [Finding("a", 2, ["x", "y"])], [])
    second = Audit(4, [Finding("a", 9, list("12345")), Finding("b", 1, ["z"])], [Finding("c", 1, [])])
    total = Audit.merged([first, second])
    assert total == Audit(
        7, [Finding("a", 11, ["x", "y", "1", "2", "3"]), Finding("b", 1, ["z"])], [Finding("c", 1, [])]
    )
    # The parts stay as they were.
    assert first.structure[0].count == 2


def test_results_carry_numbers_and_examples():
    structure, plausibility = audit_results(audit(CLEAN_READINGS, clean_rows(2, flags=-1)))
    assert (structure.passed, plausibility.passed) == (False, True)
    assert structure.metadata["rows"].value == 2
    assert structure.metadata["failed_rows"].value == 2
    assert structure.metadata["flags: at least 0: rows"].value == 2
    assert structure.metadata["flags: at least 0: examples"].value.startswith("- `point_id=A")


def test_structure_blocks_and_plausibility_warns():
    specs = {spec.name: spec for spec in check_specs(CLEAN_READINGS, conservation="as it should be")}
    assert {name: spec.blocking for name, spec in specs.items()} == {
        "structure": True,
        "plausibility": False,
        "conservation": True,
    }
    assert all(len(spec.description) > 15 for spec in specs.values() if spec.name != "conservation")
    severities = {result.check_name: result.severity.value for result in audit_results(Audit())}
    assert severities == {"structure": "ERROR", "plausibility": "WARN"}


def test_a_parked_day_fails_its_structure_check_with_the_reason():
    structure, _ = audit_results(Audit(), broken="the part is damaged")
    assert not structure.passed
    assert structure.metadata["not_published"].value == "the part is damaged"


def test_a_result_can_be_filed_under_its_day():
    result = evaluation("clean_readings", "2026-03-10", conservation_result({"raw": 3}, True))
    assert (result.check_name, result.partition, result.passed) == ("conservation", "2026-03-10", True)
    assert result.metadata["raw"].value == 3
