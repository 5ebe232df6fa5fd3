"""Register brackets in the explanation: scaled estimates, failed sums, and the states at both ends."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.explain.gather import explain
from metrify_assets.explain.words import number
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.unit.explain.conftest import DAY, GAP, LIKE_DAYS, POINT, usual
from tests.unit.explain.test_gather import assert_equals_published, channel
from tests.workbench import Workbench, instant, reads

pytestmark = pytest.mark.slow

REGISTER = "1-0:1.8.0"


def land_registers(bench: Workbench, opening: str, closing: str) -> None:
    """Deliver the states at both ends of the day."""
    registry = f"point_id,obis_code,unit,resolution_kwh,valid_from\n{POINT},{REGISTER},kWh,0.001,2020-01-01\n"
    bench.land("registry_registers", "registers.csv", registry.encode())
    day = DeliveryDay(DAY)
    rows = [f"{POINT},{REGISTER},{instant(at)},{state}" for at, state in ((day.start, opening), (day.end, closing))]
    text = "\n".join(["point_id,obis,read_at,kwh", *rows]) + "\n"
    bench.land("registers_daily", "registers_1.csv", text.encode())


def test_scaled_estimates_show_the_bracket_and_its_figures(busy):
    actual = sum(Decimal(str(usual(POINT, DAY, slot))) for slot in range(24) if slot not in GAP)
    land_registers(busy, "1000", "1012.5")
    busy.settle()
    series = channel(busy)
    assert_equals_published(busy, explain(busy.platform, POINT, DAY))
    bracket = series.brackets[0]
    assert (bracket.register_kwh, bracket.actual_kwh, bracket.outcome) == (Decimal("12.5"), actual, "scaled")
    # Five estimates: 0.413333 at 08:00, 10:00 and 12:00, 0.414333 at 09:00 and 11:00.
    assert bracket.estimated_kwh == Decimal("2.068665")
    assert (bracket.opening.kwh, bracket.closing.kwh) == (Decimal("1000"), Decimal("1012.5"))
    assert bracket.scale == float((Decimal("12.5") - actual) / Decimal("2.068665"))
    slot = series.slots[GAP[0]]
    assert (slot.estimate.method, slot.estimate.kwh, slot.estimate.bracket) == ("like_day", Decimal("0.413333"), 1)
    assert (slot.result.method, slot.result.scaled_method) == ("register_scaled", "like_day")
    assert {item.result.scaled_method for item in series.slots if item.result.method is None} == {None}
    assert slot.estimate.text.endswith(f"of bracket 1 = {number(slot.result.value_kwh)} kWh")
    assert sum(item.result.value_kwh for item in series.slots) == Decimal("12.5")
    assert [item.kwh for item in series.reads] == [Decimal("1000"), Decimal("1012.5")]


@pytest.mark.parametrize(
    "states", [("1000", "1012.5"), ("1000", "1009.55"), ("1000", "1008"), ("1000", "1110"), ("9", "3")]
)
def test_what_is_said_of_a_bracket_is_what_was_done(busy, states):
    # 9.51 kWh measured, 2.07 kWh estimated.
    land_registers(busy, *states)
    busy.settle()
    assert_equals_published(busy, explain(busy.platform, POINT, DAY))
    series = channel(busy)
    outcome = series.brackets[0].outcome
    rules = {finding.rule for slot in series.slots for finding in slot.findings}
    assert (outcome == "scaled") == ("register_scaled" in {slot.result.method for slot in series.slots})
    assert (outcome == "scale_refused") == ("scale_refused" in rules)
    assert ("measured values are provisional" in series.brackets[0].text) == ("sum_check" in rules)
    assert ("sum_check" in rules) == ("provisional" in {slot.result.status for slot in series.slots})


@pytest.mark.parametrize(
    ("closing", "why"),
    [
        ("1008", "-1.51 kWh would be left for estimates of 2.068665 kWh: not scaled"),
        ("1110", "x 48.5772 is more than 10, not scaled"),
    ],
)
def test_a_refused_scale_says_why(busy, closing, why):
    land_registers(busy, "1000", closing)
    busy.settle()
    bracket = channel(busy).brackets[0]
    assert (bracket.outcome, bracket.scale) == ("scale_refused", None)
    assert why in bracket.text


def test_an_estimate_is_not_scaled_beyond_the_connection(bench):
    bench.register({"point_id": POINT, "connection_kw": 2})
    bench.land("plain", "history.csv", reads([POINT], LIKE_DAYS, usual))
    bench.land("plain", "day.csv", reads([POINT], [DAY], usual))
    land_registers(bench, "1000", "1022")
    bench.settle()
    assert_equals_published(bench, explain(bench.platform, POINT, DAY))
    series = channel(bench)
    assert series.brackets[0].outcome == "scale_refused"
    assert "more than the connection carries (2.2 kWh)" in series.brackets[0].text


def test_intervals_that_miss_the_register_show_sum_difference_and_tolerance(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: 0.5))
    land_registers(bench, "1000", "1010")
    bench.settle()
    series = channel(bench)
    assert series.brackets[0].outcome == "sum_differs"
    # 1 % of 10 kWh is more than two steps of 1 Wh.
    assert series.brackets[0].text == ("intervals 12 kWh against register 10 kWh: off by 2 kWh > 0.1 kWh tolerated")
    assert series.slots[0].findings[-1].text == f"bracket 1: {series.brackets[0].text}"
    assert series.slots[0].result.status == "provisional"
    assert_equals_published(bench, explain(bench.platform, POINT, DAY))


def test_a_bracket_over_two_days_counts_both(bench):
    bench.register(POINT)
    after = DAY + timedelta(days=1)
    bench.land("plain", "days.csv", reads([POINT], [DAY, after], lambda point, day, slot: 0.5))
    ends = (DeliveryDay(DAY).start, DeliveryDay(after).end)
    rows = [f"{POINT},{REGISTER},{instant(at)},{state}" for at, state in zip(ends, ("5", "29"), strict=True)]
    registry = f"point_id,obis_code,unit,valid_from\n{POINT},{REGISTER},kWh,2020-01-01\n"
    bench.land("registry_registers", "registers.csv", registry.encode())
    text = "\n".join(["point_id,obis,read_at,kwh", *rows]) + "\n"
    bench.land("registers_daily", "registers_1.csv", text.encode())
    for day in (DAY, after):
        bracket = channel(bench, day).brackets[0]
        assert (bracket.actual_kwh, bracket.register_kwh, bracket.outcome) == (24, 24, "sum_fits")
    assert channel(bench, after).brackets[0].opening.local == "2026-03-10 00:00"


def test_a_day_of_another_level_says_so_once_and_by_how_much_in_each_slot(bench):
    bench.register(POINT)
    bench.land("plain", "history.csv", reads([POINT], LIKE_DAYS, lambda point, day, slot: 0.5))
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: None if slot in GAP else 0.4))
    bench.settle()
    series = channel(bench)
    # 19 hours of 0.4 against 0.5 kWh.
    assert series.like_day_level == "level of the day 0.8: 7.6 kWh measured, 9.5 kWh in the means of the same slots"
    assert series.slots[GAP[0]].estimate.text.endswith(", x 0.8 of the day's level")
    assert series.slots[GAP[0]].result.value_kwh == Decimal("0.4")


def test_a_bracket_with_missing_slots_says_that_it_is_neither_checked_nor_scaled(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], usual))
    land_registers(bench, "1000", "1010")
    bracket = channel(bench).brackets[0]
    assert (bracket.outcome, bracket.missing) == ("incomplete", len(GAP))
    assert LIKE_DAYS[0] in {note.day for note in channel(bench).like_days}


def test_a_register_that_sorts_between_two_channels_leaves_their_names_alone(bench):
    # 1-0:1.29.0 < 1-0:1.8.0 < 1-0:2.29.0, and the register has no slots of its own.
    bench.register(POINT, {"point_id": POINT, "obis_code": "1-0:2.29.0"})
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: 0.5))
    land_registers(bench, "1000", "1012")
    for options in ({}, {"known_at": SYSTEM_CLOCK.now()}):
        channels = explain(bench.platform, POINT, DAY, **options).channels
        assert [(series.obis_code, series.summary.energy_kwh) for series in channels] == [
            ("1-0:1.29.0", 12),
            ("1-0:2.29.0", 0),
        ]
    bench.settle()
    assert_equals_published(bench, explain(bench.platform, POINT, DAY))
