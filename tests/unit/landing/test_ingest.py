from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.clock import microseconds
from metrify_assets.digest import shard_of
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.drops.ledger import Ledger
from metrify_assets.errors import DropError, FeedError, LakeError
from metrify_assets.landing import ingest as module
from metrify_assets.landing.ingest import ingest, outdated, read_again
from metrify_assets.platform import Platform
from metrify_assets.storage.object_store import LocalObjectStore
from metrify_assets.vee.delivery_day import DeliveryDay
from tests.clock import read_as
from tests.workbench import ARRIVED, Workbench, flat, reads, workbench

DAYS = [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30)]


def raw_rows(bench: Workbench, drop) -> pa.Table:
    tables = [
        pq.read_table(bench.platform.store.uri(part.file), partitioning=None)
        for parts in drop.parts.values()
        for part in parts
    ]
    return pa.concat_tables(tables)


@given(st.text(min_size=1), st.integers(1, 64))
def test_a_shard_is_one_of_the_shards_and_always_the_same(point, shards):
    assert 0 <= shard_of(point, shards) < shards
    assert shard_of(point, shards) == shard_of(point, shards)


def test_the_shard_of_a_point_is_fixed_for_ever():
    # CRC-32 of "123456789" is 0xCBF43926 in every published table of check values.
    assert shard_of("123456789", 1_000) == 0xCBF43926 % 1_000


def test_a_file_of_three_days_is_cut_at_local_midnight(bench):
    drop = bench.land("plain", "a.csv", reads(["A", "B"], DAYS)).drop
    assert drop.days == DAYS
    # 2026-03-29 has 23 hours; two points each.
    rows = {day: sum(sum(part.rows.values()) for part in parts) for day, parts in drop.parts.items()}
    assert rows == {"2026-03-28": 48, "2026-03-29": 46, "2026-03-30": 48}
    assert drop.counts["delivered_values"] == drop.counts["raw_values"] == 142


def test_row_groups_of_a_part_hold_one_shard_each(tmp_path):
    bench = workbench(tmp_path, shards=5)
    points = [f"P{i}" for i in range(12)]
    drop = bench.land("plain", "a.csv", reads(points, DAYS[:1])).drop
    (part,) = drop.parts["2026-03-28"]
    with pq.ParquetFile(bench.platform.store.uri(part.file)) as file:
        for shard, groups in part.shards.items():
            column = file.read_row_groups(groups, columns=["point_id"])["point_id"].to_pylist()
            assert set(column) == {point for point in points if shard_of(point, 5) == int(shard)}
            assert len(column) == part.rows[shard]


def test_bytes_are_landed_once_under_their_content(bench):
    content = reads(["A"], DAYS[:1])
    drop = bench.land("plain", "sub/ä b.csv", content).drop
    (landed,) = bench.platform.store.list("landing")
    assert landed.key == drop.landed == f"landing/plain/{drop.drop_id}-_b.csv"
    assert bench.platform.store.read(landed.key) == content


def test_the_inbox_is_only_read(bench):
    bench.land("plain", "a.csv", reads(["A"], DAYS[:1]))
    path = bench.inbox / "plain" / "a.csv"
    assert path.read_bytes() == reads(["A"], DAYS[:1])
    assert path.stat().st_mtime_ns == int(ARRIVED.timestamp()) * 10**9


@pytest.mark.parametrize("name", ["a.csv", "b.csv"])
def test_a_redelivery_is_noted_and_changes_nothing(bench, name):
    content = reads(["A"], DAYS)
    first = bench.land("plain", "a.csv", content)
    digests = bench.platform.ledger.view().raw_digests("raw_readings")
    again = bench.land("plain", name, content, ARRIVED + timedelta(days=1))
    assert again.outcome == "redelivery"
    assert again.drop == first.drop
    assert bench.platform.ledger.view().raw_digests("raw_readings") == digests
    assert len(bench.platform.ledger.view().sources) == 2


