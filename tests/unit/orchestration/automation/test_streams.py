"""What the stream's sensor asks for next, after failures."""

from __future__ import annotations

import pytest

from metrify_assets.drops.offsets import Log, OffsetRange
from metrify_assets.feeds.catalogue import load_feed
from metrify_assets.orchestration.automation.decisions import Failures
from metrify_assets.orchestration.automation.streams import LONGEST_BACKOFF, plan_ranges
from tests.streams import TOPIC, stream_feed


@pytest.fixture
def feed(tmp_path):
    return load_feed(stream_feed(tmp_path))


def wanted(feed, *spans: tuple[int, int, int]):
    return [(feed, OffsetRange(Log(TOPIC, "0123abcd", partition), start, end)) for partition, start, end in spans]


def digest(feed, *spans):
    return plan_ranges(wanted(feed, *spans), {}, 0, 99).work[0].digest


def test_a_range_that_grew_is_the_same_work(feed):
    assert digest(feed, (0, 5, 9)) == digest(feed, (0, 5, 30))
    assert digest(feed, (0, 5, 9)) != digest(feed, (0, 9, 30))


def test_failures_count_although_the_range_grows(feed):
    failures = {digest(feed, (0, 5, 9)): Failures(2, last_ended=1_000)}
    assert plan_ranges(wanted(feed, (0, 5, 30)), failures, 1_039, 9).work == ()
    assert plan_ranges(wanted(feed, (0, 5, 30)), failures, 1_040, 9).work[0].attempt == 3


def test_a_stream_is_never_given_up_and_waits_no_longer_than_some_minutes(feed):
    failures = {digest(feed, (0, 5, 9)): Failures(1_000, last_ended=1_000)}
    longest = 20 * 2 ** (LONGEST_BACKOFF - 1)
    waiting = plan_ranges(wanted(feed, (0, 5, 9)), failures, 1_000 + longest - 1, 9)
    assert (waiting.work, waiting.given_up, len(waiting.waiting)) == ((), (), 1)
    assert len(plan_ranges(wanted(feed, (0, 5, 9)), failures, 1_000 + longest, 9).work) == 1


def test_a_partition_that_fails_ends_up_alone(feed):
    both = ((0, 5, 9), (1, 7, 9))
    failures = {digest(feed, *both): Failures(1, last_ended=1_000)}
    (work,) = plan_ranges(wanted(feed, *both), failures, 2_000, 9).work
    assert work.items == tuple(wanted(feed, both[0]))
    # The other one has gone on meanwhile: that is new work, at once.
    assert len(plan_ranges(wanted(feed, both[0], (1, 9, 20)), failures, 1_001, 9).work[0].items) == 2


def test_what_follows_a_range_that_waits_waits_with_it_and_other_partitions_go_on(feed):
    spans = ((0, 5, 9), (1, 7, 9), (0, 9, 12), (1, 9, 20))
    failures = {digest(feed, spans[0]): Failures(1, last_ended=1_000)}
    decision = plan_ranges(wanted(feed, *spans), failures, 1_001, 99)
    assert decision.work[0].items == tuple(wanted(feed, spans[1], spans[3]))
    assert decision.waiting == tuple(wanted(feed, spans[0], spans[2]))
    # Once it is due it comes on its own, its followers after it.
    assert plan_ranges(wanted(feed, *spans[:1], spans[2]), failures, 1_020, 99).work[0].items == tuple(
        wanted(feed, spans[0], spans[2])
    )
    assert len(plan_ranges(wanted(feed, *spans), {}, 1_001, 3).work[0].items) == 3
