"""One part of a model as a Parquet file, and the proof that it is what the warehouse holds.

Belongs here: the queries, the writing and the comparison. Does not belong here: which parts are exported
(``catalog.py``) and in which order things happen (``publish.py``).

Rows are streamed: here memory holds a few row groups, whatever a day holds. The engine sorts the day; DuckDB goes to
the disk for what does not fit into its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.errors import PublishError
from metrify_assets.lake import EMPTY
from metrify_assets.published.catalog import FOLDER, WHOLE, Part
from metrify_assets.published.models import Model
from metrify_assets.resources.object_store import ObjectStore
from metrify_assets.resources.warehouse import Ask

ROW_GROUP_ROWS = 122_880
"""What DuckDB reads as one piece of work."""
READ_BYTES = 2**20
PARQUET = ".parquet"

Sums = tuple[int, tuple[Decimal | None, ...]]
"""Rows, and the sum of each energy column (None if no row has a value)."""


def folder_of(model: Model, period: str) -> str:
    """Return the folder of a part; readers skip the folders of periods that they do not ask for."""
    cut = f"/{model.period}={period}" if model.period else ""
    return f"{FOLDER}/{model.name}{cut}"


def rows_query(model: Model, period: str) -> str:
    """Return the query for the rows of a part: columns of the contract, ordered by the key."""
    columns = ", ".join(column.name for column in model.columns)
    return f"select {columns} from {model.table}{_where(model, [period])} order by {', '.join(model.key)}"


def sums_query(model: Model, periods: Sequence[str]) -> str:
    """Return the query for what some parts add up to: period, rows, sum of each energy column."""
    sums = "".join(f", sum({name})" for name in model.energies)
    if model.period is None:
        return f"select null, count(*){sums} from {model.table}"
    return f"select {model.period}, count(*){sums} from {model.table}{_where(model, periods)} group by {model.period}"


def _where(model: Model, periods: Sequence[str]) -> str:
    if model.period is None:
        return ""
    listed = ", ".join(f"cast('{period}' as date)" for period in periods)
    return f" where {model.period} in ({listed})"


def export_part(store: ObjectStore, ask: Ask, model: Model, period: str, sources: str) -> Part:
    """Write a part's rows to a file that is named by its content; an equal file that is there stays.

    The file is not published before the catalog names it.
    """
    folder = folder_of(model, period)
    with store.scratch(folder) as temporary:
        rows = write_rows(ask(rows_query(model, period)), model.arrow, temporary)
        if not rows:
            return Part("", 0, 0, EMPTY, sources)
        digest = _digest_of_file(temporary)
        size = temporary.stat().st_size
        key = f"{folder}/{digest}{PARQUET}"
        if not store.exists(key):
            store.keep(temporary, key)
    return Part(key, rows, size, digest, sources)


def write_rows(batches: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Write rows as a Parquet file of a schema, in the order given, and return how many there were.

    Row groups are cut by rows alone, so equal rows make equal bytes however they arrive.
    """
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", store_decimal_as_integer=True) as writer:
        for group in _regrouped(batches, ROW_GROUP_ROWS):
            writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)
            rows += group.num_rows
    return rows


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


def warehouse_sums(ask: Ask, model: Model, periods: Sequence[str]) -> dict[str, Sums]:
    """Return what the warehouse says of some parts."""
    found: dict[str, Sums] = {period: (0, (None,) * len(model.energies)) for period in periods}
    for table in ask(sums_query(model, periods)):
        for period, rows, *sums in zip(*(column.to_pylist() for column in table.columns), strict=True):
            # Whatever type an engine counts in.
            found[WHOLE if period is None else str(period)[:10]] = (int(rows), tuple(sums))
    return found


def part_sums(store: ObjectStore, model: Model, part: Part) -> Sums:
    """Return what a file says when it is read back.

    Raises
    ------
    PublishError
        If it is missing or damaged.
    """
    if not part.file:
        return 0, (None,) * len(model.energies)
    try:
        with store.reading(part.file) as path, pq.ParquetFile(path) as file:
            totals: list[Decimal | None] = [None] * len(model.energies)
            groups = range(file.num_row_groups) if model.energies else ()
            for group in groups:
                read = file.read_row_group(group, columns=list(model.energies))
                for position, name in enumerate(model.energies):
                    found = pc.sum(read[name]).as_py()
                    if found is not None:
                        totals[position] = found + (totals[position] or 0)
            return file.metadata.num_rows, tuple(totals)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise PublishError(f"{store.uri(part.file)} is missing or damaged: run `metrify publish --all`") from error
