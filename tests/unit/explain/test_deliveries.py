"""What became of every delivery, worked out by hand: parts, refused values, versions that outrank later ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from tests.unit.explain.conftest import DAY, LATER, POINT, correct, edit, starts, usual
from tests.unit.explain.test_gather import channel, roles_of, rules_of
from tests.unit.explain.test_text import shown
from tests.workbench import ARRIVED, Workbench, reads

AGAIN = LATER + timedelta(days=1)


def at(slot: int, minutes: int = 0) -> str:
    """Return the start of an hour of the day, some minutes later."""
    return (datetime.fromisoformat(starts()[slot]) + timedelta(minutes=minutes)).isoformat()


def land(bench: Workbench, feed: str, name: str, rows: list[tuple[object, ...]], arrived: datetime = ARRIVED) -> None:
    """Deliver rows of start, value and what else the feed has."""
    header = "point,start,kwh,status" if feed == "with_status" else "point,start,kwh"
    lines = [",".join(map(str, (POINT, *row))) for row in rows]
    bench.land(feed, name, ("\n".join([header, *lines]) + "\n").encode(), arrived)


def outcomes(bench: Workbench, slot: int) -> list[tuple[Decimal | None, str, str | None]]:
    """Return value, role and what is said of each delivery of a slot."""
    return [(delivery.value, delivery.role, delivery.because) for delivery in channel(bench).slots[slot].deliveries]


def halved(bench: Workbench) -> None:
    """Deliver hour 3 as two halves, and later the first of them again as something that cannot be."""
    bench.register(POINT)
    hours = reads([POINT], [DAY], lambda point, day, slot: None if slot == 3 else usual(point, day, slot))
    bench.land("plain", "day.csv", hours)
    land(bench, "half_hours", "halves.csv", [(at(3), 0.251), (at(3, 30), 0.252)])
    land(bench, "half_hours", "late.csv", [(at(3), 500)], LATER)


def test_a_late_part_that_is_refused_is_no_part(bench):
    halved(bench)
    bench.settle()
    slot = channel(bench).slots[3]
    assert slot.result.value_kwh == Decimal("0.503")
    assert outcomes(bench, 3) == [
        (Decimal("0.251"), "part", None),
        (Decimal("0.252"), "part", None),
        (Decimal("500"), "impossible", "500 kWh > 33 kWh in 60 min (110 % of 30 kW connection)"),
    ]


def test_the_page_says_that_a_late_part_was_refused_and_why(bench):
    halved(bench)
    text = " ".join(shown(bench, width=300).split())
    assert "0.251 kWh [#1 row 1] part of the sum" in text or "0.251 kWh [#2 row 1] part of the sum" in text
    assert "500 kWh [#3 row 1] refused: 500 kWh > 33 kWh in 60 min (110 % of 30 kW connection)" in text


def test_a_later_value_below_zero_is_said_to_be_refused_for_it(busy):
    correct(busy, 20, -3)
    assert outcomes(busy, 20)[1] == (
        Decimal("-3"),
        "impossible",
        "-3 kWh < 0 on a channel that counts in one direction",
    )


def test_a_measured_value_that_outranks_a_later_substitute_is_said_to_do_so(busy):
    land(busy, "with_status", "more.csv", [(at(2), 0.75, "E")], LATER)
    assert outcomes(busy, 2) == [
        (Decimal("0.5"), "chosen", None),
        (Decimal("0.75"), "superseded", "measured (#1) outranks substitute, though it came earlier"),
    ]


def test_an_edit_that_outranks_a_later_measured_value_is_said_to_do_so(busy):
    edit(busy, 21, 0.7)
    correct(busy, 21, 0.9, arrived=AGAIN)
    assert outcomes(busy, 21) == [
        (Decimal("0.501"), "superseded", None),
        (Decimal("0.7"), "chosen", None),
        (Decimal("0.9"), "superseded", "the manual edit (#2) outranks measured, though it came earlier"),
    ]


def test_a_value_that_outranks_a_later_blank_is_said_to_do_so(busy):
    correct(busy, 21, "")
    assert outcomes(busy, 21)[1] == (None, "superseded", "measured (#1) outranks a blank, though it came earlier")


def test_the_later_of_two_values_that_cannot_be_is_chosen_whatever_their_status(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: 50 if slot == 3 else 0.5))
    land(bench, "with_status", "more.csv", [(at(3), 60, "E")], LATER)
    assert outcomes(bench, 3) == [(Decimal("50"), "superseded", None), (Decimal("60"), "chosen", None)]


def test_parts_that_are_not_used_say_what_was_used_instead(bench):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [DAY], lambda point, day, slot: None if slot == 4 else 0.5))
    halves = [(at(3), 0.2), (at(3, 30), 0.3), (at(4), 0.2)]
    land(bench, "half_hours", "halves.csv", halves)
    assert [outcome[1:] for outcome in outcomes(bench, 3)] == [
        ("chosen", None),
        ("unused", "the whole slot was delivered"),
        ("unused", "the whole slot was delivered"),
    ]
    assert outcomes(bench, 4) == [(Decimal("0.2"), "unused", "parts of the slot are absent")]


def test_every_slot_that_a_coarser_delivery_touches_names_its_length(bench):
    bench.register(POINT)
    hours = reads([POINT], [DAY], lambda point, day, slot: None if slot in (4, 5) else 0.5 + slot % 2 / 1000)
    bench.land("plain", "day.csv", hours)
    land(bench, "two_hours", "coarse.csv", [(at(4), 1.0)])
    series = channel(bench)
    for slot in (4, 5):
        assert rules_of(series, slot)["interval_size"] == "delivered for 120 min instead of 60 min, not used"
    assert "other min" not in shown(bench)
    assert (roles_of(series, 4), roles_of(series, 5)) == (["off_grid"], [])


def repeated(bench: Workbench, files: int, **changes: object) -> None:
    """Deliver a whole day several times, each time with the same values, in files of other bytes."""
    bench.register(POINT)
    for number in range(files):
        content = reads([POINT], [DAY], lambda point, day, slot: 0.5 + slot / 1000)
        bench.land("adding", f"day_{number}.csv", content + b"\n" * number, ARRIVED + timedelta(minutes=number))


def test_identical_deliveries_are_one_line_with_their_count(bench):
    repeated(bench, 24)
    correct(bench, 3, 0.9)
    text = " ".join(shown(bench, width=200).split())
    assert "0.503 kWh [24 times: #1 row 4 to #24 row 4] superseded" in text
    assert "0.9 kWh [#25 row 1]" in text


def test_slots_with_nothing_but_repeats_are_counted_not_listed(bench):
    repeated(bench, 24)
    text = shown(bench)
    assert "24 slots are plainly measured, 24 of them delivered up to 24 times alike; --all lists them." in text
    assert len(text.splitlines()) < 120
    assert "[24 times: #1 row 4 to #24 row 4]" in " ".join(shown(bench, width=200, all_slots=True).split())
