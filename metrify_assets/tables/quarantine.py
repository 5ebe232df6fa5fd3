"""Rejected rows as they are stored: one file per drop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.errors import LakeError
from metrify_assets.ledger import Drop
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import QUARANTINE


def read_quarantine(platform: Platform, drop: Drop, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a drop's rejected rows in file order, all columns or some.

    Raises
    ------
    LakeError
        If the file is missing or damaged, or holds more or fewer rows than the ledger says.
    """
    names = list(columns) if columns is not None else QUARANTINE.arrow.names
    schema = pa.schema([QUARANTINE.arrow.field(name) for name in names])
    if not drop.quarantine:
        return schema.empty_table()
    try:
        with platform.store.reading(drop.quarantine) as path:
            rows = pq.read_table(path, columns=names, partitioning=None).cast(schema)
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{drop.quarantine} is missing or damaged: {_remedy(drop)}") from error
    expected = drop.counts["quarantined_rows"]
    if rows.num_rows != expected:
        raise LakeError(f"{drop.quarantine} holds {rows.num_rows} rows, the ledger says {expected}: {_remedy(drop)}")
    return rows


def _remedy(drop: Drop) -> str:
    return f"materialise {drop.table} for a day of the drop again"


def quarantine_rows(platform: Platform, drops: Iterable[Drop]) -> pa.Table:
    """Return the rejected rows of some drops."""
    pieces = [read_quarantine(platform, drop) for drop in drops if drop.quarantine]
    return pa.concat_tables(pieces).unify_dictionaries() if pieces else QUARANTINE.empty()
