"""Labels: the texts that say whose value it is (point, channel, unit, status, area, station).

Belongs here: columns, constants and file names turned into codes of distinct texts. Does not belong here: values and
stamps.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Chunk, UnreadableFile, encode
from metrify_assets.feeds.model import TextField

_KNOWN_TEXTS = 200_000
_NOTHING_TO_STRIP = "^[!-~]([^\\n]*[!-~])?$"
"""Texts that begin and end with a visible character of ASCII."""


@dataclass(frozen=True)
class Labels:
    """One text per row, as codes.

    Attributes
    ----------
    codes : int32 array, shape (n,)
        Position among the texts; -1 where the text is refused.
    dictionary : pyarrow.StringArray
        Distinct texts.
    """

    codes: np.ndarray
    dictionary: pa.Array

    @classmethod
    def of(cls, codes: np.ndarray, texts: list[str]) -> Labels:
        """Return labels of a few texts."""
        return cls(codes, pa.array(texts, pa.string()))

    @classmethod
    def constant(cls, text: str, rows: int) -> Labels:
        """Return the same text for every row."""
        return cls.of(np.zeros(rows, dtype=np.int32), [text])

    @cached_property
    def texts(self) -> list[str]:
        """The distinct texts, for those of which there are few."""
        texts: list[str] = self.dictionary.to_pylist()
        return texts

    def distinct(self) -> Labels:
        """Return the same labels with every text once."""
        texts = list(dict.fromkeys(self.texts))
        ours = np.array([texts.index(text) for text in self.texts], dtype=np.int32)
        return Labels.of(ours[self.codes], texts)

    def array(self) -> pa.DictionaryArray:
        """Return the texts as a dictionary-encoded array; null where one is refused."""
        refused = self.codes < 0
        codes = pa.array(self.codes, pa.int32(), mask=refused if refused.any() else None)
        return pa.DictionaryArray.from_arrays(codes, self.dictionary)


class LabelReader:
    """Reads one label of a feed.

    Parameters
    ----------
    field : TextField
    allowed : collection of str, optional
        The only texts that are accepted (after mapping).
    """

    def __init__(self, field: TextField, allowed: Collection[str] | None = None) -> None:
        self.field = field
        self._allowed = allowed
        # The points of a file come again in every chunk.
        self._text = lru_cache(maxsize=_KNOWN_TEXTS)(self._read_text)

    def read(self, chunk: Chunk, file_name: str) -> Labels:
        """Return the label of every row of a chunk.

        Raises
        ------
        UnreadableFile
            If the label is in the file's name and the name does not have it.
        """
        if self.field.column is None:
            return Labels.constant(self._of_file(file_name), len(chunk.row_numbers))
        codes, values = encode(chunk.columns[self.field.column])
        values = values.cast(pa.string())
        if self._takes_as_they_are(values):
            return Labels(codes, values)
        texts: dict[str, int] = {}
        ours = np.array(
            [
                -1 if (text := self._text(value)) is None else texts.setdefault(text, len(texts))
                for value in values.to_pylist()
            ],
            dtype=np.int32,
        )
        return Labels.of(ours[codes] if len(ours) else codes, list(texts))

    def _takes_as_they_are(self, values: pa.Array) -> bool:
        """Return whether ``_read_text`` would give every one of these texts back, and no two are equal."""
        if self.field.mapping or self.field.prefix or self._allowed is not None or values.null_count:
            return False
        plain = pc.all(pc.match_substring_regex(values, _NOTHING_TO_STRIP)).as_py()
        return bool(plain) and pc.count_distinct(values).as_py() == len(values)

    def _of_file(self, file_name: str) -> str:
        if self.field.constant is not None:
            return self.field.prefix + self.field.constant
        name = PurePosixPath(file_name).name
        # A field has one source: no column and no constant, so a pattern.
        match = re.search(self.field.file_name or "", name)
        text = self._text(match.group(1)) if match else None
        if text is None:
            detail = f"expected a file name that matches {self.field.file_name}, found {name!r}: rename the file"
            raise UnreadableFile(RejectReason.UNKNOWN_FILE_NAME, detail)
        return text

    def _read_text(self, delivered: str | None) -> str | None:
        text = "" if delivered is None else delivered.strip()
        if self.field.mapping and text in self.field.mapping:
            text = self.field.mapping[text]
        elif not text:
            return self.field.default
        elif self.field.mapping:
            return None
        text = self.field.prefix + text
        return None if self._allowed is not None and text not in self._allowed else text
