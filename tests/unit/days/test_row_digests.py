"""Digests of registry rows: the content counts, each value in its place, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from metrify_assets.registry.validity import row_digests

ROWS = {"point": ["A", "B"], "other": ["B", "A"], "kw": [30.0, None], "minutes": [15, 60]}


def total(**changes: list) -> int:
    return sum(row_digests(pa.table(ROWS | changes)).tolist())


def test_rows_have_digests_of_their_own():
    assert len(set(row_digests(pa.table(ROWS)).tolist())) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"kw": [None, 30.0]},
        {"kw": [30.0, 0.0]},
        {"minutes": [60, 15]},
        {"point": ["B", "A"]},
        {"point": ["B", "A"], "other": ["A", "B"]},
        {"point": ["A", "A"], "other": ["B", "B"]},
    ],
    ids=str,
)
def test_a_value_that_changes_or_moves_changes_the_sum(changes):
    assert total(**changes) != total()


def test_the_order_of_rows_and_where_they_came_from_do_not_count():
    turned = {name: values[::-1] for name, values in ROWS.items()}
    assert total(**turned) == total() == total(feed=["x", "y"], drop_id=["1", "2"], row_number=[1, 2])


def test_a_value_counts_the_same_however_it_is_encoded():
    encoded = pa.table(ROWS | {"point": pa.array(ROWS["point"]).dictionary_encode()})
    assert row_digests(encoded).tolist() == row_digests(pa.table(ROWS)).tolist()


def test_a_table_without_rows_has_no_digests():
    assert len(row_digests(pa.table(ROWS).slice(0, 0))) == 0
