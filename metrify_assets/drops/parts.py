"""The rows of a drop, as they were written: whole parts, one point of them, or some of their row groups.

Belongs here: reading the files that ``ingest.py`` wrote, and naming what is damaged. Does not belong here: what the
rows mean.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.drops.ledger import Drop, Part
from metrify_assets.storage.lake import damage_named, damaged_file
from metrify_assets.storage.object_store import ObjectStore


def read_part(store: ObjectStore, drop: Drop, part: Part, schema: pa.Schema) -> pa.Table:
    """Return all rows of a part; raise ``DamagedFileError`` if it is missing or damaged."""
    with _damage_named(drop, part), store.reading(part.file) as path:
        return pq.read_table(path, partitioning=None).cast(schema)


def read_point(store: ObjectStore, drop: Drop, part: Part, point: str, schema: pa.Schema) -> pa.Table:
    """Return the rows of one point in a part, all its channels; raise ``DamagedFileError`` as ``read_part`` does."""
    chosen = pc.field("point_id") == point
    with _damage_named(drop, part), store.reading(part.file) as path:
        return pq.read_table(path, partitioning=None, filters=chosen).cast(schema)


def read_groups(store: ObjectStore, drop: Drop, part: Part, groups: list[int], columns: list[str]) -> pa.Table:
    """Return some row groups of a part; raise ``DamagedFileError`` if it is missing or damaged."""
    with _damage_named(drop, part), store.reading(part.file) as path, pq.ParquetFile(path) as source:
        return source.read_row_groups(groups, columns=columns)


def _damage_named(drop: Drop, part: Part) -> AbstractContextManager[None]:
    return damage_named(lambda: damaged_file(part.file, f"read from {drop.feed}/{drop.name}"))
