"""Numbers between NumPy and Arrow."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa

from metrify_assets.storage.arrow import decimal_integers, decimals


def test_floats_become_decimals_rounded_to_the_last_place_and_nan_is_null():
    column = decimals(np.array([0.1, -2.5, np.nan, 1.0000004, 1.0000006]))
    assert column.type == pa.decimal64(18, 6)
    expected = [Decimal("0.1"), Decimal("-2.5"), None, Decimal("1"), Decimal("1.000001")]
    assert column.to_pylist() == expected
    assert decimal_integers(column).tolist() == [100_000, -2_500_000, 0, 1_000_000, 1_000_001]
    assert decimals(np.empty(0)).to_pylist() == []
