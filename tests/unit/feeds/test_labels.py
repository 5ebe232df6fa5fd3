"""Labels that need no look at each text are what a look at each text gives."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.formats.chunk import Chunk
from metrify_assets.feeds.model import TextField
from metrify_assets.feeds.values.labels import LabelReader

TEXTS = st.text(alphabet="ab \t\n\x1c\xa0ä", max_size=4)


def read(reader: LabelReader, column: pa.Array) -> list[str | None]:
    chunk = Chunk(np.arange(1, len(column) + 1), {"c": column}, lambda rows: [], len(column))
    return reader.read(chunk, "file.csv").array().to_pylist()


@given(st.lists(st.none() | TEXTS, max_size=20), st.sampled_from(["", "x:"]), st.sampled_from([None, "none"]))
def test_every_text_is_stripped_and_those_that_say_nothing_are_refused_or_get_the_default(texts, prefix, default):
    field = TextField(column="c", prefix=prefix, default=default)
    expected = [prefix + text.strip() if text and text.strip() else default for text in texts]
    assert read(LabelReader(field), pa.array(texts, pa.string())) == expected


def test_a_dictionary_that_names_a_text_twice_gives_it_one_code():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["a", "b", "a"]))
    chunk = Chunk(np.arange(1, 4), {"c": column}, lambda rows: [], 3)
    labels = LabelReader(TextField(column="c")).read(chunk, "file.csv")
    assert (labels.codes.tolist(), labels.texts) == ([0, 1, 0], ["a", "b"])


@pytest.mark.parametrize("text", ["plain", "with blank inside", "DE0001"])
def test_plain_texts_are_taken_as_they_are(text):
    column = pa.array([text, text]).dictionary_encode()
    chunk = Chunk(np.arange(1, 3), {"c": column}, lambda rows: [], 2)
    labels = LabelReader(TextField(column="c")).read(chunk, "file.csv")
    assert labels.dictionary.equals(column.dictionary)
