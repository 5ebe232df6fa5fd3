from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.digest import EMPTY
from metrify_assets.drops.ledger import Drop, Ledger, LedgerView, Part, Source, Withdrawal
from metrify_assets.errors import DropError
from metrify_assets.storage.object_store import LocalObjectStore
from tests.examples import examples

TABLE = "raw_readings"


def drop(
    drop_id: str, *, name: str = "a.csv", received_at: int = 1, replaces: bool = True, days=("2026-03-01",), **more
) -> Drop:
    """A drop with one row in each of two shards on every day."""
    parts = {day: [Part(f"lake/{drop_id}-{day}", {"0": [0], "1": [1]}, {"0": 1, "1": 1})] for day in days}
    fields = {
        "feed": "plain",
        "drop_id": drop_id,
        "name": name,
        "kind": "readings",
        "table": TABLE,
        "replaces": replaces,
        "landed": f"landing/plain/{drop_id}",
        "size": 1,
        "modified_at": received_at,
        "received_at": received_at,
        "ingested_at": received_at,
        "parse_digest": "p",
        "parts": parts,
        "counts": {"rows": 2, "delivered_values": 2, "raw_values": 2, "quarantined_rows": 0, "quarantined_values": 0},
    }
    return Drop(**(fields | more))


def view(*drops: Drop, withdrawn: tuple[str, ...] = ()) -> LedgerView:
    withdrawals = {("plain", item): Withdrawal("plain", item, "wrong", 9) for item in withdrawn}
    return LedgerView({(item.feed, item.drop_id): item for item in drops}, withdrawals, set())


def active(state: LedgerView) -> list[str]:
    return [drop.drop_id for drop in state.drops_of(TABLE, "2026-03-01")]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalObjectStore(tmp_path))


def test_of_drops_received_in_the_same_second_the_name_that_counts_up_comes_last():
    # As two objects that one sender put into a bucket: their ids are digests, which tell no order.
    state = view(drop("ff", name="mqtt_100.jsonl", replaces=False), drop("00", name="mqtt_101.jsonl", replaces=False))
    assert active(state) == ["ff", "00"]


def test_a_newer_file_of_the_same_name_replaces():
    assert active(view(drop("one"), drop("two", received_at=2))) == ["two"]


def test_files_that_add_count_together_in_the_order_of_arrival():
    state = view(drop("two", received_at=2, replaces=False), drop("one", replaces=False))
    assert active(state) == ["one", "two"]


def test_names_and_feeds_do_not_replace_each_other():
    assert active(view(drop("one"), drop("two", name="b.csv", received_at=2))) == ["one", "two"]
    assert active(view(drop("one"), drop("two", feed="other", received_at=2))) == ["one", "two"]


def test_what_was_received_later_replaces_in_whatever_order_it_was_read():
    drops = [drop("one", received_at=3, ingested_at=7), drop("two", received_at=2, ingested_at=8), drop("three")]
    assert {tuple(active(view(*order))) for order in permutations(drops)} == {("one",)}


def test_of_two_received_at_once_one_wins_whatever_the_order():
    drops = [drop("one"), drop("two")]
    assert active(view(*drops)) == active(view(*reversed(drops)))


def test_a_withdrawal_makes_the_version_before_current_again():
    drops = [drop("one"), drop("two", received_at=2), drop("three", received_at=3)]
    assert active(view(*drops, withdrawn=("three",))) == ["two"]
    assert active(view(*drops, withdrawn=("three", "two"))) == ["one"]
    assert active(view(*drops, withdrawn=("one", "two", "three"))) == []


def test_a_drop_says_what_became_of_it():
    first, second, third = drop("one"), drop("two", received_at=2), drop("three", received_at=3)
    state = view(first, second, third, withdrawn=("three",))
    assert [state.state(each) for each in (first, second, third)] == ["replaced", "active", "withdrawn"]


def test_a_day_whose_drops_all_ceased_to_count_is_still_there_with_nothing():
    state = view(drop("one"), withdrawn=("one",))
    assert state.raw_digests(TABLE) == {"2026-03-01": {}}
    assert state.day_digest(TABLE, "2026-03-01") == EMPTY
    assert state.day_digest(TABLE, "2026-03-02") == EMPTY


