"""Columns that are written in the first row of a group alone, such as the date of a day: blanks repeat the one above.

Belongs here: filling blank cells, from chunk to chunk. Does not belong here: which columns (``model.DelimitedValues``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.feeds.formats.chunk import Chunk, encode


class FillDown:
    """Fills blank cells in the chunks of one file, which come in its order.

    A row that was rejected may have been the first of a group: what lies below it stays blank until the next text.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._above: dict[str, str | None] = dict.fromkeys(names)

    def filled(self, chunk: Chunk) -> Chunk:
        """Return the chunk with the cells above in place of blank ones."""
        if not self._above:
            return chunk
        rejected = np.array([reject.row_number for reject in chunk.rejects], dtype=np.int64)
        # From which row on the ones below a rejected one may look up; -1 leads into the chunk before.
        after = np.append(-1, np.searchsorted(chunk.row_numbers, rejected))
        limit = after[np.searchsorted(rejected, chunk.row_numbers)]
        columns = {name: self._column(name, chunk.columns[name], limit, int(after[-1])) for name in self._above}
        return replace(chunk, columns={**chunk.columns, **columns})

    def _column(self, name: str, column: pa.Array, limit: np.ndarray, last_limit: int) -> pa.DictionaryArray:
        codes, values = encode(column)
        values = values.cast(pa.string())
        is_blank = pc.equal(pc.utf8_trim_whitespace(values.fill_null("")), "").to_numpy(zero_copy_only=False)[codes]
        source = np.maximum.accumulate(np.where(is_blank, -1, np.arange(len(codes))))
        # The text of the chunk before comes last, where the place -1 leads.
        texts = pa.concat_arrays([values, pa.array([self._above[name]], pa.string())])
        above = np.append(codes, len(values))
        last = int(source[-1]) if len(source) else -1
        self._above[name] = texts[int(above[last])].as_py() if last >= last_limit else None
        filled = np.where(source >= limit, above[source], codes)
        return pa.DictionaryArray.from_arrays(pa.array(filled, pa.int32()), texts)