def test_taking_in_the_same_delivery_twice_leaves_no_trace(bench):
    bench.land("plain", "a.csv", reads(["A"], DAYS))
    before = bench.platform.store.list("ledger")
    assert bench.land("plain", "a.csv", reads(["A"], DAYS)).outcome == "redelivery"
    assert bench.platform.store.list("ledger") == before


def test_back_to_the_first_version_is_news(bench):
    first, second = reads(["A"], DAYS, flat(1)), reads(["A"], DAYS, flat(2))
    outcomes = [
        bench.land("plain", "a.csv", content, ARRIVED + timedelta(days=n))
        for n, content in enumerate([first, second, first])
    ]
    assert [outcome.outcome for outcome in outcomes] == ["new", "new", "new"]
    third = outcomes[2].drop
    assert third.drop_id == f"{outcomes[0].drop.drop_id}.2"
    assert list(bench.platform.ledger.view().active.values()) == [third]
    # And from there, the same once more is a redelivery.
    assert bench.land("plain", "a.csv", first, ARRIVED + timedelta(days=9)).outcome == "redelivery"


def test_withdrawn_bytes_that_come_again_are_news(bench):
    content = reads(["A"], DAYS)
    first = bench.land("plain", "a.csv", content).drop
    bench.platform.ledger.withdraw(first, "too early")
    again = bench.land("plain", "a.csv", content, ARRIVED + timedelta(days=1))
    assert again.outcome == "new"
    assert [drop.drop_id for drop in bench.platform.ledger.view().active.values()] == [f"{first.drop_id}.2"]


def test_the_same_bytes_of_another_point_are_news_where_the_name_says_the_point(bench):
    content = b"start,kwh\n2026-03-28T00:00:00Z,0\n2026-03-28T01:00:00Z,0\n"
    first = bench.land("named", "site1.csv", content)
    second = bench.land("named", "site2.csv", content)
    assert (first.outcome, second.outcome) == ("new", "new")
    points = [set(raw_rows(bench, outcome.drop)["point_id"].to_pylist()) for outcome in (first, second)]
    assert points == [{"site1"}, {"site2"}]
    assert len(bench.platform.ledger.view().active) == 2
    assert bench.land("named", "site2.csv", content, ARRIVED + timedelta(days=1)).outcome == "redelivery"


def test_every_empty_file_is_named_in_the_quarantine(bench):
    outcomes = [bench.land("plain", name, b"") for name in ("a.csv", "b.csv")]
    assert [outcome.outcome for outcome in outcomes] == ["new", "new"]
    assert [row["reason"] for outcome in outcomes for row in bench.quarantine(outcome.drop)] == ["empty_file"] * 2
    assert bench.land("plain", "b.csv", b"", ARRIVED + timedelta(days=1)).outcome == "redelivery"


def test_the_same_bytes_of_two_feeds_are_two_drops(bench):
    content = reads(["A"], DAYS)
    assert bench.land("plain", "a.csv", content).outcome == "new"
    assert bench.land("adding", "a.csv", content).outcome == "new"
    assert len(bench.platform.ledger.view().active) == 2


def test_files_that_add_count_once_each(bench):
    bench.land("adding", "a.csv", reads(["A"], DAYS[:1]))
    bench.land("adding", "a.csv", reads(["A"], DAYS[1:2]), ARRIVED + timedelta(days=1))
    assert bench.land("adding", "b.csv", reads(["A"], DAYS[:1]), ARRIVED + timedelta(days=2)).outcome == "redelivery"
    assert len(bench.platform.ledger.view().active) == 2


def test_a_stamp_in_the_future_counts_as_received_now(bench):
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS), datetime(2199, 1, 1, tzinfo=UTC)).drop
    assert drop.received_at <= drop.ingested_at
    assert drop.modified_at > drop.ingested_at


