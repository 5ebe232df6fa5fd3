"""Closed billing periods: their values stand, and what would change is reported."""

from __future__ import annotations

import shlex
from datetime import date, timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.days.as_known import PastSnapshot
from metrify_assets.days.periods import Periods
from metrify_assets.errors import PeriodError
from metrify_assets.schemas.readings import CLEAN_READINGS, CORRECTIONS
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.workbench import ARRIVED, IMPORT, Workbench, flat, instant, reads

pytestmark = pytest.mark.slow

DAY = date(2026, 3, 10)
LATER = ARRIVED + timedelta(days=1)
A, B = "A", "B"


@pytest.fixture
def closed(bench) -> Workbench:
    """Two points whose day is closed; A's slot 5 was estimated."""
    bench.register(A, B)
    bench.land("plain", "a.csv", reads([A, B], [DAY], lambda p, d, s: None if (p, s) == (A, 5) else flat(0.5)(p, d, s)))
    bench.settle()
    Periods(bench.platform).close(DAY, DAY, "Erika", "billing of March", set())
    bench.settle()
    return bench


def corrections_of(bench: Workbench) -> list[dict]:
    manifest = bench.platform.lake.manifest(CORRECTIONS.name, DAY)
    return bench.platform.lake.read(manifest, CORRECTIONS.arrow).to_pylist()


def clean_of(bench: Workbench) -> list[dict]:
    manifest = bench.platform.lake.manifest(CLEAN_READINGS.name, DAY)
    return bench.platform.lake.read(manifest, CLEAN_READINGS.arrow).to_pylist()


def start(slot: int) -> str:
    return instant(int(DeliveryDay(DAY).slot_starts(60)[slot]))


def edit_file(point: str, slot: int, kwh: str) -> bytes:
    lines = ["point_id,obis_code,interval_start,kwh,author,reason", f"{point},{IMPORT},{start(slot)},{kwh},Max,misread"]
    return ("\n".join(lines) + "\n").encode()


def test_closing_changes_no_value_and_no_digest(bench):
    bench.register(A, B)
    bench.land("plain", "a.csv", reads([A, B], [DAY]))
    bench.settle()
    before = bench.digests()
    Periods(bench.platform).close(DAY, DAY, "Erika", "billing of March", set())
    bench.settle()
    assert bench.digests() == before
    assert corrections_of(bench) == []


def test_late_data_in_a_closed_day_is_a_correction_and_is_not_applied(closed):
    before = clean_of(closed)
    closed.land("adding", "late.csv", f"point,start,kwh\n{A},{start(5)},0.9\n".encode(), LATER)
    closed.settle()
    assert clean_of(closed) == before
    (correction,) = corrections_of(closed)
    # Slot 5 lay between two values of 0.5 kWh.
    assert (correction["old_kwh"], correction["new_kwh"], correction["difference_kwh"]) == (
        Decimal("0.500000"),
        Decimal("0.900000"),
        Decimal("0.400000"),
    )
    assert (correction["old_status"], correction["new_status"], correction["cause"]) == (
        "estimated",
        "measured",
        "late_data",
    )
    assert (correction["feed"], correction["received_at"]) == ("adding", LATER)


def test_an_edit_in_a_closed_day_names_its_author_and_reason(closed):
    closed.land("manual_edits", "edit.csv", edit_file(B, 7, "0.25"), LATER)
    closed.settle()
    (correction,) = corrections_of(closed)
    assert (correction["point_id"], correction["new_kwh"], correction["new_status"]) == (
        B,
        Decimal("0.250000"),
        "validated",
    )
    assert (correction["cause"], correction["author"], correction["remark"]) == ("manual_edit", "Max", "misread")


def withdrawn_after_closing(bench: Workbench, *drops, reason: str = "wrong meter") -> list[tuple]:
    """Close the day, withdraw some drops, and return the corrections that follow: values, cause, drop and why."""
    bench.settle()
    Periods(bench.platform).close(DAY, DAY, "Erika", "billing of March", set())
    for drop in drops:
        bench.platform.ledger.withdraw(drop, reason)
    bench.settle()
    return [
        (row["old_kwh"], row["new_kwh"], row["cause"], row["feed"], row["drop_id"], row["author"], row["remark"])
        for row in corrections_of(bench)
    ]


@pytest.mark.parametrize("arrived", [LATER, ARRIVED], ids=["later", "at the same instant"])
def test_a_value_whose_drop_was_withdrawn_says_so(bench, arrived):
    bench.register(A)
    bench.land("plain", "a.csv", reads([A], [DAY], lambda *_: 0.5))
    drop = bench.land("adding", "z.csv", f"point,start,kwh\n{A},{start(5)},0.95\n".encode(), arrived).drop
    bench.settle()
    # Of two that arrive at one instant the order of their digests decides: this one stands in both cases.
    assert clean_of(bench)[5]["value_kwh"] == Decimal("0.95")
    why = ("withdrawn", "adding", drop.drop_id, None, "wrong meter")
    assert withdrawn_after_closing(bench, drop) == [(Decimal("0.95"), Decimal("0.500000"), *why)]


