from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.clock import SYSTEM_CLOCK
from metrify_assets.drops.ledger import Drop, Ledger
from metrify_assets.errors import DropError, FeedError
from metrify_assets.landing import ingest as ingest_module
from metrify_assets.landing.quarantine.counts import chosen_drops, count_rejects
from metrify_assets.landing.quarantine.replay import drops_to_replay, recorded, replay, tried
from metrify_assets.storage.object_store import LocalObjectStore
from tests.clock import read_as
from tests.examples import examples
from tests.unit.landing.quarantine.mending import BLANKS, mend, redefine
from tests.unit.landing.test_ingest import Crash, crash_at
from tests.workbench import ARRIVED, Workbench, reads, workbench

DAYS = [date(2026, 3, 28), date(2026, 3, 29)]


def active(bench: Workbench) -> list[Drop]:
    return list(bench.platform.ledger.view().active.values())


def raw_cells(bench: Workbench) -> Counter:
    """Return every value that counts, with how often it does."""
    tables = [
        pq.read_table(bench.platform.store.uri(part.file), partitioning=None)
        for drop in active(bench)
        for parts in drop.parts.values()
        for part in parts
    ]
    if not tables:
        return Counter()
    rows = pa.concat_tables(tables).to_pylist()
    return Counter((row["feed"], row["drop_id"], row["row_number"], row["value"]) for row in rows)


def refused(bench: Workbench) -> list[tuple[int, str]]:
    return [(row["row_number"], row["reason"]) for drop in active(bench) for row in bench.quarantine(drop)]


