"""The order of deliveries: by drop, then by row, whatever the rows are numbered with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.days.raw import first_order
from metrify_assets.drops.offsets import Log, OffsetRange
from tests.unit.drops.test_ledger import drop

starts = st.one_of(st.none(), st.integers(0, 2**62))
"""Where the rows of a drop begin: at 1 in a file, at an offset in a stream, however long that has run."""


@given(st.lists(starts, min_size=1, max_size=5))
def test_deliveries_are_ordered_by_drop_then_by_row_however_large_an_offset_is(drops):
    orders: list[int] = []
    for rank, start in enumerate(drops):
        if start is None:
            held, rows = drop("0123456789abcdef"), np.array([1, 2, 1_000_000])
        else:
            offsets = OffsetRange(Log("reads", "0123abcd", 0), start, start + 500_000)
            held, rows = drop(offsets.drop_id), np.array([start, start + 1, start + 499_999])
        orders += (rows + first_order(held, rank)).tolist()
    assert all(before < after for before, after in pairwise(orders))
