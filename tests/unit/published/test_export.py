"""Files: equal rows make equal bytes, whatever way they come, and what is read back is what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.published import export
from metrify_assets.published.export import folder_of, rows_query, write_rows
from tests.examples import examples
from tests.small_marts import DAILY, DIMENSION, MONTHLY

PERIOD = "2026-03-31"


def rows(count: int) -> pa.Table:
    day = date(2026, 3, 31)
    return pa.Table.from_pylist(
        [
            {
                "point_id": f"P{number:03}",
                "day": day,
                "energy_kwh": Decimal(number).scaleb(-6) if number % 3 else None,
                "peak_at": datetime(2026, 3, 31, number % 24, tzinfo=UTC),
                "slots": number,
                "share": number / 7,
                "complete": bool(number % 2),
            }
            for number in range(count)
        ],
        schema=DAILY.arrow,
    )


@settings(max_examples=examples(0.25))
@given(count=st.integers(0, 40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_the_bytes_do_not_depend_on_how_the_rows_arrive(tmp_path_factory, count, cuts):
    folder = tmp_path_factory.mktemp("export")
    whole = rows(count)
    ends = sorted({min(cut, count) for cut in cuts} | {0, count})
    pieces = [whole.slice(first, last - first) for first, last in pairwise(ends)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "ROW_GROUP_ROWS", 8)
        assert write_rows([whole], DAILY, PERIOD, folder / "whole")[0] == count
        assert write_rows(pieces, DAILY, PERIOD, folder / "pieces")[0] == count
    assert (folder / "whole").read_bytes() == (folder / "pieces").read_bytes()
    file = pq.ParquetFile(folder / "pieces")
    assert file.num_row_groups == -(-count // 8)
    assert file.read().equals(whole)


def test_types_of_another_engine_become_those_of_the_contract(tmp_path):
    """Snowflake answers with the narrowest integers, wider decimals and nanoseconds."""
    other = rows(3).cast(
        pa.schema(
            [
                ("point_id", pa.large_string()),
                ("day", pa.date32()),
                ("energy_kwh", pa.decimal128(38, 6)),
                ("peak_at", pa.timestamp("ns", tz="+00:00")),
                ("slots", pa.int8()),
                ("share", pa.float64()),
                ("complete", pa.bool_()),
            ]
        )
    )
    write_rows([other], DAILY, PERIOD, tmp_path / "file")
    assert pq.read_table(tmp_path / "file").equals(rows(3))


def test_folders_and_queries_name_the_period():
    assert folder_of(DAILY, "2026-03-31") == "published/daily/day=2026-03-31"
    assert folder_of(MONTHLY, "2026-03-01") == "published/monthly/month=2026-03-01"
    assert folder_of(DIMENSION, "") == "published/dim_points"
    assert rows_query(MONTHLY, "2026-03-01") == (
        "select point_id, month, energy_kwh from metrics.monthly where month in (cast('2026-03-01' as date)) "
        "order by point_id, month"
    )
