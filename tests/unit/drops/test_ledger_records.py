from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.drops import ledger_records
from metrify_assets.drops.ledger import Drop, Ledger, LedgerView, Redelivery, Source, Withdrawal
from metrify_assets.drops.ledger_records import INDEX_FOLDER, LedgerRecords, ledger_log
from metrify_assets.errors import LakeError
from metrify_assets.storage.object_store import LocalObjectStore
from tests.clock import read_as
from tests.examples import examples
from tests.unit.drops.test_ledger import TABLE, drop

pytestmark = pytest.mark.slow

LOG = ledger_log(LocalObjectStore(Path("unused")))
MINUTE = 60 * 1_000_000
NOON = 1_780_315_200_000_000
"""2026-06-01 12:00 UTC."""


class Clock:
    """The time of day, as a test says it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = NOON
        read_as(monkeypatch, lambda: self.now)

    def wait(self, minutes: float) -> None:
        self.now += round(minutes * MINUTE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class CountingStore(LocalObjectStore):
    """A store that tells how much was listed and read."""

    listed = 0
    read_objects = 0

    def list(self, prefix, after=""):
        objects = super().list(prefix, after)
        self.listed += len(objects)
        return objects

    def read_all(self, keys):
        self.read_objects += len(keys)
        return super().read_all(keys)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


def state(view: LedgerView) -> tuple:
    return (view.drops, view.withdrawals, view.sources, list(view.active.items()), view.raw_digests(TABLE))


def fresh(store: LocalObjectStore) -> tuple:
    return state(Ledger(store).view())


def test_keys_are_ordered_by_the_moment_that_they_tell():
    moments = [0, 1, NOON, NOON + 1, NOON + 999_999, NOON + MINUTE, NOON + 3_600 * 1_000_000 * 24]
    keys = [f"{LOG.key_at(moment)}-plain-x.drop.json" for moment in moments]
    assert keys == sorted(keys)
    assert [LOG.written_at(key) for key in keys] == moments
    assert keys[2] == "ledger/2026-06-01/12/0000000000-plain-x.drop.json"
    assert LOG.written_at("ledger/plain/x.drop.json") is None


named = st.builds(
    lambda number, name, at, replaces, days, ingested: drop(
        f"d{number}", name=name, received_at=at, replaces=replaces, days=days, ingested_at=ingested
    ),
    st.integers(0, 5),
    st.sampled_from("ab"),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([("2026-03-01",), ("2026-03-02",), ("2026-03-01", "2026-03-02"), ()]),
    st.integers(1, 9),
)
withdrawn = st.builds(lambda number: Withdrawal("plain", f"d{number}", "wrong", 9), st.integers(0, 5))
again = st.builds(lambda number: Redelivery("plain", f"d{number}", Source("c", 1, number)), st.integers(0, 5))


@given(st.lists(st.lists(st.one_of(named, withdrawn, again), max_size=3), max_size=6))
@settings(max_examples=examples(1.5))
def test_a_view_made_step_by_step_is_the_view_made_at_once(steps):
    # Many other drops, so that a step touches a small part only.
    others = [drop(f"other{number}", name=f"{number}.csv", days=("2026-03-01",)) for number in range(40)]
    view = LedgerView({}, {}, set()).plus(others)
    view.raw_digests(TABLE)
    for records in steps:
        before = state(view)
        newer = view.plus(records)
        assert state(view) == before
        assert state(newer) == state(LedgerView(newer.drops, newer.withdrawals, newer.sources))
        days = {day for entry in newer.drops.values() for day in entry.parts}
        for day in days:
            held = sorted((d.received_at, d.name, d.drop_id) for d in newer.active.values() if day in d.parts)
            assert [(d.received_at, d.name, d.drop_id) for d in newer.drops_of(TABLE, day)] == held
        view = newer


def fill(ledger: Ledger, clock: Clock, count: int) -> list[Drop]:
    drops = [drop(f"d{number:04}", name=f"{number}.csv", received_at=number + 1) for number in range(count)]
    for each in drops:
        clock.wait(0.1)
        ledger.record(each)
    return drops


def test_a_look_lists_and_reads_what_is_new(store, clock):
    ledger = Ledger(store)
    fill(ledger, clock, 200)
    ledger.view()
    clock.wait(60)
    ledger.record(drop("late", name="late.csv"))
    store.listed = store.read_objects = 0
    assert ("plain", "late") in ledger.view().drops
    assert store.read_objects == 1
    assert store.listed <= 60  # those of the last five minutes, one in six seconds, and the new one


def test_the_index_saves_reading_and_changes_nothing(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 50)
    ledger = Ledger(store)
    fill(ledger, clock, 180)
    ledger.withdraw(drop("d0007"), "wrong")
    clock.wait(30)
    without = fresh(store)
    ledger.view()
    ledger.compact()
    assert len(store.list(INDEX_FOLDER)) == 1
    store.listed = store.read_objects = 0
    assert fresh(store) == without
    assert store.read_objects == 1
    # Deleted or damaged, it is done without.
    (segment,) = store.list(INDEX_FOLDER)
    content = store.read(segment.key)
    for damage in (b"", content[: len(content) // 2], b"nonsense"):
        store.write(segment.key, damage)
        assert fresh(store) == without
    store.delete(segment.key)
    assert fresh(store) == without


def test_many_segments_become_one_and_a_gap_is_bridged_by_the_records(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 5)
    monkeypatch.setattr(ledger_records, "MOST_SEGMENTS", 4)
    ledger = Ledger(store)
    counts = []
    for number in range(6):
        fill(ledger, clock, 5 + number)
        clock.wait(30)
        ledger.view()
        ledger.compact()
        counts.append(len(store.list(INDEX_FOLDER)))
        if number == 3:
            gap = fresh(store)
            first = min(store.list(INDEX_FOLDER), key=lambda item: item.modified_at)
            kept = store.read(first.key)
            store.delete(first.key)
            assert fresh(store) == gap
            store.write(first.key, kept)
    assert counts == [1, 2, 3, 4, 1, 2]
    assert fresh(store) == state(ledger.view())


def test_an_index_of_which_a_part_is_gone_keeps_the_rest_and_heals(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 5)
    monkeypatch.setattr(ledger_records, "MOST_SEGMENTS", 2)
    ledger = Ledger(store)
    for number in range(3):
        fill(ledger, clock, 5 + number)
        clock.wait(30)
        ledger.view()
        if number == 2:
            store.delete(max(store.list(INDEX_FOLDER), key=lambda item: item.modified_at).key)
            monkeypatch.setattr(ledger_records, "MOST_SEGMENTS", 1)
        ledger.compact()
    assert len(store.list(INDEX_FOLDER)) == 2
    store.read_objects = 0
    assert fresh(store) == state(ledger.view())
    # The two parts of the index, and the records behind the gap one by one: not all 18 of them.
    assert store.read_objects == 2 + 6 + 7
    # The next process closes the gap, and the one after it reads the index alone.
    another = Ledger(store)
    another.view()
    another.compact()
    store.read_objects = 0
    assert fresh(store) == state(ledger.view())
    assert store.read_objects == len(store.list(INDEX_FOLDER)) == 1


def test_what_is_of_late_stays_out_of_the_index(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 1)
    ledger = Ledger(store)
    ledger.record(drop("one"))
    ledger.view()
    ledger.compact()
    assert store.list(INDEX_FOLDER) == []


def test_a_record_that_appears_a_little_late_is_found(store, clock):
    ledger = Ledger(store)
    ledger.record(drop("one"))
    ledger.view()
    before = clock.now
    clock.wait(4)
    ledger.record(drop("two", name="b.csv"))
    ledger.view()
    # A slow writer: named before the last record that was seen.
    clock.now = before + MINUTE
    Ledger(store).record(drop("three", name="c.csv"))
    clock.wait(4)
    assert len(ledger.view().drops) == 3


def test_a_writer_whose_clock_is_ahead_hides_nothing(store, clock):
    ledger = Ledger(store)
    clock.wait(60 * 24 * 365)
    ledger.record(drop("future"))
    clock.now = NOON
    ledger.view()
    ledger.record(drop("one", name="b.csv"))
    assert len(ledger.view().drops) == 2


def appear_late(store: LocalObjectStore, late: Drop, named: int) -> None:
    """Let a record appear that was named long ago: its writer's connection was slow."""
    key = f"{LOG.key_at(named)}-{late.feed}-{late.drop_id}~{late.parse_digest}.drop.json"
    store.write(key, json.dumps(asdict(late)).encode())