def test_a_replaced_day_that_the_new_file_lacks_is_still_there():
    state = view(drop("one", days=("2026-03-01", "2026-03-02")), drop("two", received_at=2))
    assert state.raw_digests(TABLE)["2026-03-02"] == {}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans(), st.booleans()), max_size=7),
    st.randoms(),
)
@settings(max_examples=examples())
def test_digests_do_not_depend_on_the_order_of_the_records(described, random):
    drops = [
        drop(f"d{i}", name=name, received_at=at, replaces=replaces)
        for i, (name, at, replaces, _) in enumerate(described)
    ]
    gone = tuple(f"d{i}" for i, (*_, withdrawn) in enumerate(described) if withdrawn)
    shuffled = drops.copy()
    random.shuffle(shuffled)
    assert view(*drops, withdrawn=gone).raw_digests(TABLE) == view(*shuffled, withdrawn=gone).raw_digests(TABLE)
    # Of a name, at most one replacing drop counts, and it is the one received last among those not withdrawn.
    for name in "abc":
        counting = [d for d in view(*drops, withdrawn=gone).active.values() if d.name == name and d.replaces]
        candidates = [d for d in drops if d.name == name and d.replaces and d.drop_id not in gone]
        assert [d.received_at for d in counting] == ([max(d.received_at for d in candidates)] if candidates else [])


@pytest.mark.parametrize("change", [{"drop_id": "two"}, {"received_at": 2}, {"parse_digest": "q"}])
def test_identity_arrival_and_reader_make_the_digest(change):
    original = drop("one")
    other = replace(original, **change)
    assert other.shard_digest("2026-03-01", "0") != original.shard_digest("2026-03-01", "0")
    assert original.shard_digest("2026-03-01", "7") is None
    assert original.shard_digest("2026-03-09", "0") is None
    # When it was read plays no part.
    assert replace(original, ingested_at=99).shard_digest("2026-03-01", "0") == original.shard_digest("2026-03-01", "0")


def test_records_survive_the_process(ledger):
    ledger.record(drop("one"))
    ledger.record_redelivery("plain", "one", Source("b.csv", 1, 5))
    state = Ledger(ledger.store).view()
    assert state.drops == {("plain", "one"): drop("one")}
    assert state.sources == {("plain", Source("a.csv", 1, 1)), ("plain", Source("b.csv", 1, 5))}


def test_recording_twice_changes_nothing(ledger):
    views = []
    for _ in range(2):
        ledger.record(drop("one"))
        ledger.record_redelivery("plain", "one", Source("b.csv", 1, 5))
        views.append(ledger.view())
    assert views[0].drops == views[1].drops == {("plain", "one"): drop("one")}
    assert views[0].sources == views[1].sources


def test_of_several_readings_of_a_drop_the_last_counts(ledger):
    ledger.record(drop("one", ingested_at=5, parse_digest="new", days=("2026-03-02",)))
    ledger.record(drop("one", ingested_at=4, parse_digest="old"))
    assert ledger.view().drops["plain", "one"].parse_digest == "new"


def test_a_record_written_again_is_seen(ledger):
    ledger.record(drop("one"))
    ledger.view()
    ledger.record(drop("one", ingested_at=9, days=("2026-03-01", "2026-03-02")))
    assert len(ledger.view().drops["plain", "one"].days) == 2


def test_a_view_is_made_once_while_nothing_changes(ledger):
    ledger.record(drop("one"))
    assert ledger.view() is ledger.view()


def test_a_withdrawal_keeps_record_and_bytes(ledger):
    ledger.record(drop("one"))
    ledger.withdraw(ledger.view().find("one"), " wrong meter ")
    state = ledger.view()
    assert state.active == {}
    assert state.drops["plain", "one"] == drop("one")
    assert state.withdrawals["plain", "one"].reason == "wrong meter"


def test_a_drop_is_withdrawn_once_and_with_a_reason(ledger):
    ledger.record(drop("one"))
    with pytest.raises(DropError, match="needs a reason"):
        ledger.withdraw(drop("one"), "  ")
    ledger.withdraw(drop("one"), "wrong")
    with pytest.raises(DropError, match="withdrawn already"):
        ledger.withdraw(drop("one"), "wrong")


def test_a_drop_is_found_by_the_beginning_of_its_id():
    state = view(drop("abc1"), drop("abd2", name="b.csv"), drop("abc1.2", name="c.csv"))
    assert state.find("abd").drop_id == "abd2"
    assert state.find("abc1").drop_id == "abc1"  # an exact id is not ambiguous
    with pytest.raises(DropError, match="names 3 drops"):
        state.find("ab")
    with pytest.raises(DropError, match="no drop 'x'"):
        state.find("x")


def test_the_same_bytes_of_two_feeds_are_told_apart_by_the_feed():
    state = view(drop("abc"), drop("abc", feed="other"))
    with pytest.raises(DropError, match="other/abc"):
        state.find("abc")
    assert state.find("other/ab").feed == "other"
