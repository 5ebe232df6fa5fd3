"""Pandera schemas of a table, generated from its columns by one factory.

Belongs here: how a declared column becomes checks, and how an Arrow table becomes the frame that pandera sees. Does
not belong here: what the columns are (the other modules here) and what a failure leads to (``orchestration/checks/``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from metrify_assets.schemas.table import Column, RowCheck, Table


def to_frame(table: Table, data: pa.Table) -> pd.DataFrame:
    """Return rows as pandera checks them: labels as categories, energy as float64, dates as ``datetime64``.

    Floats serve range checks only; no total is ever taken of them.
    """
    columns = []
    for column in table.columns:
        values = data[column.name]
        if pa.types.is_decimal(column.type):
            values = values.cast(pa.float64())
        elif pa.types.is_date(column.type):
            values = values.cast(pa.timestamp("s"))
        elif pa.types.is_timestamp(column.type):
            # The instants are UTC by declaration; naive stamps compare faster.
            values = values.cast(pa.int64()).cast(pa.timestamp("us"))
        columns.append(values)
    plain = pa.table(columns, names=[column.name for column in table.columns])
    return plain.unify_dictionaries().to_pandas()


def structure_schema(table: Table) -> pandera.DataFrameSchema:
    """Return the schema of what must hold: columns, nulls, vocabularies, hard ranges, the key."""
    return pandera.DataFrameSchema(
        {column.name: _structure_column(column) for column in table.columns},
        name=f"{table.name}: structure",
        strict=True,
        checks=[_unique_key(table.key), *(_row_check(check) for check in table.row_checks)],
    )


def plausibility_schema(table: Table) -> pandera.DataFrameSchema:
    """Return the schema of what should hold: plausible ranges."""
    columns = {
        column.name: pandera.Column(
            nullable=True, required=True, checks=_range(column.minimum, column.maximum, "plausible_range")
        )
        for column in table.columns
        if column.minimum is not None or column.maximum is not None
    }
    return pandera.DataFrameSchema(columns, name=f"{table.name}: plausibility")


def _structure_column(column: Column) -> pandera.Column:
    checks = _range(column.hard_minimum, column.hard_maximum, "hard_range")
    if column.allowed is not None:
        allowed = [str(value) for value in column.allowed]
        checks.append(pandera.Check.isin(allowed, name="vocabulary", error=f"one of {', '.join(allowed)}"))
    return pandera.Column(nullable=column.nullable, checks=checks, required=True)


def _range(minimum: float | None, maximum: float | None, name: str) -> list[pandera.Check]:
    checks = []
    if minimum is not None:
        checks.append(pandera.Check.ge(minimum, name=name, error=f"at least {minimum:g}"))
    if maximum is not None:
        checks.append(pandera.Check.le(maximum, name=name, error=f"at most {maximum:g}"))
    return checks


def _row_check(check: RowCheck) -> pandera.Check:
    return pandera.Check(check.holds, name=check.name, error=check.sentence)


def _unique_key(key: tuple[str, ...]) -> pandera.Check:
    def unique(frame: pd.DataFrame) -> pd.Series:
        # Codes of the labels instead of the labels: far cheaper to compare, and the same verdict.
        codes = {
            name: frame[name].cat.codes if isinstance(frame[name].dtype, pd.CategoricalDtype) else frame[name]
            for name in key
        }
        plain = [column.to_numpy() for column in codes.values()]
        # Texts would be compared one by one, and a null among them not at all.
        rising = all(column.dtype.kind in "iuM" for column in plain) and _strictly_increasing(plain)
        if rising or any(_has_no_repeats(column) for column in plain):
            return pd.Series(True, index=frame.index)
        return ~pd.DataFrame(codes).duplicated(keep="first")

    return pandera.Check(unique, name="unique_key", error=f"unique by {', '.join(key)}")


def _strictly_increasing(columns: list[np.ndarray]) -> bool:
    """Return whether rows rise from each to the next, by the first column that differs: then none is there twice.

    The tables of the lake are written in the order of their key, and looking at neighbours is far cheaper than hashing
    every row.
    """
    equal: np.ndarray | bool = True
    rises: np.ndarray | bool = False
    for column in columns:
        before, after = column[:-1], column[1:]
        rises |= equal & (after > before)
        equal &= after == before
    return bool(np.all(rises))


def _has_no_repeats(column: np.ndarray) -> bool:
    """Return whether integers that lie close together (row numbers of a file) are all different; False if unknown."""
    if column.dtype.kind not in "iu" or len(column) == 0:
        return False
    lowest = int(column.min())
    span = int(column.max()) - lowest + 1
    if not len(column) <= span <= 4 * len(column):
        return False
    seen = np.zeros(span, dtype=bool)
    seen[column.astype(np.int64) - lowest] = True
    return bool(seen.sum() == len(column))
