"""Ranges of offsets: names, tiling, and what comes next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.drops.offsets import Log, OffsetRange, faults, in_turns, incarnation_of, landed_end, next_ranges
from metrify_assets.feeds.stream import TOPIC_PATTERN

LOG = Log("meter-reads", "0123abcd", 2)
logs = st.builds(
    Log,
    st.from_regex(TOPIC_PATTERN, fullmatch=True),
    st.integers(0, 2**32 - 1).map("{:08x}".format),
    st.integers(0, 9_999),
)


def span(start: int, end: int, *, lost: bool = False) -> OffsetRange:
    return OffsetRange(LOG, start, end, lost)


def test_a_drop_is_named_by_its_range():
    assert span(100, 250).name == "meter-reads-2-100-250.parquet"
    assert span(100, 250).drop_id == "meter-reads-2-100-250.0123abcd"
    assert span(0, 7, lost=True).name == "meter-reads-2-0-7-lost.parquet"


@given(logs, st.integers(0, 2**62), st.integers(0, 2**40), st.booleans())
def test_a_drop_id_tells_its_range(log, start, length, lost):
    offsets = OffsetRange(log, start, start + length, lost)
    assert OffsetRange.of_drop(offsets.drop_id) == offsets


def test_a_topic_may_look_like_a_range():
    odd = OffsetRange(Log("a-1-0-5-lost", "0123abcd", 0), 5, 9)
    assert odd.name == "a-1-0-5-lost-0-5-9.parquet"
    assert OffsetRange.of_drop(odd.drop_id) == odd


@pytest.mark.parametrize("drop_id", ["0123456789abcdef", "0123456789abcdef.2", "a-0-1.0123abcd", "a-0-1-2.0123abcde"])
def test_the_drop_of_a_file_is_no_range(drop_id):
    assert OffsetRange.of_drop(drop_id) is None


def test_a_topic_that_is_created_again_is_another_log():
    assert incarnation_of("id-1", 1) == incarnation_of("id-1", 1)
    assert len({incarnation_of("id-1", 1), incarnation_of("id-2", 1), incarnation_of("id-1", 2)}) == 3


def test_the_next_range_starts_where_the_landed_ones_end():
    assert landed_end([]) == 0
    assert landed_end([span(10, 20), span(0, 10)]) == 20
    assert list(next_ranges(LOG, 20, 0, 55, 15)) == [span(20, 35), span(35, 50), span(50, 55)]
    assert list(next_ranges(LOG, 20, 0, 20, 15)) == []


def test_a_hole_ends_what_counts_as_landed():
    assert landed_end([span(0, 10), span(12, 20)]) == 10
    assert faults([span(0, 10), span(12, 20)]) == ["meter-reads-2: offsets 10 to 11 are held by no drop: report it"]


def test_offsets_that_two_drops_hold_are_a_fault():
    assert faults([span(0, 10), span(5, 20)]) == ["meter-reads-2: offsets 5 to 9 are held by two drops: report it"]
    assert faults([span(0, 10), span(10, 20)]) == []


def test_expired_offsets_are_a_loss_before_anything_else():
    assert list(next_ranges(LOG, 20, 30, 40, 100)) == [span(20, 30, lost=True), span(30, 40)]
    # All of it expired: the watermarks meet.
    assert list(next_ranges(LOG, 20, 40, 40, 100)) == [span(20, 40, lost=True)]


def test_what_expired_before_the_first_read_is_told_apart():
    assert span(0, 7, lost=True).is_before_the_first_read
    assert not span(3, 7, lost=True).is_before_the_first_read
    assert not span(0, 7).is_before_the_first_read


@given(st.data())
def test_ranges_tile_the_offsets_in_any_order_of_crashes(data):
    """Rounds in which the log grows and expires, and a crash cuts the planned ranges off anywhere."""
    held: list[OffsetRange] = []
    low = high = 0
    for _ in range(data.draw(st.integers(1, 8), "rounds")):
        high += data.draw(st.integers(0, 50), "grown")
        low = data.draw(st.integers(low, high), "low")
        planned = list(next_ranges(LOG, landed_end(held), low, high, data.draw(st.integers(1, 30), "longest")))
        done = data.draw(st.integers(0, len(planned)), "done")
        held += planned[:done]
        held = data.draw(st.permutations(held), "order of the ledger")
        assert faults(held) == []
        if done == len(planned):
            assert landed_end(held) == high
    # Every offset is in exactly one range.
    assert sorted(offset for offsets in held for offset in range(offsets.start, offsets.end)) == list(
        range(landed_end(held))
    )


@given(st.lists(st.lists(st.integers(), max_size=5), max_size=5))
def test_turns_lose_nothing_and_keep_the_order_of_each_queue(queues):
    tagged = [[(number, place, item) for place, item in enumerate(queue)] for number, queue in enumerate(queues)]
    turns = list(in_turns(tagged))
    assert sorted(turns) == sorted(item for queue in tagged for item in queue)
    assert [place for _, place, _ in turns] == sorted(place for _, place, _ in turns)