def test_a_file_that_is_gone_is_no_error(bench):
    file = bench.put("plain", "a.csv", b"1")
    (bench.inbox / "plain" / "a.csv").unlink()
    assert ingest(bench.platform, file).outcome == "gone"


def test_a_file_that_still_grows_is_left_for_later(bench):
    file = bench.put("plain", "a.csv", b"point,start,kwh\n")
    with open(bench.inbox / "plain" / "a.csv", "ab") as growing:
        growing.write(b"A,2026-03-28T00:00:00Z,1\n")
    assert ingest(bench.platform, file).outcome == "changing"
    assert bench.platform.ledger.view().drops == {}


def test_a_file_that_changes_while_it_is_copied_is_left_for_later(bench, monkeypatch):
    file = bench.put("plain", "a.csv", b"point,start,kwh\n")
    digest = module._digest

    def meanwhile(*streams):
        (bench.inbox / "plain" / "a.csv").write_bytes(b"point,start,kwh\nA")
        return digest(*streams)

    monkeypatch.setattr(module, "_digest", meanwhile)
    assert ingest(bench.platform, file).outcome == "changing"
    assert bench.platform.store.list("landing") == []


def test_a_file_that_may_not_be_read_is_told(bench, monkeypatch):
    file = bench.put("plain", "a.csv", b"1")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("metrify_assets.drops.inbox.open", refuse, raising=False)
    with pytest.raises(DropError, match="may not be read"):
        ingest(bench.platform, file)


def test_an_unknown_feed_is_told_with_the_known_ones(bench):
    with pytest.raises(FeedError, match=r"unknown feed 'plan': use one of .*plain"):
        ingest(bench.platform, InboxFile("plan", "a.csv", 1, 1))


@pytest.mark.parametrize("name", ["../../ledger/x.json", "/etc/hostname"])
def test_a_path_that_leaves_the_inbox_is_refused(bench, name):
    with pytest.raises(DropError, match="leaves the inbox"):
        ingest(bench.platform, InboxFile("plain", name, 1, 1))


@pytest.mark.parametrize(
    ("zone", "now", "accepted"),
    [
        # 03:00 UTC on the 10th is still the 9th in Los Angeles: the 10th is tomorrow.
        ("America/Los_Angeles", datetime(2026, 3, 10, 3, tzinfo=UTC), [9, 10]),
        # 23:30 UTC on the 10th is the 11th in Berlin: the 12th is tomorrow.
        ("Europe/Berlin", datetime(2026, 3, 10, 23, 30, tzinfo=UTC), [9, 10, 11, 12]),
    ],
)
def test_values_up_to_tomorrow_in_local_time_are_accepted(tmp_path, monkeypatch, zone, now, accepted):
    bench = workbench(tmp_path, timezone=zone)
    read_as(monkeypatch, lambda: microseconds(now))
    lines = ["timestamp_utc,control_area,metric,value"]
    for day in range(9, 15):
        start = datetime.fromtimestamp(DeliveryDay(date(2026, 3, day), zone).start / 1e6, UTC)
        lines.append(f"{start.isoformat()},DE,load_mw,1")
    drop = bench.land("grid_status", "g.csv", "\n".join(lines).encode()).drop
    assert [day.day for day in drop.days] == accepted
    assert {row["reason"] for row in bench.quarantine(drop)} == {"day_out_of_range"}


