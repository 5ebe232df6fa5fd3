"""Rows of the platform's tables as analysts get them back: their own points and zone, and rules by name.

Belongs here: which columns a result has, and in which order its rows stand. Does not belong here: how values are
computed (``days/``), and pandas (``tables.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.library.delivered import DeliveredTable
from metrify_assets.vee.codes import FLAG_NAMES, Flag, Status
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE
from metrify_assets.vee.own_rules import OwnRule


def rule_names(flags: np.ndarray, own: Sequence[OwnRule] = ()) -> pa.Array:
    """Return the names of the rules that found something, separated by blanks; empty where none did.

    Parameters
    ----------
    flags : int32 array, shape (N,)
    own : sequence of OwnRule
        Rules of other packages.
    """
    bits = {name: int(flag) for flag, name in FLAG_NAMES.items() if flag is not Flag.REFUSED}
    bits |= {rule.name: rule.flag for rule in own}
    distinct, place = np.unique(flags, return_inverse=True)
    texts = [" ".join(name for name, bit in bits.items() if bits_ & bit) for bits_ in distinct.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(place))


def validated_columns(rows: pa.Table, own: Sequence[OwnRule]) -> pa.Table:
    """Return rows of ``validated_readings`` with the columns of a result."""
    flags = rows["flags"].to_numpy()
    return _with_slots(
        rows,
        {
            "delivered_kwh": rows["delivered_kwh"],
            "source_status": rows["source_status"].cast(pa.string()),
            "version": rows["version"],
            "rules": rule_names(flags, own),
            "refused": pa.array((flags & int(Flag.REFUSED)) != 0),
        },
    )


def clean_columns(rows: pa.Table, own: Sequence[OwnRule]) -> pa.Table:
    """Return rows of ``clean_readings`` with the columns of a result."""
    status = rows["status"].cast(pa.string())
    return _with_slots(
        rows,
        {
            "kwh": rows["value_kwh"],
            "low_kwh": rows["value_low_kwh"],
            "high_kwh": rows["value_high_kwh"],
            "variance_kwh2": rows["variance_kwh2"],
            "status": status,
            "estimated": pc.equal(status, str(Status.ESTIMATED)),
            "method": rows["method"].cast(pa.string()),
            "scaled_method": rows["scaled_method"].cast(pa.string()),
            "reason": rows["reason"].cast(pa.string()),
            "rules": rule_names(rows["flags"].to_numpy(), own),
            "delivered_kwh": rows["delivered_kwh"],
        },
    )


def _with_slots(rows: pa.Table, columns: dict[str, pa.ChunkedArray | pa.Array]) -> pa.Table:
    names = {name: rows[name].cast(pa.string()) for name in ("point_id", "obis_code")}
    slots = {name: rows[name] for name in ("interval_start", "interval_minutes")}
    return pa.table({**names, **slots, **columns})


def within_spans(rows: pa.Table, table: DeliveredTable) -> pa.Table:
    """Return the rows from the first to the last time of their series, sorted by point, channel and time."""
    number_of = {key: number for number, key in enumerate(table.keys)}
    keys = zip(rows["point_id"].to_pylist(), rows["obis_code"].to_pylist(), strict=True)
    series = np.array([number_of[key] for key in keys], dtype=np.int64)
    starts = rows["interval_start"].cast(pa.int64()).to_numpy()
    length = rows["interval_minutes"].to_numpy().astype(np.int64) * MICROSECONDS_PER_MINUTE
    first, last = table.spans
    # A longer slot begins before the first of the values that it is the sum of.
    inside = np.flatnonzero((starts + length > first[series]) & (starts <= last[series]))
    return rows.take(pa.array(inside[np.lexsort((starts[inside], series[inside]))]))


def presented(rows: pa.Table, table: DeliveredTable) -> pa.Table:
    """Return rows as the table writes them: points of its type, times in its zone, nothing that it does not name."""
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    columns["interval_start"] = rows["interval_start"].cast(pa.timestamp("us", tz=table.time_zone))
    given = {"point_id": (table.has_points, table.points[0]), "obis_code": (table.has_channels, table.channels[0])}
    for name, (is_given, distinct) in given.items():
        if is_given:
            place = pc.index_in(columns[name], distinct.cast(pa.string()))
            columns[name] = pa.chunked_array([distinct]).take(place)
        else:
            del columns[name]
    if not table.reads.any():
        columns.pop("scaled_method", None)
    return pa.table(columns)