def test_every_value_of_a_withdrawn_file_says_so_although_nothing_takes_its_place(bench):
    bench.register(A)
    drop = bench.land("plain", "a.csv", reads([A], [DAY], lambda *_: 0.5)).drop
    corrections = withdrawn_after_closing(bench, drop)
    why = ("withdrawn", "plain", drop.drop_id, None, "wrong meter")
    assert corrections == [(Decimal("0.500000"), None, *why)] * 24


def test_an_edit_that_was_withdrawn_says_so_even_where_an_older_edit_takes_its_place(bench):
    bench.register(A)
    bench.land("plain", "a.csv", reads([A], [DAY], lambda *_: 0.5))
    bench.land("manual_edits", "first.csv", edit_file(A, 7, "0.25"), LATER)
    drop = bench.land("manual_edits", "second.csv", edit_file(A, 7, "0.3"), LATER + timedelta(hours=1)).drop
    corrections = withdrawn_after_closing(bench, drop)
    why = ("withdrawn", "manual_edits", drop.drop_id, None, "wrong meter")
    assert corrections == [(Decimal("0.300000"), Decimal("0.250000"), *why)]


def test_an_edit_outranks_the_withdrawal_of_what_it_replaces(bench):
    bench.register(A)
    drop = bench.land("plain", "a.csv", reads([A], [DAY], lambda *_: 0.5)).drop
    bench.settle()
    Periods(bench.platform).close(DAY, DAY, "Erika", "billing of March", set())
    bench.platform.ledger.withdraw(drop, "wrong meter")
    bench.land("manual_edits", "edit.csv", edit_file(A, 7, "0.25"), LATER)
    bench.settle()
    causes = [(row["cause"], row["author"]) for row in corrections_of(bench)]
    assert causes == [("withdrawn", None)] * 7 + [("manual_edit", "Max")] + [("withdrawn", None)] * 16


def test_reopening_applies_what_has_changed_and_clears_the_corrections(closed):
    closed.land("manual_edits", "edit.csv", edit_file(B, 7, "0.25"), LATER)
    closed.settle()
    Periods(closed.platform).reopen(DAY, DAY, "Erika", "bill was wrong")
    closed.settle()
    assert corrections_of(closed) == []
    (edited,) = [row for row in clean_of(closed) if row["status"] == "validated"]
    assert (edited["value_kwh"], edited["method"], edited["reason"]) == (Decimal("0.250000"), "manual", "manual_edit")


def test_a_point_that_the_registry_names_late_is_a_correction_of_every_slot(closed):
    closed.land("adding", "c.csv", reads(["C"], [DAY]), LATER)
    closed.register(A, B, "C", arrived=LATER)
    closed.settle()
    corrections = corrections_of(closed)
    assert {(row["point_id"], row["cause"], row["old_status"]) for row in corrections} == {("C", "registry", None)}
    assert len(corrections) == 24
    assert {row["point_id"] for row in clean_of(closed)} == {A, B}


def test_a_day_that_was_closed_at_an_instant_is_known_as_closed(closed):
    closed_at = SYSTEM_CLOCK.now()
    rows = clean_of(closed)
    closed.land("adding", "late.csv", f"point,start,kwh\n{A},{start(5)},0.9\n".encode(), LATER)
    closed.settle()
    Periods(closed.platform).reopen(DAY, DAY, "Erika", "bill was wrong")
    closed.settle()
    assert PastSnapshot(closed.platform, closed_at).clean(DAY).to_pylist() == rows


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (DAY, DAY, "closed already"),
        (DAY + timedelta(days=1), DAY + timedelta(days=1), "never computed"),
        (DAY, DAY - timedelta(days=1), "must not be before its first"),
    ],
)
def test_what_cannot_be_closed_is_said_in_one_line(closed, first, last, message):
    with pytest.raises(PeriodError, match=message):
        Periods(closed.platform).close(first, last, "Erika", "billing", set())


def test_a_day_with_changes_that_wait_cannot_be_closed(bench):
    bench.register(A)
    bench.land("plain", "a.csv", reads([A], [DAY]))
    bench.settle()
    with pytest.raises(PeriodError, match="wait to be computed"):
        Periods(bench.platform).close(DAY, DAY, "Erika", "billing", {DAY})


@pytest.mark.parametrize(("author", "reason"), [("", "x"), ("x", " ")])
def test_nobody_closes_a_period_without_a_name_and_a_reason(closed, author, reason):
    with pytest.raises(PeriodError, match="author and a reason"):
        Periods(closed.platform).reopen(DAY, DAY, author, reason)


def test_values_as_closed_that_are_nowhere_any_more_are_given_up_by_the_command_that_is_named(closed, monkeypatch):
    lake, periods = closed.platform.lake, Periods(closed.platform)
    number = next(number for number, shard in lake.manifest(CLEAN_READINGS.name, DAY).shards.items() if shard.file)
    shard = periods.shard(DAY, number)
    for file in closed.platform.settings.lake.glob(f"c*_readings/day={DAY}/s{number}-*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(PeriodError, match=f"holds {DAY} as closed and is missing or damaged: put it back") as refused:
        periods.rows(DAY, number, shard)
    monkeypatch.setenv("METRIFY_ROOT", str(closed.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    program, *arguments = shlex.split(str(refused.value).split("`")[1])
    done = CliRunner().invoke(cli, arguments)
    assert (program, done.exit_code) == ("metrify", 0), done.output
    assert Periods(closed.platform).closing(DAY) is None
