"""Arrow columns as NumPy arrays, and dictionary-encoded text.

Belongs here: what several rooms need to know of Arrow's layout. Does not belong here: what a column means.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def decimal_integers(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return the integers behind a DECIMAL(18, 6) array (micro-units), 0 where null; a copy, int64."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    if len(values) == 0:
        return np.empty(0, dtype=np.int64)
    integers = np.concatenate([_behind(chunk.cast(pa.decimal64(18, 6))) for chunk in chunks if len(chunk)])
    if values.null_count:
        integers[values.is_null().to_numpy(zero_copy_only=False)] = 0
    return integers


def _behind(values: pa.Array) -> np.ndarray:
    """Return a view of the integers of a decimal array, of no meaning where null."""
    return np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + len(values)]


def with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows under a schema; a column that they were stored without is null where the schema allows it.

    Raises
    ------
    ValueError
        If such a column may not be null.
    """
    absent = [field for field in schema if field.name not in rows.schema.names]
    if refused := [field.name for field in absent if not field.nullable]:
        raise ValueError(f"rows without {', '.join(refused)}")
    for field in absent:
        rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)


def codes_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts of a column and each row's index into them; null is index -1."""
    texts, codes = dictionary_codes(column)
    return texts.to_pylist(), codes


def dictionary_codes(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct values of a column of any type, as Arrow holds them, and each row's index into them or -1."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if not encoded.num_chunks:
        return pa.array([], encoded.type.value_type), np.empty(0, dtype=np.int32)
    array = encoded.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.dictionary, array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
