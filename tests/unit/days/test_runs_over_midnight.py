"""Runs of one value over midnight, on a lake: each day finds its own part, whichever day comes first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from metrify_assets.explain.gather import explain
from metrify_assets.vee.codes import Flag
from tests.workbench import Workbench, reads, workbench

pytestmark = pytest.mark.slow

TUESDAY, WEDNESDAY = date(2026, 3, 10), date(2026, 3, 11)


def run_over_midnight(point: str, day: date, slot: int) -> float:
    """Return hourly values that differ but for the four hours from 22:00 on: two slots of each day."""
    in_run = slot >= 22 if day == TUESDAY else slot < 2
    return 0.777 if in_run else 0.1 + slot / 100 + day.day / 1_000


def bench_with(root: Path, rules: str) -> Workbench:
    book = root / "rules.yaml"
    book.write_text(f"editions:\n  - {{version: own, valid_from: 1990-01-01, {rules}}}\n")
    bench = workbench(root, rules_file=book)
    bench.register("A")
    return bench


def stuck_slots(bench: Workbench, day: date) -> list[int]:
    rows = bench.clean(day).to_pylist()
    return [slot for slot, row in enumerate(rows) if row["flags"] & Flag.STUCK]


def test_each_part_is_explained_with_what_the_other_day_adds(tmp_path):
    bench = bench_with(tmp_path, "rules: {runs_over_midnight: true}")
    bench.land("plain", "both.csv", reads(["A"], [TUESDAY, WEDNESDAY], run_over_midnight))
    bench.settle()
    for day, slot, first, side in ((TUESDAY, 23, "22:00", "after"), (WEDNESDAY, 0, "00:00", "before")):
        [channel] = explain(bench.platform, "A", day).channels
        [finding] = channel.slots[slot].findings
        assert finding.text == (
            f"0.777 kWh for 2 slots (2 h) from {first}, and 2 slots of the day {side}; 4 slots are a finding"
        )
        assert finding.numbers[f"slots_{side}"] == 2


@pytest.mark.parametrize("order", [(TUESDAY, WEDNESDAY), (WEDNESDAY, TUESDAY)])
def test_both_days_find_their_part_whichever_comes_first(tmp_path, order):
    bench = bench_with(tmp_path, "rules: {runs_over_midnight: true}")
    for day in order:
        bench.land("plain", f"{day}.csv", reads(["A"], [day], run_over_midnight))
        bench.settle()
    assert stuck_slots(bench, TUESDAY) == [22, 23]
    assert stuck_slots(bench, WEDNESDAY) == [0, 1]
    assert bench.dirty() == set()


def test_without_the_parameter_each_day_sees_its_own_part(tmp_path):
    bench = bench_with(tmp_path, "rules: {stuck_minutes: 120}")
    bench.land("plain", "both.csv", reads(["A"], [TUESDAY, WEDNESDAY], run_over_midnight))
    bench.settle()
    assert (stuck_slots(bench, TUESDAY), stuck_slots(bench, WEDNESDAY)) == ([], [])


def test_a_run_that_a_correction_ends_is_found_no_more(tmp_path):
    bench = bench_with(tmp_path, "rules: {runs_over_midnight: true}")
    bench.land("plain", "both.csv", reads(["A"], [TUESDAY, WEDNESDAY], run_over_midnight))
    bench.settle()
    bench.land("plain", "corrected.csv", reads(["A"], [WEDNESDAY], lambda point, day, slot: 0.3 + slot / 100))
    bench.settle()
    assert stuck_slots(bench, TUESDAY) == []


def test_where_the_rule_refuses_the_whole_run_is_estimated(tmp_path):
    bench = bench_with(
        tmp_path,
        "rules: {runs_over_midnight: true}, severities: {stuck: block}, estimation: {max_linear_gap_minutes: 240}",
    )
    bench.land("plain", "both.csv", reads(["A"], [TUESDAY, WEDNESDAY], run_over_midnight))
    bench.settle()
    for day, slots in ((TUESDAY, [22, 23]), (WEDNESDAY, [0, 1])):
        rows = bench.clean(day).to_pylist()
        refused = [slot for slot, row in enumerate(rows) if row["status"] != "measured"]
        assert refused == slots
        assert {rows[slot]["reason"] for slot in slots} == {"stuck"}
        # A straight line from 21:00 to 02:00, beyond the part of the run on the other day.
        assert all(rows[slot]["method"] == "linear" and rows[slot]["value_kwh"] < 0.5 for slot in slots)
        # What explain says is what was done.
        [channel] = explain(bench.platform, "A", day).channels
        assert [channel.slots[slot].estimate.kwh for slot in slots] == [rows[slot]["value_kwh"] for slot in slots]
        assert {source.local[-5:] for source in channel.slots[slots[0]].estimate.sources} == {"21:00", "02:00"}
        # What was delivered is kept beside the estimate.
        assert {str(rows[slot]["delivered_kwh"]) for slot in slots} == {"0.777000"}
