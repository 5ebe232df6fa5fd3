"""The rate of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.sources.http.clock import TokenBucket


class FakeClock:
    """A clock on which only waiting takes time."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def test_a_burst_goes_at_once_and_then_two_a_second():
    clock = FakeClock()
    bucket = TokenBucket(rate=2, burst=3, clock=clock)
    for _ in range(5):
        bucket.take()
    assert clock.waits == pytest.approx([0.5, 0.5])


def test_tokens_come_back_while_nothing_is_asked():
    clock = FakeClock()
    bucket = TokenBucket(rate=2, burst=3, clock=clock)
    for _ in range(3):
        bucket.take()
    clock.time += 60
    for _ in range(4):
        bucket.take()
    assert clock.waits == pytest.approx([0.5])


@given(st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_no_more_than_the_burst_and_the_rate_go_in_any_time(pauses):
    clock = FakeClock()
    bucket = TokenBucket(rate=2, burst=3, clock=clock)
    taken = []
    for pause in pauses:
        clock.time += pause
        bucket.take()
        taken.append(clock.time)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= 3 + 2 * (taken[last] - taken[first]) + 1e-6
