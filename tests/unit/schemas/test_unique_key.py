"""The fast way to see that a key is unique: rows that rise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.pandera_models import _has_no_repeats, _strictly_increasing
from metrify_assets.schemas.registries import POINTS

ROWS = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2)), min_size=1, max_size=6)


@given(ROWS)
def test_rows_rise_if_they_are_sorted_and_none_is_there_twice(rows):
    columns = list(np.array(rows).T)
    assert _strictly_increasing(columns) == (rows == sorted(set(rows)))


@given(st.lists(st.integers(-5, 40), max_size=12))
def test_numbers_said_to_have_no_repeats_have_none(numbers):
    assert not _has_no_repeats(np.array(numbers, dtype=np.int64)) or len(set(numbers)) == len(numbers)


def test_row_numbers_in_any_order_have_no_repeats():
    assert _has_no_repeats(np.array([3, 1, 2, 7]))
    assert not _has_no_repeats(np.array([3, 1, 2, 3]))
    assert not _has_no_repeats(np.array([0, 2**62]))


def test_texts_as_keys_are_compared_by_hashing():
    rows = {"point_id": ["B", "A", "B"], "obis_code": ["x"] * 3, "interval_minutes": [15] * 3}
    data = pa.Table.from_pylist(
        [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)],
        schema=pa.schema([field.with_nullable(True) for field in POINTS.arrow]),
    )
    counts = {finding.check: finding.count for finding in audit(POINTS, data).structure}
    assert counts["unique by point_id, obis_code, valid_from"] == 1
