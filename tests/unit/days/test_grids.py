"""Grids to rows and back; decimals; labels."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrify_assets.days.grids import clean_table, validated_grids, validated_table
from metrify_assets.schemas.audit import audit
from metrify_assets.schemas.readings import CLEAN_READINGS, VALIDATED_READINGS
from metrify_assets.storage.arrow import codes_of, decimal_integers
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import NO_CODE, CleanGrid, SeriesTable, ValidatedGrid
from tests.examples import examples

DAYS = [date(2026, 3, 10), date(2026, 3, 29), date(2026, 10, 25)]


def series(minutes: list[int]) -> SeriesTable:
    return SeriesTable(
        np.array([f"P{n}" for n in range(len(minutes))], dtype=object),
        np.array(["1-0:1.29.0"] * len(minutes), dtype=object),
        np.array(minutes, dtype=np.int16),
        np.full(len(minutes), np.nan),
    )


@st.composite
def shards(draw):
    """A day, a series table of several resolutions, and random grids that fit it."""
    day = DeliveryDay(draw(st.sampled_from(DAYS)))
    minutes = draw(st.lists(st.sampled_from([15, 30, 60]), min_size=1, max_size=5))
    table = series(minutes)
    grids = []
    for length in sorted(set(minutes)):
        members = np.flatnonzero(table.interval_minutes == length).astype(np.int32)
        shape = (len(members), day.slots(length))

        def plane(kind, low, high, shape=shape):
            return draw(hnp.arrays(kind, shape, elements=st.integers(low, high), fill=st.integers(low, high)))

        has_value = plane(np.int8, 0, 1).astype(bool)
        grids.append(
            ValidatedGrid(
                series=members,
                interval_minutes=length,
                starts=day.slot_starts(length),
                delivered=np.where(has_value, plane(np.int64, -(10**18) + 1, 10**18 - 1), 0),
                has_value=has_value,
                source_status=plane(np.uint8, 0, 3),
                version=plane(np.int16, 0, 300),
                flags=plane(np.int32, 0, 1023),
                received_at=plane(np.int64, 0, 1) * 1_900_000_000_000_000,
            )
        )
    return day, table, grids


@given(shards())
@settings(max_examples=examples(0.4))
def test_validated_grids_come_back_as_they_were(shard):
    day, table, grids = shard
    rows = validated_table(day.day, table, grids)
    rows.validate(full=True)
    back = validated_grids(rows)
    assert [grid.interval_minutes for _, grid in back] == [grid.interval_minutes for grid in grids]
    for (keys, restored), grid in zip(back, grids, strict=True):
        assert keys == [(table.point_id[row], table.obis_code[row]) for row in grid.series]
        for name in ("starts", "delivered", "has_value", "source_status", "version", "flags", "received_at"):
            np.testing.assert_array_equal(getattr(restored, name), getattr(grid, name), err_msg=name)
            assert getattr(restored, name).dtype == getattr(grid, name).dtype


@given(shards())
@settings(max_examples=examples(0.15))
def test_rows_of_any_grid_have_the_structure_of_their_table(shard):
    day, table, grids = shard
    result = audit(VALIDATED_READINGS, validated_table(day.day, table, grids))
    assert result.structure == []


def test_a_shard_without_series_has_no_rows_and_no_grids():
    rows = validated_table(DAYS[0], series([]), [])
    assert rows.num_rows == 0
    assert rows.schema == VALIDATED_READINGS.arrow
    assert validated_grids(rows) == []


def test_a_clean_grid_as_rows():
    day = DeliveryDay(DAYS[0])
    slots = day.slots(60)

    def plane(kind, *first):
        values = np.zeros((1, slots), dtype=kind)
        values[0, : len(first)] = first
        return values

    grid = CleanGrid(
        series=np.array([0], np.int32),
        interval_minutes=60,
        starts=day.slot_starts(60),
        value=plane(np.int64, 1_500_000, 0, 7),
        has_value=plane(bool, True, True, False),
        status=plane(np.int8, 0, 2, 4),
        method=plane(np.int8, NO_CODE, 0, NO_CODE),
        reason=plane(np.int8, NO_CODE, 2, 0),
        flags=plane(np.int32, 0, 16, 1),
        version=plane(np.int16, 1, 2, 0),
        received_at=plane(np.int64, 5, 6, 0),
        delivered=plane(np.int64, 1_500_000, -3, 0),
        has_delivered=plane(bool, True, True, False),
    )
    rows = clean_table(day.day, series([60]), [grid])
    assert rows.schema == CLEAN_READINGS.arrow
    measured, estimated, missing = rows.slice(0, 3).to_pylist()
    assert (measured["value_kwh"], measured["status"], measured["method"], measured["reason"]) == (
        Decimal("1.5"),
        "measured",
        None,
        None,
    )
    # A null is no zero, and a zero no null.
    assert (estimated["value_kwh"], estimated["method"], estimated["reason"]) == (Decimal(0), "linear", "negative")
    assert estimated["delivered_kwh"] == Decimal("-0.000003")
    assert (missing["value_kwh"], missing["status"], missing["reason"]) == (None, "missing", "gap")
    assert missing["received_at"] is None
    assert missing["day"] == day.day


MICRO = st.one_of(st.none(), st.integers(-(10**18) + 1, 10**18 - 1))


@given(st.lists(MICRO, max_size=40), st.integers(0, 10), st.booleans())
def test_decimals_as_integers_are_exact_whatever_the_slice(values, skip, chunked):
    decimals = [None if value is None else Decimal(value).scaleb(-6) for value in values]
    array = pa.array(decimals, pa.decimal128(18, 6)).slice(skip)
    column = pa.chunked_array([array.slice(0, 3), array.slice(3)]) if chunked else array
    assert decimal_integers(column).tolist() == [value or 0 for value in values[skip:]]


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=20), st.integers(0, 20))
def test_codes_lead_back_to_the_texts_across_chunks(texts, cut):
    chunks = [pa.array(part, pa.string()).dictionary_encode() for part in (texts[:cut], texts[cut:])]
    names, codes = codes_of(pa.chunked_array(chunks))
    assert [None if code < 0 else names[code] for code in codes.tolist()] == texts


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_codes_of_nothing(kind):
    assert codes_of(pa.chunked_array([], kind))[1].tolist() == []
