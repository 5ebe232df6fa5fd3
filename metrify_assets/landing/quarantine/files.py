"""Rejected rows as they are stored: one file per drop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.drops.ledger import Drop
from metrify_assets.errors import DamagedFileError
from metrify_assets.schemas.readings import QUARANTINE
from metrify_assets.storage.lake import damage_named
from metrify_assets.storage.object_store import ObjectStore


def read_quarantine(store: ObjectStore, drop: Drop, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a drop's rejected rows in file order, all columns or some.

    Raises
    ------
    DamagedFileError
        If the file is missing or damaged, or holds more or fewer rows than the ledger says.
    """
    names = list(columns) if columns is not None else QUARANTINE.arrow.names
    schema = pa.schema([QUARANTINE.arrow.field(name) for name in names])
    if not drop.quarantine:
        return schema.empty_table()
    with damage_named(lambda: _damaged(drop)), store.reading(drop.quarantine) as path:
        rows = pq.read_table(path, columns=names, partitioning=None).cast(schema)
    expected = drop.counts["quarantined_rows"]
    if rows.num_rows != expected:
        raise _damaged(drop, f" (it holds {rows.num_rows} rows, the ledger says {expected})")
    return rows


def _damaged(drop: Drop, detail: str = "") -> DamagedFileError:
    remedy = f"run `metrify recompute {drop.days[0]}`" if drop.days else "run `metrify recompute DAY`, for any day"
    return DamagedFileError(f"{drop.quarantine} is missing or damaged{detail}: {remedy}", drop.quarantine)


def quarantine_rows(store: ObjectStore, drops: Iterable[Drop]) -> pa.Table:
    """Return the rejected rows of some drops."""
    pieces = [read_quarantine(store, drop) for drop in drops if drop.quarantine]
    return pa.concat_tables(pieces).unify_dictionaries() if pieces else QUARANTINE.empty()