def appeared_in_time(store: LocalObjectStore) -> None:
    """Let all records have appeared when their names say."""
    for item in store.list("ledger"):
        os.utime(store.root / item.key, ns=(LOG.written_at(item.key) * 1_000, LOG.written_at(item.key) * 1_000))


def test_a_record_that_appears_too_late_is_told_anew_once(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 1)
    writer, reader = Ledger(store), Ledger(store)
    writer.record(drop("one"))
    clock.wait(120)
    writer.record(drop("two", name="b.csv"))
    clock.wait(60)
    appeared_in_time(store)
    reader.view()
    reader.compact()
    appear_late(store, drop("late", name="c.csv"), NOON + MINUTE)
    clock.now = NOON + 200 * MINUTE
    assert ("plain", "late") not in reader.view().drops
    assert Ledger(store).reconcile() == 1
    assert ("plain", "late") in reader.view().drops
    clock.wait(60)
    os.utime(store.root / max(item.key for item in store.list("ledger")), ns=(clock.now * 1_000, NOON * 1_000))
    assert Ledger(store).reconcile() == 0
    assert len(Ledger(store).view().drops) == 3


def test_reconciling_forgets_what_somebody_removed(store, clock, monkeypatch):
    monkeypatch.setattr(ledger_records, "SEGMENT_RECORDS", 1)
    ledger = Ledger(store)
    ledger.record(drop("one"))
    ledger.record(drop("two", name="b.csv"))
    clock.wait(60)
    ledger.view()
    ledger.compact()
    store.delete(store.list("ledger")[0].key)
    assert len(Ledger(store).view().drops) == 2
    Ledger(store).reconcile()
    assert len(Ledger(store).view().drops) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "Expecting property name"),
        (b"", "Expecting value"),
        (b"\xff{", "codec can't decode"),
        (b"[]", "another shape"),
        (b"null", "another shape"),
        (b'{"parts": {}}', "another shape"),
        (b'{"parts": {"2026-03-01": [{}]}}', "another shape"),
    ],
)
def test_a_damaged_record_is_told_with_what_to_do(store, clock, content, problem):
    ledger = Ledger(store)
    ledger.record(drop("one"))
    (record,) = store.list("ledger")
    whole = store.read(record.key)
    store.write(record.key, content)
    message = (
        f"^{re.escape(record.key)} is damaged .*{problem}.*: delete it, and the file in the inbox is taken in again"
    )
    for _ in range(2):
        # Not passed over at the next look either.
        with pytest.raises(LakeError, match=message):
            ledger.view()
    store.write(record.key, whole)
    assert list(ledger.view().drops) == [("plain", "one")]


