"""Files: equal rows make equal bytes, whatever way they come, and what is read back is what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.published import export
from metrify_assets.published.catalog import Part
from metrify_assets.published.export import folder_of, part_sums, rows_query, sums_query, write_rows
from metrify_assets.resources.object_store import LocalObjectStore
from tests.small_marts import DAILY, DIMENSION, MONTHLY


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


@settings(max_examples=25)
@given(count=st.integers(0, 40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_the_bytes_do_not_depend_on_how_the_rows_arrive(tmp_path_factory, count, cuts):
    folder = tmp_path_factory.mktemp("export")
    whole = rows(count)
    ends = sorted({min(cut, count) for cut in cuts} | {0, count})
    pieces = [whole.slice(first, last - first) for first, last in pairwise(ends)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "ROW_GROUP_ROWS", 8)
        assert write_rows([whole], DAILY.arrow, folder / "whole") == count
        assert write_rows(pieces, DAILY.arrow, folder / "pieces") == count
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
    write_rows([other], DAILY.arrow, tmp_path / "file")
    assert pq.read_table(tmp_path / "file").equals(rows(3))


def test_energies_and_rows_are_read_back_exactly(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(export, "ROW_GROUP_ROWS", 4)
    store = LocalObjectStore(tmp_path)
    with store.writing("file") as temporary:
        write_rows([rows(10)], DAILY.arrow, temporary)
    # 1 + 2 + 4 + 5 + 7 + 8 millionths.
    assert part_sums(store, DAILY, Part("file", 10, 1, "d", "s")) == (10, (Decimal("0.000027"),))
    with store.writing("unknown") as temporary:
        write_rows([rows(1)], DAILY.arrow, temporary)
    assert part_sums(store, DAILY, Part("unknown", 1, 1, "d", "s")) == (1, (None,))
    assert part_sums(store, DAILY, Part("", 0, 0, "d", "s")) == (0, (None,))


def test_folders_and_queries_name_the_period():
    assert folder_of(DAILY, "2026-03-31") == "published/daily/day=2026-03-31"
    assert folder_of(MONTHLY, "2026-03-01") == "published/monthly/month=2026-03-01"
    assert folder_of(DIMENSION, "") == "published/dim_points"
    assert rows_query(MONTHLY, "2026-03-01") == (
        "select point_id, month, energy_kwh from metrics.monthly where month in (cast('2026-03-01' as date)) "
        "order by point_id, month"
    )
    assert sums_query(DIMENSION, [""]) == "select null, count(*) from marts.dim_points"
