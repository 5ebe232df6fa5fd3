"""Tables as analysts have them: pandas and PyArrow, read column by column, and given back in the same kind.

Belongs here: what differs between the two kinds. Does not belong here: what a column means (``delivered.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from metrify_assets.errors import FrameError
from metrify_assets.schemas.table import KWH
from metrify_assets.storage.arrow import decimal_integers

Frame = Any
"""A ``pandas.DataFrame``, a ``pandas.Series`` with times as its index, or a ``pyarrow.Table``."""
_MICRO_PLACES = KWH.scale


@dataclass(frozen=True)
class GivenTable:
    """A table as it was given.

    Attributes
    ----------
    columns : mapping of str to pyarrow.ChunkedArray
        What was given, by name; NaN of pandas is null. Only columns that are asked for are converted.
    rows : int
    is_pandas : bool
    indexed : bool
        Whether its times were its index: then those of a result are, too.
    """

    columns: Mapping[str, pa.ChunkedArray]
    rows: int
    is_pandas: bool
    indexed: bool = False

    def column(self, name: str, what: str) -> pa.ChunkedArray:
        """Return a column of plain values.

        Raises
        ------
        FrameError
            If there is no such column, which names those there are; or if it holds lists or structures.
        """
        if name not in self.columns:
            raise FrameError(f"there is no column {name!r} for {what}: the columns are {_listed(list(self.columns))}")
        column = self.columns[name]
        if pa.types.is_nested(column.type):
            raise FrameError(f"column {name!r} holds {column.type} for {what}: give one plain value in each row")
        return column

    def given_back(self, table: pa.Table) -> Frame:
        """Return a result in the kind of the given table; energy is exact in Arrow and float64 in pandas."""
        if not self.is_pandas:
            return table
        frame = as_pandas(table)
        return frame.set_index("interval_start") if self.indexed else frame


class _PandasColumns(Mapping[str, pa.ChunkedArray]):
    """The columns of a DataFrame in Arrow, each converted when it is asked for first."""

    def __init__(self, series: Mapping[str, Any]):
        self._series = series
        self._converted: dict[str, pa.ChunkedArray] = {}

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        if name not in self._converted:
            self._converted[name] = _arrow(name, self._series[name])
        return self._converted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)


def as_pandas(table: pa.Table) -> Frame:
    """Return a table as a DataFrame: exact decimals as the nearest float64, dates as datetime64."""
    plain = [_floats(column) if pa.types.is_decimal(column.type) else column for column in table.itercolumns()]
    return pa.table(plain, names=table.column_names).to_pandas(date_as_object=False)


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Return decimals as the nearest float64: Arrow's own cast makes 0.33199999999999996 of 0.332."""
    if column.type.scale == _MICRO_PLACES and column.type.precision <= KWH.precision:
        missing = column.is_null().to_numpy() if column.null_count else None
        return pa.array(decimal_integers(column) / 10**_MICRO_PLACES, mask=missing)
    return column.cast(pa.string()).cast(pa.float64())


def given_table(frame: Frame, time: str, value: str) -> GivenTable:
    """Return a table of either kind, its columns in Arrow.

    Parameters
    ----------
    frame : pandas.DataFrame, pandas.Series or pyarrow.Table
    time, value : str
        What the index of a DataFrame and the values of a Series are called, if they are the times and the values.

    Raises
    ------
    FrameError
        If it is none of these, or two columns have one name.
    """
    if isinstance(frame, pa.Table):
        _require_distinct(frame.column_names)
        return GivenTable(dict(zip(frame.column_names, frame.columns, strict=True)), frame.num_rows, is_pandas=False)
    import pandas as pd

    if isinstance(frame, pd.Series):
        frame = frame.to_frame(value)
    if not isinstance(frame, pd.DataFrame):
        raise FrameError(f"a pandas DataFrame or a PyArrow table is needed, not {type(frame).__name__}")
    _require_distinct([str(name) for name in frame.columns])
    indexed = time not in frame.columns and isinstance(frame.index, pd.DatetimeIndex)
    series = {str(name): frame[name] for name in frame.columns}
    if indexed:
        series[time] = frame.index.to_series()
    return GivenTable(_PandasColumns(series), len(frame), is_pandas=True, indexed=indexed)


def _arrow(name: str, column: Any) -> pa.ChunkedArray:
    if column.dtype == object and _mixes_zones(column):
        raise FrameError(f"column {name!r} mixes times with and without a time zone: give all of them one")
    try:
        values = pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise FrameError(f"column {name!r} mixes kinds of values ({reason}): make it one") from error
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _mixes_zones(column: Any) -> bool:
    """Tell whether only some times have a zone: Arrow would take the others for UTC if the first has one."""
    # What is not a time (NaT) is unequal to itself.
    return len({time.tzinfo is None for time in column if isinstance(time, datetime) and time == time}) > 1


def _require_distinct(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise FrameError(f"two columns are called {twice[0]!r}: rename or drop one")


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