@pytest.mark.parametrize(("name", "value"), [("size", "12"), ("received_at", None), ("counts", {"rows": 1})])
def test_a_record_with_a_field_of_another_shape_is_told(store, clock, name, value):
    ledger = Ledger(store)
    ledger.record(drop("one"))
    (record,) = store.list("ledger")
    store.write(record.key, json.dumps(json.loads(store.read(record.key)) | {name: value}).encode())
    with pytest.raises(LakeError, match=rf"^{re.escape(record.key)} is damaged .*: delete it"):
        ledger.view()


def test_other_damaged_records_are_told_with_what_replaces_them(store, clock):
    ledger = Ledger(store)
    ledger.record(drop("one"))
    ledger.withdraw(drop("one"), "wrong")
    (withdrawn,) = [item.key for item in store.list("ledger") if item.key.endswith(".withdrawn.json")]
    store.write(withdrawn, b'{"feed": "plain"}')
    with pytest.raises(LakeError, match="delete it, and withdraw the drop again with `metrify drop withdraw`"):
        Ledger(store).view()
    store.delete(withdrawn)
    ledger = Ledger(store)
    ledger.record_redelivery("plain", "one", Source("b.csv", 3, 4))
    (again,) = [item.key for item in store.list("ledger") if item.key.endswith(".redelivered.json")]
    store.write(again, b'{"source": {}}')
    with pytest.raises(LakeError, match="delete it, and the file in the inbox is recognised again"):
        Ledger(store).view()


