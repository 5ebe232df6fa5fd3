"""What a market message says of the method and the reason of a value, as the remark of its row.

Belongs here: putting the two codes into one text, for feeds that read it. Does not belong here: what the codes mean
(``vee.market_codes``); they are kept as they came, since senders have codes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from metrify_assets.feeds.formats.chunk import Chunk, encode
from metrify_assets.feeds.model import GrammarFeed

REMARK = "remark"


def with_remarks(feed: GrammarFeed, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield chunks with the column ``remark`` (``method Z92, reason Z74``; null without codes) if the feed reads it."""
    for chunk in chunks:
        if REMARK in feed.used_columns:
            chunk.columns[REMARK] = _remarks(chunk.columns["method"], chunk.columns["reason"])
        yield chunk


def _remarks(method: pa.Array, reason: pa.Array) -> pa.DictionaryArray:
    (of_method, methods), (of_reason, reasons) = encode(method), encode(reason)
    combined = of_method.astype(np.int64) * max(len(reasons), 1) + of_reason
    distinct, codes = np.unique(combined, return_inverse=True)
    pairs = np.divmod(distinct, max(len(reasons), 1))
    said = zip(methods.take(pa.array(pairs[0])).to_pylist(), reasons.take(pa.array(pairs[1])).to_pylist(), strict=True)
    texts = [
        ", ".join(f"{name} {code}" for name, code in (("method", how), ("reason", why)) if code) or None
        for how, why in said
    ]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(texts, pa.string()))