def test_energy_that_cannot_be_stored_is_refused_while_reading(bench):
    head = "name: big\ndescription: MWh.\nkind: readings\nformat: delimited\nheader: [point, start, v, unit]\n"
    body = (
        "stamp: {columns: [start]}\ninterval_minutes: 60\npoint: {column: point}\nobis: '1-0:1.29.0'\n"
        "unit: {column: unit}\nvalues: [{column: v}]\n"
    )
    (bench.platform.settings.feeds_dir / "big.yaml").write_text(head + body)
    content = (
        b"point,start,v,unit\n"
        b"A,2026-03-28T00:00:00Z,999999999.999999,MWh\n"  # 999,999,999,999.999 kWh: the largest that fits
        b"A,2026-03-28T01:00:00Z,1000000000,MWh\n"
        b"A,2026-03-28T02:00:00Z,-1000000000,MWh\n"
        b"A,2026-03-28T03:00:00Z,999999999999.999999,kWh\n"
        b"A,2026-03-28T04:00:00Z,999999999999.999999,Wh\n"
        b"A,2026-03-28T05:00:00Z,1000000000,MW\n"
        b"A,2026-03-28T06:00:00Z,1,GWh\n"
    )
    drop = bench.land("big", "a.csv", content).drop
    rejected = bench.quarantine(drop)
    assert [(row["row_number"], row["reason"]) for row in rejected] == [
        (2, "value_out_of_range"),
        (3, "value_out_of_range"),
        (6, "value_out_of_range"),
        (7, "unknown_unit"),
    ]
    assert drop.counts["delivered_values"] == 7 == drop.counts["raw_values"] + drop.counts["quarantined_values"]
    bench.register("A")
    bench.compute(date(2026, 3, 28))
    delivered = [row["delivered_kwh"] for row in bench.clean(date(2026, 3, 28)).to_pylist() if row["delivered_kwh"]]
    assert Decimal("999999999999.999") in delivered


def test_a_new_feed_definition_reads_the_landed_bytes_anew_beside_the_old_parts(bench):
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    before = bench.platform.ledger.view().raw_digests("raw_readings")
    assert read_again(bench.platform, drop).parse_digest == drop.parse_digest
    assert bench.platform.ledger.view().raw_digests("raw_readings") == before
    path = bench.platform.settings.feeds_dir / "plain.yaml"
    path.write_text(path.read_text().replace("unit: kWh", "unit: Wh"))
    bench.platform.__dict__.pop("feeds")
    again = read_again(bench.platform, drop)
    assert again.parse_digest != drop.parse_digest
    assert bench.platform.ledger.view().drops["plain", drop.drop_id] == again
    assert set(raw_rows(bench, again)["unit"].to_pylist()) == {"Wh"}
    assert set(raw_rows(bench, drop)["unit"].to_pylist()) == {"kWh"}


def test_a_drop_is_read_again_although_the_clock_was_set_back(bench, monkeypatch):
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    path = bench.platform.settings.feeds_dir / "plain.yaml"
    path.write_text(path.read_text().replace("unit: kWh", "unit: Wh"))
    bench.platform.__dict__.pop("feeds")
    read_as(monkeypatch, lambda: drop.ingested_at - 20 * 60 * 1_000_000)
    again = read_again(bench.platform, drop)
    assert bench.platform.ledger.view().drops["plain", drop.drop_id] == again
    assert outdated(bench.platform) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"feed": "plain"}'])
def test_a_damaged_record_stops_the_ledger_and_deleting_it_takes_the_drop_in_again(bench, content):
    drop = bench.land("plain", "a.csv", reads(["A"], DAYS)).drop
    (key,) = [item.key for item in bench.platform.store.list("ledger")]
    bench.platform.store.write(key, content)
    platform = Platform(bench.platform.settings)
    with pytest.raises(LakeError, match=rf"^{key} is damaged .*: delete it, and the file in the inbox is taken in"):
        platform.ledger.view()
    platform.store.delete(key)
    (file,) = platform.inbox.scan(platform.feeds, drop.modified_at + 60_000_000, platform.ledger.view().sources).files
    again = ingest(platform, file).drop
    assert again == replace(drop, ingested_at=again.ingested_at)
    assert platform.ledger.view().active == {again.key: again}


class Crash(BaseException):
    """Stands for the process being killed."""


