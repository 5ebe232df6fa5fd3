"""Slots that a delivery gives more than once, against a slow count with dictionaries."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.model import FeedKind
from metrify_assets.feeds.rows import contradictions
from metrify_assets.feeds.rows.contradictions import SlotWatch, repeated_slots, slots_of
from metrify_assets.schemas.readings import RAW_READINGS
from tests.examples import examples

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
WH_PER_UNIT = {"kWh": 1_000, "Wh": 1, "kvarh": 1_000}


def rows(*cells: tuple) -> pa.Table:
    """Return raw rows of (point, channel, kind, slot, value, unit, status)."""
    records = [
        {
            "point_id": point,
            "obis_code": channel,
            "kind": kind,
            "interval_start": BEGIN + timedelta(minutes=15 * slot),
            "interval_minutes": 15,
            "value": None if value is None else Decimal(value),
            "unit": unit,
            "source_status": status,
            "feed": "f",
            "drop_id": "d",
            "row_number": number,
            "received_at": BEGIN,
            "day": BEGIN.date(),
            "author": None,
            "remark": None,
        }
        for number, (point, channel, kind, slot, value, unit, status) in enumerate(cells, start=1)
    ]
    return pa.Table.from_pylist(records, schema=RAW_READINGS.arrow)


def counted_slowly(tables: list[pa.Table]) -> tuple[int, list[bool], list[bool]]:
    """Return slots that repeat; per row whether its slot contradicts itself, and whether it differs from the first."""
    slots: dict[tuple, list[Decimal | None]] = defaultdict(list)
    names, values = [], []
    for row in (row for table in tables for row in table.to_pylist()):
        missing = row["value"] is None or row["source_status"] == "missing"
        values.append(None if missing else row["value"] * WH_PER_UNIT[row["unit"]])
        quantity = "reactive" if row["unit"] == "kvarh" else "active"
        names.append((row["point_id"], row["obis_code"], row["kind"], quantity, row["interval_start"]))
        slots[names[-1]].append(values[-1])
    given = {name: [value for value in held if value is not None] for name, held in slots.items()}
    differ = [len(set(given[name])) > 1 and value is not None for name, value in zip(names, values, strict=True)]
    later = [differs and value != given[name][0] for differs, name, value in zip(differ, names, values, strict=True)]
    return sum(len(held) > 1 for held in slots.values()), differ, later


CELL = st.tuples(
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from(["1-0:1.29.0", "1-0:2.29.0"]),
    st.sampled_from(["interval", "interval", "register"]),
    st.integers(0, 5),
    st.sampled_from([None, "0", "1", "2", "0.001", "1000"]),
    st.sampled_from(["kWh", "Wh", "kvarh"]),
    st.sampled_from(["measured", "measured", "substitute", "missing"]),
)


@pytest.mark.parametrize("at_once", [1, 5, 8_000_000])
@settings(max_examples=examples(1.5))
@given(batches=st.lists(st.lists(CELL, max_size=8), min_size=1, max_size=5))
def test_repeats_and_contradictions_are_those_of_a_slow_count(at_once, batches):
    tables = [rows(*batch) for batch in batches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contradictions, "CELLS_AT_ONCE", at_once)
        slots = repeated_slots(FeedKind.READINGS, tables)
    repeated, differ, later = counted_slowly(tables)
    assert slots.repeated == repeated
    assert np.concatenate([slots.contradictions(table) for table in tables]).tolist() == differ
    left_first = [slots.contradictions(table, but_the_first=True) for table in tables]
    assert np.concatenate(left_first).tolist() == later
    assert (slots.contradicting > 0) == any(differ)


def by_point(first: int, last: int, points: str = "AB") -> pa.Table:
    return rows(
        *(
            (point, "1-0:1.29.0", "interval", slot, "1", "kWh", "measured")
            for point in points
            for slot in range(first, last)
        )
    )


def by_time(first: int, last: int) -> pa.Table:
    return rows(
        *(
            (point, "1-0:1.29.0", "interval", slot, "1", "kWh", "measured")
            for slot in range(first, last)
            for point in "AB"
        )
    )


@pytest.mark.parametrize(
    "tables",
    [
        [by_point(0, 4), by_point(4, 8)],
        [by_time(0, 4), by_time(4, 8)],
        [by_time(4, 8), by_time(0, 4)],
        [by_point(0, 8, "A"), by_point(0, 8, "B")],
        [by_point(0, 4).take([3, 2, 1, 0, 7, 6, 5, 4])],
    ],
)
def test_files_in_an_order_of_time_are_read_once(tables):
    watch = SlotWatch(FeedKind.READINGS)
    for table in tables:
        watch.add(slots_of(FeedKind.READINGS, table))
    assert watch.settle(lambda: pytest.fail("read again")).repeated == 0