def test_rows_that_can_be_read_now_leave_the_quarantine_and_the_others_stay(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    mend(bench)
    (replayed,) = replay(bench.platform, [drop]).replayed
    assert (replayed.freed, replayed.refused_again, replayed.newly_refused) == (2, 1, 0)
    assert (replayed.before.reasons, replayed.after.reasons) == (
        {"bad_number": 2, "bad_timestamp": 1},
        {"bad_timestamp": 1},
    )
    assert refused(bench) == [(5, "bad_timestamp")]
    assert raw_cells(bench) == Counter(
        {
            ("plain", drop.drop_id, row, value): 1
            for row, value in [(1, Decimal(1)), (2, None), (3, None), (4, Decimal(3))]
        }
    )
    (now,) = active(bench)
    assert now.counts == replayed.after.counts
    assert (now.counts["delivered_values"], now.counts["raw_values"], now.counts["quarantined_values"]) == (5, 4, 1)


def test_a_second_replay_has_nothing_to_do(bench):
    bench.land("plain", "a.csv", BLANKS)
    mend(bench)
    replay(bench.platform, active(bench))
    before = bench.platform.store.list("")
    again = replay(bench.platform, active(bench))
    assert (again.replayed, again.held_back, len(again.unchanged)) == ([], [], 1)
    assert bench.platform.store.list("") == before


def test_a_trial_says_what_would_happen_and_writes_nothing(bench):
    bench.land("plain", "a.csv", BLANKS)
    mend(bench)
    before = bench.platform.store.list("")
    trial = replay(bench.platform, active(bench), trial=True)
    assert bench.platform.store.list("") == before
    assert replay(bench.platform, active(bench)) == trial


def test_an_unchanged_definition_leaves_nothing_to_do(bench):
    bench.land("plain", "a.csv", BLANKS)
    assert len(replay(bench.platform, active(bench)).unchanged) == 1


def test_a_drop_whose_good_values_would_be_refused_is_held_back(bench):
    bench.land("plain", "a.csv", b'point,start,kwh\nA,2026-03-28T00:00:00Z,1.5\nA,2026-03-28T01:00:00Z,"2,5"\n')
    redefine(bench, "unit: kWh", "unit: kWh\ndecimal: ','")
    before = bench.platform.store.list("")
    (held,) = replay(bench.platform, active(bench)).held_back
    assert (held.freed, held.refused_again, held.newly_refused) == (1, 0, 1)
    assert bench.platform.store.list("") == before
    assert refused(bench) == [(2, "bad_number")]
    replay(bench.platform, active(bench), accept_losses=True)
    assert refused(bench) == [(1, "bad_number")]


def test_a_file_that_was_refused_as_a_whole_is_read_row_by_row(bench):
    drop = bench.land("plain", "a.csv", b"meter,start,kwh\nA,2026-03-28T00:00:00Z,1\nA,never,2\n").drop
    assert refused(bench) == [(0, "header_mismatch")]
    redefine(bench, "header: [point, start, kwh]", "header: [meter, start, kwh]")
    redefine(bench, "{column: point}", "{column: meter}")
    (replayed,) = replay(bench.platform, [drop]).replayed
    assert (replayed.freed, replayed.refused_again, replayed.newly_refused) == (1, 1, 0)
    assert refused(bench) == [(2, "bad_timestamp")]
    assert sum(raw_cells(bench).values()) == 1


def test_days_that_gained_rows_and_days_that_lost_them_are_dirty(bench):
    bench.register("A")
    content = b"point,start,kwh\nA,2026-03-28T22:00:00,1\nA,2026-03-28T23:00:00,2\nA,2026-03-28T10:00:00,-\n"
    drop = bench.land("plain", "a.csv", content).drop
    other = bench.land("adding", "b.csv", reads(["A"], [date(2026, 4, 2)])).drop
    bench.settle()
    assert drop.days == DAYS  # 23:00 UTC is midnight in Berlin
    redefine(bench, "format: iso", "format: iso, timezone: Europe/Berlin")
    mend(bench)
    replay(bench.platform, [drop])
    assert active(bench)[1].days == DAYS[:1]
    assert bench.dirty() == set(DAYS)
    bench.settle()
    assert bench.energy(DAYS[0]) == 3
    # The values of the 29th are gone: its slots are missing, not what they were.
    assert bench.energy(DAYS[1]) == 0
    assert other in active(bench)


def test_a_replay_that_changes_no_row_of_a_day_leaves_its_outcome_as_it_was(bench):
    bench.register("A")
    bench.land("plain", "a.csv", reads(["A"], DAYS) + b"A,never,-\n")
    bench.settle()
    outcome = bench.digests()
    mend(bench)
    replay(bench.platform, active(bench)[:1])
    bench.settle()
    assert bench.digests() == outcome


def test_a_registry_is_replayed_like_readings(bench):
    bench.land("registry_points", "p.csv", b"point_id;obis_code\nA;1-0:1.29.0\n")
    path = bench.platform.settings.feeds_dir / "more_points.yaml"
    path.write_text("name: more_points\ndescription: Points.\nkind: registry\nregistry: points\nformat: delimited\n")
    bench.platform.__dict__.pop("feeds")
    head = b"point_id;obis_code;interval_minutes;valid_from\n"
    drop = bench.land("more_points", "p.csv", head + b"B;1-0:1.29.0;60;2020-01-01\n").drop
    assert drop.counts["raw_values"] == 0
    redefine(bench, "format: delimited", "format: delimited\ndelimiter: ';'", "more_points")
    (replayed,) = replay(bench.platform, [drop]).replayed
    assert (replayed.freed, replayed.after.counts["raw_values"]) == (1, 1)


def test_drops_are_chosen_by_feed_and_reason(bench):
    good = bench.land("plain", "good.csv", reads(["A"], DAYS)).drop
    blanks = bench.land("plain", "a.csv", BLANKS).drop
    empty = bench.land("plain", "b.csv", b"").drop
    other = bench.land("adding", "c.csv", BLANKS).drop
    view = bench.platform.ledger.view()

    def chosen(*ids: str, **choice: str) -> set[str]:
        return {f"{drop.feed}/{drop.name}" for drop in drops_to_replay(bench.platform, view, ids, **choice)}

    assert chosen(feed="plain") == {"plain/a.csv", "plain/b.csv"}
    assert chosen(feed="plain", reason="empty_file") == {"plain/b.csv"}
    assert chosen(good.drop_id, f"plain/{empty.drop_id}") == {"plain/good.csv", "plain/b.csv"}
    assert chosen(f"adding/{other.drop_id}", f"plain/{blanks.drop_id}", feed="adding") == {"adding/c.csv"}
    with pytest.raises(DropError, match="nothing was chosen"):
        chosen()


def test_a_drop_that_does_not_count_cannot_be_replayed(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    bench.land("plain", "a.csv", reads(["A"], DAYS), ARRIVED + timedelta(hours=1))
    with pytest.raises(DropError, match=r"plain/.* was replaced: it does not count"):
        drops_to_replay(bench.platform, bench.platform.ledger.view(), [drop.drop_id])


def test_a_drop_whose_bytes_or_feed_are_gone_is_told(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    mend(bench)
    bench.platform.store.delete(drop.landed)
    with pytest.raises(DropError, match=r"landing/plain/.* is gone: deliver plain/a.csv again"):
        replay(bench.platform, [drop])
    (bench.platform.settings.feeds_dir / "plain.yaml").unlink()
    bench.platform.__dict__.pop("feeds")
    with pytest.raises(FeedError, match="unknown feed 'plain'"):
        replay(bench.platform, [drop])


@pytest.mark.slow
def test_a_crash_before_any_step_is_mended_by_doing_it_again(tmp_path, monkeypatch):
    def prepared(name: str) -> Workbench:
        bench = workbench(tmp_path / name)
        bench.land("plain", "a.csv", BLANKS)
        bench.land("plain", "b.csv", BLANKS.replace(b"A,", b"B,"))
        return bench

    straight = prepared("straight")
    old_cells, old_refused = raw_cells(straight), refused(straight)
    mend(straight)
    replay(straight.platform, active(straight))
    new_cells, new_refused = raw_cells(straight), refused(straight)
    assert sum(new_cells.values()) == sum(old_cells.values()) + 4
    steps = 0
    while True:
        bench = prepared(str(steps))
        mend(bench)
        with monkeypatch.context() as patch:
            crash_at(patch, steps)
            try:
                replay(bench.platform, active(bench))
            except Crash:
                pass
            else:
                break
        # Whatever was written: each drop counts as before or as after, and the counts are those of the ledger.
        bench.platform.__dict__["ledger"] = Ledger(LocalObjectStore(bench.platform.settings.root))
        for drop in active(bench):
            cells = {cell for cell in raw_cells(bench) if cell[1] == drop.drop_id}
            assert cells in ({c for c in source if c[1] == drop.drop_id} for source in (old_cells, new_cells))
            assert drop.counts["delivered_values"] == 5 == len(cells) + drop.counts["quarantined_values"]
        counted = count_rejects(bench.platform.store, chosen_drops(bench.platform, bench.platform.ledger.view()))
        assert sum(group.rows for group in counted) == len(refused(bench))
        replay(bench.platform, active(bench))
        assert raw_cells(bench) == new_cells
        assert refused(bench) == new_refused
        steps += 1
    # Per drop: a part for each of two days, the quarantine, the record.
    assert steps == 8
    assert old_refused != new_refused


VALUES = st.lists(st.sampled_from(["1", "-", "x", "", "2.5", "?"]), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=examples(0.25))
@given(values=VALUES, sentinels=st.lists(st.sampled_from(["-", "?", "x"]), unique=True))
def test_a_replay_is_what_reading_the_file_for_the_first_time_would_be(tmp_path_factory, values, sentinels):
    rows = [f"A,2026-03-28T{hour:02}:00:00Z,{value}" for hour, value in enumerate(values)]
    content = "\n".join(["point,start,kwh", *rows]).encode()
    replayed, fresh = (workbench(tmp_path_factory.mktemp(name)) for name in ("replayed", "fresh"))
    replayed.land("plain", "a.csv", content)
    for bench in (replayed, fresh):
        redefine(bench, "unit: kWh", f"unit: kWh\nsentinels: {sentinels}")
    fresh.land("plain", "a.csv", content)
    outcome = replay(replayed.platform, active(replayed))
    assert raw_cells(replayed) == raw_cells(fresh)
    assert refused(replayed) == refused(fresh)
    assert active(replayed)[0].counts == active(fresh)[0].counts
    assert replayed.platform.ledger.view().raw_digests("raw_readings") == fresh.platform.ledger.view().raw_digests(
        "raw_readings"
    )
    freed = sum(value in sentinels for value in values)
    assert sum(replayed_drop.freed for replayed_drop in outcome.replayed) == freed
    assert outcome.held_back == []


def test_what_was_recorded_is_what_reading_again_finds(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    assert recorded(bench.platform.store, drop) == tried(bench.platform, drop)


def test_the_day_on_which_a_drop_is_read_again_makes_no_difference(bench, monkeypatch):
    # Two days ahead of its arrival: refused then, and refused whenever it is read again.
    content = b"timestamp_utc,control_area,metric,value\n2026-06-03T12:00:00Z,DE,load_mw,1\n"
    drop = bench.land("grid_status", "g.csv", content).drop
    assert drop.counts["quarantined_values"] == 1
    later = SYSTEM_CLOCK.now() + 10 * 86_400_000_000
    read_as(monkeypatch, lambda: later)
    assert tried(bench.platform, drop) == recorded(bench.platform.store, drop)
    assert ingest_module.read_again(bench.platform, drop).counts == drop.counts