def own_name(key: str) -> str:
    return key.rsplit("-", 1)[-1].removesuffix(".json")


def returned_once(records: LedgerRecords, looks: list[str]) -> set[str]:
    new = [own_name(key) for key in records.new()]
    assert not set(new).intersection(looks)
    looks += new
    return set(new)


def as_it_is(key: str, record: dict) -> dict:
    return record


@pytest.mark.parametrize("minutes", [-20, 20, -60 * 24 * 3, 60 * 24 * 3])
@pytest.mark.parametrize("quiet", [0, 90])
def test_a_clock_that_was_set_hides_no_record_and_tells_none_twice(store, clock, minutes, quiet):
    records, looks = LedgerRecords(store, as_it_is), []
    records.write("a", {})
    assert returned_once(records, looks) == {"a"}
    clock.wait(quiet)
    records.write("b", {})
    assert returned_once(records, looks) == {"b"}
    clock.wait(quiet)
    assert returned_once(records, looks) == set()
    clock.wait(minutes)
    # Written and looked for by one process, and by another that has seen nothing yet.
    records.write("c", {})
    assert returned_once(records, looks) == {"c"}
    LedgerRecords(store, as_it_is).write("d", {})
    assert returned_once(records, looks) == {"d"}
    # Set right again.
    clock.wait(-minutes)
    records.write("e", {})
    assert returned_once(records, looks) == {"e"}
    assert returned_once(LedgerRecords(store, as_it_is), []) == set("abcde")
    assert [own_name(key) for key in LedgerRecords(store, as_it_is).new()] == list("abcde")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-90, 90), st.booleans()), min_size=1, max_size=25))
@settings(max_examples=examples(0.6))
def test_machines_whose_clocks_differ_and_are_set_see_every_record_once(steps):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_records, "SEGMENT_RECORDS", 3)
        store = LocalObjectStore(Path(folder))
        clock = Clock(patch)
        machines = [LedgerRecords(store, as_it_is) for _ in range(3)]
        looks: list[list[str]] = [[], [], []]
        for number, (machine, minutes, looks_too) in enumerate(steps):
            clock.wait(minutes)
            machines[machine].write(f"r{number}", {})
            if looks_too:
                returned_once(machines[machine], looks[machine])
                machines[machine].compact()
        written = {f"r{number}" for number in range(len(steps))}
        for machine, names in zip(machines, looks, strict=True):
            returned_once(machine, names)
            assert set(names) == written
        assert returned_once(LedgerRecords(store, as_it_is), []) == written


def test_records_after_one_of_the_far_future_cost_no_longer_listings(store, clock):
    ledger = Ledger(store)
    clock.wait(60 * 24 * 365)
    ledger.record(drop("future"))
    clock.now = NOON
    for number in range(700):
        ledger.record(drop(f"d{number:03}", name=f"{number}.csv"))
    ledger.view()
    store.listed = 0
    ledger.record(drop("last", name="last.csv"))
    listed, store.listed = store.listed, 0
    assert len(ledger.view().drops) == 702
    # Writing looks behind the latest record; a look goes back five minutes, a second a record.
    assert (listed, store.listed) == (1, 302)


def test_every_reading_is_remembered_as_it_was_known(store, clock):
    ledger = Ledger(store)
    first = drop("one", ingested_at=5, days=("2026-03-01",))
    ledger.record(first)
    clock.wait(1)
    ledger.record(replace(first, ingested_at=9, parts={}))
    assert ledger.view().drops["plain", "one"].days == []
    assert ledger.view_at(7).drops["plain", "one"] == first
    assert ledger.view_at(4).drops == {}
