"""Labels: what is taken as it came is what looking at each text gives."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.chunk import Chunk
from metrify_assets.feeds.labels import LabelReader
from metrify_assets.feeds.model import TextField

texts = st.none() | st.sampled_from(["", " ", "A", "A ", " A", "\u00a0B", "ä", "x y"]) | st.text(max_size=3)


@given(st.lists(texts, max_size=6), st.sampled_from(["", "p-"]), st.sampled_from([None, "default"]))
def test_texts_taken_together_are_those_taken_one_by_one(column, prefix, default):
    reader = LabelReader(TextField(column="point", prefix=prefix, default=default))
    chunk = Chunk(np.arange(len(column)), {"point": pa.array(column, pa.string())}, lambda _: [], len(column))
    found = reader.read(chunk, "file")
    alone = [default if not (text or "").strip() else prefix + text.strip() for text in column]
    assert [None if code < 0 else found.texts[code] for code in found.codes.tolist()] == alone
    assert len(set(found.texts)) == len(found.texts)
