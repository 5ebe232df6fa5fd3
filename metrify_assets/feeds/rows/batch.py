"""What the reader hands on: batches of typed rows with their quarantine.

Belongs here: ``Batch``, the provenance of a drop, and quarantine rows as a table. Does not belong here: parsing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import Reject, UnreadableFile
from metrify_assets.schemas.readings import QUARANTINE
from metrify_assets.schemas.table import INSTANT


@dataclass(frozen=True)
class Batch:
    """Rows of a drop, in file order.

    Attributes
    ----------
    rows : pyarrow.Table
        Raw rows, in the Arrow schema of the feed's table.
    quarantine : pyarrow.Table
        What could not be read, in the schema of ``QUARANTINE``.
    """

    rows: pa.Table
    quarantine: pa.Table


@dataclass(frozen=True)
class Provenance:
    """Where rows come from.

    Attributes
    ----------
    feed, drop_id, file_name : str
    received_at : int
        When the drop counts as received, UTC microseconds.
    arrived_at : int
        When it arrived, where that is later: nothing can have been measured after it.
    """

    feed: str
    drop_id: str
    file_name: str
    received_at: int
    arrived_at: int = 0

    @property
    def latest_at(self) -> int:
        """Instant up to which values can have been measured, UTC microseconds."""
        return max(self.received_at, self.arrived_at)

    def columns(self, row_numbers: np.ndarray) -> dict[str, pa.Array]:
        """Return the provenance columns of these rows."""
        rows = len(row_numbers)
        return {
            "feed": constant(self.feed, rows),
            "drop_id": constant(self.drop_id, rows),
            "row_number": pa.array(row_numbers, pa.int64()),
            "received_at": instants(np.full(rows, self.received_at, dtype=np.int64)),
        }


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return the same text for every row, dictionary-encoded."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([text]))


def instants(microseconds: np.ndarray) -> pa.Array:
    """Return UTC microseconds as an Arrow timestamp array."""
    return pa.array(np.ascontiguousarray(microseconds, dtype=np.int64)).view(INSTANT)


def days(numbers: np.ndarray) -> pa.Array:
    """Return days since 1970 as an Arrow date array."""
    return pa.array(np.ascontiguousarray(numbers, dtype=np.int32)).view(pa.date32())


@dataclass
class QuarantineRows:
    """Collects quarantine rows of a chunk."""

    row_numbers: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)
    value_cells: list[int] = field(default_factory=list)
    days: list[int | None] = field(default_factory=list)

    def add(self, reject: Reject, value_cells: int, day: int | None = None) -> None:
        """Add one row; ``day`` in days since 1970, where it is known.

        Values of one line that follow each other are one row: the first says why, the payload is the line.
        """
        if self.row_numbers and self.row_numbers[-1] == reject.row_number:
            self.value_cells[-1] += value_cells
            return
        self.row_numbers.append(reject.row_number)
        self.reasons.append(reject.reason.value)
        self.details.append(reject.detail)
        self.payloads.append(reject.payload)
        self.value_cells.append(value_cells)
        self.days.append(day)

    def table(self, provenance: Provenance) -> pa.Table:
        """Return the rows in file order."""
        order = np.argsort(np.array(self.row_numbers, dtype=np.int64), kind="stable")
        columns = {
            **provenance.columns(np.array(self.row_numbers, dtype=np.int64)),
            "reason": pa.array(self.reasons, pa.string()).dictionary_encode(),
            "detail": pa.array(self.details, pa.string()),
            "payload": pa.array(self.payloads, pa.string()),
            "value_cells": pa.array(self.value_cells, pa.int32()),
            "day": pa.array(self.days, pa.int32()).view(pa.date32()),
        }
        schema = QUARANTINE.arrow
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema).take(pa.array(order))


def file_quarantine(problem: UnreadableFile, provenance: Provenance, value_cells: int, row_number: int = 0) -> pa.Table:
    """Return the one quarantine row of a file that cannot be read; in a zip file, its number is where it begins."""
    rows = QuarantineRows()
    rows.add(Reject(row_number, problem.reason, problem.detail, problem.payload), value_cells)
    return rows.table(provenance)
