"""One part of a model as a Parquet file.

Belongs here: the query, what the rows must be, and the writing. Does not belong here: which parts are exported
(``catalog.py``), in which order things happen (``publish.py``), and whether the file is right (``compare.py``).

Rows are streamed: here memory holds a few row groups, whatever a day holds. The engine sorts the day; DuckDB goes to
the disk for what does not fit into its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metrify_assets.digest import EMPTY
from metrify_assets.errors import PublishError
from metrify_assets.published.catalog import FOLDER, Part
from metrify_assets.published.compare import ContentDigest
from metrify_assets.published.models import Model
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.warehouse.warehouse import Ask

ROW_GROUP_ROWS = 122_880
"""What DuckDB reads as one piece of work."""
READ_BYTES = 2**20
PARQUET = ".parquet"


@dataclass(frozen=True)
class Export:
    """A part that was written, and the digest of its rows as they came from the warehouse."""

    part: Part
    content: str


def folder_of(model: Model, period: str) -> str:
    """Return the folder of a part; readers skip the folders of periods that they do not ask for."""
    cut = f"/{model.period}={period}" if model.period else ""
    return f"{FOLDER}/{model.name}{cut}"


def rows_query(model: Model, period: str) -> str:
    """Return the query for the rows of a part: columns of the contract, ordered by the key."""
    columns = ", ".join(column.name for column in model.columns)
    return f"select {columns} from {model.table}{model.where([period])} order by {', '.join(model.key)}"


def export_part(store: ObjectStore, ask: Ask, model: Model, period: str, sources: str) -> Export:
    """Write a part's rows to a file that is named by its content; an equal file that is there stays.

    The file is not published before the catalog names it.

    Raises
    ------
    PublishError
        If the rows are not what the model's contract says.
    """
    folder = folder_of(model, period)
    with store.scratch(folder) as temporary:
        rows, content = write_rows(ask(rows_query(model, period)), model, period, temporary)
        if not rows:
            return Export(Part("", 0, 0, EMPTY, sources), content)
        digest = _digest_of_file(temporary)
        size = temporary.stat().st_size
        key = f"{folder}/{digest}{PARQUET}"
        if not _is_there(store, key, digest):
            store.keep(temporary, key)
    return Export(Part(key, rows, size, digest, sources), content)


def _is_there(store: ObjectStore, key: str, digest: str) -> bool:
    """Return whether a file is there and has the bytes that its name says."""
    try:
        with store.reading_anew(key) as path:
            return _digest_of_file(path) == digest
    except FileNotFoundError:
        return False


def write_rows(batches: Iterable[pa.Table], model: Model, period: str, path: Path) -> tuple[int, str]:
    """Write the rows of a part as a Parquet file, in the order given; return how many there were, and their digest.

    Row groups are cut by rows alone, so equal rows make equal bytes however they arrive.
    """
    rows = 0
    content = ContentDigest()
    with pq.ParquetWriter(path, model.arrow, compression="zstd", store_decimal_as_integer=True) as writer:
        for group in _regrouped(batches, ROW_GROUP_ROWS):
            written = _as_contracted(group, model, period)
            writer.write_table(written, row_group_size=ROW_GROUP_ROWS)
            content.add(written)
            rows += group.num_rows
    return rows, content.text


def _as_contracted(rows: pa.Table, model: Model, period: str) -> pa.Table:
    """Return rows with the types that the contract of their model states."""
    columns = []
    for field, column in zip(model.arrow, rows.columns, strict=True):
        where = f"{' '.join(filter(None, (model.table, period)))}: {field.name}"
        if column.null_count and not field.nullable:
            raise PublishError(
                f"{where} is null in {column.null_count} rows and must not be: correct the model, or its constraint"
            )
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise PublishError(
                f"{where} is no {field.type} ({error}): correct the model, or the column's type"
            ) from error
    return pa.Table.from_arrays(columns, schema=model.arrow)


def _regrouped(batches: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of exactly so many, and a last one of what is left."""
    waiting: list[pa.Table] = []
    for batch in batches:
        waiting.append(batch)
        while sum(table.num_rows for table in waiting) >= rows:
            joined = pa.concat_tables(waiting).combine_chunks()
            yield joined.slice(0, rows)
            waiting = [joined.slice(rows)]
    left = [table for table in waiting if table.num_rows]
    if left:
        yield pa.concat_tables(left).combine_chunks()


def _digest_of_file(path: Path) -> str:
    hasher = blake2b(digest_size=8)
    with open(path, "rb") as source:
        for block in iter(partial(source.read, READ_BYTES), b""):
            hasher.update(block)
    return hasher.hexdigest()