def crash_at(monkeypatch, step: int) -> list[str]:
    """Let the process die before the ``step``-th object appears in the store; return the objects that appeared."""
    done: list[str] = []

    def dying(step_of):
        def appear(source, target):
            if len(done) == step:
                raise Crash
            step_of(source, target)
            done.append(str(target))

        return appear

    for name in ("replace", "link"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    return done


@pytest.mark.slow
def test_a_crash_before_any_step_is_mended_by_doing_it_again(tmp_path, monkeypatch):
    content = reads(["A", "B"], DAYS) + b"A,never,1\n"
    straight = workbench(tmp_path / "straight")
    wanted = straight.land("plain", "a.csv", content).drop
    steps = 0
    while True:
        bench = workbench(tmp_path / str(steps))
        with monkeypatch.context() as patch:
            done = crash_at(patch, steps)
            try:
                bench.land("plain", "a.csv", content)
            except Crash:
                pass
            else:
                break
        # Nothing counts before the last step, the ledger's record.
        assert Ledger(LocalObjectStore(bench.platform.settings.root)).view().drops == {}
        assert len(done) == steps
        outcome = bench.land("plain", "a.csv", content)
        assert outcome.outcome == "new"
        assert outcome.drop.parts == wanted.parts
        assert outcome.drop.counts == wanted.counts
        assert bench.platform.ledger.view().raw_digests("raw_readings") == straight.platform.ledger.view().raw_digests(
            "raw_readings"
        )
        steps += 1
    # The number of shards, the landed bytes, a part for each of three days, the quarantine, the record.
    assert steps == 7


def test_a_large_file_is_written_in_pieces_that_hold_all_of_it(bench, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_ROWS", 30)
    monkeypatch.setattr("metrify_assets.feeds.reader.MAX_VALUES_PER_BATCH", 25)
    drop = bench.land("plain", "a.csv", reads(["A", "B"], DAYS)).drop
    assert max(len(parts) for parts in drop.parts.values()) > 1
    rows = raw_rows(bench, drop)
    assert rows.num_rows == 142
    assert sorted(rows["row_number"].to_pylist()) == list(range(1, 143))
    bench.register("A", "B")
    bench.compute(*DAYS)
    # 71 hours each, every second one 1 Wh more: 71 x 0.5 + 35 x 0.001, the odd slots of 24, 23 and 24 hours.
    assert sum(bench.energy(day, "A") for day in DAYS) == Decimal("35.535")


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=3)])
def test_a_correction_whose_file_looks_older_still_corrects(bench, age):
    # rsync -t, cp -p and unzip keep the sender's time stamps, which may lie before those of the file corrected.
    first = bench.land("plain", "a.csv", reads(["A"], DAYS, flat(1))).drop
    second = bench.land("plain", "a.csv", reads(["A"], DAYS, flat(2)), ARRIVED - age).drop
    assert second.received_at > first.received_at
    assert list(bench.platform.ledger.view().active.values()) == [second]


def test_an_earlier_first_day_makes_a_drop_outdated_and_reading_it_again_finds_its_days(tmp_path):
    late = workbench(tmp_path, first_day=DAYS[-1] + timedelta(days=1))
    drop = late.land("plain", "a.csv", reads(["A"], DAYS)).drop
    assert drop.days == []
    assert outdated(late.platform) == []
    early = workbench(tmp_path, first_day=DAYS[0])
    assert [outdated_drop.drop_id for outdated_drop in outdated(early.platform)] == [drop.drop_id]
    assert read_again(early.platform, drop).days == DAYS
    assert outdated(early.platform) == []


@pytest.mark.parametrize(("name", "value"), [("shards", 3), ("timezone", "Europe/London")])
def test_a_lake_is_not_read_under_settings_that_place_values_elsewhere(tmp_path, name, value):
    workbench(tmp_path, shards=2).land("plain", "a.csv", reads(["A"], DAYS))
    with pytest.raises(LakeError, match=f"METRIFY_{name.upper()}"):
        workbench(tmp_path, **{"shards": 2, name: value}).land("plain", "b.csv", reads(["A"], DAYS))
