from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.errors import FeedError, LakeError
from metrify_assets.landing.quarantine.counts import GROUPINGS, Group, SetAside, chosen_drops, count_rejects, set_aside
from tests.examples import examples
from tests.unit.landing.quarantine.mending import BLANKS
from tests.workbench import ARRIVED, Workbench, reads, workbench

DAY = date(2026, 3, 28)


def groups(bench: Workbench, *by: str, reason: str | None = None, **choice: object) -> list[Group]:
    drops = chosen_drops(bench.platform, bench.platform.ledger.view(), **choice)
    return count_rejects(bench.platform.store, drops, by or ("feed", "reason"), reason=reason)


def test_rows_and_value_cells_are_counted_by_feed_and_reason(bench):
    bench.land("plain", "a.csv", BLANKS)
    bench.land("adding", "b.csv", b"wrong,header\n1,2\n3,4\n")
    assert groups(bench) == [
        Group(("plain", "bad_number"), 2, 2),
        Group(("adding", "header_mismatch"), 1, 2),
        Group(("plain", "bad_timestamp"), 1, 1),
    ]


def test_days_and_drops_are_told_apart_and_an_unknown_day_is_named(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    assert groups(bench, "day", "drop") == [
        Group(("2026-03-28", drop.drop_id), 2, 2),
        Group(("unknown", drop.drop_id), 1, 1),
    ]


def test_only_one_reason_or_feed_can_be_counted(bench):
    bench.land("plain", "a.csv", BLANKS)
    bench.land("adding", "b.csv", b"")
    assert groups(bench, reason="bad_timestamp") == [Group(("plain", "bad_timestamp"), 1, 1)]
    assert groups(bench, feed="adding") == [Group(("adding", "empty_file"), 1, 0)]
    with pytest.raises(FeedError, match="unknown feed 'plan'"):
        groups(bench, feed="plan")


def test_what_was_replaced_or_withdrawn_is_counted_only_if_everything_is_asked_for(bench):
    bench.land("plain", "a.csv", BLANKS)
    bench.land("plain", "a.csv", reads(["A"], [DAY]), ARRIVED + timedelta(hours=1))
    withdrawn = bench.land("adding", "b.csv", BLANKS).drop
    bench.platform.ledger.withdraw(withdrawn, "wrong meter")
    assert groups(bench) == []
    assert [group.key for group in groups(bench, "feed", everything=True)] == [("adding",), ("plain",)]


def test_drops_received_since_a_local_day_begin_at_its_midnight(bench):
    # In Berlin 2026-06-02 begins at 22:00 UTC of the day before.
    before, after = ARRIVED.replace(hour=21, minute=59), ARRIVED.replace(hour=22)
    bench.land("adding", "a.csv", b"", before)
    late = bench.land("adding", "b.csv", BLANKS, after).drop
    counts = groups(bench, "drop", since=date(2026, 6, 2))
    assert {group.key for group in counts} == {(late.drop_id,)}


def test_a_file_that_does_not_hold_what_the_ledger_says_is_told(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    other = bench.land("adding", "b.csv", b"").drop
    store = bench.platform.store
    store.write(drop.quarantine, store.read(other.quarantine))
    with pytest.raises(LakeError, match="holds 1 rows, the ledger says 3"):
        groups(bench)
    store.delete(drop.quarantine)
    with pytest.raises(LakeError, match="missing or damaged"):
        groups(bench)


ROWS = st.lists(
    st.sampled_from(
        [
            "A,2026-03-28T00:00:00Z,1",
            "A,2026-03-28T01:00:00Z,x",
            "A,never,1",
            ",2026-03-28T02:00:00Z,1",
            "A,B",
            "\xff,,",
        ]
    ),
    max_size=6,
)


@settings(max_examples=examples(0.25))
@given(files=st.lists(ROWS, min_size=1, max_size=4), by=st.lists(st.sampled_from(GROUPINGS), unique=True, min_size=1))
def test_totals_agree_with_the_ledger_however_they_are_grouped(tmp_path_factory, files, by):
    bench = workbench(tmp_path_factory.mktemp("counts"))
    for number, rows in enumerate(files):
        content = "\n".join(["point,start,kwh", *rows]).encode("latin-1")
        bench.land(("plain", "adding")[number % 2], f"{number // 3}.csv", content, ARRIVED + timedelta(hours=number))
    active = bench.platform.ledger.view().active.values()
    counts = groups(bench, *by)
    assert sum(group.rows for group in counts) == sum(drop.counts["quarantined_rows"] for drop in active)
    assert sum(group.value_cells for group in counts) == sum(drop.counts["quarantined_values"] for drop in active)
    # Delivered is what was read and what was refused.
    delivered, raw = (sum(drop.counts[name] for drop in active) for name in ("delivered_values", "raw_values"))
    assert delivered == raw + sum(group.value_cells for group in counts)


def test_values_that_validation_set_aside_are_told_by_day(bench):
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A", "B"], [DAY]))
    bench.compute(DAY)
    assert set_aside(bench.platform.lake) == [SetAside(DAY, 24, 0, ("B",))]
    assert groups(bench) == []
