"""Validity intervals and their digests, against a slow way to say the same."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.days.digests import platform_registry
from metrify_assets.digest import EMPTY
from metrify_assets.registry.validity import ValidityDigests, outlived
from metrify_assets.vee.delivery_day import day_number
from tests.examples import examples
from tests.workbench import ARRIVED, IMPORT

FIRST = date(2026, 3, 1)
INTERVALS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 12), st.integers(1, 2**64 - 1)).map(
        lambda found: (day_number(FIRST) + found[0], day_number(FIRST) + found[0] + found[1], found[2])
    ),
    max_size=8,
)
DAYS = [FIRST + timedelta(n) for n in range(-1, 27)]


def slowly(rows, day: date) -> int:
    return sum(digest for start, end, digest in rows if start <= day_number(day) < end) % 2**64


def digests_of(rows) -> ValidityDigests:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    start, end = (np.array(column, dtype=np.int64) for column in columns[:2])
    return ValidityDigests(start, end, np.array(columns[2], dtype=np.uint64))


@given(INTERVALS)
def test_the_digest_of_a_day_is_the_sum_of_the_rows_valid_on_it(rows):
    digests = digests_of(rows)
    for day in DAYS:
        total = slowly(rows, day)
        assert digests.on(day) == (f"{total:x}" if total else EMPTY)


@given(INTERVALS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert [digests_of(rows).on(day) for day in DAYS] == [digests_of(shuffled).on(day) for day in DAYS]


@given(INTERVALS, st.tuples(st.integers(0, 12), st.integers(1, 12)))
@settings(max_examples=examples(0.5))
def test_a_further_row_changes_exactly_the_days_of_its_validity(rows, validity):
    start = day_number(FIRST) + validity[0]
    end = start + validity[1]
    before, after = digests_of(rows), digests_of([*rows, (start, end, 12_345)])
    changed = {day for day in DAYS if before.on(day) != after.on(day)}
    assert changed == {day for day in DAYS if start <= day_number(day) < end}


def test_no_registry_at_all_knows_nobody(bench):
    registry = platform_registry(bench.platform)
    assert registry.day_digest(FIRST) == EMPTY
    assert registry.shard_digest(FIRST, 0) == EMPTY
    assert len(registry.series(FIRST, 0)) == 0


def test_a_point_is_valid_from_its_first_day_until_before_its_last(bench):
    bench.register({"point_id": "A", "valid_from": "2026-03-02", "valid_to": "2026-03-04"})
    registry = platform_registry(bench.platform)
    valid = [sum(len(registry.series(FIRST + timedelta(n), shard)) for shard in (0, 1)) for n in range(5)]
    assert valid == [0, 1, 1, 0, 0]


def test_where_two_rows_of_a_series_overlap_the_one_that_starts_last_counts(bench):
    bench.register(
        {"point_id": "A", "connection_kw": 10, "valid_from": "2026-01-01"},
        {"point_id": "A", "connection_kw": 20, "valid_from": "2026-03-02"},
    )
    registry = platform_registry(bench.platform)
    limits = [
        [*registry.series(day, 0).limit_kw, *registry.series(day, 1).limit_kw] for day in (FIRST, date(2026, 3, 2))
    ]
    assert limits == [[10], [20]]


def test_series_are_sorted_by_point_and_channel(bench):
    bench.register("C", "A", {"point_id": "A", "obis_code": "1-0:2.29.0"}, "B", "D")
    registry = platform_registry(bench.platform)
    for shard in (0, 1):
        series = registry.series(FIRST, shard)
        keys = list(zip(series.point_id, series.obis_code, strict=True))
        assert keys == sorted(keys)
    assert ("A", IMPORT) in [
        key
        for shard in (0, 1)
        for key in zip(*(getattr(registry.series(FIRST, shard), n) for n in ("point_id", "obis_code")), strict=True)
    ]


def test_the_same_registry_in_another_file_or_order_has_the_same_digest(bench):
    bench.register("A", "B")
    before = platform_registry(bench.platform).day_digest(FIRST)
    bench.register("B", "A", arrived=ARRIVED + timedelta(days=1))
    assert platform_registry(bench.platform).day_digest(FIRST) == before


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 9), st.none() | st.integers(1, 9)), max_size=8))
def test_a_row_is_outlived_where_one_of_its_key_that_did_not_start_later_goes_on_after_it(rows):
    spans = [(key, start, None if length is None else start + length) for key, start, length in rows]
    mask = outlived(
        pa.table(
            {
                "key": pa.array([key for key, _, _ in spans], pa.string()),
                "valid_from": pa.array([start for _, start, _ in spans], pa.date32()),
                "valid_to": pa.array([end for _, _, end in spans], pa.date32()),
            }
        ),
        ["key"],
    )
    for (key, start, end), nested in zip(spans, mask.tolist(), strict=True):
        others = [e for k, s, e in spans if k == key and s <= start]
        assert nested == (end is not None and any(e is None or e > end for e in others))


def test_a_row_that_is_put_before_another_for_a_while_touches_the_days_after_it_as_well(bench):
    always = {"point_id": "A", "valid_from": "2026-01-01"}
    bench.register(always)
    before = platform_registry(bench.platform)
    bench.register(always, {**always, "connection_kw": 20, "valid_from": "2026-03-02", "valid_to": "2026-03-04"})
    after = platform_registry(bench.platform)
    days = [FIRST + timedelta(n) for n in range(6)]
    # The marts give A a version of its own from the 4th on; validation sees the row that it knew.
    assert [before.day_digest(day) != after.day_digest(day) for day in days] == [False, *[True] * 5]
    shard = next(shard for shard in (0, 1) if len(after.series(FIRST, shard)))
    assert [before.shard_digest(day, shard) != after.shard_digest(day, shard) for day in days] == [
        *(False, True, True, False, False, False)
    ]
