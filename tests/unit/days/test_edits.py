"""Manual edits: a feed of their own, with author and reason."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from metrify_assets.vee.delivery_day import DeliveryDay
from tests.workbench import ARRIVED, IMPORT, flat, instant, reads, workbench

DAY = date(2026, 3, 10)
HEADER = "point_id,obis_code,interval_start,kwh,author,reason"
A = "A"


def start(slot: int) -> str:
    return instant(int(DeliveryDay(DAY).slot_starts(60)[slot]))


def edits(*rows: tuple[int, str, str, str]) -> bytes:
    lines = [f"{A},{IMPORT},{start(slot)},{kwh},{author},{reason}" for slot, kwh, author, reason in rows]
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def slot(bench, number: int) -> dict:
    return bench.clean(DAY).to_pylist()[number]


@pytest.fixture
def edited(bench):
    """An hourly point with a gap at 5; slots 5 and 7 are edited."""
    bench.register(A)
    bench.land("plain", "a.csv", reads([A], [DAY], lambda p, d, s: None if s == 5 else flat(0.5)(p, d, s)))
    bench.settle()
    bench.land("manual_edits", "e1.csv", edits((5, "0.7", "Max", "photo"), (7, "0.2", "Max", "photo")), ARRIVED)
    bench.settle()
    return bench


def test_an_edit_outranks_estimates_and_measurements(edited):
    for number, kwh in ((5, "0.700000"), (7, "0.200000")):
        row = slot(edited, number)
        assert (row["value_kwh"], row["status"]) == (Decimal(kwh), "validated")
        assert (row["method"], row["reason"]) == ("manual", "manual_edit")


def test_one_edit_changes_one_slot_where_rules_differ_by_feed(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "editions:\n  - version: own\n    valid_from: 1990-01-01\n    severities: {spike: block}\n"
        "    exceptions:\n      - {feed: plain, severities: {spike: 'off'}}\n"
    )
    bench = workbench(tmp_path, rules_file=rules)
    bench.register(A)
    bench.land("plain", "a.csv", reads([A], [DAY], lambda p, d, s: 9.0 if s == 18 else flat(0.5)(p, d, s)))
    bench.settle()
    before = bench.clean(DAY).to_pylist()
    bench.land("manual_edits", "e1.csv", edits((3, "0.4", "Max", "photo")), ARRIVED)
    bench.settle()
    after = bench.clean(DAY).to_pylist()
    changed = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed == [3]
    assert after[18]["value_kwh"] == Decimal("9.000000")


def test_an_edit_survives_later_deliveries_and_further_runs(edited):
    edited.land("adding", "late.csv", reads([A], [DAY], flat(0.9)), ARRIVED + timedelta(days=5))
    edited.settle()
    assert slot(edited, 7)["value_kwh"] == Decimal("0.200000")
    assert slot(edited, 8)["value_kwh"] == Decimal("0.900000")


def test_the_later_of_two_edits_counts_until_it_is_withdrawn(edited):
    later = edited.land("manual_edits", "e2.csv", edits((7, "0.3", "Eva", "better photo")), ARRIVED + timedelta(days=1))
    edited.settle()
    assert slot(edited, 7)["value_kwh"] == Decimal("0.300000")
    edited.platform.ledger.withdraw(later.drop, "wrong meter")
    edited.settle()
    assert slot(edited, 7)["value_kwh"] == Decimal("0.200000")


def test_an_edit_that_cannot_be_does_not_displace_the_measurement(edited):
    edited.land("manual_edits", "e3.csv", edits((8, "500", "Max", "typo")), ARRIVED + timedelta(days=1))
    edited.settle()
    row = slot(edited, 8)
    assert (row["value_kwh"], row["status"], row["version"]) == (Decimal("0.500000"), "measured", 2)


@pytest.mark.parametrize(("author", "reason", "why"), [("", "x", "missing_author"), ("x", "", "missing_remark")])
def test_an_edit_without_author_or_reason_is_quarantined(edited, author, reason, why):
    drop = edited.land("manual_edits", "e4.csv", edits((8, "0.1", author, reason)), ARRIVED + timedelta(days=1)).drop
    assert [row["reason"] for row in edited.quarantine(drop)] == [why]
