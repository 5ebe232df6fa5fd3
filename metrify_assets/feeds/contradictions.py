"""Rows of one file that tell different values of the same slot.

Belongs here: finding them, for feeds that declare ``repeated_rows: refuse``. Which of the rows is right cannot be known
from the file, so all of them are refused. Rows that repeat the same value contradict nothing. Does not belong here: a
later file that corrects an earlier one (versions, ``tables/grid_and_weather.py``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.feeds.model import FeedKind

_SLOT = {
    FeedKind.GRID_STATUS: ("source_id", "control_area", "metric", "interval_start"),
    FeedKind.WEATHER: ("station_id", "source_id", "metric", "observed_at"),
}


def contradicting_rows(kind: FeedKind, tables: Iterable[pa.Table]) -> np.ndarray:
    """Return the numbers of the rows that contradict another row; int64, ascending.

    Parameters
    ----------
    kind : FeedKind
        Grid status or weather.
    tables : iterable of pyarrow.Table
        All raw rows of the file.
    """
    slot = list(_SLOT[kind])
    pieces = [
        pa.table({**{name: _plain(rows[name]) for name in slot}, "value": rows["value"], "row": rows["row_number"]})
        for rows in tables
    ]
    if not pieces:
        return np.empty(0, dtype=np.int64)
    rows = pa.concat_tables(pieces)
    # A missing value contradicts nothing: nulls are not counted.
    counted = rows.group_by(slot).aggregate([("value", "count_distinct")])
    several = counted.filter(pc.greater(counted["value_count_distinct"], 1))
    found = rows.select([*slot, "row"]).join(several.select(slot), slot, join_type="inner")
    return np.unique(found["row"].to_numpy())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
