"""Shards of a day side by side: the same results, in order, a bounded number at once."""

from __future__ import annotations

import threading
import time

import pytest

from metrify_assets.days.day import WORKERS, shards_in_order


def test_results_come_in_order_whatever_finishes_first():
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number * number

    assert list(shards_in_order(slow_first, range(9))) == [number * number for number in range(9)]


def test_no_more_are_under_way_than_there_are_workers():
    lock, under_way, most = threading.Lock(), 0, 0

    def counted(number: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return number

    assert list(shards_in_order(counted, range(8))) == list(range(8))
    assert most <= WORKERS


def test_a_fault_is_raised_where_its_result_was_due():
    def faulty(number: int) -> int:
        if number == 2:
            raise ValueError("the third")
        return number

    results = shards_in_order(faulty, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(results)


def test_nothing_to_do_is_nothing():
    assert list(shards_in_order(lambda number: number, [])) == []
