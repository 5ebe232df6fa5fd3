"""What a table of the lake is: its columns, said once.

Belongs here: the ``Table`` type, from which the Arrow schema, the two pandera schemas (structure blocks,
plausibility warns) and Dagster's column schema are derived. Does not belong here: the tables themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pandera

KWH = pa.decimal64(18, 6)
INSTANT = pa.timestamp("us", tz="UTC")
UNITS = ("kWh", "Wh", "MWh", "kW", "W", "MW", "kvarh", "varh", "Mvarh", "kvar", "var", "Mvar")
"""Units that a value may be delivered in; those of reactive energy belong to channels of their own."""
LABEL = pa.dictionary(pa.int32(), pa.string())
"""Text that repeats: dictionary-encoded."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name, type, description
        As stored; the description carries the unit.
    nullable : bool
        Whether null has a meaning here.
    allowed : sequence of str, optional
        The only values the column may hold (structure).
    minimum, maximum : float, optional
        Plausible range, both ends included (plausibility: warns).
    hard_minimum, hard_maximum : float, optional
        Range outside of which the value cannot be (structure: blocks).
    derived : bool
        Worked out from other columns of the row, never delivered (registries).
    """

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    allowed: Sequence[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    hard_minimum: float | None = None
    hard_maximum: float | None = None
    derived: bool = False


@dataclass(frozen=True)
class RowCheck:
    """What must hold between the columns of a row (structure: blocks).

    Attributes
    ----------
    name : str
    sentence : str
        What holds, for people.
    holds : callable
        Takes the rows as pandera checks them, returns a boolean for each.
    """

    name: str
    sentence: str
    holds: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    Attributes
    ----------
    name, description
        As shown in the UI.
    columns : tuple of Column
    key : tuple of str
        Columns that are unique together.
    by_day : bool
        Whether the table is cut into delivery days.
    row_checks : tuple of RowCheck
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    by_day: bool = True
    sharded: bool = field(default=False)
    row_checks: tuple[RowCheck, ...] = ()

    @cached_property
    def arrow(self) -> pa.Schema:
        """Arrow schema in column order."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def empty(self) -> pa.Table:
        """Return a table of this schema without rows."""
        return self.arrow.empty_table()

    @cached_property
    def structure(self) -> pandera.DataFrameSchema:
        """Pandera schema of what must hold: columns, nulls, vocabularies, hard ranges and the key."""
        from metrify_assets.schemas.pandera_models import structure_schema

        return structure_schema(self)

    @cached_property
    def plausibility(self) -> pandera.DataFrameSchema:
        """Pandera schema of what should hold: plausible ranges."""
        from metrify_assets.schemas.pandera_models import plausibility_schema

        return plausibility_schema(self)
