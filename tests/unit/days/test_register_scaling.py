"""Register reads through the platform: estimates scaled to them, and what a late read changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.workbench import ARRIVED, IMPORT, Workbench, flat, instant, reads, workbench

pytestmark = pytest.mark.slow

FIRST = date(2026, 3, 9)
DAYS = [FIRST + timedelta(n) for n in range(10)]
REGISTER = "1-0:1.8.0"
A = "A"
LATER = ARRIVED + timedelta(days=3)


def midnight(day: date, hours: float = 0) -> str:
    return instant(DeliveryDay(day).start + round(hours * 3_600_000_000))


def register_reads(*rows: tuple[str, object], point: str = A, obis: str = REGISTER) -> bytes:
    return ("point_id,obis,read_at,kwh\n" + "".join(f"{point},{obis},{at},{kwh}\n" for at, kwh in rows)).encode()


def registers(*rows: dict) -> bytes:
    header = ["point_id", "obis_code", "unit", "multiplier", "digits", "resolution_kwh", "initial_kwh", "final_kwh"]
    header += ["valid_from", "valid_to"]
    lines = [",".join(header)]
    for row in rows:
        full = {"point_id": A, "obis_code": REGISTER, "valid_from": "2020-01-01"} | row
        lines.append(",".join(str(full.get(name, "")) for name in header))
    return ("\n".join(lines) + "\n").encode()


def with_gaps(point: str, day: date, slot: int) -> float | None:
    """Half a kWh an hour; two hours are missing on two of the days."""
    missing = {(DAYS[3], 10), (DAYS[3], 11), (DAYS[6], 23), (DAYS[7], 0)}
    return None if (day, slot) in missing else flat(0.5)(point, day, slot)


@pytest.fixture
def read_twice(bench: Workbench) -> Workbench:
    """A point with gaps on days 3, 6 and 7, and register reads on days 1 and 9: 100 kWh in between."""
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    return bench


def rows_of(bench: Workbench, days: list[date]) -> list[dict]:
    return [row for day in days for row in bench.clean(day).to_pylist()]


def total(bench: Workbench, days: list[date]) -> Decimal:
    return sum((bench.energy(day) for day in days), Decimal(0))


def methods(bench: Workbench, days: list[date]) -> list[str]:
    return [row["method"] for row in rows_of(bench, days) if row["method"]]


def test_the_intervals_between_two_reads_sum_up_to_their_difference_exactly(read_twice):
    assert total(read_twice, DAYS[1:9]) == Decimal("100.000000")
    assert methods(read_twice, DAYS[1:9]) == ["register_scaled"] * 4
    assert [row["scaled_method"] for row in rows_of(read_twice, DAYS[1:9]) if row["method"]] == ["linear"] * 4
    assert {row["scaled_method"] for row in rows_of(read_twice, DAYS[1:9]) if not row["method"]} == {None}
    # 192 hours less four at 0.5 kWh, every odd hour 1 Wh more: the four estimates share the rest equally but for
    # their own small differences.
    measured = [row["value_kwh"] for row in rows_of(read_twice, DAYS[1:9]) if row["status"] == "measured"]
    assert sum(measured) == Decimal("94.094000")


def test_measured_values_are_untouched(read_twice):
    for row in rows_of(read_twice, DAYS):
        if row["status"] == "measured":
            assert row["value_kwh"] == row["delivered_kwh"]


def test_a_day_computed_alone_gives_the_same_rows_as_in_a_range(read_twice, tmp_path):
    alone = workbench(tmp_path / "alone")
    alone.register(A)
    alone.land("registry_registers", "registers.csv", registers({}))
    alone.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    alone.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    for day in reversed(DAYS):
        alone.compute(day)
    alone.settle()
    assert alone.digests() == read_twice.digests()


def test_a_late_read_changes_the_days_of_the_brackets_it_touches_and_no_other(read_twice):
    before = read_twice.digests()
    read_twice.land("registers_daily", "registers_2.csv", register_reads((midnight(DAYS[5]), 549)), LATER)
    assert set(read_twice.settle()) == set(DAYS[1:9])
    after = read_twice.digests()
    assert {day for day in DAYS if before[day] != after[day]} == {DAYS[3], DAYS[6], DAYS[7]}
    assert total(read_twice, DAYS[1:5]) == Decimal("49.000000")
    assert total(read_twice, DAYS[5:9]) == Decimal("51.000000")


def test_a_late_read_beyond_the_last_one_changes_nothing_before_it(read_twice):
    before = read_twice.digests()
    read_twice.land("registers_daily", "registers_2.csv", register_reads((midnight(DAYS[9], 24), 612.5)), LATER)
    assert set(read_twice.settle()) <= {DAYS[9], DAYS[9] + timedelta(days=1)}
    after = read_twice.digests()
    assert all(before[day] == after[day] for day in DAYS[:9])


def test_a_withdrawn_read_gives_the_state_before_it(read_twice):
    before = read_twice.digests()
    late = read_twice.land("registers_daily", "registers_2.csv", register_reads((midnight(DAYS[5]), 549)), LATER)
    read_twice.settle()
    read_twice.platform.ledger.withdraw(late.drop, "wrong meter")
    read_twice.settle()
    assert read_twice.digests() == before


def test_a_negative_scale_is_refused_and_flagged(bench):
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 520)))
    bench.settle()
    assert set(methods(bench, DAYS[1:9])) == {"linear"}
    assert rows_of(bench, [DAYS[3]])[0]["flags"] & Flag.SCALE_REFUSED


def test_intervals_that_differ_from_their_register_are_provisional(bench):
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS))
    # Two days hold 24.024 kWh each pair: the first read says 24, within 1 %; the second 26.
    bench.land(
        "registers_daily",
        "registers_1.csv",
        register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[3]), 524), (midnight(DAYS[5]), 550)),
    )
    bench.settle()
    assert {row["status"] for row in rows_of(bench, DAYS[:3] + DAYS[5:])} == {"measured"}
    assert {(row["status"], row["reason"]) for row in rows_of(bench, DAYS[3:5])} == {("provisional", "sum_check")}


def test_a_sum_check_can_be_off_for_a_point_class(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions:\n  - version: own\n    valid_from: 1990-01-01\n    exceptions:\n"
        "      - {point_class: house, severities: {sum_check: 'off'}}\n"
    )
    bench = workbench(tmp_path, rules_file=rules)
    points = "point_id,obis_code,interval_minutes,connection_kw,point_class,valid_from\n"
    points += f"{A},{IMPORT},60,30,house,2020-01-01\nB,{IMPORT},60,30,shop,2020-01-01\n"
    bench.land("registry_points", "points.csv", points.encode())
    bench.land("registry_registers", "registers.csv", registers({}, {"point_id": "B"}))
    bench.land("plain", "all.csv", reads([A, "B"], DAYS[:4]))
    for number, point in enumerate((A, "B")):
        content = register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[2]), 550), point=point)
        bench.land("registers_daily", f"registers_{number}.csv", content)
    bench.settle()
    statuses = {(row["point_id"], row["status"]) for row in bench.clean(DAYS[1]).to_pylist()}
    assert statuses == {(A, "measured"), ("B", "provisional")}


def test_an_exchange_is_two_brackets_that_each_come_out_exactly(bench):
    bench.register(A)
    old = {"valid_to": str(DAYS[4]), "final_kwh": 536, "meter_id": "old"}
    new = {"valid_from": str(DAYS[4]), "initial_kwh": 2}
    bench.land("registry_registers", "registers.csv", registers(old, new))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    # A read at the very instant of the exchange, of either device: the registry's states stand above it.
    content = register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[4]), 3), (midnight(DAYS[9]), 62.5))
    bench.land("registers_daily", "registers_1.csv", content)
    bench.settle()
    assert total(bench, DAYS[1:4]) == Decimal("36.000000")
    assert total(bench, DAYS[4:9]) == Decimal("60.500000")
    assert all(row["flags"] & Flag.METER_EXCHANGE for row in rows_of(bench, DAYS[1:9]))


def test_a_final_state_without_an_end_of_service_says_nothing(bench):
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({"final_kwh": 900}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    assert total(bench, DAYS[1:9]) == Decimal("100.000000")


def test_a_read_in_a_wrong_unit_is_no_read(bench):
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({"unit": "MWh"}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    assert set(methods(bench, DAYS)) == {"linear"}


def test_of_two_reads_of_one_midnight_the_one_received_last_counts(read_twice):
    # A minute early: it lies in the day before, and means the same midnight.
    early = datetime.fromisoformat(midnight(DAYS[9])) - timedelta(minutes=1)
    assert early.tzinfo == UTC
    read_twice.land("registers_daily", "registers_2.csv", register_reads((early.isoformat(), 601)), LATER)
    read_twice.settle()
    assert total(read_twice, DAYS[1:9]) == Decimal("101.000000")
    again = register_reads((midnight(DAYS[9]), 602))
    read_twice.land("registers_daily", "registers_3.csv", again, LATER + timedelta(days=1))
    read_twice.settle()
    assert total(read_twice, DAYS[1:9]) == Decimal("102.000000")


def test_a_read_within_a_slot_does_not_undo_the_bracket_around_it(read_twice):
    read_twice.land("registers_daily", "registers_2.csv", register_reads((midnight(DAYS[5], 10.25), 554)), LATER)
    read_twice.settle()
    assert total(read_twice, DAYS[1:9]) == Decimal("100.000000")


def test_a_late_read_within_such_a_bracket_changes_all_of_its_days(read_twice):
    read_twice.land("registers_daily", "registers_2.csv", register_reads((midnight(DAYS[5], 10.25), 554)), LATER)
    read_twice.settle()
    late = register_reads((midnight(DAYS[3]), 525))
    read_twice.land("registers_daily", "registers_3.csv", late, LATER + timedelta(days=1))
    assert set(read_twice.settle()) == set(DAYS[1:9])
    assert total(read_twice, DAYS[1:3]) == Decimal("24.024000")
    assert total(read_twice, DAYS[3:9]) == Decimal("75.000000")


def test_sums_are_checked_where_estimates_are_not_scaled(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("editions:\n  - {version: a, valid_from: 1990-01-01, estimation: {scale_to_registers: false}}\n")
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    assert {row["reason"] for row in rows_of(bench, DAYS[1:9])} == {"sum_check"}


def test_days_whose_rules_do_not_scale_are_taken_as_they_are(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions:\n  - {version: a, valid_from: 1990-01-01, estimation: {scale_to_registers: false}}\n"
        f"  - {{version: b, valid_from: {DAYS[5]}}}\n"
    )
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    assert methods(bench, DAYS[1:9]) == ["linear"] * 2 + ["register_scaled"] * 2
    assert total(bench, DAYS[1:9]) == Decimal("100.000000")


@pytest.mark.parametrize(
    ("first_day", "rolls_over"), [("2099-01-01", False), (str(DAYS[9]), False), (str(DAYS[8]), True)]
)
def test_a_counter_rolls_over_by_the_rules_of_the_day_that_its_read_closes(tmp_path, first_day, rolls_over):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions:\n  - {version: a, valid_from: 1990-01-01}\n"
        f"  - {{version: b, valid_from: {first_day}, rules: {{register_rollover_percent: 100}}}}\n"
    )
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(A)
    bench.land("registry_registers", "registers.csv", registers({"digits": 3}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    # 1,000 - 890 + 2 kWh if it rolled over.
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 890), (midnight(DAYS[9]), 2)))
    bench.settle()
    assert set(methods(bench, DAYS[1:9])) == ({"register_scaled"} if rolls_over else {"linear"})
    if rolls_over:
        assert total(bench, DAYS[1:9]) == Decimal("112.000000")


def test_gaps_of_a_register_that_is_its_own_series_sum_up_to_its_reads(bench):
    bench.register({"point_id": A, "obis_code": REGISTER})
    # Half a kWh an hour, and 3 kWh in the two hours around the read that is missing.
    hours = [(slot, 100 + 0.5 * slot + 2 * (slot > 30)) for slot in range(49) if slot != 30]
    content = register_reads(*((midnight(DAYS[1], slot), state) for slot, state in hours))
    bench.land("registers_daily", "registers_1.csv", content)
    bench.settle()
    assert total(bench, DAYS[1:3]) == Decimal("26.000000")
    scaled = [row for row in rows_of(bench, DAYS[1:3]) if row["method"]]
    assert [(row["method"], row["value_kwh"]) for row in scaled] == [("register_scaled", Decimal("1.500000"))] * 2


def test_a_series_that_begins_within_a_bracket_is_not_scaled_to_all_of_it(bench):
    bench.register({"point_id": A, "valid_from": str(DAYS[4])})
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    bench.land("registers_daily", "registers_1.csv", register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 600)))
    bench.settle()
    assert set(methods(bench, DAYS)) == {"linear"}


def test_estimates_are_not_scaled_beyond_what_the_connection_carries(bench):
    bench.register({"point_id": A, "connection_kw": 30})
    bench.land("registry_registers", "registers.csv", registers({}))
    bench.land("plain", "all.csv", reads([A], DAYS, with_gaps))
    # A mistyped last read: 20,000 kWh in eight days through 30 kW, all of it in four estimated hours.
    content = register_reads((midnight(DAYS[1]), 500), (midnight(DAYS[9]), 20_500))
    bench.land("registers_daily", "registers_1.csv", content)
    bench.settle()
    assert max(row["value_kwh"] for row in rows_of(bench, DAYS)) < 33
