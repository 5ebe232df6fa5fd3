"""Tasks done ahead: their order, their failures, and who stops in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import UnreadableFile
from metrify_assets.storage.parallel import in_order

WAIT_SECONDS = 30


def test_results_come_in_the_order_of_their_tasks_though_later_ones_end_first():
    second_done = threading.Event()

    def first() -> int:
        assert second_done.wait(WAIT_SECONDS)
        return 1

    def second() -> int:
        second_done.set()
        return 2

    assert list(in_order(iter([first, second, lambda: 3]))) == [1, 2, 3]


def test_one_worker_takes_its_tasks_one_after_another():
    done: list[int] = []
    assert list(in_order((partial(done.append, number) for number in range(50)), workers=1)) == [None] * 50
    assert done == list(range(50))


def failing() -> int:
    raise UnreadableFile(RejectReason.TRUNCATED_FILE, "broken")


def breaking_off() -> Iterator[Callable[[], int]]:
    yield lambda: 1
    yield lambda: 2
    failing()


@pytest.mark.parametrize("tasks", [iter([lambda: 1, lambda: 2, failing, lambda: 4]), breaking_off()])
def test_a_failure_comes_after_all_results_before_it(tasks):
    results = in_order(tasks)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(UnreadableFile, match="broken"):
        next(results)


def test_no_more_is_begun_than_is_worked_on_and_waits():
    begun: list[int] = []
    results = in_order((partial(begun.append, number) for number in range(100)), workers=2)
    next(results)
    assert len(begun) <= 3
    results.close()
    assert len(begun) <= 3


def test_nothing_gives_nothing():
    assert list(in_order(iter([]))) == []
