"""Whether a published file says what the warehouse says.

Belongs here: what is compared. Does not belong here: the writing (``export.py``), and what follows from a difference
(``publish.py``).

Two comparisons close the way of a row. The warehouse itself counts and adds up each part: what lost rows, nulls or
numbers on its way shows there. And the file is read back, every column of every row: its content must have the digest
that was taken of the rows as they came, before they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metrify_assets.errors import PublishError
from metrify_assets.published.catalog import WHOLE, Part
from metrify_assets.published.models import Model
from metrify_assets.storage.object_store import ObjectStore
from metrify_assets.warehouse.warehouse import Ask

ROWS, CONTENT = "rows", "content"
MAX_LISTED = 3
"""So many facts of a difference are listed."""

Buffer = memoryview | bytes
Facts = dict[str, int | Decimal | str | None]
"""What is compared of a part, by name: rows, values that are not null of each column, sums of exact numbers (None if no
row has a value), and the digest of the content."""


class ContentDigest:
    """The digest of rows that are given bit by bit: types, nulls and values of every column, in the order of the rows.

    Equal rows in equal pieces have equal digests, whatever buffers they lie in. Of each column of a piece it takes a
    checksum, which is four times as fast as a digest and finds what happens by accident.
    """

    def __init__(self) -> None:
        self._hasher = blake2b(digest_size=16)

    def add(self, rows: pa.Table) -> None:
        """Add some rows."""
        for name, column in zip(rows.column_names, rows.columns, strict=True):
            array = column.combine_chunks()
            sums = [crc32(_bytes_of(pc.is_null(array)))] if array.null_count else []
            sums += map(crc32, _plain(array.drop_null()))
            self._hasher.update(repr((name, str(array.type), len(array), sums)).encode())

    @property
    def text(self) -> str:
        """The digest of all rows so far."""
        return self._hasher.hexdigest()


def _plain(values: pa.Array) -> Iterator[Buffer]:
    """Yield the bytes of values without nulls: of texts their lengths, then the texts."""
    if not pa.types.is_string(values.type):
        yield _bytes_of(values)
    elif len(values):
        _, places, text = values.buffers()
        ends = np.frombuffer(places, np.int32)[values.offset : values.offset + len(values) + 1]
        yield np.diff(ends).data
        yield memoryview(text)[ends[0] : ends[-1]] if text else b""


def _bytes_of(values: pa.Array) -> Buffer:
    """Return the bytes of values of a fixed width."""
    if pa.types.is_boolean(values.type):
        # Bits beyond the last value may be anything.
        values = values.cast(pa.uint8())
    width = values.type.byte_width
    return memoryview(values.buffers()[1])[width * values.offset :][: width * len(values)] if len(values) else b""


@dataclass(frozen=True)
class Difference:
    """A part whose file does not say what it must: facts that differ, by name, in the file and in the marts."""

    table: str
    period: str
    facts: Mapping[str, tuple[object, object]]

    def __str__(self) -> str:
        facts = [
            f"{name} {in_file} in the file, {expected} in the marts" for name, (in_file, expected) in self.facts.items()
        ]
        more = f" and {len(facts) - MAX_LISTED} more" if len(facts) > MAX_LISTED else ""
        return f"{' '.join(filter(None, (self.table, self.period)))}: {'; '.join(facts[:MAX_LISTED])}{more}"


def differences(
    store: ObjectStore, ask: Ask, model: Model, parts: Mapping[str, Part], contents: Mapping[str, str]
) -> Iterator[Difference]:
    """Yield the parts whose files, read back, do not say what the warehouse says.

    Parameters
    ----------
    store : ObjectStore
    ask : callable
        Runs queries in the warehouse.
    model : Model
    parts : mapping of str to Part
        By period.
    contents : mapping of str to str
        Digests of the rows as they came from the warehouse, by period.

    Raises
    ------
    PublishError
        If a file cannot be read.
    """
    if not parts:
        return
    counted = warehouse_facts(ask, model, list(parts))
    for period, part in parts.items():
        expected = {**counted[period], CONTENT: contents[period]}
        facts = file_facts(store, model, part)
        differing = {name: (facts[name], fact) for name, fact in expected.items() if facts[name] != fact}
        if differing:
            yield Difference(model.table, period, differing)


def facts_query(model: Model, periods: Sequence[str]) -> str:
    """Return the query for what the warehouse says of some parts: their periods, then the facts of each."""
    period = model.period or "null"
    sums = [f"sum({name})" for name in model.exact]
    values = [f"count({column.name})" for column in model.columns]
    facts = ", ".join(["count(*)", *sums, *values])
    grouped = f" group by {model.period}" if model.period else ""
    return f"select {period}, {facts} from {model.table}{model.where(periods)}{grouped}"


def _names(model: Model) -> list[str]:
    sums = [f"sum of {name}" for name in model.exact]
    return [ROWS, *sums, *(f"values of {column.name}" for column in model.columns)]


def _nothing(model: Model) -> Facts:
    """Return the facts of a part without rows."""
    return {name: None if name.startswith("sum of ") else 0 for name in _names(model)}


def warehouse_facts(ask: Ask, model: Model, periods: Sequence[str]) -> dict[str, Facts]:
    """Return what the warehouse says of some parts, all but the content."""
    facts = {period: _nothing(model) for period in periods}
    for table in ask(facts_query(model, periods)):
        for period, *values in zip(*(column.to_pylist() for column in table.columns), strict=True):
            key = WHOLE if period is None else str(period)[:10]
            facts[key] = dict(zip(_names(model), values, strict=True))
    return facts


def file_facts(store: ObjectStore, model: Model, part: Part) -> Facts:
    """Return what a part's file says when it is read back, from where it lies.

    Raises
    ------
    PublishError
        If it is missing or damaged.
    """
    facts, content = _nothing(model), ContentDigest()
    if part.file:
        try:
            with store.reading_anew(part.file) as path, pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group)
                    content.add(rows)
                    _add(facts, rows, model)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise PublishError(f"{store.uri(part.file)} is missing or damaged: run `metrify publish --all`") from error
    return {**facts, CONTENT: content.text}


def _add(facts: Facts, rows: pa.Table, model: Model) -> None:
    facts[ROWS] += rows.num_rows
    for column in model.columns:
        facts[f"values of {column.name}"] += rows.num_rows - rows[column.name].null_count
    for name in model.exact:
        total = pc.sum(rows[name]).as_py()
        if total is not None:
            facts[f"sum of {name}"] = total + (facts[f"sum of {name}"] or 0)
